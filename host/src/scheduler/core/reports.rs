//! What workers tell.

use super::super::input::{FileProgress, Redirection, Report};
use super::super::origins::Opening;
use super::super::queue::End;
use super::super::step::{Effect, FileChange, Write};
use super::Core;
use super::board::Board;
use super::job::{Fallback, Job, Mark, Place, Target};
use crate::job::{
    AttemptNumber, ErrorCode, ErrorContext, Event, EventKind, Failure, FailureClass, FileIndex, Integrity, Intent,
    JobError, JobId, JobState, Origin, Phase, Transition,
};

impl Core {
    pub(super) fn report(&mut self, id: JobId, attempt: AttemptNumber, report: Report) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let board = &mut self.board;
        match report {
            Report::Published { error, lost, files_published: _ } if job.record.attempt == attempt => {
                return board.published(job, error, &lost);
            }
            Report::PartsDeleted { files_left } if job.record.attempt == attempt => {
                return board.parts_deleted(job, files_left);
            }
            // A task that publishes or deletes can fail as a whole, by a fault of the host.
            Report::Failed(failure) if job.record.attempt == attempt && job.worker.is_none() => {
                return board.ending_failed(job, failure.error);
            }
            _ => {}
        }
        if job.worker.as_ref().is_none_or(|worker| worker.attempt != attempt) {
            return;
        }
        match report {
            Report::OriginChosen(origin) => board.origin_chosen(job, origin),
            Report::Connected => board.connected(job),
            Report::Checkpoint { progress, new_bytes, durable_before, bytes_total_before } => {
                // A size that is not known yet does not take back one that is counted.
                let bytes_total = progress.bytes_total.or(bytes_total_before);
                board.progressed(job, &progress, new_bytes, (durable_before, bytes_total_before), bytes_total);
                board.write_file(id, progress.file, FileChange::Progress(progress));
            }
            Report::FileRestarted { file, reason, bytes_discarded, bytes_total_before } => {
                let before = Mark { file, durable: bytes_discarded, bytes_total: bytes_total_before, finished: false };
                board.restart_file(job, before, reason);
            }
            Report::Responded { file, response } => {
                board.step.writes.push(Write::Response { job: id, file, response });
            }
            Report::Redirected(redirection) => board.redirected(job, redirection),
            Report::FileFinished { progress, new_bytes, durable_before, integrity, sized_before } => {
                let size_before = progress.bytes_total.unwrap_or(progress.durable);
                let before = (durable_before, sized_before.then_some(size_before));
                board.progressed(job, &progress, new_bytes, before, Some(progress.durable));
                board.file_finished(job, progress, integrity);
            }
            Report::Stopped => board.stopped(job),
            Report::Failed(failure) => board.failed(job, *failure),
            Report::Finished => board.finished(job),
            Report::Published { .. } | Report::PartsDeleted { .. } => {}
        }
    }
}

impl Board {
    /// A worker is about to ask an origin that the core was not told of before, because the host was started since or the files lie on several
    /// origins. If that origin has not as many connections left as the worker was given, or is not to be asked yet, the job goes back in
    /// line and waits for it there, as all others do.
    fn origin_chosen(&mut self, job: &mut Job, origin: Origin) {
        // One that was told to stop does not ask any more.
        let Some(worker) = job.active_worker() else { return };
        let (attempt, connections, former) = (worker.attempt, worker.connections, worker.origin.clone());
        let file = job.target.as_ref().map_or(FileIndex(0), |target| target.file);
        job.target = Some(Target { file, origin: origin.clone() });
        if former.as_ref() != Some(&origin) {
            match self.origins.opening(&origin, connections, self.now) {
                Opening::Connections(left) if left >= connections => {}
                _ => return self.take_slot_from(job, End::Front),
            }
            self.origins.acquire(&origin, connections, self.now);
            if let Some(worker) = job.active_worker() {
                worker.origin = Some(origin);
            }
            if let Some(former) = former {
                self.origins.release(&former, connections);
                self.call_next(&former);
            }
        }
        self.step.effects.push(Effect::GrantOrigin { job: job.record.id, attempt });
    }

    /// The remote name of a file becomes where it led, unless a client has given it another one meanwhile, which the store knows.
    fn redirected(&mut self, job: &mut Job, redirection: Box<Redirection>) {
        if let Some(target) = job.target.as_mut().filter(|target| target.file == redirection.file) {
            target.origin = redirection.to.origin();
        }
        self.touch(job);
        let kind = EventKind::JobModified { fields: vec!["remote_name".into()] };
        let event = Event { at: self.now.wall, job: Some(job.record.id), kind };
        self.step.writes.push(Write::Redirected { job: job.record.id, redirection, event });
    }

    fn connected(&mut self, job: &mut Job) {
        if let Some(origin) = job.worker.as_deref().and_then(|worker| worker.origin.as_ref()) {
            self.origins.succeeded(origin, self.now);
        }
        if matches!(job.place, Place::Running) && job.record.state == JobState::Connecting {
            job.record.error = None;
            self.apply(job, Transition::Connected);
        }
    }

    /// Counts what a checkpoint tells.
    fn progressed(
        &mut self,
        job: &mut Job,
        progress: &FileProgress,
        new_bytes: u64,
        before: (u64, Option<u64>),
        bytes_total: Option<u64>,
    ) {
        self.count_bytes(job, before, (progress.durable, bytes_total));
        job.mark(Mark { file: progress.file, durable: progress.durable, bytes_total, finished: false });
        self.touch(job);
        if new_bytes == 0 {
            return;
        }
        // What was idle until now does not count, nor does it remain on the watch.
        self.settle(job);
        self.active(job);
        let record = &mut job.record;
        record.progress_bytes = record.progress_bytes.saturating_add(new_bytes);
        record.no_progress_ms = 0;
        record.failures_in_row = 0;
        record.last_progress_at = Some(self.now.wall);
        job.space_seen = None;
        if let Some(worker) = job.worker.as_deref_mut() {
            worker.new_bytes = worker.new_bytes.saturating_add(new_bytes);
        }
    }

    /// Replaces what is counted for a file: durable bytes, and size if known.
    pub(super) fn count_bytes(&mut self, job: &mut Job, before: (u64, Option<u64>), after: (u64, Option<u64>)) {
        let record = &mut job.record;
        record.bytes_transferred = record.bytes_transferred.saturating_sub(before.0).saturating_add(after.0);
        if let Some(size) = before.1 {
            record.bytes_sized = record.bytes_sized.saturating_sub(size);
            record.files_sized = record.files_sized.saturating_sub(1);
        }
        if let Some(size) = after.1 {
            record.bytes_sized = record.bytes_sized.saturating_add(size);
            record.files_sized = record.files_sized.saturating_add(1).min(record.files_total);
        }
    }

    fn file_finished(&mut self, job: &mut Job, progress: FileProgress, integrity: Integrity) {
        let (file, bytes) = (progress.file, progress.durable);
        job.mark(Mark { file, durable: bytes, bytes_total: Some(bytes), finished: true });
        job.record.files_transferred = job.record.files_transferred.saturating_add(1).min(job.record.files_total);
        self.write_file(job.record.id, file, FileChange::Finished { progress, integrity });
        self.journal(job, EventKind::FileTransferred { file, bytes, integrity });
    }

    /// The worker stopped as it was told to.
    fn stopped(&mut self, job: &mut Job) {
        let Some(worker) = self.worker_gone(job) else { return };
        if job.ends_by_itself() {
            // It was told so just as it ended its last file.
            return self.transferred(job, Transition::Finished);
        }
        if !matches!(job.place, Place::Running) {
            return self.after_worker(job);
        }
        if worker.stopping.is_none() {
            // Nobody told it to. As a failure it is visible, and cannot go round in a circle.
            let error = internal_error(ErrorCode::Interrupted, "the transfer stopped without being told to".into());
            return self.attempt_failed(job, &worker, failure_of(error, self.now.wall));
        }
        self.slot_lost(job, worker.requeue);
    }

    /// The job goes back in line.
    fn slot_lost(&mut self, job: &mut Job, end: End) {
        self.vacate(job);
        self.apply(job, Transition::SlotTaken);
        self.line_up(job, end);
    }

    fn failed(&mut self, job: &mut Job, mut failure: Failure) {
        failure.retry_after_ms = failure.retry_after_ms.map(|millis| millis.min(self.config.retry_after_max_ms));
        if let Some(origin) = &failure.origin {
            self.origins.failed(origin, failure.retry_after_ms, self.now);
            let file = failure.error.file.unwrap_or_default();
            job.target = Some(Target { file, origin: origin.clone() });
        }
        let Some(worker) = self.worker_gone(job) else { return };
        match job.place {
            // It broke down on its way to the end.
            Place::Running if worker.stopping.is_some() && failure.error.code == ErrorCode::Interrupted => {
                self.slot_lost(job, worker.requeue);
            }
            Place::Running => self.attempt_failed(job, &worker, failure),
            _ => self.after_worker(job),
        }
    }

    fn finished(&mut self, job: &mut Job) {
        let Some(worker) = self.worker_gone(job) else { return };
        if job.ends_by_itself() {
            return self.transferred(job, Transition::Finished);
        }
        match job.place {
            Place::Running if worker.stopping.is_some() || worker.files_total < job.record.files_total => {
                self.slot_lost(job, End::Front);
            }
            Place::Running => {
                let (done, total) = (job.record.files_transferred, job.record.files_total);
                let what = format!("the transfer ended with {done} of {total} files transferred");
                let failure = failure_of(internal_error(ErrorCode::InvalidState, what), self.now.wall);
                self.attempt_failed(job, &worker, failure);
            }
            _ => self.after_worker(job),
        }
    }

    /// The worker of a job that no longer runs has ended: whatever waited for that goes on.
    fn after_worker(&mut self, job: &mut Job) {
        match job.place {
            Place::LineAfterWorker(end) => {
                let seat = self.queue.seat(job.level(), job.owner, end);
                self.queue.make_ready(seat, job.record.id);
                self.enter(job, Place::Line(seat));
            }
            Place::Ending(_) => self.go_on_ending(job),
            _ => {}
        }
    }

    /// All files of the job are transferred.
    pub(super) fn transferred(&mut self, job: &mut Job, transition: Transition) {
        self.vacate(job);
        job.hold = None;
        job.admitted = None;
        let before = job.record.state;
        self.apply(job, transition);
        if before != JobState::Transferred {
            job.record.error = None;
            job.record.retry = None;
        }
        // One that was suspended in between has said so before.
        if job.record.transferred_at.is_none() {
            job.record.transferred_at = Some(self.now.wall);
            self.journal(job, EventKind::JobTransferred);
        }
        if job.record.properties.auto_complete {
            self.begin_ending(job, Intent::Complete, Vec::new(), Fallback::AsItWas);
        }
    }
}

/// A failure that no origin had part in.
pub(super) const fn failure_of(error: JobError, at: crate::clock::UnixMillis) -> Failure {
    Failure {
        error,
        phase: Phase::Unknown,
        at,
        retry_after_ms: None,
        remote_name: None,
        final_url: None,
        file: None,
        origin: None,
        response_headers: Vec::new(),
        body_excerpt: None,
    }
}

/// An error of the host itself.
pub(super) const fn internal_error(code: ErrorCode, description: String) -> JobError {
    let class = match code {
        ErrorCode::Interrupted => FailureClass::Transient,
        _ => FailureClass::Fatal,
    };
    JobError { code, context: ErrorContext::QueueManager, class, http_status: None, file: None, description }
}
