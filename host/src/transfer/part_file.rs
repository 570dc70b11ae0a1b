//! The part file: where a file's bytes lie until it is published.
//!
//! Owned by the one task that fetches the file. After a crash it is trusted as far as the store says, and only if it is the very
//! file (device and inode) that the store knows: what is longer is cut, what is shorter is taken as it is.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::digest::Modified;
use super::directory::{Directory, retry_on_intr};
use super::error::FileError;
use crate::job::PartIdentity;

/// Buffers that one call takes: a quarter of IOV_MAX, some megabytes as they come from the network.
const SLICES_MAX: usize = 256;

/// An open part file.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    directory: Arc<Directory>,
    name: String,
    identity: PartIdentity,
}

/// What is left of a part file.
#[derive(Debug)]
pub(crate) enum Reopened {
    /// As long as it must be, and when it was last written.
    Whole(PartFile, Modified),
    /// It was longer, and is cut.
    Cut(PartFile),
    /// The same file, but so short.
    Shorter(PartFile, u64),
    /// Missing, exchanged, or no ordinary file.
    Damaged,
}

impl PartFile {
    /// Creates it empty. What stood there under its name is removed: it is ours by its name, and the store does not count on it. Blocks.
    pub(crate) fn create(directory: &Arc<Directory>, name: &str) -> Result<Self, FileError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let create = || retry_on_intr(|| rustix::fs::openat(directory.as_fd(), name, flags, mode));
        let opened = match create() {
            Err(Errno::EXIST) => {
                remove(directory, name)?;
                create()
            }
            other => other,
        };
        let fd = opened.map_err(|errno| FileError::local("create", &directory.show(name), &errno.into()))?;
        // Before a byte is in it: its owner's quota counts them.
        directory.give(&fd).map_err(|errno| FileError::local("give away", &directory.show(name), &errno.into()))?;
        Self::from_fd(fd, directory, name)
    }

    /// Opens it again to go on at `durable`. Blocks.
    pub(crate) fn reopen(
        directory: &Arc<Directory>,
        name: &str,
        identity: PartIdentity,
        durable: u64,
    ) -> Result<Reopened, FileError> {
        // O_NONBLOCK: somebody may have put a FIFO there, and opening one waits for its other end.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| rustix::fs::openat(directory.as_fd(), name, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV) => {
                return Ok(Reopened::Damaged);
            }
            Err(errno) => return Err(FileError::local("open", &directory.show(name), &errno.into())),
        };
        let part = Self::from_fd(fd, directory, name)?;
        let stat = part.stat()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || part.identity != identity || !directory.may_hold(&stat) {
            return Ok(Reopened::Damaged);
        }
        // Its job may have another owner since.
        directory.give(&part.file).map_err(|errno| part.error("give away", &errno.into()))?;
        match u64::try_from(stat.st_size).unwrap_or(0) {
            size if size < durable => Ok(Reopened::Shorter(part, size)),
            size if size > durable => {
                part.truncate(durable)?;
                Ok(Reopened::Cut(part))
            }
            _ => Ok(Reopened::Whole(part, modified(&stat))),
        }
    }

    fn from_fd(fd: OwnedFd, directory: &Arc<Directory>, name: &str) -> Result<Self, FileError> {
        let file = File::from(fd);
        let identity = PartIdentity { device: 0, inode: 0 };
        let mut part = Self { file, directory: Arc::clone(directory), name: name.to_owned(), identity };
        let stat = part.stat()?;
        part.identity = PartIdentity { device: stat.st_dev, inode: stat.st_ino };
        Ok(part)
    }

    fn stat(&self) -> Result<rustix::fs::Stat, FileError> {
        rustix::fs::fstat(&self.file).map_err(|errno| self.error("look at", &errno.into()))
    }

    pub(crate) const fn identity(&self) -> PartIdentity {
        self.identity
    }

    /// For reading it back.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn error(&self, operation: &'static str, error: &io::Error) -> FileError {
        FileError::local(operation, &self.directory.show(&self.name), error)
    }

    /// Cuts it, after a failed sync or a crash. Blocks.
    pub(crate) fn truncate(&self, size: u64) -> Result<(), FileError> {
        let cut = retry_on_intr(|| rustix::fs::ftruncate(&self.file, size));
        cut.map_err(|errno| self.error("cut", &errno.into()))
    }

    /// Makes room for the file up to `total`, without making it longer. A size that does not fit fails before a byte is written,
    /// and leaves nothing behind that others could have used. Blocks.
    pub(crate) fn reserve(&self, total: u64) -> Result<(), FileError> {
        let stat = self.stat()?;
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        if allocated >= total {
            // An earlier attempt has made the room. Doing it again would only give the file another time.
            return Ok(());
        }
        self.directory.check_space(total.saturating_sub(allocated))?;
        let reserved = self.allocate(total);
        if reserved.is_err() {
            // What was allocated before there was no more lies beyond the end of the file: cutting it to its own size frees it.
            self.truncate(u64::try_from(stat.st_size).unwrap_or(0))?;
        }
        reserved
    }

    fn allocate(&self, total: u64) -> Result<(), FileError> {
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, total)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.error("make room for", &errno.into())),
        }
    }

    /// Writes the buffers one after the other from `offset` on. Blocks.
    pub(crate) fn write_at(&self, buffers: &[Bytes], mut offset: u64) -> Result<(), FileError> {
        for group in buffers.chunks(SLICES_MAX) {
            let mut slices: Vec<IoSlice<'_>> = group.iter().map(|bytes| IoSlice::new(bytes)).collect();
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                let written = retry_on_intr(|| rustix::io::pwritev(&self.file, left, offset));
                let written = match written {
                    Ok(0) => return Err(self.error("write", &io::ErrorKind::WriteZero.into())),
                    Ok(written) => written,
                    Err(errno) => return Err(self.error("write", &errno.into())),
                };
                IoSlice::advance_slices(&mut left, written);
                offset += written as u64;
            }
        }
        Ok(())
    }

    /// When it was last written. Blocks.
    pub(crate) fn modified(&self) -> Result<Modified, FileError> {
        Ok(modified(&self.stat()?))
    }

    /// Makes what was written durable. After a failure nothing that was not durable before may be relied on. Blocks.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        let synced = retry_on_intr(|| rustix::fs::fdatasync(&self.file));
        synced.map_err(|errno| self.error("sync", &errno.into()))
    }

    /// Makes its name durable. Blocks.
    pub(crate) fn sync_name(&self) -> Result<(), FileError> {
        self.directory.sync()
    }
}

fn modified(stat: &rustix::fs::Stat) -> Modified {
    Modified { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec }
}

/// Removes a part file by its name; one that is missing counts as removed. Blocks.
pub(crate) fn remove(directory: &Directory, name: &str) -> Result<(), FileError> {
    match rustix::fs::unlinkat(directory.as_fd(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(FileError::local("remove", &directory.show(name), &errno.into())),
    }
}
