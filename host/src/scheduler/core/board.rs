//! Everything of the scheduler but the jobs themselves, and what is done to one job at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::super::config::SchedulerConfig;
use super::super::gates::Gates;
use super::super::input::{Because, CommandError, Reply, RequestId};
use super::super::origins::Origins;
use super::super::queue::{End, Pool, Queue, Seat};
use super::super::step::{Effect, FileChange, Overwrite, Step, StopReason, Write};
use super::super::timers::{Run, TimerKind, Timers};
use super::super::turns::Owner;
use super::job::{Asked, Inactivity, Job, Place};
use crate::clock::Now;
use crate::job::{Event, EventKind, FileIndex, JobId, JobRecord, JobState, Origin, Priority, Transition};
use crate::policy::contract::Cause;

/// Where the host is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Jobs are being loaded; none is started.
    Loading,
    /// All is open.
    Serving,
    /// The host stops; no job is started.
    Draining,
}

/// Jobs by level and owner.
pub(super) type Waiters = BTreeMap<(Priority, Owner), BTreeSet<JobId>>;

/// Somebody who has jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    owner: Owner,
    pub(super) jobs: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) config: SchedulerConfig,
    pub(super) now: Now,
    pub(super) stage: Stage,
    pub(super) queue: Queue,
    pub(super) timers: Timers,
    pub(super) origins: Origins,
    pub(super) gates: Gates,
    pub(super) step: Step,
    /// Jobs whose record changed in this step.
    dirty: BTreeSet<JobId>,
    /// Jobs whose record, place or reason to wait changed in this step.
    pub(super) changed: BTreeSet<JobId>,
    /// Jobs that became final in this step.
    pub(super) ended: Vec<JobId>,
    /// Jobs in TRANSIENT_ERROR, which a network that comes back puts in line.
    pub(super) transient: Waiters,
    /// Those of them that are still to be put in line: as many of each owner as can be of use, the others when these have left.
    pub(super) to_requeue: Waiters,
    /// Running jobs about which the policies are still to be asked, and why.
    pub(super) to_ask: BTreeMap<JobId, Cause>,
    /// Questions and moves that this batch of inputs may still make.
    pub(super) budget: u32,
    /// The budget ended before the work did.
    pub(super) unfinished: bool,
    /// Those who have jobs that are not final.
    pub(super) owners: BTreeMap<String, Owned>,
    /// Jobs that are not final.
    pub(super) jobs_live: u32,
    /// Numbers of owners that were given out.
    owners_numbered: u64,
    /// State of the generator of seeds.
    seeds: u64,
    /// Transitions that the table does not have; the tests want none.
    #[cfg(test)]
    pub(super) illegal: u32,
}

impl Board {
    pub(super) fn new(config: SchedulerConfig, seed: u64) -> Self {
        Self {
            now: Now::default(),
            stage: Stage::Loading,
            queue: Queue::new(&config),
            timers: Timers::default(),
            origins: Origins::new(&config),
            gates: Gates::new(),
            step: Step::default(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            ended: Vec::new(),
            transient: Waiters::new(),
            to_requeue: Waiters::new(),
            to_ask: BTreeMap::new(),
            budget: config.admit_batch,
            unfinished: false,
            owners: BTreeMap::new(),
            jobs_live: 0,
            owners_numbered: 0,
            seeds: seed,
            config,
            #[cfg(test)]
            illegal: 0,
        }
    }

    /// The next number of the generator (splitmix64), below 2^53 as guests see it.
    pub(super) const fn next_seed(&mut self) -> u64 {
        self.seeds = self.seeds.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seeds;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) & crate::job::limits::GUEST_NUMBER_MAX
    }

    /// A job more of this owner, whose number is returned.
    pub(super) fn count_in(&mut self, owner: &str) -> Owner {
        self.jobs_live = self.jobs_live.saturating_add(1);
        if let Some(owned) = self.owners.get_mut(owner) {
            owned.jobs = owned.jobs.saturating_add(1);
            return owned.owner;
        }
        self.owners_numbered += 1;
        let number = Owner(self.owners_numbered);
        self.owners.insert(owner.to_owned(), Owned { owner: number, jobs: 1 });
        number
    }

    /// A job of this owner is final.
    pub(super) fn count_out(&mut self, owner: &str) {
        let Some(owned) = self.owners.get_mut(owner) else { return };
        self.jobs_live = self.jobs_live.saturating_sub(1);
        owned.jobs = owned.jobs.saturating_sub(1);
        if owned.jobs == 0 {
            let number = owned.owner;
            self.queue.forget(number);
            self.owners.remove(owner);
        }
    }

    /// Jobs of this owner that are not final.
    pub(super) fn jobs_of(&self, owner: &str) -> u32 {
        self.owners.get(owner).map_or(0, |owned| owned.jobs)
    }

    /// A client does something to the job, or it made progress: its inactivity counts from now.
    pub(super) fn active(&mut self, job: &mut Job) {
        if job.record.active_at != self.now.wall {
            job.record.active_at = self.now.wall;
            self.touch(job);
        }
        // The timer stays where it is: it looks again when it is due, so that a busy job does not move it all the time.
        job.inactivity = Inactivity { before_ms: 0, since: self.now.boot };
    }

    /// Sets the timer of the inactivity timeout, for a job that has been inactive for so long.
    pub(super) fn watch_activity(&mut self, job: &mut Job, inactive_ms: u64) {
        let timeout_ms = self.config.inactivity_timeout_ms;
        let grace_ms = self.config.inactivity_grace_ms.min(timeout_ms);
        // Never before its grace is over: the clock may have been wrong.
        let left_ms = timeout_ms.saturating_sub(inactive_ms).max(grace_ms);
        job.inactivity = Inactivity { before_ms: inactive_ms, since: self.now.boot };
        self.timers.set(job.record.id, TimerKind::Inactivity, self.now.boot.plus(left_ms));
    }

    /// The job's record changed: it is written at the end of the step.
    pub(super) fn touch(&mut self, job: &Job) {
        self.dirty.insert(job.record.id);
        self.changed.insert(job.record.id);
    }

    /// The jobs to be written.
    pub(super) fn dirty_jobs(&mut self) -> Vec<JobId> {
        self.dirty.iter().copied().collect()
    }

    /// Writes the header of a job that changed.
    pub(super) fn write_job(&mut self, job: &mut Job) {
        self.stamp(job);
        self.dirty.remove(&job.record.id);
        self.step.writes.push(Write::UpdateJob(Box::new(JobRecord::clone(&job.record))));
    }

    /// Adds what the stopwatches show to the record.
    pub(super) fn settle(&mut self, job: &mut Job) {
        let active_ms = job.active.take(self.now.boot.0);
        // Since the network came back it waits for its turn, which is not counted.
        let until = if self.is_released(job) { self.gates.returned_ms() } else { self.gates.online_ms(self.now.boot) };
        let idle_ms = job.idle.take(until);
        if active_ms > 0 || idle_ms > 0 {
            job.record.active_ms = job.record.active_ms.saturating_add(active_ms);
            job.record.no_progress_ms = job.record.no_progress_ms.saturating_add(idle_ms);
            self.touch(job);
        }
    }

    /// Brings a record that is written in this step up to date.
    pub(super) fn stamp(&mut self, job: &mut Job) {
        self.settle(job);
        job.record.modified_at = self.now.wall;
    }

    /// Lets both stopwatches run, or stand still, from now.
    fn clocks(&mut self, job: &mut Job, active: Run, idle: Run) {
        self.settle(job);
        job.active.run(active, self.now.boot.0);
        job.idle.run(idle, self.gates.online_ms(self.now.boot));
    }

    /// Enters a place, from none: see [`Board::vacate`].
    pub(super) fn enter(&mut self, job: &mut Job, place: Place) {
        let (active, idle) = match &place {
            Place::Running => (Run::On, Run::On),
            Place::RetryWait => (Run::Off, Run::On),
            _ => (Run::Off, Run::Off),
        };
        self.clocks(job, active, idle);
        job.place = place;
        job.returns = self.gates.returns();
        self.changed.insert(job.record.id);
    }

    /// Leaves its place with all that belongs to it: seat, kept slot, timers, open question. The worker is another matter.
    pub(super) fn vacate(&mut self, job: &mut Job) -> Place {
        let id = job.record.id;
        // What is counted depends on the place.
        self.clocks(job, Run::Off, Run::Off);
        let place = std::mem::replace(&mut job.place, Place::Idle);
        match &place {
            Place::Line(seat) => {
                self.queue.leave(*seat);
                self.leave_origin(job, *seat);
            }
            Place::Asking(seat) => self.queue.unreserve(Pool::of(seat.level)),
            _ => {}
        }
        for kind in [TimerKind::Retry, TimerKind::NoProgress, TimerKind::Hold, TimerKind::Origin, TimerKind::Gate] {
            self.timers.cancel(id, kind);
        }
        if let Some(key) = job.transient {
            take_out(&mut self.to_requeue, key, id);
        }
        self.to_ask.remove(&id);
        job.asked = None;
        self.changed.insert(id);
        place
    }

    /// The job no longer waits for its origin. If it was called already, what it was called for goes to the next ones.
    pub(super) fn leave_origin(&mut self, job: &mut Job, seat: Seat) {
        if let Some(origin) = job.origin_wait.take()
            && !self.origins.leave(&origin, seat)
        {
            self.call_next(&origin);
        }
    }

    /// Lets jobs that wait for an origin look again: as many as there are connections left.
    pub(super) fn call_next(&mut self, origin: &Origin) {
        for (seat, waiting) in self.origins.call(origin) {
            self.queue.make_ready(seat, waiting);
        }
    }

    /// Puts the job in line. Its former worker, if it still lives, has to end first.
    pub(super) fn line_up(&mut self, job: &mut Job, end: End) {
        job.hold = None;
        job.admitted = None;
        let place = if job.worker.is_some() {
            Place::LineAfterWorker(end)
        } else {
            let seat = self.queue.seat(job.level(), job.owner, end);
            self.queue.make_ready(seat, job.record.id);
            Place::Line(seat)
        };
        self.enter(job, place);
    }

    /// Changes the stored state, and says so in the journal.
    pub(super) fn apply(&mut self, job: &mut Job, transition: Transition) {
        let before = job.record.state;
        let Ok(after) = before.after(transition) else {
            #[cfg(test)]
            {
                self.illegal += 1;
            }
            return;
        };
        self.touch(job);
        if before == after {
            return;
        }
        job.record.state = after;
        self.list_transient(job);
        self.journal(job, EventKind::StateChanged { from: before, to: after });
    }

    /// Lists the job among those in TRANSIENT_ERROR, at its present level, if it is one of them.
    pub(super) fn list_transient(&mut self, job: &mut Job) {
        let id = job.record.id;
        let key = (job.record.state == JobState::TransientError).then(|| (job.level(), job.owner));
        if let Some(before) = std::mem::replace(&mut job.transient, key) {
            take_out(&mut self.transient, before, id);
            if take_out(&mut self.to_requeue, before, id)
                && let Some(key) = key
            {
                self.to_requeue.entry(key).or_default().insert(id);
            }
        }
        if let Some(key) = key {
            self.transient.entry(key).or_default().insert(id);
        }
    }

    /// The network has come back since the job began to wait for that: it is in line, although it has no seat yet.
    pub(super) const fn is_released(&self, job: &Job) -> bool {
        job.waits_for_return() && job.returns != self.gates.returns()
    }

    /// Tells the job's worker to stop, unless it was told before. One that only makes way is told again to stop at once.
    pub(super) fn stop(&mut self, job: &mut Job, reason: StopReason) {
        let worker = match reason {
            StopReason::SlotTaken => job.active_worker(),
            _ => job.moving_worker(),
        };
        let Some(worker) = worker else { return };
        worker.stopping = Some(reason);
        let (slot, attempt) = (worker.slot, worker.attempt);
        self.queue.mark_stopping(slot);
        self.step.effects.push(Effect::StopWorker { job: job.record.id, attempt, reason });
    }

    /// An entry of the journal about the job.
    pub(super) fn journal(&mut self, job: &Job, kind: EventKind) {
        self.step.writes.push(Write::Journal(Event { at: self.now.wall, job: Some(job.record.id), kind }));
    }

    /// The journal's entry for an answer that is applied.
    pub(super) fn decided(&mut self, job: &Job, asked: &Asked, because: &Because, verdict: String) {
        let kind = EventKind::DecisionApplied {
            decision: asked.decision.clone(),
            hook: asked.hook.name().to_owned(),
            policy: because.policy.clone(),
            verdict,
            code: because.code.clone(),
            note: because.note.clone(),
        };
        self.journal(job, kind);
    }

    /// A change of one file's row.
    pub(super) fn write_file(&mut self, job: JobId, file: FileIndex, change: FileChange) {
        self.step.writes.push(Write::UpdateFile { job, file, change });
    }

    /// The record as a client is told it.
    pub(super) fn snapshot(&mut self, job: &mut Job) -> Box<JobRecord> {
        if self.dirty.contains(&job.record.id) {
            self.stamp(job);
        }
        Box::new(JobRecord::clone(&job.record))
    }

    pub(super) fn reply(&mut self, request: RequestId, result: Result<Reply, CommandError>) {
        self.step.effects.push(Effect::Reply { request, result });
    }
}

/// Takes a job out. Whether it was there.
fn take_out(waiters: &mut Waiters, key: (Priority, Owner), job: JobId) -> bool {
    let Some(jobs) = waiters.get_mut(&key) else { return false };
    let was_there = jobs.remove(&job);
    if jobs.is_empty() {
        waiters.remove(&key);
    }
    was_there
}

/// What publication does with an existing file.
pub(super) const fn overwrite(record: &JobRecord) -> Overwrite {
    if record.properties.overwrite { Overwrite::Replace } else { Overwrite::Refuse }
}

/// Milliseconds in words, for example `1.5 s`.
pub(super) fn seconds(millis: u64) -> String {
    match (millis / 1000, millis % 1000) {
        (whole, 0) => format!("{whole} s"),
        (whole, rest) => format!("{whole}.{} s", format!("{rest:03}").trim_end_matches('0')),
    }
}
