//! Rows of jobs.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, integer, json, optional, text, write};
use crate::clock::UnixMillis;
use crate::job::{
    AttemptNumber, CostFlags, Direction, Intent, JobId, JobRecord, JobState, Priority, Properties, RetryWait,
};
use crate::store::error::{Problem, Result};

pub(crate) const TABLE: Table = Table {
    name: "job",
    columns: &[
        "id",
        "owner",
        "display_name",
        "direction",
        "state",
        "priority",
        "minimum_retry_delay_ms",
        "no_progress_timeout_ms",
        "maximum_download_time_ms",
        "parallel_files",
        "cost_flags",
        "auto_complete",
        "overwrite",
        "labels",
        "policies",
        "created_at",
        "modified_at",
        "started_at",
        "transferred_at",
        "last_progress_at",
        "files_total",
        "files_transferred",
        "bytes_sized",
        "files_sized",
        "bytes_transferred",
        "progress_bytes",
        "error",
        "error_count",
        "failures_in_row",
        "recoveries",
        "last_recovery_at",
        "attempt",
        "decisions",
        "history",
        "retry_due_at",
        "retry_delay_ms",
        "no_progress_ms",
        "active_ms",
        "intent",
        "checksum",
    ],
    key: 1,
    first_checked: 0,
};

/// Columns without the checksum.
const WIDTH: usize = TABLE.columns.len() - 1;

/// The directions, by the number that stands for each.
const DIRECTIONS: [Direction; 3] = [Direction::Download, Direction::Upload, Direction::UploadReply];
/// The intents, by the number that stands for each.
const INTENTS: [Intent; 2] = [Intent::Complete, Intent::Cancel];

const INSERT: &str = include_str!("../sql/job_insert.sql");
const UPDATE: &str = include_str!("../sql/job_update.sql");
pub(super) const SELECT_ONE: &str = concat!(include_str!("../sql/job_select.sql"), "WHERE id = ?1");
pub(crate) const SELECT_ALL: &str = concat!(include_str!("../sql/job_select.sql"), "NOT INDEXED");
/// 7 and 8 are the final states. NOT INDEXED: a damaged index, which `quick_check` does not see, must not hide a job.
const SELECT_NOT_FINAL: &str = concat!(include_str!("../sql/job_select.sql"), "NOT INDEXED WHERE state < 7");

const SELECT_FINAL: &str =
    concat!(include_str!("../sql/job_select.sql"), "WHERE state >= 7 AND id > ?1 ORDER BY id LIMIT ?2");

fn to_columns(job: &JobRecord) -> [ToSqlOutput<'_>; WIDTH] {
    let time = |at: UnixMillis| integer(at.0);
    let optional_time = |at: Option<UnixMillis>| optional(at.map(|at| at.0));
    let number = |number: u32| integer(u64::from(number));
    let flag = |flag: bool| integer(u64::from(flag));
    // Nothing is left out of the pattern: a property that is not stored does not compile.
    let Properties {
        priority,
        minimum_retry_delay_ms,
        no_progress_timeout_ms,
        maximum_download_time_ms,
        parallel_files,
        cost_flags,
        auto_complete,
        overwrite,
    } = &job.properties;
    let direction = match job.direction {
        Direction::Download => 0,
        Direction::Upload => 1,
        Direction::UploadReply => 2,
    };
    let intent = job.intent.map(|intent| match intent {
        Intent::Complete => 0,
        Intent::Cancel => 1,
    });
    [
        blob(job.id.0.as_bytes()),
        text(&job.owner),
        text(&job.display_name),
        integer(direction),
        number(u32::from(job.state.number())),
        number(u32::from(priority.number())),
        integer(*minimum_retry_delay_ms),
        integer(*no_progress_timeout_ms),
        integer(*maximum_download_time_ms),
        number(u32::from(*parallel_files)),
        number(cost_flags.0),
        flag(*auto_complete),
        flag(*overwrite),
        json(&job.labels),
        json(&job.policies),
        time(job.created_at),
        time(job.modified_at),
        optional_time(job.started_at),
        optional_time(job.transferred_at),
        optional_time(job.last_progress_at),
        number(job.files_total),
        number(job.files_transferred),
        integer(job.bytes_sized),
        number(job.files_sized),
        integer(job.bytes_transferred),
        integer(job.progress_bytes),
        job.error.as_ref().map_or_else(|| optional(None), json),
        number(job.error_count),
        number(job.failures_in_row),
        number(job.recoveries),
        optional_time(job.last_recovery_at),
        number(job.attempt.0),
        number(job.decisions),
        json(&job.history),
        optional_time(job.retry.map(|retry| retry.due_at)),
        optional(job.retry.map(|retry| retry.delay_ms)),
        integer(job.no_progress_ms),
        integer(job.active_ms),
        optional(intent),
    ]
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<JobRecord> {
    let mut columns = Columns::of(&TABLE, row)?;
    let columns = &mut columns;
    let time = |columns: &mut Columns<'_>| columns.u64().map(UnixMillis);
    let optional_time = |columns: &mut Columns<'_>| columns.optional_u64().map(|at| at.map(UnixMillis));
    // Fields are evaluated in the order in which they stand here: that of the columns.
    Ok(JobRecord {
        id: columns.job()?,
        owner: columns.text()?.to_owned(),
        display_name: columns.text()?.to_owned(),
        direction: columns.one_of(&DIRECTIONS)?,
        state: columns.one_of(&JobState::ALL)?,
        properties: Properties {
            priority: columns.one_of(&Priority::ALL)?,
            minimum_retry_delay_ms: columns.u64()?,
            no_progress_timeout_ms: columns.u64()?,
            maximum_download_time_ms: columns.u64()?,
            parallel_files: columns.u16()?,
            cost_flags: CostFlags(columns.u32()?),
            auto_complete: columns.flag()?,
            overwrite: columns.flag()?,
        },
        labels: columns.json()?,
        policies: columns.json()?,
        created_at: time(columns)?,
        modified_at: time(columns)?,
        started_at: optional_time(columns)?,
        transferred_at: optional_time(columns)?,
        last_progress_at: optional_time(columns)?,
        files_total: columns.u32()?,
        files_transferred: columns.u32()?,
        bytes_sized: columns.u64()?,
        files_sized: columns.u32()?,
        bytes_transferred: columns.u64()?,
        progress_bytes: columns.u64()?,
        error: columns.optional_json()?,
        error_count: columns.u32()?,
        failures_in_row: columns.u32()?,
        recoveries: columns.u32()?,
        last_recovery_at: optional_time(columns)?,
        attempt: AttemptNumber(columns.u32()?),
        decisions: columns.u32()?,
        history: columns.json()?,
        retry: match (optional_time(columns)?, columns.optional_u64()?) {
            (Some(due_at), Some(delay_ms)) => Some(RetryWait { due_at, delay_ms }),
            (None, None) => None,
            _ => return Err(columns.error("one half of the wait for a retry is missing".into())),
        },
        no_progress_ms: columns.u64()?,
        active_ms: columns.u64()?,
        intent: columns.optional_one_of(&INTENTS)?,
    })
}

pub(crate) fn insert(connection: &Connection, job: &JobRecord) -> Result<()> {
    write(connection, INSERT, &to_columns(job)).map(|_| ())
}

pub(crate) fn update(connection: &Connection, job: &JobRecord) -> Result<()> {
    match write(connection, UPDATE, &to_columns(job))?.rows {
        1 => Ok(()),
        _ => Err(Problem::Refused(format!("there is no job {} to be updated", job.id))),
    }
}

pub(crate) fn get(connection: &Connection, job: JobId) -> Result<Option<JobRecord>> {
    let mut statement = connection.prepare_cached(SELECT_ONE)?;
    let found = statement.query_row([job.0.as_bytes()], |row| Ok(from_row(row))).optional()?;
    Ok(found.transpose()?)
}

pub(crate) fn not_final(connection: &Connection) -> Result<Vec<JobRecord>> {
    let mut statement = connection.prepare_cached(SELECT_NOT_FINAL)?;
    let mut rows = statement.query([])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(from_row(row)?);
    }
    jobs.sort_unstable_by_key(|job: &JobRecord| job.id);
    Ok(jobs)
}

/// At most `limit` final jobs after `after`, or from the oldest on, in the order of their ids.
pub(crate) fn final_after(connection: &Connection, after: Option<JobId>, limit: u32) -> Result<Vec<JobRecord>> {
    let after = after.unwrap_or(JobId(uuid::Uuid::nil()));
    let mut statement = connection.prepare_cached(SELECT_FINAL)?;
    let mut rows = statement.query(params![after.0.as_bytes(), limit])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(from_row(row)?);
    }
    Ok(jobs)
}
