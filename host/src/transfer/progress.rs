//! How far a running job is: written by its worker, read by whoever shows it, past the driver and the store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::job::FileIndex;

/// The cell of one job, shared between its worker and those who read.
#[derive(Debug, Default)]
pub struct ProgressCell {
    received: AtomicU64,
    files_finished: AtomicU64,
    active: Mutex<Vec<Arc<ActiveFile>>>,
}

/// A file that is being fetched.
#[derive(Debug)]
pub(crate) struct ActiveFile {
    file: FileIndex,
    local_name: String,
    done: AtomicU64,
    durable: AtomicU64,
    /// [`UNKNOWN`] until the origin has said it.
    total: AtomicU64,
    has_part: AtomicBool,
}

const UNKNOWN: u64 = u64::MAX;

/// A cell as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgressSnapshot {
    /// Payload bytes that came from origins since the host started, bytes fetched again included: what a rate is made of.
    pub received: u64,
    /// Files that were finished since the host started.
    pub files_finished: u64,
    /// The files being fetched now, in the order in which they began.
    pub active: Vec<FileSnapshot>,
}

/// A file being fetched, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSnapshot {
    /// Which.
    pub file: FileIndex,
    /// Where it shall appear.
    pub local_name: String,
    /// Bytes that are there, durable or not.
    pub done: u64,
    /// Bytes of them that the job's own count has, or will have with the next commit.
    pub durable: u64,
    /// Its size, once the origin has said it.
    pub total: Option<u64>,
    /// Its part file is there.
    pub has_part: bool,
}

impl ProgressCell {
    /// Reads it.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let active = self.lock().iter().map(|file| file.snapshot()).collect();
        ProgressSnapshot {
            received: self.received.load(Ordering::Relaxed),
            files_finished: self.files_finished.load(Ordering::Relaxed),
            active,
        }
    }

    pub(crate) fn begin(&self, file: FileIndex, local_name: String) -> Arc<ActiveFile> {
        let (done, durable, total) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(UNKNOWN));
        let has_part = AtomicBool::new(false);
        let active = Arc::new(ActiveFile { file, local_name, done, durable, total, has_part });
        self.lock().push(Arc::clone(&active));
        active
    }

    pub(crate) fn end(&self, file: FileIndex) {
        self.lock().retain(|active| active.file != file);
    }

    pub(crate) fn finished(&self) {
        self.files_finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ActiveFile>>> {
        self.active.lock().expect("nothing panics while it is held")
    }
}

impl ActiveFile {
    pub(crate) fn set_done(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_durable(&self, bytes: u64) {
        self.durable.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_total(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    pub(crate) fn set_has_part(&self) {
        self.has_part.store(true, Ordering::Relaxed);
    }

    fn snapshot(&self) -> FileSnapshot {
        let total = self.total.load(Ordering::Relaxed);
        FileSnapshot {
            file: self.file,
            local_name: self.local_name.clone(),
            done: self.done.load(Ordering::Relaxed),
            durable: self.durable.load(Ordering::Relaxed),
            total: (total != UNKNOWN).then_some(total),
            has_part: self.has_part.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_the_files_that_are_active() {
        let cell = ProgressCell::default();
        let first = cell.begin(FileIndex(3), "/d/a".into());
        let _second = cell.begin(FileIndex(1), "/d/b".into());
        first.set_done(10);
        first.set_durable(5);
        first.set_total(Some(20));
        cell.received(10);
        let snapshot = cell.snapshot();
        let shown = FileSnapshot {
            file: FileIndex(3),
            local_name: "/d/a".into(),
            done: 10,
            durable: 5,
            total: Some(20),
            has_part: false,
        };
        assert_eq!(snapshot.active[0], shown);
        assert_eq!(snapshot.active[1].total, None);
        cell.end(FileIndex(3));
        cell.finished();
        let snapshot = cell.snapshot();
        assert_eq!((snapshot.received, snapshot.files_finished, snapshot.active.len()), (10, 1, 1));
    }
}
