//! Opens a store: lock, then a look that changes nothing, then the writer's connection and what there is to migrate.
//!
//! A store is created under another name and renamed when it is whole and durable, so that a crash in between leaves no half of one. An
//! existing one is written to only after it was found to be ours, of a version that this program knows, and sound.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use rustix::fs::OFlags;

use super::connection::{self, Access, Wal};
use super::error::{Problem, RowError, StoreError};
use super::header::{self, Header};
use super::lock::{FILE_MODE, StoreLock};
use super::schema::Schema;
use super::{Found, OpenMode, directory};
use crate::job::StoreId;

/// The database's name in the store's directory.
const DATABASE: &str = "store.db";

/// Lines of `quick_check` that are shown: the first say enough.
const CHECK_LINES: u32 = 5;

/// A store whose lock is held and whose files were looked at.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) lock: Arc<StoreLock>,
    /// The directory's real path.
    pub(super) directory: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// The writer's connection.
    pub(super) connection: Connection,
    pub(super) id: StoreId,
    pub(super) found: Found,
}

/// Takes the lock and finds out whether there is a store.
pub(super) fn locked(directory: &Path, mode: OpenMode) -> Result<(StoreLock, PathBuf, PathBuf, Presence), StoreError> {
    let directory = directory::prepare(directory, mode)?;
    let database = directory.join(DATABASE);
    // A directory without a store is left without a lock file as well, unless one is to be created.
    if mode == OpenMode::Existing && presence(&database)? == Presence::Absent {
        return Err(StoreError::Missing { path: directory });
    }
    let lock = StoreLock::acquire(&directory)?;
    let presence = presence(&database)?;
    Ok((lock, directory, database, presence))
}

/// Whether there is a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

fn presence(database: &Path) -> Result<Presence, StoreError> {
    match std::fs::symlink_metadata(database) {
        Ok(_) => Ok(Presence::Present),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match beside(database, "-wal").exists() {
            // A new database would take the old one's log for its own.
            true => Err(StoreError::Damaged {
                path: database.to_owned(),
                detail: "it is gone, and only its write-ahead log is left".into(),
            }),
            false => Ok(Presence::Absent),
        },
        Err(error) => Err(StoreError::io("look at", database, error)),
    }
}

/// Opens a store for writing; creates or migrates it first if need be.
pub(super) fn open(directory: &Path, mode: OpenMode, schema: &Schema) -> Result<Ready, StoreError> {
    let (lock, directory, database, presence) = locked(directory, mode)?;
    let found = match presence {
        Presence::Absent => {
            create(&directory, &database, schema)?;
            Found::Nothing
        }
        Presence::Present => match inspect(&database, schema)?.version {
            version if version == schema.version() => Found::Store,
            from => Found::Older { from, backup: directory.join(format!("backup-v{from}.db")) },
        },
    };
    let at = |problem: Problem| problem.at("open", &database);
    let mut connection = connection::open(&database, Access::Write).map_err(at)?;
    if let Found::Older { backup, .. } = &found {
        back_up(&connection, backup)?;
        migrate(&mut connection, schema, &database)?;
    }
    let id = store_id(&connection).map_err(at)?;
    // The first read has created the log; its name must not be lost.
    directory::sync(&directory)?;
    Ok(Ready { lock: Arc::new(lock), directory, database, connection, id, found })
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn create(directory: &Path, database: &Path, schema: &Schema) -> Result<(), StoreError> {
    let unfinished = beside(database, ".new");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        remove_if_there(&beside(&unfinished, suffix))?;
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&unfinished);
    created.map_err(|error| StoreError::io("create", &unfinished, error))?;
    fill(&unfinished, schema)?;
    let renamed = File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| rustix::fs::rename(&unfinished, database).map_err(Into::into));
    renamed.map_err(|error| StoreError::io("create", database, error))?;
    directory::sync(directory)
}

/// Makes an empty file a store. Not durable by itself: the caller sees to that, once.
fn fill(path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let sql = |error: rusqlite::Error| Problem::from(error).at("create", path);
    let mut connection = Connection::open(path).map_err(sql)?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF").map_err(sql)?;
    connection.pragma_update(None, "application_id", header::APPLICATION_ID.cast_signed()).map_err(sql)?;
    migrate(&mut connection, schema, path)?;
    let id = with_checksum(StoreId::generate());
    connection.execute("INSERT INTO meta (key, value) VALUES ('store_id', ?1)", params![id]).map_err(sql)?;
    connection.execute_batch("PRAGMA journal_mode = WAL").map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path, error)),
        _ => Ok(()),
    }
}

fn migrate(connection: &mut Connection, schema: &Schema, path: &Path) -> Result<(), StoreError> {
    schema.migrate(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => Problem::from(err).at("migrate", path),
        other => StoreError::Io { operation: "migrate", path: path.to_owned(), source: Box::new(other) },
    })
}

/// Copies the store as it is before a migration, whole and durable.
fn back_up(connection: &Connection, backup: &Path) -> Result<(), StoreError> {
    let unfinished = beside(backup, ".new");
    remove_if_there(&unfinished)?;
    let created = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&unfinished);
    created.map_err(|error| StoreError::io("create", &unfinished, error))?;
    let Some(name) = unfinished.to_str() else {
        let error = std::io::Error::other("the path is not UTF-8, which SQLite needs for a copy");
        return Err(StoreError::io("back up the store to", &unfinished, error));
    };
    let copied = connection.execute("VACUUM INTO ?1", params![name]);
    copied.map_err(|error| Problem::from(error).at("back up the store to", &unfinished))?;
    let renamed = File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| rustix::fs::rename(&unfinished, backup).map_err(Into::into));
    renamed.map_err(|error| StoreError::io("back up the store to", backup, error))?;
    directory::sync(backup.parent().expect("it was joined to a directory"))
}

/// A database that nobody else has open, and that was found sound so far.
#[derive(Debug)]
pub(super) struct Inspected {
    // Closed before the index is removed: fields are dropped in this order.
    pub(super) connection: Connection,
    _index: LeftoverIndex,
    pub(super) version: u32,
}

/// The index of a log, if it was made only to read that.
#[derive(Debug)]
struct LeftoverIndex(Option<PathBuf>);

impl Drop for LeftoverIndex {
    fn drop(&mut self) {
        // Nobody uses it now, and the next to open the store would make it again.
        let _ = self.0.as_ref().map(std::fs::remove_file);
    }
}

/// Looks at a database that nobody has open, without changing a byte of it.
pub(super) fn inspect(database: &Path, schema: &Schema) -> Result<Inspected, StoreError> {
    let wal = match std::fs::metadata(beside(database, "-wal")) {
        Ok(found) if found.len() > 0 => Wal::Present,
        _ => Wal::Absent,
    };
    look_at_header(database, schema, wal)?;
    let index = Some(beside(database, "-shm")).filter(|index| !index.exists());
    let index = LeftoverIndex(index);
    let at = |problem: Problem| problem.at("read", database);
    let connection = connection::open(database, Access::Inspect { wal }).map_err(at)?;
    let version = look_by_sqlite(&connection, database, schema)?;
    Ok(Inspected { connection, _index: index, version })
}

fn look_at_header(database: &Path, schema: &Schema, wal: Wal) -> Result<(), StoreError> {
    let path = database.to_owned();
    let foreign = |found: &str| StoreError::Foreign { path: database.to_owned(), found: found.to_owned() };
    let io = |error| StoreError::io("read", database, error);
    // A pipe is not waited for, a link is not followed.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(database) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(foreign("a symbolic link"));
        }
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(foreign("no ordinary file"));
    }
    let mut bytes = Vec::with_capacity(header::HEADER_BYTES);
    file.take(header::HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(io)?;
    match header::parse(&bytes) {
        Header::Foreign(found) => Err(StoreError::Foreign { path, found }),
        Header::Damaged(detail) => Err(StoreError::Damaged { path, detail: detail.into() }),
        Header::Store { version, .. } if version > schema.version() => {
            Err(StoreError::Newer { path, found: version, known: schema.version() })
        }
        // With a log beside it, the file may be shorter than its header says: a checkpoint writes the header first.
        Header::Store { bytes: Some(bytes), .. } if wal == Wal::Absent && metadata.len() < bytes => {
            let detail = format!("it has {} bytes where its header says {bytes}", metadata.len());
            Err(StoreError::Damaged { path, detail })
        }
        Header::Store { .. } => Ok(()),
    }
}

fn look_by_sqlite(connection: &Connection, database: &Path, schema: &Schema) -> Result<u32, StoreError> {
    let sql = |error: rusqlite::Error| Problem::from(error).at("read", database);
    let path = || database.to_owned();
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(sql);
    let version = pragma("user_version")?;
    if version > schema.version() {
        return Err(StoreError::Newer { path: path(), found: version, known: schema.version() });
    }
    if version == 0 {
        return Err(StoreError::Damaged { path: path(), detail: "it has no version".into() });
    }
    let mut lines = Vec::new();
    connection
        .pragma(None, "quick_check", CHECK_LINES, |row| {
            lines.push(row.get::<_, String>(0)?);
            Ok(())
        })
        .map_err(sql)?;
    if lines != ["ok"] {
        return Err(StoreError::Damaged { path: path(), detail: lines.join("; ") });
    }
    let mut orphans = 0_u64;
    connection
        .pragma_query(None, "foreign_key_check", |_| {
            orphans += 1;
            Ok(())
        })
        .map_err(sql)?;
    match orphans {
        0 => Ok(version),
        _ => Err(StoreError::Damaged { path: path(), detail: format!("{orphans} rows belong to no job") }),
    }
}

/// The id that was drawn when the store was created.
pub(super) fn store_id(connection: &Connection) -> super::error::Result<StoreId> {
    let sql = "SELECT value FROM meta WHERE key = 'store_id'";
    let text = connection.query_row(sql, [], |row| row.get::<_, String>(0)).optional()?;
    let row = |problem: String| RowError { table: "meta", row: "key store_id".into(), column: "value", problem };
    let text = text.ok_or_else(|| row("it is missing".into()))?;
    let id = text.split(' ').next().unwrap_or_default().parse::<StoreId>();
    let id = id.map_err(|error| row(error.to_string()))?;
    match with_checksum(id) == text {
        true => Ok(id),
        false => Err(row("its checksum is wrong: bits of it have changed".into()).into()),
    }
}

/// As it is stored: under a changed id, no part file would be found again.
fn with_checksum(id: StoreId) -> String {
    let id = id.to_string();
    format!("{id} {:08x}", crc32fast::hash(id.as_bytes()))
}
