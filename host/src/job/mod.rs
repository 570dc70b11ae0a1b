//! What a job is: states, properties, files, errors and events. Pure: no I/O and no clock.
//!
//! Names and numbers are those of BITS (bits.md); design.md section 3 decides what bits.md leaves open.

#[cfg(test)]
pub(crate) mod arbitrary;
mod changes;
mod digest;
mod error;
mod event;
mod filter;
mod id;
mod idempotency;
mod properties;
pub mod ranges;
mod record;
mod remote_name;
mod response;
mod spec;
mod state;

pub use changes::{ChangeError, HeadersWriteOnly, JobChanges};
pub use digest::{DigestError, Sha256};
pub use error::{ErrorCode, ErrorContext, Failure, FailureClass, JobError, Phase, ResponseHeaders};
pub use event::{Event, EventKind, RestartReason};
pub use filter::{EventFilter, JobFilter};
pub use id::{AttemptNumber, DecisionId, FileIndex, JobId, PolicyName, StoreId, StoreIdError, part_file_name};
pub use idempotency::IdempotencyKey;
pub use properties::{
    CostFlags, CostState, Direction, NotifyFlags, Priority, Properties, PropertyError, Redirects, limits,
};
pub use record::{
    AttemptSummary, FileRange, FileRecord, FileSummary, FileVerdict, FileVersion, Integrity, Intent, JobRecord,
    PartIdentity, RetryWait, Validation,
};
pub use remote_name::{Origin, RemoteNameError, SafeUrl};
pub use response::{FileResponse, ResponseField};
pub use spec::{FileSpec, JobSpec, LocalName, LocalNameError, RequestHeaders};
pub use state::{IllegalTransition, JobState, Transition};
