//! The decision log.

use rusqlite::{Connection, params};

use super::{Columns, Table};
use crate::job::JobId;
use crate::policy::DecisionRow;
use crate::store::error::Result;

const TABLE: Table = Table { name: "decision", columns: &["number", "body"] };

const INSERT: &str = "INSERT INTO decision (job_id, body) VALUES (?1, ?2)";
const SELECT: &str = "SELECT number, body FROM decision WHERE job_id = ?1 ORDER BY number";

pub(crate) fn insert(connection: &Connection, decision: &DecisionRow) -> Result<()> {
    let body = serde_json::to_string(decision).expect("plain data with text keys always has a JSON form");
    connection.prepare_cached(INSERT)?.execute(params![decision.job.0.as_bytes(), body])?;
    Ok(())
}

/// The decisions of a job, oldest first.
pub(crate) fn of_job(connection: &Connection, job: JobId) -> Result<Vec<DecisionRow>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let mut rows = statement.query([job.0.as_bytes()])?;
    let mut decisions = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::plain(&TABLE, row);
        let _number = columns.u64()?;
        decisions.push(columns.json()?);
    }
    Ok(decisions)
}
