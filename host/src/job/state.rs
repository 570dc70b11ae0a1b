//! The states of a job and the transitions between them: bits.md sections 1.1 to 1.3 as one table.

use serde::{Deserialize, Serialize};

/// BG_JOB_STATE, with BITS's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// The client found that a finished file is not as it should be.
    ValidationFailed,
    /// The client completed it, and what is finished is published.
    Completed,
    /// The client, a policy or the inactivity timeout cancelled it.
    Cancelled,
}

/// A transition that a state does not have: BG_E_INVALID_STATE where a client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot be {}", .state.name(), .transition.participle())]
pub struct IllegalTransition {
    /// The state that the job is in.
    pub state: JobState,
    /// What was to happen.
    pub transition: Transition,
}

impl Transition {
    /// What is done to the job, for people.
    const fn participle(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Resumed | Self::ResumedWithNothingLeft => "resumed",
            Self::SlotGranted => "given a slot",
            Self::Connected => "connected",
            Self::SlotTaken => "relieved of its slot",
            Self::FailedTransiently | Self::FailedFatally => "failed",
            Self::GateShut => "held",
            Self::Requeued => "queued",
            Self::Finished => "finished",
            Self::PublicationFailed => "found unpublished",
            Self::ValidationFailed => "validated",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
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
        use JobState::{
            Acknowledged, Cancelled, Connecting, Error, Queued, Suspended, Transferred, Transferring, TransientError,
        };
        use Transition as T;
        let next = match (self, transition) {
            (Acknowledged | Cancelled, _) => None,
            (_, T::Suspended) => Some(Suspended),
            (_, T::Cancelled) => Some(Cancelled),
            (_, T::Completed) => Some(Acknowledged),
            (Connecting | Transferring | Queued, T::Resumed) => Some(self),
            (Suspended | TransientError | Error | Transferred, T::Resumed) => Some(Queued),
            (Suspended | TransientError | Error | Transferred, T::ResumedWithNothingLeft) => Some(Transferred),
            (Queued, T::SlotGranted) => Some(Connecting),
            (Connecting | Transferring, T::Connected) => Some(Transferring),
            (Connecting | Transferring, T::SlotTaken) => Some(Queued),
            (Connecting | Transferring, T::FailedTransiently | T::GateShut) => Some(TransientError),
            (Connecting | Transferring | TransientError | Queued, T::FailedFatally) => Some(Error),
            (Connecting | Transferring | TransientError, T::Requeued) => Some(Queued),
            // A worker may be told to stop while it ends its last file: the job no longer runs by then, and is done all the same.
            (Connecting | Transferring | TransientError | Queued, T::Finished) => Some(Transferred),
            (Transferred | Suspended | Error, T::PublicationFailed) => Some(self),
            (_, T::ValidationFailed) => Some(Error),
            _ => None,
        };
        match next {
            Some(next) => Ok(next),
            None => Err(IllegalTransition { state: self, transition }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, written from bits.md 1.2 and 1.3: a row for each transition, a column for each state by its number.
    /// Q queued, C connecting, T transferring, S suspended, E error, R transient error, D transferred, A acknowledged, X cancelled.
    #[rustfmt::skip]
    const TABLE: [(Transition, &str); 15] = [
        //                                     Q C T S E R D A X
        (Transition::Suspended,              "S S S S S S S - -"),
        (Transition::Resumed,                "Q C T Q Q Q Q - -"),
        (Transition::ResumedWithNothingLeft, "- - - D D D D - -"),
        (Transition::SlotGranted,            "C - - - - - - - -"),
        (Transition::Connected,              "- T T - - - - - -"),
        (Transition::SlotTaken,              "- Q Q - - - - - -"),
        (Transition::FailedTransiently,      "- R R - - - - - -"),
        (Transition::FailedFatally,          "E E E - - E - - -"),
        (Transition::GateShut,               "- R R - - - - - -"),
        (Transition::Requeued,               "- Q Q - - Q - - -"),
        (Transition::Finished,               "D D D - - D - - -"),
        (Transition::PublicationFailed,      "- - - S E - D - -"),
        (Transition::ValidationFailed,       "E E E E E E E - -"),
        (Transition::Completed,              "A A A A A A A - -"),
        (Transition::Cancelled,              "X X X X X X X - -"),
    ];

    #[test]
    fn every_cell_of_the_table_is_as_it_is_written() {
        let letters = "QCTSERDAX";
        for (transition, row) in TABLE {
            for (state, cell) in JobState::ALL.into_iter().zip(row.split(' ')) {
                let expected = letters.find(cell).map(|number| JobState::ALL[number]);
                let expected = expected.ok_or(IllegalTransition { state, transition });
                assert_eq!(state.after(transition), expected, "{state:?} {transition:?}");
            }
            assert_eq!(row.split(' ').count(), JobState::ALL.len());
        }
    }

    #[test]
    fn numbers_and_names_are_those_of_bits() {
        for (number, name) in [
            (0, "queued"),
            (1, "connecting"),
            (2, "transferring"),
            (3, "suspended"),
            (4, "error"),
            (5, "transient_error"),
            (6, "transferred"),
            (7, "acknowledged"),
            (8, "cancelled"),
        ] {
            let state = JobState::from_number(number).unwrap();
            assert_eq!((state.number(), state.name()), (number, name));
            assert_eq!(serde_json::to_value(state).unwrap(), name);
        }
        assert_eq!(JobState::from_number(9), None);
    }

    #[test]
    fn final_and_running_states_are_two_each() {
        let named =
            |test: fn(JobState) -> bool| JobState::ALL.into_iter().filter(|state| test(*state)).collect::<Vec<_>>();
        assert_eq!(named(JobState::is_final), [JobState::Acknowledged, JobState::Cancelled]);
        assert_eq!(named(JobState::is_running), [JobState::Connecting, JobState::Transferring]);
    }
}
