//! The writer: a thread that owns the only connection that writes.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::apply::{self, Applied};
use super::ballast::{self, Ballast};
use super::error::{Problem, StoreError};
use super::lock::StoreLock;
use super::{Batch, CommitFault, Committed, FailCommit, OnFullDisk, PruneLimits, Pruned, directory, notify, prune};
use crate::notify::NotifyWrite;
use crate::scheduler::Write;

/// Below this, an I/O error is taken for a full disk: SQLite reports a log index that cannot grow as one.
const FULL_BELOW_BYTES: u64 = 64 << 10;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Request {
    Commit { batch: Box<Batch>, reply: oneshot::Sender<Result<Committed, StoreError>> },
    Prune { limits: PruneLimits, reply: oneshot::Sender<Result<Pruned, StoreError>> },
    Notify { writes: Vec<NotifyWrite>, reply: oneshot::Sender<Result<(), StoreError>> },
    Close { reply: oneshot::Sender<Result<(), StoreError>> },
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) database: Arc<PathBuf>,
    pub(super) ballast: Ballast,
    pub(super) fail_commit: Option<FailCommit>,
    /// Commits tried so far.
    pub(super) commits: u64,
    /// Released when the connection is closed and nobody reads any more.
    pub(super) lock: Arc<StoreLock>,
}

impl Writer {
    /// The thread's life: until it is told to close, or nobody is left who could ask anything.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.blocking_recv() {
            match request {
                // A caller that has gone does not want the answer; what it asked for is done.
                Request::Commit { batch, reply } => drop(reply.send(self.commit(*batch))),
                Request::Prune { limits, reply } => drop(reply.send(self.prune(limits))),
                Request::Notify { writes, reply } => drop(reply.send(self.notify(&writes))),
                Request::Close { reply } => {
                    // What is still queued is dropped unanswered, which its callers see as closed.
                    requests.close();
                    let _ = reply.send(self.close());
                    return;
                }
            }
        }
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the store could not be closed; its log stays beside it and is read at the next start");
        }
    }

    fn prune(&mut self, limits: PruneLimits) -> Result<Pruned, StoreError> {
        self.transaction(|connection| prune::prune(connection, limits))
    }

    fn notify(&mut self, writes: &[NotifyWrite]) -> Result<(), StoreError> {
        let fault = self.fault();
        self.transaction(|connection| {
            notify::apply(connection, writes)?;
            fault.map_or(Ok(()), |fault| Err(fault.into()))
        })
    }

    /// How the next commit fails, if a test wants it to.
    fn fault(&mut self) -> Option<CommitFault> {
        self.commits += 1;
        self.fail_commit.as_ref().and_then(|fail| fail.0(self.commits))
    }

    fn commit(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let fault = self.fault();
        let refuse = batch.on_full_disk == OnFullDisk::Refuse;
        if refuse && directory::available(&self.database).is_some_and(|bytes| bytes < ballast::BYTES) {
            return Err(StoreError::Full { path: self.database.to_path_buf() });
        }
        let mut result = self.transaction(|connection| content(connection, &batch, fault));
        let may_use_ballast = fault.is_none() && !refuse && adds_no_work(&batch);
        while may_use_ballast && matches!(result, Err(StoreError::Full { .. })) && self.ballast.release() {
            result = self.transaction(|connection| content(connection, &batch, None));
        }
        let applied = result?;
        self.ballast.restore();
        Ok(Committed { events: applied.events, replaced: applied.replaced })
    }

    fn transaction<T>(&mut self, content: impl Fn(&Connection) -> Result<T, Problem>) -> Result<T, StoreError> {
        let result = Self::try_transaction(&mut self.connection, content);
        if result.is_err() && !self.connection.is_autocommit() {
            // The transaction rolls itself back when it is dropped; this is for a rollback that failed too.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        result.map_err(|problem| match problem.at("write", &self.database) {
            StoreError::Io { path, .. }
                if directory::available(&path).is_some_and(|bytes| bytes < FULL_BELOW_BYTES) =>
            {
                StoreError::Full { path }
            }
            error => error,
        })
    }

    fn try_transaction<T>(
        connection: &mut Connection,
        content: impl Fn(&Connection) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        // IMMEDIATE: a transaction that begins by reading and then writes is refused at once where another one writes.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = content(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Brings the log into the database, so that a closed store is one file.
    fn close(self) -> Result<(), StoreError> {
        let Self { connection, database, lock, .. } = self;
        let at = |error: rusqlite::Error| Problem::from(error).at("close", &database);
        // A reader may still hold back a part of the log; the next writer goes on with it.
        let checkpointed = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(at);
        let closed = connection.close().map_err(|(_, error)| at(error));
        drop(lock);
        checkpointed.and(closed)
    }
}

impl From<CommitFault> for Problem {
    fn from(fault: CommitFault) -> Self {
        let code = match fault {
            CommitFault::Full => rusqlite::ffi::SQLITE_FULL,
            CommitFault::Io => rusqlite::ffi::SQLITE_IOERR_FSYNC,
        };
        Self::Sqlite(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some("injected".into())))
    }
}

/// The content of a batch's transaction, which fails at its end where a test wants it to.
fn content(connection: &Connection, batch: &Batch, fault: Option<CommitFault>) -> Result<Applied, Problem> {
    let applied = apply::batch(connection, batch)?;
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(applied),
    }
}

/// Whether a batch only tells what became of work that was accepted before.
fn adds_no_work(batch: &Batch) -> bool {
    !batch.writes.iter().any(|write| matches!(write, Write::InsertJob { .. } | Write::InsertFiles { .. }))
}
