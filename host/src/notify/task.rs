//! The one loop of the webhooks: takes events from the journal, tries deliveries, and records what became of them.
//!
//! Nothing is sent that could not be recorded: while the store cannot be written, the webhooks wait with everything else.

mod attempts;
mod ownership;
mod recording;
mod requests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::timeout;

use super::counters::{Counters, add};
use super::journal::{Journal, PAGE, Page};
use super::notifier::{NotifierParts, WebhookStatus};
use super::outbox::{Ending, FAILED_MAX, Outbox};
use super::select::select;
use super::sender::{Outcome, SharedSender};
use super::webhook::{Delivery, DeliveryState, NewWebhook, NotifyWrite, Webhook, WebhookChanges, WebhookId};
use super::{WebhookError, WebhookSettings};
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::host::NumberedEvent;
use crate::scheduler::RetentionConfig;
use crate::store::{Store, StoreError, StoredWebhook};

/// The longest sleep without a look at the boot clock, which goes on while the machine sleeps and the runtime's timer does not.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// What attempts under way get when the host stops; with the drain of the workers it is to end within 5 s. Most answers are there sooner.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// Pages of the journal between two looks at what else is to be done: some 30 ms.
const PAGES_AT_ONCE: usize = 8;

/// Whom to reply to.
pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, WebhookError>>;

/// What comes from outside. Without an owner it is about the webhooks of all of them.
#[derive(Debug)]
pub(super) enum Incoming {
    Create {
        new: Box<NewWebhook>,
        reply_tx: ReplyTo<WebhookStatus>,
    },
    List {
        owner: Option<String>,
        reply_tx: ReplyTo<Vec<WebhookStatus>>,
    },
    Get {
        owner: Option<String>,
        id: WebhookId,
        reply_tx: ReplyTo<WebhookStatus>,
    },
    Change {
        owner: Option<String>,
        id: WebhookId,
        changes: Box<WebhookChanges>,
        reply_tx: ReplyTo<WebhookStatus>,
    },
    Remove {
        owner: Option<String>,
        id: WebhookId,
        reply_tx: ReplyTo<()>,
    },
    Deliveries {
        owner: Option<String>,
        id: WebhookId,
        state: DeliveryState,
        after: u64,
        limit: u32,
        reply_tx: ReplyTo<Vec<Delivery>>,
    },
    Resend {
        owner: Option<String>,
        id: WebhookId,
        number: u64,
        reply_tx: ReplyTo<Delivery>,
    },
    Shutdown,
}

/// A webhook with what it is still to be told.
#[derive(Debug)]
struct Hook {
    webhook: Arc<Webhook>,
    outbox: Outbox,
    /// Rows of deliveries that have failed.
    failed: u64,
    delivered_at: Option<UnixMillis>,
    /// When it last had a turn among its owner's: the one that waits longest is next.
    turn: u64,
    /// The host has disabled it, and the store does not know yet.
    is_changed: bool,
}

/// The end of a task.
type Joined = Result<(task::Id, Outcome), JoinError>;

/// What woke the loop.
enum Wake {
    Incoming(Option<Incoming>),
    Event(Result<Arc<NumberedEvent>, RecvError>),
    Attempted(Joined),
    Timer,
}

pub(super) struct Running {
    settings: WebhookSettings,
    retention: RetentionConfig,
    store: Store,
    journal: Journal,
    events_rx: broadcast::Receiver<Arc<NumberedEvent>>,
    sender: SharedSender,
    counters: Arc<Counters>,
    hooks: BTreeMap<WebhookId, Hook>,
    attempts: JoinSet<Outcome>,
    /// What each of them delivers.
    under_way: HashMap<task::Id, (WebhookId, u64)>,
    /// What the store still has of jobs that belong to others now.
    forgotten: Vec<NotifyWrite>,
    /// The last event that is known to be in the journal; the largest number while that is to be found out.
    journal_end: u64,
    /// The store failed: nothing is sent before this time, and then only if it can be used.
    retry_at: Option<BootMillis>,
    /// The log has that the store failed.
    is_told: bool,
    next_turn: u64,
    prune_at: BootMillis,
}

impl Running {
    pub(super) async fn load(
        parts: NotifierParts,
        sender: SharedSender,
        counters: Arc<Counters>,
    ) -> Result<Self, StoreError> {
        let NotifierParts { settings, retention, tenants: _, store, published, events_rx } = parts;
        let mut journal = Journal::new(store.clone(), published);
        let loaded = journal.read(|reader| {
            let with_pending = |hook: StoredWebhook| {
                let id = hook.webhook.id;
                let pending = reader.deliveries(id, DeliveryState::Pending, 0, u32::MAX)?;
                let failed = reader.deliveries(id, DeliveryState::Failed, hook.cursor, u32::MAX)?;
                Ok((hook, pending, failed))
            };
            reader.webhooks()?.into_iter().map(with_pending).collect::<Result<Vec<_>, StoreError>>()
        });
        let mut hooks = BTreeMap::new();
        let now = Now::read();
        for (StoredWebhook { webhook, cursor, failed }, pending, failed_after) in loaded.await? {
            let mut outbox = Outbox::new(webhook.id, cursor);
            pending.into_iter().for_each(|delivery| outbox.load(delivery, now));
            failed_after.iter().for_each(|delivery| outbox.load_failed(delivery.number));
            hooks.insert(webhook.id, Hook::new(webhook, outbox, failed));
        }
        Ok(Self {
            settings,
            retention,
            store,
            journal,
            events_rx,
            sender,
            counters,
            hooks,
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            forgotten: Vec::new(),
            journal_end: u64::MAX,
            retry_at: None,
            is_told: false,
            next_turn: 0,
            prune_at: now.boot,
        })
    }

    pub(super) async fn run(mut self, mut incoming_rx: mpsc::Receiver<Incoming>) {
        self.forget_all_lost();
        loop {
            if self.is_usable().await {
                self.take_events().await;
                self.start_attempts();
            }
            self.prune().await;
            self.count();
            match self.wait(&mut incoming_rx).await {
                Wake::Incoming(Some(Incoming::Shutdown) | None) => break,
                Wake::Incoming(Some(incoming)) => self.answer(incoming).await,
                Wake::Event(event) => self.hear(event),
                Wake::Attempted(attempted) => self.joined(attempted),
                Wake::Timer => {}
            }
            // Whatever else has ended goes into the same transaction.
            while let Some(attempted) = self.attempts.try_join_next_with_id() {
                self.joined(attempted);
            }
        }
        self.stop().await;
    }

    /// Waits for something to happen. Cancel-safe in every branch: nothing is lost if another one is taken.
    async fn wait(&mut self, incoming_rx: &mut mpsc::Receiver<Incoming>) -> Wake {
        let sleep = self.sleep();
        // To those that are disabled as well: what waits for one may be of a job that changes hands.
        let listens = !self.hooks.is_empty();
        tokio::select! {
            biased;
            Some(attempted) = self.attempts.join_next_with_id() => Wake::Attempted(attempted),
            incoming = incoming_rx.recv() => Wake::Incoming(incoming),
            event = self.events_rx.recv(), if listens => Wake::Event(event),
            () = tokio::time::sleep(sleep) => Wake::Timer,
        }
    }

    fn sleep(&self) -> Duration {
        let now = Now::read().boot;
        if let Some(at) = self.retry_at {
            return Duration::from_millis(at.since(now));
        }
        if self.behind().is_some() {
            return Duration::ZERO;
        }
        let enabled = self.hooks.values().filter(|hook| hook.webhook.enabled);
        let due = enabled.filter_map(|hook| hook.outbox.next_due(now)).chain([self.prune_at]).min();
        due.map_or(SLEEP_MAX, |at| Duration::from_millis(at.since(now)).min(SLEEP_MAX))
    }

    /// Something was committed. What it is stands in the journal.
    fn hear(&mut self, event: Result<Arc<NumberedEvent>, RecvError>) {
        self.heard(event.ok());
        self.hear_all();
    }

    fn hear_all(&mut self) {
        loop {
            match self.events_rx.try_recv() {
                Ok(event) => self.heard(Some(event)),
                Err(TryRecvError::Lagged(_)) => self.heard(None),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn heard(&mut self, event: Option<Arc<NumberedEvent>>) {
        self.journal_end = match event {
            Some(event) => {
                self.forget_lost(&event.event);
                self.journal_end.max(event.number)
            }
            // Of a journal that went on without us it is to be found out how far it goes.
            None => {
                self.forget_all_lost();
                u64::MAX
            }
        };
    }

    /// The number after which the journal is to be read: the least of all webhooks that can take more and have not taken all.
    fn behind(&self) -> Option<u64> {
        let can_take = self.hooks.values().filter(|hook| hook.webhook.enabled && hook.outbox.has_room());
        can_take.map(|hook| hook.outbox.taken()).min().filter(|taken| *taken < self.journal_end)
    }

    async fn take_events(&mut self) {
        for _ in 0..PAGES_AT_ONCE {
            let Some(after) = self.behind() else { return };
            match self.journal.after(after).await {
                Ok(page) => {
                    self.goes_on();
                    self.take_page(after, page);
                }
                Err(error) => return self.degrade(&error),
            }
        }
    }

    fn take_page(&mut self, after: u64, page: Page) {
        let is_last = page.events.len() < PAGE as usize;
        let first = page.events.first().map_or(page.end + 1, |(number, _)| *number);
        let now = Now::read();
        for hook in self.hooks.values_mut().filter(|hook| hook.webhook.enabled) {
            let taken = hook.outbox.taken();
            if taken < after || taken > page.events.last().map_or(page.end, |(number, _)| *number) {
                continue;
            }
            if taken + 1 < first {
                let missed = first - 1 - taken;
                add(&self.counters.missed, missed);
                tracing::warn!(webhook = %hook.webhook.id, missed, "retention has removed events before a webhook was told of them");
                hook.outbox.skip_to(first - 1);
            }
            for (number, event) in &page.events {
                if *number <= taken {
                    continue;
                }
                if !hook.outbox.has_room() {
                    break;
                }
                let facts = event.job.and_then(|job| page.jobs.get(&job));
                match select(&hook.webhook, event, facts) {
                    Some(selected) => hook.outbox.take(*number, Arc::clone(event), selected, now),
                    None => hook.outbox.skip_to(*number),
                }
            }
        }
        if is_last {
            let last = page.events.last().map_or(page.end, |(number, _)| *number);
            // What was committed meanwhile is heard of.
            self.journal_end = last.max(page.end);
        }
    }

    fn count(&self) {
        let sum = |of: fn(&Hook) -> u64| self.hooks.values().map(of).sum();
        self.counters.pending.store(sum(|hook| hook.outbox.len() as u64), Ordering::Relaxed);
        self.counters.failed.store(sum(|hook| hook.failed), Ordering::Relaxed);
    }

    /// Gives what is under way a moment, and records how far everything is.
    async fn stop(mut self) {
        let last = async {
            while let Some(attempted) = self.attempts.join_next_with_id().await {
                self.joined(attempted);
            }
        };
        if timeout(STOP_GRACE, last).await.is_err() {
            self.attempts.shutdown().await;
        }
        self.record(Ending::Yes).await;
    }
}

impl Hook {
    fn new(webhook: Webhook, outbox: Outbox, failed: u64) -> Self {
        Self { webhook: Arc::new(webhook), outbox, failed, delivered_at: None, turn: 0, is_changed: false }
    }

    fn status(&self) -> WebhookStatus {
        WebhookStatus {
            webhook: Webhook::clone(&self.webhook),
            pending: self.outbox.len() as u64,
            failed: self.failed,
            delivered_at: self.delivered_at,
        }
    }
}
