//! Records what became of deliveries, and removes what is no longer kept of it.

use super::*;

/// Milliseconds between two looks whether a store that failed can be used again.
const STORE_RETRY_MS: u64 = 1_000;

impl Running {
    /// Stores what became of deliveries, in one transaction.
    pub(super) async fn record(&mut self, ending: Ending) {
        let now = Now::read().boot;
        let mut all = Vec::new();
        for hook in self.hooks.values() {
            if hook.is_changed {
                all.push(NotifyWrite::Update(Box::new(Webhook::clone(&hook.webhook))));
            }
            all.extend(hook.outbox.unstored(now, ending));
        }
        if all.is_empty() {
            return;
        }
        match self.store.notify(all.clone()).await {
            Ok(()) => {
                for hook in self.hooks.values_mut() {
                    hook.is_changed = false;
                    hook.outbox.stored(now, &all);
                }
                if std::mem::take(&mut self.is_told) {
                    tracing::info!("deliveries to webhooks go on");
                }
                self.retry_at = None;
            }
            Err(error) => self.degrade(&error),
        }
    }

    pub(super) fn degrade(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(%error, "the store cannot be used; deliveries to webhooks wait until it can");
        }
        self.retry_at = Some(Now::read().boot.plus(STORE_RETRY_MS));
    }

    /// Whether the store can be used, as far as is known. After a failure that is tried by what is to be recorded first.
    pub(super) async fn is_usable(&mut self) -> bool {
        match self.retry_at {
            None => true,
            Some(at) if at > Now::read().boot => false,
            Some(_) => {
                self.retry_at = None;
                self.record(Ending::No).await;
                self.retry_at.is_none()
            }
        }
    }

    /// Removes failed deliveries that are older than events are kept.
    pub(super) async fn prune(&mut self) {
        let now = Now::read();
        if self.prune_at > now.boot || self.hooks.values().all(|hook| hook.failed == 0) {
            if self.prune_at <= now.boot {
                self.prune_at = now.boot.plus(self.retention.interval_ms.max(1));
            }
            return;
        }
        self.prune_at = now.boot.plus(self.retention.interval_ms.max(1));
        let before = UnixMillis(now.wall.0.saturating_sub(self.retention.events_ms));
        let pruned = self.store.notify(vec![NotifyWrite::PruneFailed { before }]).await;
        let counted = match pruned {
            Ok(()) => self.journal.read(|reader| reader.webhooks()).await,
            Err(error) => Err(error),
        };
        match counted {
            Ok(stored) => {
                for StoredWebhook { webhook, failed, .. } in stored {
                    if let Some(hook) = self.hooks.get_mut(&webhook.id) {
                        hook.failed = failed;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "could not remove failed deliveries; it is tried again later"),
        }
    }
}
