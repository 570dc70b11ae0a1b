//! Records what became of deliveries, and removes what is no longer kept of it.

use super::*;

/// Milliseconds between two looks whether a store that failed can be used again.
const STORE_RETRY_MS: u64 = 1_000;

impl Running {
    /// Stores what became of deliveries, in one transaction.
    pub(super) async fn record(&mut self, ending: Ending) {
        let now = Now::read().boot;
        let mut all = self.forgotten.clone();
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
                self.goes_on();
                if !std::mem::take(&mut self.forgotten).is_empty() {
                    self.count_failed().await;
                }
            }
            Err(error) => self.degrade(&error),
        }
    }

    /// The store cannot be used for now.
    pub(super) fn degrade(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(%error, "the store cannot be used; deliveries to webhooks wait until it can");
        }
        self.retry_at = Some(Now::read().boot.plus(STORE_RETRY_MS));
    }

    /// The store can be used.
    pub(super) fn goes_on(&mut self) {
        if std::mem::take(&mut self.is_told) {
            tracing::info!("deliveries to webhooks go on");
        }
        self.retry_at = None;
    }

    /// Records what there is to record, and says whether more can be sent: only if that could be.
    pub(super) async fn is_usable(&mut self) -> bool {
        if self.retry_at.is_some_and(|at| at > Now::read().boot) {
            return false;
        }
        self.retry_at = None;
        self.record(Ending::No).await;
        self.retry_at.is_none()
    }

    /// Removes failed deliveries that are older than events are kept.
    pub(super) async fn prune(&mut self) {
        let now = Now::read();
        if self.prune_at > now.boot {
            return;
        }
        self.prune_at = now.boot.plus(self.retention.interval_ms.max(1));
        if self.hooks.values().all(|hook| hook.failed == 0) {
            return;
        }
        let before = UnixMillis(now.wall.0.saturating_sub(self.retention.events_ms));
        match self.store.notify(vec![NotifyWrite::PruneFailed { before }]).await {
            Ok(()) => self.count_failed().await,
            Err(error) => tracing::warn!(%error, "could not remove failed deliveries; it is tried again later"),
        }
    }

    /// Counts the rows of deliveries that have failed, where it is not known how many have gone.
    async fn count_failed(&mut self) {
        match self.journal.read(|reader| reader.webhooks()).await {
            Ok(stored) => {
                for StoredWebhook { webhook, failed, .. } in stored {
                    if let Some(hook) = self.hooks.get_mut(&webhook.id) {
                        hook.failed = failed;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "could not count failed deliveries; the number may be too high"),
        }
    }
}
