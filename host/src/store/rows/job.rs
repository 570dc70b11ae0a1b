//! Rows of jobs.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, integer, json, optional, optional_text, text, unless_default, write};
use crate::clock::UnixMillis;
use crate::job::{
    AttemptNumber, CostFlags, Direction, Intent, JobId, JobRecord, JobState, NotifyFlags, Priority, Properties,
    Redirects, RetryWait, limits,
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
        "description",
        "notify_flags",
        "minimum_notification_interval_ms",
        "dynamic_content",
        "high_performance",
        "maximum_download_size",
        "redirects",
        "redirects_to_http",
        "resumed",
        "headers_write_only",
        "active_at",
        "checksum",
    ],
    key: 1,
    first_checked: 0,
    added: 39..50,
};

/// Columns without the checksum.
const WIDTH: usize = TABLE.columns.len() - 1;

/// The directions, by the number that stands for each.
const DIRECTIONS: [Direction; 3] = [Direction::Download, Direction::Upload, Direction::UploadReply];
/// The default of the notifications.
const NOTIFY_FLAGS: u64 = 3;
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
    let set = |flag: bool| unless_default(u64::from(flag), 0);
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
        notify_flags,
        minimum_notification_interval_ms,
        dynamic_content,
        high_performance,
        maximum_download_size,
        redirects,
        redirects_to_http,
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
        optional_text(Some(job.description.as_str()).filter(|text| !text.is_empty())),
        unless_default(u64::from(notify_flags.bits()), NOTIFY_FLAGS),
        unless_default(*minimum_notification_interval_ms, limits::MINIMUM_NOTIFICATION_INTERVAL_MS_DEFAULT),
        set(*dynamic_content),
        set(*high_performance),
        optional(*maximum_download_size),
        unless_default(*redirects as u64, 0),
        set(*redirects_to_http),
        set(job.resumed),
        set(job.headers_write_only),
        time(job.active_at),
    ]
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<JobRecord> {
    let mut columns = Columns::of(&TABLE, row)?;
    let columns = &mut columns;
    let time = |columns: &mut Columns<'_>| columns.u64().map(UnixMillis);
    let optional_time = |columns: &mut Columns<'_>| columns.optional_u64().map(|at| at.map(UnixMillis));
    // Fields are evaluated in the order in which they stand here: that of the columns.
    let job = JobRecord {
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
            ..Properties::default()
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
        description: columns.optional_text()?.unwrap_or_default().to_owned(),
        resumed: false,
        headers_write_only: false,
        active_at: UnixMillis(0),
    };
    with_added(job, columns)
}

/// The columns that later versions have added. A row of before holds nothing there: its job was active last when it was modified last.
fn with_added(mut job: JobRecord, columns: &mut Columns<'_>) -> Read<JobRecord> {
    let flags = columns.u64_or(NOTIFY_FLAGS)?;
    let flags = u32::try_from(flags).ok().and_then(NotifyFlags::from_bits);
    let properties = &mut job.properties;
    properties.notify_flags = flags.ok_or_else(|| columns.error("there are no such notifications".into()))?;
    properties.minimum_notification_interval_ms = columns.u64_or(limits::MINIMUM_NOTIFICATION_INTERVAL_MS_DEFAULT)?;
    properties.dynamic_content = columns.added_flag()?;
    properties.high_performance = columns.added_flag()?;
    properties.maximum_download_size = columns.optional_u64()?;
    properties.redirects = columns.optional_one_of(&Redirects::ALL)?.unwrap_or_default();
    properties.redirects_to_http = columns.added_flag()?;
    job.resumed = columns.added_flag()?;
    job.headers_write_only = columns.added_flag()?;
    job.active_at = UnixMillis(columns.u64_or(job.modified_at.0)?);
    Ok(job)
}

pub(crate) fn insert(connection: &Connection, job: &JobRecord) -> Result<()> {
    write(connection, &TABLE, INSERT, &to_columns(job)).map(|_| ())
}

pub(crate) fn update(connection: &Connection, job: &JobRecord) -> Result<()> {
    match write(connection, &TABLE, UPDATE, &to_columns(job))?.rows {
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
