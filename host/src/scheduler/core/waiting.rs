//! What is reported of a job: its state with the gates taken into account, and why it does not move.

use super::super::input::WaitingOn;
use super::board::Board;
use super::job::{Gate, Hold, Job, Place};
use crate::clock::UnixMillis;
use crate::job::{ErrorCode, JobState};

/// The name of the built-in default where a policy's name stands.
const BUILT_IN: &str = "built-in";

impl Board {
    /// The state that clients see, and what the job waits for.
    pub(super) fn reported(&self, job: &Job) -> (JobState, Option<WaitingOn>) {
        let stored = job.record.state;
        let waiting = match &job.place {
            Place::Idle | Place::Running | Place::Deciding(_) | Place::Ending(_) => return (stored, None),
            Place::Gated(Gate::Space(space)) => disk_full(space.wanted),
            _ if !self.gates.connected() => no_network(),
            Place::Gated(Gate::Network) => no_network(),
            Place::Gated(Gate::Time(until)) => condition(job, *until),
            Place::RetryWait => retry_delay(job),
            Place::Line(_) | Place::LineAfterWorker(_) | Place::Asking(_) => self.in_line(job),
        };
        let state = match (&waiting.error, &job.place) {
            (Some(_), _) => JobState::TransientError,
            // Its gate shut while it ran, and is open again: the stored state follows with its turn.
            (None, Place::Line(_) | Place::LineAfterWorker(_) | Place::Asking(_)) => JobState::Queued,
            (None, _) => stored,
        };
        (state, Some(waiting))
    }

    fn in_line(&self, job: &Job) -> WaitingOn {
        // A hold is about one network. On the next one the job waits for its turn to be asked about again.
        if let Some(hold) = job.hold.as_ref().filter(|hold| hold.network == self.gates.generation()) {
            return held(hold, self.hold_code(job));
        }
        match &job.origin_wait {
            Some(origin) => {
                let until = self.origins.not_before_at(origin, self.now);
                let detail = match until {
                    Some(_) => format!("{origin} asked for time before the next attempt"),
                    None => format!("as many connections to {origin} as allowed are in use"),
                };
                waiting("origin", detail, until)
            }
            None => waiting("turn", "waits for its turn in the queue".into(), None),
        }
    }
}

const fn waiting(code: &'static str, detail: String, until: Option<UnixMillis>) -> WaitingOn {
    WaitingOn { code, detail, until, policy: None, error: None }
}

fn no_network() -> WaitingOn {
    let error = Some(ErrorCode::NetworkDisconnected);
    WaitingOn { error, ..waiting("network", "there is no network".into(), None) }
}

fn disk_full(wanted: u64) -> WaitingOn {
    let detail = format!("waits until {wanted} bytes are free where its files lie");
    WaitingOn { error: Some(ErrorCode::DiskFull), ..waiting("disk_full", detail, None) }
}

fn held(hold: &Hold, error: ErrorCode) -> WaitingOn {
    let code = match error {
        ErrorCode::BlockedByCostTransferPolicy => "network_cost",
        _ => "policy_hold",
    };
    let detail = match hold.because.note.as_str() {
        "" => hold.because.code.clone(),
        note => note.to_owned(),
    };
    let policy = Some(hold.because.policy.clone()).filter(|policy| policy.0 != BUILT_IN);
    WaitingOn { code, detail, until: hold.until, policy, error: Some(error) }
}

/// The job ran into a condition of which nothing tells when it ends.
fn condition(job: &Job, until: UnixMillis) -> WaitingOn {
    let error = job.record.error.as_ref().map(|error| error.code);
    let code = match error {
        Some(ErrorCode::NetworkDisconnected) => "network",
        Some(ErrorCode::BlockedByCostTransferPolicy) => "network_cost",
        Some(ErrorCode::BlockedByPolicy) => "policy_hold",
        _ => "destination_locked",
    };
    let detail = job.record.error.as_ref().map(|error| error.description.clone()).unwrap_or_default();
    WaitingOn { error, ..waiting(code, detail, Some(until)) }
}

fn retry_delay(job: &Job) -> WaitingOn {
    let until = job.record.retry.map(|retry| retry.due_at);
    let detail = match &job.record.error {
        Some(error) => format!("tries again after: {}", error.description),
        None => "tries again when its delay is over".to_owned(),
    };
    waiting("retry_delay", detail, until)
}
