//! The journal, as it is read and streamed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FileProgressView, JobProgress, Time};
use crate::job::{EventKind, JobId, JobState};

/// One entry of the journal. What belongs to its kind stands beside these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Counts from 1, without a gap; the id of the server-sent event.
    pub number: u64,
    /// When it happened.
    pub at: Time,
    /// The job that it happened to; `null` for events of the host.
    pub job: Option<JobId>,
    /// What happened: `kind`, and what the kind has.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A page of the journal, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventView>,
    /// Give it as `after` for what comes next. It moves on although nothing matched the filters.
    pub last_number: u64,
    /// The events between `after` and this number are gone by retention; `null` if none is.
    pub missed_until: Option<u64>,
}

/// Events are gone by retention before the reader could be told them: the data of server-sent events of the name `missed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissedEvent {
    /// The last of them. The stream goes on with what follows it.
    pub missed_until: u64,
}

/// The reader is too slow, and its stream ends: the data of server-sent events of the name `cut_off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CutOffEvent {
    /// Give it as `Last-Event-ID` or `after`, and nothing is missing; `null` for a reader without a number that has seen no event.
    pub resume_after: Option<u64>,
}

/// How far a running job is. Not in the journal: server-sent events of the name `progress` carry no id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressEvent {
    /// Which job.
    pub job: JobId,
    /// Its state, as reported.
    #[schema(example = "transferring")]
    pub state: JobState,
    /// Its numbers.
    #[serde(flatten)]
    pub progress: JobProgress,
    /// The files that are being moved, in the order in which they began. Only on a stream of one job (`job`): of many jobs they would be
    /// more than a reader takes in. Left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<FileProgressView>,
}
