//! Heads of responses: one for each file that an origin answered for, apart from the file's own row, which is written far more often.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, integer, json, write};
use crate::job::{FileIndex, FileResponse, JobId};
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "file_response",
    columns: &["job_id", "file_index", "headers", "checksum"],
    key: 2,
    first_checked: 0,
    added: 0..0,
};

const UPSERT: &str = "INSERT INTO file_response (job_id, file_index, headers, checksum) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (job_id, file_index) DO UPDATE SET headers = excluded.headers, checksum = excluded.checksum";
const SELECT: &str =
    "SELECT job_id, file_index, headers, checksum FROM file_response WHERE job_id = ?1 AND file_index = ?2";
pub(crate) const SELECT_ALL_OF_JOB: &str =
    "SELECT job_id, file_index, headers, checksum FROM file_response WHERE job_id = ?1 ORDER BY file_index";

/// The head in place of the one before.
pub(crate) fn upsert(connection: &Connection, job: JobId, file: FileIndex, response: &FileResponse) -> Result<()> {
    let columns = [blob(job.0.as_bytes()), integer(u64::from(file.0)), json(response)];
    write(connection, &TABLE, UPSERT, &columns).map(|_| ())
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<FileResponse> {
    let mut columns = Columns::of(&TABLE, row)?;
    let (_job, _file) = (columns.job()?, columns.u32()?);
    columns.json()
}

/// The last head for a file; none if no origin has answered.
pub(crate) fn get(connection: &Connection, job: JobId, file: FileIndex) -> Result<Option<FileResponse>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let found = statement.query_row(params![job.0.as_bytes(), file.0], |row| Ok(from_row(row))).optional()?;
    Ok(found.transpose()?)
}
