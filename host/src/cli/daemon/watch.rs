//! `job watch`: bars on a terminal, lines elsewhere, JSON lines for programs, until the job is where it waits for somebody.
//!
//! Events and progress come as one stream, the reason of a wait from held reads of the state. Nothing of the job depends on us: whoever
//! ends the watching leaves the job as it is.

use std::time::Duration;

use serde_json::json;

use super::Session;
use super::arguments::{Format, WatchArguments};
use super::job_id::resolve;
use super::names::{self, Reading};
use crate::api::wire::{JobProgress, JobStateView, JobView};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{FILE_BARS_MAX, Logging, Onlooker, Output, Possible, Signals, view_of};
use crate::cli::printer::{Printer, Tone};
use crate::cli::units::{bytes, files, millis};
use crate::client::{ClientError, EventFilter, EventStart, StreamItem, Tagged};
use crate::clock::Now;
use crate::host::NumberedEvent;
use crate::job::{Event, EventKind, JobId, JobState};

/// Between two readings of the progress of a running job: smooth to the eye.
const PACE: Duration = Duration::from_millis(200);

/// How long the daemon holds a read of the state.
const HOLD: Duration = Duration::from_secs(50);

/// The job went, for example because its daemon forgot it after it was completed elsewhere.
const NOT_FOUND: Option<u16> = Some(404);

/// What is told of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All.
    Everything,
    /// Errors.
    Errors,
}

/// `job watch`.
pub(super) async fn watch(session: &Session<'_>, arguments: &WatchArguments) -> Result<ExitCode, Failure> {
    let id = resolve(session, &arguments.job).await?;
    follow(session, id, if arguments.quiet { Told::Errors } else { Told::Everything }).await
}

/// Follows a job until it is transferred, stopped by an error, or at its end.
pub(super) async fn follow(session: &Session<'_>, job: JobId, told: Told) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    // Before the first look, so that nothing falls in between.
    let filter = EventFilter { progress: Some(PACE), ..EventFilter::of_job(job) };
    let mut stream = session.client.events(filter, EventStart::Now).await?;
    let first = session.client.job(job).await?.value;
    let begun = Now::read();
    let mut screen = Screen::of(session, told, job, &first).await?;
    let Tagged { value: state, mut tag } = session.client.state(job).await?;
    let numbers = session.client.progress(job).await?;
    let mut reading = Reading { state, numbers, active: Vec::new(), error: first.error.clone() };
    screen.state(&reading.state);
    let mut ticks = tokio::time::interval(PACE);
    while !is_over(reading.state.state) {
        let seen = tag.clone();
        let held = session.client.state_after(job, &seen, HOLD);
        tokio::pin!(held);
        let changed: Result<Option<Tagged<JobStateView>>, ClientError> = loop {
            tokio::select! {
                changed = &mut held => break changed,
                item = stream.next() => match item {
                    Some(Ok(StreamItem::Event(event))) => screen.event(event),
                    Some(Ok(StreamItem::Progress(progress))) => {
                        (reading.numbers, reading.active) = (progress.progress, progress.active);
                        screen.numbers(&reading);
                        screen.learn_names(session, job, &reading).await;
                    }
                    // What the events led to is seen in the state all the same.
                    Some(Ok(StreamItem::Missed { .. } | StreamItem::CutOff { .. })) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(ExitCode::Unavailable),
                },
                _ = ticks.tick() => screen.draw(&reading),
                () = signals.next() => {
                    screen.clear();
                    if told == Told::Everything {
                        session.printer.note(Tone::Dim, "no longer watched; the job goes on");
                    }
                    return Ok(ExitCode::Interrupted);
                }
            }
        };
        match changed {
            Ok(Some(Tagged { value, tag: newer })) => {
                (reading.state, tag) = (value, newer);
                reading.numbers = session.client.progress(job).await.unwrap_or(reading.numbers);
                reading.error = session.client.error(job).await.ok().flatten();
                if !reading.state.state.is_running() {
                    // The stream tells their end too, up to a pace later.
                    reading.active.clear();
                }
                screen.state(&reading.state);
            }
            Ok(None) => {}
            Err(gone) if gone.status() == NOT_FOUND => break,
            Err(error) => return Err(error.into()),
        }
    }
    // What led here is in the journal already: it was committed before the state was published.
    while let Ok(Some(Ok(item))) = tokio::time::timeout(LAST_EVENTS, stream.next()).await {
        if let StreamItem::Event(event) = item {
            screen.event(event);
        }
    }
    screen.clear();
    let last = session.client.job(job).await.map(|job| job.value).unwrap_or(first);
    Ok(screen.end(&last, Now::read().wall.since(begun.wall)))
}

/// How long the stream may lag behind the state: far more than it does.
const LAST_EVENTS: Duration = Duration::from_millis(100);

/// It stays there until somebody does something, or for ever. A suspended job does too, but who watches it waits for that somebody.
const fn is_over(state: JobState) -> bool {
    matches!(state, JobState::Transferred | JobState::Error | JobState::Acknowledged | JobState::Cancelled)
}

/// Where the story is told.
struct Screen<'a> {
    printer: &'a Printer,
    told: Told,
    /// None where JSON is printed.
    view: Option<Box<dyn Onlooker + 'a>>,
}

impl<'a> Screen<'a> {
    async fn of(session: &Session<'a>, told: Told, id: JobId, job: &JobView) -> Result<Self, Failure> {
        let printer = session.printer;
        if session.format == Format::Json {
            return Ok(Self { printer, told, view: None });
        }
        let names = names::of_job(session, id, job.progress.files_total).await?;
        let bars = match (session.logging, printer.is_terminal()) {
            (Logging::Off, true) => Possible::Yes,
            _ => Possible::No,
        };
        let output = if told == Told::Errors { Output::Quiet } else { Output::Human };
        let view: Box<dyn Onlooker + 'a> = view_of(output, bars, printer, names);
        Ok(Self { printer, told, view: Some(view) })
    }

    fn event(&mut self, event: crate::api::wire::EventView) {
        match &mut self.view {
            // The last words say it, and what is to be done then.
            Some(_) if matches!(event.kind, EventKind::StateChanged { to: JobState::Transferred, .. }) => {}
            Some(view) => {
                let crate::api::wire::EventView { number, at, job, kind } = event;
                view.event(&NumberedEvent::new(number, Event { at: at.0, job, kind }));
            }
            None => self.line("event", &event),
        }
    }

    /// A reading of the progress, for programs.
    fn numbers(&self, reading: &Reading) {
        if self.view.is_none() {
            let JobProgress { bytes_total, bytes_transferred, files_total, files_transferred } = reading.numbers;
            let line = json!({
                "state": reading.state.state, "bytes_total": bytes_total, "bytes_transferred": bytes_transferred,
                "files_total": files_total, "files_transferred": files_transferred, "active": reading.active,
            });
            self.line("progress", &line);
        }
    }

    /// The names of what has a bar, and of files that were added meanwhile.
    async fn learn_names(&mut self, session: &Session<'_>, job: JobId, reading: &Reading) {
        if let Some(names) = self.view.as_mut().and_then(|view| view.names_mut()) {
            names.recount(reading.numbers.files_total);
            let shown = reading.active.len().min(FILE_BARS_MAX);
            // A daemon that takes its time holds up neither the screen nor a signal: the rest is asked for at the next reading.
            let learned = names::learn(session, job, names, &reading.active[..shown]);
            let _all = tokio::time::timeout(PACE, learned).await;
        }
    }

    fn state(&self, state: &JobStateView) {
        if self.view.is_none() {
            self.line("state", state);
        }
    }

    fn draw(&mut self, reading: &Reading) {
        if let Some(view) = &mut self.view {
            view.progress(&names::progress(reading), Now::read());
        }
    }

    fn clear(&mut self) {
        if let Some(view) = &mut self.view {
            view.clear();
        }
    }

    fn line(&self, kind: &str, value: &impl serde::Serialize) {
        if self.told == Told::Everything || kind == "job" {
            let mut line = json!({ "type": kind });
            if let (Some(line), Ok(serde_json::Value::Object(members))) =
                (line.as_object_mut(), serde_json::to_value(value))
            {
                // `type` of a job is its direction; here every line says what it is.
                line.extend(members.into_iter().filter(|(name, _)| name != "type"));
            }
            self.printer.json(&line);
        }
    }

    /// The last words, and what they mean for the exit code.
    fn end(&self, job: &JobView, elapsed_ms: u64) -> ExitCode {
        let code = match job.state {
            JobState::Error => ExitCode::Failed,
            JobState::Cancelled => ExitCode::Incomplete,
            _ => ExitCode::Success,
        };
        if self.view.is_none() {
            self.line("job", job);
            return code;
        }
        let JobProgress { bytes_transferred, files_total, files_transferred, .. } = job.progress;
        let there = format!("{} of {}", files_transferred, files(files_total.into()));
        match (job.state, &job.error) {
            (JobState::Error, Some(error)) => {
                self.printer.error(format_args!("the job stopped with {there} fetched: {}", names::error_text(error)));
                let advice =
                    "`backhaul job why` tells how it came to it; resume tries again, complete keeps what is finished";
                self.printer.note(Tone::Dim, advice);
            }
            (JobState::Error, None) => self.printer.error(format_args!("the job stopped with {there} fetched")),
            (JobState::Cancelled, _) => self.printer.error("the job was cancelled"),
            (JobState::Transferred, _) if self.told == Told::Everything => {
                let (size, time) = (bytes(bytes_transferred), millis(elapsed_ms));
                let what = format!("transferred: {}, {size}, watched for {time}", files(files_total.into()));
                self.printer
                    .note(Tone::Good, format_args!("{what}; `backhaul job complete` gives the files their names"));
            }
            (JobState::Acknowledged, _) if self.told == Told::Everything => {
                self.printer.note(Tone::Good, format_args!("completed: {there}, {}", bytes(bytes_transferred)));
            }
            _ => {}
        }
        code
    }
}
