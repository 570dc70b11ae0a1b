//! Webhooks: events of the journal, posted to receivers of their own, signed, at least once, in order per job.
//!
//! ```text
//! Host ─ Webhooks (handle) ─ Incoming ─→ ┌──────┐ ← NumberedEvent ─ driver, after its commit
//!                                        │ task │ ── pages of the journal ←─ Reader
//! receiver ←─ POST ─ Sender ← attempts ← └──────┘ ── NotifyWrite ─→ Store: cursors, deliveries that wait or failed
//! ```
//!
//! A task beside the driver, owned by the host, does everything: the driver knows nothing of webhooks and never waits for one. What is
//! decided is pure: `select` (who is told what), `outbox` (what is left to do for one webhook, and in which order), `backoff` (when
//! again). `egress` is the one place that says which addresses deliveries may go to.
//!
//! On a crash at any point: the journal has every event, and each webhook goes on after its stored cursor with the rows that wait. What had
//! arrived and was not recorded arrives once more, with the same `webhook-id`.

mod backoff;
mod counters;
mod egress;
mod error;
mod journal;
mod message;
mod notifier;
mod outbox;
mod secret;
mod select;
mod sender;
mod settings;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod webhook;

pub use self::counters::WebhookCounts;
pub use self::error::WebhookError;
pub use self::message::TEST_TYPE;
pub use self::notifier::{Tested, WebhookStatus, Webhooks};
pub use self::secret::{Secret, SecretError};
pub use self::settings::{PlainHttp, WebhookSettings};
pub use self::webhook::{
    DEFAULT_KINDS, Delivery, DeliveryState, NewWebhook, NotifyWrite, Webhook, WebhookChanges, WebhookId, is_kind,
};

pub(crate) use self::notifier::NotifierParts;
