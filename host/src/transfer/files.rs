//! What the transfer engine reads of jobs: the store's rows as of the last commit, past the driver. Every call blocks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::FileError;
use crate::job::{FileIndex, FileRecord, JobId, RequestHeaders};
use crate::store::{Reader, StoreError};

/// The one reader that all workers share: they read pages, seldom, and on the blocking pool.
#[derive(Debug)]
pub(crate) struct Files(Mutex<Reader>);

impl Files {
    pub(crate) const fn new(reader: Reader) -> Self {
        Self(Mutex::new(reader))
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // A reader has no state that a panic could leave half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn headers(&self, job: JobId) -> Result<RequestHeaders, FileError> {
        self.reader().headers(job).map_err(unreadable)
    }

    /// Whose a job is, as of the last commit.
    pub(crate) fn owner(&self, job: JobId) -> Result<String, FileError> {
        let record = self.reader().job(job).map_err(unreadable)?;
        let record = record.ok_or_else(|| FileError::Store { detail: format!("there is no job {job}") })?;
        Ok(record.owner)
    }

    pub(crate) fn file(&self, job: JobId, file: FileIndex) -> Result<Option<FileRecord>, FileError> {
        self.reader().file(job, file).map_err(unreadable)
    }

    /// Files that are not finished, after `after`, in their order.
    pub(crate) fn unfinished(
        &self,
        job: JobId,
        after: Option<FileIndex>,
        limit: u32,
    ) -> Result<Vec<FileRecord>, FileError> {
        self.reader().unfinished_files(job, after, limit).map_err(unreadable)
    }

    /// Files that are finished and not published, after `after`, in their order.
    pub(crate) fn unpublished(
        &self,
        job: JobId,
        after: Option<FileIndex>,
        limit: u32,
    ) -> Result<Vec<FileRecord>, FileError> {
        self.reader().finished_unpublished_files(job, after, limit).map_err(unreadable)
    }

    /// All files from `first` on, in their order.
    pub(crate) fn all(&self, job: JobId, first: FileIndex, limit: u32) -> Result<Vec<FileRecord>, FileError> {
        self.reader().files(job, first, limit).map_err(unreadable)
    }
}

fn unreadable(error: StoreError) -> FileError {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        detail = format!("{detail}: {source}");
        cause = source.source();
    }
    FileError::Store { detail }
}
