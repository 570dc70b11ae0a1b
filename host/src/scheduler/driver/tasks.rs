//! The tasks that act for jobs: workers, publication, deletion, measuring space. All are owned here and joined here.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::clock::Now;
use crate::job::{AttemptNumber, ErrorCode, ErrorContext, Failure, FailureClass, JobError, JobId, Phase};
use crate::scheduler::{Assignment, Effect, Input, Report, StopReason};
use crate::transfer::{self, Control, ProgressCell, TransferContext};

pub(super) type Reported = (JobId, AttemptNumber, Report);

/// Stands for the attempt where there is none: attempts count from 1.
const PROBE: AttemptNumber = AttemptNumber(0);

/// What a task had to say.
#[derive(Debug)]
pub(super) enum TaskWake {
    Report(Reported),
    Ended(Ended),
}

/// A task that is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// It has reported everything, or was aborted.
    Properly,
    /// It measured space.
    Space(Input),
    /// It panicked: its job's attempt has failed.
    Abnormally { job: JobId, attempt: AttemptNumber, what: String },
}

#[derive(Debug)]
struct Worker {
    attempt: AttemptNumber,
    control_tx: watch::Sender<Control>,
}

/// All tasks of one driver.
#[derive(Debug)]
pub(super) struct Tasks {
    transfer: Arc<TransferContext>,
    set: JoinSet<Option<Input>>,
    owners: HashMap<Id, (JobId, AttemptNumber)>,
    workers: HashMap<JobId, Worker>,
    /// Of jobs that wait for space.
    probes: HashMap<JobId, AbortHandle>,
    cells: HashMap<JobId, Arc<ProgressCell>>,
    reports_tx: mpsc::Sender<Reported>,
    reports_rx: mpsc::Receiver<Reported>,
}

impl Tasks {
    pub(super) fn new(transfer: Arc<TransferContext>, reports_capacity: usize) -> Self {
        let (reports_tx, reports_rx) = mpsc::channel(reports_capacity);
        Self {
            transfer,
            set: JoinSet::new(),
            owners: HashMap::new(),
            workers: HashMap::new(),
            probes: HashMap::new(),
            cells: HashMap::new(),
            reports_tx,
            reports_rx,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The next report, or the next end of a task. Cancel-safe.
    pub(super) async fn next(&mut self) -> TaskWake {
        let joined = tokio::select! {
            // An end must not overtake the reports before it.
            biased;
            reported = self.reports_rx.recv() => {
                return TaskWake::Report(reported.expect("a sender is kept beside the receiver"));
            }
            Some(joined) = self.set.join_next_with_id() => joined,
        };
        TaskWake::Ended(match joined {
            Ok((id, input)) => {
                self.disown(id);
                input.map_or(Ended::Properly, Ended::Space)
            }
            Err(error) => match self.disown(error.id()) {
                // Aborted, by a host that cannot wait: as with a kill, the next start goes on from what is stored.
                _ if error.is_cancelled() => Ended::Properly,
                Some((job, attempt)) => Ended::Abnormally { job, attempt, what: error.to_string() },
                None => Ended::Properly,
            },
        })
    }

    pub(super) fn try_report(&mut self) -> Option<Reported> {
        self.reports_rx.try_recv().ok()
    }

    fn disown(&mut self, id: Id) -> Option<(JobId, AttemptNumber)> {
        let (job, attempt) = self.owners.remove(&id)?;
        if self.probes.get(&job).is_some_and(|probe| probe.id() == id) {
            self.probes.remove(&job);
        }
        if self.workers.get(&job).is_some_and(|worker| worker.attempt == attempt) {
            self.workers.remove(&job);
        }
        Some((job, attempt))
    }

    pub(super) fn progress(&mut self, job: JobId) -> Arc<ProgressCell> {
        Arc::clone(self.cells.entry(job).or_default())
    }

    /// The job's cell, if it has one by now.
    pub(super) fn known_progress(&self, job: JobId) -> Option<Arc<ProgressCell>> {
        self.cells.get(&job).cloned()
    }

    pub(super) fn forget(&mut self, job: JobId) {
        self.cells.remove(&job);
    }

    /// Lets an effect happen that concerns a task.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::StartWorker(assignment) => self.start_worker(assignment),
            Effect::StopWorker { job, attempt, reason } => {
                if let Some(worker) = self.workers.get(&job).filter(|worker| worker.attempt == attempt) {
                    worker.control_tx.send_modify(|control| control.stop = Some(reason));
                }
            }
            Effect::GrantOrigin { job, attempt } => {
                if let Some(worker) = self.workers.get(&job).filter(|worker| worker.attempt == attempt) {
                    worker.control_tx.send_modify(|control| control.origins_granted += 1);
                }
            }
            Effect::LimitWorker { job, bytes_per_second } => {
                if let Some(worker) = self.workers.get(&job) {
                    worker.control_tx.send_modify(|control| control.bytes_per_second = bytes_per_second);
                }
            }
            Effect::Publish { job, attempt, overwrite } => {
                let (transfer, reports_tx) = (Arc::clone(&self.transfer), self.reports_tx.clone());
                self.spawn(job, attempt, async move {
                    let report = transfer.publish(job, overwrite).await;
                    // The receiver outlives every task.
                    let _driver_gone = reports_tx.send((job, attempt, report)).await;
                    None
                });
            }
            Effect::DeleteParts { job, attempt } => {
                let (transfer, reports_tx) = (Arc::clone(&self.transfer), self.reports_tx.clone());
                self.spawn(job, attempt, async move {
                    let report = transfer.delete_parts(job).await;
                    let _driver_gone = reports_tx.send((job, attempt, report)).await;
                    None
                });
            }
            Effect::ProbeSpace(job) => {
                // One that is not over serves this one as well.
                if self.probes.contains_key(&job) {
                    return;
                }
                let transfer = Arc::clone(&self.transfer);
                let probe = self.spawn(job, PROBE, async move {
                    let bytes_available = transfer.free_space(job).await?;
                    Some(Input::Space { job, bytes_available })
                });
                self.probes.insert(job, probe);
            }
            Effect::Reply { .. } | Effect::Forget(_) | Effect::LookUpFile { .. } => {}
        }
    }

    fn start_worker(&mut self, assignment: Assignment) {
        let (job, attempt) = (assignment.job, assignment.attempt);
        let control = Control { bytes_per_second: assignment.bytes_per_second, ..Control::default() };
        let (control_tx, control_rx) = watch::channel(control);
        let (context, cell, reports_tx) = (Arc::clone(&self.transfer), self.progress(job), self.reports_tx.clone());
        self.spawn(job, attempt, async move {
            transfer::run(context, assignment, cell, control_rx, reports_tx).await;
            None
        });
        self.workers.insert(job, Worker { attempt, control_tx });
    }

    fn spawn(
        &mut self,
        job: JobId,
        attempt: AttemptNumber,
        task: impl Future<Output = Option<Input>> + Send + 'static,
    ) -> AbortHandle {
        let handle = self.set.spawn(task);
        self.owners.insert(handle.id(), (job, attempt));
        handle
    }

    /// Nobody waits for space any more. A file system that does not answer would hold up whoever waits for the last task.
    pub(super) fn stop_probes(&mut self) {
        for (_, probe) in self.probes.drain() {
            probe.abort();
        }
    }

    /// Tells every worker to stop at its checkpoint.
    pub(super) fn stop_all(&mut self) {
        self.stop_probes();
        for worker in self.workers.values() {
            worker.control_tx.send_modify(|control| control.stop = Some(StopReason::Draining));
        }
    }

    /// Ends what did not end by itself. Nothing is lost but the work since the last checkpoint.
    pub(super) fn abort_all(&mut self) {
        self.set.abort_all();
    }

    /// Waits for what is left. Their reports were taken before.
    pub(super) async fn join(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}

impl Ended {
    /// What the core is to be told.
    pub(super) fn into_input(self) -> Option<Input> {
        match self {
            Self::Properly => None,
            Self::Space(input) => Some(input),
            Self::Abnormally { job, attempt, what } => {
                tracing::error!(%job, what, "a task of a job ended abnormally");
                let error = JobError {
                    code: ErrorCode::Interrupted,
                    context: ErrorContext::QueueManager,
                    class: FailureClass::Transient,
                    http_status: None,
                    file: None,
                    description: format!("the transfer was interrupted by a fault of this program: {what}"),
                };
                let failure = Failure {
                    error,
                    phase: Phase::Unknown,
                    at: Now::read().wall,
                    retry_after_ms: None,
                    remote_name: None,
                    final_url: None,
                    origin: None,
                    file: None,
                    response_headers: Vec::new(),
                    body_excerpt: None,
                };
                Some(Input::Report { job, attempt, report: Report::Failed(Box::new(failure)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{OpenMode, Store};
    use crate::transfer::TransferSettings;

    #[tokio::test]
    async fn what_a_draining_host_aborts_has_not_failed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap().store;
        let context = TransferContext::new(TransferSettings::default(), store.reader().unwrap()).unwrap();
        let mut tasks = Tasks::new(Arc::new(context), 1);
        tasks.spawn(JobId::generate(), AttemptNumber(1), std::future::pending());
        tasks.abort_all();
        assert!(matches!(tasks.next().await, TaskWake::Ended(Ended::Properly)));
        assert!(tasks.is_empty());
    }
}
