//! Slots and admission: who is asked about, who starts, who is held.

use super::super::input::{Admission, AdmitAnswer};
use super::super::origins::Opening;
use super::super::queue::{End, Pool, Seat};
use super::super::step::{Assignment, Effect, StopReason, Terms};
use super::super::timers::TimerKind;
use super::Core;
use super::board::{Board, Stage, overwrite, seconds};
use super::job::{Admitted, Asked, Hold, Job, Place, Worker};
use crate::job::{AttemptNumber, ErrorCode, ErrorContext, FailureClass, JobError, JobId, JobState, Transition};
use crate::policy::contract::Cause;

/// What came of looking at the first ready job of a pool.
enum Look {
    /// It went somewhere; the next one may be looked at.
    Next,
    /// Nothing more can be done now.
    Enough,
    /// This job has to make way for it.
    Preempt(JobId),
}

impl Core {
    /// Gives free slots to ready jobs, and asks about those whose turn has come.
    pub(super) fn grant(&mut self) {
        if self.board.stage != Stage::Serving || !self.board.gates.connected() {
            return;
        }
        self.requeue_some();
        for pool in Pool::ALL {
            while let Some((seat, id)) = self.board.queue.next(pool) {
                let look = match self.jobs.get_mut(&id) {
                    Some(job) => self.board.look(job, seat, pool),
                    None => {
                        self.board.queue.leave(seat);
                        Look::Next
                    }
                };
                match look {
                    Look::Next => {}
                    Look::Enough => break,
                    Look::Preempt(victim) => {
                        let stopping = self.board.queue.stopping(pool);
                        if let Some(victim) = self.jobs.get_mut(&victim) {
                            self.board.take_slot_from(victim, End::Front);
                        }
                        if self.board.queue.stopping(pool) == stopping {
                            break;
                        }
                    }
                }
            }
        }
    }
}

impl Board {
    /// Looks at the first ready job of a pool.
    fn look(&mut self, job: &mut Job, seat: Seat, pool: Pool) -> Look {
        if job.worker.is_some() {
            self.queue.leave(seat);
            job.place = Place::LineAfterWorker(End::Front);
            return Look::Next;
        }
        let wanted = job.record.properties.parallel_files.max(1);
        let mut connections = wanted;
        if let Some(target) = &job.target {
            match self.origins.opening(&target.origin, wanted, self.now) {
                Opening::Connections(opening) => connections = opening,
                Opening::NotBefore(at) => {
                    let origin = target.origin.clone();
                    self.timers.set(job.record.id, TimerKind::Origin, at);
                    job.origin_wait = Some(origin);
                    return self.passed_over(job, seat);
                }
                Opening::Full => {
                    let origin = target.origin.clone();
                    self.origins.wait(&origin, seat, job.record.id, self.now);
                    job.origin_wait = Some(origin);
                    return self.passed_over(job, seat);
                }
            }
        }
        let admitted = job.admitted.filter(|admitted| admitted.network == self.gates.admissions());
        if self.queue.free(pool) > 0 {
            return match admitted {
                Some(admitted) => {
                    // It takes the connections that it was called for.
                    job.origin_wait = None;
                    self.vacate(job);
                    self.start(job, connections, admitted.bytes_per_second);
                    Look::Next
                }
                None => self.ask_to_start(job, seat),
            };
        }
        // A slot that is kept for a job that is being asked about is not to be taken from another one as well.
        if self.queue.reserved(pool) > 0 {
            return Look::Enough;
        }
        match (self.queue.victim(seat.level), admitted) {
            (None, _) => Look::Enough,
            (Some(victim), Some(_)) => Look::Preempt(victim),
            (Some(_), None) => self.ask_to_start(job, seat),
        }
    }

    /// The job waits for its origin, in its seat. Such moves count against the step as questions do.
    fn passed_over(&mut self, job: &Job, seat: Seat) -> Look {
        self.queue.leave(seat);
        self.changed.insert(job.record.id);
        self.spend(Look::Next)
    }

    fn spend(&mut self, look: Look) -> Look {
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 {
            self.unfinished = true;
            return Look::Enough;
        }
        look
    }

    fn ask_to_start(&mut self, job: &mut Job, seat: Seat) -> Look {
        if self.budget == 0 {
            self.unfinished = true;
            return Look::Enough;
        }
        let cause = match &job.hold {
            None => Cause::Start,
            Some(hold) if hold.network != self.gates.admissions() => Cause::NetworkChanged,
            Some(_) => Cause::LookAgain,
        };
        // What it was called for, it will take if it is admitted.
        job.origin_wait = None;
        self.vacate(job);
        self.queue.reserve(Pool::of(seat.level));
        self.enter(job, Place::Asking(seat));
        self.ask_admit(job, cause);
        self.spend(Look::Next)
    }

    /// Asks about a running job, if it may still run.
    pub(super) fn ask_running(&mut self, job: &mut Job, cause: Cause) {
        if matches!(job.place, Place::Running) && job.moving_worker().is_some() {
            self.budget = self.budget.saturating_sub(1);
            self.ask_admit(job, cause);
        }
    }

    /// The slot of a running job goes to another one.
    pub(super) fn take_slot_from(&mut self, job: &mut Job, requeue: End) {
        if let Some(worker) = job.active_worker() {
            worker.requeue = requeue;
            self.stop(job, StopReason::SlotTaken);
        }
    }

    /// Gives the job a slot and a worker.
    fn start(&mut self, job: &mut Job, connections: u16, bytes_per_second: Option<u64>) {
        let id = job.record.id;
        if job.record.state == JobState::TransientError {
            self.apply(job, Transition::Requeued);
        }
        self.apply(job, Transition::SlotGranted);
        job.hold = None;
        job.admitted = None;
        job.marks.clear();
        let record = &mut job.record;
        record.attempt = AttemptNumber(record.attempt.0.saturating_add(1));
        record.started_at = record.started_at.or(Some(self.now.wall));
        record.retry = None;
        let attempt = record.attempt;
        let origin = job.target.as_ref().map(|target| target.origin.clone());
        if let Some(origin) = &origin {
            self.origins.acquire(origin, connections, self.now);
        }
        job.worker = Some(Box::new(Worker {
            attempt,
            slot: self.queue.take_slot(job.level(), job.owner, id),
            stopping: None,
            requeue: End::Tail,
            started: self.now,
            new_bytes: 0,
            bytes_per_second,
            connections,
            origin: origin.clone(),
            files_total: job.record.files_total,
        }));
        self.enter(job, Place::Running);
        let left_ms = job.record.properties.maximum_download_time_ms.saturating_sub(job.record.active_ms);
        self.timers.set(id, TimerKind::MaximumDownloadTime, self.now.boot.plus(left_ms));
        self.timers.set(id, TimerKind::Slice, self.now.boot.plus(self.config.time_slice_ms));
        self.step.effects.push(Effect::StartWorker(Assignment {
            job: id,
            attempt,
            owner: job.record.owner.clone(),
            origin,
            parallel_files: connections,
            bytes_per_second,
            overwrite: overwrite(&job.record),
            terms: Terms::from(&*job.record),
        }));
    }

    /// Takes away all that a worker that has ended held: slot, connections, timers.
    pub(super) fn worker_gone(&mut self, job: &mut Job) -> Option<Box<Worker>> {
        let worker = job.worker.take()?;
        self.queue.free_slot(worker.slot);
        self.timers.cancel(job.record.id, TimerKind::Slice);
        self.timers.cancel(job.record.id, TimerKind::MaximumDownloadTime);
        if let Some(origin) = &worker.origin {
            self.origins.release(origin, worker.connections);
            self.call_next(origin);
        }
        Some(worker)
    }

    /// The policies answered whether the job may run.
    pub(super) fn admitted(&mut self, job: &mut Job, asked: &Asked, answer: &AdmitAnswer) {
        match std::mem::replace(&mut job.place, Place::Idle) {
            Place::Asking(seat) => {
                self.queue.unreserve(Pool::of(seat.level));
                self.enter(job, Place::Line(seat));
                self.admitted_in_line(job, seat, asked, answer);
            }
            place => {
                job.place = place;
                if matches!(job.place, Place::Running) && job.moving_worker().is_some() {
                    self.admitted_while_running(job, asked, answer);
                }
            }
        }
    }

    fn admitted_in_line(&mut self, job: &mut Job, seat: Seat, asked: &Asked, answer: &AdmitAnswer) {
        let bytes_per_second = match answer.admission {
            Admission::Allow => None,
            Admission::AllowAtMost(limit) => {
                self.decided(job, asked, &answer.because, format!("at most {limit} bytes per second"));
                Some(limit)
            }
            Admission::Hold(millis) => return self.hold(job, seat, asked, answer, millis),
        };
        if job.record.state == JobState::TransientError {
            self.apply(job, Transition::Requeued);
        }
        job.hold = None;
        job.admitted = Some(Admitted { network: asked.network, bytes_per_second });
        self.queue.make_ready(seat, job.record.id);
    }

    fn admitted_while_running(&mut self, job: &mut Job, asked: &Asked, answer: &AdmitAnswer) {
        let limit = match answer.admission {
            Admission::Allow => None,
            Admission::AllowAtMost(limit) => Some(limit),
            Admission::Hold(millis) => {
                let code = self.hold_code(job);
                self.shut(job, gate_error(code, &answer.because.note));
                let seat = self.queue.seat(job.level(), job.owner, End::Front);
                self.enter(job, Place::Line(seat));
                return self.hold(job, seat, asked, answer, millis);
            }
        };
        let Some(worker) = job.moving_worker() else { return };
        if std::mem::replace(&mut worker.bytes_per_second, limit) == limit {
            return;
        }
        self.step.effects.push(Effect::LimitWorker { job: job.record.id, bytes_per_second: limit });
        if let Some(limit) = limit {
            self.decided(job, asked, &answer.because, format!("at most {limit} bytes per second"));
        }
    }

    /// The job, in its seat, is passed over until the hold ends or the network changes.
    fn hold(&mut self, job: &mut Job, seat: Seat, asked: &Asked, answer: &AdmitAnswer, millis: Option<u64>) {
        let because = &answer.because;
        let known =
            job.hold.take().filter(|hold| hold.because.policy == because.policy && hold.because.code == because.code);
        if known.is_none() {
            let verdict = match millis {
                Some(millis) => format!("hold for {}", seconds(millis)),
                None => "hold until something changes".to_owned(),
            };
            self.decided(job, asked, because, verdict);
        }
        let floor = self.config.hold_floor_ms.min(self.config.hold_reask_ms);
        let wait_ms = millis.map_or(self.config.hold_reask_ms, |millis| millis.clamp(floor, self.config.hold_reask_ms));
        let (id, until) = (job.record.id, millis.map(|millis| self.now.wall.plus(millis)));
        let since = known.map_or(self.now.wall, |hold| hold.since);
        job.admitted = None;
        let code = self.hold_code(job);
        job.hold = Some(Box::new(Hold { since, until, network: asked.network, code, because: because.clone() }));
        self.changed.insert(id);
        if let Some(target) = &job.target {
            // The connections that would have been its own are for others meanwhile.
            self.call_next(&target.origin);
        }
        if asked.network == self.gates.admissions() {
            self.queue.hold(seat, id);
            self.timers.set(id, TimerKind::Hold, self.now.boot.plus(wait_ms));
        } else {
            self.queue.make_ready(seat, id);
        }
    }

    /// A gate shut while the job ran: TRANSIENT_ERROR, and its worker stops. The job stands nowhere then.
    pub(super) fn shut(&mut self, job: &mut Job, error: JobError) {
        self.stop(job, StopReason::GateShut);
        self.vacate(job);
        job.record.error = Some(error);
        job.record.retry = None;
        self.apply(job, Transition::GateShut);
    }

    /// The code of a hold: that of the cost where the job's own flags forbid the present one, else that of a policy.
    pub(super) fn hold_code(&self, job: &Job) -> ErrorCode {
        if self.gates.cost_allows(job.record.properties.cost_flags) {
            ErrorCode::BlockedByPolicy
        } else {
            ErrorCode::BlockedByCostTransferPolicy
        }
    }
}

/// The error of a job that was running when a gate shut.
pub(super) fn gate_error(code: ErrorCode, note: &str) -> JobError {
    let what = match code {
        ErrorCode::NetworkDisconnected => "there is no network; the job goes on when it is back",
        ErrorCode::BlockedByCostTransferPolicy => {
            "the present cost of the network is not among the job's cost flags; it goes on when that changes"
        }
        _ => "a policy holds the job on the present network",
    };
    let description = if note.is_empty() { what.to_owned() } else { format!("{what} ({note})") };
    JobError {
        code,
        context: ErrorContext::QueueManager,
        class: FailureClass::Transient,
        http_status: None,
        file: None,
        description,
    }
}
