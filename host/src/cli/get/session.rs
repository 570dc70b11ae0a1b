//! One run of `get`: starts the host, takes up the job or creates it, looks on until it ends, and tidies up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::policy::{self, PolicyChoice};
use super::prepare;
use super::progress::Progress;
use super::settings::GetSettings;
use super::signals::Signals;
use super::take_up::{self, Left};
use super::view::{Begin, Onlooker, Summary, View};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::store::failure as of_store;
use crate::clock::Now;
use crate::host::{Host, HostConfig, HostError, NumberedEvent};
use crate::job::limits::DISPLAY_NAME_CHARS_MAX;
use crate::job::{Direction, EventKind, JobError, JobId, JobRecord, JobSpec, JobState};
use crate::scheduler::{Command, CommandError, SchedulerConfig};
use crate::store::Reader;

/// Events read from the journal at once, after some were missed.
const JOURNAL_PAGE: u32 = 1000;

/// How long a suspension may take to be stored before the process ends without: what is durable stays in any case.
const SUSPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the command on a runtime of its own. The main thread blocks on it, and so may read the store directly.
pub(crate) fn run(settings: &GetSettings, view: &mut dyn View) -> Result<ExitCode, Failure> {
    let begun = Now::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("failed to start the runtime: {error}")))?;
    let summary = runtime.block_on(run_job(settings, view, begun))?;
    view.end(&summary);
    Ok(summary.code)
}

async fn run_job(settings: &GetSettings, view: &mut dyn View, begun: Now) -> Result<Summary, Failure> {
    let mut signals = Signals::listen()?;
    let left = match or_exit(&mut signals, take_up::look(settings)).await? {
        Left::Finished { record, reader } => {
            remove_state(settings);
            drop(reader);
            return Ok(summary(settings, ExitCode::Success, Some(*record), begun));
        }
        Left::Job { record, last_event } => Some((record, last_event)),
        Left::Nothing => None,
    };
    let taken = if left.is_none() { prepare::first_taken(&settings.files, &settings.properties) } else { None };
    if let Some(error) = taken {
        return Ok(Summary { error: Some(error), ..summary(settings, ExitCode::Failed, None, begun) });
    }
    let config = HostConfig {
        scheduler: SchedulerConfig::for_one_job(),
        policies: policy::to_load(&settings.policies),
        network: settings.network.clone(),
        ..HostConfig::new(&settings.state_dir)
    };
    let host = or_exit(&mut signals, Host::start(config)).await.map_err(of_host)?;
    let resumed = left.is_some();
    let created = match left {
        Some((record, last_event)) => Ok((*record, last_event)),
        None => create(&host, settings, &mut signals).await.map(|record| (record, 0)),
    };
    let (record, last_event) = match created {
        Ok(created) => created,
        Err(refused) => {
            or_exit(&mut signals, host.shutdown()).await;
            return match refused {
                Refused::Directory(error) => {
                    remove_state(settings);
                    Ok(Summary { error: Some(error), ..summary(settings, ExitCode::Failed, None, begun) })
                }
                Refused::Job(error) => Err(of_command(&error)),
            };
        }
    };
    view.begin(&Begin {
        job: record.id,
        state_dir: settings.state_dir.clone(),
        resumed: resumed.then_some(record.bytes_transferred),
        policies: settings.policies.iter().map(PolicyChoice::name).collect(),
    });
    let mut watch = Watch::new(host, record.id, last_event);
    let end = watch.run(view, &mut signals).await;
    watch.finish(settings, end, &mut signals, begun).await
}

/// Why there is no job.
enum Refused {
    /// A directory could not be created.
    Directory(JobError),
    /// The host did not take it.
    Job(CommandError),
}

/// Creates the job, and the directories of its files: only now, so that whatever was refused before leaves none behind.
async fn create(host: &Host, settings: &GetSettings, signals: &mut Signals) -> Result<JobRecord, Refused> {
    prepare::local_directories(&settings.files).map_err(Refused::Directory)?;
    let created = host.create(spec(settings), settings.files.clone());
    or_exit(signals, created).await.map_err(Refused::Job)
}

fn spec(settings: &GetSettings) -> JobSpec {
    let first = settings.files[0].local_name.file_name().to_string_lossy();
    let more = settings.files.len() - 1;
    let name = if more == 0 { first.into_owned() } else { format!("{first} and {more} more") };
    JobSpec {
        display_name: name.chars().take(DISPLAY_NAME_CHARS_MAX).collect(),
        description: String::new(),
        owner: format!("uid:{}", rustix::process::getuid().as_raw()),
        direction: Direction::Download,
        properties: settings.properties.clone(),
        labels: Vec::new(),
        policies: Vec::new(),
        headers: settings.headers.clone(),
        headers_write_only: false,
    }
}

/// How a job can end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// Completed.
    Completed {
        /// Whether some of its files are missing.
        partial: Partial,
    },
    /// A policy cancelled it.
    Cancelled,
    /// It stopped, and waits for somebody.
    Failed(JobError),
    /// A signal came.
    Interrupted,
}

/// Whether some files are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partial {
    /// Some are.
    Yes,
    /// None is.
    No,
}

impl Partial {
    const fn of(partial: bool) -> Self {
        if partial { Self::Yes } else { Self::No }
    }
}

/// Looks on while the job runs.
#[derive(Debug)]
pub(crate) struct Watch {
    host: Host,
    job: JobId,
    events: broadcast::Receiver<Arc<NumberedEvent>>,
    degraded: watch::Receiver<Option<String>>,
    /// The number of the last event that was shown.
    last_event: u64,
    /// Bytes that came in during this run.
    received: u64,
    /// Why the files could not be given their names, until the job goes on by itself.
    unpublished: Option<JobError>,
}

/// What woke the watch.
enum Turn {
    Signal,
    Event(Result<Arc<NumberedEvent>, RecvError>),
    Degraded,
    Tick,
}

impl Watch {
    /// Looks on. `last_event` is the last one of the past: what comes after it in the journal is shown.
    pub(crate) fn new(host: Host, job: JobId, last_event: u64) -> Self {
        let (events, degraded) = (host.events(), host.degraded());
        Self { host, job, events, degraded, last_event, received: 0, unpublished: None }
    }

    /// The host that the job is on.
    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }

    /// Sets the job going, and shows what happens until it ends.
    pub(crate) async fn run(&mut self, view: &mut dyn Onlooker, signals: &mut Signals) -> Result<End, Failure> {
        // What happened since the host was started, and before anybody listened.
        if let Some(end) = self.catch_up(view)? {
            return Ok(end);
        }
        // Whatever the job waits for, somebody asks for it now; one that runs already is not disturbed.
        match or_exit(signals, self.host.command(Command::Resume(self.job))).await {
            // It may be on its way to its end, or there already: the events tell.
            Ok(_) | Err(CommandError::InvalidState(_) | CommandError::NotFound(_)) => {}
            Err(error) => return Err(of_command(&error)),
        }
        let mut ticks = tokio::time::interval(view.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let turn = tokio::select! {
                () = signals.next() => Turn::Signal,
                event = self.events.recv() => Turn::Event(event),
                Ok(()) = self.degraded.changed() => Turn::Degraded,
                _ = ticks.tick() => Turn::Tick,
            };
            let end = match turn {
                Turn::Signal => self.suspend(signals).await?,
                Turn::Event(Ok(event)) => self.event(&event, view),
                Turn::Event(Err(RecvError::Lagged(_))) => self.catch_up(view)?,
                Turn::Event(Err(RecvError::Closed)) => {
                    return Err(Failure::new(ExitCode::Internal, "the host ended by itself"));
                }
                Turn::Degraded => {
                    let detail = self.degraded.borrow_and_update().clone();
                    view.degraded(detail.as_deref());
                    None
                }
                Turn::Tick => self.tick(view)?,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// Shows an event, and says whether it ends the job.
    fn event(&mut self, event: &NumberedEvent, view: &mut dyn Onlooker) -> Option<End> {
        // What was read from the journal may come again.
        if event.number <= self.last_event {
            return None;
        }
        self.last_event = event.number;
        if event.event.job.is_some_and(|job| job != self.job) {
            return None;
        }
        view.event(event);
        match &event.event.kind {
            EventKind::Acknowledged { partial, .. } => Some(End::Completed { partial: Partial::of(*partial) }),
            EventKind::Cancelled { .. } => Some(End::Cancelled),
            EventKind::JobError { error } => Some(End::Failed(error.clone())),
            EventKind::PublicationFailed { error } => {
                self.unpublished = Some(error.clone());
                None
            }
            EventKind::StateChanged { to: JobState::Queued, .. } => {
                // What was lost is fetched again.
                self.unpublished = None;
                None
            }
            _ => None,
        }
    }

    /// Reads from the journal what was missed.
    fn catch_up(&mut self, view: &mut dyn Onlooker) -> Result<Option<End>, Failure> {
        let reader = self.host.reader().map_err(|error| of_store(&error))?;
        loop {
            let page = reader.events(self.last_event, JOURNAL_PAGE, None).map_err(|error| of_store(&error))?;
            if page.is_empty() {
                return Ok(None);
            }
            for (number, event) in page {
                if let Some(end) = self.event(&NumberedEvent::new(number, event), view) {
                    return Ok(Some(end));
                }
            }
        }
    }

    fn tick(&mut self, view: &mut dyn Onlooker) -> Result<Option<End>, Failure> {
        let Some(snapshot) = self.host.job(self.job) else {
            // It is final: the event that says how is on its way, or was missed.
            return self.catch_up(view);
        };
        let is_idle = snapshot.record.state == JobState::Transferred && snapshot.record.intent.is_none();
        if let Some(error) = self.unpublished.take_if(|_| is_idle) {
            return Ok(Some(End::Failed(error)));
        }
        let progress = Progress::from(&snapshot);
        self.received = progress.bytes_received;
        view.progress(&progress, Now::read());
        Ok(None)
    }

    /// Suspends the job. None if it has just become final.
    async fn suspend(&mut self, signals: &mut Signals) -> Result<Option<End>, Failure> {
        let suspended = tokio::time::timeout(SUSPEND_TIMEOUT, self.host.command(Command::Suspend(self.job)));
        match or_exit(signals, suspended).await {
            Ok(Err(CommandError::InvalidState(_) | CommandError::NotFound(_))) => Ok(None),
            // Where it cannot be stored, the next run finds the job running, and goes on all the same.
            Ok(Ok(_) | Err(_)) | Err(_) => Ok(Some(End::Interrupted)),
        }
    }

    /// Stops the host. Returns the job as it is then, with the lock of the store; none if the store cannot be read any more.
    pub(crate) async fn stop(self, signals: &mut Signals) -> Option<(JobRecord, Reader)> {
        let reader = self.host.reader();
        or_exit(signals, self.host.shutdown()).await;
        let reader = reader.ok()?;
        let record = reader.job(self.job).ok().flatten()?;
        Some((record, reader))
    }

    /// Stops the host, and removes the store if nothing is left to do.
    async fn finish(
        self,
        settings: &GetSettings,
        end: Result<End, Failure>,
        signals: &mut Signals,
        begun: Now,
    ) -> Result<Summary, Failure> {
        let received = self.host.job(self.job).map_or(self.received, |snapshot| snapshot.progress.received);
        // A store that cannot be read any more was told of before.
        let (record, reader) = self.stop(signals).await.unzip();
        let end = end?;
        let (code, error) = match end {
            End::Completed { partial: Partial::No } => (ExitCode::Success, None),
            End::Completed { partial: Partial::Yes } | End::Cancelled => (ExitCode::Incomplete, None),
            End::Failed(error) => (ExitCode::Failed, Some(error)),
            End::Interrupted => (ExitCode::Interrupted, None),
        };
        // The lock is held until the store is gone, so that nobody finds a part of it.
        if matches!(code, ExitCode::Success | ExitCode::Incomplete) {
            remove_state(settings);
        }
        drop(reader);
        Ok(Summary { error, bytes_fetched: received, ..summary(settings, code, record, begun) })
    }
}

fn remove_state(settings: &GetSettings) {
    if let Err(error) = prepare::remove_state(&settings.state_dir) {
        // The files are there, which is what was asked for.
        tracing::warn!(%error, directory = %settings.state_dir.display(), "failed to remove the state");
    }
}

/// The end as far as the job's record tells it.
fn summary(settings: &GetSettings, code: ExitCode, record: Option<JobRecord>, begun: Now) -> Summary {
    Summary {
        code,
        state: record.as_ref().map(|record| record.state),
        error: None,
        files_transferred: record.as_ref().map_or(0, |record| record.files_transferred),
        files_total: u32::try_from(settings.files.len()).expect("checked against FILES_MAX"),
        bytes_transferred: record.as_ref().map_or(0, |record| record.bytes_transferred),
        bytes_fetched: 0,
        elapsed_ms: Now::read().boot.since(begun.boot),
    }
}

/// Waits for something, and ends the process at once if a signal comes meanwhile: it is the second one, or nothing was begun yet. What is
/// durable is safe from that as it is from SIGKILL.
pub(crate) async fn or_exit<T>(signals: &mut Signals, work: impl Future<Output = T>) -> T {
    tokio::select! {
        result = work => result,
        () = signals.next() => std::process::exit(ExitCode::Interrupted.number().into()),
    }
}

pub(crate) fn of_host(error: HostError) -> Failure {
    match error {
        HostError::Store(error) => take_up::in_use_or(error),
        HostError::Policy(error) => Failure::of(ExitCode::Policy, &error),
        HostError::Transfer(error) => Failure::of(ExitCode::Internal, &error),
    }
}

pub(crate) fn of_command(error: &CommandError) -> Failure {
    let code = match error {
        CommandError::Store(_) => ExitCode::StoreUnusable,
        CommandError::Change(_) | CommandError::Limit(_) | CommandError::Unsupported { .. } => ExitCode::Usage,
        _ => ExitCode::Internal,
    };
    Failure::of(code, error)
}
