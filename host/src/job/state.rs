//! The states of a job and the transitions between them: bits.md sections 1.1 to 1.3 as one table.

use serde::{Deserialize, Serialize};

/// BG_JOB_STATE, with BITS's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Has a slot; no answer of an origin yet.
    Connecting,
    /// Moves bytes.
    Transferring,
    /// Waits for the client: the first state of a job.
    Suspended,
    /// Stopped; waits for resume, complete or cancel.
    Error,
    /// Failed, and will be tried again by itself.
    TransientError,
    /// Everything is moved; waits for complete or cancel.
    Transferred,
    /// Completed: final.
    Acknowledged,
    /// Cancelled: final.
    Cancelled,
}

/// What can happen to a job, in the past tense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The client suspended it.
    Suspended,
    /// The client resumed it (it has files, and something is left to do).
    Resumed,
    /// The client resumed it, and nothing is left to do.
    ResumedWithNothingLeft,
    /// The scheduler gave it a slot.
    SlotGranted,
    /// An origin answered.
    Connected,
    /// Its slot went to another job: the slice ended, or a higher level pre-empted it.
    SlotTaken,
    /// An attempt failed and will be repeated.
    FailedTransiently,
    /// An attempt failed for good, or a transient error lasted too long.
    FailedFatally,
    /// A gate shut while it ran (network, cost, disk).
    GateShut,
    /// The retry delay ended, its gate opened, or a policy repaired it.
    Requeued,
    /// The last file is done.
    Finished,
    /// A finished file was found lost or damaged when it was to be published; the job runs again after resume.
    PublicationFailed,
    /// The client completed it, and what is finished is published.
    Completed,
    /// The client, a policy or the inactivity timeout cancelled it.
    Cancelled,
}

/// A transition that a state does not have: BG_E_INVALID_STATE where a client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job in state {state:?} cannot become {transition:?}")]
pub struct IllegalTransition {
    /// The state that the job is in.
    pub state: JobState,
    /// What was to happen.
    pub transition: Transition,
}

impl JobState {
    /// All states, by BITS's number.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Connecting,
        Self::Transferring,
        Self::Suspended,
        Self::Error,
        Self::TransientError,
        Self::Transferred,
        Self::Acknowledged,
        Self::Cancelled,
    ];

    /// BITS's number of the state.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state of a number that was stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name in the API, for example `transient_error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Connecting => "connecting",
            Self::Transferring => "transferring",
            Self::Suspended => "suspended",
            Self::Error => "error",
            Self::TransientError => "transient_error",
            Self::Transferred => "transferred",
            Self::Acknowledged => "acknowledged",
            Self::Cancelled => "cancelled",
        }
    }

    /// Final states never change.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Cancelled)
    }

    /// Connecting or transferring: the job holds a slot and a worker.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Connecting | Self::Transferring)
    }

    /// The state after `transition`, or why there is none.
    ///
    /// # Errors
    /// [`IllegalTransition`] for every cell that bits.md 1.2 and 1.3 do not have.
    pub const fn after(self, transition: Transition) -> Result<Self, IllegalTransition> {
        use JobState as S;
        use Transition as T;
        let next = match (self, transition) {
            (S::Acknowledged | S::Cancelled, _) => None,
            (_, T::Suspended) => Some(S::Suspended),
            (_, T::Cancelled) => Some(S::Cancelled),
            (_, T::Completed) => Some(S::Acknowledged),
            (S::Connecting | S::Transferring | S::Queued, T::Resumed) => Some(self),
            (S::Suspended | S::TransientError | S::Error | S::Transferred, T::Resumed) => Some(S::Queued),
            (S::Suspended | S::TransientError | S::Error | S::Transferred, T::ResumedWithNothingLeft) => {
                Some(S::Transferred)
            }
            (S::Queued, T::SlotGranted) => Some(S::Connecting),
            (S::Connecting | S::Transferring, T::Connected) => Some(S::Transferring),
            (S::Connecting | S::Transferring, T::SlotTaken) => Some(S::Queued),
            (S::Connecting | S::Transferring, T::FailedTransiently | T::GateShut) => Some(S::TransientError),
            (S::Connecting | S::Transferring | S::TransientError | S::Queued, T::FailedFatally) => Some(S::Error),
            (S::Connecting | S::Transferring | S::TransientError, T::Requeued) => Some(S::Queued),
            // A worker may be told to stop while it ends its last file: the job is no longer running by then, and is done all the same.
            (S::Connecting | S::Transferring | S::TransientError | S::Queued, T::Finished) => Some(S::Transferred),
            (S::Transferred | S::Suspended | S::Error, T::PublicationFailed) => Some(self),
            _ => None,
        };
        match next {
            Some(next) => Ok(next),
            None => Err(IllegalTransition { state: self, transition }),
        }
    }
}
