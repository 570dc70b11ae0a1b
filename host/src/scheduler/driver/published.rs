//! Snapshots of jobs, renewed after each commit: readers never pass through the driver's queue or the store.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

use crate::job::{JobId, JobRecord, JobState};
use crate::scheduler::WaitingOn;
use crate::transfer::ProgressCell;

/// One job as of the last commit, with the live cell of its progress.
#[derive(Debug, Clone)]
pub(crate) struct PublishedJob {
    pub(crate) record: Arc<JobRecord>,
    pub(crate) state: JobState,
    pub(crate) waiting_on: Option<WaitingOn>,
    pub(crate) progress: Arc<ProgressCell>,
}

/// The jobs that are not final.
#[derive(Debug)]
pub(crate) struct Published {
    jobs: RwLock<HashMap<JobId, PublishedJob>>,
    generation_tx: watch::Sender<u64>,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self { jobs: RwLock::default(), generation_tx: watch::Sender::new(0) }
    }

    pub(crate) fn get(&self, job: JobId) -> Option<PublishedJob> {
        self.jobs.read().expect("no holder of the lock can panic").get(&job).cloned()
    }

    pub(crate) fn all(&self) -> Vec<PublishedJob> {
        self.jobs.read().expect("no holder of the lock can panic").values().cloned().collect()
    }

    /// Changes with each batch that changed something.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation_tx.subscribe()
    }

    pub(super) fn set(&self, job: PublishedJob) {
        self.jobs.write().expect("no holder of the lock can panic").insert(job.record.id, job);
    }

    pub(super) fn remove(&self, job: JobId) {
        self.jobs.write().expect("no holder of the lock can panic").remove(&job);
    }

    pub(super) fn announce(&self) {
        self.generation_tx.send_modify(|generation| *generation += 1);
    }
}
