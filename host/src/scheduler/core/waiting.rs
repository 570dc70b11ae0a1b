//! What is reported of a job: its state with the gates taken into account, and why it does not move.

use super::super::input::WaitingOn;
use super::board::Board;
use super::job::{Gate, Hold, Job, Place};
use crate::clock::UnixMillis;
use crate::job::{ErrorCode, JobState};

/// The name of the built-in default where a policy's name stands.
const BUILT_IN: &str = "built-in";

/// The network as far as what is reported of waiting jobs follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gating {
    /// Whether there is one.
    pub connected: bool,
    /// The number of the last one that there was.
    pub admissions: u32,
    /// How often it came back.
    pub returns: u32,
}

/// How what is reported of a job follows the network. So a change of it is one number, however many jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Not at all.
    Nothing,
    /// Without one, that is what the job waits for.
    Connection,
    /// As before; and the hold is about the network of this number. On another one, the job waits for its turn to be asked about again.
    Network(u32),
    /// As before; and it ends when the network has come back more often than so.
    Return(u32),
}

/// What is reported of a job while the network is as it was when this was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Its state.
    pub state: JobState,
    /// What it waits for.
    pub waiting_on: Option<WaitingOn>,
    /// How the two follow the network.
    pub follows: Follows,
}

impl Reported {
    /// Whether the network makes something else of it.
    const fn is_other_under(&self, gating: Gating) -> bool {
        match self.follows {
            Follows::Nothing => false,
            _ if !gating.connected => true,
            Follows::Connection => false,
            Follows::Network(about) => about != gating.admissions,
            Follows::Return(before) => before != gating.returns,
        }
    }

    /// The state under such a network.
    #[must_use]
    pub const fn state_under(&self, gating: Gating) -> JobState {
        match (self.is_other_under(gating), gating.connected) {
            (false, _) => self.state,
            (true, false) => JobState::TransientError,
            (true, true) => JobState::Queued,
        }
    }

    /// State and reason under such a network.
    #[must_use]
    pub fn under(&self, gating: Gating) -> (JobState, Option<WaitingOn>) {
        let waiting_on = match (self.is_other_under(gating), gating.connected) {
            (false, _) => self.waiting_on.clone(),
            (true, false) => Some(no_network()),
            (true, true) => Some(turn()),
        };
        (self.state_under(gating), waiting_on)
    }
}

impl Board {
    /// What is reported of a job, and how that follows the network.
    pub(super) fn reported(&self, job: &Job) -> Reported {
        let stored = job.record.state;
        let (waiting, follows) = match &job.place {
            Place::Idle | Place::Running | Place::Deciding(_) | Place::Ending(_) => {
                return Reported { state: stored, waiting_on: None, follows: Follows::Nothing };
            }
            Place::Gated(Gate::Space(space)) => (disk_full(space.wanted), Follows::Nothing),
            Place::Gated(Gate::Network) => (no_network(), Follows::Return(job.returns)),
            Place::Gated(Gate::Time(until)) => (condition(job, *until), Follows::Return(job.returns)),
            Place::RetryWait => (retry_delay(job), Follows::Return(job.returns)),
            Place::Line(_) | Place::LineAfterWorker(_) | Place::Asking(_) => match &job.hold {
                Some(hold) => (held(hold), Follows::Network(hold.network)),
                None => (self.in_line(job), Follows::Connection),
            },
        };
        let state = match (&waiting.error, &job.place) {
            (Some(_), _) => JobState::TransientError,
            // Its gate shut while it ran, and is open again: the stored state follows with its turn.
            (None, Place::Line(_) | Place::LineAfterWorker(_) | Place::Asking(_)) => JobState::Queued,
            (None, _) => stored,
        };
        Reported { state, waiting_on: Some(waiting), follows }
    }

    fn in_line(&self, job: &Job) -> WaitingOn {
        match &job.origin_wait {
            Some(origin) => {
                let until = self.origins.not_before_at(origin, self.now);
                let detail = match until {
                    Some(_) => format!("{origin} asked for time before the next attempt"),
                    None => format!("as many connections to {origin} as allowed are in use"),
                };
                waiting("origin", detail, until)
            }
            None => turn(),
        }
    }
}

const fn waiting(code: &'static str, detail: String, until: Option<UnixMillis>) -> WaitingOn {
    WaitingOn { code, detail, until, policy: None, error: None }
}

fn turn() -> WaitingOn {
    waiting("turn", "waits for its turn in the queue".into(), None)
}

fn no_network() -> WaitingOn {
    let error = Some(ErrorCode::NetworkDisconnected);
    WaitingOn { error, ..waiting("network", "there is no network".into(), None) }
}

fn disk_full(wanted: u64) -> WaitingOn {
    let detail = format!("waits until {wanted} bytes are free where its files lie");
    WaitingOn { error: Some(ErrorCode::DiskFull), ..waiting("disk_full", detail, None) }
}

fn held(hold: &Hold) -> WaitingOn {
    let code = match hold.code {
        ErrorCode::BlockedByCostTransferPolicy => "network_cost",
        _ => "policy_hold",
    };
    let detail = match hold.because.note.as_str() {
        "" => hold.because.code.clone(),
        note => note.to_owned(),
    };
    let policy = Some(hold.because.policy.clone()).filter(|policy| policy.0 != BUILT_IN);
    WaitingOn { code, detail, until: hold.until, policy, error: Some(hold.code) }
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
