//! Jobs and files as the store keeps them.

use serde::{Deserialize, Serialize};

use super::{
    AttemptNumber, Direction, ErrorCode, FailureClass, FileIndex, JobError, JobId, JobState, LocalName, PolicyName,
    Properties, SafeUrl, Sha256, ranges,
};
use crate::clock::UnixMillis;

/// The header of a job: what the core holds of every job that is not final. Its files stay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Who it is.
    pub id: JobId,
    /// `uid:<number>`, or a token's subject.
    pub owner: String,
    /// For people.
    pub display_name: String,
    /// For people as well, longer.
    pub description: String,
    /// Which way the bytes go.
    pub direction: Direction,
    /// The stored state. A waiting job's *reported* state depends on the gates as well (design.md section 2).
    pub state: JobState,
    /// What the client set.
    pub properties: Properties,
    /// The client's key and value pairs.
    pub labels: Vec<(String, String)>,
    /// Policies of the job's own, after the operator's.
    pub policies: Vec<PolicyName>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When anything of it last changed.
    pub modified_at: UnixMillis,
    /// When its first attempt began.
    pub started_at: Option<UnixMillis>,
    /// When it last became TRANSFERRED; none once it was resumed to fetch more.
    pub transferred_at: Option<UnixMillis>,
    /// When its high-water mark last rose.
    pub last_progress_at: Option<UnixMillis>,
    /// Number of its files.
    pub files_total: u32,
    /// Files that are whole, durable and verified.
    pub files_transferred: u32,
    /// Sum of the sizes of the files of known size.
    pub bytes_sized: u64,
    /// Files of known size. The job's total is unknown until all are (bits.md 2.2).
    pub files_sized: u32,
    /// Durable payload bytes of all files.
    pub bytes_transferred: u64,
    /// The high-water mark of durable payload bytes, each byte position of a file version counted once. It never falls.
    pub progress_bytes: u64,
    /// The error object; present in ERROR and TRANSIENT_ERROR, and until TRANSFERRING after them.
    pub error: Option<JobError>,
    /// Failed attempts, conditions that end by themselves left out. Never reset (bits.md 2.2).
    pub error_count: u32,
    /// Failed attempts since the last progress.
    pub failures_in_row: u32,
    /// Times that a policy repaired it.
    pub recoveries: u32,
    /// When a policy last repaired it.
    pub last_recovery_at: Option<UnixMillis>,
    /// The runs so far.
    pub attempt: AttemptNumber,
    /// The questions put to policies so far.
    pub decisions: u32,
    /// The last attempts, oldest first, at most 16.
    pub history: Vec<AttemptSummary>,
    /// When it is to be tried again.
    pub retry: Option<RetryWait>,
    /// Milliseconds of running and of waiting for a retry since the last progress: what `no_progress_timeout` bounds.
    pub no_progress_ms: u64,
    /// Milliseconds spent connecting and transferring since the last resume: what `maximum_download_time` bounds.
    pub active_ms: u64,
    /// What was begun and must be finished by whoever starts next.
    pub intent: Option<Intent>,
    /// It was resumed at least once: some properties can be set only before that.
    pub resumed: bool,
    /// Its request headers are shown to nobody any more, for good.
    pub headers_write_only: bool,
    /// When a client last did something to it, or it last made progress: what the inactivity timeout counts from (bits.md 3.1).
    pub active_at: UnixMillis,
}

impl JobRecord {
    /// The sum of the sizes of all files, once all are known.
    #[must_use]
    pub const fn bytes_total(&self) -> Option<u64> {
        if self.files_sized == self.files_total { Some(self.bytes_sized) } else { None }
    }
}

/// One attempt that is over, for the policies and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// When it began.
    pub started_at: UnixMillis,
    /// When it ended.
    pub ended_at: UnixMillis,
    /// The remote name of the file that failed, redacted.
    pub remote_name: String,
    /// Progress that it made.
    pub new_bytes: u64,
    /// Why it ended.
    pub code: ErrorCode,
    /// Whether that ends by itself.
    pub class: FailureClass,
    /// The status, if the origin answered with a failure.
    pub http_status: Option<u16>,
}

/// A wait for the next attempt: both when it ends and how long it was meant to be, so that a clock that was set cannot prolong it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryWait {
    /// When it ends by the wall clock.
    pub due_at: UnixMillis,
    /// Milliseconds from its begin to its end.
    pub delay_ms: u64,
}

/// The first of two commits: done is the second (design.md section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// The finished files are being given their local names.
    Complete,
    /// The part files are being deleted.
    Cancel,
}

/// What identifies one version of a remote file (RFC 9110 section 8.8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FileVersion {
    /// The ETag field as it came, weak or strong.
    pub etag: Option<String>,
    /// The Last-Modified field as it came.
    pub last_modified: Option<String>,
    /// Whether Last-Modified was strong when it came: older than the response's Date by a minute or more.
    pub last_modified_is_strong: bool,
    /// The size of the whole remote file, whatever parts of it are wanted.
    pub bytes_total: Option<u64>,
}

impl FileVersion {
    /// The ETag if it is a strong one.
    #[must_use]
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }

    /// The validator that may stand in If-Range (RFC 9110 section 13.1.5): a strong ETag, else a strong date where there is no ETag.
    #[must_use]
    pub fn strong_validator(&self) -> Option<&str> {
        match self.etag {
            Some(_) => self.strong_etag(),
            None => self.last_modified.as_deref().filter(|_| self.last_modified_is_strong),
        }
    }
}

/// Device and inode of a part file, by which it is known again under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartIdentity {
    /// st_dev.
    pub device: u64,
    /// st_ino.
    pub inode: u64,
}

/// What stands behind the bytes of a finished file (design.md section 3). Only the first is called verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// The digest that the client gave.
    ClientDigest,
    /// The origin's Repr-Digest (RFC 9530).
    ServerDigest,
    /// The length that the origin gave.
    LengthOnly,
    /// Nothing: the origin gave no length.
    #[default]
    Unverified,
}

/// A file as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Its position in the job.
    pub index: FileIndex,
    /// Where it is fetched from.
    pub remote_name: SafeUrl,
    /// Where it shall appear.
    pub local_name: LocalName,
    /// What its bytes must hash to.
    pub digest: Option<Sha256>,
    /// The version whose bytes the part file holds.
    pub version: Option<FileVersion>,
    /// Bytes of the part file that are on the disk for certain.
    pub durable: u64,
    /// The largest `durable` of this version so far.
    pub high_water: u64,
    /// The hasher's state at `durable`, if a digest is wanted.
    pub hash_state: Option<Vec<u8>>,
    /// Times that it began again from 0.
    pub restarts: u32,
    /// The remote name was changed since `version` came: the bytes may be kept only by the rule of design.md section 3.
    pub repointed: bool,
    /// The part file.
    pub part: Option<PartIdentity>,
    /// Whole, durable and verified.
    pub finished: bool,
    /// Under its local name.
    pub published: bool,
    /// What stands behind its bytes.
    pub integrity: Integrity,
    /// The parts of the remote file that make up the local one, in this order, one after the other; empty: all of it.
    pub ranges: Vec<FileRange>,
    /// What the client found when it looked at the finished file: kept until the file is whole again, or begins again for another reason.
    pub validation: Validation,
    /// A redirect that was reported has led its remote name to another origin: the job's request headers were not given for that one,
    /// and are not sent there until a client gives the job headers again.
    pub headers_withheld: bool,
}

impl FileRecord {
    /// The bytes that the local file has, once that is known of the version that is fetched.
    #[must_use]
    pub fn bytes_total(&self) -> Option<u64> {
        ranges::size(&self.ranges, self.version.as_ref()?.bytes_total)
    }
}

/// A part of a remote file: BG_FILE_RANGE (bits.md 8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileRange {
    /// Where it begins.
    pub offset: u64,
    /// Bytes, at least 1; none: to the end of the file (BG_LENGTH_TO_EOF).
    pub length: Option<u64>,
}

/// BG_FILE's validation state (bits.md 8.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// Nobody has said.
    #[default]
    Unset,
    /// The client says that it is as it should be.
    Valid,
    /// The client says that it is not: it is fetched again after resume, and nobody has said anything of it then.
    Invalid,
}

/// What a client can say of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileVerdict {
    /// It is as it should be.
    Valid,
    /// It is not, and is to be fetched again.
    Invalid,
}

impl From<FileVerdict> for Validation {
    fn from(verdict: FileVerdict) -> Self {
        match verdict {
            FileVerdict::Valid => Self::Valid,
            FileVerdict::Invalid => Self::Invalid,
        }
    }
}

/// What the scheduler and the policies are told of one file: the worker that has its record makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Its position in the job.
    pub index: FileIndex,
    /// Where it is fetched from.
    pub remote_name: SafeUrl,
    /// Where it shall appear.
    pub local_name: String,
    /// The size that is counted for it so far, if any.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub durable: u64,
    /// Whole, durable and verified.
    pub finished: bool,
    /// Times that it began again from 0.
    pub restarts: u32,
}

impl From<&FileRecord> for FileSummary {
    fn from(file: &FileRecord) -> Self {
        Self {
            index: file.index,
            remote_name: file.remote_name.clone(),
            local_name: file.local_name.to_string(),
            bytes_total: file.bytes_total(),
            durable: file.durable,
            finished: file.finished,
            restarts: file.restarts,
        }
    }
}
