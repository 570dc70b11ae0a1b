//! What happens inside, for those who ask: `-v`, or `BACKHAUL_LOG` with the filters of tracing-subscriber.

use std::io::{self, IsTerminal as _};

use rustix::fs::fstat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that selects what is logged; it outranks `-v`.
const VARIABLE: &str = "BACKHAUL_LOG";

/// Whether anything will be logged: lines that bars would be drawn over.
pub(crate) fn is_wanted(verbose: u8) -> bool {
    verbose > 0 || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Starts logging to stderr, if it is wanted.
pub(crate) fn start(verbose: u8) {
    if is_wanted(verbose) {
        let level = if verbose == 0 { LevelFilter::OFF } else { level_of(verbose) };
        start_at(level);
    }
}

/// Starts logging of the daemon, whose log is all that people see of it.
pub(crate) fn start_for_service(verbose: u8) {
    start_at(if verbose == 0 { LevelFilter::INFO } else { level_of(verbose) });
}

const fn level_of(verbose: u8) -> LevelFilter {
    if verbose > 1 { LevelFilter::TRACE } else { LevelFilter::DEBUG }
}

fn start_at(level: LevelFilter) {
    // Others' logs below a warning are about their own insides.
    let default = if level == LevelFilter::OFF { "off".to_owned() } else { format!("warn,backhaul={level}") };
    let filter = EnvFilter::builder().with_env_var(VARIABLE).try_from_env().unwrap_or_else(|_| EnvFilter::new(default));
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = io::stderr().is_terminal() && !no_color;
    // It fails only where an embedding application has a subscriber of its own, which is then the one to be used.
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    let _ = if goes_to_the_journal() { subscriber.without_time().try_init() } else { subscriber.try_init() };
}

/// Whether stderr is systemd's journal, which has the time of each line itself: the variable has device and inode of what it gave us.
fn goes_to_the_journal() -> bool {
    let Some(given) = std::env::var_os("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stderr| given == *format!("{}:{}", stderr.st_dev, stderr.st_ino))
}
