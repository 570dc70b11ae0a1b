//! What the core answers: questions for the policies, writes for the store, and what to do once they are committed.

use super::input::{CommandError, FileProgress, Redirection, Reply, RequestId};
use crate::access::{TokenName, TokenRecord};
use crate::job::{
    AttemptNumber, DecisionId, Event, FileIndex, FileResponse, FileSpec, FileVerdict, IdempotencyKey, Integrity, JobId,
    JobRecord, Origin, PolicyName, Redirects, RequestHeaders, SafeUrl,
};
use crate::network::Network;
use crate::policy::contract;

/// The answer to one input. The driver asks, feeds the answers, commits, and only then lets the effects happen.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Step {
    /// Questions to be answered in this batch, before any other input of their job.
    pub asks: Vec<Ask>,
    /// What to store, in order, in one transaction with everything else of the batch.
    pub writes: Vec<Write>,
    /// What to do once that is durable, in order.
    pub effects: Vec<Effect>,
}

/// A question to the policies of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Which job.
    pub job: JobId,
    /// Repeated in the answer.
    pub generation: u32,
    /// For the decision log.
    pub decision: DecisionId,
    /// The job's own policies, after the operator's.
    pub policies: Vec<PolicyName>,
    /// What is asked.
    pub question: Question,
}

/// A hook with its argument. `memo`, `built_in` and `local_time` are filled in by the policy chain, which knows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// After a failed attempt.
    Retry(Box<contract::RetryContext>),
    /// Before a job takes a slot, at each slice, and when the network changed.
    Admit(Box<contract::AdmitContext>),
    /// Before ERROR becomes visible.
    Recover(Box<contract::RecoveryContext>),
}

/// A change of the store. Applied in order; a row that is written twice in a batch ends as the last write says.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A new job.
    InsertJob {
        /// Its header.
        job: Box<JobRecord>,
        /// Secret request headers.
        headers: RequestHeaders,
    },
    /// New files, numbered from `first`.
    InsertFiles {
        /// Which job.
        job: JobId,
        /// Number of the first one.
        first: FileIndex,
        /// The files.
        files: Vec<FileSpec>,
    },
    /// The job's header as it is now.
    UpdateJob(Box<JobRecord>),
    /// One file of a job.
    UpdateFile {
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// What changes.
        change: FileChange,
    },
    /// A set statement: every remote name of the job that begins with `from` begins with `to` instead.
    ReplaceRemotePrefix {
        /// Which job.
        job: JobId,
        /// The old prefix, case-sensitive.
        from: String,
        /// The new one.
        to: String,
        /// What becomes of names that are unusable with the new one.
        replacement: Replacement,
    },
    /// The key by which a repeated request finds the job. One that the owner has used already stays with its first job.
    RememberKey {
        /// Which job.
        job: JobId,
        /// Whose key.
        owner: String,
        /// The key.
        key: IdempotencyKey,
    },
    /// What the job's former owner had entrusted to it is gone: its request headers, the userinfo of its remote names, the keys by which
    /// repeated requests find it, and whatever notifies that owner.
    ForgetOwner(JobId),
    /// A token of the API. What stands for it is not in there.
    InsertToken(TokenRecord),
    /// A token is taken back.
    RemoveToken(TokenName),
    /// What an operator says of the network, until it is taken back.
    NetworkOverride(Option<Network>),
    /// The last head that an origin answered with for a file.
    Response {
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// In place of the one before.
        response: Box<FileResponse>,
    },
    /// A file that still has the remote name that was asked gets that to which it led, and the event is entered into the journal. This is no
    /// change of the origin by anybody: bytes are kept, and so are the job's headers, for the other files.
    Redirected {
        /// Which job.
        job: JobId,
        /// Which file, and from where to where.
        redirection: Box<Redirection>,
        /// That the job was modified.
        event: Event,
    },
    /// Other request headers for the job, in place of those that it has.
    ReplaceHeaders {
        /// Which job.
        job: JobId,
        /// All of them. Secret.
        headers: RequestHeaders,
    },
    /// A set statement: every finished file of the job is published.
    MarkPublished(JobId),
    /// An entry of the journal. The store numbers it.
    Journal(Event),
}

/// What becomes of remote names that would be none with a new prefix.
#[derive(Debug, Clone, PartialEq)]
pub enum Replacement {
    /// They stay; all others change.
    Usable,
    /// With one of them, no name changes. If any name does, the event is entered into the journal. What became of it is fed back as
    /// [`super::Input::PrefixReplaced`].
    AllOrNone {
        /// Whom to reply to.
        request: RequestId,
        /// That the job was modified.
        event: Event,
    },
}

/// A change of one file's row.
#[derive(Debug, Clone, PartialEq)]
pub enum FileChange {
    /// Bytes became durable: sets durable, version, part and hash state, raises the high-water mark. Clears `repointed` if the bytes are of
    /// the file's present remote name; else sets it.
    Progress(FileProgress),
    /// Begins again: durable, high-water mark and hash state 0, version and part none, `repointed` cleared, not finished, one restart more.
    Restarted,
    /// As for progress, and finished.
    Finished {
        /// Its last state.
        progress: FileProgress,
        /// What stands behind its bytes.
        integrity: Integrity,
    },
    /// Another remote name, by the will of a client or a policy; `repointed` is set if the row has a version. Where it is of another origin, the job's request headers are
    /// dropped: they were not given for that one.
    RemoteName(SafeUrl),
    /// What a client found when it looked at the file. It stays until the file is finished again, or restarted.
    Validated(FileVerdict),
}

/// What happens after the commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer a client.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        result: Result<Reply, CommandError>,
    },
    /// Start a worker.
    StartWorker(Assignment),
    /// Tell the job's worker to stop at its next checkpoint. It reports `Stopped`, `Failed` or `Finished`, whichever comes first.
    StopWorker {
        /// Which job.
        job: JobId,
        /// Which run.
        attempt: AttemptNumber,
        /// Why.
        reason: StopReason,
    },
    /// The origin that the worker chose last may be asked: one for each [`super::Report::OriginChosen`], unless the worker is stopped.
    GrantOrigin {
        /// Which job.
        job: JobId,
        /// Which run of it.
        attempt: AttemptNumber,
    },
    /// Set the running worker's own ceiling, in bytes per second.
    LimitWorker {
        /// Which job.
        job: JobId,
        /// None: no ceiling.
        bytes_per_second: Option<u64>,
    },
    /// Give every finished, unpublished file of the job its local name; report `Published`.
    Publish {
        /// Which job.
        job: JobId,
        /// Repeated in the report.
        attempt: AttemptNumber,
        /// Replace what stands there.
        overwrite: Overwrite,
    },
    /// Delete the part files of the job; report `PartsDeleted`.
    DeleteParts {
        /// Which job.
        job: JobId,
        /// Repeated in the report.
        attempt: AttemptNumber,
    },
    /// Measure the free space for the first unfinished file of the job; feed `Input::Space`.
    ProbeSpace(JobId),
    /// Read the file as it is after this commit; feed [`super::Input::FileLookedUp`] before anything else.
    LookUpFile {
        /// Repeated in the input, like all that follow.
        request: RequestId,
        /// Which job.
        job: JobId,
        /// Which file.
        file: FileIndex,
        /// What a client says of it.
        verdict: FileVerdict,
    },
    /// The job is final: forget its progress cell and whatever else is kept for it in memory.
    Forget(JobId),
}

/// Whether publication may replace an existing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// An existing file is an error, and stays.
    Refuse,
    /// An existing ordinary file is replaced.
    Replace,
}

/// A run of a job, as its worker is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Which job.
    pub job: JobId,
    /// Which run.
    pub attempt: AttemptNumber,
    /// Whose job it is: where its files may lie and what it may connect to.
    pub owner: String,
    /// The origin whose connections it holds: it need not ask for them.
    pub origin: Option<Origin>,
    /// Files at once: the job's `parallel_files`, less where the origin's cap on connections leaves less.
    pub parallel_files: u16,
    /// The job's own ceiling, bytes per second over all its files.
    pub bytes_per_second: Option<u64>,
    /// What publication will do with an existing file: checked before bytes are moved for nothing.
    pub overwrite: Overwrite,
    /// What else the job's properties ask of it.
    pub terms: Terms,
}

/// What the properties of a job ask of the transfers of its files, as they are when a run of it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// No part of an answer is ever kept.
    pub dynamic_content: bool,
    /// Bytes are made durable only when a file is whole or its transfer stops.
    pub high_performance: bool,
    /// Bytes that all files together may have.
    pub maximum_download_size: Option<u64>,
    /// Bytes that they have by now.
    pub bytes_transferred: u64,
    /// What happens at a redirect.
    pub redirects: Redirects,
    /// Whether it may lead from https to http.
    pub redirects_to_http: bool,
}

impl From<&JobRecord> for Terms {
    fn from(record: &JobRecord) -> Self {
        let properties = &record.properties;
        Self {
            dynamic_content: properties.dynamic_content,
            high_performance: properties.high_performance,
            maximum_download_size: properties.maximum_download_size,
            bytes_transferred: record.bytes_transferred,
            redirects: properties.redirects,
            redirects_to_http: properties.redirects_to_http,
        }
    }
}

/// Why a worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopReason {
    /// Its slot goes to another job; only at a point from which the transfer can resume.
    SlotTaken,
    /// A gate shut.
    GateShut,
    /// The client suspended the job.
    Suspended,
    /// The job is being completed or cancelled.
    Ended,
    /// The host drains, or its store failed.
    Draining,
}
