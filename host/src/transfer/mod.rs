//! Moves bytes: the HTTP client, the acceptance rules, part files, checkpoints, digests, limits.
//!
//! One task per running job ([`run`]), which the driver owns, reads the job's unfinished files from the store and reports to the
//! driver; nothing here writes to the store. Pure parts decide (`accept`, `resume`, `redirect`, `retry_after`, `patience`), the
//! others do.
//!
//! Guaranteed on a crash, at any moment: an offset that was reported is on the disk, and bytes below it are of the reported
//! version; a file appears under its local name only whole, verified and by one rename.

mod accept;
mod ask;
mod body;
mod budget;
mod client;
mod content_range;
mod context;
mod digest;
mod directory;
mod error;
mod failure;
mod fetch;
mod file_task;
mod files;
mod head;
mod layout;
mod ledger;
mod net_error;
mod part_file;
mod patience;
mod progress;
mod publish;
mod pump;
mod rate_limit;
mod redirect;
mod request_header;
mod response;
mod resume;
mod retry_after;
mod settings;
mod small_file;
mod space;
mod worker;

#[cfg(test)]
mod tests;

pub use client::is_reserved_header;
pub use context::{Control, ReportSender, TransferContext};
pub use error::TransferError;
pub use progress::{FileSnapshot, ProgressCell, ProgressSnapshot};
pub use request_header::{HeaderError, check_all, request_header};
pub use settings::TransferSettings;
pub use worker::run;

pub(crate) use directory::has_openat2;
pub(crate) use request_header::parse_all;
pub(crate) use retry_after::retry_after_ms;
