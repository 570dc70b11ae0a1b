//! Space kept for the day on which the disk is full.
//!
//! A full disk stops downloads, and that they stopped must be stored on the same disk. A file of some size lies beside the database for
//! nothing but to be given up then, step by step: others may take what is given up before it is used. Only batches that add no work may use
//! it. It grows again when there is space again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags};

use super::{directory, lock};

/// Given up at once: a commit of a dozen pages.
const STEP_BYTES: u64 = 64 << 10;

/// As many commits on a full disk, at least: enough to store the end of every attempt that it ends.
const STEPS: u64 = 16;

/// The whole ballast.
pub(super) const BYTES: u64 = STEPS * STEP_BYTES;

/// Space that there must be before the ballast grows, so that it does not come and go.
const AVAILABLE_BYTES_MIN: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// None if it could not be created. Then the store works as well, until the disk is full.
    file: Option<File>,
    /// Steps that are there to be given up.
    steps: u64,
}

impl Ballast {
    /// Lays the ballast down as far as there is space.
    pub(super) fn lay(directory: &Path) -> Self {
        let path = directory.join("ballast");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(lock::FILE_MODE)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)
            .ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |found| found.len());
        let mut ballast = Self { path, file, steps: (bytes / STEP_BYTES).min(STEPS) };
        ballast.restore();
        ballast
    }

    /// Gives up one step. False if there was none left.
    pub(super) fn release(&mut self) -> bool {
        let (Some(file), Some(left)) = (&self.file, self.steps.checked_sub(1)) else { return false };
        self.steps = left;
        file.set_len(left * STEP_BYTES).is_ok()
    }

    /// Lays it down again, once there is space.
    pub(super) fn restore(&mut self) {
        let Some(file) = &self.file else { return };
        let is_whole = self.steps == STEPS;
        if is_whole || directory::available(&self.path).is_none_or(|bytes| bytes < AVAILABLE_BYTES_MIN) {
            return;
        }
        if rustix::fs::fallocate(file, FallocateFlags::empty(), 0, BYTES).is_ok() {
            self.steps = STEPS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_goes_step_by_step_and_comes_back_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ballast");
        std::fs::write(&path, "half").unwrap();
        let bytes = || path.metadata().unwrap().len();
        let mut ballast = Ballast::lay(directory.path());
        assert_eq!(bytes(), STEPS * STEP_BYTES);
        for left in (0..STEPS).rev() {
            assert!(ballast.release());
            assert_eq!(bytes(), left * STEP_BYTES);
        }
        assert!(!ballast.release());
        ballast.restore();
        assert_eq!(bytes(), STEPS * STEP_BYTES);
        assert_eq!(Ballast::lay(directory.path()).steps, STEPS);
    }
}
