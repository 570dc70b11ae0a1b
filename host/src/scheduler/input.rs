//! What the core is told. Plain data, so that inputs can be recorded and replayed.

use std::sync::Arc;

use super::limits::LimitReached;
use super::step::Question;
use crate::clock::UnixMillis;
use crate::job::{
    AttemptNumber, ChangeError, ErrorCode, Failure, FileIndex, FileResponse, FileSpec, FileSummary, FileVerdict,
    FileVersion, IdempotencyKey, IllegalTransition, Integrity, JobChanges, JobError, JobId, JobRecord, JobSpec, Origin,
    PartIdentity, PolicyName, PropertyError, RequestHeaders, SafeUrl,
};
use crate::network::Network;
use crate::policy::contract;

/// A client's call, by which its reply finds back. Drawn by the driver; never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One input of the core.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Start-up: a job of the store that is not final. All come before any other input, and [`Input::LoadingDone`] closes them.
    Loaded(Box<JobRecord>),
    /// Start-up is over: intents are finished, ready jobs may start.
    LoadingDone,
    /// A client wants something.
    Command {
        /// Whom to reply to.
        request: RequestId,
        /// What it wants.
        command: Command,
    },
    /// A worker, or another task that acts for a job, tells something.
    Report {
        /// Which job.
        job: JobId,
        /// The attempt that it belongs to; reports of an earlier one are ignored.
        attempt: AttemptNumber,
        /// What.
        report: Report,
    },
    /// The policies answered an [`super::Ask`].
    Answer {
        /// Which job.
        job: JobId,
        /// The generation of the ask; an answer to an older one is ignored.
        generation: u32,
        /// What they answered.
        answer: Answer,
    },
    /// The store tells what became of a [`super::Replacement::AllOrNone`], in the batch after the one that held it.
    PrefixReplaced {
        /// Who asked for it.
        request: RequestId,
        /// Which job.
        job: JobId,
        /// What became of it.
        outcome: PrefixOutcome,
    },
    /// The store tells of a file, after [`super::Effect::LookUpFile`]. Nothing else is handled between the commit of the batch that wanted it
    /// and the batch that holds this.
    FileLookedUp {
        /// Who asked for it.
        request: RequestId,
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// What a client says of it.
        verdict: FileVerdict,
        /// The file as it is, if there is one; or why the store could not be read.
        found: Result<Option<FileSummary>, String>,
    },
    /// The network came, went or changed its cost.
    NetworkChanged(Network),
    /// Free space below the directory that a job waits for, after [`super::Effect::ProbeSpace`].
    Space {
        /// Which job.
        job: JobId,
        /// Bytes that this user may still write there.
        bytes_available: u64,
    },
    /// A timer of the core is due, or may be.
    Tick,
    /// The host is stopping: every worker is stopped, and no job is given a slot any more. Jobs keep their places for the next start.
    Drain,
}

/// What a client can want. Checked at the edge: everything in here is within its limits.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Create a job with its first files.
    Create {
        /// Its id, drawn by the caller.
        job: JobId,
        /// What it is.
        spec: Box<JobSpec>,
        /// Its first files; may be empty, unless it is to be resumed.
        files: Vec<FileSpec>,
        /// Whether it is resumed in the same transaction.
        begin: Begin,
        /// The key by which a repeated request finds it. A key that the owner has used already stays with its first job.
        once: Option<IdempotencyKey>,
    },
    /// Add files. Legal in every state that is not final.
    AddFiles {
        /// Which job.
        job: JobId,
        /// At least one.
        files: Vec<FileSpec>,
    },
    /// Suspend.
    Suspend(JobId),
    /// Resume.
    Resume(JobId),
    /// Publish what is finished, and end the job.
    Complete(JobId),
    /// Delete everything, and end the job.
    Cancel(JobId),
    /// Give a file another remote name: durable at once, in force from the next attempt.
    SetRemoteName {
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// Its new remote name.
        remote_name: SafeUrl,
    },
    /// Say that a finished file is as it should be, or is not: then the job goes into ERROR, and fetches the file again when it is resumed.
    Validate {
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// What the client found.
        verdict: FileVerdict,
    },
    /// Give every remote name that begins with one text another begin, all or none: durable at once, in force from the next attempt.
    ReplaceRemotePrefix {
        /// Which job.
        job: JobId,
        /// What they begin with, compared byte by byte. Secret, as remote names are.
        from: String,
        /// What they shall begin with. Secret as well.
        to: String,
    },
    /// Let the job belong to somebody else, without what its former owner had given it to work with. Legal in every state that is not
    /// final. Whether the new owner may write its files, the caller has looked up; the transfer engine sees to it whenever it opens one.
    TakeOwnership {
        /// Which job.
        job: JobId,
        /// Its new owner.
        owner: String,
    },
    /// Other request headers for the job, in place of all that it has. In force from the next attempt.
    SetHeaders {
        /// Which job.
        job: JobId,
        /// All of them, within their limits. Secret.
        headers: RequestHeaders,
    },
    /// Change properties. Legal in every state that is not final; takes effect at once, but for what only the next attempt looks at.
    Modify {
        /// Which job.
        job: JobId,
        /// What changes.
        changes: Box<JobChanges>,
        /// The record as the caller saw it: if the job is another by now, nothing is changed.
        expected: Option<Arc<JobRecord>>,
    },
}

/// How a job begins its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// It waits for the client, as BITS's jobs do.
    #[default]
    Suspended,
    /// It is resumed at once.
    Resumed,
}

/// What became of a replacement of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixOutcome {
    /// So many files have another remote name now; may be 0.
    Replaced(u32),
    /// None has: with the new prefix, the name of this file would be no remote name.
    Refused(FileIndex),
}

/// What a client is told, once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done; the job as it is now.
    Job(Box<JobRecord>),
    /// The job is acknowledged.
    Completed {
        /// The job as it is now.
        job: Box<JobRecord>,
        /// Not all of its files were finished: BG_S_PARTIAL_COMPLETE.
        partial: bool,
    },
    /// The job is cancelled.
    Cancelled {
        /// The job as it is now.
        job: Box<JobRecord>,
        /// Part files that could not be deleted: BG_S_UNABLE_TO_DELETE_FILES.
        files_left: u32,
    },
    /// The remote names are replaced.
    PrefixReplaced {
        /// The job as it is now.
        job: Box<JobRecord>,
        /// Files that have another remote name now; may be 0.
        files_changed: u32,
    },
}

/// Why a client's call was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// BG_E_NOT_FOUND.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// BG_E_INVALID_STATE.
    #[error(transparent)]
    InvalidState(#[from] IllegalTransition),
    /// BG_E_EMPTY.
    #[error("job {0} has no files; add one before it is resumed")]
    Empty(JobId),
    /// BG_E_FILE_NOT_FOUND.
    #[error("job {job} has no file {file}")]
    FileNotFound {
        /// Which job.
        job: JobId,
        /// Which file it does not have.
        file: FileIndex,
    },
    /// E_PENDING.
    #[error("file {file} of job {job} is not transferred yet: it can be validated only then")]
    Pending {
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
    },
    /// A property is out of its limits, or cannot be set any more.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// BG_E_UNSUPPORTED_JOB_CONFIGURATION.
    #[error("job {job} cannot be so: {what}")]
    Unsupported {
        /// Which job.
        job: JobId,
        /// What does not go together.
        what: &'static str,
    },
    /// A limit on jobs, files or ranges.
    #[error(transparent)]
    Limit(#[from] LimitReached),
    /// The job is not as the caller saw it.
    #[error("job {0} has changed meanwhile; read it again")]
    Changed(JobId),
    /// A remote name would be none with the new prefix.
    #[error(
        "with the new prefix, the remote name of file {file} of job {job} would be no usable URL; no file was changed"
    )]
    RemotePrefix {
        /// Which job.
        job: JobId,
        /// The first such file.
        file: FileIndex,
    },
    /// The files could not all be given their local names. The job is as it was; those published stay so.
    #[error("failed to complete the job: {}", .0.description)]
    Publication(JobError),
    /// The store could not be written; nothing of the call is durable.
    #[error("failed to store the request: {0}")]
    Store(String),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

/// How far one file of a running job is. Every byte below `durable` was fsynced before this was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// Which file.
    pub file: FileIndex,
    /// Where the bytes were found to be the file's: the file may have another remote name by now.
    pub remote_name: Box<SafeUrl>,
    /// Durable bytes.
    pub durable: u64,
    /// What the bytes are a version of.
    pub version: FileVersion,
    /// The bytes that the local file will have, if that is known.
    pub bytes_total: Option<u64>,
    /// The part file.
    pub part: Option<PartIdentity>,
    /// The hasher's state at `durable`, if a digest is wanted.
    pub hash_state: Option<Vec<u8>>,
}

/// Where redirects have led a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// Which.
    pub file: FileIndex,
    /// The name that was asked. A file that a client has pointed elsewhere meanwhile keeps the client's name.
    pub from: SafeUrl,
    /// Where it led.
    pub to: SafeUrl,
    /// On the way the origin was another one: what was given for the name that was asked is not for this one.
    pub headers_withheld: bool,
}

/// What a worker tells, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The origin that the attempt is about to ask, if that is not the one it was assigned; sent again when a later file lies elsewhere. The
    /// worker waits for [`super::Effect::GrantOrigin`], or until it is stopped: there may be no connection left, or a time to be waited for.
    OriginChosen(Origin),
    /// An origin gave the first acceptable answer of this attempt.
    Connected,
    /// Bytes became durable. Each report carries one file.
    Checkpoint {
        /// How far.
        progress: FileProgress,
        /// Bytes by which the job's high-water mark rises: those beyond the file version's own mark.
        new_bytes: u64,
        /// Durable bytes of the file by its last report, or by its record if this is the first one of the attempt. May be more than
        /// now: a part file that was found shorter is reported so.
        durable_before: u64,
        /// The size counted for the file so far, if any.
        bytes_total_before: Option<u64>,
    },
    /// A file begins again from 0. Sent before any byte of the new version is durable.
    FileRestarted {
        /// Which.
        file: FileIndex,
        /// Why.
        reason: crate::job::RestartReason,
        /// Durable bytes that are given up.
        bytes_discarded: u64,
        /// The size counted for the file so far, if any.
        bytes_total_before: Option<u64>,
    },
    /// An origin answered with this head; of redirects that were followed, the last one. Not told of a request without an answer.
    Responded {
        /// For which file.
        file: FileIndex,
        /// What is kept of it.
        response: Box<FileResponse>,
    },
    /// Redirects have led a file elsewhere, and its remote name is to follow: told before any progress from there.
    Redirected(Box<Redirection>),
    /// A file is whole, durable and verified.
    FileFinished {
        /// Its last state; `durable` is its size.
        progress: FileProgress,
        /// As for a checkpoint.
        new_bytes: u64,
        /// As for a checkpoint.
        durable_before: u64,
        /// What stands behind its bytes.
        integrity: Integrity,
        /// Whether the file's size had been counted by an earlier report of this version.
        sized_before: bool,
    },
    /// The worker stopped as it was told to; its checkpoints came before.
    Stopped,
    /// The first failure of the attempt; the worker has stopped, its checkpoints came before.
    Failed(Box<Failure>),
    /// No unfinished file is left.
    Finished,
    /// The end of [`super::Effect::Publish`].
    Published {
        /// Files under their local names now.
        files_published: u32,
        /// The first failure; the files before it are published.
        error: Option<JobError>,
        /// Finished files whose part file was found lost or exchanged: they are to be fetched again.
        lost: Vec<FileSummary>,
    },
    /// The end of [`super::Effect::DeleteParts`].
    PartsDeleted {
        /// Part files that could not be deleted.
        files_left: u32,
    },
}

/// What the policies answered, checked and clamped (`policy::clamp`). The core applies it as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Question::Retry`].
    Retry(RetryAnswer),
    /// To [`Question::Admit`].
    Admit(AdmitAnswer),
    /// To [`Question::Recover`].
    Recover(RecoverAnswer),
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryAnswer {
    /// Milliseconds until the next attempt; none: no further attempt, recovery is asked.
    pub retry_after_ms: Option<u64>,
    /// Who decided, and why.
    pub because: Because,
}

/// Whether a job may run on the present network.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmitAnswer {
    /// What it may.
    pub admission: Admission,
    /// Who decided, and why.
    pub because: Because,
}

/// What a job may do on the present network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Run.
    Allow,
    /// Run, at no more than so many bytes per second.
    AllowAtMost(u64),
    /// Wait: so many milliseconds, or until something changes. The core asks again after 15 minutes at the latest.
    Hold(Option<u64>),
}

/// What to do with a job that would go into ERROR.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoverAnswer {
    /// What.
    pub recovery: Recovery,
    /// Who decided, and why.
    pub because: Because,
}

/// What a recovery policy can want.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// ERROR becomes visible.
    Leave,
    /// Apply the changes, all or none, and go on after so many milliseconds.
    Resume {
        /// Checked by the host: files exist, URLs and values are ones that a client could give.
        changes: Vec<contract::Change>,
        /// Milliseconds.
        after_ms: u64,
        /// The files that a [`contract::Change::RestartFile`] names, as the store has them: the core holds no files.
        files: Vec<FileSummary>,
    },
    /// Publish what is finished.
    Complete,
    /// Cancel the job.
    Cancel,
}

/// Who decided, and why: for the journal and for `waiting_on`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// `built-in` for the default.
    pub policy: PolicyName,
    /// For machines, at most 64 bytes.
    pub code: String,
    /// For people, at most 500 bytes, redacted.
    pub note: String,
}

/// What a job that does not move is waiting for (design.md section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingOn {
    /// For machines: `turn`, `retry_delay`, `network`, `network_cost`, `policy_hold`, `disk_full`, `origin`, `store`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// When it ends at the latest, if that is known.
    pub until: Option<UnixMillis>,
    /// The policy that holds it, if one does.
    pub policy: Option<PolicyName>,
    /// The code that the job's reported error has meanwhile, if the gate makes it TRANSIENT_ERROR.
    pub error: Option<ErrorCode>,
}

impl CommandError {
    /// What an origin makes anew for each request has no part that could be asked for (bits.md 2.6).
    pub(crate) const fn dynamic_ranges(job: JobId) -> Self {
        Self::Unsupported { job, what: "files of dynamic content have no ranges" }
    }
}

impl From<PropertyError> for CommandError {
    fn from(error: PropertyError) -> Self {
        Self::Change(error.into())
    }
}

impl Reply {
    /// The job as it is now.
    #[must_use]
    pub fn into_job(self) -> Box<JobRecord> {
        match self {
            Self::Job(job)
            | Self::Completed { job, .. }
            | Self::Cancelled { job, .. }
            | Self::PrefixReplaced { job, .. } => job,
        }
    }
}

impl Answer {
    /// Whether this is an answer to such a question.
    #[must_use]
    pub const fn fits(&self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Self::Retry(_), Question::Retry(_))
                | (Self::Admit(_), Question::Admit(_))
                | (Self::Recover(_), Question::Recover(_))
        )
    }
}
