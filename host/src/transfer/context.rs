//! What all transfers of a host share, and what the files of one running job share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinError;

use super::budget::Budget;
use super::client::Client;
use super::error::TransferError;
use super::files::Files;
use super::progress::ProgressCell;
use super::rate_limit::RateLimit;
use super::settings::TransferSettings;
use super::space::SpaceLooks;
use crate::access::{EgressClass, Tenant, Tenants};
use crate::job::{AttemptNumber, FileRecord, JobId, Origin, StoreId, part_file_name};
use crate::scheduler::{Assignment, Overwrite, Report, StopReason, Terms};
use crate::store::Reader;

/// What all transfers of a host share.
#[derive(Debug)]
pub struct TransferContext {
    /// One for each class of owners: connections are not shared between them.
    clients: [Client; 2],
    pub(super) tenants: Arc<Tenants>,
    pub(crate) settings: TransferSettings,
    pub(crate) store: StoreId,
    pub(crate) files: Files,
    pub(super) space: SpaceLooks,
    /// The mode of a published file.
    pub(crate) file_mode: Mode,
}

impl TransferContext {
    /// As [`TransferContext::of`], for jobs of one user, who may do everything.
    ///
    /// # Errors
    /// As there.
    pub fn new(settings: TransferSettings, reader: Reader) -> Result<Self, TransferError> {
        Self::of(settings, reader, Arc::default())
    }

    /// Sets up the HTTP clients. The reader holds the store's lock as long as this lives.
    ///
    /// # Errors
    /// The client could not be set up, for example because the system's certificates cannot be read.
    pub fn of(settings: TransferSettings, reader: Reader, tenants: Arc<Tenants>) -> Result<Self, TransferError> {
        let client = |class| Client::new(&settings, tenants.egress(class));
        let clients = [client(EgressClass::Users)?, client(EgressClass::Tokens)?];
        let (store, space, file_mode) = (reader.store_id(), SpaceLooks::default(), file_mode());
        Ok(Self { clients, tenants, settings, store, files: Files::new(reader), space, file_mode })
    }

    fn client_of(&self, class: EgressClass) -> &Client {
        match class {
            EgressClass::Users => &self.clients[0],
            EgressClass::Tokens => &self.clients[1],
        }
    }
}

/// Readable and writable for all whom the umask does not leave out, as any program creates files.
fn file_mode() -> Mode {
    let all = Mode::from_raw_mode(0o666);
    // The umask cannot be read without setting it, but for this.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = field.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o077);
    all - Mode::from_raw_mode(umask)
}

/// What a running worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// Stop at the next checkpoint.
    pub stop: Option<StopReason>,
    /// The job's own ceiling.
    pub bytes_per_second: Option<u64>,
    /// How many of the origins that the worker chose it may ask: in the order of its reports.
    pub origins_granted: u32,
}

/// Where workers send their reports.
pub type ReportSender = mpsc::Sender<(JobId, AttemptNumber, Report)>;

/// What a worker tells the tasks of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Directive {
    pub(crate) halt: Option<Halt>,
    /// As in [`Control`].
    pub(crate) origins_granted: u32,
    /// Changes with every new ceiling, so that waits for the old one end.
    pub(crate) ceilings: u32,
}

/// How a file's task is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Halt {
    /// Only if the transfer can be resumed later; else the file is fetched to its end.
    WhereResumable,
    /// Now: sync, report, end.
    Now,
}

/// The task was told to stop, or nobody listens to it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halted;

/// When bytes of a file that is not whole yet are made durable, and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checkpoints {
    /// From time to time, and when the transfer stops.
    Regular,
    /// When the transfer stops: a crash costs the file.
    WhenItStops,
    /// Never: what is there is worth nothing once the transfer has stopped.
    Never,
}

/// What the files of one running job share.
#[derive(Debug)]
pub(crate) struct JobRun {
    pub(crate) context: Arc<TransferContext>,
    /// What its owner may do.
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) job: JobId,
    pub(crate) attempt: AttemptNumber,
    pub(crate) overwrite: Overwrite,
    pub(crate) terms: Terms,
    pub(crate) budget: Budget,
    pub(crate) rate_limit: RateLimit,
    pub(crate) directive: watch::Receiver<Directive>,
    pub(crate) progress: Arc<ProgressCell>,
    reports: ReportSender,
    connected: AtomicBool,
    chosen: Mutex<Chosen>,
}

/// The origin that was chosen last, and by which report.
#[derive(Debug)]
struct Chosen {
    origin: Option<Origin>,
    /// 0: it was assigned.
    report: u32,
}

impl JobRun {
    pub(crate) fn new(
        context: Arc<TransferContext>,
        assignment: &Assignment,
        directive: watch::Receiver<Directive>,
        progress: Arc<ProgressCell>,
        reports: ReportSender,
    ) -> Self {
        Self {
            tenant: context.tenants.of(&assignment.owner),
            context,
            job: assignment.job,
            attempt: assignment.attempt,
            overwrite: assignment.overwrite,
            terms: assignment.terms,
            budget: Budget::new(assignment.terms.maximum_download_size, assignment.terms.bytes_transferred),
            rate_limit: RateLimit::new(assignment.bytes_per_second),
            directive,
            progress,
            reports,
            connected: AtomicBool::new(false),
            chosen: Mutex::new(Chosen { origin: assignment.origin.clone(), report: 0 }),
        }
    }

    /// Reports; waits where the driver is behind. A driver that is gone halts the task.
    pub(crate) async fn report(&self, report: Report) -> Result<(), Halted> {
        self.reports.send((self.job, self.attempt, report)).await.map_err(|_| Halted)
    }

    /// Reports the first acceptable answer, once.
    pub(crate) async fn connected(&self) -> Result<(), Halted> {
        if self.connected.swap(true, Ordering::Relaxed) { Ok(()) } else { self.report(Report::Connected).await }
    }

    /// Returns when the origin may be asked: at once, if it is the one that was asked before.
    pub(crate) async fn choose_origin(&self, origin: Origin) -> Result<(), Halted> {
        let report = {
            // Held while it is reported, so that grants come in the order of the choices.
            let mut chosen = self.chosen.lock().await;
            if chosen.origin.as_ref() != Some(&origin) {
                self.report(Report::OriginChosen(origin.clone())).await?;
                chosen.origin = Some(origin);
                chosen.report += 1;
            }
            chosen.report
        };
        let mut directive = self.directive.clone();
        let is_told = |directive: &Directive| directive.origins_granted >= report || directive.halt.is_some();
        // A worker that is gone grants nothing.
        let told = directive.wait_for(is_told).await.map_err(|_| Halted)?;
        if told.origins_granted >= report { Ok(()) } else { Err(Halted) }
    }

    pub(crate) const fn checkpoints(&self) -> Checkpoints {
        match self.terms {
            Terms { dynamic_content: true, .. } => Checkpoints::Never,
            Terms { high_performance: true, .. } => Checkpoints::WhenItStops,
            _ => Checkpoints::Regular,
        }
    }

    /// The client whose connections are for owners like its own.
    pub(crate) fn client(&self) -> &Client {
        self.context.client_of(self.tenant.class)
    }

    pub(crate) fn part_name(&self, file: &FileRecord) -> String {
        part_file_name(self.context.store, self.job, file.index)
    }
}

/// Runs what blocks on the blocking pool. Its panic is a panic here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// Waits for blocking work.
pub(crate) async fn joined<T>(handle: impl Future<Output = Result<T, JoinError>>) -> T {
    match handle.await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and this task is about to be dropped.
        Err(_) => std::future::pending().await,
    }
}
