//! The directory of a local name, opened once; everything in it is reached relative to it.
//!
//! The way to the directory may lead over symbolic links: the user of a single-user host may place them. Where owners have roots, the way
//! begins at a descriptor of the root and cannot leave it, whatever is exchanged on it meanwhile: the kernel sees to that (openat2).
//! Below the directory nothing is followed: names are single components, opened with O_NOFOLLOW, and whatever is no ordinary file is left
//! alone.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid};
use rustix::io::Errno;

use super::error::FileError;
use crate::access::{FileOwner, Reach, Root, Tenant};
use crate::scheduler::Overwrite;

/// Directories kept open at once. A job has one as a rule, and descriptors are few.
pub(crate) const OPEN_MAX: usize = 32;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    /// Whose the files in it are to be; none: the host's own.
    file_owner: Option<FileOwner>,
}

/// Times that a way is walked again because it was exchanged under the kernel's eyes: more only an attacker needs.
const WALKS_MAX: u32 = 128;

impl Directory {
    /// Opens it for an owner, and checks that files can be created in it. Blocks.
    pub(crate) fn open_for(path: &Path, tenant: &Tenant) -> Result<Self, FileError> {
        let shown = path.display().to_string();
        let fd = match &tenant.reach {
            Reach::Everywhere => retry_on_intr(|| rustix::fs::open(path, FLAGS, Mode::empty()))
                .map_err(|errno| FileError::local("open", &shown, &errno.into()))?,
            reach => {
                let (root, way) = reach.root_of(path).ok_or_else(|| FileError::OutOfReach { name: shown.clone() })?;
                below(root, way).map_err(|errno| match errno {
                    Errno::XDEV | Errno::LOOP | Errno::AGAIN => FileError::OutOfReach { name: shown.clone() },
                    errno => FileError::local("open", &shown, &errno.into()),
                })?
            }
        };
        rustix::fs::accessat(&fd, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(|errno| FileError::local("write in", &shown, &errno.into()))?;
        Ok(Self { fd, path: path.to_owned(), file_owner: tenant.file_owner })
    }

    /// As for the one user of a host.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_for(path, &Tenant::OWNER_OF_ALL)
    }

    /// Gives a file in it to whom it is to belong. Blocks.
    pub(crate) fn give(&self, file: impl AsFd) -> rustix::io::Result<()> {
        match self.file_owner {
            None => Ok(()),
            Some(FileOwner { uid, gid }) => {
                rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            }
        }
    }

    /// Whether a file in it may be ours, as far as its links tell: where files are given away, another name of somebody's own file could
    /// have been put in the place of ours.
    pub(crate) const fn may_hold(&self, stat: &Stat) -> bool {
        self.file_owner.is_none() || stat.st_nlink == 1
    }

    /// One in which files can be created, and whose entries cannot be made durable.
    #[cfg(test)]
    pub(crate) fn unsyncable(path: &Path) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self { fd: rustix::fs::open(path, flags, Mode::empty()).unwrap(), path: path.to_owned(), file_owner: None }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The path of a name in it, for texts.
    pub(crate) fn show(&self, name: impl AsRef<OsStr>) -> String {
        self.path.join(name.as_ref()).display().to_string()
    }

    /// Checks that a file may appear under this name. Publication checks again, by the way in which it renames. Blocks.
    pub(crate) fn check_target(&self, name: &OsStr, overwrite: Overwrite) -> Result<(), FileError> {
        let unusable =
            |reason: &str| Err(FileError::LocalNameUnusable { name: self.show(name), reason: reason.to_owned() });
        let stat = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(FileError::local("look at", &self.show(name), &errno.into())),
        };
        match (FileType::from_raw_mode(stat.st_mode), overwrite) {
            (FileType::RegularFile, Overwrite::Replace) => Ok(()),
            (FileType::RegularFile, Overwrite::Refuse) => Err(FileError::LocalFileExists { name: self.show(name) }),
            (FileType::Directory, _) => unusable("it is a directory"),
            (FileType::Symlink, _) => unusable("it is a symbolic link"),
            (FileType::Fifo, _) => unusable("it is a FIFO"),
            (FileType::Socket, _) => unusable("it is a socket"),
            _ => unusable("it is a device"),
        }
    }

    /// Makes its entries durable. Blocks.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        let synced = retry_on_intr(|| rustix::fs::fsync(&self.fd));
        synced.map_err(|errno| FileError::local("sync", &self.path.display().to_string(), &errno.into()))
    }

    /// Makes everything on its file system durable. Blocks.
    pub(crate) fn sync_file_system(&self) -> Result<(), FileError> {
        let synced = retry_on_intr(|| rustix::fs::syncfs(&self.fd));
        synced.map_err(|errno| FileError::local("sync", &self.path.display().to_string(), &errno.into()))
    }

    /// Fails where the file system has less than `needed` bytes for this user. Blocks.
    pub(crate) fn check_space(&self, needed: u64) -> Result<(), FileError> {
        let available = self.free_space()?;
        if needed <= available {
            return Ok(());
        }
        Err(FileError::NoSpace { directory: self.path.display().to_string(), needed, available })
    }

    /// Bytes that this user may still write here, quotas left out. Blocks.
    pub(crate) fn free_space(&self) -> Result<u64, FileError> {
        let stat = rustix::fs::fstatvfs(&self.fd).map_err(|errno| {
            FileError::local("measure the space of", &self.path.display().to_string(), &errno.into())
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory on a way that begins at a root and does not leave it.
fn below(root: &Root, way: &Path) -> rustix::io::Result<OwnedFd> {
    // Links that lead to the root are the operator's, and were followed when the host started.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let root = walk(|| rustix::fs::openat2(rustix::fs::CWD, &root.real, flags, Mode::empty(), links))?;
    let way = if way.as_os_str().is_empty() { Path::new(".") } else { way };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    walk(|| rustix::fs::openat2(&root, way, FLAGS, Mode::empty(), inside))
}

/// Walks again where something on the way was renamed meanwhile.
fn walk(mut open: impl FnMut() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    let mut walks = 0;
    loop {
        match retry_on_intr(&mut open) {
            Err(Errno::AGAIN) if walks < WALKS_MAX => walks += 1,
            result => return result,
        }
    }
}

/// Whether the kernel can open what lies below a directory and nothing else.
pub(crate) fn has_openat2() -> bool {
    let opened = rustix::fs::openat2(rustix::fs::CWD, "/", OFlags::PATH, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    !matches!(opened, Err(Errno::NOSYS | Errno::PERM))
}

/// Calls again while a signal interrupts.
pub(crate) fn retry_on_intr<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::job::ErrorCode;

    fn check(directory: &Directory, name: &str, overwrite: Overwrite) -> Result<(), ErrorCode> {
        directory.check_target(OsStr::new(name), overwrite).map_err(|error| error.code())
    }

    #[test]
    fn only_an_ordinary_file_can_be_replaced_and_only_when_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Directory::open(scratch.path()).unwrap();
        std::fs::write(scratch.path().join("file"), "x").unwrap();
        std::fs::create_dir(scratch.path().join("directory")).unwrap();
        symlink("file", scratch.path().join("link")).unwrap();
        let _socket = UnixListener::bind(scratch.path().join("socket")).unwrap();
        rustix::fs::mknodat(directory.as_fd(), "fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for overwrite in [Overwrite::Refuse, Overwrite::Replace] {
            assert_eq!(check(&directory, "missing", overwrite), Ok(()));
            for name in ["directory", "link", "socket", "fifo"] {
                assert_eq!(check(&directory, name, overwrite), Err(ErrorCode::LocalNameUnusable), "{name}");
            }
        }
        assert_eq!(check(&directory, "file", Overwrite::Refuse), Err(ErrorCode::LocalFileExists));
        assert_eq!(check(&directory, "file", Overwrite::Replace), Ok(()));
    }

    #[test]
    fn a_directory_that_is_none_cannot_be_used() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("file"), "x").unwrap();
        for name in ["file", "missing"] {
            let error = Directory::open(&scratch.path().join(name)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::LocalNameUnusable, "{error}");
        }
        symlink(scratch.path(), scratch.path().join("link")).unwrap();
        assert!(Directory::open(&scratch.path().join("link")).is_ok());
    }

    #[test]
    fn more_than_there_is_does_not_fit() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Directory::open(scratch.path()).unwrap();
        assert!(directory.check_space(1).is_ok());
        let error = directory.check_space(1 << 60).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DiskFull);
    }
}
