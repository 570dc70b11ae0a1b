//! What a run of `get` shows, and to whom: bars on a terminal, lines elsewhere, JSON lines for programs.

mod bars;
mod json;
mod lines;

use std::path::PathBuf;
use std::time::Duration;

use self::bars::Bars;
pub(crate) use self::bars::FILE_BARS_MAX;
use self::json::Json;
use self::lines::Lines;
use super::advice::advice;
use super::progress::Progress;
use super::settings::Output;
use super::words::{self, Names};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::printer::{Printer, Tone, one_line};
use crate::cli::units::{bytes, files, millis};
use crate::clock::Now;
use crate::host::NumberedEvent;
use crate::job::{ErrorCode, JobError, JobId, JobState};

/// The beginning of a run.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    /// The job.
    pub(crate) job: JobId,
    /// Its store.
    pub(crate) state_dir: PathBuf,
    /// Durable bytes that were there already; none for a new job.
    pub(crate) resumed: Option<u64>,
    /// Who decides.
    pub(crate) policies: Vec<String>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// How the process ends.
    pub(crate) code: ExitCode,
    /// The job's last state; none if none was created.
    pub(crate) state: Option<JobState>,
    /// Why it failed, if it did.
    pub(crate) error: Option<JobError>,
    /// Whole files.
    pub(crate) files_transferred: u32,
    /// All files.
    pub(crate) files_total: u32,
    /// Durable bytes.
    pub(crate) bytes_transferred: u64,
    /// Of them, those that this run fetched.
    pub(crate) bytes_fetched: u64,
    /// Milliseconds that this run took.
    pub(crate) elapsed_ms: u64,
}

/// Somebody who looks on while a job runs.
pub(crate) trait Onlooker {
    /// How often [`Onlooker::progress`] is wanted.
    fn interval(&self) -> Duration;
    /// Something happened.
    fn event(&mut self, event: &NumberedEvent);
    /// How far it is.
    fn progress(&mut self, progress: &Progress, now: Now);
    /// Nothing can be stored, or again.
    fn degraded(&mut self, detail: Option<&str>);
    /// The names of the files, where it shows them.
    fn names_mut(&mut self) -> Option<&mut Names> {
        None
    }
    /// Takes away what is drawn, so that nothing of it stays behind.
    fn clear(&mut self) {}
}

/// Somebody who looks on, and is told of the begin and the end of the run.
pub(crate) trait View: Onlooker {
    /// The job is there, and runs.
    fn begin(&mut self, begin: &Begin);
    /// It is over.
    fn end(&mut self, summary: &Summary);
}

/// The view that the settings ask for.
pub(crate) fn of<'a>(
    output: Output,
    bars_are_possible: Possible,
    printer: &'a Printer,
    names: Names,
) -> Box<dyn View + 'a> {
    match (output, bars_are_possible) {
        (Output::Json | Output::JsonSummary, _) => Box::new(Json::new(printer, names, output)),
        (Output::Human, Possible::Yes) => Box::new(Bars::new(printer, names)),
        (Output::Human, Possible::No) => Box::new(Lines::new(printer, names)),
        (Output::Quiet, _) => Box::new(Quiet { printer, names }),
    }
}

/// Whether bars can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Possible {
    /// A terminal, and nothing else writes to it.
    Yes,
    /// Lines it is.
    No,
}

/// Errors only.
#[derive(Debug)]
struct Quiet<'a> {
    printer: &'a Printer,
    names: Names,
}

impl Onlooker for Quiet<'_> {
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn event(&mut self, _: &NumberedEvent) {}

    fn progress(&mut self, _: &Progress, _: Now) {}

    fn degraded(&mut self, detail: Option<&str>) {
        if let Some(detail) = detail {
            self.printer.error(detail);
        }
    }
}

impl View for Quiet<'_> {
    fn begin(&mut self, _: &Begin) {}

    fn end(&mut self, summary: &Summary) {
        if !matches!(summary.code, ExitCode::Success | ExitCode::Interrupted) {
            tell_end(self.printer, &self.names, summary);
        }
    }
}

/// A failure before there was a job, or beside it, as a JSON line.
pub(crate) fn failure_line(failure: &Failure) -> impl serde::Serialize {
    serde_json::json!({ "type": "error", "exit_code": failure.code.number(), "message": failure.message })
}

/// The first words, for people.
fn tell_begin(printer: &Printer, names: &Names, begin: &Begin) {
    let text = match begin.resumed {
        None => format!("fetching {}", files(names.count() as u64)),
        Some(0) => format!("going on with {}", files(names.count() as u64)),
        Some(there) => format!("going on with {}: {} are here already", files(names.count() as u64), bytes(there)),
    };
    printer.note(Tone::Dim, text);
}

/// The last words, for people.
fn tell_end(printer: &Printer, names: &Names, summary: &Summary) {
    let there = format!("{} of {}", summary.files_transferred, files(summary.files_total.into()));
    match (summary.code, &summary.error) {
        (ExitCode::Success, _) => {
            let rate = match u128::from(summary.bytes_fetched) * 1000 / u128::from(summary.elapsed_ms.max(1)) {
                0 => String::new(),
                rate => format!(" ({}/s)", bytes(u64::try_from(rate).unwrap_or(u64::MAX))),
            };
            let what = match names.count() {
                1 => names.local(crate::job::FileIndex(0)),
                count => files(count as u64),
            };
            let (size, time) = (bytes(summary.bytes_transferred), millis(summary.elapsed_ms));
            printer.note(Tone::Good, format_args!("done: {what}, {size} in {time}{rate}"));
        }
        (ExitCode::Interrupted, _) => {
            let kept = bytes(summary.bytes_transferred);
            printer
                .note(Tone::Warning, format_args!("suspended: {kept} are kept; the same command goes on from there"));
        }
        (_, Some(error)) => {
            printer.error(format_args!("{}", error_text(names, error)));
            printer.note(Tone::Plain, format_args!("  what to do: {}", advice(error)));
            // Bytes of an origin that cannot resume are no start to go on from.
            let useless = error.code == ErrorCode::InsufficientRangeSupport && summary.files_transferred == 0;
            if summary.bytes_transferred > 0 && !useless {
                let kept = bytes(summary.bytes_transferred);
                printer.note(
                    Tone::Plain,
                    format_args!("  {there} and {kept} are kept; the same command tries again from there"),
                );
            }
        }
        (_, None) => {
            let how = if summary.state == Some(JobState::Cancelled) { "cancelled" } else { "completed" };
            printer.error(format_args!("a policy {how} the job with {there} fetched"));
        }
    }
}

/// An error with all that is known of it.
fn error_text(names: &Names, error: &JobError) -> String {
    let number = error.number();
    let mut text = format!("{} (0x{number:08X})", words::error(names, error));
    if let Some(spec) = error.file.and_then(|file| names.get(file)) {
        text.push_str(&format!("\n  file: {} -> {}", spec.remote_name, one_line(&spec.local_name.to_string())));
    }
    text
}
