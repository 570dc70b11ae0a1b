//! What clients change of a job: its properties, and the remote names of all its files.

use super::super::input::{CommandError, PrefixOutcome, Reply, RequestId};
use super::super::queue::{End, Pool};
use super::super::step::{Replacement, Write};
use super::super::timers::TimerKind;
use super::Core;
use super::board::Board;
use super::job::{Fallback, Job, Place};
use crate::job::{
    Event, EventKind, Intent, JobChanges, JobId, JobRecord, JobState, Properties, PropertyError, RetryWait, Transition,
};
use crate::policy::contract::Cause;

impl Core {
    /// The end of [`Replacement::AllOrNone`].
    pub(super) fn prefix_replaced(&mut self, request: RequestId, id: JobId, outcome: PrefixOutcome) {
        let board = &mut self.board;
        // It may have been forgotten meanwhile, if it was ended at once.
        let Some(job) = self.jobs.get_mut(&id) else {
            return board.reply(request, Err(CommandError::NotFound(id)));
        };
        let result = match outcome {
            PrefixOutcome::Refused(file) => Err(CommandError::RemotePrefix { job: id, file }),
            PrefixOutcome::Replaced(files_changed) => {
                if !job.record.state.is_final() {
                    board.active(job);
                    if files_changed > 0 {
                        board.touch(job);
                    }
                }
                Ok(Reply::PrefixReplaced { job: board.snapshot(job), files_changed })
            }
        };
        board.reply(request, result);
    }
}

impl Board {
    /// Only the store knows the files: it replaces, enters the event, and tells what became of it.
    pub(super) fn replace_remote_prefix(&mut self, job: &mut Job, request: RequestId, from: String, to: String) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        if from.is_empty() {
            let error = PropertyError { field: "from", allowed: "at least one byte".into(), given: "empty".into() };
            return self.reply(request, Err(error.into()));
        }
        // Where the job's files lie now only its next worker knows.
        job.target = None;
        self.origin_forgotten(job);
        let kind = EventKind::JobModified { fields: vec!["remote_name".into()] };
        let event = Event { at: self.now.wall, job: Some(job.record.id), kind };
        let replacement = Replacement::AllOrNone { request, event };
        self.step.writes.push(Write::ReplaceRemotePrefix { job: job.record.id, from, to, replacement });
    }

    pub(super) fn modify(
        &mut self,
        job: &mut Job,
        request: RequestId,
        changes: &JobChanges,
        expected: Option<&JobRecord>,
    ) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        if expected.is_some_and(|expected| *expected != *job.record) {
            return self.reply(request, Err(CommandError::Changed(job.record.id)));
        }
        let before = job.record.properties.clone();
        let fields = match changes.apply(&mut job.record) {
            Ok(fields) => fields,
            Err(error) => return self.reply(request, Err(error.into())),
        };
        // Not before: what is refused leaves no trace.
        self.active(job);
        if !fields.is_empty() {
            self.touch(job);
            let fields = fields.into_iter().map(str::to_owned).collect();
            self.journal(job, EventKind::JobModified { fields });
            self.put_in_force(job, &before);
        }
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    /// Lets properties that were changed act on where the job stands.
    fn put_in_force(&mut self, job: &mut Job, before: &Properties) {
        let Properties {
            priority,
            minimum_retry_delay_ms,
            no_progress_timeout_ms,
            maximum_download_time_ms,
            cost_flags,
            auto_complete,
            // Looked at when an attempt begins, at publication, and when somebody is told.
            parallel_files: _,
            overwrite: _,
            notify_flags: _,
            minimum_notification_interval_ms: _,
            dynamic_content: _,
            high_performance: _,
            maximum_download_size: _,
            redirects: _,
            redirects_to_http: _,
        } = job.record.properties.clone();
        if priority != before.priority {
            self.level_changed(job);
        }
        if cost_flags != before.cost_flags {
            self.cost_flags_changed(job);
        }
        if minimum_retry_delay_ms != before.minimum_retry_delay_ms {
            self.retry_delay_changed(job, before.minimum_retry_delay_ms);
        }
        if no_progress_timeout_ms != before.no_progress_timeout_ms && matches!(job.place, Place::RetryWait) {
            self.settle(job);
            let left_ms = no_progress_timeout_ms.saturating_sub(job.record.no_progress_ms);
            self.timers.set(job.record.id, TimerKind::NoProgress, self.now.boot.plus(left_ms));
        }
        if maximum_download_time_ms != before.maximum_download_time_ms && matches!(job.place, Place::Running) {
            self.settle(job);
            let left_ms = maximum_download_time_ms.saturating_sub(job.record.active_ms);
            self.timers.set(job.record.id, TimerKind::MaximumDownloadTime, self.now.boot.plus(left_ms));
        }
        if auto_complete && !before.auto_complete && job.record.state == JobState::Transferred {
            self.begin_ending(job, Intent::Complete, Vec::new(), Fallback::AsItWas);
        }
    }

    /// A job in line goes to the end of its new level. A running one keeps its slot, as long as its new level has one.
    fn level_changed(&mut self, job: &mut Job) {
        self.list_transient(job);
        match job.place {
            Place::Line(_) | Place::Asking(_) => {
                self.vacate(job);
                self.line_up(job, End::Tail);
            }
            Place::Running => {
                let (level, owner, id) = (job.level(), job.owner, job.record.id);
                let Some(worker) = job.active_worker() else { return };
                let pool = Pool::of(level);
                if pool == Pool::of(worker.slot.level) || self.queue.free(pool) > 0 {
                    self.queue.free_slot(worker.slot);
                    worker.slot = self.queue.take_slot(level, owner, id);
                } else {
                    self.take_slot_from(job, End::Front);
                }
            }
            _ => {}
        }
    }

    /// What was admitted, or held, is asked about again.
    fn cost_flags_changed(&mut self, job: &mut Job) {
        match job.place {
            Place::Line(seat) => {
                job.hold = None;
                job.admitted = None;
                self.timers.cancel(job.record.id, TimerKind::Hold);
                self.queue.release(seat);
            }
            Place::Asking(_) => {
                self.vacate(job);
                self.line_up(job, End::Front);
            }
            Place::Running if self.gates.connected() => {
                self.to_ask.insert(job.record.id, Cause::LookAgain);
            }
            _ => {}
        }
    }

    /// A wait that lasts as long as the former delay lasts as long as the new one. One that a policy or an origin has set stays.
    fn retry_delay_changed(&mut self, job: &mut Job, before_ms: u64) {
        let floor_ms = self.config.retry_floor_ms;
        let Some(retry) = job.record.retry.filter(|retry| retry.delay_ms == before_ms.max(floor_ms)) else { return };
        if !matches!(job.place, Place::RetryWait) {
            return;
        }
        let delay_ms = job.record.properties.minimum_retry_delay_ms.max(floor_ms);
        let left_ms = retry.due_at.since(self.now.wall).min(retry.delay_ms);
        let waited_ms = retry.delay_ms - left_ms;
        let left_ms = delay_ms.saturating_sub(waited_ms);
        job.record.retry = Some(RetryWait { due_at: self.now.wall.plus(left_ms), delay_ms });
        self.timers.set(job.record.id, TimerKind::Retry, self.now.boot.plus(left_ms));
        self.changed.insert(job.record.id);
    }
}
