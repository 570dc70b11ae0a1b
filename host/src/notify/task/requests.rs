//! What clients ask of webhooks.

use super::*;
use crate::notify::secret::Secret;

impl Running {
    /// Does what is asked. A caller that has left needs no reply; what it asked for is done, or not, all the same.
    pub(super) async fn answer(&mut self, incoming: Incoming) {
        // Whoever asks after a job has changed hands sees nothing of it any more.
        self.hear_all();
        match incoming {
            Incoming::Create { new, reply_tx } => {
                let _left = reply_tx.send(self.create(*new).await);
            }
            Incoming::List { owner, reply_tx } => {
                let of_owner = self.hooks.values().filter(|hook| is_of(hook, owner.as_deref()));
                let _left = reply_tx.send(Ok(of_owner.map(Hook::status).collect()));
            }
            Incoming::Get { owner, id, reply_tx } => {
                let _left = reply_tx.send(self.hook(owner.as_deref(), id).map(|hook| hook.status()));
            }
            Incoming::Change { owner, id, changes, reply_tx } => {
                let _left = reply_tx.send(self.change(owner.as_deref(), id, *changes).await);
            }
            Incoming::Remove { owner, id, reply_tx } => {
                let _left = reply_tx.send(self.remove(owner.as_deref(), id).await);
            }
            Incoming::Deliveries { owner, id, state, after, limit, reply_tx } => {
                let _left = reply_tx.send(self.deliveries(owner.as_deref(), id, state, after, limit).await);
            }
            Incoming::Resend { owner, id, number, reply_tx } => {
                let _left = reply_tx.send(self.resend(owner.as_deref(), id, number).await);
            }
            Incoming::Shutdown => {}
        }
    }

    /// The webhook, if it is this owner's: of others' nobody but an administrator learns that they are there.
    fn hook(&mut self, owner: Option<&str>, id: WebhookId) -> Result<&mut Hook, WebhookError> {
        let hook = self.hooks.get_mut(&id).filter(|hook| is_of(hook, owner));
        hook.ok_or(WebhookError::NotFound(id))
    }

    async fn create(&mut self, new: NewWebhook) -> Result<WebhookStatus, WebhookError> {
        let NewWebhook { owner, url, secret, kinds, labels, enabled } = new;
        let max = self.settings.per_owner_max;
        let count = self.hooks.values().filter(|hook| hook.webhook.owner == owner).count();
        if count >= max as usize {
            return Err(WebhookError::TooMany(max));
        }
        let secret = match secret {
            Some(secret) => secret,
            None => Secret::generate().map_err(|error| WebhookError::Randomness(error.to_string()))?,
        };
        let created_at = Now::read().wall;
        let id = WebhookId::generate();
        let webhook = Webhook { id, owner, url, secret, kinds, labels, enabled, disabled_because: None, created_at };
        let cursor = self.journal.read(|reader| reader.last_event_number()).await?;
        self.store.notify(vec![NotifyWrite::Insert { webhook: Box::new(webhook.clone()), cursor }]).await?;
        let hook = self.hooks.entry(id).or_insert(Hook::new(webhook, Outbox::new(id, cursor), 0));
        // Nobody may have listened until now.
        self.journal_end = u64::MAX;
        Ok(hook.status())
    }

    async fn change(
        &mut self,
        owner: Option<&str>,
        id: WebhookId,
        changes: WebhookChanges,
    ) -> Result<WebhookStatus, WebhookError> {
        let mut webhook = Webhook::clone(&self.hook(owner, id)?.webhook);
        webhook.change(changes);
        self.store.notify(vec![NotifyWrite::Update(Box::new(webhook.clone()))]).await?;
        let hook = self.hook(owner, id)?;
        hook.webhook = Arc::new(webhook);
        hook.is_changed = false;
        let status = hook.status();
        self.journal_end = u64::MAX;
        Ok(status)
    }

    async fn remove(&mut self, owner: Option<&str>, id: WebhookId) -> Result<(), WebhookError> {
        self.hook(owner, id)?;
        self.store.notify(vec![NotifyWrite::Remove(id)]).await?;
        self.hooks.remove(&id);
        Ok(())
    }

    async fn deliveries(
        &mut self,
        owner: Option<&str>,
        id: WebhookId,
        state: DeliveryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Delivery>, WebhookError> {
        let hook = self.hook(owner, id)?;
        match state {
            DeliveryState::Pending => Ok(hook.outbox.pending(after, limit as usize)),
            DeliveryState::Failed => {
                // What has just failed is stored first.
                self.record(Ending::No).await;
                Ok(self.journal.read(move |reader| reader.deliveries(id, state, after, limit)).await?)
            }
        }
    }

    async fn resend(&mut self, owner: Option<&str>, id: WebhookId, number: u64) -> Result<Delivery, WebhookError> {
        let now = Now::read();
        let none = || WebhookError::NoDelivery { webhook: id, number };
        let hook = self.hook(owner, id)?;
        if !hook.outbox.hurry(number, now) {
            self.record(Ending::No).await;
            let found = self.journal.read(move |reader| reader.delivery(id, number)).await?;
            let found = found.filter(|delivery| delivery.state == DeliveryState::Failed).ok_or_else(none)?;
            let pending =
                Delivery { state: DeliveryState::Pending, attempts: 0, due_at: now.wall, delay_ms: 0, ..found };
            self.store.notify(vec![NotifyWrite::Put(Box::new(pending.clone()))]).await?;
            let hook = self.hook(owner, id)?;
            hook.failed = hook.failed.saturating_sub(1);
            hook.outbox.load(pending, now);
        }
        self.hook(owner, id)?.outbox.one(number).ok_or_else(none)
    }
}

/// Whether the webhook is this owner's; every one is, if none is named.
fn is_of(hook: &Hook, owner: Option<&str>) -> bool {
    owner.is_none_or(|owner| hook.webhook.owner == owner)
}
