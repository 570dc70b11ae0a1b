//! What is due when, on the boot clock: clocks that people set do not move it, and sleep counts (bits.md section 3.1).
//!
//! Nothing of this is stored. A job's record holds what a restart needs: the wait for a retry and the stopwatches' sums.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::BootMillis;
use crate::job::JobId;

/// What is due. A job has at most one timer of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKind {
    /// The wait for a retry is over.
    Retry,
    /// The job waits for a retry, and has made no progress for too long.
    NoProgress,
    /// The job has been connecting and transferring for too long.
    MaximumDownloadTime,
    /// A hold of admission is over.
    Hold,
    /// The slice of a running job is over.
    Slice,
    /// The origin may be asked again.
    Origin,
    /// The condition that a job waits for is to be looked at.
    Gate,
    /// Nothing has happened to the job for too long, unless something has since this was set.
    Inactivity,
}

/// All timers, in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(BootMillis, JobId, TimerKind)>,
    of_job: BTreeMap<(JobId, TimerKind), BootMillis>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(super) fn set(&mut self, job: JobId, kind: TimerKind, at: BootMillis) {
        self.cancel(job, kind);
        self.of_job.insert((job, kind), at);
        self.due.insert((at, job, kind));
    }

    /// Forgets a timer, if there is one.
    pub(super) fn cancel(&mut self, job: JobId, kind: TimerKind) {
        if let Some(at) = self.of_job.remove(&(job, kind)) {
            self.due.remove(&(at, job, kind));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<BootMillis> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Takes the next one that is due by `now`.
    pub(super) fn pop(&mut self, now: BootMillis) -> Option<(JobId, TimerKind)> {
        let &(at, job, kind) = self.due.first().filter(|(at, ..)| *at <= now)?;
        self.due.remove(&(at, job, kind));
        self.of_job.remove(&(job, kind));
        Some((job, kind))
    }
}

/// Adds up the time for which something lasts. The sum lies in the job's record; this is when it was last brought up to date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stopwatch {
    since: Option<u64>,
}

/// Whether a stopwatch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// It runs.
    On,
    /// It stands still.
    Off,
}

impl Stopwatch {
    /// The time since the last call, if it ran. Goes on from `now`.
    pub(super) fn take(&mut self, now: u64) -> u64 {
        match &mut self.since {
            Some(since) => now.saturating_sub(std::mem::replace(since, now)),
            None => 0,
        }
    }

    /// Lets it run, or stand still, from `now`. What was not taken is lost.
    pub(super) fn run(&mut self, run: Run, now: u64) {
        self.since = match run {
            Run::On => Some(now),
            Run::Off => None,
        };
    }

    /// The time since the last [`Stopwatch::take`], if it runs.
    pub(super) fn peek(self, now: u64) -> u64 {
        self.since.map_or(0, |since| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn timers_come_in_the_order_in_which_they_are_due() {
        let (a, b) = (JobId(Uuid::from_u128(1)), JobId(Uuid::from_u128(2)));
        let mut timers = Timers::default();
        timers.set(a, TimerKind::Retry, BootMillis(30));
        timers.set(b, TimerKind::Retry, BootMillis(10));
        timers.set(a, TimerKind::Retry, BootMillis(20));
        timers.set(b, TimerKind::Hold, BootMillis(5));
        timers.cancel(b, TimerKind::Hold);
        assert_eq!(timers.next(), Some(BootMillis(10)));
        assert_eq!(timers.pop(BootMillis(9)), None);
        assert_eq!(timers.pop(BootMillis(25)), Some((b, TimerKind::Retry)));
        assert_eq!(timers.pop(BootMillis(25)), Some((a, TimerKind::Retry)));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_stopwatch_counts_only_while_it_runs() {
        let mut watch = Stopwatch::default();
        assert_eq!(watch.take(10), 0);
        watch.run(Run::On, 10);
        assert_eq!(watch.peek(15), 5);
        assert_eq!(watch.take(15), 5);
        assert_eq!(watch.take(17), 2);
        assert_eq!(watch.take(3), 0);
        watch.run(Run::Off, 20);
        assert_eq!(watch.take(30), 0);
    }
}
