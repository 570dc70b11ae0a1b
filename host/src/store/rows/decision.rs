//! The decision log.

use rusqlite::{Connection, params};

use super::{Columns, Table, blob, json, signed, write};
use crate::job::JobId;
use crate::policy::DecisionRow;
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "decision",
    columns: &["number", "job_id", "body", "checksum"],
    key: 1,
    first_checked: 1,
    added: 0..0,
};

const INSERT: &str = "INSERT INTO decision (job_id, body, checksum) VALUES (?1, ?2, ?3)";
const SELECT: &str =
    "SELECT number, job_id, body, checksum FROM decision WHERE job_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
const SELECT_LAST: &str =
    "SELECT number, job_id, body, checksum FROM decision WHERE job_id = ?1 ORDER BY number DESC LIMIT ?2";

pub(crate) fn insert(connection: &Connection, decision: &DecisionRow) -> Result<()> {
    write(connection, &TABLE, INSERT, &[blob(decision.job.0.as_bytes()), json(decision)]).map(|_| ())
}

/// At most `limit` decisions of a job after number `after`, oldest first.
pub(crate) fn of_job(connection: &Connection, job: JobId, after: u64, limit: u32) -> Result<Vec<(u64, DecisionRow)>> {
    collect(connection, SELECT, params![job.0.as_bytes(), signed(after), limit])
}

/// The last decisions of a job, at most `limit`, oldest first.
pub(crate) fn last_of_job(connection: &Connection, job: JobId, limit: u32) -> Result<Vec<(u64, DecisionRow)>> {
    let mut decisions = collect(connection, SELECT_LAST, params![job.0.as_bytes(), limit])?;
    decisions.reverse();
    Ok(decisions)
}

fn collect(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<(u64, DecisionRow)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut decisions = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(&TABLE, row)?;
        let (number, _job) = (columns.u64()?, columns.job()?);
        decisions.push((number, columns.json()?));
    }
    Ok(decisions)
}
