//! The journal.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, integer, json, optional, signed, write};
use crate::clock::UnixMillis;
use crate::job::{Event, EventKind, JobId};
use crate::store::error::Result;

pub(crate) const TABLE: Table = Table {
    name: "event",
    columns: &["number", "at", "job_id", "body", "checksum"],
    key: 1,
    first_checked: 1,
    added: 0..0,
};

const INSERT: &str = "INSERT INTO event (at, job_id, body, checksum) VALUES (?1, ?2, ?3, ?4)";
pub(crate) const SELECT_ALL: &str = "SELECT number, at, job_id, body, checksum FROM event ORDER BY number";
pub(crate) const SELECT_ALL_OF_JOB: &str =
    "SELECT number, at, job_id, body, checksum FROM event WHERE job_id = ?1 ORDER BY number";
const SELECT: &str = "SELECT number, at, job_id, body, checksum FROM event WHERE number > ?1 ORDER BY number LIMIT ?2";
const SELECT_OF_JOB: &str =
    "SELECT number, at, job_id, body, checksum FROM event WHERE number > ?1 AND job_id = ?3 ORDER BY number LIMIT ?2";

const SELECT_LAST_OF_JOB: &str =
    "SELECT number, at, job_id, body, checksum FROM event WHERE job_id = ?1 ORDER BY number DESC LIMIT ?2";
const SELECT_FIRST_NUMBER: &str = "SELECT number FROM event ORDER BY number LIMIT 1";
const SELECT_LAST_NUMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'event'";

/// Adds an event and says its number.
pub(crate) fn insert(connection: &Connection, event: &Event) -> Result<u64> {
    let job = event.job.as_ref().map_or_else(|| optional(None), |job| blob(job.0.as_bytes()));
    Ok(write(connection, &TABLE, INSERT, &[integer(event.at.0), job, json(&event.kind)])?.number())
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<(u64, Event)> {
    let mut columns = Columns::of(&TABLE, row)?;
    let number = columns.u64()?;
    let at = UnixMillis(columns.u64()?);
    let job = columns.optional_job()?;
    let kind: EventKind = columns.json()?;
    Ok((number, Event { at, job, kind }))
}

/// At most `limit` events after number `after`, of one job or of all.
pub(crate) fn after(connection: &Connection, after: u64, limit: u32, job: Option<JobId>) -> Result<Vec<(u64, Event)>> {
    let sql = if job.is_some() { SELECT_OF_JOB } else { SELECT };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = match job {
        Some(job) => statement.query(params![signed(after), limit, job.0.as_bytes()])?,
        None => statement.query(params![signed(after), limit])?,
    };
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(from_row(row)?);
    }
    Ok(events)
}

/// The last events of a job, at most `limit`, oldest first.
pub(crate) fn last_of_job(connection: &Connection, job: JobId, limit: u32) -> Result<Vec<(u64, Event)>> {
    let mut statement = connection.prepare_cached(SELECT_LAST_OF_JOB)?;
    let mut rows = statement.query(params![job.0.as_bytes(), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(from_row(row)?);
    }
    events.reverse();
    Ok(events)
}

/// The number of the oldest event that is kept.
pub(crate) fn first_number(connection: &Connection) -> Result<Option<u64>> {
    number(connection, SELECT_FIRST_NUMBER)
}

/// The number that was given last, whether its event is kept or not; 0 if none was.
pub(crate) fn last_number(connection: &Connection) -> Result<u64> {
    Ok(number(connection, SELECT_LAST_NUMBER)?.unwrap_or(0))
}

fn number(connection: &Connection, sql: &str) -> Result<Option<u64>> {
    let found = connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.map(i64::cast_unsigned))
}
