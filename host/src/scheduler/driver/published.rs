//! Snapshots of jobs, renewed after each commit: readers never pass through the driver's queue or the store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{Notify, watch};

use crate::job::{JobFilter, JobId, JobRecord, JobState};
use crate::scheduler::WaitingOn;
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

/// The jobs that are not final, and those that became final lately.
#[derive(Debug)]
pub(crate) struct Published {
    /// In the order of their ids, which is that of lists.
    jobs: RwLock<BTreeMap<JobId, Arc<PublishedJob>>>,
    /// Of jobs that somebody waits for.
    waiters: Mutex<HashMap<JobId, Waiters>>,
    generation_tx: watch::Sender<u64>,
    /// The revision that was given last. Written only by the driver.
    revision: Mutex<u64>,
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
            jobs: RwLock::default(),
            waiters: Mutex::default(),
            generation_tx: watch::Sender::new(0),
            revision: Mutex::new(0),
        }
    }

    pub(crate) fn get(&self, job: JobId) -> Option<Arc<PublishedJob>> {
        self.read().get(&job).cloned()
    }

    /// Those that are not final.
    pub(crate) fn all(&self) -> Vec<Arc<PublishedJob>> {
        self.read().values().filter(|job| !job.record.state.is_final()).cloned().collect()
    }

    /// At most `limit` jobs that are not final after `after` that the filter shows, in the order of their ids, and after which one to go on, if there is more.
    pub(crate) fn list(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> (Vec<Arc<PublishedJob>>, Option<JobId>) {
        let mut shown = Vec::with_capacity(limit.min(LOOKED_AT_ONCE));
        let mut last = after;
        loop {
            // The lock is let go in between: a filter that matches little looks at many jobs.
            let jobs = self.read();
            let mut rest = jobs.range((last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
            for (id, job) in rest.by_ref().take(LOOKED_AT_ONCE) {
                if shown.len() == limit {
                    return (shown, last);
                }
                last = Some(*id);
                if !job.record.state.is_final() && filter.matches(job.state, &job.record) {
                    shown.push(Arc::clone(job));
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
            if self.read().get(&job).is_none_or(|job| job.revision != seen) {
                return;
            }
            notified.await;
        }
    }

    /// Publishes a job, unless it is as it was published before.
    pub(super) fn set(
        &self,
        record: &JobRecord,
        state: JobState,
        waiting_on: Option<WaitingOn>,
        progress: Arc<ProgressCell>,
    ) {
        let id = record.id;
        let before = self.get(id);
        let same_record = before.as_ref().filter(|before| *before.record == *record);
        if same_record.is_some_and(|before| before.state == state && before.waiting_on == waiting_on) {
            return;
        }
        let record = same_record.map_or_else(|| Arc::new(record.clone()), |before| Arc::clone(&before.record));
        let revision = {
            let mut last = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
            *last += 1;
            *last
        };
        let job = Arc::new(PublishedJob { record, state, waiting_on, progress, revision });
        self.jobs.write().unwrap_or_else(PoisonError::into_inner).insert(id, job);
        self.wake(id);
    }

    /// Says of every job that would move that it waits.
    pub(super) fn set_all_waiting(&self, waiting_on: &WaitingOn) {
        use JobState::{Connecting, Queued, Transferring, TransientError};
        for job in self.all() {
            if matches!(job.record.state, Queued | Connecting | Transferring | TransientError) {
                let (state, waiting_on) = (JobState::TransientError, Some(waiting_on.clone()));
                self.set(&job.record, state, waiting_on, Arc::clone(&job.progress));
            }
        }
        self.announce();
    }

    pub(super) fn remove(&self, job: JobId) {
        if self.jobs.write().unwrap_or_else(PoisonError::into_inner).remove(&job).is_some() {
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

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<JobId, Arc<PublishedJob>>> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner)
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
        published.set(&record, state, None, Arc::default());
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
