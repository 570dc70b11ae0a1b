//! The inactivity timeout, in a host of the test's own: no daemon has one that is short enough to wait for.

use std::time::Duration;

use backhaul::host::{Host, HostConfig};
use backhaul::job::{EventKind, FileSpec, JobId, JobSpec, JobState, LocalName, Priority, Properties, SafeUrl};
use backhaul::scheduler::{Command, SchedulerConfig};
use backhaul::transfer::TransferSettings;

use super::table::Cell;
use crate::origin::{Fault, File, Gate, On, Origin};
use crate::rig::Scratch;

/// Milliseconds. Long enough for a job to get into each state on a busy machine.
const TIMEOUT_MS: u64 = 2_000;
/// Bytes of every file, and a second of them for the one that moves.
const SIZE_BYTES: u64 = 1_000_000;

/// Where a job goes with which nobody does anything, in the words of a cell.
pub(super) fn observe(cell: &Cell) -> String {
    let (scratch, origin, state) = (Scratch::new(), Origin::start(), cell.state.as_str());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut config = HostConfig::new(scratch.path().join("state"));
    config.scheduler =
        SchedulerConfig { inactivity_timeout_ms: TIMEOUT_MS, retry_floor_ms: 1, ..SchedulerConfig::default() };
    config.transfer =
        TransferSettings { checkpoint_interval: Duration::from_millis(100), ..TransferSettings::default() };
    runtime.block_on(async {
        let host = Host::start(config).await.unwrap();
        let rig = Rig { host: &host, origin: &origin, scratch: &scratch };
        let job = rig.bring(state).await;
        let left = rig.leaves(job, state).await;
        host.shutdown().await;
        left.name().to_owned()
    })
}

#[derive(Debug)]
struct Rig<'a> {
    host: &'a Host,
    origin: &'a Origin,
    scratch: &'a Scratch,
}

impl Rig<'_> {
    async fn create(&self, path: &str, fault: Option<Fault>, priority: Priority) -> JobId {
        self.origin.file(path, File::seeded(1, SIZE_BYTES));
        if let Some(fault) = fault {
            self.origin.fault(path, On::Every, fault);
        }
        let local_name = LocalName::new(self.scratch.path().join(path.replace('/', ""))).unwrap();
        let file = FileSpec::new(SafeUrl::parse(&self.origin.url(path)).unwrap(), local_name);
        let properties = Properties { priority, ..Properties::default() };
        let spec = JobSpec { properties, ..JobSpec::download("uid:0") };
        self.host.create(spec, vec![file]).await.unwrap().id
    }

    async fn bring(&self, state: &str) -> JobId {
        let gate = Gate::shut();
        let fault = match state {
            "connecting" => Some(Fault::HoldHead(gate)),
            "transferring" => Some(Fault::HoldBody(SIZE_BYTES / 2, gate)),
            "transient_error" => Some(Fault::status(503)),
            "error" => Some(Fault::status(404)),
            _ => None,
        };
        if state == "queued" {
            // One that makes progress all the time, and so keeps its slot.
            let busy = self.create("/busy", Some(Fault::Pace(SIZE_BYTES / 20)), Priority::High).await;
            self.resume(busy, JobState::Transferring).await;
        }
        let priority = if state == "queued" { Priority::Normal } else { Priority::Foreground };
        let job = self.create("/f", fault, priority).await;
        let wanted = JobState::ALL.into_iter().find(|known| known.name() == state).unwrap();
        if wanted != JobState::Suspended {
            self.resume(job, wanted).await;
        }
        job
    }

    async fn resume(&self, job: JobId, wanted: JobState) {
        self.host.command(Command::Resume(job)).await.unwrap();
        let mut changes = self.host.changes();
        loop {
            changes.mark_unchanged();
            if self.host.job(job).is_some_and(|job| job.state == wanted) {
                return;
            }
            changes.changed().await.unwrap();
        }
    }

    /// Where the job goes from a state.
    async fn leaves(&self, job: JobId, state: &str) -> JobState {
        let mut changes = self.host.changes();
        loop {
            changes.mark_unchanged();
            let events = self.host.read(move |reader| reader.events(0, 1_000, Some(job))).await.unwrap();
            let left = events.into_iter().find_map(|(_, event)| match event.kind {
                EventKind::StateChanged { from, to } if from.name() == state => Some(to),
                _ => None,
            });
            if let Some(left) = left {
                return left;
            }
            changes.changed().await.unwrap();
        }
    }
}
