//! Reading: connections that cannot write, beside the writer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::connection::{self, Access};
use super::error::{Problem, Result, StoreError};
use super::lock::StoreLock;
use super::rows::file::Stage;
use super::rows::{decision, event, file, header, idempotency, job, memo, meta, response, token};
use crate::access::TokenRecord;
use crate::job::{
    Event, EventFilter, FileIndex, FileRecord, FileResponse, JobFilter, JobId, JobRecord, PolicyName, RequestHeaders,
    Sha256, StoreId,
};
use crate::network::Network;
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

/// A page of what a filter shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredEvents {
    /// The events with their numbers.
    pub events: Vec<(u64, Event)>,
    /// The number up to which was looked: what comes next comes after it. It moves on although nothing matched.
    pub last_number: u64,
}

/// A page of final jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalJobs {
    /// The jobs, in the order of their ids.
    pub jobs: Vec<JobRecord>,
    /// After which job the next page begins; none if there is no more.
    pub next: Option<JobId>,
}

/// Rows that one page looks at: a filter that matches little must not keep a reader busy. Some 20 ms.
const LOOKED_AT_MAX: usize = 5_000;

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

    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> std::result::Result<T, StoreError> {
        read(&self.connection).map_err(|problem: Problem| problem.at("read", &self.database))
    }

    /// Several reads of the store as it is at one moment: what is committed meanwhile is in none of them.
    ///
    /// # Errors
    /// Those of `read`, or if the store cannot be read.
    pub fn at_once<T>(
        &self,
        read: impl FnOnce(&Self) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        // Unchecked: nothing else begins a transaction on a reader. Dropped, it is rolled back, and nothing was changed.
        let moment = self.connection.unchecked_transaction();
        let moment = moment.map_err(|error| Problem::from(error).at("read", &self.database))?;
        let result = read(self);
        drop(moment);
        result
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

    /// The last head that an origin answered with for a file; none if none has.
    pub fn response(&self, job: JobId, file: FileIndex) -> std::result::Result<Option<FileResponse>, StoreError> {
        self.read(|connection| response::get(connection, job, file))
    }

    /// Whether any file of a job has ranges. Looks at all of them, if none has.
    pub fn has_ranges(&self, job: JobId) -> std::result::Result<bool, StoreError> {
        self.read(|connection| file::any_ranged(connection, job))
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

    /// At most `limit` entries of the journal after number `after` that a filter shows. Looks at a bounded number of entries, and says how
    /// far it came: there may be more although the page is not full.
    pub fn events_filtered(
        &self,
        after: u64,
        limit: u32,
        filter: &EventFilter,
    ) -> std::result::Result<FilteredEvents, StoreError> {
        self.read(|connection| {
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            let looked_at_max = u32::try_from(LOOKED_AT_MAX.max(wanted)).unwrap_or(u32::MAX);
            let (mut page, mut jobs) = (FilteredEvents { events: Vec::new(), last_number: after }, HashMap::new());
            let mut left = looked_at_max;
            while left > 0 && page.events.len() < wanted {
                // Most filters match most of what is looked at, or next to nothing.
                let count = limit.max(256).min(left);
                let found = event::after(connection, page.last_number, count, filter.job)?;
                let is_last = found.len() < usize::try_from(count).unwrap_or(usize::MAX);
                for (number, event) in found {
                    page.last_number = number;
                    let shown = filter.matches(&event, |job| {
                        let known = jobs.entry(job).or_insert_with(|| job::get(connection, job).ok().flatten());
                        known.as_ref()
                    });
                    if shown {
                        page.events.push((number, event));
                    }
                    if page.events.len() == wanted {
                        return Ok(page);
                    }
                }
                if is_last {
                    break;
                }
                left -= count;
            }
            Ok(page)
        })
    }

    /// The last entries of the journal about a job, at most `limit`, oldest first.
    pub fn last_events(&self, job: JobId, limit: u32) -> std::result::Result<Vec<(u64, Event)>, StoreError> {
        self.read(|connection| event::last_of_job(connection, job, limit))
    }

    /// The number of the oldest entry of the journal that is kept; the number of the next one if none is kept.
    pub fn first_event_number(&self) -> std::result::Result<u64, StoreError> {
        self.read(|connection| match event::first_number(connection)? {
            Some(number) => Ok(number),
            None => Ok(event::last_number(connection)? + 1),
        })
    }

    /// The number that was given last to an entry of the journal, whether it is kept or not; 0 if none was.
    pub fn last_event_number(&self) -> std::result::Result<u64, StoreError> {
        self.read(event::last_number)
    }

    /// At most `limit` decisions for a job after number `after`, oldest first, each with its number.
    pub fn decisions(
        &self,
        job: JobId,
        after: u64,
        limit: u32,
    ) -> std::result::Result<Vec<(u64, DecisionRow)>, StoreError> {
        self.read(|connection| decision::of_job(connection, job, after, limit))
    }

    /// The last decisions for a job, at most `limit`, oldest first.
    pub fn last_decisions(&self, job: JobId, limit: u32) -> std::result::Result<Vec<(u64, DecisionRow)>, StoreError> {
        self.read(|connection| decision::last_of_job(connection, job, limit))
    }

    /// At most `limit` final jobs after `after`, or from the oldest on, that a filter shows. Looks at a bounded number of jobs, and says
    /// where to go on: there may be more although the page is not full.
    pub fn final_jobs(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> std::result::Result<FinalJobs, StoreError> {
        self.read(|connection| {
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            let (mut jobs, mut last, mut left) = (Vec::new(), after, LOOKED_AT_MAX.max(wanted));
            while left > 0 && jobs.len() < wanted {
                let count = limit.clamp(1, 256);
                let page = job::final_after(connection, last, count)?;
                left = left.saturating_sub(page.len());
                let is_last = page.len() < usize::try_from(count).unwrap_or(usize::MAX);
                let end = page.len();
                for (position, job) in page.into_iter().enumerate() {
                    last = Some(job.id);
                    if filter.matches(job.state, &job) {
                        jobs.push(job);
                    }
                    if jobs.len() == wanted {
                        let next = last.filter(|_| !(is_last && position + 1 == end));
                        return Ok(FinalJobs { jobs, next });
                    }
                }
                if is_last {
                    return Ok(FinalJobs { jobs, next: None });
                }
            }
            Ok(FinalJobs { jobs, next: last })
        })
    }

    /// The job that was created by a key of its owner, and the digest of the request that it came with.
    pub fn job_of_key(&self, owner: &str, key: &str) -> std::result::Result<Option<(JobId, Sha256)>, StoreError> {
        self.read(|connection| idempotency::get(connection, owner, key))
    }

    /// The tokens of the API, by name.
    pub fn tokens(&self) -> std::result::Result<Vec<TokenRecord>, StoreError> {
        self.read(token::all)
    }

    /// What an operator said of the network, until it is taken back.
    pub fn network_override(&self) -> std::result::Result<Option<Network>, StoreError> {
        self.read(meta::network_override)
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
