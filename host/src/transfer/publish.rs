//! The end of a job's files: their local names, or their removal.
//!
//! Publication is one rename a file. A part file is known by device and inode, under its old name or its new one, so that a
//! publication which a crash interrupted is simply done again: what was renamed is recognised, what was not is renamed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::context::{TransferContext, blocking};
use super::directory::{Directory, retry_on_intr};
use super::error::FileError;
use super::part_file;
use crate::access::Tenant;
use crate::job::{FileIndex, FileRecord, FileSummary, JobError, JobId, PartIdentity, part_file_name};
use crate::scheduler::{Overwrite, Report};

/// Files read from the store at once.
const PAGE_FILES: u32 = 256;

impl TransferContext {
    /// Gives every finished file of a job its local name. May be repeated, after a crash or a failure.
    ///
    /// The first failure ends it; the files before it are published. The order is that of the files.
    pub async fn publish(self: &Arc<Self>, job: JobId, overwrite: Overwrite) -> Report {
        let context = Arc::clone(self);
        blocking(move || Publication::new(&context, job, overwrite).run()).await
    }

    /// Deletes the part files of a job. May be repeated.
    pub async fn delete_parts(self: &Arc<Self>, job: JobId) -> Report {
        let context = Arc::clone(self);
        Report::PartsDeleted { files_left: blocking(move || delete_parts(&context, job)).await }
    }

    /// Bytes that may be written where the first unfinished file of a job lies. As many as can be where that cannot be found out:
    /// then the job's next attempt says what is wrong. None if the file system does not answer; cancel-safe.
    pub async fn free_space(self: &Arc<Self>, job: JobId) -> Option<u64> {
        let context = Arc::clone(self);
        let first = blocking(move || context.files.unfinished(job, None, 1).ok()?.into_iter().next());
        let Some(file) = first.await else { return Some(u64::MAX) };
        let directory = file.local_name.directory().to_owned();
        let look = {
            let (directory, context) = (directory.clone(), Arc::clone(self));
            let open = move || Directory::open_for(&directory, &context.tenants.of(&context.files.owner(job)?));
            move || open().and_then(|directory| directory.free_space()).unwrap_or(u64::MAX)
        };
        self.space.bytes_available(directory, look).await
    }
}

/// How one file's publication went.
enum Published {
    /// It has its local name, since now or since an earlier try.
    Yes,
    /// Its part file is missing, or another.
    Lost,
}

struct Publication<'a> {
    context: &'a TransferContext,
    job: JobId,
    overwrite: Overwrite,
    /// What the owner may do; found out when it is needed first.
    tenant: Option<Arc<Tenant>>,
    directories: HashMap<PathBuf, Directory>,
    files_published: u32,
    lost: Vec<FileSummary>,
}

impl<'a> Publication<'a> {
    fn new(context: &'a TransferContext, job: JobId, overwrite: Overwrite) -> Self {
        Self {
            context,
            job,
            overwrite,
            tenant: None,
            directories: HashMap::new(),
            files_published: 0,
            lost: Vec::new(),
        }
    }

    fn run(mut self) -> Report {
        let error = self.all().and_then(|()| self.sync()).err();
        Report::Published { files_published: self.files_published, error: error.map(|error| *error), lost: self.lost }
    }

    fn all(&mut self) -> Result<(), Box<JobError>> {
        let mut after: Option<FileIndex> = None;
        loop {
            let files = self.context.files.unpublished(self.job, after, PAGE_FILES);
            let files = files.map_err(|error| job_error(None, error.to_string(), &error))?;
            for file in &files {
                match self.one(file) {
                    Ok(Published::Yes) => self.files_published += 1,
                    Ok(Published::Lost) => self.lost.push(FileSummary::from(file)),
                    Err(error) => {
                        // What was renamed before must last nevertheless.
                        let _ = self.sync();
                        return Err(publication_error(file, &error));
                    }
                }
            }
            after = files.last().map(|file| file.index);
            if files.len() < PAGE_FILES as usize {
                return Ok(());
            }
        }
    }

    fn one(&mut self, file: &FileRecord) -> Result<Published, FileError> {
        let path = file.local_name.directory();
        if !self.directories.contains_key(path) {
            if self.directories.len() >= super::directory::OPEN_MAX {
                self.sync_directories()?;
            }
            let tenant = match &self.tenant {
                Some(tenant) => tenant,
                None => self.tenant.insert(self.context.tenants.of(&self.context.files.owner(self.job)?)),
            };
            self.directories.insert(path.to_owned(), Directory::open_for(path, tenant)?);
        }
        let directory = &self.directories[path];
        let part = part_file_name(self.context.store, self.job, file.index);
        let target = file.local_name.file_name();
        let there = rustix::fs::statat(directory.as_fd(), target, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|stat| Some(identity(&stat)) == file.part) {
            // An earlier try came so far; one by linking may have left the old name.
            part_file::remove(directory, &part)?;
            return Ok(Published::Yes);
        }
        let Some(opened) = open_part(directory, &part, file)? else { return Ok(Published::Lost) };
        let shown = || directory.show(target);
        let error = |operation, errno: Errno| FileError::local(operation, &shown(), &errno.into());
        directory.give(&opened).map_err(|errno| error("give away", errno))?;
        rustix::fs::fchmod(&opened, self.context.file_mode).map_err(|errno| error("set the mode of", errno))?;
        set_modification_time(&opened, file);
        directory.check_target(target, self.overwrite)?;
        rename(directory, &part, target, self.overwrite).map_err(|errno| match errno {
            Errno::EXIST => FileError::LocalFileExists { name: shown() },
            errno => error("rename the part file to", errno),
        })?;
        Ok(Published::Yes)
    }

    fn sync(&mut self) -> Result<(), Box<JobError>> {
        self.sync_directories().map_err(|error| job_error(None, format!("failed to publish: {error}"), &error))
    }

    fn sync_directories(&mut self) -> Result<(), FileError> {
        self.directories.drain().try_for_each(|(_, directory)| directory.sync())
    }
}

/// The part file, if it is the one that the store knows, with all its bytes.
fn open_part(directory: &Directory, part: &str, file: &FileRecord) -> Result<Option<OwnedFd>, FileError> {
    // O_NONBLOCK: somebody may have put a FIFO there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match retry_on_intr(|| rustix::fs::openat(directory.as_fd(), part, flags, Mode::empty())) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(None),
        Err(errno) => return Err(FileError::local("open", &directory.show(part), &errno.into())),
    };
    let stat = rustix::fs::fstat(&fd);
    let stat = stat.map_err(|errno| FileError::local("look at", &directory.show(part), &errno.into()))?;
    let is_it = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && Some(identity(&stat)) == file.part
        && u64::try_from(stat.st_size) == Ok(file.durable)
        && directory.may_hold(&stat);
    Ok(is_it.then_some(fd))
}

const fn identity(stat: &Stat) -> PartIdentity {
    PartIdentity { device: stat.st_dev, inode: stat.st_ino }
}

/// The file is as old as the origin's, where that is known, as BITS has it. A file system that cannot say so does no harm.
fn set_modification_time(part: &OwnedFd, file: &FileRecord) {
    let field = file.version.as_ref().and_then(|version| version.last_modified.as_deref());
    let time = field.and_then(|text| httpdate::parse_http_date(text).ok());
    let since_epoch = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let seconds = since_epoch.and_then(|duration| i64::try_from(duration.as_secs()).ok());
    if let Some(seconds) = seconds {
        let last_access = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let last_modification = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let _ = rustix::fs::futimens(part, &Timestamps { last_access, last_modification });
    }
}

fn rename(directory: &Directory, part: &str, target: &OsStr, overwrite: Overwrite) -> rustix::io::Result<()> {
    let fd = directory.as_fd();
    match overwrite {
        Overwrite::Replace => rustix::fs::renameat(fd, part, fd, target),
        Overwrite::Refuse => match rustix::fs::renameat_with(fd, part, fd, target, RenameFlags::NOREPLACE) {
            // A file system without that flag. A link is not made over an existing name either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(fd, part, fd, target, AtFlags::empty())?;
                rustix::fs::unlinkat(fd, part, AtFlags::empty())
            }
            result => result,
        },
    }
}

/// Returns how many could not be deleted.
fn delete_parts(context: &TransferContext, job: JobId) -> u32 {
    let Ok(tenant) = context.files.owner(job).map(|owner| context.tenants.of(&owner)) else { return 1 };
    let mut files_left = 0;
    let mut first = FileIndex(0);
    let mut opened: Option<(PathBuf, Result<Directory, FileError>)> = None;
    loop {
        let Ok(files) = context.files.all(job, first, PAGE_FILES) else {
            // Which files there are is not known; at least one may be left.
            return files_left.max(1);
        };
        for file in files.iter().filter(|file| !file.published) {
            let path = file.local_name.directory();
            let directory = directory_of(&mut opened, path, &tenant);
            let deleted = match directory {
                Ok(directory) => part_file::remove(directory, &part_file_name(context.store, job, file.index)).is_ok(),
                // Without its directory the part file is gone as well.
                Err(_) => file.part.is_none() || !path.exists(),
            };
            files_left += u32::from(!deleted);
        }
        match files.last() {
            Some(last) if files.len() == PAGE_FILES as usize => first = FileIndex(last.index.0 + 1),
            _ => return files_left,
        }
    }
}

/// The directory, kept from the file before if it is the same.
fn directory_of<'a>(
    opened: &'a mut Option<(PathBuf, Result<Directory, FileError>)>,
    path: &Path,
    tenant: &Tenant,
) -> &'a Result<Directory, FileError> {
    if opened.as_ref().is_none_or(|(opened, _)| opened != path) {
        *opened = None;
    }
    &opened.get_or_insert_with(|| (path.to_owned(), Directory::open_for(path, tenant))).1
}

fn publication_error(file: &FileRecord, error: &FileError) -> Box<JobError> {
    job_error(Some(file.index), format!("failed to publish the file from {}: {error}", file.remote_name), error)
}

fn job_error(file: Option<FileIndex>, description: String, error: &FileError) -> Box<JobError> {
    let (code, context, class) = (error.code(), error.context(), error.class());
    Box::new(JobError { code, context, class, http_status: None, file, description })
}
