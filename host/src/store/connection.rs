//! Connections, each with the same settings, read back: SQLite takes no notice of a pragma that it does not know or cannot do.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Problem, Result};

/// Statements kept prepared: more than the store has.
const STATEMENTS_CACHED: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The writer's, of which there is one.
    Write,
    /// A reader's, beside the writer.
    Read,
    /// To look at a store that nobody has open, without changing a byte of it. `wal`: whether a write-ahead log lies beside it.
    Inspect { wal: Wal },
}

/// Whether a write-ahead log lies beside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wal {
    Present,
    Absent,
}

/// Pragmas with their values as they read back.
///
/// `synchronous` FULL (2): with NORMAL, WAL loses acknowledged commits when the power fails. `mmap_size` 0: a mapping would let stray writes of
/// this process into the file. `secure_delete`: headers and remote names may be credentials. `trusted_schema` off: the file may have been made by
/// somebody else. The log is checkpointed every 1,000 pages and cut to 64 MiB after a burst.
const PRAGMAS: [(&str, &str); 10] = [
    ("synchronous", "2"),
    ("foreign_keys", "1"),
    ("busy_timeout", "5000"),
    ("trusted_schema", "0"),
    ("cell_size_check", "1"),
    ("mmap_size", "0"),
    ("wal_autocheckpoint", "1000"),
    ("journal_size_limit", "67108864"),
    ("temp_store", "2"),
    ("secure_delete", "1"),
];

/// Opens an existing database.
pub(super) fn open(path: &Path, access: Access) -> Result<Connection> {
    // NO_MUTEX: each connection is used by one thread at a time, which the borrow checker sees to.
    let common = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = match access {
        Access::Write => Connection::open_with_flags(path, common | OpenFlags::SQLITE_OPEN_READ_WRITE)?,
        Access::Read | Access::Inspect { wal: Wal::Present } => {
            Connection::open_with_flags(path, common | OpenFlags::SQLITE_OPEN_READ_ONLY)?
        }
        // Without `immutable`, SQLite would create a log and its index beside the database.
        Access::Inspect { wal: Wal::Absent } => {
            let flags = common | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable_uri(path), flags)?
        }
    };
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    configure(&connection, access)?;
    Ok(connection)
}

fn configure(connection: &Connection, access: Access) -> Result<()> {
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        // A reader that happens to be the last to go must not write; the writer checkpoints when it ends.
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, access != Access::Write),
    ] {
        if connection.set_db_config(option, value)? != value {
            return Err(Problem::Refused(format!("SQLite did not take {option:?}")));
        }
    }
    for (name, value) in PRAGMAS {
        connection.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        expect_pragma(connection, name, value)?;
    }
    match access {
        Access::Write => {
            connection.execute_batch("PRAGMA journal_mode = WAL")?;
            expect_pragma(connection, "journal_mode", "wal")
        }
        Access::Read => {
            connection.execute_batch("PRAGMA query_only = 1")?;
            expect_pragma(connection, "query_only", "1")?;
            expect_pragma(connection, "journal_mode", "wal")
        }
        Access::Inspect { .. } => Ok(()),
    }
}

fn expect_pragma(connection: &Connection, name: &str, value: &str) -> Result<()> {
    use rusqlite::types::ValueRef;
    let found = connection.pragma_query_value(None, name, |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{:?}", other.data_type()),
        })
    })?;
    match found == value {
        true => Ok(()),
        false => Err(Problem::Refused(format!("SQLite keeps {name} at {found} instead of {value}"))),
    }
}

/// A URI of the path with every byte escaped that could mean something in one.
fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(byte)),
            _ => write!(uri, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    uri.push_str("?immutable=1");
    uri
}
