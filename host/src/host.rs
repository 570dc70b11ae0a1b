//! Puts the parts together: store, policies, transfer, driver. The daemon, `get` and applications that embed Backhaul start here.
//!
//! Owner of everything: [`Host::shutdown`] ends the workers at their checkpoints, the driver, the policy thread and the store's
//! thread, in this order. What is killed instead goes on at the next [`Host::start`] from what is durable.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::job::{Event, FileSpec, JobId, JobRecord, JobSpec, JobState};
use crate::network::Network;
use crate::policy::{Grants, Policies, PolicyConfig, PolicyError, PolicySource};
use crate::scheduler::driver::{Driver, DriverParts, Published, PublishedJob};
use crate::scheduler::{Command, CommandError, Reply, SchedulerConfig, WaitingOn};
use crate::store::{OpenMode, Reader, Store, StoreError};
use crate::transfer::{ProgressSnapshot, TransferContext, TransferError, TransferSettings};

/// What a host is started with.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where the store lies; created if missing. One host at a time.
    pub state_dir: PathBuf,
    /// Slots, slices, floors.
    pub scheduler: SchedulerConfig,
    /// Timeouts, checkpoints, limits of the wire.
    pub transfer: TransferSettings,
    /// How policies are run. Its retry floor is the scheduler's.
    pub policy: PolicyConfig,
    /// Policies that are loaded at the start, in the order in which assigned ones are asked.
    pub policies: Vec<PolicyToLoad>,
    /// The network, until it is sensed.
    pub network: Network,
}

/// A policy that a host is started with.
#[derive(Debug, Clone)]
pub struct PolicyToLoad {
    /// Where its component is.
    pub source: PolicySource,
    /// A JSON object as text; empty for none.
    pub settings: String,
    /// What it may beyond what every policy may.
    pub grants: Grants,
    /// Which jobs it is asked for.
    pub scope: PolicyScope,
}

/// Which jobs a policy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyScope {
    /// Every job, before the job's own.
    AllJobs,
    /// Jobs that name it.
    JobsThatNameIt,
}

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A policy that the operator asked for.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The transfer engine.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

/// A job as it is published after each commit: what `/state` and `/progress` are answered from.
#[derive(Debug, Clone)]
pub struct JobSnapshot {
    /// The stored header.
    pub record: Arc<JobRecord>,
    /// The state as reported: a waiting job whose gate is shut reports TRANSIENT_ERROR.
    pub state: JobState,
    /// Why it does not move, if it does not.
    pub waiting_on: Option<WaitingOn>,
    /// Bytes and files, live.
    pub progress: ProgressSnapshot,
}

/// An event with its number in the journal.
#[derive(Debug, Clone)]
pub struct NumberedEvent {
    /// Counts from 1, without a gap.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    driver: Driver,
    store: Store,
    published: Arc<Published>,
    events_tx: broadcast::Sender<Arc<NumberedEvent>>,
    degraded_rx: watch::Receiver<Option<String>>,
}

/// Events kept for a subscriber that does not read: it then misses some, and reads the journal instead.
const EVENTS_CAPACITY: usize = 4096;

impl Host {
    /// Opens the store, loads the policies, and lets ready jobs start.
    ///
    /// # Errors
    /// A store that cannot be used, or an assigned policy that cannot be loaded. Nothing was started then.
    pub async fn start(config: HostConfig) -> Result<Self, HostError> {
        let HostConfig { state_dir, scheduler, transfer, policy, policies, network } = config;
        // Before the store is touched: what a user got wrong is said first.
        let policy = PolicyConfig { retry_floor_ms: scheduler.retry_floor_ms, ..policy };
        let policies = blocking(move || load(policy, policies)).await?;
        let store = blocking(move || Store::open(&state_dir, OpenMode::CreateIfMissing)).await?.store;
        let transfer = Arc::new(TransferContext::new(transfer, store.reader()?)?);
        let (events_tx, _) = broadcast::channel(EVENTS_CAPACITY);
        let (degraded_tx, degraded_rx) = watch::channel(None);
        let published = Arc::new(Published::new());
        let parts = DriverParts {
            config: scheduler,
            store: store.clone(),
            policies,
            transfer,
            network,
            events_tx: events_tx.clone(),
            degraded_tx,
            published: Arc::clone(&published),
        };
        let driver = Driver::start(parts).await?;
        Ok(Self { driver, store, published, events_tx, degraded_rx })
    }

    /// Creates a job, SUSPENDED, with its first files. Durable when this returns.
    pub async fn create(&self, spec: JobSpec, files: Vec<FileSpec>) -> Result<JobRecord, CommandError> {
        let command = Command::Create { job: JobId::generate(), spec: Box::new(spec), files };
        match self.command(command).await? {
            Reply::Job(job) | Reply::Completed { job, .. } | Reply::Cancelled { job, .. } => Ok(*job),
        }
    }

    /// Any other command. Durable when this returns; `Complete` and `Cancel` return when they are done.
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        self.driver.command(command).await
    }

    /// The job as last published; none if it is unknown or final.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobSnapshot> {
        self.published.get(job).map(JobSnapshot::from)
    }

    /// The jobs that are not final, in no order.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobSnapshot> {
        self.published.all().into_iter().map(JobSnapshot::from).collect()
    }

    /// Events from now on, each after its commit. A subscriber that falls behind is told how many it missed, and reads the journal.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<NumberedEvent>> {
        self.events_tx.subscribe()
    }

    /// Changes whenever a job may have changed: wait on it, then read [`Host::job`].
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.published.changes()
    }

    /// Why nothing can be stored at present (for example a full disk), or none.
    #[must_use]
    pub fn degraded(&self) -> watch::Receiver<Option<String>> {
        self.degraded_rx.clone()
    }

    /// Says that the network is another one now.
    pub async fn set_network(&self, network: Network) {
        self.driver.set_network(network).await;
    }

    /// Opens a read-only view of the store: files, journal, decisions.
    ///
    /// # Errors
    /// If the store can no longer be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.store.reader()
    }

    /// Stops the workers at their checkpoints and everything else in order, within 5 s.
    pub async fn shutdown(self) {
        self.driver.shutdown().await;
    }
}

impl From<PublishedJob> for JobSnapshot {
    fn from(job: PublishedJob) -> Self {
        let PublishedJob { record, state, waiting_on, progress } = job;
        Self { record, state, waiting_on, progress: progress.snapshot() }
    }
}

fn load(config: PolicyConfig, wanted: Vec<PolicyToLoad>) -> Result<Policies, PolicyError> {
    let policies = Policies::start(config)?;
    let mut assigned = Vec::new();
    for PolicyToLoad { source, settings, grants, scope } in wanted {
        let loaded = policies.load(&source, settings, grants)?;
        match scope {
            PolicyScope::AllJobs => assigned.push(loaded.name),
            PolicyScope::JobsThatNameIt => {}
        }
    }
    policies.assign(assigned);
    Ok(policies)
}

/// Runs what blocks off the async workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the closure does not panic, and the runtime is not shut down while it is awaited")
}
