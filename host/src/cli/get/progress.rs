//! How far a job is, at one moment: what the views draw.

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use crate::host::JobSnapshot;
use crate::job::{FileIndex, JobError, JobState};
use crate::scheduler::WaitingOn;

/// A reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// The state as reported.
    pub(crate) state: JobState,
    /// Why it does not move, if it does not.
    pub(crate) waiting_on: Option<WaitingOn>,
    /// The last error, until bytes move again.
    pub(crate) error: Option<JobError>,
    /// Bytes that are there, durable or not yet.
    pub(crate) bytes_transferred: u64,
    /// Bytes that came in since the run began, those fetched again included: what the rate is made of.
    pub(crate) bytes_received: u64,
    /// None until every file's size is known.
    pub(crate) bytes_total: Option<u64>,
    /// Whole files.
    pub(crate) files_transferred: u32,
    /// All files.
    pub(crate) files_total: u32,
    /// Files that are being moved.
    pub(crate) active: Vec<ActiveFile>,
}

/// A file that is being moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveFile {
    /// Which.
    pub(crate) file: FileIndex,
    /// Bytes that came in.
    pub(crate) bytes_transferred: u64,
    /// None while it is unknown.
    pub(crate) bytes_total: Option<u64>,
}

impl From<&JobSnapshot> for Progress {
    fn from(snapshot: &JobSnapshot) -> Self {
        let JobSnapshot { record, state, waiting_on, progress, revision: _ } = snapshot;
        let active = progress.active.iter().map(|file| ActiveFile {
            file: file.file,
            bytes_transferred: file.done,
            bytes_total: file.total,
        });
        Self {
            state: *state,
            waiting_on: waiting_on.clone(),
            error: record.error.clone(),
            bytes_transferred: snapshot.bytes_transferred(),
            bytes_received: progress.received,
            bytes_total: snapshot.bytes_total(),
            files_transferred: record.files_transferred,
            files_total: record.files_total,
            active: active.collect(),
        }
    }
}

impl Progress {
    /// Whole percents, rounded down; none while the total is unknown.
    pub(crate) fn percent(&self) -> Option<u64> {
        let total = self.bytes_total?;
        match total {
            0 => Some(100),
            _ => u64::try_from(u128::from(self.bytes_transferred.min(total)) * 100 / u128::from(total)).ok(),
        }
    }
}

/// [`WaitingOn`] in the API's spelling.
#[derive(Debug)]
pub(crate) struct WaitingLine<'a>(pub(crate) &'a WaitingOn);

impl Serialize for WaitingLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WaitingOn { code, detail, until, policy, error } = self.0;
        let mut line = serializer.serialize_struct("WaitingOn", 5)?;
        line.serialize_field("code", code)?;
        line.serialize_field("detail", detail)?;
        line.serialize_field("until", until)?;
        line.serialize_field("policy", policy)?;
        line.serialize_field("error", error)?;
        line.end()
    }
}
