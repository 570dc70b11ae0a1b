//! Rows: one file per entity says how its columns are written and read, and nothing else does.
//!
//! `quick_check` looks at the structure of the file, not at what is in it: it misses most changed bits. Rows therefore carry a checksum over
//! their columns, and a row whose checksum is wrong is an error where it is read.

pub(super) mod decision;
pub(super) mod delivery;
pub(super) mod event;
pub(super) mod file;
pub(super) mod header;
pub(super) mod idempotency;
pub(super) mod job;
pub(super) mod memo;
pub(super) mod meta;
pub(super) mod response;
#[cfg(test)]
mod tests;
pub(super) mod token;
pub(super) mod webhook;

use std::ops::Range;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::error::{Result, RowError};
use crate::job::JobId;

/// A table, with its columns in the order in which its statements have them.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The last is the checksum of those before it.
    pub(super) columns: &'static [&'static str],
    /// The first ones, by which a row is known.
    pub(super) key: usize,
    /// The first one that the checksum is over. A number that SQLite gives is not under it.
    pub(super) first_checked: usize,
    /// Those that later versions have added. The checksum is over them only where they hold something, so that rows of before keep theirs.
    pub(super) added: Range<usize>,
}

/// CRC-32 of the columns, each with its type and length. Each integer takes as many bytes as any other, whatever its value.
pub(super) fn checksum<'a>(table: &Table, columns: impl Iterator<Item = ValueRef<'a>>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut sized = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (position, column) in (table.first_checked..).zip(columns) {
        if table.added.contains(&position) {
            if column == ValueRef::Null {
                continue;
            }
            sized(5, &(position as u64).to_le_bytes());
        }
        match column {
            ValueRef::Null => sized(0, &[]),
            ValueRef::Integer(number) => sized(1, &number.to_le_bytes()),
            ValueRef::Real(number) => sized(2, &number.to_le_bytes()),
            ValueRef::Text(bytes) => sized(3, bytes),
            ValueRef::Blob(bytes) => sized(4, bytes),
        }
    }
    hasher.finalize()
}

/// Runs a statement whose parameters are the columns and, last, their checksum.
pub(super) fn write<'a>(
    connection: &'a Connection,
    table: &Table,
    sql: &str,
    columns: &[ToSqlOutput<'_>],
) -> Result<Written<'a>> {
    let values = columns.iter().map(|column| match column {
        ToSqlOutput::Borrowed(value) => *value,
        ToSqlOutput::Owned(value) => ValueRef::from(value),
        _ => unreachable!("rows are made of borrowed and owned values only"),
    });
    let check = integer(u64::from(checksum(table, values)));
    let rows = connection.prepare_cached(sql)?.execute(params_from_iter(columns.iter().chain([&check])))?;
    Ok(Written { connection, rows })
}

/// What a statement did.
#[must_use]
pub(super) struct Written<'a> {
    connection: &'a Connection,
    pub(super) rows: usize,
}

impl Written<'_> {
    /// The number that SQLite gave to the row.
    pub(super) fn number(&self) -> u64 {
        self.connection.last_insert_rowid().cast_unsigned()
    }
}

/// The same bits, signed: SQLite has no other integers.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn integer(number: u64) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Integer(signed(number)))
}

pub(super) fn optional(number: Option<u64>) -> ToSqlOutput<'static> {
    number.map_or(ToSqlOutput::Owned(Value::Null), integer)
}

/// What stands in a column that a later version has added: nothing where it has its default.
pub(super) fn unless_default(number: u64, default: u64) -> ToSqlOutput<'static> {
    optional(Some(number).filter(|number| *number != default))
}

pub(super) fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

pub(super) fn optional_text(value: Option<&str>) -> ToSqlOutput<'_> {
    value.map_or(ToSqlOutput::Owned(Value::Null), text)
}

pub(super) fn blob(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Blob(bytes))
}

pub(super) fn json(value: &impl serde::Serialize) -> ToSqlOutput<'static> {
    let text = serde_json::to_string(value).expect("plain data with text keys always has a JSON form");
    ToSqlOutput::Owned(Value::Text(text))
}

/// What reading a column gives.
pub(super) type Read<T> = std::result::Result<T, RowError>;

/// Reads the columns of one row in their order. Every getter moves on by one.
#[derive(Debug)]
pub(super) struct Columns<'r> {
    table: &'static Table,
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Checks the checksum of a row.
    pub(super) fn of(table: &'static Table, row: &'r Row<'r>) -> Read<Self> {
        let last = table.columns.len() - 1;
        let mut columns = Self { table, row, next: last };
        let stored = columns.u64()?;
        let computed = checksum(table, (table.first_checked..last).map(|i| row.get_ref_unwrap(i)));
        if stored != u64::from(computed) {
            return Err(columns.error("it is not the checksum of the row: bits of it have changed".into()));
        }
        columns.next = 0;
        Ok(columns)
    }

    /// An error in the column that was read last.
    pub(super) fn error(&self, problem: String) -> RowError {
        RowError {
            table: self.table.name,
            row: self.key(),
            column: self.table.columns[self.next.saturating_sub(1)],
            problem,
        }
    }

    fn key(&self) -> String {
        let part = |i: usize| match self.row.get_ref_unwrap(i) {
            ValueRef::Integer(number) => format!("{} {number}", self.table.columns[i]),
            ValueRef::Blob(bytes) => match uuid::Uuid::from_slice(bytes) {
                Ok(id) => format!("{} {id}", self.table.columns[i]),
                Err(_) => format!("a {} of {} bytes", self.table.columns[i], bytes.len()),
            },
            ValueRef::Text(bytes) => format!("{} {}", self.table.columns[i], String::from_utf8_lossy(bytes)),
            _ => format!("an unreadable {}", self.table.columns[i]),
        };
        (0..self.table.key).map(part).collect::<Vec<_>>().join(", ")
    }

    fn value(&mut self) -> ValueRef<'r> {
        self.next += 1;
        self.row.get_ref_unwrap(self.next - 1)
    }

    fn expected(&self, wanted: &str, found: ValueRef<'_>) -> RowError {
        self.error(format!("it holds {} where {wanted} should be", found.data_type()))
    }

    pub(super) fn optional_u64(&mut self) -> Read<Option<u64>> {
        match self.value() {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number.cast_unsigned())),
            other => Err(self.expected("an integer", other)),
        }
    }

    /// A column that a later version has added: what stands for the rows of before is its default.
    pub(super) fn u64_or(&mut self, default: u64) -> Read<u64> {
        Ok(self.optional_u64()?.unwrap_or(default))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.optional_u64()?.ok_or_else(|| self.expected("an integer", ValueRef::Null))
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        let number = self.u64()?;
        u32::try_from(number).map_err(|_| self.error(format!("{number} is too large")))
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        let number = self.u64()?;
        u16::try_from(number).map_err(|_| self.error(format!("{number} is too large")))
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        match self.u64()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("{other} is neither 0 nor 1"))),
        }
    }

    /// A flag that a later version has added: it is not set in the rows of before.
    pub(super) fn added_flag(&mut self) -> Read<bool> {
        match self.u64_or(0)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("{other} is neither nothing nor 1"))),
        }
    }

    /// One of the values that a number stands for: its position in `all`.
    pub(super) fn optional_one_of<T: Copy>(&mut self, all: &[T]) -> Read<Option<T>> {
        let Some(number) = self.optional_u64()? else { return Ok(None) };
        let value = usize::try_from(number).ok().and_then(|number| all.get(number));
        value.copied().map(Some).ok_or_else(|| self.error(format!("{number} stands for nothing")))
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> Read<T> {
        self.optional_one_of(all)?.ok_or_else(|| self.expected("an integer", ValueRef::Null))
    }

    pub(super) fn optional_text(&mut self) -> Read<Option<&'r str>> {
        match self.value() {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| self.error("the text is not UTF-8".into()))
            }
            other => Err(self.expected("text", other)),
        }
    }

    pub(super) fn text(&mut self) -> Read<&'r str> {
        self.optional_text()?.ok_or_else(|| self.expected("text", ValueRef::Null))
    }

    pub(super) fn optional_blob(&mut self) -> Read<Option<&'r [u8]>> {
        match self.value() {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            other => Err(self.expected("bytes", other)),
        }
    }

    pub(super) fn blob(&mut self) -> Read<&'r [u8]> {
        self.optional_blob()?.ok_or_else(|| self.expected("bytes", ValueRef::Null))
    }

    pub(super) fn optional_job(&mut self) -> Read<Option<JobId>> {
        let Some(bytes) = self.optional_blob()? else { return Ok(None) };
        match uuid::Uuid::from_slice(bytes) {
            Ok(id) => Ok(Some(JobId(id))),
            Err(_) => Err(self.error(format!("a job id has 16 bytes, not {}", bytes.len()))),
        }
    }

    pub(super) fn job(&mut self) -> Read<JobId> {
        self.optional_job()?.ok_or_else(|| self.expected("bytes", ValueRef::Null))
    }

    pub(super) fn optional_json<T: serde::de::DeserializeOwned>(&mut self) -> Read<Option<T>> {
        let Some(text) = self.optional_text()? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| self.error(error.to_string()))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Read<T> {
        self.optional_json()?.ok_or_else(|| self.expected("text", ValueRef::Null))
    }
}
