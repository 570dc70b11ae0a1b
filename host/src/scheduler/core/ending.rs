//! Complete and cancel: two commits each. The intent is the first; the second is written once the files are published or deleted.

use super::super::input::{CommandError, Reply, RequestId};
use super::super::queue::End;
use super::super::step::{Effect, FileChange, StopReason, Write};
use super::super::timers::TimerKind;
use super::board::{Board, overwrite};
use super::job::{Ending, EndingStage, Fallback, Gate, Job, Mark, Place};
use crate::job::{
    ErrorCode, ErrorContext, EventKind, FailureClass, FileSummary, Intent, JobError, JobState, RequestHeaders,
    RestartReason, Transition,
};

impl Board {
    /// Writes the intent; the rest follows when the job's worker has stopped.
    pub(super) fn begin_ending(&mut self, job: &mut Job, intent: Intent, requests: Vec<RequestId>, fallback: Fallback) {
        self.vacate(job);
        self.stop(job, StopReason::Ended);
        job.hold = None;
        job.admitted = None;
        job.record.intent = Some(intent);
        self.touch(job);
        let stage = EndingStage::Worker;
        self.enter(job, Place::Ending(Box::new(Ending { intent, stage, requests, fallback })));
        self.go_on_ending(job);
    }

    /// Takes up a job that was loaded, with the intent that the last process left behind.
    pub(super) fn take_up(&mut self, job: &mut Job) {
        let Some(intent) = job.record.intent else { return self.settle_in(job) };
        let (stage, requests, fallback) = (EndingStage::Worker, Vec::new(), Fallback::AsItWas);
        self.enter(job, Place::Ending(Box::new(Ending { intent, stage, requests, fallback })));
        self.go_on_ending(job);
    }

    /// Publishes or deletes, if no worker writes to the files any more.
    pub(super) fn go_on_ending(&mut self, job: &mut Job) {
        let (id, attempt) = (job.record.id, job.record.attempt);
        let Place::Ending(ending) = &mut job.place else { return };
        if job.worker.is_some() || ending.stage != EndingStage::Worker {
            return;
        }
        let effect = if ending.intent == Intent::Complete && job.record.files_transferred > 0 {
            ending.stage = EndingStage::Publishing;
            Effect::Publish { job: id, attempt, overwrite: overwrite(&job.record) }
        } else {
            ending.stage = EndingStage::Deleting;
            Effect::DeleteParts { job: id, attempt }
        };
        self.step.effects.push(effect);
    }

    /// The end of [`Effect::Publish`].
    pub(super) fn published(&mut self, job: &mut Job, error: Option<JobError>, lost: &[FileSummary]) {
        let Place::Ending(ending) = &mut job.place else { return };
        if ending.stage != EndingStage::Publishing {
            return;
        }
        if error.is_some() || !lost.is_empty() {
            return self.publication_failed(job, error, lost);
        }
        let partial = job.record.files_transferred < job.record.files_total;
        if partial {
            // What was not finished is discarded with its part files (bits.md section 1.3).
            ending.stage = EndingStage::Deleting;
            self.step.effects.push(Effect::DeleteParts { job: job.record.id, attempt: job.record.attempt });
        }
        self.step.writes.push(Write::MarkPublished(job.record.id));
        if !partial {
            self.acknowledge(job);
        }
    }

    /// The end of [`Effect::DeleteParts`].
    pub(super) fn parts_deleted(&mut self, job: &mut Job, files_left: u32) {
        let Place::Ending(ending) = &job.place else { return };
        match (ending.stage, ending.intent) {
            (EndingStage::Deleting, Intent::Complete) => self.acknowledge(job),
            (EndingStage::Deleting, Intent::Cancel) => self.cancelled(job, files_left),
            (EndingStage::Worker | EndingStage::Publishing, _) => {}
        }
    }

    /// The task that published or deleted failed as a whole.
    pub(super) fn ending_failed(&mut self, job: &mut Job, error: JobError) {
        let Place::Ending(ending) = &job.place else { return };
        match ending.stage {
            EndingStage::Worker => {}
            EndingStage::Publishing => self.publication_failed(job, Some(error), &[]),
            // How many are left nobody knows: one at least, as far as the client is told.
            EndingStage::Deleting => self.parts_deleted(job, 1),
        }
    }

    fn acknowledge(&mut self, job: &mut Job) {
        let partial = job.is_partial();
        let requests = self.finalise(job, Transition::Completed);
        let files_published = job.record.files_transferred;
        self.journal(job, EventKind::Acknowledged { files_published, partial });
        for request in requests {
            let job = self.snapshot(job);
            self.reply(request, Ok(Reply::Completed { job, partial }));
        }
        self.step.effects.push(Effect::Forget(job.record.id));
    }

    fn cancelled(&mut self, job: &mut Job, files_left: u32) {
        let requests = self.finalise(job, Transition::Cancelled);
        self.journal(job, EventKind::Cancelled { files_left });
        for request in requests {
            let job = self.snapshot(job);
            self.reply(request, Ok(Reply::Cancelled { job, files_left }));
        }
        self.step.effects.push(Effect::Forget(job.record.id));
    }

    /// The job is final. Returns who waits for it.
    fn finalise(&mut self, job: &mut Job, transition: Transition) -> Vec<RequestId> {
        let place = self.vacate(job);
        job.record.intent = None;
        job.record.retry = None;
        job.record.error = None;
        self.apply(job, transition);
        self.timers.cancel(job.record.id, TimerKind::Inactivity);
        self.count_out(&job.record.owner);
        // Credentials live as long as the job (bits.md section 2.3), and what is left of it for a week is for reading.
        self.step.writes.push(Write::ReplaceHeaders { job: job.record.id, headers: RequestHeaders::default() });
        self.ended.push(job.record.id);
        match place {
            Place::Ending(ending) => ending.requests,
            _ => Vec::new(),
        }
    }

    fn publication_failed(&mut self, job: &mut Job, error: Option<JobError>, lost: &[FileSummary]) {
        let Place::Ending(ending) = self.vacate(job) else { return };
        job.record.intent = None;
        self.touch(job);
        for file in lost {
            self.restart_file(job, Mark::from(file), RestartReason::PartFileDamaged);
        }
        let only_lost = error.is_none();
        let error = error.unwrap_or_else(|| lost_error(lost));
        self.journal(job, EventKind::PublicationFailed { error: error.clone() });
        let transition_known = job.record.state.after(Transition::PublicationFailed).is_ok();
        if transition_known {
            self.apply(job, Transition::PublicationFailed);
        }
        match ending.fallback {
            Fallback::Error if job.record.state.after(Transition::FailedFatally).is_ok() => self.error_out(job),
            Fallback::Error | Fallback::AsItWas => self.settle_in(job),
        }
        // Nobody resumes a job that completes by itself, so it fetches again what was lost. The bucket bounds that.
        let by_itself = only_lost && job.record.properties.auto_complete && job.record.state == JobState::Transferred;
        if by_itself && job.bucket.left(&self.config, self.now.boot) > 0 {
            job.bucket.spend();
            self.resume_waiting(job);
        }
        for request in ending.requests {
            self.reply(request, Err(CommandError::Publication(error.clone())));
        }
    }

    /// Takes a job up where its record says that it stands: after loading, and after an ending that came to nothing.
    pub(super) fn settle_in(&mut self, job: &mut Job) {
        let id = job.record.id;
        self.vacate(job);
        match job.record.state {
            JobState::Suspended | JobState::Error | JobState::Transferred => self.enter(job, Place::Idle),
            JobState::Acknowledged | JobState::Cancelled => self.ended.push(id),
            _ if job.nothing_left() => self.transferred(job, Transition::Finished),
            JobState::Queued => self.line_up(job, End::Tail),
            JobState::Connecting | JobState::Transferring => {
                self.apply(job, Transition::Requeued);
                self.line_up(job, End::Tail);
            }
            JobState::TransientError => {
                self.list_transient(job);
                self.settle_in_transient_error(job);
            }
        }
    }

    fn settle_in_transient_error(&mut self, job: &mut Job) {
        if let Some(wait) = job.record.retry {
            // The wall clock may have been set while nobody watched: never wait longer than was meant.
            let left_ms = wait.due_at.since(self.now.wall).min(wait.delay_ms);
            return self.wait_for_retry(job, left_ms);
        }
        match job.record.error.as_ref().map(|error| error.code) {
            Some(ErrorCode::DiskFull) => self.wait_for_space(job, None),
            Some(ErrorCode::NetworkDisconnected) if !self.gates.connected() => {
                self.enter(job, Place::Gated(Gate::Network));
            }
            _ => {
                self.apply(job, Transition::Requeued);
                self.line_up(job, End::Tail);
            }
        }
    }

    /// A file begins again from 0, whatever it was before.
    pub(super) fn restart_file(&mut self, job: &mut Job, before: Mark, reason: RestartReason) {
        if before.finished {
            job.record.files_transferred = job.record.files_transferred.saturating_sub(1);
        }
        self.count_bytes(job, (before.durable, before.bytes_total), (0, None));
        job.mark(Mark { file: before.file, durable: 0, bytes_total: None, finished: false });
        self.touch(job);
        self.write_file(job.record.id, before.file, FileChange::Restarted);
        let kind = EventKind::FileRestarted { file: before.file, reason, bytes_discarded: before.durable };
        self.journal(job, kind);
    }
}

fn lost_error(lost: &[FileSummary]) -> JobError {
    JobError {
        code: ErrorCode::LocalIo,
        context: ErrorContext::LocalFile,
        class: FailureClass::Fatal,
        http_status: None,
        file: lost.first().map(|file| file.index),
        description: format!(
            "{} finished part file(s) are gone or were exchanged and have to be fetched again; resume the job",
            lost.len()
        ),
    }
}
