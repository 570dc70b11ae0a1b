//! The journal: what happened to jobs, numbered, durable, written in the transaction of what it tells.

use serde::{Deserialize, Serialize};

use super::{DecisionId, FileIndex, Integrity, JobError, JobId, JobState, PolicyName};
use crate::clock::UnixMillis;

/// One entry of the journal. Its number is given by the store, when it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: UnixMillis,
    /// The job that it happened to; none for events of the host.
    pub job: Option<JobId>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen. In order per job; `file_transferred` of all its files precedes `job_transferred`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// The job was created.
    JobCreated,
    /// An administrator took the job: what its former owner had given it to work with (headers, hooks) is gone.
    OwnershipTaken {
        /// The former owner.
        from: String,
        /// The new one.
        to: String,
    },
    /// Files were added, or properties changed.
    JobModified {
        /// What changed, in the API's spelling.
        fields: Vec<String>,
    },
    /// The job's stored state changed.
    StateChanged {
        /// From.
        from: JobState,
        /// To.
        to: JobState,
    },
    /// A file is whole, durable and verified.
    FileTransferred {
        /// Which.
        file: FileIndex,
        /// Its size.
        bytes: u64,
        /// What stands behind its bytes.
        integrity: Integrity,
    },
    /// A file began again from 0.
    FileRestarted {
        /// Which.
        file: FileIndex,
        /// Why, for machines.
        reason: RestartReason,
        /// Durable bytes that were given up.
        bytes_discarded: u64,
    },
    /// An attempt failed.
    AttemptFailed {
        /// Why.
        error: JobError,
    },
    /// A policy repaired the job; it goes on.
    Recovered {
        /// Who.
        policy: PolicyName,
        /// What it changed, in words, redacted.
        changes: Vec<String>,
    },
    /// Nothing has moved, and no client has done anything, for as long as the inactivity timeout allows: the job is being cancelled.
    JobInactive {
        /// Seconds.
        inactive_seconds: u64,
    },
    /// The last file is done.
    JobTransferred,
    /// The job is in ERROR.
    JobError {
        /// Why.
        error: JobError,
    },
    /// The job was completed.
    Acknowledged {
        /// Files under their local names.
        files_published: u32,
        /// Some files of the job were not finished.
        partial: bool,
    },
    /// Completing failed; the job stays as it was, and complete can be called again.
    PublicationFailed {
        /// Why, and for which file.
        error: JobError,
    },
    /// The job was cancelled.
    Cancelled {
        /// Part files that could not be deleted.
        files_left: u32,
    },
    /// A policy, or the built-in default in its place, decided.
    DecisionApplied {
        /// The question.
        decision: DecisionId,
        /// Which hook.
        hook: String,
        /// Who decided; `built-in` for the default.
        policy: PolicyName,
        /// The verdict in words, for example `retry in 5 s`.
        verdict: String,
        /// For machines.
        code: String,
        /// For people.
        note: String,
    },
    /// A policy failed to answer properly; the fallback decided.
    PolicyFault {
        /// The question; none for a fault at loading.
        decision: Option<DecisionId>,
        /// Who.
        policy: PolicyName,
        /// What kind, for machines: `trap`, `fuel_exhausted`, `timed_out`, `memory_limit`, `invalid_answer`, ...
        fault: String,
        /// For people.
        note: String,
    },
    /// The network came, went, or changed its cost.
    NetworkChanged {
        /// Whether there is one.
        connected: bool,
        /// What, in words.
        note: String,
    },
}

impl EventKind {
    /// The names of all kinds, as they stand in JSON.
    pub const NAMES: [&str; 17] = [
        "job_created",
        "ownership_taken",
        "job_modified",
        "state_changed",
        "file_transferred",
        "file_restarted",
        "attempt_failed",
        "recovered",
        "job_inactive",
        "job_transferred",
        "job_error",
        "acknowledged",
        "publication_failed",
        "cancelled",
        "decision_applied",
        "policy_fault",
        "network_changed",
    ];

    /// The name of this kind, as it stands in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::JobCreated => "job_created",
            Self::OwnershipTaken { .. } => "ownership_taken",
            Self::JobModified { .. } => "job_modified",
            Self::StateChanged { .. } => "state_changed",
            Self::FileTransferred { .. } => "file_transferred",
            Self::FileRestarted { .. } => "file_restarted",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Recovered { .. } => "recovered",
            Self::JobInactive { .. } => "job_inactive",
            Self::JobTransferred => "job_transferred",
            Self::JobError { .. } => "job_error",
            Self::Acknowledged { .. } => "acknowledged",
            Self::PublicationFailed { .. } => "publication_failed",
            Self::Cancelled { .. } => "cancelled",
            Self::DecisionApplied { .. } => "decision_applied",
            Self::PolicyFault { .. } => "policy_fault",
            Self::NetworkChanged { .. } => "network_changed",
        }
    }
}

/// Why a file began again from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartReason {
    /// The origin has another version now.
    RemoteFileChanged,
    /// The origin gave nothing by which to know the version again.
    NoValidator,
    /// The origin answered a range request with the whole, or out of place.
    RangeIgnored,
    /// The part file was shorter than it should be, lost or exchanged.
    PartFileDamaged,
    /// The bytes were not those of the digest.
    DigestMismatch,
    /// The remote name was changed, and the rule for keeping bytes does not hold.
    Repointed,
    /// A client or a policy asked for it.
    Requested,
    /// A client found that the finished file is not as it should be.
    ValidationFailed,
}
