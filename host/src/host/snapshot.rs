//! A job as it is at one moment: what pollers, streams and the screen are told.

use std::sync::Arc;

use crate::job::{JobRecord, JobState};
use crate::scheduler::WaitingOn;
use crate::transfer::ProgressSnapshot;

/// A job as it is published after each commit: what `/state` and `/progress` are answered from.
#[derive(Debug, Clone)]
pub struct JobSnapshot {
    /// The stored header.
    pub record: Arc<JobRecord>,
    /// The state as reported: a waiting job whose gate is shut reports TRANSIENT_ERROR.
    pub state: JobState,
    /// Why it does not move, if it does not.
    pub waiting_on: Option<WaitingOn>,
    /// Bytes and files, live.
    pub progress: ProgressSnapshot,
    /// Another number with each change of what is above, the live progress left out. Not kept over a restart.
    pub revision: u64,
}

impl JobSnapshot {
    /// Bytes that are there at this moment, durable or not yet.
    #[must_use]
    pub fn bytes_transferred(&self) -> u64 {
        let not_counted: u64 = self.progress.active.iter().map(|file| file.done.saturating_sub(file.durable)).sum();
        self.record.bytes_transferred.saturating_add(not_counted)
    }

    /// The sum of the sizes of all files, once all are known. The record learns a size with the file's first checkpoint; the files that
    /// are being moved know it from the begin.
    #[must_use]
    pub fn bytes_total(&self) -> Option<u64> {
        let record = &self.record;
        let not_counted = self.progress.active.iter().filter(|file| file.durable == 0).filter_map(|file| file.total);
        let (files, bytes) =
            not_counted.fold((0_u32, 0_u64), |(files, bytes), size| (files + 1, bytes.saturating_add(size)));
        let all_are_known = record.files_sized.saturating_add(files) >= record.files_total;
        record.bytes_total().or_else(|| all_are_known.then(|| record.bytes_sized.saturating_add(bytes)))
    }
}
