//! Keys of requests that created jobs.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{Columns, Read, Table, blob, text, write};
use crate::job::{IdempotencyKey, JobId, Sha256};
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "idempotency",
    columns: &["owner", "key", "request", "job_id", "checksum"],
    key: 2,
    first_checked: 0,
    added: 0..0,
};

/// A key that the owner has used already stays with its first job: a statement that failed would take the whole batch with it.
const INSERT: &str = "INSERT INTO idempotency (owner, key, request, job_id, checksum) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (owner, key) DO NOTHING";
const SELECT: &str = "SELECT owner, key, request, job_id, checksum FROM idempotency WHERE owner = ?1 AND key = ?2";
const DELETE_OF_JOB: &str = "DELETE FROM idempotency WHERE job_id = ?1";
pub(crate) const SELECT_ALL: &str = "SELECT owner, key, request, job_id, checksum FROM idempotency NOT INDEXED";

pub(crate) fn insert(connection: &Connection, job: JobId, owner: &str, key: &IdempotencyKey) -> Result<()> {
    let columns = [text(owner), text(&key.key), blob(&key.request.0), blob(job.0.as_bytes())];
    write(connection, &TABLE, INSERT, &columns).map(|_| ())
}

/// The owner of a job is another one now: its keys are not that one's.
pub(crate) fn forget(connection: &Connection, job: JobId) -> Result<()> {
    connection.prepare_cached(DELETE_OF_JOB)?.execute([job.0.as_bytes()])?;
    Ok(())
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<(JobId, Sha256)> {
    let mut columns = Columns::of(&TABLE, row)?;
    let (_owner, _key) = (columns.text()?, columns.text()?);
    let request = columns.blob()?.try_into().map(Sha256);
    let request = request.map_err(|_| columns.error("a digest has 32 bytes".into()))?;
    Ok((columns.job()?, request))
}

/// The job that was created by a key of its owner, and the digest of the request.
pub(crate) fn get(connection: &Connection, owner: &str, key: &str) -> Result<Option<(JobId, Sha256)>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let found = statement.query_row([owner, key], |row| Ok(from_row(row))).optional()?;
    Ok(found.transpose()?)
}
