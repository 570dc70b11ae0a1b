//! The store: jobs, files, journal, decisions and memos in one SQLite database. The only place with SQL.
//!
//! ```text
//! driver ─ Batch ─→ Store ─ channel ─→ writer thread ─ one transaction ─→ store.db, store.db-wal
//!    ↑                                      │                                  ↑
//!    └──── Committed, journal numbers ←─────┘           Reader (any thread) ───┘
//! ```
//!
//! [`Store`] is a handle; its writer thread owns the only connection that writes, and the handles own the thread: it ends when the last of them is
//! dropped or [`Store::close`] is called. One process has a store at a time, by a lock that the kernel ends with its holder.
//!
//! On a crash at any point: a commit that was answered is there, whole; one that was not is there whole or not at all. SQLite's log is synced
//! at each commit, before the answer. A store is created whole or not at all, and copied before it is migrated.

mod apply;
mod ballast;
mod change;
mod check;
mod connection;
mod directory;
mod error;
mod header;
mod lock;
mod notify;
mod open;
mod prune;
mod reader;
mod rows;
mod schema;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::clock::UnixMillis;
use crate::job::{Event, FileIndex, JobId, StoreId};
use crate::policy::{DecisionRow, Memo};
use crate::scheduler::{RequestId, Write};

pub use check::{CheckReport, Finding, check};
pub use error::{RowError, StoreError};
pub use notify::StoredWebhook;
pub use reader::{Counts, FilteredEvents, FinalJobs, Reader};

#[cfg(test)]
pub(crate) mod tests;

use ballast::Ballast;
use lock::StoreLock;
use schema::Schema;
use writer::{Request, Writer};

/// Commits that wait for the writer: the driver has one in flight and gathers the next meanwhile.
const REQUESTS_CAPACITY: usize = 2;

/// What to do where there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Create the directory and the store.
    CreateIfMissing,
    /// Fail with [`StoreError::Missing`].
    Existing,
}

/// What was there when a store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the store is new.
    Nothing,
    /// A store of this program's version.
    Store,
    /// A store of an older version. It was copied, then migrated.
    Older {
        /// Its version.
        from: u32,
        /// The copy.
        backup: PathBuf,
    },
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// What was there.
    pub found: Found,
}

/// What is written in one transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// In order.
    pub writes: Vec<Write>,
    /// Rows of the decision log. Their jobs may be inserted by the same batch.
    pub decisions: Vec<DecisionRow>,
    /// In order; a later memo replaces an earlier one.
    pub memos: Vec<Memo>,
    /// What happens if there is no space for it.
    pub on_full_disk: OnFullDisk,
}

/// What happens to a batch for which a full disk has no space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFullDisk {
    /// If it adds no work, it may use the space that the store keeps for the end of work on that day.
    #[default]
    UseBallast,
    /// It is refused, and it is so already while there is less space than the ballast of a store has: of those who try whether
    /// there is space again. Else somebody whose new work is refused again and again would have the ballast used up by the tries.
    Refuse,
}

/// A batch that is durable.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Committed {
    /// The events of the batch in its order, with their numbers in the journal: from 1, rising, without a gap.
    pub events: Vec<(u64, Event)>,
    /// One for each [`Write::ReplaceRemotePrefix`] of the batch, in its order.
    pub replaced: Vec<Replaced>,
}

/// What became of a [`Write::ReplaceRemotePrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Which job.
    pub job: JobId,
    /// Files that have another remote name now.
    pub files: u32,
    /// Files that kept theirs, because with the new prefix it would be no remote name. At most 1 where it is all or none.
    pub unusable: u32,
    /// The first of them.
    pub first_unusable: Option<FileIndex>,
    /// Whom to reply to, where it is all or none.
    pub request: Option<RequestId>,
}

/// What is no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneLimits {
    /// Final jobs that did not change since.
    pub jobs_before: UnixMillis,
    /// Events before that time...
    pub events_before: UnixMillis,
    /// ... and those beyond so many, oldest first.
    pub events_max: u64,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Jobs that are gone, with all that belonged to them. Their events stay as long as other events.
    pub jobs: Vec<JobId>,
    /// How many events are gone.
    pub events: u64,
    /// There may be more to remove.
    pub more: bool,
}

/// How a commit fails when a test wants it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// As on a full disk.
    Full,
    /// As if the log could not be synced.
    Io,
}

/// Decides for each commit, counted from 1, whether it fails. The transaction is carried out up to its end and rolled back.
#[derive(Clone)]
pub struct FailCommit(pub Arc<dyn Fn(u64) -> Option<CommitFault> + Send + Sync>);

impl fmt::Debug for FailCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailCommit(..)")
    }
}

/// A handle of the store. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None only while this is dropped.
    requests: Option<mpsc::Sender<Request>>,
    /// None only while this is dropped.
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    database: Arc<PathBuf>,
    id: StoreId,
    /// For readers; the writer and every reader have their own.
    lock: std::sync::Weak<StoreLock>,
}

impl Store {
    /// Opens the store of a directory and starts its writer. Blocks on the disk: a few milliseconds, more for a large store, which is checked.
    ///
    /// # Errors
    /// Each kind of [`StoreError`] but `Refused` and `Closed`. The store's files are as they were before then.
    pub fn open(directory: &Path, mode: OpenMode) -> Result<Opened, StoreError> {
        Self::open_failing(directory, mode, None)
    }

    /// As [`Store::open`], with commits that fail: for tests of those who commit.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_failing(
        directory: &Path,
        mode: OpenMode,
        fail_commit: Option<FailCommit>,
    ) -> Result<Opened, StoreError> {
        Self::open_with_schema(directory, mode, fail_commit, &Schema::current())
    }

    fn open_with_schema(
        directory: &Path,
        mode: OpenMode,
        fail_commit: Option<FailCommit>,
        schema: &Schema,
    ) -> Result<Opened, StoreError> {
        let open::Ready { lock, directory, database, connection, id, found } = open::open(directory, mode, schema)?;
        let database = Arc::new(database);
        let shared_lock = Arc::downgrade(&lock);
        let ballast = Ballast::lay(&directory);
        let writer = Writer { connection, database: Arc::clone(&database), ballast, fail_commit, commits: 0, lock };
        let (requests, receiver) = mpsc::channel(REQUESTS_CAPACITY);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(|error| StoreError::io("start the writer of", &database, error))?;
        let shared =
            Shared { requests: Some(requests), thread: Some(thread), directory, database, id, lock: shared_lock };
        Ok(Opened { store: Self { shared: Arc::new(shared) }, found })
    }

    /// The id in the names of this store's part files.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.shared.id
    }

    /// The directory that it lies in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Stores a batch in one transaction, and answers when it is durable. An empty batch writes a row that matters to nobody, and so says
    /// whether the store can be written.
    ///
    /// Dropping the future does not take back a batch that the writer has; whether it is stored is unknown then.
    ///
    /// # Errors
    /// [`StoreError::Full`], `Io`, `Damaged`, `Row`, `Refused` or `Closed`. Nothing of the batch is stored then, and the store can be used
    /// as before.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Commit { batch: Box::new(batch), reply }, answer).await
    }

    /// Removes what is no longer kept, at most some hundred rows, in one transaction. To be called again as long as there is more.
    ///
    /// # Errors
    /// As [`Store::commit`]. Nothing was removed then.
    pub async fn prune(&self, limits: PruneLimits) -> Result<Pruned, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Prune { limits, reply }, answer).await
    }

    /// Opens a connection for reading.
    ///
    /// # Errors
    /// [`StoreError::Closed`], or why the database cannot be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        let lock = self.shared.lock.upgrade().ok_or_else(|| self.closed())?;
        Reader::open(Arc::clone(&self.shared.database), self.shared.id, lock)
    }

    /// Ends the writer after the commits that were asked for before. Other handles get [`StoreError::Closed`] from then on. The lock is free
    /// once the last reader is gone too.
    ///
    /// # Errors
    /// Why the log could not be brought into the database. Nothing is lost: it stays beside the database, and the next opening reads it.
    pub async fn close(self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Close { reply }, answer).await
    }

    async fn ask<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let requests = self.shared.requests.as_ref().expect("taken only by drop");
        requests.send(request).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.shared.database.to_path_buf() }
    }
}

impl Drop for Shared {
    /// Waits for the writer: for the commits that it has, and for the log to be brought into the database.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store panicked");
        }
    }
}
