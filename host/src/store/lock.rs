//! One process at a time: an flock on `<directory>/lock`, taken before anything else and held until the last user of the store is gone.
//!
//! The kernel ends it with its holder, however that ends. The file says who holds it, for the message of whoever comes second.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::error::StoreError;

/// Readable by their owner only: remote names and headers may be credentials.
pub(super) const FILE_MODE: u32 = 0o600;

/// Looks at a lock file that names nobody, for its holder is about to write its name there, or to go: a fifth of a second in all.
const LOOKS_AT_HOLDER: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The lock of a store, held.
#[derive(Debug)]
pub(super) struct StoreLock {
    file: File,
    path: PathBuf,
}

impl StoreLock {
    /// Takes the lock, or says at once who has it.
    pub(super) fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            // Whatever lies there is neither followed nor waited for.
            .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed())
            .open(&path);
        let mut file = opened.map_err(|error| StoreError::io("open the lock file", &path, error))?;
        let mut looks = 0;
        while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(StoreError::io("lock", &path, error.into()));
            }
            let pid = holder(&mut file);
            looks += 1;
            if pid.is_some() || looks == LOOKS_AT_HOLDER {
                return Err(StoreError::InUse { path: directory.to_owned(), pid });
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let mut lock = Self { file, path };
        lock.write(&format!("{}\n", std::process::id()))?;
        Ok(lock)
    }

    fn write(&mut self, text: &str) -> Result<(), StoreError> {
        let written =
            self.file.set_len(0).and_then(|()| self.file.rewind()).and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|error| StoreError::io("write the lock file", &self.path, error))
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Left as it is, it would only name a process that has gone.
        let _ = self.file.set_len(0);
        // Closing alone would leave the lock to a child that was forked a moment ago and has not run its program yet.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// The process that the file names.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = StoreLock::acquire(directory.path()).unwrap();
        let error = StoreLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        StoreLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "as it was").unwrap();
        std::os::unix::fs::symlink(&victim, directory.path().join("lock")).unwrap();
        assert!(matches!(StoreLock::acquire(directory.path()), Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read(&victim).unwrap(), b"as it was");
    }
}
