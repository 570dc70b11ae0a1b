//! Reading: connections that cannot write, beside the writer.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::connection::{self, Access};
use super::error::{Problem, Result, StoreError};
use super::lock::StoreLock;
use super::rows::file::Stage;
use super::rows::{decision, event, file, header, job, memo};
use crate::job::{Event, FileIndex, FileRecord, JobId, JobRecord, PolicyName, RequestHeaders, StoreId};
use crate::policy::DecisionRow;
use crate::policy::contract::Hook;

/// A view of the store that cannot change it. Every call sees all that was committed before it.
///
/// Calls block on the disk: an async caller reads on a thread for that. While a reader lives, the store's lock is held.
pub struct Reader {
    connection: Connection,
    database: Arc<PathBuf>,
    id: StoreId,
    _lock: Arc<StoreLock>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("database", &self.database).finish_non_exhaustive()
    }
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs, final ones too.
    pub jobs: u64,
    /// Files of all jobs.
    pub files: u64,
    /// Entries of the journal.
    pub events: u64,
    /// Rows of the decision log.
    pub decisions: u64,
}

impl Reader {
    pub(super) fn open(
        database: Arc<PathBuf>,
        id: StoreId,
        lock: Arc<StoreLock>,
    ) -> std::result::Result<Self, StoreError> {
        let opened = connection::open(&database, Access::Read);
        let connection = opened.map_err(|problem| problem.at("read", &database))?;
        Ok(Self { connection, database, id, _lock: lock })
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> std::result::Result<T, StoreError> {
        read(&self.connection).map_err(|problem: Problem| problem.at("read", &self.database))
    }

    /// The id in the names of this store's part files.
    #[must_use]
    pub const fn store_id(&self) -> StoreId {
        self.id
    }

    /// The jobs that are not final, oldest first.
    pub fn jobs_not_final(&self) -> std::result::Result<Vec<JobRecord>, StoreError> {
        self.read(job::not_final)
    }

    /// A job, final or not.
    pub fn job(&self, job: JobId) -> std::result::Result<Option<JobRecord>, StoreError> {
        self.read(|connection| job::get(connection, job))
    }

    /// One file of a job.
    pub fn file(&self, job: JobId, index: FileIndex) -> std::result::Result<Option<FileRecord>, StoreError> {
        self.read(|connection| file::get(connection, job, index))
    }

    /// At most `count` files of a job from `first` on, in their order.
    pub fn files(&self, job: JobId, first: FileIndex, count: u32) -> std::result::Result<Vec<FileRecord>, StoreError> {
        self.read(|connection| file::page(connection, job, first, count))
    }

    /// At most `limit` files that are not finished, after file `after` or from the first on, in their order.
    pub fn unfinished_files(
        &self,
        job: JobId,
        after: Option<FileIndex>,
        limit: u32,
    ) -> std::result::Result<Vec<FileRecord>, StoreError> {
        self.read(|connection| file::of_stage(connection, job, Stage::Unfinished, after, limit))
    }

    /// At most `limit` files that are finished and not yet published, after file `after` or from the first on, in their order.
    pub fn finished_unpublished_files(
        &self,
        job: JobId,
        after: Option<FileIndex>,
        limit: u32,
    ) -> std::result::Result<Vec<FileRecord>, StoreError> {
        self.read(|connection| file::of_stage(connection, job, Stage::Finished, after, limit))
    }

    /// The request headers of a job; empty if there is no such job.
    pub fn headers(&self, job: JobId) -> std::result::Result<RequestHeaders, StoreError> {
        self.read(|connection| header::of_job(connection, job))
    }

    /// At most `limit` entries of the journal after number `after`, of one job or of all.
    pub fn events(
        &self,
        after: u64,
        limit: u32,
        job: Option<JobId>,
    ) -> std::result::Result<Vec<(u64, Event)>, StoreError> {
        self.read(|connection| event::after(connection, after, limit, job))
    }

    /// The decisions for a job, oldest first.
    pub fn decisions(&self, job: JobId) -> std::result::Result<Vec<DecisionRow>, StoreError> {
        self.read(|connection| decision::of_job(connection, job))
    }

    /// What a policy remembers of a job for one of its hooks.
    pub fn memo(
        &self,
        job: JobId,
        policy: &PolicyName,
        hook: Hook,
    ) -> std::result::Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| memo::get(connection, job, policy, hook))
    }

    /// How many rows there are.
    pub fn counts(&self) -> std::result::Result<Counts, StoreError> {
        self.read(|connection| {
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
            Ok(Counts {
                jobs: count("SELECT count(*) FROM job")?,
                files: count("SELECT count(*) FROM file")?,
                events: count("SELECT count(*) FROM event")?,
                decisions: count("SELECT count(*) FROM decision")?,
            })
        })
    }
}
