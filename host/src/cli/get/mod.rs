//! `backhaul get`: one job, in the foreground, completed by itself, on a host and a store of its own.
//!
//! The store is keyed by what is fetched ([`key`]), so that the same command again takes up its job from what is durable, whatever
//! ended the one before; the lock of the store keeps two equal commands apart. After success the store is removed.

mod advice;
mod key;
mod list;
mod local_name;
mod network;
mod policy;
mod prepare;
mod progress;
mod rate;
mod session;
mod settings;
mod signals;
mod take_up;
mod view;
mod words;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use self::network::{parse_cost_flags, parse_network};
pub(crate) use self::policy::{PolicyArguments, PolicyChoice, resolve as resolve_policies, to_load};
pub(crate) use self::prepare::local_directories;
pub(crate) use self::progress::{ActiveFile, Progress, WaitingLine};
pub(crate) use self::rate::Rate;
pub(crate) use self::session::{End, Watch, of_command, of_host, or_exit};
use self::settings::GetSettings;
pub(crate) use self::settings::{Output, SettingsError, Surroundings, files as resolve_files, request_headers};
pub(crate) use self::signals::Signals;
pub(crate) use self::take_up::finished;
pub(crate) use self::view::{FILE_BARS_MAX, Onlooker, Possible, failure_line, of as view_of};
pub(crate) use self::words::{Names, error as error_text, integrity, reason, restart, waiting_for};
use super::arguments::GetArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::printer::Printer;
use crate::policy::prebuilt;

/// Runs the command. `bars_are_possible` says whether nothing else writes to the terminal.
pub(crate) fn run(arguments: &GetArguments, logging: Logging, printer: &Printer) -> Result<ExitCode, Failure> {
    let result = resolve(arguments).and_then(|(settings, working_directory)| {
        let names = Names::new(Arc::new(settings.files.clone()), working_directory);
        let bars = match (logging, printer.is_terminal()) {
            (Logging::Off, true) => Possible::Yes,
            _ => Possible::No,
        };
        let mut view = view::of(settings.output, bars, printer, names);
        session::run(&settings, view.as_mut())
    });
    if let (Err(failure), true) = (&result, arguments.json) {
        printer.json(&view::failure_line(failure));
    }
    result
}

/// Whether log lines go to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logging {
    /// They do.
    On,
    /// They do not.
    Off,
}

fn resolve(arguments: &GetArguments) -> Result<(GetSettings, PathBuf), Failure> {
    let working_directory = std::env::current_dir()
        .map_err(|error| Failure::usage(format_args!("failed to find the working directory: {error}")))?;
    let embedded: Vec<&str> = prebuilt::names().collect();
    let mut stdin = io::stdin();
    let mut around = Surroundings {
        working_directory: &working_directory,
        xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
        home: std::env::var_os("HOME"),
        embedded_policies: &embedded,
        stdin: &mut stdin,
    };
    let settings = GetSettings::resolve(arguments, &mut around).map_err(Failure::usage)?;
    Ok((settings, working_directory))
}
