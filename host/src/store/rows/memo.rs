//! What policies remember of jobs.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::job::{JobId, PolicyName};
use crate::policy::Memo;
use crate::policy::contract::Hook;
use crate::store::error::Result;

const UPSERT: &str = include_str!("../sql/memo_upsert.sql");
const SELECT: &str = "SELECT bytes FROM memo WHERE job_id = ?1 AND policy = ?2 AND hook = ?3";

pub(crate) fn upsert(connection: &Connection, memo: &Memo) -> Result<()> {
    let mut statement = connection.prepare_cached(UPSERT)?;
    statement.execute(params![memo.job.0.as_bytes(), memo.policy.0, memo.hook.name(), memo.bytes])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, job: JobId, policy: &PolicyName, hook: Hook) -> Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let found = statement.query_row(params![job.0.as_bytes(), policy.0, hook.name()], |row| row.get(0)).optional()?;
    Ok(found)
}
