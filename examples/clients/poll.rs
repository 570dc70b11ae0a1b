//! The classic polling loop of BITS, in Rust: create a job, add a file, resume, ask each second, complete.
//!
//!     cargo run --release --example poll -- [--strict] SOCKET URL LOCAL-NAME
//!
//! A transient error ends by itself: the loop reports it and goes on. With `--strict` it is treated as BITS's own sample code treats it,
//! as an error like any other. Exit codes: 0 the file is there, 1 it is not, 2 bad usage.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use backhaul::api::wire::{NewFile, NewJob, Seconds};
use backhaul::client::Client;
use backhaul::job::{JobId, JobState};

/// What a transient error is to this application.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TransientErrors {
    Wait,
    GiveUp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args().skip(1).collect();
    let strict = words.iter().position(|word| word == "--strict").map(|at| words.remove(at));
    let transient = if strict.is_some() { TransientErrors::GiveUp } else { TransientErrors::Wait };
    let [socket, url, local_name] = words.as_slice() else {
        eprintln!("usage: poll [--strict] SOCKET URL LOCAL-NAME");
        return ExitCode::from(2);
    };
    match fetch(socket, url, local_name, transient).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn fetch(
    socket: &str,
    url: &str,
    local_name: &str,
    transient: TransientErrors,
) -> Result<ExitCode, Box<dyn Error>> {
    let client = Client::unix(socket)?;
    let new = NewJob {
        display_name: "poll".into(),
        minimum_retry_delay: Some(Seconds(5.0)),
        // Without a byte for so long, a transient error becomes one that stays.
        no_progress_timeout: Some(Seconds(600.0)),
        ..NewJob::download()
    };
    let job = client.create(&new).await?.id;
    let file = NewFile { remote_name: url.into(), local_name: local_name.into(), sha256: None, ranges: Vec::new() };
    client.add_files(job, vec![file]).await?;
    client.resume(job).await?;
    let mut last = None;
    loop {
        let state = client.state(job).await?.value.state;
        if last.replace(state) != Some(state) {
            println!("{}", state.name());
        }
        match state {
            JobState::Transferred => {
                client.complete(job).await?;
                println!("completed: {local_name}");
                return Ok(ExitCode::SUCCESS);
            }
            JobState::TransientError => {
                report(&client, job).await?;
                if transient == TransientErrors::GiveUp {
                    client.cancel(job).await?;
                    return Ok(ExitCode::FAILURE);
                }
            }
            JobState::Error => {
                report(&client, job).await?;
                client.cancel(job).await?;
                return Ok(ExitCode::FAILURE);
            }
            // Somebody else has dealt with it.
            JobState::Acknowledged => return Ok(ExitCode::SUCCESS),
            JobState::Cancelled => return Ok(ExitCode::FAILURE),
            JobState::Queued | JobState::Connecting | JobState::Transferring | JobState::Suspended => {
                let progress = client.progress(job).await?;
                let total = progress.bytes_total.map_or_else(|| "?".to_owned(), |total| total.to_string());
                println!("{} of {total} bytes", progress.bytes_transferred);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The error object may be gone again by the time that it is asked for.
async fn report(client: &Client, job: JobId) -> Result<(), Box<dyn Error>> {
    if let Some(error) = client.error(job).await? {
        println!("{} ({}, {:?}): {}", error.code, error.number, error.context, error.description);
    }
    Ok(())
}
