//! One run of the demo: a host as any application has it, a job on it, and an origin of its own.
//!
//! What an earlier run left in the directory goes on. A kill at any point leaves what it leaves of every host: durable bytes
//! and the job's state. The origin is new each time (see [`super::plan`]), on ports that were free.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::Digest as _;

use super::arguments::{self, DemoArguments};
use super::content::{Content, SIZE};
use super::origin::Origin;
use super::place::Place;
use super::report::{self, BYTES_SENT_SLACK, Report};
use super::story::{Form, Opening, Story};
use super::take_up;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{End, PolicyChoice, Signals, Watch, of_host, or_exit, to_load};
use crate::cli::printer::Printer;
use crate::host::{Host, HostConfig};
use crate::job::{JobState, Sha256};
use crate::network::Network;
use crate::policy::{AdmitOnFault, OnFault, OnFaults, PolicyConfig};
use crate::scheduler::SchedulerConfig;
use crate::transfer::TransferSettings;

/// A policy that breaks leaves the decision to the built-in default, for network cost as well: whoever tries a policy here wants
/// to see where the job ends without it, and no network is paid for.
const ON_FAULT: OnFaults = OnFaults {
    retry: OnFault::BuiltIn,
    network_cost_assigned: AdmitOnFault::BuiltIn,
    network_cost_own: AdmitOnFault::BuiltIn,
    recovery: OnFault::BuiltIn,
};

/// Runs the story to its end.
pub(super) async fn run(
    arguments: &DemoArguments,
    given: Vec<PolicyChoice>,
    place: &Place,
    printer: &Printer,
    form: Form,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let content = Content::new(arguments.seed);
    let origin = Origin::start(content).await.map_err(|error| internal("start the origin", &error))?;
    let expected = tokio::task::spawn_blocking(move || content.sha256());

    let policies = arguments::policies(&arguments.without, given, &origin);
    let transfer = TransferSettings::default();
    let bytes_sent_max = SIZE + 2 * transfer.checkpoint_bytes + BYTES_SENT_SLACK;
    let is_new = !place.has_state();
    let config = HostConfig {
        scheduler: SchedulerConfig::for_one_job(),
        transfer,
        policy: PolicyConfig { on_fault: ON_FAULT, ..PolicyConfig::default() },
        policies: to_load(&policies),
        // A job of an earlier run waits until its file has the address of this run's origin.
        network: if is_new { arguments.network.clone() } else { Network { connected: false, ..Network::default() } },
        ..HostConfig::new(&place.state_dir)
    };
    let host = or_exit(&mut signals, Host::start(config)).await.map_err(of_host)?;
    let taken = match take_up::take_up(&host, content, place, &origin).await {
        Ok(taken) => taken,
        Err(failure) => {
            or_exit(&mut signals, host.shutdown()).await;
            return Err(failure);
        }
    };
    let before = taken.record;
    let mut story = Story::open(
        printer,
        form,
        &origin,
        &Opening {
            id: before.id,
            seed: content.seed(),
            bytes_total: SIZE,
            bytes_transferred: before.bytes_transferred,
            resumed: taken.resumed,
            repointed: taken.repointed,
            origin: origin.url().to_string(),
            mirror: origin.mirror_url().to_string(),
            file: place.local_name.as_path().to_owned(),
            state_dir: place.state_dir.clone(),
            policies: policies.iter().map(PolicyChoice::name).collect(),
        },
    );
    let mut watch = Watch::new(host, before.id, taken.last_event);
    if !is_new {
        watch.host().set_network(arguments.network.clone()).await;
    }
    let end = match before.state.is_final() {
        true => Ok(None),
        false => watch.run(&mut story, &mut signals).await.map(Some),
    };
    let after = watch.stop(&mut signals).await.map_or_else(|| before.clone(), |(record, _)| record);
    let error = match end? {
        Some(End::Interrupted) => {
            story.interrupt(&after, &how_to_go_on(arguments, place));
            return Ok(ExitCode::Interrupted);
        }
        Some(End::Failed(error)) => Some(error),
        Some(End::Completed { .. } | End::Cancelled) | None => None,
    };
    let published = after.state == JobState::Acknowledged && after.files_transferred == after.files_total;
    let sha256 = match published {
        true => Some(sha256_of(place.local_name.as_path()).await?),
        false => None,
    };
    let report = Report {
        seed: content.seed(),
        state: after.state,
        error,
        file: published.then(|| place.local_name.as_path().to_owned()),
        sha256,
        sha256_expected: expected.await.map_err(|error| internal("compute the digest", &error))?,
        bytes_total: SIZE,
        bytes_durable_before: before.bytes_transferred,
        bytes_sent: origin.bytes_sent(),
        bytes_sent_max,
        attempts: report::attempts_between(&before, &after, &story.last_address()),
        decisions: story.decisions(),
    };
    story.close(&report);
    Ok(report.exit_code())
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ExitCode::Internal, format!("failed to {what}: {error}"))
}

fn how_to_go_on(arguments: &DemoArguments, place: &Place) -> String {
    if !place.is_kept() {
        return "nothing is kept; with --keep DIR the same command goes on".into();
    }
    let directory = place.local_name.directory().display();
    format!("go on with: backhaul demo --seed {} --keep {directory}", arguments.seed)
}

/// The digest of the file as everybody finds it: nothing that the transfer knows goes into it.
async fn sha256_of(path: &Path) -> Result<Sha256, Failure> {
    let owned = path.to_owned();
    let digest = tokio::task::spawn_blocking(move || {
        let mut file = File::open(owned)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return std::io::Result::Ok(Sha256(hasher.finalize().into())),
                read => hasher.update(&buffer[..read]),
            }
        }
    });
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Failed, format!("failed to read {}: {error}", path.display()))
    };
    digest.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}
