//! What the store has of webhooks: their rows, their cursors, and the deliveries that wait or have failed.

use rusqlite::Connection;

use super::error::{Result, StoreError};
use super::rows::{delivery, webhook};
use super::{Reader, Store};
use crate::notify::{Delivery, DeliveryState, NotifyWrite, Webhook, WebhookId};

/// A webhook as it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Up to which event nothing is left to do for it that has no row.
    pub cursor: u64,
    /// How many of its deliveries have failed.
    pub failed: u64,
}

/// The content of one transaction.
pub(super) fn apply(connection: &Connection, writes: &[NotifyWrite]) -> Result<()> {
    for write in writes {
        match write {
            NotifyWrite::Insert { webhook: new, cursor } => {
                webhook::insert(connection, new)?;
                webhook::put_cursor(connection, new.id, *cursor)?;
            }
            NotifyWrite::Update(changed) => webhook::update(connection, changed)?,
            NotifyWrite::Remove(webhook) => webhook::remove(connection, *webhook)?,
            NotifyWrite::Cursor { webhook, number } => webhook::put_cursor(connection, *webhook, *number)?,
            NotifyWrite::Put(put) => delivery::put(connection, put)?,
            NotifyWrite::Delivered { webhook, number } => delivery::remove(connection, *webhook, *number)?,
            NotifyWrite::ForgetJob { webhook, job } => delivery::forget_job_of(connection, *webhook, *job)?,
            NotifyWrite::TrimFailed { webhook, keep } => delivery::trim_failed(connection, *webhook, *keep)?,
            NotifyWrite::PruneFailed { before } => delivery::prune_failed(connection, *before)?,
        }
    }
    Ok(())
}

impl Store {
    /// Stores changes of webhooks and of their deliveries in one transaction, and answers when they are durable.
    ///
    /// # Errors
    /// As [`Store::commit`]. Nothing of it is stored then.
    pub async fn notify(&self, writes: Vec<NotifyWrite>) -> std::result::Result<(), StoreError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.ask(super::writer::Request::Notify { writes, reply }, answer).await
    }
}

impl Reader {
    /// All webhooks, oldest first.
    pub fn webhooks(&self) -> std::result::Result<Vec<StoredWebhook>, StoreError> {
        self.read(|connection| {
            let mut cursors = std::collections::HashMap::new();
            let mut statement = connection.prepare_cached(webhook::SELECT_CURSORS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (webhook, number) = webhook::cursor_from_row(row)?;
                cursors.insert(webhook, number);
            }
            let mut statement = connection.prepare_cached(webhook::SELECT_ALL)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let webhook = webhook::from_row(row)?;
                let cursor = cursors.get(&webhook.id).copied().unwrap_or(0);
                let failed = delivery::count(connection, webhook.id, DeliveryState::Failed)?;
                found.push(StoredWebhook { webhook, cursor, failed });
            }
            Ok(found)
        })
    }

    /// At most `limit` deliveries of a webhook in a state, after event `after`, oldest first.
    pub fn deliveries(
        &self,
        webhook: WebhookId,
        state: DeliveryState,
        after: u64,
        limit: u32,
    ) -> std::result::Result<Vec<Delivery>, StoreError> {
        self.read(|connection| delivery::page(connection, webhook, state, after, limit))
    }

    /// One delivery that waits or has failed.
    pub fn delivery(&self, webhook: WebhookId, number: u64) -> std::result::Result<Option<Delivery>, StoreError> {
        self.read(|connection| delivery::get(connection, webhook, number))
    }
}
