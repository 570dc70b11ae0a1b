//! Request headers of jobs: secret, and apart from them.

use rusqlite::{Connection, params};

use super::{Columns, Table};
use crate::job::{JobId, RequestHeaders};
use crate::store::error::Result;

const TABLE: Table = Table { name: "header", columns: &["job_id", "position", "name", "value"] };

const INSERT: &str = "INSERT INTO header (job_id, position, name, value) VALUES (?1, ?2, ?3, ?4)";
const DELETE: &str = "DELETE FROM header WHERE job_id = ?1";
const SELECT: &str = "SELECT job_id, position, name, value FROM header WHERE job_id = ?1 ORDER BY position";

pub(crate) fn insert(connection: &Connection, job: JobId, headers: &RequestHeaders) -> Result<()> {
    let mut statement = connection.prepare_cached(INSERT)?;
    for (position, (name, value)) in (0_u32..).zip(&headers.0) {
        statement.execute(params![job.0.as_bytes(), position, name, value])?;
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
        let mut columns = Columns::plain(&TABLE, row);
        let (_job, _position) = (columns.job()?, columns.u32()?);
        headers.push((columns.text()?.to_owned(), columns.text()?.to_owned()));
    }
    Ok(RequestHeaders(headers))
}
