//! `backhaul demo`: the main job with nothing else running.
//!
//! A download job goes through an origin that misbehaves, under the embedded policies or a foreign one. It is the real thing: the
//! host of [`crate::host`], a store and part files on the disk, HTTP over loopback. Only the origin ([`origin`]) is made up, and
//! what it answers is a pure function of the requests ([`plan`]) for a file that is one of the seed ([`content`]).
//!
//! ```text
//! session ─ take_up ─→ Host ─ events, progress ─→ story ─→ lines, bar, JSON lines
//!    └── Origin ─ access log ──────────────────────↗   └─→ report: tables, digest, price
//! ```

mod arguments;
mod content;
mod origin;
mod place;
mod plan;
mod report;
mod session;
mod story;
mod take_up;
mod text;

pub(crate) use self::arguments::DemoArguments;
use self::content::Content;
use self::place::Place;
use self::story::Form;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::get::{Logging, failure_line, resolve_policies};
use super::printer::Printer;
use crate::policy::prebuilt;

/// Runs the command.
pub(crate) fn run(arguments: &DemoArguments, logging: Logging, printer: &Printer) -> Result<ExitCode, Failure> {
    let form = match (arguments.json, logging, printer.is_terminal()) {
        (true, _, _) => Form::Json,
        (false, Logging::Off, true) => Form::Bar,
        (false, _, _) => Form::Lines,
    };
    let result = start(arguments, printer, form);
    if let (Err(failure), Form::Json) = (&result, form) {
        printer.json(&failure_line(failure));
    }
    result
}

fn start(arguments: &DemoArguments, printer: &Printer, form: Form) -> Result<ExitCode, Failure> {
    let working_directory = std::env::current_dir()
        .map_err(|error| Failure::usage(format_args!("failed to find the working directory: {error}")))?;
    let embedded: Vec<&str> = prebuilt::names().collect();
    let policies = resolve_policies(&arguments.policies, &embedded, &working_directory).map_err(Failure::usage)?;
    let place = Place::make(arguments.keep.as_deref(), &Content::new(arguments.seed).file_name())
        .map_err(|error| Failure::usage(format_args!("--keep: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("failed to start the runtime: {error}")))?;
    // The place outlives the runtime, and with it everything that may still write there.
    runtime.block_on(session::run(arguments, policies, &place, printer, form))
}
