//! Events in sentences. Pure.

use crate::cli::get::{Names, error_text, integrity, reason, restart};
use crate::cli::printer::{Tone, one_line};
use crate::cli::units::{bytes, files};
use crate::job::{EventKind, JobState};

/// What happened, as a sentence without a full stop, and how it is set off.
pub(super) fn sentence(names: &Names, event: &EventKind) -> (Tone, String) {
    let (tone, text) = match event {
        EventKind::JobCreated => (Tone::Plain, "the job was created, suspended".to_owned()),
        EventKind::OwnershipTaken { from, to } => (Tone::Plain, format!("taken over by {to} from {from}")),
        EventKind::JobModified { fields } => (Tone::Dim, format!("changed: {}", fields.join(", "))),
        EventKind::StateChanged { from, to } => (of_state(*to), state(*from, *to)),
        EventKind::FileTransferred { file, bytes: size, integrity: behind } => {
            (Tone::Good, format!("{} is whole: {}, {}", names.local(*file), bytes(*size), integrity(*behind)))
        }
        EventKind::FileRestarted { file, reason, bytes_discarded } => (
            Tone::Warning,
            format!("{} began again from 0: {}", names.local(*file), restart(*reason, *bytes_discarded)),
        ),
        EventKind::AttemptFailed { error } => {
            (Tone::Warning, format!("an attempt failed: {}", error_text(names, error)))
        }
        EventKind::Recovered { policy, changes } => {
            (Tone::Good, format!("policy {policy} repaired the job: {}", changes.join("; ")))
        }
        EventKind::JobInactive { inactive_seconds } => (
            Tone::Bad,
            format!(
                "nothing has moved and nobody has asked for {inactive_seconds} s: the job is cancelled by the inactivity timeout"
            ),
        ),
        EventKind::JobTransferred => (Tone::Good, "the last file is done; the job waits for complete".to_owned()),
        EventKind::JobError { error } => (Tone::Bad, format!("the job stopped: {}", error_text(names, error))),
        EventKind::Acknowledged { files_published, partial } => {
            let some = if *partial { "; the others were not finished, and are dropped" } else { "" };
            (Tone::Good, format!("the job was completed: {} got their names{some}", files((*files_published).into())))
        }
        EventKind::PublicationFailed { error } => {
            (Tone::Bad, format!("completing failed: {}; it can be called again", error_text(names, error)))
        }
        EventKind::Cancelled { files_left } => {
            let left = match files_left {
                0 => String::new(),
                count => format!("; {} could not be deleted", files((*count).into())),
            };
            (Tone::Warning, format!("the job was cancelled{left}"))
        }
        EventKind::DecisionApplied { hook, policy, verdict, code, note, .. } => {
            let why = reason(code, note);
            (Tone::Plain, format!("policy {policy} decided about {}: {verdict}{why}", about(hook)))
        }
        EventKind::PolicyFault { policy, fault, note, .. } => (
            Tone::Warning,
            format!("policy {policy} failed to decide ({fault}): {note}; the fallback decided in its place"),
        ),
        EventKind::NetworkChanged { connected, note } => {
            let tone = if *connected { Tone::Dim } else { Tone::Warning };
            (tone, format!("the network is another one: {note}"))
        }
    };
    (tone, one_line(&text))
}

/// A state as it is written for people.
fn word(state: JobState) -> String {
    state.name().replace('_', " ")
}

fn state(from: JobState, to: JobState) -> String {
    let what = match to {
        JobState::Queued => "it waits for its turn",
        JobState::Connecting => "it asks the origin",
        JobState::Transferring => "bytes move",
        JobState::Suspended => "it waits for resume",
        JobState::Error => "it waits for resume, complete or cancel",
        JobState::TransientError => "it tries again by itself",
        JobState::Transferred => "everything is here",
        JobState::Acknowledged | JobState::Cancelled => "it is at its end",
    };
    format!("from {} to {}: {what}", word(from), word(to))
}

const fn of_state(to: JobState) -> Tone {
    match to {
        JobState::Error => Tone::Bad,
        JobState::TransientError => Tone::Warning,
        JobState::Transferred | JobState::Acknowledged => Tone::Good,
        _ => Tone::Dim,
    }
}

fn about(hook: &str) -> &str {
    match hook {
        "retry" => "the retry",
        "network-cost" | "network_cost" => "the network",
        "recovery" => "the repair",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::job::arbitrary;
    use crate::job::{DecisionId, ErrorCode, ErrorContext, FailureClass, FileIndex, JobError, PolicyName};
    use proptest::prelude::*;

    fn none() -> Names {
        Names::of_first(Vec::new(), 3, PathBuf::from("/"))
    }

    fn told(event: &EventKind) -> String {
        sentence(&none(), event).1
    }

    #[test]
    fn a_story_reads_as_sentences() {
        let error = JobError {
            code: ErrorCode::Http,
            context: ErrorContext::RemoteFile,
            class: FailureClass::Transient,
            http_status: Some(503),
            file: Some(FileIndex(2)),
            description: "the origin answered with status 503".into(),
        };
        assert_eq!(
            told(&EventKind::AttemptFailed { error }),
            "an attempt failed: http 503: file 2: the origin answered with status 503"
        );
        assert_eq!(
            told(&EventKind::StateChanged { from: JobState::Connecting, to: JobState::TransientError }),
            "from connecting to transient error: it tries again by itself"
        );
        let decision = EventKind::DecisionApplied {
            decision: DecisionId("d-1".into()),
            hook: "retry".into(),
            policy: PolicyName("standard".into()),
            verdict: "retry in 5 s".into(),
            code: "backoff".into(),
            note: "second failure\x1b in a row".into(),
        };
        assert_eq!(
            told(&decision),
            "policy standard decided about the retry: retry in 5 s (backoff: second failure\u{fffd} in a row)"
        );
    }

    proptest! {
        #[test]
        fn every_event_is_one_line(event in arbitrary::event()) {
            let text = told(&event.kind);
            prop_assert!(!text.is_empty() && !text.contains('\n') && !text.contains('\x1b'), "{}", text);
        }
    }
}
