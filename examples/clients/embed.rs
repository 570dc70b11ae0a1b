//! An application that has the host in itself, without a daemon, and survives its own SIGKILL: run it again, and it goes on.
//!
//!     cargo run --release --example embed -- STATE-DIR URL LOCAL-NAME
//!
//! The state directory keeps the job; each start looks there first. Exit codes: 0 the file is there, 1 it is not, 2 bad usage.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use backhaul::host::{Host, HostConfig, JobSnapshot};
use backhaul::job::{FileSpec, JobId, JobSpec, JobState, LocalName, Properties, SafeUrl};
use backhaul::scheduler::Command;

/// By this the application knows its job again.
const NAME: &str = "embed";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [state_dir, url, local_name] = words.as_slice() else {
        eprintln!("usage: embed STATE-DIR URL LOCAL-NAME");
        return ExitCode::from(2);
    };
    match run(state_dir.into(), url, Path::new(local_name)).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(state_dir: PathBuf, url: &str, local_name: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let host = Host::start(HostConfig::new(state_dir)).await?;
    let result = fetch(&host, url, local_name).await;
    // Workers stop at their checkpoints. Whoever is killed before goes on from the last one all the same.
    host.shutdown().await;
    result
}

async fn fetch(host: &Host, url: &str, local_name: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let job = match host.jobs().into_iter().find(|job| job.record.display_name == NAME) {
        Some(job) => {
            println!("going on with job {} in {}", job.record.id, job.state.name());
            job.record.id
        }
        // A job that was completed is gone from the list: its file says that nothing is left to do.
        None if local_name.exists() => {
            println!("completed: {}", local_name.display());
            return Ok(ExitCode::SUCCESS);
        }
        None => create(host, url, local_name).await?,
    };
    // Subscribed before the first look, so that no change falls in between.
    let mut changes = host.changes();
    loop {
        changes.mark_unchanged();
        let Some(JobSnapshot { record, state, progress, .. }) = host.job(job) else {
            return Err("the job is gone".into());
        };
        match state {
            // New, or killed before it was resumed.
            JobState::Suspended => {
                host.command(Command::Resume(job)).await?;
                continue;
            }
            JobState::Transferred => {
                host.command(Command::Complete(job)).await?;
                println!("completed: {}", local_name.display());
                return Ok(ExitCode::SUCCESS);
            }
            JobState::Error => {
                let why = record.error.as_ref().map_or("for no known reason", |error| error.description.as_str());
                eprintln!("the job stopped: {why}");
                host.command(Command::Cancel(job)).await?;
                return Ok(ExitCode::FAILURE);
            }
            JobState::Acknowledged => return Ok(ExitCode::SUCCESS),
            JobState::Cancelled => return Ok(ExitCode::FAILURE),
            JobState::Queued | JobState::Connecting | JobState::Transferring | JobState::TransientError => {
                let durable = record.bytes_transferred;
                println!("{}: {} bytes received, {durable} of them durable", state.name(), progress.received);
            }
        }
        // A change, or time to tell how far it is.
        let _ = tokio::time::timeout(Duration::from_millis(250), changes.changed()).await;
    }
}

async fn create(host: &Host, url: &str, local_name: &Path) -> Result<JobId, Box<dyn Error>> {
    let spec = JobSpec {
        display_name: NAME.into(),
        properties: Properties { minimum_retry_delay_ms: 5_000, ..Properties::default() },
        ..JobSpec::download("embed")
    };
    let file = FileSpec::new(SafeUrl::parse(url)?, LocalName::new(local_name.to_path_buf())?);
    let record = host.create(spec, vec![file]).await?;
    println!("created job {}", record.id);
    Ok(record.id)
}
