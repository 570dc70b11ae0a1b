//! Webhooks and their cursors.

use rusqlite::{Connection, Row};

use super::{Columns, Read, Table, blob, integer, json, optional_text, text, write};
use crate::clock::UnixMillis;
use crate::job::SafeUrl;
use crate::notify::{Secret, Webhook, WebhookId};
use crate::store::error::{Problem, Result};

pub(crate) const TABLE: Table = Table {
    name: "webhook",
    columns: &[
        "id",
        "owner",
        "url",
        "secret",
        "kinds",
        "labels",
        "enabled",
        "disabled_because",
        "created_at",
        "checksum",
    ],
    key: 1,
    first_checked: 0,
    added: 0..0,
};

pub(crate) const CURSOR: Table = Table {
    name: "webhook_cursor",
    columns: &["webhook_id", "number", "checksum"],
    key: 1,
    first_checked: 0,
    added: 0..0,
};

const INSERT: &str =
    "INSERT INTO webhook (id, owner, url, secret, kinds, labels, enabled, disabled_because, created_at, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const UPDATE: &str = "UPDATE webhook SET owner = ?2, url = ?3, secret = ?4, kinds = ?5, labels = ?6, enabled = ?7,
disabled_because = ?8, created_at = ?9, checksum = ?10 WHERE id = ?1";
const DELETE: &str = "DELETE FROM webhook WHERE id = ?1";
pub(crate) const SELECT_ALL: &str = "SELECT id, owner, url, secret, kinds, labels, enabled, disabled_because, created_at, checksum FROM webhook ORDER BY id";
const PUT_CURSOR: &str = "INSERT INTO webhook_cursor (webhook_id, number, checksum) VALUES (?1, ?2, ?3)
ON CONFLICT (webhook_id) DO UPDATE SET number = excluded.number, checksum = excluded.checksum";
pub(crate) const SELECT_CURSORS: &str = "SELECT webhook_id, number, checksum FROM webhook_cursor";

pub(crate) fn insert(connection: &Connection, webhook: &Webhook) -> Result<()> {
    put(connection, INSERT, webhook).map(|_| ())
}

pub(crate) fn update(connection: &Connection, webhook: &Webhook) -> Result<()> {
    match put(connection, UPDATE, webhook)? {
        1 => Ok(()),
        _ => Err(Problem::Refused(format!("there is no webhook {} to be changed", webhook.id))),
    }
}

fn put(connection: &Connection, sql: &str, webhook: &Webhook) -> Result<usize> {
    let columns = [
        blob(webhook.id.0.as_bytes()),
        text(&webhook.owner),
        text(webhook.url.expose().as_str()),
        blob(webhook.secret.expose()),
        json(&webhook.kinds),
        json(&webhook.labels),
        integer(u64::from(webhook.enabled)),
        optional_text(webhook.disabled_because.as_deref()),
        integer(webhook.created_at.0),
    ];
    Ok(write(connection, &TABLE, sql, &columns)?.rows)
}

/// Removes a webhook, with its cursor and its deliveries.
pub(crate) fn remove(connection: &Connection, webhook: WebhookId) -> Result<()> {
    connection.prepare_cached(DELETE)?.execute([webhook.0.as_bytes()])?;
    Ok(())
}

pub(crate) fn put_cursor(connection: &Connection, webhook: WebhookId, number: u64) -> Result<()> {
    write(connection, &CURSOR, PUT_CURSOR, &[blob(webhook.0.as_bytes()), integer(number)]).map(|_| ())
}

/// Reads a row of [`SELECT_ALL`].
pub(crate) fn from_row(row: &Row<'_>) -> Read<Webhook> {
    let mut columns = Columns::of(&TABLE, row)?;
    let id = id(&mut columns)?;
    let owner = columns.text()?.to_owned();
    // The text is not repeated: it may hold a secret.
    let url = columns.text()?.parse::<SafeUrl>().map_err(|error| columns.error(error.to_string()))?;
    let secret = Secret::from_bytes(columns.blob()?.to_vec()).map_err(|error| columns.error(error.to_string()))?;
    Ok(Webhook {
        id,
        owner,
        url,
        secret,
        kinds: columns.json()?,
        labels: columns.json()?,
        enabled: columns.flag()?,
        disabled_because: columns.optional_text()?.map(str::to_owned),
        created_at: UnixMillis(columns.u64()?),
    })
}

/// Reads a row of [`SELECT_CURSORS`].
pub(crate) fn cursor_from_row(row: &Row<'_>) -> Read<(WebhookId, u64)> {
    let mut columns = Columns::of(&CURSOR, row)?;
    Ok((id(&mut columns)?, columns.u64()?))
}

/// The next column, which is a webhook's id.
pub(super) fn id(columns: &mut Columns<'_>) -> Read<WebhookId> {
    let bytes = columns.blob()?;
    uuid::Uuid::from_slice(bytes)
        .map(WebhookId)
        .map_err(|_| columns.error(format!("a webhook's id has 16 bytes, not {}", bytes.len())))
}
