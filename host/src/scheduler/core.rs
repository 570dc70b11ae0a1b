//! The scheduler as a pure state machine: an input goes in, a [`Step`] comes out.
//!
//! No I/O, no clock, no randomness but the seed given at the beginning: equal inputs give equal steps, and a test says so. The same
//! core runs behind the real workers, in simulations and in the property tests.
//!
//! The core holds the header of every job that is not final; files stay in the store. A step is to be committed as a whole before any
//! of its effects happens. If that fails, memory is ahead of disk: the core is dropped, and a new one is loaded from the store.
//!
//! - `commands`, `changes`, `ownership`, `validation`: what clients want. `reports`: what workers tell. `conditions`: network, space, time.
//! - `admission`: who gets a slot. `failure`, `recovery`: what follows a failed attempt. `ending`: complete and cancel.
//! - `views`: the questions to policies. `waiting`: what is reported of a job that does not move.
//! - `job`: a job as the core holds it. `board`: everything else that the core holds.

mod admission;
mod board;
mod changes;
mod commands;
mod conditions;
mod ending;
mod failure;
mod job;
mod ownership;
mod recovery;
mod reports;
#[cfg(test)]
mod tests;
mod validation;
mod views;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use self::board::{Board, Stage};
use self::job::Job;
pub use self::waiting::{Follows, Gating, Reported};
use super::config::SchedulerConfig;
use super::input::{Answer, Input, WaitingOn};
use super::step::Step;
use crate::clock::{BootMillis, Now};
use crate::job::{JobId, JobRecord, JobState};
use crate::policy::contract::Hook;

/// The scheduler's state. See the module.
#[derive(Debug)]
pub struct Core {
    /// In the order of their creation, which is that of their ids.
    jobs: BTreeMap<JobId, Box<Job>>,
    board: Board,
    /// Final jobs that are still answered from memory, oldest first.
    ended: VecDeque<JobId>,
}

impl Core {
    /// A core without jobs. `seed` is that of the seeds which policies are given. [`Input::Loaded`] brings the store's jobs,
    /// [`Input::LoadingDone`] opens the queue; an [`Input::NetworkChanged`] before that is where the network begins.
    #[must_use]
    pub fn new(config: SchedulerConfig, seed: u64) -> Self {
        Self { jobs: BTreeMap::new(), board: Board::new(config, seed), ended: VecDeque::new() }
    }

    /// The inputs that follow are handled together: they share the questions and moves that may be made at once, so that whoever waits for
    /// one of them does not wait for as many questions as there are inputs before it. What is left over is done after the next tick.
    pub fn begin_batch(&mut self) {
        self.board.budget = self.board.config.admit_batch.max(1);
        self.board.unfinished = false;
    }

    /// Takes one input. Total: whatever does not fit is ignored, or refused where somebody waits for a reply.
    pub fn handle(&mut self, now: Now, input: Input) -> Step {
        let board = &mut self.board;
        board.now = Now { wall: now.wall, boot: now.boot.max(board.now.boot) };
        board.changed.clear();
        match input {
            Input::Loaded(record) => self.loaded(*record),
            Input::LoadingDone => self.loading_done(),
            Input::Command { request, command } => self.command(request, command),
            Input::Report { job, attempt, report } => self.report(job, attempt, report),
            Input::Answer { job, generation, answer } => self.answer(job, generation, answer),
            Input::PrefixReplaced { request, job, outcome } => self.prefix_replaced(request, job, outcome),
            Input::FileLookedUp { request, job, file, verdict, found } => {
                self.file_looked_up(request, job, file, verdict, found);
            }
            Input::NetworkChanged(network) => self.network_changed(network),
            Input::Space { job, bytes_available } => self.space(job, bytes_available),
            Input::Tick => {
                self.timers_due();
                self.catch_up();
            }
            Input::Drain => self.drain(),
        }
        self.grant();
        self.end_step()
    }

    /// When the core wants a [`Input::Tick`] at the latest; a time that has passed means at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<BootMillis> {
        let board = &self.board;
        if board.unfinished || !board.to_ask.is_empty() {
            return Some(board.now.boot);
        }
        board.timers.next()
    }

    /// The header of a job: of every one that is not final, and of those that became final lately.
    #[must_use]
    pub fn job(&self, id: &JobId) -> Option<&JobRecord> {
        self.jobs.get(id).map(|job| &*job.record)
    }

    /// The same, to be kept. What the core changes afterwards is not seen in it.
    #[must_use]
    pub fn header(&self, id: &JobId) -> Option<Arc<JobRecord>> {
        self.jobs.get(id).map(|job| job.record.share())
    }

    /// The state as clients see it, with the gates taken into account, and why the job does not move.
    #[must_use]
    pub fn reported_state(&self, id: &JobId) -> Option<(JobState, Option<WaitingOn>)> {
        self.reported(id).map(|reported| reported.under(self.gating()))
    }

    /// The same for any network: it changes without the job being looked at again.
    #[must_use]
    pub fn reported(&self, id: &JobId) -> Option<Reported> {
        self.jobs.get(id).map(|job| self.board.reported(job))
    }

    /// The network as far as what is reported of waiting jobs follows it.
    #[must_use]
    pub const fn gating(&self) -> Gating {
        let gates = &self.board.gates;
        Gating { connected: gates.connected(), admissions: gates.admissions(), returns: gates.returns() }
    }

    /// Jobs whose header, or reason to wait, was changed by the last step, and those that it forgot. A change of the network changes what is
    /// reported of waiting jobs without naming them here: see [`Core::gating`].
    pub fn changed(&self) -> impl Iterator<Item = &JobId> {
        self.board.changed.iter()
    }

    /// Every job, final ones only as long as they are kept.
    pub fn jobs(&self) -> impl Iterator<Item = &JobRecord> {
        self.jobs.values().map(|job| &*job.record)
    }

    /// Counts the changes of the network.
    #[must_use]
    pub const fn network_generation(&self) -> u32 {
        self.board.gates.generation()
    }

    /// Workers that have not reported their end.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.jobs.values().filter(|job| job.worker.is_some()).count()
    }

    fn loaded(&mut self, record: JobRecord) {
        let id = record.id;
        if record.state.is_final() || self.jobs.contains_key(&id) {
            return;
        }
        let owner = self.board.count_in(&record.owner);
        let mut job = Box::new(Job::new(record, owner));
        // One of a version that did not say so was resumed if it ever ran.
        job.record.resumed |= job.record.started_at.is_some();
        self.board.changed.insert(id);
        let inactive_ms = self.board.now.wall.since(job.record.active_at);
        self.board.watch_activity(&mut job, inactive_ms);
        if self.board.stage != Stage::Loading {
            self.board.take_up(&mut job);
        }
        self.jobs.insert(id, job);
    }

    fn answer(&mut self, id: JobId, generation: u32, answer: Answer) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let hook = match &answer {
            Answer::Retry(_) => Hook::Retry,
            Answer::Admit(_) => Hook::NetworkCost,
            Answer::Recover(_) => Hook::Recovery,
        };
        let Some(asked) = job.asked.take_if(|asked| asked.generation == generation && asked.hook == hook) else {
            return;
        };
        match answer {
            Answer::Retry(answer) => self.board.retry_answered(job, &asked, &answer),
            Answer::Admit(answer) => self.board.admitted(job, &asked, &answer),
            Answer::Recover(answer) => self.board.recover_answered(job, &asked, answer),
        }
    }

    /// Writes the headers that changed, and forgets final jobs beyond those that are kept.
    fn end_step(&mut self) -> Step {
        for id in self.board.dirty_jobs() {
            if let Some(job) = self.jobs.get_mut(&id) {
                self.board.write_job(job);
            }
        }
        self.ended.extend(self.board.ended.drain(..));
        while self.ended.len() > self.board.config.final_jobs_kept {
            if let Some(id) = self.ended.pop_front() {
                self.jobs.remove(&id);
                self.board.changed.insert(id);
            }
        }
        std::mem::take(&mut self.board.step)
    }
}
