//! The decision log.

use rusqlite::Connection;

use super::{Columns, Table, blob, json, write};
use crate::job::JobId;
use crate::policy::DecisionRow;
use crate::store::error::Result;

const TABLE: Table =
    Table { name: "decision", columns: &["number", "job_id", "body", "checksum"], key: 1, first_checked: 1 };

const INSERT: &str = "INSERT INTO decision (job_id, body, checksum) VALUES (?1, ?2, ?3)";
const SELECT: &str = "SELECT number, job_id, body, checksum FROM decision WHERE job_id = ?1 ORDER BY number";

pub(crate) fn insert(connection: &Connection, decision: &DecisionRow) -> Result<()> {
    write(connection, INSERT, &[blob(decision.job.0.as_bytes()), json(decision)]).map(|_| ())
}

/// The decisions of a job, oldest first.
pub(crate) fn of_job(connection: &Connection, job: JobId) -> Result<Vec<DecisionRow>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let mut rows = statement.query([job.0.as_bytes()])?;
    let mut decisions = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(&TABLE, row)?;
        let (_number, _job) = (columns.u64()?, columns.job()?);
        decisions.push(columns.json()?);
    }
    Ok(decisions)
}
