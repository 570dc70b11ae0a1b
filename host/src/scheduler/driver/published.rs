//! Snapshots of jobs, renewed after each commit: readers never pass through the driver's queue or the store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Notify, watch};

use crate::job::{JobFilter, JobId, JobRecord, JobState};
use crate::scheduler::{Follows, Gating, Reported, WaitingOn};
use crate::transfer::ProgressCell;

/// Jobs that are looked at under one hold of the lock: some 10 us, for which the driver may have to wait.
const LOOKED_AT_ONCE: usize = 256;

/// One job as of the last commit, with the live cell of its progress.
#[derive(Debug, Clone)]
pub(crate) struct PublishedJob {
    pub(crate) record: Arc<JobRecord>,
    pub(crate) state: JobState,
    pub(crate) waiting_on: Option<WaitingOn>,
    pub(crate) progress: Arc<ProgressCell>,
    /// Another one with each publication that changed something; never 0, and never that of an earlier publication of any job.
    pub(crate) revision: u64,
}

/// A job as it is kept: what is reported of it follows the network until it is published again.
#[derive(Debug)]
struct Kept {
    record: Arc<JobRecord>,
    reported: Reported,
    progress: Arc<ProgressCell>,
    revision: u64,
}

/// All of them, and the network.
#[derive(Debug)]
struct Shown {
    /// In the order of their ids, which is that of lists.
    jobs: BTreeMap<JobId, Kept>,
    gating: Gating,
    /// That of the last change of the network, for all jobs that follow it.
    revision: u64,
}

impl Shown {
    fn revision(&self, job: &Kept) -> u64 {
        match job.reported.follows {
            Follows::Nothing => job.revision,
            _ => job.revision.max(self.revision),
        }
    }

    fn job(&self, job: &Kept) -> PublishedJob {
        let (state, waiting_on) = job.reported.under(self.gating);
        PublishedJob {
            record: Arc::clone(&job.record),
            state,
            waiting_on,
            progress: Arc::clone(&job.progress),
            revision: self.revision(job),
        }
    }
}

/// The jobs that are not final, and those that became final lately.
#[derive(Debug)]
pub(crate) struct Published {
    shown: RwLock<Shown>,
    /// Of jobs that somebody waits for.
    waiters: Mutex<HashMap<JobId, Waiters>>,
    generation_tx: watch::Sender<u64>,
    /// The revision that was given last. Written only by the driver.
    revision: Mutex<u64>,
    /// The cell of all jobs that have none of their own: nobody writes it.
    idle: Arc<ProgressCell>,
}

/// Those who wait for one job.
#[derive(Debug, Default)]
struct Waiters {
    notify: Arc<Notify>,
    count: usize,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            shown: RwLock::new(Shown {
                jobs: BTreeMap::new(),
                gating: Gating { connected: true, admissions: 0, returns: 0 },
                revision: 0,
            }),
            waiters: Mutex::default(),
            generation_tx: watch::Sender::new(0),
            revision: Mutex::new(0),
            idle: Arc::default(),
        }
    }

    pub(crate) fn get(&self, job: JobId) -> Option<PublishedJob> {
        let shown = self.read();
        shown.jobs.get(&job).map(|job| shown.job(job))
    }

    /// Those that are not final.
    pub(crate) fn all(&self) -> Vec<PublishedJob> {
        let shown = self.read();
        shown.jobs.values().filter(|job| !job.record.state.is_final()).map(|job| shown.job(job)).collect()
    }

    /// At most `limit` jobs that are not final after `after` that the filter shows, in the order of their ids, and after which one to go on, if there is more.
    pub(crate) fn list(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> (Vec<PublishedJob>, Option<JobId>) {
        let mut shown = Vec::with_capacity(limit.min(LOOKED_AT_ONCE));
        let mut last = after;
        loop {
            // The lock is let go in between: a filter that matches little looks at many jobs.
            let looked_at = self.read();
            let mut rest = looked_at.jobs.range((last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
            for (id, job) in rest.by_ref().take(LOOKED_AT_ONCE) {
                if shown.len() == limit {
                    return (shown, last);
                }
                last = Some(*id);
                let state = job.reported.state_under(looked_at.gating);
                if !job.record.state.is_final() && filter.matches(state, &job.record) {
                    shown.push(looked_at.job(job));
                }
            }
            if rest.next().is_none() {
                return (shown, None);
            }
        }
    }

    /// Changes with each batch that changed something.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation_tx.subscribe()
    }

    /// Returns when the job is not any more as it was published with the revision `seen`: at once, if it is another already or not there.
    /// Cancel-safe.
    pub(crate) async fn changed(&self, job: JobId, seen: u64) {
        let waiting = Waiting::new(self, job);
        loop {
            let mut notified = pin!(waiting.notify.notified());
            // Registered before the look, so that what changes after it is not missed.
            notified.as_mut().enable();
            if self.revision_of(job).is_none_or(|revision| revision != seen) {
                return;
            }
            notified.await;
        }
    }

    /// The revision that a reader finds.
    fn revision_of(&self, job: JobId) -> Option<u64> {
        let shown = self.read();
        shown.jobs.get(&job).map(|job| shown.revision(job))
    }

    fn next_revision(&self) -> u64 {
        let mut last = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        *last
    }

    /// Publishes a job, unless it is as it was published before. Without a cell of its own it keeps the one that it has.
    pub(super) fn set(&self, record: Arc<JobRecord>, reported: Reported, own: Option<Arc<ProgressCell>>) {
        let id = record.id;
        let (progress, same) = {
            let shown = self.read();
            let before = shown.jobs.get(&id);
            let progress = own.or_else(|| before.map(|before| Arc::clone(&before.progress)));
            let progress = progress.unwrap_or_else(|| Arc::clone(&self.idle));
            let same = before.filter(|before| {
                before.reported == reported && Arc::ptr_eq(&before.progress, &progress) && before.record == record
            });
            (progress, same.map(|before| before.revision))
        };
        let revision = same.unwrap_or_else(|| self.next_revision());
        // One that is as it was is kept all the same: its header is shared with the core then.
        self.write().jobs.insert(id, Kept { record, reported, progress, revision });
        if same.is_none() {
            self.wake(id);
        }
    }

    /// Publishes the network as far as jobs follow it. Whether it is another one than before.
    pub(super) fn set_gating(&self, gating: Gating) -> bool {
        if self.read().gating == gating {
            return false;
        }
        let revision = self.next_revision();
        {
            let mut shown = self.write();
            (shown.gating, shown.revision) = (gating, revision);
        }
        // Few are waited for, however many there are; the others look for themselves whether they follow it.
        for waiters in self.waiters().values() {
            waiters.notify.notify_waiters();
        }
        true
    }

    /// Says of every job that would move that it waits.
    pub(super) fn set_all_waiting(&self, waiting_on: &WaitingOn) {
        use JobState::{Connecting, Queued, Transferring, TransientError};
        for job in self.all() {
            if matches!(job.record.state, Queued | Connecting | Transferring | TransientError) {
                let (state, waiting_on) = (JobState::TransientError, Some(waiting_on.clone()));
                self.set(job.record, Reported { state, waiting_on, follows: Follows::Nothing }, None);
            }
        }
        self.announce();
    }

    pub(super) fn remove(&self, job: JobId) {
        let removed = self.write().jobs.remove(&job);
        if removed.is_some() {
            self.wake(job);
        }
    }

    pub(super) fn announce(&self) {
        self.generation_tx.send_modify(|generation| *generation += 1);
    }

    fn wake(&self, job: JobId) {
        if let Some(waiters) = self.waiters().get(&job) {
            waiters.notify.notify_waiters();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<JobId, Waiters>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a job; forgotten when dropped.
struct Waiting<'a> {
    published: &'a Published,
    job: JobId,
    notify: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn new(published: &'a Published, job: JobId) -> Self {
        let mut waiters = published.waiters();
        let entry = waiters.entry(job).or_default();
        entry.count += 1;
        let notify = Arc::clone(&entry.notify);
        Self { published, job, notify }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiters = self.published.waiters();
        if let Some(entry) = waiters.get_mut(&self.job) {
            entry.count -= 1;
            if entry.count == 0 {
                waiters.remove(&self.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::job::Priority;
    use crate::store::tests::a_job;

    fn id(number: u128) -> JobId {
        JobId(Uuid::from_u128(number))
    }

    fn put(published: &Published, number: u128, state: JobState, priority: Priority) {
        let mut record = JobRecord { id: id(number), state, ..a_job() };
        record.properties.priority = priority;
        let reported = Reported { state, waiting_on: None, follows: Follows::Nothing };
        published.set(Arc::new(record), reported, None);
    }

    #[test]
    fn only_those_who_wait_for_a_changed_job_wake() {
        let published = Published::new();
        for number in [1, 2] {
            put(&published, number, JobState::Queued, Priority::Normal);
        }
        let seen = |number| published.get(id(number)).unwrap().revision;
        let mut first = Box::pin(published.changed(id(1), seen(1)));
        let mut second = Box::pin(published.changed(id(2), seen(2)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        put(&published, 1, JobState::Connecting, Priority::Normal);
        assert!(first.as_mut().now_or_never().is_some());
        assert!(second.as_mut().now_or_never().is_none());
        published.remove(id(2));
        assert!(second.as_mut().now_or_never().is_some());
        drop((first, second));
        assert!(published.waiters().is_empty(), "nobody waits any more");
    }

    #[test]
    fn what_changed_before_is_not_waited_for() {
        let published = Published::new();
        put(&published, 1, JobState::Queued, Priority::Normal);
        let seen = published.get(id(1)).unwrap().revision;
        put(&published, 1, JobState::Queued, Priority::Normal);
        assert_eq!(published.get(id(1)).unwrap().revision, seen, "nothing changed");
        put(&published, 1, JobState::Connecting, Priority::Normal);
        assert!(published.changed(id(1), seen).now_or_never().is_some());
        assert!(published.changed(id(9), 1).now_or_never().is_some(), "a job that is not there is not waited for");
    }

    #[test]
    fn what_follows_the_network_changes_with_it_alone() {
        let published = Published::new();
        let online = Gating { connected: true, admissions: 1, returns: 1 };
        assert!(published.set_gating(online));
        assert!(!published.set_gating(online));
        let follows = [Follows::Nothing, Follows::Connection, Follows::Network(1), Follows::Return(1)];
        for (number, follows) in (1..).zip(follows) {
            let record = JobRecord { id: id(number), state: JobState::Queued, ..a_job() };
            published.set(Arc::new(record), Reported { state: JobState::Queued, waiting_on: None, follows }, None);
        }
        let seen = || [1, 2, 3, 4].map(|number| published.get(id(number)).unwrap());
        let codes = || seen().map(|job| job.waiting_on.map_or("", |waiting| waiting.code));
        let revisions = || seen().map(|job| job.revision);
        assert_eq!(codes(), ["", "", "", ""]);
        let before = revisions();
        let mut first = Box::pin(published.changed(id(1), before[0]));
        let mut second = Box::pin(published.changed(id(2), before[1]));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        published.set_gating(Gating { connected: false, ..online });
        assert_eq!(codes(), ["", "network", "network", "network"]);
        assert_eq!(seen().map(|job| job.state == JobState::TransientError), [false, true, true, true]);
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_some());
        let filter = JobFilter { states: vec![JobState::TransientError], ..JobFilter::default() };
        assert_eq!(published.list(&filter, None, 10).0.len(), 3);
        // Back on the same network: only what waited for that has ended.
        published.set_gating(Gating { returns: 2, ..online });
        assert_eq!(codes(), ["", "", "", "turn"]);
        published.set_gating(Gating { returns: 2, admissions: 2, ..online });
        assert_eq!(codes(), ["", "", "turn", "turn"]);
        let after = revisions();
        assert!(before[0] == after[0] && (1..4).all(|number| before[number] < after[number]));
    }

    proptest! {
        #[test]
        fn pages_show_every_job_that_matches_once_and_in_order(
            jobs in proptest::collection::btree_map(1_u128..2_000, (0_usize..7, 0_usize..4), 0..600),
            limit in 1_usize..300,
            state in proptest::option::of(0_usize..7),
        ) {
            let published = Published::new();
            for (number, (state, level)) in &jobs {
                put(&published, *number, JobState::ALL[*state], Priority::ALL[*level]);
            }
            let states = state.map(|state| JobState::ALL[state]).into_iter().collect();
            let filter = JobFilter { states, ..JobFilter::default() };
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let (page, next) = published.list(&filter, after, limit);
                prop_assert!(page.len() <= limit);
                prop_assert!(next.is_none() || page.len() == limit);
                found.extend(page.iter().map(|job| job.record.id));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            let matches = |(_, job): &(&u128, &(usize, usize))| state.is_none_or(|state| state == job.0);
            let wanted: Vec<_> = jobs.iter().filter(matches).map(|(number, _)| id(*number)).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
