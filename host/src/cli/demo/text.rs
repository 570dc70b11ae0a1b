//! The demo's words for people: events as lines, numbers with units, tables. Pure; colours and places are the story's.

use std::fmt::Write as _;

use super::story::Opening;
use crate::cli::get::{Progress, Rate};
use crate::cli::printer::{Tone, one_line};
use crate::cli::units::{bytes, millis};
use crate::clock::UnixMillis;
use crate::job::{EventKind, JobState};
use crate::scheduler::WaitingOn;

/// Columns of everything that the demo prints: what the narrowest usual terminal has.
pub(super) const COLUMNS: usize = 80;

/// Columns before the text of a line: the time, and the label.
const MARGIN: usize = 20;

const STORY: &str = "Its origin misbehaves: two connections cut, a 503, then a 404 for good.";

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub label: &'static str,
    pub tone: Tone,
    /// Wrapped when it is shown; each element begins a row.
    pub rows: Vec<String>,
}

impl Line {
    pub(super) fn new(label: &'static str, tone: Tone, text: impl Into<String>) -> Self {
        Self { label, tone, rows: vec![text.into()] }
    }

    /// The line as it is shown, with the milliseconds since the demo began.
    pub(super) fn render(&self, since_begin_ms: u64) -> String {
        let seconds = format!("{}.{}", since_begin_ms / 1000, since_begin_ms % 1000 / 100);
        let mut text = format!("{seconds:>6} s  {:<10}", self.label);
        let rows = self.rows.iter().flat_map(|row| wrap(row, COLUMNS - MARGIN));
        for (number, row) in rows.enumerate() {
            if number > 0 {
                let _ = write!(text, "\n{:MARGIN$}", "");
            }
            text.push_str(&one_line(&row));
        }
        text
    }
}

/// What people are told of an event; none where another event says it better.
pub(super) fn describe(event: &EventKind) -> Option<Line> {
    let line = match event {
        EventKind::StateChanged { to, .. } => states([*to]),
        EventKind::AttemptFailed { error } => {
            let code = match error.http_status {
                Some(status) => format!("http {status}"),
                None => error.code.name().to_owned(),
            };
            Line { label: "failed", tone: Tone::Warning, rows: vec![code, error.description.clone()] }
        }
        EventKind::DecisionApplied { hook, policy, verdict, note, .. } => {
            let mut rows = vec![format!("{policy} ({hook}): {verdict}")];
            rows.extend((!note.is_empty()).then(|| note.clone()));
            Line { label: "decision", tone: Tone::Plain, rows }
        }
        EventKind::Recovered { policy, changes } => {
            let mut rows = vec![format!("by {policy}")];
            rows.extend(changes.iter().cloned());
            Line { label: "repaired", tone: Tone::Good, rows }
        }
        EventKind::PolicyFault { policy, fault, note, .. } => {
            let rows = vec![format!("{policy}: {fault}; the fallback decides"), note.clone()];
            Line { label: "fault", tone: Tone::Bad, rows }
        }
        EventKind::FileTransferred { bytes: size, .. } => {
            Line::new("file", Tone::Plain, format!("whole: {}, durable", bytes(*size)))
        }
        EventKind::FileRestarted { reason, bytes_discarded, .. } => {
            let reason = serde_json::to_value(reason).ok().and_then(|reason| reason.as_str().map(str::to_owned));
            let text = format!("from 0: {}; {} given up", reason.unwrap_or_default(), bytes(*bytes_discarded));
            Line::new("restart", Tone::Warning, text)
        }
        EventKind::JobModified { fields } => Line::new("changed", Tone::Plain, fields.join(", ")),
        EventKind::PublicationFailed { error } => Line::new("failed", Tone::Bad, error.description.clone()),
        EventKind::NetworkChanged { note, .. } => Line::new("network", Tone::Dim, note.clone()),
        // Each of them comes with a change of state, which is shown; the error of a job in ERROR is in the report.
        EventKind::JobCreated
        | EventKind::OwnershipTaken { .. }
        | EventKind::JobInactive { .. }
        | EventKind::JobTransferred
        | EventKind::JobError { .. }
        | EventKind::Acknowledged { .. }
        | EventKind::Cancelled { .. } => return None,
    };
    Some(line)
}

/// The states that the job went through, one after the other.
pub(super) fn states(states: impl IntoIterator<Item = JobState>) -> Line {
    let states: Vec<JobState> = states.into_iter().collect();
    let names: Vec<String> = states.iter().map(|state| state_name(*state)).collect();
    let tone = states.last().map_or(Tone::Plain, |state| tone_of(*state));
    Line::new("state", tone, names.join(" > "))
}

/// A state as BITS writes it.
pub(super) fn state_name(state: JobState) -> String {
    state.name().to_uppercase()
}

const fn tone_of(state: JobState) -> Tone {
    match state {
        JobState::Queued | JobState::Connecting | JobState::Suspended => Tone::Dim,
        JobState::Transferring => Tone::Plain,
        JobState::TransientError => Tone::Warning,
        JobState::Error | JobState::Cancelled => Tone::Bad,
        JobState::Transferred | JobState::Acknowledged => Tone::Good,
    }
}

/// What is said before anything happens.
pub(super) fn opening(opening: &Opening) -> Vec<String> {
    let policies = match opening.policies.as_slice() {
        [] => "none: the built-in default decides".into(),
        policies => policies.join(", "),
    };
    let all_is_there = opening.bytes_transferred == opening.bytes_total;
    let (title, story) = match (opening.resumed, all_is_there) {
        (true, true) => ("looks at what an earlier run has fetched".to_owned(), "Nothing is left to do."),
        (true, false) => (format!("goes on with {} of an earlier run", bytes(opening.bytes_transferred)), STORY),
        (false, _) => (format!("fetches {} made from seed {}", bytes(opening.bytes_total), opening.seed), STORY),
    };
    let story = match opening.repointed {
        true => format!("{story}\nThe origin has a new address: the job was told, and keeps its bytes if it can."),
        false => story.to_owned(),
    };
    let facts = [
        ("origin", opening.origin.clone()),
        ("mirror", opening.mirror.clone()),
        ("file", opening.file.display().to_string()),
        ("policies", policies),
    ];
    let mut lines = vec![format!("backhaul demo {title}."), story, String::new()];
    lines.extend(facts.map(|(name, fact)| format!("  {name:<10}{}", one_line(&fact))));
    lines.push(String::new());
    lines
}

/// Beside the bar: how fast, how long.
pub(super) fn speed(progress: &Progress, rate: &Rate) -> String {
    let Some(per_second) = rate.bytes_per_second() else { return String::new() };
    let left = progress.bytes_total.map(|total| total.saturating_sub(progress.bytes_transferred));
    let left = left.and_then(|left| rate.seconds_for(left)).map(|seconds| format!("  {seconds} s left"));
    format!("{}/s{}", bytes(per_second), left.unwrap_or_default())
}

/// Beside the bar: what the job waits for. The lines above it have told why.
pub(super) fn waiting(on: &WaitingOn, now: UnixMillis) -> String {
    match on.until {
        Some(until) => format!("again in {}", millis(until.since(now))),
        None => format!("waits: {}", one_line(&on.detail)),
    }
}

/// A gate that is shut.
pub(super) fn gate(on: &WaitingOn) -> Line {
    let who = on.policy.as_ref().map_or_else(String::new, |policy| format!(" ({policy})"));
    let rows = vec![format!("{}{who}", on.code), format!("{}; Ctrl-C ends the demo", on.detail)];
    Line { label: "waits", tone: Tone::Warning, rows }
}

/// Breaks at blanks; a word that is longer than a row gets one of its own and is not broken, so that it can be copied.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_whitespace() {
        let row = rows.last_mut().expect("never empty");
        if row.is_empty() {
            row.push_str(word);
        } else if row.chars().count() + 1 + word.chars().count() <= columns {
            row.push(' ');
            row.push_str(word);
        } else {
            rows.push(word.to_owned());
        }
    }
    rows
}

/// How a column of a table is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table as lines, columns as wide as their widest cell, two blanks between, two before.
pub(super) fn table<const N: usize>(columns: [(&str, Align); N], rows: &[[String; N]]) -> Vec<String> {
    let header = columns.map(|(name, _)| name.to_owned());
    let rows = || std::iter::once(&header).chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| rows().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(columns) {
            match align {
                Align::Left => write!(line, "  {cell:<width$}"),
                Align::Right => write!(line, "  {cell:>width$}"),
            }
            .expect("a string takes everything");
        }
        line.trim_end().to_owned()
    };
    rows().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::PolicyName;

    #[test]
    fn long_texts_are_wrapped_below_their_begin() {
        let line = Line::new("decision", Tone::Plain, "word ".repeat(20));
        let rendered = line.render(12_345);
        assert_eq!(
            rendered.lines().next(),
            Some("  12.3 s  decision  word word word word word word word word word word word word")
        );
        assert!(rendered.lines().skip(1).all(|row| row.starts_with(&format!("{:20}word", ""))), "{rendered}");
        assert!(rendered.lines().all(|row| row.len() <= COLUMNS), "{rendered}");
    }

    #[test]
    fn a_word_is_never_broken() {
        let address = format!("http://h/{}", "a".repeat(100));
        assert_eq!(wrap(&format!("to {address} now"), 60), ["to", address.as_str(), "now"]);
        assert_eq!(wrap("", 60), [""]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["1".to_owned(), "origin".into(), "200".into()], ["12".into(), "-".into(), "5".into()]];
        let lines = table([("#", Align::Right), ("site", Align::Left), ("sent", Align::Right)], &rows);
        assert_eq!(lines, ["   #  site    sent", "   1  origin   200", "  12  -          5"]);
    }

    #[test]
    fn a_guest_cannot_steer_the_terminal() {
        let event = EventKind::PolicyFault {
            decision: None,
            policy: PolicyName("bad".into()),
            fault: "trap".into(),
            note: "\x1b[2Jgone".into(),
        };
        let rendered = describe(&event).unwrap().render(0);
        assert!(!rendered.contains('\x1b'), "{rendered}");
        assert!(rendered.contains("the fallback decides"), "{rendered}");
    }
}
