//! Which events a webhook is told of. Pure.
//!
//! The flags of a job say which of its events are notified (bits.md section 5); kinds that BITS does not know are told unless
//! notifications are disabled.

use super::webhook::Webhook;
use crate::job::{Event, EventKind, JobRecord, JobState, NotifyFlags};

/// What is to be known of an event's job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobFacts {
    pub(super) owner: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) flags: NotifyFlags,
    pub(super) interval_ms: u64,
}

impl From<&JobRecord> for JobFacts {
    fn from(job: &JobRecord) -> Self {
        Self {
            owner: job.owner.clone(),
            labels: job.labels.clone(),
            flags: job.properties.notify_flags,
            interval_ms: job.properties.minimum_notification_interval_ms,
        }
    }
}

/// That a webhook is told of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selected {
    /// It is.
    Always,
    /// Not more often than once in so many milliseconds for the job; what comes in between is left out but for the last.
    Paced { interval_ms: u64 },
}

/// What a job's flags say of a kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Notified if the flag is set.
    Flag(NotifyFlags),
    /// Notified if the flag is set, at the job's pace.
    Modification,
    /// Not known to BITS: notified unless notifications are disabled.
    Open,
    /// Told by another event, and never by this one.
    Shut,
}

const fn gate(kind: &EventKind) -> Gate {
    match kind {
        EventKind::JobTransferred => Gate::Flag(NotifyFlags::JOB_TRANSFERRED),
        EventKind::JobError { .. } => Gate::Flag(NotifyFlags::JOB_ERROR),
        EventKind::FileTransferred { .. } => Gate::Flag(NotifyFlags::FILE_TRANSFERRED),
        EventKind::StateChanged { to: JobState::Error | JobState::Transferred, .. } => Gate::Shut,
        EventKind::StateChanged { .. } | EventKind::JobModified { .. } => Gate::Modification,
        EventKind::JobCreated
        | EventKind::OwnershipTaken { .. }
        | EventKind::FileRestarted { .. }
        | EventKind::AttemptFailed { .. }
        | EventKind::Recovered { .. }
        | EventKind::JobInactive { .. }
        | EventKind::Acknowledged { .. }
        | EventKind::PublicationFailed { .. }
        | EventKind::Cancelled { .. }
        | EventKind::DecisionApplied { .. }
        | EventKind::PolicyFault { .. }
        | EventKind::NetworkChanged { .. } => Gate::Open,
    }
}

/// Whether the webhook is told of the event. `job`: what is known of the event's job; an event whose job is not known any more is of nobody.
pub(super) fn select(webhook: &Webhook, event: &Event, job: Option<&JobFacts>) -> Option<Selected> {
    if !webhook.kinds.iter().any(|kind| kind == event.kind.name()) {
        return None;
    }
    let Some(_) = event.job else {
        // Of the host: everybody may know, and it has no labels.
        return webhook.labels.is_empty().then_some(Selected::Always);
    };
    let job = job.filter(|job| job.owner == webhook.owner)?;
    if !webhook.labels.iter().all(|label| job.labels.contains(label)) {
        return None;
    }
    match gate(&event.kind) {
        Gate::Flag(flag) => job.flags.delivers(flag).then_some(Selected::Always),
        Gate::Modification => {
            let paced = Selected::Paced { interval_ms: job.interval_ms };
            job.flags.delivers(NotifyFlags::JOB_MODIFICATION).then_some(paced)
        }
        Gate::Open => (!job.flags.contains(NotifyFlags::DISABLE)).then_some(Selected::Always),
        Gate::Shut => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;
    use crate::job::{ErrorCode, ErrorContext, FailureClass, FileIndex, Integrity, JobError, JobId};
    use crate::notify::tests::a_webhook;

    fn every_kind() -> Webhook {
        Webhook { kinds: EventKind::NAMES.map(str::to_owned).to_vec(), ..a_webhook() }
    }

    fn facts(flags: NotifyFlags) -> JobFacts {
        JobFacts { owner: a_webhook().owner, labels: vec![("team".into(), "a".into())], flags, interval_ms: 500 }
    }

    fn of_job(kind: EventKind) -> Event {
        Event { at: UnixMillis(1), job: Some(JobId::generate()), kind }
    }

    const NO_FILE: EventKind =
        EventKind::FileTransferred { file: FileIndex(0), bytes: 0, integrity: Integrity::Unverified };
    const TO_QUEUED: EventKind = EventKind::StateChanged { from: JobState::Suspended, to: JobState::Queued };
    const TO_ERROR: EventKind = EventKind::StateChanged { from: JobState::Connecting, to: JobState::Error };
    const TO_TRANSFERRED: EventKind =
        EventKind::StateChanged { from: JobState::Transferring, to: JobState::Transferred };

    fn told(kind: &EventKind, flags: NotifyFlags) -> bool {
        select(&every_kind(), &of_job(kind.clone()), Some(&facts(flags))).is_some()
    }

    #[test]
    fn the_flags_of_bits_say_what_is_told() {
        let flags = [
            NotifyFlags::JOB_TRANSFERRED,
            NotifyFlags::JOB_ERROR,
            NotifyFlags::JOB_MODIFICATION,
            NotifyFlags::FILE_TRANSFERRED,
        ];
        let error = EventKind::JobError {
            error: JobError {
                code: ErrorCode::Http,
                context: ErrorContext::RemoteFile,
                class: FailureClass::Fatal,
                http_status: Some(404),
                file: None,
                description: String::new(),
            },
        };
        let modified = EventKind::JobModified { fields: vec!["priority".into()] };
        let gated = [
            (EventKind::JobTransferred, NotifyFlags::JOB_TRANSFERRED),
            (error, NotifyFlags::JOB_ERROR),
            (modified, NotifyFlags::JOB_MODIFICATION),
            (TO_QUEUED, NotifyFlags::JOB_MODIFICATION),
            (NO_FILE, NotifyFlags::FILE_TRANSFERRED),
        ];
        for (kind, wanted) in &gated {
            for flag in flags {
                assert_eq!(told(kind, flag), flag == *wanted, "{} with {:#x}", kind.name(), flag.bits());
                assert!(!told(kind, flag.with(NotifyFlags::DISABLE)), "{}", kind.name());
            }
        }
        let all = NotifyFlags::from_bits(0x1B).unwrap();
        for kind in [TO_ERROR, TO_TRANSFERRED] {
            assert!(!told(&kind, all), "BITS tells that by JobError and JobTransferred");
        }
    }

    #[test]
    fn kinds_without_a_flag_are_told_unless_notifications_are_disabled() {
        for kind in [
            EventKind::Acknowledged { files_published: 1, partial: false },
            EventKind::Cancelled { files_left: 0 },
            EventKind::JobCreated,
        ] {
            assert!(told(&kind, NotifyFlags::NONE), "{}", kind.name());
            assert!(!told(&kind, NotifyFlags::DISABLE), "{}", kind.name());
        }
    }

    #[test]
    fn only_modifications_are_paced() {
        let flags = NotifyFlags::from_bits(0x1B).unwrap();
        let of = |kind| select(&every_kind(), &of_job(kind), Some(&facts(flags)));
        assert_eq!(of(TO_QUEUED), Some(Selected::Paced { interval_ms: 500 }));
        assert_eq!(of(EventKind::JobTransferred), Some(Selected::Always));
    }

    #[test]
    fn events_of_others_of_other_kinds_and_without_the_labels_are_left_out() {
        let event = of_job(EventKind::JobTransferred);
        let facts = facts(NotifyFlags::default());
        let is_told = |webhook: &Webhook, facts| select(webhook, &event, facts).is_some();
        assert!(is_told(&every_kind(), Some(&facts)));
        assert!(!is_told(&every_kind(), None), "its job is not known any more");
        assert!(!is_told(&Webhook { owner: "uid:7".into(), ..every_kind() }, Some(&facts)));
        assert!(!is_told(&Webhook { kinds: vec!["job_error".into()], ..every_kind() }, Some(&facts)));
        let with = |value: &str| Webhook { labels: vec![("team".into(), value.into())], ..every_kind() };
        assert!(is_told(&with("a"), Some(&facts)) && !is_told(&with("b"), Some(&facts)));
        let host =
            Event { job: None, kind: EventKind::NetworkChanged { connected: true, note: String::new() }, ..event };
        assert!(select(&every_kind(), &host, None).is_some() && select(&with("a"), &host, None).is_none());
    }
}
