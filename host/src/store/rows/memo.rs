//! What policies remember of jobs.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, text, write};
use crate::job::{JobId, PolicyName};
use crate::policy::Memo;
use crate::policy::contract::Hook;
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "memo",
    columns: &["job_id", "policy", "hook", "bytes", "checksum"],
    key: 3,
    first_checked: 0,
    added: 0..0,
};

const UPSERT: &str = include_str!("../sql/memo_upsert.sql");
const SELECT: &str =
    "SELECT job_id, policy, hook, bytes, checksum FROM memo WHERE job_id = ?1 AND policy = ?2 AND hook = ?3";

pub(crate) fn upsert(connection: &Connection, memo: &Memo) -> Result<()> {
    let columns = [blob(memo.job.0.as_bytes()), text(&memo.policy.0), text(memo.hook.name()), blob(&memo.bytes)];
    write(connection, &TABLE, UPSERT, &columns).map(|_| ())
}

fn from_row(row: &Row<'_>) -> Read<Vec<u8>> {
    let mut columns = Columns::of(&TABLE, row)?;
    let (_job, _policy, _hook) = (columns.job()?, columns.text()?, columns.text()?);
    Ok(columns.blob()?.to_vec())
}

pub(crate) fn get(connection: &Connection, job: JobId, policy: &PolicyName, hook: Hook) -> Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let found = statement.query_row(params![job.0.as_bytes(), policy.0, hook.name()], |row| Ok(from_row(row)));
    Ok(found.optional()?.transpose()?)
}
