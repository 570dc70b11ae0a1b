//! A job as the core holds it: its header, and where it stands in the scheduler.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::super::config::SchedulerConfig;
use super::super::input::{Because, RequestId};
use super::super::queue::{End, Seat};
use super::super::step::StopReason;
use super::super::timers::Stopwatch;
use super::super::turns::Owner;
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{
    AttemptNumber, DecisionId, ErrorCode, Failure, FileIndex, FileSummary, Intent, JobRecord, Origin, Priority,
};
use crate::policy::contract::Hook;

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    /// What is stored. Whoever changes it calls `Board::touch`.
    pub(super) record: Header,
    /// The number of its owner.
    pub(super) owner: Owner,
    /// Where it stands.
    pub(super) place: Place,
    /// Its live worker. It may outlive the place: a suspended job's worker ends at its next checkpoint.
    pub(super) worker: Option<Box<Worker>>,
    /// The question that is open.
    pub(super) asked: Option<Box<Asked>>,
    /// Set while a policy holds it, until it is admitted.
    pub(super) hold: Option<Box<Hold>>,
    /// Set while it is admitted and has no slot yet.
    pub(super) admitted: Option<Admitted>,
    /// Where its next bytes come from, as far as that is known.
    pub(super) target: Option<Target>,
    /// The origin for which it waits in line.
    pub(super) origin_wait: Option<Origin>,
    /// Adds up `active_ms`, on the boot clock.
    pub(super) active: Stopwatch,
    /// Adds up `no_progress_ms`, on the boot clock less the time without a network.
    pub(super) idle: Stopwatch,
    /// The free space with which it last tried, after it had found the disk full.
    pub(super) space_seen: Option<u64>,
    /// Repairs by policies.
    pub(super) bucket: Bucket,
    /// The files that the last attempt touched last, for a plan that restarts one.
    pub(super) marks: VecDeque<Mark>,
    /// How long nothing has happened to it.
    pub(super) inactivity: Inactivity,
    /// How often the network had come back when the job entered its place.
    pub(super) returns: u32,
    /// Where it stands among the jobs in TRANSIENT_ERROR, if it is one.
    pub(super) transient: Option<(Priority, Owner)>,
}

/// The header of a job, shared with those who were given it until one side changes it: a hundred thousand are held once.
#[derive(Debug)]
pub(super) struct Header(Arc<JobRecord>);

impl Header {
    /// As it is now.
    pub(super) fn share(&self) -> Arc<JobRecord> {
        Arc::clone(&self.0)
    }
}

impl Deref for Header {
    type Target = JobRecord;

    fn deref(&self) -> &JobRecord {
        &self.0
    }
}

impl DerefMut for Header {
    fn deref_mut(&mut self) -> &mut JobRecord {
        Arc::make_mut(&mut self.0)
    }
}

/// How long nothing has happened to a job, on the boot clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inactivity {
    /// Milliseconds before `since`, as far as an earlier process could tell.
    pub(super) before_ms: u64,
    pub(super) since: BootMillis,
}

impl Inactivity {
    /// Milliseconds until now.
    pub(super) const fn ms(self, now: BootMillis) -> u64 {
        self.before_ms.saturating_add(now.since(self.since))
    }
}

/// Files that are remembered of an attempt: as many as it may move at once.
const MARKS_MAX: usize = crate::job::limits::PARALLEL_FILES_MAX as usize;

/// Where a job stands.
#[derive(Debug)]
pub(super) enum Place {
    /// SUSPENDED, ERROR, TRANSFERRED or final: it waits for the client.
    Idle,
    /// QUEUED, or held while it ran: in line with a seat; ready, held, or waiting for its origin.
    Line(Seat),
    /// As [`Place::Line`], once its former worker has ended.
    LineAfterWorker(End),
    /// Its turn has come; a slot is kept while the policies are asked.
    Asking(Seat),
    /// CONNECTING or TRANSFERRING, with a worker.
    Running,
    /// An attempt failed, and the policies are asked. The state is still the one before.
    Deciding(Box<Decision>),
    /// TRANSIENT_ERROR: waits for a retry.
    RetryWait,
    /// TRANSIENT_ERROR: waits for a condition.
    Gated(Gate),
    /// Being completed or cancelled.
    Ending(Box<Ending>),
}

/// A condition that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// There is a network again.
    Network,
    /// There is space.
    Space(Space),
    /// A time is over, by the wall clock as shown: nothing tells when the condition ends.
    Time(UnixMillis),
}

/// What a job that found the disk full waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// So many bytes are free.
    pub(super) wanted: u64,
    /// And more than were free when it last tried in vain...
    pub(super) more_than: Option<u64>,
    /// ... unless it is later than this.
    pub(super) retry_at: BootMillis,
}

impl Space {
    /// Whether so many free bytes open the gate.
    pub(super) fn is_open(self, bytes_available: u64, now: BootMillis) -> bool {
        let more = self.more_than.is_none_or(|seen| bytes_available > seen);
        bytes_available >= self.wanted && (more || now >= self.retry_at)
    }
}

/// What is being decided about.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) failure: Failure,
    /// Progress of the attempt.
    pub(super) new_bytes: u64,
    /// Milliseconds that it took.
    pub(super) duration_ms: u64,
}

/// A job on its way to a final state.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) intent: Intent,
    pub(super) stage: EndingStage,
    /// Who waits for the end.
    pub(super) requests: Vec<RequestId>,
    pub(super) fallback: Fallback,
}

/// How far an ending is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndingStage {
    /// Its worker has still to stop.
    Worker,
    /// Files are given their local names.
    Publishing,
    /// Part files are deleted.
    Deleting,
}

/// What becomes of a job that could not be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// It goes on as it was.
    AsItWas,
    /// A policy wanted it completed instead of ERROR: ERROR it is.
    Error,
}

/// The one live worker of a job.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) attempt: AttemptNumber,
    /// Its slot.
    pub(super) slot: Seat,
    pub(super) stopping: Option<StopReason>,
    /// Where in line the job goes if the slot is taken from it.
    pub(super) requeue: End,
    pub(super) started: Now,
    /// Progress so far.
    pub(super) new_bytes: u64,
    /// The ceiling that it was given.
    pub(super) bytes_per_second: Option<u64>,
    /// Connections that are counted for it, and where.
    pub(super) connections: u16,
    pub(super) origin: Option<Origin>,
    /// The job's files when it began: those added later it may not have seen.
    pub(super) files_total: u32,
}

/// An open question.
#[derive(Debug)]
pub(super) struct Asked {
    /// The count of the job's decisions.
    pub(super) generation: u32,
    pub(super) decision: DecisionId,
    pub(super) hook: Hook,
    /// The number of the network that the question showed.
    pub(super) network: u32,
}

/// Why a job that could run is passed over.
#[derive(Debug)]
pub(super) struct Hold {
    /// Since when, by the wall clock.
    pub(super) since: UnixMillis,
    /// Until when, if the policy said so.
    pub(super) until: Option<UnixMillis>,
    /// The number of the network that it is about.
    pub(super) network: u32,
    /// What the job's reported error is meanwhile.
    pub(super) code: ErrorCode,
    pub(super) because: Because,
}

/// A job may run on the network of one number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    pub(super) network: u32,
    pub(super) bytes_per_second: Option<u64>,
}

/// Where a job's next bytes come from.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) file: FileIndex,
    pub(super) origin: Origin,
}

/// What was last heard of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) file: FileIndex,
    pub(super) durable: u64,
    pub(super) bytes_total: Option<u64>,
    pub(super) finished: bool,
}

impl From<&FileSummary> for Mark {
    fn from(file: &FileSummary) -> Self {
        Self { file: file.index, durable: file.durable, bytes_total: file.bytes_total, finished: file.finished }
    }
}

/// A bucket of repairs that fills with time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    spent: u32,
    since: BootMillis,
}

impl Bucket {
    /// Repairs that are left now.
    pub(super) fn left(&mut self, config: &SchedulerConfig, now: BootMillis) -> u32 {
        let refill_ms = config.recovery_refill_ms.max(1);
        let refilled = now.since(self.since) / refill_ms;
        self.spent = self.spent.saturating_sub(u32::try_from(refilled).unwrap_or(u32::MAX));
        self.since = if self.spent == 0 { now } else { self.since.plus(refilled.saturating_mul(refill_ms)) };
        config.recovery_burst.saturating_sub(self.spent)
    }

    /// Takes one.
    pub(super) const fn spend(&mut self) {
        self.spent = self.spent.saturating_add(1);
    }
}

impl Job {
    pub(super) fn new(record: JobRecord, owner: Owner) -> Self {
        Self {
            record: Header(Arc::new(record)),
            owner,
            place: Place::Idle,
            worker: None,
            asked: None,
            hold: None,
            admitted: None,
            target: None,
            origin_wait: None,
            active: Stopwatch::default(),
            idle: Stopwatch::default(),
            space_seen: None,
            bucket: Bucket::default(),
            marks: VecDeque::new(),
            inactivity: Inactivity::default(),
            returns: 0,
            transient: None,
        }
    }

    pub(super) fn level(&self) -> Priority {
        self.record.properties.priority
    }

    /// All of its files are transferred.
    pub(super) fn nothing_left(&self) -> bool {
        self.record.files_total > 0 && self.record.files_transferred >= self.record.files_total
    }

    /// All of its files are transferred, and it waits for no client to be told so.
    pub(super) fn ends_by_itself(&self) -> bool {
        let goes_on = matches!(
            self.place,
            Place::Running | Place::Line(_) | Place::LineAfterWorker(_) | Place::RetryWait | Place::Gated(_)
        );
        goes_on && self.nothing_left()
    }

    /// It waits for a retry, or for what a network that comes back may end.
    pub(super) const fn waits_for_return(&self) -> bool {
        matches!(self.place, Place::RetryWait | Place::Gated(Gate::Network | Gate::Time(_)))
    }

    /// Completing it now leaves files behind.
    pub(super) fn is_partial(&self) -> bool {
        self.record.files_transferred == 0 || self.record.files_transferred < self.record.files_total
    }

    /// Its worker, unless that was told to stop.
    pub(super) fn active_worker(&mut self) -> Option<&mut Worker> {
        self.worker.as_deref_mut().filter(|worker| worker.stopping.is_none())
    }

    /// Its worker, unless that was told to stop at once. One whose slot is taken moves bytes until it can resume from where it is.
    pub(super) fn moving_worker(&mut self) -> Option<&mut Worker> {
        self.worker.as_deref_mut().filter(|worker| matches!(worker.stopping, None | Some(StopReason::SlotTaken)))
    }

    /// Remembers what was heard of a file.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks.retain(|known| known.file != mark.file);
        if self.marks.len() >= MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_takes_less_than_a_kibibyte() {
        // Texts, history and the tree around it come on top; a job that has neither has 300 bytes left for its names.
        assert!(size_of::<Job>() + size_of::<JobRecord>() <= 1024, "{} + {}", size_of::<Job>(), size_of::<JobRecord>());
    }

    #[test]
    fn the_bucket_allows_a_burst_and_fills_with_time() {
        let config = SchedulerConfig { recovery_burst: 2, recovery_refill_ms: 100, ..SchedulerConfig::default() };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.left(&config, BootMillis(1_000)), 2);
        bucket.spend();
        bucket.spend();
        assert_eq!(bucket.left(&config, BootMillis(1_050)), 0);
        assert_eq!(bucket.left(&config, BootMillis(1_100)), 1);
        assert_eq!(bucket.left(&config, BootMillis(1_199)), 1);
        assert_eq!(bucket.left(&config, BootMillis(9_000)), 2);
    }
}
