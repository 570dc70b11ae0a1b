//! Deliveries of webhooks that wait or have failed.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Columns, Read, Table, blob, integer, json, optional, optional_text, signed, webhook, write};
use crate::clock::UnixMillis;
use crate::job::{Event, EventKind, JobId};
use crate::notify::{Delivery, DeliveryState, WebhookId};
use crate::store::error::Result;

pub(crate) const TABLE: Table = Table {
    name: "webhook_delivery",
    columns: &[
        "webhook_id",
        "number",
        "at",
        "job_id",
        "body",
        "state",
        "attempts",
        "due_at",
        "delay_ms",
        "attempted_at",
        "status",
        "detail",
        "checksum",
    ],
    key: 2,
    first_checked: 0,
    added: 0..0,
};

const PUT: &str = "INSERT INTO webhook_delivery
(webhook_id, number, at, job_id, body, state, attempts, due_at, delay_ms, attempted_at, status, detail, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (webhook_id, number) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at,
delay_ms = excluded.delay_ms, attempted_at = excluded.attempted_at, status = excluded.status, detail = excluded.detail,
checksum = excluded.checksum";
const DELETE: &str = "DELETE FROM webhook_delivery WHERE webhook_id = ?1 AND number = ?2";
const FORGET_JOB: &str = "DELETE FROM webhook_delivery WHERE job_id = ?1";
const FORGET_JOB_OF: &str = "DELETE FROM webhook_delivery WHERE webhook_id = ?1 AND job_id = ?2";
/// The newest are those of the highest numbers.
const TRIM: &str = "DELETE FROM webhook_delivery WHERE webhook_id = ?1 AND state = 1 AND number <=
(SELECT number FROM webhook_delivery WHERE webhook_id = ?1 AND state = 1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
const PRUNE: &str = "DELETE FROM webhook_delivery WHERE state = 1 AND attempted_at BETWEEN 0 AND ?1";
pub(crate) const SELECT_ALL: &str = "SELECT webhook_id, number, at, job_id, body, state, attempts, due_at, delay_ms,
attempted_at, status, detail, checksum FROM webhook_delivery NOT INDEXED";
const SELECT_PAGE: &str = "SELECT webhook_id, number, at, job_id, body, state, attempts, due_at, delay_ms,
attempted_at, status, detail, checksum FROM webhook_delivery
WHERE webhook_id = ?1 AND state = ?2 AND number > ?3 ORDER BY number LIMIT ?4";
const SELECT_ONE: &str = "SELECT webhook_id, number, at, job_id, body, state, attempts, due_at, delay_ms,
attempted_at, status, detail, checksum FROM webhook_delivery WHERE webhook_id = ?1 AND number = ?2";
const COUNT: &str = "SELECT count(*) FROM webhook_delivery WHERE webhook_id = ?1 AND state = ?2";

/// Writes a row, in place of an earlier one of the same event.
pub(crate) fn put(connection: &Connection, delivery: &Delivery) -> Result<()> {
    let job = delivery.event.job.as_ref().map_or_else(|| optional(None), |job| blob(job.0.as_bytes()));
    let columns = [
        blob(delivery.webhook.0.as_bytes()),
        integer(delivery.number),
        integer(delivery.event.at.0),
        job,
        json(&delivery.event.kind),
        integer(delivery.state as u64),
        integer(u64::from(delivery.attempts)),
        integer(delivery.due_at.0),
        integer(delivery.delay_ms),
        optional(delivery.attempted_at.map(|at| at.0)),
        optional(delivery.status.map(u64::from)),
        optional_text(delivery.detail.as_deref()),
    ];
    write(connection, &TABLE, PUT, &columns).map(|_| ())
}

pub(crate) fn remove(connection: &Connection, webhook: WebhookId, number: u64) -> Result<()> {
    connection.prepare_cached(DELETE)?.execute(params![webhook.0.as_bytes(), signed(number)])?;
    Ok(())
}

/// Removes everything that is still to be told of a job, by whatever webhook.
pub(crate) fn forget_job(connection: &Connection, job: JobId) -> Result<()> {
    connection.prepare_cached(FORGET_JOB)?.execute([job.0.as_bytes()])?;
    Ok(())
}

/// The same by one webhook.
pub(crate) fn forget_job_of(connection: &Connection, webhook: WebhookId, job: JobId) -> Result<()> {
    connection.prepare_cached(FORGET_JOB_OF)?.execute(params![webhook.0.as_bytes(), job.0.as_bytes()])?;
    Ok(())
}

/// Removes the oldest failed ones of a webhook beyond so many.
pub(crate) fn trim_failed(connection: &Connection, webhook: WebhookId, keep: u64) -> Result<()> {
    connection.prepare_cached(TRIM)?.execute(params![webhook.0.as_bytes(), signed(keep)])?;
    Ok(())
}

/// Removes failed ones that were last tried before a time.
pub(crate) fn prune_failed(connection: &Connection, before: UnixMillis) -> Result<()> {
    connection.prepare_cached(PRUNE)?.execute([signed(before.0)])?;
    Ok(())
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<Delivery> {
    let mut columns = Columns::of(&TABLE, row)?;
    let webhook = webhook::id(&mut columns)?;
    let number = columns.u64()?;
    let at = UnixMillis(columns.u64()?);
    let job = columns.optional_job()?;
    let kind: EventKind = columns.json()?;
    let state = columns.one_of(&DeliveryState::ALL)?;
    let attempts = columns.u32()?;
    let due_at = UnixMillis(columns.u64()?);
    let delay_ms = columns.u64()?;
    let attempted_at = columns.optional_u64()?.map(UnixMillis);
    let status = columns.optional_u64()?.and_then(|status| u16::try_from(status).ok());
    let detail = columns.optional_text()?.map(str::to_owned);
    let event = Event { at, job, kind };
    Ok(Delivery { webhook, number, event, state, attempts, due_at, delay_ms, attempted_at, status, detail })
}

/// At most `limit` deliveries of a webhook in a state, after event `after`, oldest first.
pub(crate) fn page(
    connection: &Connection,
    webhook: WebhookId,
    state: DeliveryState,
    after: u64,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(SELECT_PAGE)?;
    let mut rows = statement.query(params![webhook.0.as_bytes(), state as u32, signed(after), limit])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        deliveries.push(from_row(row)?);
    }
    Ok(deliveries)
}

/// One delivery.
pub(crate) fn get(connection: &Connection, webhook: WebhookId, number: u64) -> Result<Option<Delivery>> {
    let mut statement = connection.prepare_cached(SELECT_ONE)?;
    let found =
        statement.query_row(params![webhook.0.as_bytes(), signed(number)], |row| Ok(from_row(row))).optional()?;
    Ok(found.transpose()?)
}

/// How many deliveries of a webhook are in a state.
pub(crate) fn count(connection: &Connection, webhook: WebhookId, state: DeliveryState) -> Result<u64> {
    let mut statement = connection.prepare_cached(COUNT)?;
    Ok(statement.query_row(params![webhook.0.as_bytes(), state as u32], |row| row.get::<_, i64>(0))?.cast_unsigned())
}
