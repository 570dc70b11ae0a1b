//! The handle of the task that delivers: what the host, and through it the API, can ask of webhooks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::counters::{Counters, WebhookCounts};
use super::egress::is_loopback;
use super::message::Message;
use super::sender::{Sender, SharedSender};
use super::task::{Incoming, Running};
use super::webhook::{Delivery, DeliveryState, NewWebhook, Webhook, WebhookChanges, WebhookId};
use super::{PlainHttp, WebhookError, WebhookSettings};
use crate::access::Tenants;
use crate::clock::{Now, Stopwatch, UnixMillis};
use crate::host::NumberedEvent;
use crate::job::SafeUrl;
use crate::scheduler::RetentionConfig;
use crate::scheduler::driver::Published;
use crate::store::{Store, StoreError};

/// Requests that wait for the task. A client that finds it full waits.
const INCOMING_CAPACITY: usize = 64;

/// What the task works with.
#[derive(Debug)]
pub(crate) struct NotifierParts {
    pub(crate) settings: WebhookSettings,
    pub(crate) retention: RetentionConfig,
    /// What each owner's deliveries may connect to.
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) store: Store,
    pub(crate) published: Arc<Published>,
    /// Every event after its commit, from before the first one of this run.
    pub(crate) events_rx: broadcast::Receiver<Arc<NumberedEvent>>,
}

/// A webhook as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookStatus {
    /// The webhook.
    pub webhook: Webhook,
    /// Deliveries that are tried or wait.
    pub pending: u64,
    /// Deliveries that have failed.
    pub failed: u64,
    /// When a delivery last arrived, in this run of the host.
    pub delivered_at: Option<UnixMillis>,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The receiver has it.
    pub delivered: bool,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub problem: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The webhooks of a host.
#[derive(Debug)]
pub struct Webhooks {
    settings: WebhookSettings,
    incoming_tx: mpsc::Sender<Incoming>,
    sender: SharedSender,
    counters: Arc<Counters>,
    /// None once it was joined.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Webhooks {
    /// Loads the webhooks of the store and starts to deliver.
    pub(crate) async fn start(parts: NotifierParts) -> Result<Self, StoreError> {
        let (incoming_tx, incoming_rx) = mpsc::channel(INCOMING_CAPACITY);
        let settings = parts.settings.clone();
        let sender = Arc::new(Sender::new(settings.clone(), Arc::clone(&parts.tenants)));
        let counters = Arc::new(Counters::default());
        let running = Running::load(parts, Arc::clone(&sender), Arc::clone(&counters)).await?;
        #[expect(clippy::disallowed_methods, reason = "the handle owns the task and `shutdown` joins it")]
        let task = tokio::spawn(running.run(incoming_rx));
        Ok(Self { settings, incoming_tx, sender, counters, task: Mutex::new(Some(task)) })
    }

    /// Creates a webhook, which is told of what happens from now on. Durable when this returns.
    ///
    /// # Errors
    /// [`WebhookError::TooMany`], `PlainHttp`, `EgressDenied`, `Randomness`, `Store` or `Stopping`.
    pub async fn create(&self, new: NewWebhook) -> Result<WebhookStatus, WebhookError> {
        self.check_url(&new.owner, &new.url)?;
        self.ask(|reply_tx| Incoming::Create { new: Box::new(new), reply_tx }).await
    }

    /// The webhooks of an owner, oldest first. Here and below: those of all owners if none is named, which is for administrators.
    ///
    /// # Errors
    /// [`WebhookError::Stopping`].
    pub async fn list(&self, owner: Option<&str>) -> Result<Vec<WebhookStatus>, WebhookError> {
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::List { owner, reply_tx }).await
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] or `Stopping`.
    pub async fn get(&self, owner: Option<&str>, id: WebhookId) -> Result<WebhookStatus, WebhookError> {
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::Get { owner, id, reply_tx }).await
    }

    /// Changes a webhook. Durable when this returns. One that is enabled goes on with what happened since it was disabled.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], `PlainHttp`, `EgressDenied`, `Store` or `Stopping`.
    pub async fn change(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        changes: WebhookChanges,
    ) -> Result<WebhookStatus, WebhookError> {
        if let Some(url) = &changes.url {
            let owner = self.get(owner, id).await?.webhook.owner;
            self.check_url(&owner, url)?;
        }
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::Change { owner, id, changes: Box::new(changes), reply_tx }).await
    }

    /// Removes a webhook with all that it was still to be told.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], `Store` or `Stopping`.
    pub async fn remove(&self, owner: Option<&str>, id: WebhookId) -> Result<(), WebhookError> {
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::Remove { owner, id, reply_tx }).await
    }

    /// Sends a test to the receiver, now and once, whether the webhook is enabled or not.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] or `Stopping`. That it did not arrive is no error of this call.
    pub async fn test(&self, owner: Option<&str>, id: WebhookId) -> Result<Tested, WebhookError> {
        let webhook = self.get(owner, id).await?.webhook;
        let (watch, message) = (Stopwatch::start(), Message::of_test(id, Now::read().wall));
        let outcome = self.sender.send(&webhook, message).await;
        let problem = outcome.problem();
        Ok(Tested { delivered: problem.is_none(), status: outcome.status(), problem, took: watch.elapsed() })
    }

    /// At most `limit` deliveries that are tried or wait, or that have failed, after that of event `after`, oldest first.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], `Store` or `Stopping`.
    pub async fn deliveries(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        state: DeliveryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Delivery>, WebhookError> {
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::Deliveries { owner, id, state, after, limit, reply_tx }).await
    }

    /// Tries a delivery at once: one that has failed as often as a new one. Durable when this returns.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], `NoDelivery`, `Store` or `Stopping`.
    pub async fn resend(&self, owner: Option<&str>, id: WebhookId, number: u64) -> Result<Delivery, WebhookError> {
        let owner = owner.map(str::to_owned);
        self.ask(|reply_tx| Incoming::Resend { owner, id, number, reply_tx }).await
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> WebhookCounts {
        self.counters.read()
    }

    /// Ends the task: what is under way gets a moment, and is sent again after the next start if that was too short.
    pub(crate) async fn shutdown(&self) {
        let _stopped = self.incoming_tx.send(Incoming::Shutdown).await;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the task that delivers to webhooks ended abnormally");
        }
    }

    /// That a name leads to no forbidden address is seen to at each delivery.
    fn check_url(&self, owner: &str, url: &SafeUrl) -> Result<(), WebhookError> {
        self.sender.check(owner, url).map_err(|forbidden| WebhookError::EgressDenied(forbidden.to_string()))?;
        let is_plain = url.expose().scheme() == "http";
        match self.settings.plain_http {
            PlainHttp::Loopback if is_plain && !is_loopback(url) => Err(WebhookError::PlainHttp),
            PlainHttp::Loopback | PlainHttp::Anywhere => Ok(()),
        }
    }

    async fn ask<T>(
        &self,
        incoming: impl FnOnce(oneshot::Sender<Result<T, WebhookError>>) -> Incoming,
    ) -> Result<T, WebhookError> {
        let (reply_tx, reply_rx) = oneshot::channel();
        self.incoming_tx.send(incoming(reply_tx)).await.map_err(|_| WebhookError::Stopping)?;
        reply_rx.await.unwrap_or(Err(WebhookError::Stopping))
    }
}
