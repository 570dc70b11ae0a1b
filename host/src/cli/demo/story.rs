//! What is shown while the demo runs: each event as it comes, the progress, and the requests as the origin logged them.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::content::SIZE;
use super::origin::{Origin, RequestRecord};
use super::report::{Decision, Report};
use super::text::{self, Line};
use crate::cli::get::{Onlooker, Progress, Rate, WaitingLine};
use crate::cli::printer::{Printer, Tone};
use crate::cli::units::bytes;
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::host::NumberedEvent;
use crate::job::{Event, EventKind, JobId, JobRecord, JobState};

/// How the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people, with a bar.
    Bar,
    /// For people, where no bar can be drawn.
    Lines,
    /// For programs: one JSON object a line.
    Json,
}

/// How often the progress is looked at: often enough for a bar that moves.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Without a bar, a line tells the progress at each quarter of the file.
const PROGRESS_EVERY_BYTES: u64 = SIZE / 4;

/// How often a JSON line tells the progress, as with `get`.
const JSON_PROGRESS_EVERY_MS: u64 = 1000;

/// What the story begins with.
#[derive(Debug, Serialize)]
pub(super) struct Opening {
    pub id: JobId,
    pub seed: u64,
    pub bytes_total: u64,
    /// Durable from an earlier run.
    pub bytes_transferred: u64,
    /// Whether an earlier run created the job.
    pub resumed: bool,
    /// Whether the job was told that the origin has another address now.
    pub repointed: bool,
    /// Where the file is at first.
    pub origin: String,
    /// Where it lives on.
    pub mirror: String,
    pub file: PathBuf,
    pub state_dir: PathBuf,
    /// Who is asked, in order.
    pub policies: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum JsonLine<'a> {
    Job(&'a Opening),
    Event {
        number: u64,
        #[serde(flatten)]
        event: &'a Event,
    },
    Request(&'a RequestRecord),
    Progress {
        state: JobState,
        bytes_transferred: u64,
        bytes_total: Option<u64>,
        waiting_on: Option<WaitingLine<'a>>,
    },
    Degraded {
        detail: Option<&'a str>,
    },
    Error {
        exit_code: u8,
        message: &'a str,
    },
    Summary {
        exit_code: u8,
        elapsed_seconds: f64,
        #[serde(flatten)]
        report: &'a Report,
    },
}

/// Tells the story of one run.
#[derive(Debug)]
pub(super) struct Story<'a> {
    printer: &'a Printer,
    form: Form,
    origin: &'a Origin,
    begin: Now,
    bar: Option<ProgressBar>,
    rate: Rate,
    /// States that were passed in a moment share a line.
    states: Vec<(UnixMillis, JobState)>,
    requests: Vec<RequestRecord>,
    decisions: Vec<Decision>,
    progress_told_at: BootMillis,
    progress_told: u64,
    waiting_told: Option<&'static str>,
}

impl<'a> Story<'a> {
    /// Tells who is who.
    pub(super) fn open(printer: &'a Printer, form: Form, origin: &'a Origin, opening: &Opening) -> Self {
        let mut story = Self {
            printer,
            form,
            origin,
            begin: Now::read(),
            bar: None,
            rate: Rate::default(),
            states: Vec::new(),
            requests: Vec::new(),
            decisions: Vec::new(),
            progress_told_at: BootMillis(0),
            progress_told: opening.bytes_transferred,
            waiting_told: None,
        };
        if form == Form::Json {
            printer.json(&JsonLine::Job(opening));
        } else {
            text::opening(opening).iter().for_each(|line| printer.note(Tone::Plain, line));
        }
        if form == Form::Bar {
            story.bar = Some(story.new_bar());
        }
        story
    }

    fn new_bar(&self) -> ProgressBar {
        let template = match self.printer.has_colours() {
            true => "  [{bar:24.cyan/dim}] {wide_msg}",
            false => "  [{bar:24}] {wide_msg}",
        };
        let style = ProgressStyle::with_template(template).expect("a constant, seen to work").progress_chars("=> ");
        self.printer.bars().add(ProgressBar::new(SIZE).with_style(style))
    }

    /// Tells what the origin logged since the last time: before the event that it led to.
    fn requests(&mut self) {
        let new = self.origin.requests_from(self.requests.len());
        if self.form == Form::Json {
            new.iter().for_each(|request| self.printer.json(&JsonLine::Request(request)));
        }
        self.requests.extend(new);
    }

    fn line(&mut self, at: UnixMillis, line: &Line) {
        self.end_states();
        self.show(at, line);
    }

    fn end_states(&mut self) {
        let states = std::mem::take(&mut self.states);
        if let Some((at, _)) = states.first() {
            self.show(*at, &text::states(states.iter().map(|(_, state)| *state)));
        }
    }

    fn show(&self, at: UnixMillis, line: &Line) {
        self.printer.note(line.tone, line.render(at.since(self.begin.wall)));
    }

    fn end_progress(&mut self) {
        self.end_states();
        self.requests();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.printer.bars().remove(&bar);
        }
    }

    /// The last words after a signal.
    pub(super) fn interrupt(&mut self, job: &JobRecord, advice: &str) {
        self.end_progress();
        if self.form != Form::Json {
            let kept = bytes(job.bytes_transferred);
            self.printer.note(Tone::Warning, format_args!("interrupted: {kept} are durable; {advice}"));
        } else {
            let exit_code = crate::cli::exit_code::ExitCode::Interrupted.number();
            self.printer.json(&JsonLine::Error { exit_code, message: advice });
        }
    }

    /// The end of a run that was not interrupted.
    pub(super) fn close(&mut self, report: &Report) {
        self.end_progress();
        let exit_code = report.exit_code().number();
        if self.form == Form::Json {
            for message in &report.problems() {
                self.printer.json(&JsonLine::Error { exit_code, message });
            }
            let elapsed = Duration::from_millis(Now::read().boot.since(self.begin.boot));
            let elapsed_seconds = elapsed.as_secs_f64();
            return self.printer.json(&JsonLine::Summary { exit_code, elapsed_seconds, report });
        }
        for line in report.lines(self.origin, &self.requests, self.begin.wall) {
            self.printer.result(line);
        }
        report.problems().iter().for_each(|problem| self.printer.error(problem));
    }

    /// The decisions that were told.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        self.decisions.clone()
    }

    /// The address of the last request, which is the one that the last attempt sent.
    pub(super) fn last_address(&self) -> String {
        self.origin.requests_from(0).pop().map(|request| request.address).unwrap_or_default()
    }
}

impl Onlooker for Story<'_> {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    fn event(&mut self, event: &NumberedEvent) {
        self.requests();
        let NumberedEvent { number, event, .. } = event;
        self.decisions.extend(Decision::from_event(event.at, &event.kind));
        match &event.kind {
            _ if self.form == Form::Json => self.printer.json(&JsonLine::Event { number: *number, event }),
            EventKind::StateChanged { to, .. } => self.states.push((event.at, *to)),
            kind => {
                if let Some(line) = text::describe(kind) {
                    self.line(event.at, &line);
                }
            }
        }
    }

    fn progress(&mut self, progress: &Progress, now: Now) {
        self.end_states();
        self.requests();
        self.rate.sample(now.boot, progress.bytes_received);
        match (&self.bar, self.form) {
            (Some(bar), _) => {
                let size = format!("{} / {}", bytes(progress.bytes_transferred), bytes(SIZE));
                let more = match (&progress.waiting_on, progress.state) {
                    (Some(waiting), _) => text::waiting(waiting, now.wall),
                    (None, JobState::Transferring) => text::speed(progress, &self.rate),
                    (None, _) => String::new(),
                };
                bar.set_message(format!("{size}  {more}"));
                bar.set_position(progress.bytes_transferred);
            }
            (None, Form::Json) => {
                if now.boot.since(self.progress_told_at) >= JSON_PROGRESS_EVERY_MS {
                    self.progress_told_at = now.boot;
                    let Progress { state, bytes_transferred, bytes_total, waiting_on, .. } = progress;
                    self.printer.json(&JsonLine::Progress {
                        state: *state,
                        bytes_transferred: *bytes_transferred,
                        bytes_total: *bytes_total,
                        waiting_on: waiting_on.as_ref().map(WaitingLine),
                    });
                }
            }
            (None, _) => {
                let quarter = |bytes: u64| bytes / PROGRESS_EVERY_BYTES;
                let is_moving = progress.state == JobState::Transferring && progress.bytes_transferred < SIZE;
                if is_moving && quarter(progress.bytes_transferred) > quarter(self.progress_told) {
                    self.progress_told = progress.bytes_transferred;
                    let text = format!("{} of {}", bytes(progress.bytes_transferred), bytes(SIZE));
                    self.line(now.wall, &Line::new("progress", Tone::Dim, text));
                }
            }
        }
        if self.form != Form::Json {
            self.waits(progress, now.wall);
        }
    }

    fn degraded(&mut self, detail: Option<&str>) {
        let now = Now::read().wall;
        match detail {
            _ if self.form == Form::Json => self.printer.json(&JsonLine::Degraded { detail }),
            Some(detail) => self.line(now, &Line::new("store", Tone::Bad, format!("nothing can be stored: {detail}"))),
            None => self.line(now, &Line::new("store", Tone::Good, "it can be written again")),
        }
    }
}

impl Story<'_> {
    /// Tells what the job waits for where no event does: a gate that is shut is derived, and not in the journal.
    fn waits(&mut self, progress: &Progress, now: UnixMillis) {
        let shut = progress.waiting_on.as_ref().filter(|on| !matches!(on.code, "turn" | "retry_delay" | "origin"));
        let code = shut.map(|on| on.code);
        if let Some(on) = shut.filter(|_| code != self.waiting_told) {
            self.line(now, &text::gate(on));
        }
        self.waiting_told = code;
    }
}
