//! Space kept for the day on which the disk is full.
//!
//! A full disk stops downloads, and that they stopped must be stored on the same disk. A file of some size lies beside the database for
//! nothing but to be deleted then. Only batches that add no work may use what it leaves; it comes back when there is space again.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::{directory, lock};

/// Some fifty commits of a few pages each: enough to store the end of every attempt that a full disk ends.
const BALLAST_BYTES: u64 = 1 << 20;

/// Space that must be left after the ballast came back, so that it does not come and go.
const MARGIN: u64 = 16;

#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    is_there: bool,
}

impl Ballast {
    /// Lays the ballast down, if it is not there and there is space. Never an error: a store without one works as well until the disk is full.
    pub(super) fn lay(directory: &Path) -> Self {
        let mut ballast = Self { path: directory.join("ballast"), is_there: false };
        let size = std::fs::symlink_metadata(&ballast.path).map(|found| found.len());
        ballast.is_there = size.is_ok_and(|bytes| bytes == BALLAST_BYTES);
        ballast.restore();
        ballast
    }

    /// Gives its space away. False if there was none to give.
    pub(super) fn release(&mut self) -> bool {
        let released = self.is_there && std::fs::remove_file(&self.path).is_ok();
        self.is_there = false;
        released
    }

    /// Lays it down again, once there is space.
    pub(super) fn restore(&mut self) {
        let directory = self.path.parent().expect("it was joined to a directory");
        if self.is_there || directory::available(directory).is_none_or(|bytes| bytes < MARGIN * BALLAST_BYTES) {
            return;
        }
        // Of another size, for example after a crash in the middle of this.
        let _ = std::fs::remove_file(&self.path);
        let file = OpenOptions::new().write(true).create_new(true).mode(lock::FILE_MODE).open(&self.path);
        let allocated =
            file.is_ok_and(|file| rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BALLAST_BYTES).is_ok());
        if !allocated {
            let _ = std::fs::remove_file(&self.path);
        }
        self.is_there = allocated;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_comes_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ballast");
        std::fs::write(&path, "half").unwrap();
        let mut ballast = Ballast::lay(directory.path());
        assert_eq!(path.metadata().unwrap().len(), BALLAST_BYTES);
        assert!(ballast.release());
        assert!(!path.exists());
        assert!(!ballast.release());
        ballast.restore();
        assert!(path.exists());
        assert!(Ballast::lay(directory.path()).is_there);
    }
}
