//! What can go wrong with a store.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store could not be opened, read or written. Whatever the reason, an opening that fails leaves the files as they were, and
/// a commit that fails leaves the store as it was before it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it, or this one a second time.
    #[error("the store {} is in use by {}; stop that first, or use another directory", .path.display(), Holder(*.pid))]
    InUse {
        /// Its directory.
        path: PathBuf,
        /// Who, as the lock file says; none if it does not say.
        pid: Option<u32>,
    },
    /// The directory lies on a file system whose locks and mappings are not to be relied on.
    #[error("the directory {} lies on a network file system ({kind}); a store needs a local disk", .path.display())]
    NetworkFileSystem {
        /// The directory.
        path: PathBuf,
        /// Which kind.
        kind: &'static str,
    },
    /// There is none, and none was to be created.
    #[error("there is no store in {}", .path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the store's name that is something else.
    #[error("{} is {found}, not a store of backhaul; it was left as it is: move it away, or use another directory", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A store of a newer program.
    #[error("the store {} has version {found}, and this program knows versions up to {known}; it was left as it is: use the newer program", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// Its structure is broken, or a file of it is gone.
    #[error("the store {} is damaged: {detail}; it was left as it is: put a copy of it back, or use another directory", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A row that cannot be: bits changed on the disk, or something else wrote to the store.
    #[error("the store {} is damaged: {row}; put a copy of it back, or use another directory", .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Which row, and what is wrong with it.
        row: RowError,
    },
    /// No space, or no quota. Nothing of the commit is stored; it can be tried again once there is space.
    #[error("the disk of the store {} is full; free some space there", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("failed to {operation} {}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The batch contradicts the store, for example a file of a job that is not there. A mistake of this program.
    #[error("the store {} refused a change: {detail}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What contradicts it.
        detail: String,
    },
    /// The store was closed before.
    #[error("the store {} is closed", .path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    pub(super) fn io(operation: &'static str, path: &Path, error: std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { operation, path, source: Box::new(error) },
        }
    }
}

/// A row that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table {table}, {row}, column {column}: {problem}")]
pub struct RowError {
    /// The table.
    pub table: &'static str,
    /// The row, by its key.
    pub row: String,
    /// The column.
    pub column: &'static str,
    /// What is wrong.
    pub problem: String,
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// A failure inside, where the path is not known. The edge adds it: [`Problem::at`].
#[derive(Debug)]
pub(super) enum Problem {
    Sqlite(rusqlite::Error),
    Row(RowError),
    Refused(String),
}

pub(super) type Result<T> = std::result::Result<T, Problem>;

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<RowError> for Problem {
    fn from(row: RowError) -> Self {
        Self::Row(row)
    }
}

impl Problem {
    pub(super) fn at(self, operation: &'static str, path: &Path) -> StoreError {
        let path = path.to_owned();
        let error = match self {
            Self::Row(row) => return StoreError::Row { path, row },
            Self::Refused(detail) => return StoreError::Refused { path, detail },
            Self::Sqlite(error) => error,
        };
        // Every statement is a constant of this program: but in a migration, one that SQLite can make no sense of meets another schema.
        if operation != "migrate" && matches!(error, rusqlite::Error::SqlInputError { .. }) {
            return StoreError::Damaged { path, detail: error.to_string() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged { path, detail: error.to_string() }
            }
            Some(ErrorCode::ConstraintViolation) => StoreError::Refused { path, detail: error.to_string() },
            _ => StoreError::Io { operation, path, source: Box::new(error) },
        }
    }
}
