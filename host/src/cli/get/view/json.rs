//! JSON lines for programs. The names of the fields are documented in the help of `--json` and stay as they are.

use std::time::Duration;

use serde::Serialize;

use super::{Begin, Onlooker, Summary, View};
use crate::cli::get::advice::advice;
use crate::cli::get::progress::{Progress, WaitingLine};
use crate::cli::get::rate::Rate;
use crate::cli::get::settings::Output;
use crate::cli::get::words::Names;
use crate::cli::printer::Printer;
use crate::clock::Now;
use crate::host::NumberedEvent;
use crate::job::{ErrorCode, ErrorContext, Event, EventKind, FailureClass, FileIndex, JobError, JobId, JobState};

/// The lines.
#[derive(Debug)]
pub(super) struct Json<'a> {
    printer: &'a Printer,
    names: Names,
    rate: Rate,
    output: Output,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Job {
        id: JobId,
        state_dir: String,
        resumed: bool,
        bytes_transferred: u64,
        files_total: usize,
        policies: &'a [String],
    },
    Event {
        number: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        local_name: Option<String>,
        #[serde(flatten)]
        event: &'a Event,
    },
    Progress {
        state: JobState,
        bytes_transferred: u64,
        bytes_total: Option<u64>,
        files_transferred: u32,
        files_total: u32,
        bytes_per_second: Option<u64>,
        seconds_left: Option<u64>,
        waiting_on: Option<WaitingLine<'a>>,
        active: Vec<Active>,
    },
    Degraded {
        detail: Option<&'a str>,
    },
    Error {
        exit_code: u8,
        message: String,
        error: ErrorLine<'a>,
        advice: &'static str,
    },
    Summary {
        exit_code: u8,
        state: Option<JobState>,
        files_transferred: u32,
        files_total: u32,
        bytes_transferred: u64,
        bytes_fetched: u64,
        elapsed_seconds: f64,
    },
}

/// A file that is being moved.
#[derive(Debug, Serialize)]
struct Active {
    file: FileIndex,
    local_name: Option<String>,
    bytes_transferred: u64,
    bytes_total: Option<u64>,
}

/// An error object with its number.
#[derive(Debug, Serialize)]
struct ErrorLine<'a> {
    code: ErrorCode,
    number: u32,
    context: ErrorContext,
    class: FailureClass,
    http_status: Option<u16>,
    file: Option<FileIndex>,
    url: Option<String>,
    local_name: Option<String>,
    description: &'a str,
}

impl<'a> Json<'a> {
    pub(super) fn new(printer: &'a Printer, names: Names, output: Output) -> Self {
        Self { printer, names, rate: Rate::default(), output }
    }

    fn print(&self, line: &Line<'_>) {
        if self.output == Output::Json || matches!(line, Line::Error { .. } | Line::Summary { .. }) {
            self.printer.json(line);
        }
    }

    fn url(&self, file: FileIndex) -> Option<String> {
        Some(self.names.get(file)?.remote_name.to_string())
    }

    fn local_name(&self, file: FileIndex) -> Option<String> {
        Some(self.names.get(file)?.local_name.to_string())
    }

    fn error_line<'e>(&self, error: &'e JobError) -> ErrorLine<'e> {
        ErrorLine {
            code: error.code,
            number: error.number(),
            context: error.context,
            class: error.class,
            http_status: error.http_status,
            file: error.file,
            url: error.file.and_then(|file| self.url(file)),
            local_name: error.file.and_then(|file| self.local_name(file)),
            description: &error.description,
        }
    }
}

/// The file that an event is about.
const fn file_of(kind: &EventKind) -> Option<FileIndex> {
    match kind {
        EventKind::FileTransferred { file, .. } | EventKind::FileRestarted { file, .. } => Some(*file),
        EventKind::AttemptFailed { error } | EventKind::JobError { error } | EventKind::PublicationFailed { error } => {
            error.file
        }
        _ => None,
    }
}

impl Onlooker for Json<'_> {
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn event(&mut self, event: &NumberedEvent) {
        let NumberedEvent { number, event, .. } = event;
        let file = file_of(&event.kind);
        let url = file.and_then(|file| self.url(file));
        let local_name = file.and_then(|file| self.local_name(file));
        self.print(&Line::Event { number: *number, url, local_name, event });
    }

    fn progress(&mut self, progress: &Progress, now: Now) {
        self.rate.sample(now.boot, progress.bytes_received);
        let left = progress.bytes_total.map(|total| total.saturating_sub(progress.bytes_transferred));
        let active = progress.active.iter().map(|active| Active {
            file: active.file,
            local_name: self.local_name(active.file),
            bytes_transferred: active.bytes_transferred,
            bytes_total: active.bytes_total,
        });
        self.print(&Line::Progress {
            state: progress.state,
            bytes_transferred: progress.bytes_transferred,
            bytes_total: progress.bytes_total,
            files_transferred: progress.files_transferred,
            files_total: progress.files_total,
            bytes_per_second: self.rate.bytes_per_second(),
            seconds_left: left.and_then(|left| self.rate.seconds_for(left)),
            waiting_on: progress.waiting_on.as_ref().map(WaitingLine),
            active: active.collect(),
        });
    }

    fn degraded(&mut self, detail: Option<&str>) {
        self.print(&Line::Degraded { detail });
    }
}

impl View for Json<'_> {
    fn begin(&mut self, begin: &Begin) {
        self.print(&Line::Job {
            id: begin.job,
            state_dir: begin.state_dir.display().to_string(),
            resumed: begin.resumed.is_some(),
            bytes_transferred: begin.resumed.unwrap_or(0),
            files_total: self.names.count(),
            policies: &begin.policies,
        });
    }

    fn end(&mut self, summary: &Summary) {
        if let Some(error) = &summary.error {
            self.print(&Line::Error {
                exit_code: summary.code.number(),
                message: super::error_text(&self.names, error),
                error: self.error_line(error),
                advice: advice(error),
            });
        }
        self.print(&Line::Summary {
            exit_code: summary.code.number(),
            state: summary.state,
            files_transferred: summary.files_transferred,
            files_total: summary.files_total,
            bytes_transferred: summary.bytes_transferred,
            bytes_fetched: summary.bytes_fetched,
            elapsed_seconds: std::time::Duration::from_millis(summary.elapsed_ms).as_secs_f64(),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cli::arguments::GET_JSON_HELP;
    use crate::clock::UnixMillis;
    use crate::scheduler::WaitingOn;

    /// Every name of a field in a line, at any depth.
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.push(name.clone());
                    names(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_help_names_every_field() {
        let event = Event {
            at: UnixMillis(1),
            job: Some(JobId::generate()),
            kind: EventKind::JobModified { fields: Vec::new() },
        };
        let waiting = WaitingOn { code: "turn", detail: String::new(), until: None, policy: None, error: None };
        let active = Active { file: FileIndex(0), local_name: None, bytes_transferred: 0, bytes_total: None };
        let error = ErrorLine {
            code: ErrorCode::Http,
            number: 1,
            context: ErrorContext::RemoteFile,
            class: FailureClass::Fatal,
            http_status: None,
            file: None,
            url: None,
            local_name: None,
            description: "",
        };
        let lines = [
            Line::Job {
                id: JobId::generate(),
                state_dir: String::new(),
                resumed: false,
                bytes_transferred: 0,
                files_total: 1,
                policies: &[],
            },
            Line::Event { number: 1, url: Some(String::new()), local_name: Some(String::new()), event: &event },
            Line::Progress {
                state: JobState::Queued,
                bytes_transferred: 0,
                bytes_total: None,
                files_transferred: 0,
                files_total: 1,
                bytes_per_second: None,
                seconds_left: None,
                waiting_on: Some(WaitingLine(&waiting)),
                active: vec![active],
            },
            Line::Degraded { detail: None },
            Line::Error { exit_code: 1, message: String::new(), error, advice: "" },
            Line::Summary {
                exit_code: 0,
                state: None,
                files_transferred: 0,
                files_total: 1,
                bytes_transferred: 0,
                bytes_fetched: 0,
                elapsed_seconds: 0.0,
            },
        ];
        for line in lines {
            let value = serde_json::to_value(&line).unwrap();
            let kind = value["type"].as_str().unwrap();
            assert!(GET_JSON_HELP.contains(&format!("\n  {kind:<8}  ")), "{kind}");
            let mut found = Vec::new();
            names(&value, &mut found);
            // The fields of each kind of event are those of the journal.
            for name in found.iter().filter(|name| *name != "fields") {
                assert!(GET_JSON_HELP.contains(name.as_str()), "{kind}: {name}");
            }
        }
    }
}
