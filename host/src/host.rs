//! Puts the parts together: store, policies, transfer, driver. The daemon, `get` and applications that embed Backhaul start here.
//!
//! Owner of everything: [`Host::shutdown`] ends the workers at their checkpoints, the driver, the policy thread and the store's
//! thread, in this order. What is killed instead goes on at the next [`Host::start`] from what is durable.

mod events;
mod keys;
mod ownership;
mod readers;
mod snapshot;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

pub use self::events::NumberedEvent;
pub use self::keys::{CreateError, Created, Repetition};
pub use self::ownership::OwnershipError;
pub use self::snapshot::JobSnapshot;
pub use self::tokens::{TokenError, Tokens};
pub use crate::scheduler::RetentionConfig;

pub(crate) use self::keys::Turn;

use self::keys::Keys;
use self::readers::Readers;
use crate::access::Tenants;
use crate::clock::UnixMillis;
use crate::job::{FileSpec, IdempotencyKey, JobFilter, JobId, JobRecord, JobSpec, StoreId};
use crate::network::Network;
use crate::notify::{NotifierParts, WebhookSettings, Webhooks};
use crate::policy::{Grants, Policies, PolicyConfig, PolicyDirectory, PolicyError, PolicySource, PolicyStatus};
use crate::scheduler::driver::{Driver, DriverParts, Published, PublishedJob};
use crate::scheduler::{Begin, Command, CommandError, Reply, SchedulerConfig};
use crate::store::{FinalJobs, OpenMode, Reader, Store, StoreError};
use crate::transfer::{TransferContext, TransferError, TransferSettings};

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
    /// The network, until it is sensed. What an operator said of it, in this host or an earlier one, goes before.
    pub network: Network,
    /// How long the store keeps what is over.
    pub retention: RetentionConfig,
    /// Limits and pace of webhooks.
    pub webhooks: WebhookSettings,
    /// Where the files of each owner may lie, and what its jobs may connect to.
    pub tenants: Tenants,
}

impl HostConfig {
    /// A host in this directory, with every setting at its default and no policy but the built-in one.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            scheduler: SchedulerConfig::default(),
            transfer: TransferSettings::default(),
            policy: PolicyConfig::default(),
            policies: Vec::new(),
            network: Network::default(),
            retention: RetentionConfig::default(),
            webhooks: WebhookSettings::default(),
            tenants: Tenants::default(),
        }
    }
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

impl PolicyScope {
    /// The name in a configuration.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AllJobs => "all_jobs",
            Self::JobsThatNameIt => "jobs_that_name_it",
        }
    }
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

/// A page of jobs that are not final.
#[derive(Debug, Clone)]
pub struct JobList {
    /// The jobs, in the order of their ids, which is that of their creation.
    pub jobs: Vec<JobSnapshot>,
    /// After which job the next page begins; none if there is no more.
    pub next: Option<JobId>,
}

/// The network that jobs are admitted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    /// The network.
    pub network: Network,
    /// Whether an operator said so, instead of the sensors.
    pub overridden: bool,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    driver: Driver,
    store: Store,
    published: Arc<Published>,
    events_tx: broadcast::Sender<Arc<NumberedEvent>>,
    degraded_rx: watch::Receiver<Option<String>>,
    network_rx: watch::Receiver<NetworkStatus>,
    readers: Readers,
    keys: Keys,
    policies: PolicyDirectory,
    webhooks: Webhooks,
    tenants: Arc<Tenants>,
    tokens: Tokens,
}

/// Events kept for a subscriber that does not read: it then misses some, and reads the journal instead.
const EVENTS_CAPACITY: usize = 4096;

impl Host {
    /// Opens the store, loads the policies, and lets ready jobs start.
    ///
    /// # Errors
    /// A store that cannot be used, or an assigned policy that cannot be loaded. Nothing was started then.
    pub async fn start(config: HostConfig) -> Result<Self, HostError> {
        let HostConfig { state_dir, scheduler, transfer, policy, policies, network, retention, webhooks, tenants } =
            config;
        let policy = PolicyConfig { retry_floor_ms: scheduler.retry_floor_ms, ..policy };
        let (store, policies) = blocking(move || open_and_load(&state_dir, policy, policies)).await?;
        let tenants = Arc::new(tenants);
        let transfer = Arc::new(TransferContext::of(transfer, store.reader()?, Arc::clone(&tenants))?);
        let tokens = {
            let store = store.clone();
            blocking(move || Tokens::load(store)).await?
        };
        let (events_tx, _) = broadcast::channel(EVENTS_CAPACITY);
        let (degraded_tx, degraded_rx) = watch::channel(None);
        let (network_tx, network_rx) = watch::channel(NetworkStatus { network: network.clone(), overridden: false });
        let published = Arc::new(Published::new());
        let directory = policies.directory();
        let notifier = NotifierParts {
            settings: webhooks,
            retention: retention.clone(),
            tenants: Arc::clone(&tenants),
            store: store.clone(),
            published: Arc::clone(&published),
            events_rx: events_tx.subscribe(),
        };
        let parts = DriverParts {
            config: scheduler,
            store: store.clone(),
            policies,
            transfer,
            network,
            network_tx,
            events_tx: events_tx.clone(),
            degraded_tx,
            published: Arc::clone(&published),
            retention,
        };
        let driver = Driver::start(parts).await?;
        let webhooks = match Webhooks::start(notifier).await {
            Ok(webhooks) => webhooks,
            Err(error) => {
                driver.shutdown().await;
                return Err(error.into());
            }
        };
        let readers = Readers::new(store.clone());
        let (keys, policies) = (Keys::default(), directory);
        Ok(Self {
            driver,
            store,
            published,
            events_tx,
            degraded_rx,
            network_rx,
            readers,
            keys,
            policies,
            webhooks,
            tenants,
            tokens,
        })
    }

    /// Creates a job, SUSPENDED, with its first files. Durable when this returns.
    pub async fn create(&self, spec: JobSpec, files: Vec<FileSpec>) -> Result<JobRecord, CommandError> {
        let (job, spec) = (JobId::generate(), Box::new(spec));
        let command = Command::Create { job, spec, files, begin: Begin::Suspended, once: None };
        Ok(*self.command(command).await?.into_job())
    }

    /// Creates a job, once: a request with a key that its owner has used before for the same request gives the job that it made then, for
    /// as long as that job is kept. Durable when this returns. Requests with one key are served one after the other.
    ///
    /// # Errors
    /// [`CreateError::KeyUsed`] if the key came with another request before.
    pub async fn create_once(
        &self,
        spec: JobSpec,
        files: Vec<FileSpec>,
        begin: Begin,
        key: Option<IdempotencyKey>,
    ) -> Result<Created, CreateError> {
        let Some(key) = key else { return self.create_new(spec, files, begin, None).await };
        let turn = self.keys.turn(&spec.owner, &key.key).await;
        let (owner, text) = (spec.owner.clone(), key.key.clone());
        let known = self.read(move |reader| match reader.job_of_key(&owner, &text)? {
            Some((job, request)) => Ok(reader.job(job)?.map(|job| (job, request))),
            None => Ok(None),
        });
        match known.await? {
            None => self.create_new(spec, files, begin, Some((key, turn))).await,
            Some((job, request)) if request == key.request => {
                Ok(Created { job: Box::new(job), repetition: Repetition::Repeated })
            }
            Some((job, _)) => Err(CreateError::KeyUsed { job: job.id }),
        }
    }

    async fn create_new(
        &self,
        spec: JobSpec,
        files: Vec<FileSpec>,
        begin: Begin,
        once: Option<(IdempotencyKey, Turn)>,
    ) -> Result<Created, CreateError> {
        let (once, turn) = once.unzip();
        let command = Command::Create { job: JobId::generate(), spec: Box::new(spec), files, begin, once };
        let job = self.driver.command_in_turn(command, turn).await?.into_job();
        Ok(Created { job, repetition: Repetition::First })
    }

    /// Any other command. Durable when this returns; `Complete` and `Cancel` return when they are done.
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        self.driver.command(command).await
    }

    /// The job as last published: every one that is not final, and those that became final lately. The store has the others.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobSnapshot> {
        self.published.get(job).map(|job| JobSnapshot::from(&job))
    }

    /// The jobs that are not final, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobSnapshot> {
        self.published.all().iter().map(JobSnapshot::from).collect()
    }

    /// At most `limit` jobs that are not final and that the filter shows, after job `after` or from the oldest on. From memory.
    #[must_use]
    pub fn list(&self, filter: &JobFilter, after: Option<JobId>, limit: usize) -> JobList {
        let (jobs, next) = self.published.list(filter, after, limit);
        JobList { jobs: jobs.iter().map(JobSnapshot::from).collect(), next }
    }

    /// As [`Host::list`], for final jobs, from the store. A page may be short of `limit` although there is more.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list_final(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<FinalJobs, StoreError> {
        self.read(move |reader| reader.final_jobs(&filter, after, limit)).await
    }

    /// Returns when the job is not as it was with the revision `seen` of its snapshot: at once if it is another already, or not in memory.
    /// Costs nothing while other jobs change. Cancel-safe.
    pub async fn changed(&self, job: JobId, seen: u64) {
        self.published.changed(job, seen).await;
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

    /// Says that the network is another one now. As long as an operator says what it is, that holds instead.
    pub async fn set_network(&self, network: Network) {
        self.driver.set_network(network).await;
    }

    /// Says what the network is to be taken for, whatever is sensed, until none is given. Durable, and in force, when this returns.
    pub async fn set_network_override(&self, network: Option<Network>) -> Result<(), CommandError> {
        self.driver.set_network_override(network).await
    }

    /// The network that jobs are admitted by, and whether an operator said so.
    #[must_use]
    pub fn network(&self) -> NetworkStatus {
        self.network_rx.borrow().clone()
    }

    /// The policies that are loaded, by name.
    #[must_use]
    pub fn policies(&self, now: UnixMillis) -> Vec<PolicyStatus> {
        self.policies.list(now)
    }

    /// The webhooks: receivers that events are posted to.
    #[must_use]
    pub const fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// Reads from the store, on a thread for what blocks. A few reads are done at once; others wait for their turn.
    ///
    /// # Errors
    /// Those of `read`, or if the store cannot be read any more.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(read).await
    }

    /// The id in the names of the store's part files.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.store.id()
    }

    /// Opens a read-only view of the store of one's own: files, journal, decisions. Blocks on the disk; see [`Host::read`].
    ///
    /// # Errors
    /// If the store can no longer be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.store.reader()
    }

    /// Stops the workers at their checkpoints and everything else in order, within 5 s. Whoever calls anything afterwards is told that the
    /// host is stopping, or the store closed. Only the first call waits.
    pub async fn shutdown(&self) {
        // First: the driver closes the store that it records in. What happens until the end is told after the next start.
        self.webhooks.shutdown().await;
        self.driver.shutdown().await;
        self.readers.close();
    }
}

impl From<&PublishedJob> for JobSnapshot {
    fn from(job: &PublishedJob) -> Self {
        let PublishedJob { record, state, waiting_on, progress, revision } = job;
        Self {
            record: Arc::clone(record),
            state: *state,
            waiting_on: waiting_on.clone(),
            progress: progress.snapshot(),
            revision: *revision,
        }
    }
}

/// A store that another host has open is told at once: compiling policies may take seconds. A new one is created only when they are
/// loaded: what the user got wrong then leaves nothing behind.
fn open_and_load(
    state_dir: &Path,
    config: PolicyConfig,
    wanted: Vec<PolicyToLoad>,
) -> Result<(Store, Policies), HostError> {
    let existing = match Store::open(state_dir, OpenMode::Existing) {
        Ok(opened) => Some(opened.store),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let policies = load(config, wanted)?;
    let store = match existing {
        Some(store) => store,
        None => Store::open(state_dir, OpenMode::CreateIfMissing)?.store,
    };
    Ok((store, policies))
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
