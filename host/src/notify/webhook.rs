//! What a webhook is, and what a client may ask of one. Plain data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::Secret;
use crate::clock::UnixMillis;
use crate::job::{Event, EventKind, JobId, SafeUrl};

/// The kinds of events that a webhook is told of if its owner names none: how jobs end.
pub const DEFAULT_KINDS: [&str; 4] = ["job_transferred", "job_error", "acknowledged", "cancelled"];

/// A webhook: a UUID of version 7, so that ids sort by creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid")]
#[serde(transparent)]
pub struct WebhookId(pub Uuid);

impl WebhookId {
    /// Draws a new id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Debug for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookId({})", self.0)
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WebhookId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A receiver of events, as it is stored. `Debug` shows neither the secret nor what is secret of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Which one.
    pub id: WebhookId,
    /// Whose jobs it is told of, and who may see it.
    pub owner: String,
    /// Where events are posted to.
    pub url: SafeUrl,
    /// What they are signed with.
    pub secret: Secret,
    /// The kinds of events, each one of [`EventKind::NAMES`].
    pub kinds: Vec<String>,
    /// Only events of jobs that have each of these labels.
    pub labels: Vec<(String, String)>,
    /// Whether events are delivered. Those that happen while they are not wait in the journal.
    pub enabled: bool,
    /// Why the host has disabled it, if it has.
    pub disabled_because: Option<String>,
    /// When it was created.
    pub created_at: UnixMillis,
}

/// A webhook to be created. What a client gave was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Whose.
    pub owner: String,
    /// Where to.
    pub url: SafeUrl,
    /// The client's own; one is drawn if left out.
    pub secret: Option<Secret>,
    /// Which kinds.
    pub kinds: Vec<String>,
    /// Which jobs.
    pub labels: Vec<(String, String)>,
    /// Whether events are delivered at once.
    pub enabled: bool,
}

/// What shall be another way. What is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookChanges {
    /// Where to.
    pub url: Option<SafeUrl>,
    /// Which kinds.
    pub kinds: Option<Vec<String>>,
    /// Which jobs.
    pub labels: Option<Vec<(String, String)>>,
    /// Whether events are delivered.
    pub enabled: Option<bool>,
}

impl Webhook {
    /// Applies changes. Whoever enables a webhook takes back why it was disabled.
    pub(super) fn change(&mut self, changes: WebhookChanges) {
        let WebhookChanges { url, kinds, labels, enabled } = changes;
        self.url = url.unwrap_or_else(|| self.url.clone());
        self.kinds = kinds.unwrap_or_else(|| std::mem::take(&mut self.kinds));
        self.labels = labels.unwrap_or_else(|| std::mem::take(&mut self.labels));
        if let Some(enabled) = enabled {
            self.enabled = enabled;
            self.disabled_because = None;
        }
    }
}

/// Whether this is the name of a kind of event.
#[must_use]
pub fn is_kind(name: &str) -> bool {
    EventKind::NAMES.contains(&name)
}

/// Whether a delivery is still tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or waits for that.
    Pending,
    /// Nobody tries it any more, unless it is sent again on demand.
    Failed,
}

impl DeliveryState {
    /// Both, by the number that is stored.
    pub const ALL: [Self; 2] = [Self::Pending, Self::Failed];
}

/// One event on its way to one webhook, as far as it has not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To which webhook.
    pub webhook: WebhookId,
    /// The number of the event in the journal. The event is kept here as well: retention may take it from there before it arrives.
    pub number: u64,
    /// The event.
    pub event: Event,
    /// Whether it is still tried.
    pub state: DeliveryState,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it is tried next, if it waits.
    pub due_at: UnixMillis,
    /// Milliseconds from the last attempt to the next: bounds the wait after a restart if the clock was set meanwhile.
    pub delay_ms: u64,
    /// When it was last tried.
    pub attempted_at: Option<UnixMillis>,
    /// What the receiver last answered, if it did.
    pub status: Option<u16>,
    /// What went wrong last, in words.
    pub detail: Option<String>,
}

/// A change of what the store has of webhooks. Those of one call are one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyWrite {
    /// A new webhook, which is told of events after this number.
    Insert {
        /// Which.
        webhook: Box<Webhook>,
        /// Its cursor.
        cursor: u64,
    },
    /// Another version of one that is there.
    Update(Box<Webhook>),
    /// It goes, with its cursor and its deliveries.
    Remove(WebhookId),
    /// Every event up to this number was delivered, is in a row of its own, or is not wanted.
    Cursor {
        /// Whose.
        webhook: WebhookId,
        /// Up to which event.
        number: u64,
    },
    /// A delivery that waits or has failed, in place of an earlier row.
    Put(Box<Delivery>),
    /// It has arrived, or is not wanted any more.
    Delivered {
        /// Whose.
        webhook: WebhookId,
        /// Which event.
        number: u64,
    },
    /// Everything of a job goes that waits or has failed: the job is another owner's now.
    ForgetJob {
        /// Whose.
        webhook: WebhookId,
        /// Which job.
        job: JobId,
    },
    /// Of the failed ones only the newest stay.
    TrimFailed {
        /// Whose.
        webhook: WebhookId,
        /// How many.
        keep: u64,
    },
    /// Failed ones that were last tried before this time go.
    PruneFailed {
        /// The time.
        before: UnixMillis,
    },
}
