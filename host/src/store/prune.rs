//! Removes rows of final jobs and old events, few at a time.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::Result;
use super::rows::{event, signed};
use super::{PruneLimits, Pruned};
use crate::job::JobId;

/// Rows removed in one transaction: some 5 ms, for which a commit of the driver may have to wait.
const ROWS_MAX: u64 = 500;

const OLDEST_FINAL: &str =
    "SELECT id FROM job WHERE state >= 7 AND modified_at BETWEEN 0 AND ?1 ORDER BY modified_at LIMIT 1";
const BEGIN_REMOVAL: &str = "INSERT INTO removal (job_id) VALUES (?1) ON CONFLICT DO NOTHING";
const DELETE_FILES: &str = "DELETE FROM file WHERE (job_id, file_index) IN
(SELECT job_id, file_index FROM file WHERE job_id = ?1 LIMIT ?2)";
const DELETE_DECISIONS: &str =
    "DELETE FROM decision WHERE number IN (SELECT number FROM decision WHERE job_id = ?1 LIMIT ?2)";
const DELETE_JOB: &str = "DELETE FROM job WHERE id = ?1";
/// Ends at the first event that is kept, so that the journal has no gap.
const OLD_EVENTS: &str = "SELECT number FROM event WHERE number < ?1 + ?2
AND (number < ?3 OR at BETWEEN 0 AND ?4) ORDER BY number DESC LIMIT 1";
const FIRST_KEPT: &str = "SELECT number FROM event WHERE number < ?1 + ?2
AND NOT (number < ?3 OR at BETWEEN 0 AND ?4) ORDER BY number LIMIT 1";
const DELETE_EVENTS: &str = "DELETE FROM event WHERE number <= ?1";

pub(super) fn prune(connection: &Connection, limits: PruneLimits) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let mut left = ROWS_MAX;
    while left > 0 {
        let mut statement = connection.prepare_cached(OLDEST_FINAL)?;
        let found = statement.query_row([signed(limits.jobs_before.0)], |row| row.get::<_, [u8; 16]>(0)).optional()?;
        let Some(id) = found.map(uuid::Uuid::from_bytes).map(JobId) else { break };
        left = left.saturating_sub(remove_job(connection, id, left, &mut pruned)?);
    }
    if left > 0 {
        left = left.saturating_sub(remove_events(connection, limits, left, &mut pruned)?);
    }
    pruned.more = left == 0;
    Ok(pruned)
}

/// Removes a job, or as many of its rows as may be. Returns how many rows were removed, at least 1.
fn remove_job(connection: &Connection, job: JobId, rows_max: u64, pruned: &mut Pruned) -> Result<u64> {
    let delete = |sql, left: u64| -> Result<u64> {
        Ok(connection.prepare_cached(sql)?.execute(params![job.0.as_bytes(), signed(left)])? as u64)
    };
    let files = delete(DELETE_FILES, rows_max)?;
    let decisions = delete(DELETE_DECISIONS, rows_max - files)?;
    if files + decisions >= rows_max {
        // There may be more of them. Until they are gone, what is left of the job does not agree with itself.
        connection.prepare_cached(BEGIN_REMOVAL)?.execute([job.0.as_bytes()])?;
        return Ok(rows_max);
    }
    // What else belongs to the job is bounded, and goes with it.
    connection.prepare_cached(DELETE_JOB)?.execute([job.0.as_bytes()])?;
    pruned.jobs.push(job);
    Ok(files + decisions + 1)
}

fn remove_events(connection: &Connection, limits: PruneLimits, rows_max: u64, pruned: &mut Pruned) -> Result<u64> {
    let Some(first) = event::first_number(connection)? else { return Ok(0) };
    let too_many_before = (event::last_number(connection)? + 1).saturating_sub(limits.events_max);
    let bounds = params![signed(first), signed(rows_max), signed(too_many_before), signed(limits.events_before.0)];
    let number = |sql, bounds: &[&dyn rusqlite::ToSql]| -> Result<Option<u64>> {
        let found = connection.prepare_cached(sql)?.query_row(bounds, |row| row.get::<_, i64>(0)).optional()?;
        Ok(found.map(i64::cast_unsigned))
    };
    let last_old = match number(FIRST_KEPT, bounds)? {
        Some(kept) => kept.checked_sub(1),
        None => number(OLD_EVENTS, bounds)?,
    };
    let Some(last) = last_old.filter(|last| *last >= first) else { return Ok(0) };
    let removed = connection.prepare_cached(DELETE_EVENTS)?.execute([signed(last)])? as u64;
    pruned.events += removed;
    Ok(removed)
}
