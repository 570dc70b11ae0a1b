//! Tries deliveries, and takes what became of them.

use super::*;
use crate::notify::backoff::delay_ms;
use crate::notify::message::Message;
use crate::notify::outbox::Failure;

impl Running {
    /// Starts what can be tried: of each owner's webhooks the one whose turn was longest ago first.
    pub(super) fn start_attempts(&mut self) {
        let now = Now::read().boot;
        let allowed = self.settings.concurrent_per_owner as usize;
        let mut in_flight: HashMap<String, usize> = HashMap::new();
        for hook in self.hooks.values() {
            *in_flight.entry(hook.webhook.owner.clone()).or_default() += hook.outbox.in_flight();
        }
        loop {
            let can_start = |hook: &&mut Hook| {
                hook.webhook.enabled && in_flight.get(&hook.webhook.owner).is_none_or(|count| *count < allowed)
            };
            let ready = self.hooks.values_mut().filter(can_start).filter_map(|hook| {
                let number = hook.outbox.next_ready(now)?;
                Some((hook, number))
            });
            let Some((hook, number)) = ready.min_by_key(|(hook, _)| hook.turn) else { return };
            let Some(event) = hook.outbox.begin(number) else { return };
            self.next_turn += 1;
            hook.turn = self.next_turn;
            *in_flight.entry(hook.webhook.owner.clone()).or_default() += 1;
            let (webhook, sender) = (Arc::clone(&hook.webhook), Arc::clone(&self.sender));
            let message = Message::of_event(self.store.id(), number, &event);
            let id = webhook.id;
            let attempt = self.attempts.spawn(async move { sender.send(&webhook, message).await });
            self.under_way.insert(attempt.id(), (id, number));
        }
    }

    pub(super) fn joined(&mut self, joined: Joined) {
        let (task, outcome) = match joined {
            Ok((task, outcome)) => (task, outcome),
            Err(error) => {
                tracing::error!(%error, "an attempt of a delivery ended abnormally");
                (error.id(), Outcome::Unanswered { detail: "the attempt ended abnormally".into() })
            }
        };
        if let Some((webhook, number)) = self.under_way.remove(&task) {
            self.attempted(webhook, number, outcome);
        }
    }

    fn attempted(&mut self, id: WebhookId, number: u64, outcome: Outcome) {
        // A webhook that was removed meanwhile has nobody who would want to know.
        let Some(hook) = self.hooks.get_mut(&id) else { return };
        // Its job has changed hands meanwhile.
        if !hook.outbox.has(number) {
            return;
        }
        let now = Now::read();
        let Some(problem) = outcome.problem() else {
            hook.outbox.delivered(number, now);
            hook.delivered_at = Some(now.wall);
            add(&self.counters.delivered, 1);
            tracing::debug!(webhook = %id, event = number, "delivered");
            return;
        };
        add(&self.counters.attempts_failed, 1);
        let attempts = hook.outbox.attempts_with_this(number);
        let delay = match outcome {
            Outcome::Gone => None,
            Outcome::Refused { retry_after_ms, .. } => delay_ms(&self.settings, attempts, retry_after_ms, seed()),
            Outcome::Unanswered { .. } | Outcome::Delivered { .. } => delay_ms(&self.settings, attempts, None, seed()),
        };
        if delay.is_none() {
            add(&self.counters.given_up, 1);
            hook.failed = (hook.failed + 1).min(FAILED_MAX);
            tracing::warn!(webhook = %id, event = number, attempts, %problem, "a delivery has failed for good");
        } else {
            tracing::info!(webhook = %id, event = number, attempts, %problem, "a delivery has failed and is tried again");
        }
        hook.outbox.failed(number, Failure { status: outcome.status(), detail: problem.clone() }, delay, now);
        if outcome == Outcome::Gone && hook.webhook.enabled {
            tracing::warn!(webhook = %id, "disabled: the receiver wants no more");
            let disabled = Webhook { enabled: false, disabled_because: Some(problem), ..Webhook::clone(&hook.webhook) };
            hook.webhook = Arc::new(disabled);
            hook.is_changed = true;
        }
    }
}

/// For the jitter of a delay: the random half of a UUID.
fn seed() -> u64 {
    uuid::Uuid::now_v7().as_u64_pair().1
}
