//! What happens after a failed attempt: wait, gate, recovery, or ERROR.

use super::super::input::RetryAnswer;
use super::super::queue::End;
use super::super::step::StopReason;
use super::super::timers::TimerKind;
use super::board::{Board, seconds};
use super::job::{Asked, Decision, Gate, Job, Place, Space, Worker};
use super::reports::failure_of;
use crate::clock::Now;
use crate::job::{
    AttemptSummary, ErrorCode, ErrorContext, EventKind, Failure, FailureClass, JobError, JobState, RetryWait,
    Transition, limits,
};

impl Board {
    /// An attempt failed. Its worker has ended.
    pub(super) fn attempt_failed(&mut self, job: &mut Job, worker: &Worker, failure: Failure) {
        self.vacate(job);
        self.account(job, worker, &failure);
        if failure.error.code.is_condition() {
            return self.wait_for_condition(job, &failure);
        }
        job.record.error_count = job.record.error_count.saturating_add(1);
        job.record.failures_in_row = job.record.failures_in_row.saturating_add(1);
        let (new_bytes, duration_ms) = (worker.new_bytes, worker.duration_ms(self.now));
        let decision = Box::new(Decision { failure, new_bytes, duration_ms });
        let properties = &job.record.properties;
        let timeout_ms = properties.no_progress_timeout_ms;
        // 0 makes every error fatal; so does a delay that outlasts the timeout (bits.md section 1.2). An expired timeout counts now.
        if timeout_ms == 0 || properties.minimum_retry_delay_ms > timeout_ms || job.record.no_progress_ms >= timeout_ms
        {
            return self.give_up(job, decision);
        }
        self.ask_retry(job, &decision);
        self.enter(job, Place::Deciding(decision));
    }

    /// Enters the failure into the job's history and journal.
    fn account(&mut self, job: &mut Job, worker: &Worker, failure: &Failure) {
        self.touch(job);
        job.record.error = Some(failure.error.clone());
        job.record.history.push(AttemptSummary {
            started_at: worker.started.wall,
            ended_at: self.now.wall,
            remote_name: failure.remote_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            new_bytes: worker.new_bytes,
            code: failure.error.code,
            class: failure.error.class,
            http_status: failure.error.http_status,
        });
        let surplus = job.record.history.len().saturating_sub(self.config.history);
        job.record.history.drain(..surplus);
        self.journal(job, EventKind::AttemptFailed { error: failure.error.clone() });
    }

    /// Conditions end by themselves: no policy is asked, and nothing is counted against the job.
    fn wait_for_condition(&mut self, job: &mut Job, failure: &Failure) {
        job.record.retry = None;
        self.apply(job, Transition::GateShut);
        let (gate, look_ms) = match failure.error.code {
            ErrorCode::DiskFull => return self.wait_for_space(job, Some(failure)),
            ErrorCode::NetworkDisconnected if !self.gates.connected() => {
                return self.enter(job, Place::Gated(Gate::Network));
            }
            code => {
                let wait_ms = match code {
                    ErrorCode::NetworkDisconnected => self.config.network_probe_ms,
                    ErrorCode::DestinationLocked => self.config.disk_probe_ms,
                    _ => self.config.hold_reask_ms,
                };
                let wait_ms = wait_ms.max(self.config.retry_floor_ms);
                (Gate::Time(self.now.wall.plus(wait_ms)), wait_ms)
            }
        };
        self.enter(job, Place::Gated(gate));
        self.timers.set(job.record.id, TimerKind::Gate, self.now.boot.plus(look_ms));
    }

    /// The job waits until there is space, as far as the host can see it.
    pub(super) fn wait_for_space(&mut self, job: &mut Job, failure: Option<&Failure>) {
        let wanted = self.space_wanted(job, failure);
        let retry_at = self.now.boot.plus(self.config.disk_retry_ms);
        self.enter(job, Place::Gated(Gate::Space(Space { wanted, more_than: job.space_seen, retry_at })));
        self.timers.set(job.record.id, TimerKind::Gate, self.now.boot.plus(self.config.disk_probe_ms));
    }

    /// Bytes that must be free before a job that found the disk full tries again: all that is missing of the file that failed, else
    /// of the job, so that no attempt is begun that must fail again.
    fn space_wanted(&self, job: &Job, failure: Option<&Failure>) -> u64 {
        let file = failure.and_then(|failure| failure.file.as_ref());
        let of_file = file.and_then(|file| Some(file.bytes_total?.saturating_sub(file.durable)));
        let of_job = job.record.bytes_total().map(|total| total.saturating_sub(job.record.bytes_transferred));
        of_file.or(of_job).unwrap_or(self.config.disk_space_wanted_bytes).max(1)
    }

    /// The policies answered whether and when to retry.
    pub(super) fn retry_answered(&mut self, job: &mut Job, asked: &Asked, answer: &RetryAnswer) {
        let Place::Deciding(decision) = std::mem::replace(&mut job.place, Place::Idle) else { return };
        let Some(after_ms) = answer.retry_after_ms else {
            self.decided(job, asked, &answer.because, "give up".into());
            return self.give_up(job, decision);
        };
        let origin = decision.failure.origin.as_ref();
        let spacing_ms = origin.map_or(0, |origin| self.origins.spacing_ms(origin, self.now));
        let floor_ms = self.config.retry_floor_ms.max(decision.failure.retry_after_ms.unwrap_or(0)).max(spacing_ms);
        let delay_ms = after_ms.min(limits::DURATION_MS_MAX).max(floor_ms);
        self.decided(job, asked, &answer.because, format!("retry in {}", seconds(delay_ms)));
        self.apply(job, Transition::FailedTransiently);
        self.set_retry(job, delay_ms);
    }

    /// The next attempt begins after so many milliseconds.
    pub(super) fn set_retry(&mut self, job: &mut Job, delay_ms: u64) {
        self.touch(job);
        job.record.retry = Some(RetryWait { due_at: self.now.wall.plus(delay_ms), delay_ms });
        self.wait_for_retry(job, delay_ms);
    }

    /// As [`Board::set_retry`], for a wait that is stored already.
    pub(super) fn wait_for_retry(&mut self, job: &mut Job, left_ms: u64) {
        self.enter(job, Place::RetryWait);
        self.timers.set(job.record.id, TimerKind::Retry, self.now.boot.plus(left_ms));
        self.watch_progress(job);
    }

    /// Sets the timer of the no-progress timeout. One that has expired before the wait began counts at the next failure: a policy that
    /// repaired the job then has one attempt to show that it was right.
    pub(super) fn watch_progress(&mut self, job: &Job) {
        let left_ms = job.record.properties.no_progress_timeout_ms.saturating_sub(job.record.no_progress_ms);
        if left_ms > 0 {
            self.timers.set(job.record.id, TimerKind::NoProgress, self.now.boot.plus(left_ms));
        }
    }

    /// A job waits for a retry without progress for too long: the last error becomes final, unless a policy repairs it.
    pub(super) fn no_progress_timer(&mut self, job: &mut Job) {
        if !matches!(job.place, Place::RetryWait) || !self.gates.connected() || self.is_released(job) {
            // A network that comes back puts the job in line anyway.
            return;
        }
        self.settle(job);
        if job.record.no_progress_ms < job.record.properties.no_progress_timeout_ms {
            return self.watch_progress(job);
        }
        self.vacate(job);
        let error = job.record.error.clone().unwrap_or_else(|| timeout_error(ErrorCode::NoProgress));
        let failure = failure_of(error, self.now.wall);
        self.give_up(job, Box::new(Decision { failure, new_bytes: 0, duration_ms: 0 }));
    }

    /// A job has been connecting and transferring for too long. Its worker is told to stop.
    pub(super) fn maximum_download_timer(&mut self, job: &mut Job) {
        if !matches!(job.place, Place::Running) {
            return;
        }
        self.settle(job);
        let maximum_ms = job.record.properties.maximum_download_time_ms;
        let left_ms = maximum_ms.saturating_sub(job.record.active_ms);
        if left_ms > 0 {
            return self.timers.set(job.record.id, TimerKind::MaximumDownloadTime, self.now.boot.plus(left_ms));
        }
        // The worker keeps what it has: to it, this is a gate.
        self.stop(job, StopReason::GateShut);
        self.vacate(job);
        let Some(worker) = job.worker.take() else { return };
        let failure = failure_of(timeout_error(ErrorCode::MaxdownloadTimeout), self.now.wall);
        self.account(job, &worker, &failure);
        job.record.error_count = job.record.error_count.saturating_add(1);
        job.record.failures_in_row = job.record.failures_in_row.saturating_add(1);
        let (new_bytes, duration_ms) = (worker.new_bytes, worker.duration_ms(self.now));
        job.worker = Some(worker);
        self.give_up(job, Box::new(Decision { failure, new_bytes, duration_ms }));
    }

    /// No further attempt, unless a recovery policy has a better idea. It is asked before anybody sees ERROR.
    pub(super) fn give_up(&mut self, job: &mut Job, decision: Box<Decision>) {
        self.touch(job);
        let bucket_left = job.bucket.left(&self.config, self.now.boot) > 0;
        if bucket_left && job.record.recoveries < self.config.recoveries_per_job {
            self.ask_recover(job, &decision);
            self.enter(job, Place::Deciding(decision));
        } else {
            self.error_out(job);
        }
    }

    /// ERROR becomes visible. The job stands nowhere before.
    pub(super) fn error_out(&mut self, job: &mut Job) {
        self.vacate(job);
        job.record.retry = None;
        let error = job.record.error.get_or_insert_with(|| timeout_error(ErrorCode::NoProgress)).clone();
        self.apply(job, Transition::FailedFatally);
        self.journal(job, EventKind::JobError { error });
    }

    /// Puts a job in TRANSIENT_ERROR, or one whose attempt failed, in line.
    pub(super) fn requeue(&mut self, job: &mut Job, end: End) {
        self.vacate(job);
        job.record.retry = None;
        if job.record.state != JobState::Queued {
            self.apply(job, Transition::Requeued);
        }
        self.line_up(job, end);
    }
}

/// The error of a time limit of the job itself.
fn timeout_error(code: ErrorCode) -> JobError {
    let description = match code {
        ErrorCode::MaxdownloadTimeout => {
            "the job has been connecting and transferring for longer than its maximum_download_time; resume it to go on"
        }
        _ => "the job made no progress for longer than its no_progress_timeout; resume it to go on",
    };
    JobError {
        code,
        context: ErrorContext::QueueManager,
        class: FailureClass::Fatal,
        http_status: None,
        file: None,
        description: description.into(),
    }
}

impl Worker {
    /// Milliseconds since it began.
    pub(super) fn duration_ms(&self, now: Now) -> u64 {
        now.boot.since(self.started.boot)
    }
}
