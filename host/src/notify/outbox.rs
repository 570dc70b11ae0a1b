//! What one webhook is still to be told: a state machine without I/O.
//!
//! The journal is the outbox. Events are taken from it in order into a bounded window; the *cursor* is the number up to which nothing is left to do
//! that has no row of its own. A delivery gets a row when it has failed or waits behind one that has, so that the cursor can move on past it.
//! Within a job, events are delivered in their order: one that waits holds up the later ones of its job, and no other.
//!
//! On a crash everything after the stored cursor is taken again: what had arrived and was not recorded arrives once more, with the same id.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::select::Selected;
use super::webhook::{Delivery, DeliveryState, NotifyWrite, WebhookId};
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{Event, JobId};

/// Deliveries of one webhook that are in memory, and so at most in rows that wait: with them an unreachable receiver costs some 100 KiB.
/// Beyond that the journal keeps what is to come.
pub(super) const ENTRIES_MAX: usize = 256;

/// Failed deliveries that are kept of one webhook, the newest: enough to see what was missed, and bounded.
pub(super) const FAILED_MAX: u64 = 1_000;

/// Deliveries of one webhook at once. 2 of an owner's 4: one slow receiver leaves room for the others.
const IN_FLIGHT_MAX: usize = 2;

/// Failures in a row after which the first success brings forward what waits: the receiver was down, and is back.
const DOWN_FAILURES: u32 = 3;

/// Events that the cursor may lag behind only because nothing was wanted: looked through again after a crash, in a millisecond.
const CURSOR_LAG_MAX: u64 = 1_000;

/// Jobs whose pace is remembered. Beyond that, all are forgotten: one modification of each may come early.
const PACED_MAX: usize = 1_024;

/// One event that is to be delivered.
#[derive(Debug)]
struct Entry {
    event: Arc<Event>,
    attempts: u32,
    due: BootMillis,
    /// For the row, and for people.
    due_at: UnixMillis,
    delay_ms: u64,
    attempted_at: Option<UnixMillis>,
    status: Option<u16>,
    detail: Option<String>,
    in_flight: bool,
    /// May be left out if another event of its job comes before it is sent.
    is_paced: bool,
    row: Row,
}

/// What the store has of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Nothing: it lies after the cursor.
    None,
    /// A row of before the last change.
    Stale,
    /// A row as it is.
    Current,
}

/// A failed attempt, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: Option<u16>,
    pub(super) detail: String,
}

/// The deliveries of one webhook.
#[derive(Debug)]
pub(super) struct Outbox {
    webhook: WebhookId,
    /// The last event that was looked at.
    taken: u64,
    /// As stored.
    cursor: u64,
    /// By the number of the event.
    entries: BTreeMap<u64, Entry>,
    /// Those after the cursor that had failed for good before the start.
    failed_before: HashSet<u64>,
    /// What became of entries since the last commit.
    ended: Vec<NotifyWrite>,
    /// The highest event that has arrived, or was left out, without ever having had a row.
    arrived: u64,
    failures_in_row: u32,
    /// When a job's last modification was told, by the time of the event.
    paced: HashMap<JobId, UnixMillis>,
}

impl Outbox {
    pub(super) fn new(webhook: WebhookId, cursor: u64) -> Self {
        Self {
            webhook,
            taken: cursor,
            cursor,
            entries: BTreeMap::new(),
            failed_before: HashSet::new(),
            ended: Vec::new(),
            arrived: cursor,
            failures_in_row: 0,
            paced: HashMap::new(),
        }
    }

    /// Takes up a row that waits.
    pub(super) fn load(&mut self, delivery: Delivery, now: Now) {
        // A clock that was set meanwhile makes the wait no longer than it was to be.
        let wait = delivery.due_at.since(now.wall).min(delivery.delay_ms);
        let entry = Entry {
            event: Arc::new(delivery.event),
            attempts: delivery.attempts,
            due: now.boot.plus(wait),
            due_at: delivery.due_at,
            delay_ms: delivery.delay_ms,
            attempted_at: delivery.attempted_at,
            status: delivery.status,
            detail: delivery.detail,
            in_flight: false,
            is_paced: false,
            row: Row::Current,
        };
        self.entries.insert(delivery.number, entry);
    }

    /// The delivery of an event after the cursor has failed for good: it is not taken again.
    pub(super) fn load_failed(&mut self, number: u64) {
        self.failed_before.insert(number);
    }

    /// Lets a delivery that waits be tried at once. Whether there is one.
    pub(super) fn hurry(&mut self, number: u64, now: Now) -> bool {
        let entry = self.entries.get_mut(&number);
        entry.map(|entry| entry.hurry(now)).is_some()
    }

    /// The last event that was looked at.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether another event can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < ENTRIES_MAX
    }

    /// Events up to this one were looked at, or are gone.
    pub(super) fn skip_to(&mut self, number: u64) {
        self.taken = self.taken.max(number);
    }

    /// Takes the next event that the webhook is told of.
    pub(super) fn take(&mut self, number: u64, event: Arc<Event>, selected: Selected, now: Now) {
        self.taken = number;
        // It lies after the cursor and has a row all the same: another one before it was still under way when the host ended.
        if self.failed_before.remove(&number) || self.entries.contains_key(&number) {
            return;
        }
        let mut wait = 0;
        if let Some(job) = event.job {
            self.supersede(job);
            if let Selected::Paced { interval_ms } = selected {
                wait = self.pace(job, event.at, interval_ms, now);
            }
        }
        let entry = Entry {
            event,
            attempts: 0,
            due: now.boot.plus(wait),
            due_at: now.wall.plus(wait),
            delay_ms: wait,
            attempted_at: None,
            status: None,
            detail: None,
            in_flight: false,
            is_paced: matches!(selected, Selected::Paced { .. }),
            row: Row::None,
        };
        self.entries.insert(number, entry);
    }

    /// A modification that was not sent yet is left out once something later of its job is told: BITS drops them under load as well.
    fn supersede(&mut self, job: JobId) {
        let is_over =
            |entry: &Entry| entry.is_paced && entry.event.job == Some(job) && !entry.in_flight && entry.attempts == 0;
        let over: Vec<u64> =
            self.entries.iter().filter(|(_, entry)| is_over(entry)).map(|(number, _)| *number).collect();
        for number in over {
            self.end(number);
        }
    }

    /// Milliseconds that a modification has to wait for its job's pace.
    fn pace(&mut self, job: JobId, at: UnixMillis, interval_ms: u64, now: Now) -> u64 {
        if self.paced.len() >= PACED_MAX {
            self.paced.clear();
        }
        let next = self.paced.get(&job).map_or(at, |last| last.plus(interval_ms)).max(at);
        self.paced.insert(job, next);
        // An event of long ago, told after a pause, has waited already.
        next.since(now.wall).min(next.since(at))
    }

    /// The first delivery that can be tried now: it is due, and nothing earlier of its job is left.
    pub(super) fn next_ready(&self, now: BootMillis) -> Option<u64> {
        // While the receiver fails, one attempt at a time is enough to see it come back.
        let allowed = if self.failures_in_row > 0 { 1 } else { IN_FLIGHT_MAX };
        if self.in_flight() >= allowed {
            return None;
        }
        self.heads().find(|(_, entry)| !entry.in_flight && entry.due <= now).map(|(number, _)| number)
    }

    /// Deliveries that are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.entries.values().filter(|entry| entry.in_flight).count()
    }

    /// When the next delivery is due that waits for its time.
    pub(super) fn next_due(&self, now: BootMillis) -> Option<BootMillis> {
        self.heads().filter(|(_, entry)| !entry.in_flight && entry.due > now).map(|(_, entry)| entry.due).min()
    }

    /// The first delivery of each job.
    fn heads(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let mut seen = HashSet::new();
        self.entries
            .iter()
            .filter(move |(_, entry)| seen.insert(entry.event.job))
            .map(|(number, entry)| (*number, entry))
    }

    /// The attempt begins.
    pub(super) fn begin(&mut self, number: u64) -> Option<Arc<Event>> {
        let entry = self.entries.get_mut(&number)?;
        entry.in_flight = true;
        Some(Arc::clone(&entry.event))
    }

    /// It arrived.
    pub(super) fn delivered(&mut self, number: u64, now: Now) {
        self.end(number);
        let was_down = std::mem::take(&mut self.failures_in_row) >= DOWN_FAILURES;
        if was_down {
            self.entries.values_mut().filter(|entry| !entry.in_flight).for_each(|entry| entry.hurry(now));
        }
    }

    /// It is left out, or has arrived.
    fn end(&mut self, number: u64) {
        match self.entries.remove(&number) {
            Some(Entry { row: Row::None, .. }) => self.arrived = self.arrived.max(number),
            Some(_) => self.ended.push(NotifyWrite::Delivered { webhook: self.webhook, number }),
            None => {}
        }
    }

    /// Attempts of a delivery so far, with the one that has just failed.
    pub(super) fn attempts_with_this(&self, number: u64) -> u32 {
        self.entries.get(&number).map_or(1, |entry| entry.attempts.saturating_add(1))
    }

    /// It did not arrive: it waits so long, or, if there is to be no other attempt, has failed for good.
    pub(super) fn failed(&mut self, number: u64, failure: Failure, delay_ms: Option<u64>, now: Now) {
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.attempts = entry.attempts.saturating_add(1);
        entry.in_flight = false;
        entry.attempted_at = Some(now.wall);
        (entry.status, entry.detail) = (failure.status, Some(failure.detail));
        let wait = delay_ms.unwrap_or(0);
        entry.due = now.boot.plus(wait);
        (entry.due_at, entry.delay_ms) = (now.wall.plus(wait), wait);
        if entry.row == Row::Current {
            entry.row = Row::Stale;
        }
        if delay_ms.is_none() {
            let failed = Delivery { state: DeliveryState::Failed, ..entry.delivery(self.webhook, number) };
            self.entries.remove(&number);
            self.ended.push(NotifyWrite::Put(Box::new(failed)));
            self.ended.push(NotifyWrite::TrimFailed { webhook: self.webhook, keep: FAILED_MAX });
        }
    }

    /// Whether a delivery is not over.
    pub(super) fn has(&self, number: u64) -> bool {
        self.entries.contains_key(&number)
    }

    /// Jobs of which something is left to deliver or to store.
    pub(super) fn jobs(&self) -> HashSet<JobId> {
        let of_ended = self.ended.iter().filter_map(|write| match write {
            NotifyWrite::Put(failed) => failed.event.job,
            _ => None,
        });
        self.entries.values().filter_map(|entry| entry.event.job).chain(of_ended).collect()
    }

    /// Nothing of the job is told any more, nor stored: it belongs to another owner.
    pub(super) fn forget(&mut self, job: JobId) {
        self.entries.retain(|_, entry| entry.event.job != Some(job));
        self.ended.retain(|write| !matches!(write, NotifyWrite::Put(failed) if failed.event.job == Some(job)));
        self.paced.remove(&job);
    }

    /// Deliveries that are not over.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Deliveries that are not over, after a number, oldest first.
    pub(super) fn pending(&self, after: u64, limit: usize) -> Vec<Delivery> {
        let rest = self.entries.range(after.saturating_add(1)..);
        rest.take(limit).map(|(number, entry)| entry.delivery(self.webhook, *number)).collect()
    }

    /// One delivery that is not over.
    pub(super) fn one(&self, number: u64) -> Option<Delivery> {
        self.entries.get(&number).map(|entry| entry.delivery(self.webhook, number))
    }

    /// What the store has to learn; [`Outbox::stored`] says that it has.
    pub(super) fn unstored(&self, now: BootMillis, ending: Ending) -> Vec<NotifyWrite> {
        let mut writes = self.ended.clone();
        let (put, cursor) = self.split(now);
        let of = |number| self.entries.get(number).map(|entry| entry.delivery(self.webhook, *number));
        writes.extend(put.iter().filter_map(of).map(|delivery| NotifyWrite::Put(Box::new(delivery))));
        let lag = cursor.saturating_sub(self.cursor);
        // A cursor that has only passed what nobody wanted is not worth a transaction of its own.
        let is_worth =
            !writes.is_empty() || self.arrived > self.cursor || lag >= CURSOR_LAG_MAX || ending == Ending::Yes;
        if lag > 0 && is_worth {
            writes.push(NotifyWrite::Cursor { webhook: self.webhook, number: cursor });
        }
        writes
    }

    /// What [`Outbox::unstored`] said at this time is stored.
    pub(super) fn stored(&mut self, now: BootMillis, writes: &[NotifyWrite]) {
        self.ended.clear();
        for number in self.split(now).0 {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.row = Row::Current;
            }
        }
        for write in writes {
            if let NotifyWrite::Cursor { webhook, number } = write
                && *webhook == self.webhook
            {
                self.cursor = *number;
            }
        }
    }

    /// The deliveries that need a row, or another one, and the cursor as it is with them.
    fn split(&self, now: BootMillis) -> (Vec<u64>, u64) {
        let (mut put, mut cursor) = (Vec::new(), self.taken);
        let mut held_up = HashSet::new();
        for (number, entry) in &self.entries {
            let waits = !entry.in_flight && (entry.due > now || held_up.contains(&entry.event.job));
            if waits || entry.row != Row::None {
                held_up.insert(entry.event.job);
            }
            match entry.row {
                Row::Current => {}
                Row::Stale => put.push(*number),
                Row::None if waits => put.push(*number),
                Row::None => cursor = cursor.min(number - 1),
            }
        }
        (put, cursor)
    }
}

impl Entry {
    /// It is tried as soon as it can be.
    const fn hurry(&mut self, now: Now) {
        self.due = now.boot;
        self.due_at = now.wall;
    }

    fn delivery(&self, webhook: WebhookId, number: u64) -> Delivery {
        Delivery {
            webhook,
            number,
            event: (*self.event).clone(),
            state: DeliveryState::Pending,
            attempts: self.attempts,
            due_at: self.due_at,
            delay_ms: self.delay_ms,
            attempted_at: self.attempted_at,
            status: self.status,
            detail: self.detail.clone(),
        }
    }
}

/// Whether the host stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does.
    Yes,
    /// It goes on.
    No,
}

#[cfg(test)]
mod tests;
