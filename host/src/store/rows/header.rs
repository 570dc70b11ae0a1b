//! Request headers of jobs: secret, and apart from them.

use rusqlite::Connection;

use super::{Columns, Table, blob, integer, text, write};
use crate::job::{JobId, RequestHeaders};
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "header",
    columns: &["job_id", "position", "name", "value", "checksum"],
    key: 2,
    first_checked: 0,
    added: 0..0,
};

const INSERT: &str = "INSERT INTO header (job_id, position, name, value, checksum) VALUES (?1, ?2, ?3, ?4, ?5)";
const DELETE: &str = "DELETE FROM header WHERE job_id = ?1";
const SELECT: &str = "SELECT job_id, position, name, value, checksum FROM header WHERE job_id = ?1 ORDER BY position";

pub(crate) fn insert(connection: &Connection, job: JobId, headers: &RequestHeaders) -> Result<()> {
    for (position, (name, value)) in (0..).zip(&headers.0) {
        let columns = [blob(job.0.as_bytes()), integer(position), text(name), text(value)];
        let _inserted = write(connection, &TABLE, INSERT, &columns)?;
    }
    Ok(())
}

/// Other headers in place of those that the job has.
pub(crate) fn replace(connection: &Connection, job: JobId, headers: &RequestHeaders) -> Result<()> {
    connection.prepare_cached(DELETE)?.execute([job.0.as_bytes()])?;
    insert(connection, job, headers)
}

/// The headers of a job in their order; none of a job that is not there.
pub(crate) fn of_job(connection: &Connection, job: JobId) -> Result<RequestHeaders> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let mut rows = statement.query([job.0.as_bytes()])?;
    let mut headers = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(&TABLE, row)?;
        let (_job, _position) = (columns.job()?, columns.u32()?);
        headers.push((columns.text()?.to_owned(), columns.text()?.to_owned()));
    }
    Ok(RequestHeaders(headers))
}
