//! Events instead of polling: the daemon says what happens, and the application sleeps in between.
//!
//!     cargo run --release --example notify -- SOCKET URL LOCAL-NAME
//!
//! The stream survives restarts of the daemon: it connects again by itself, and yields each event once. Exit codes: 0 the file is there,
//! 1 it is not, 2 bad usage.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::process::ExitCode;

use backhaul::api::wire::{NewFile, NewJob, Seconds};
use backhaul::client::{Client, EventFilter, EventStart, StreamItem};
use backhaul::job::{EventKind, JobState};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [socket, url, local_name] = words.as_slice() else {
        eprintln!("usage: notify SOCKET URL LOCAL-NAME");
        return ExitCode::from(2);
    };
    match fetch(socket, url, local_name).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn fetch(socket: &str, url: &str, local_name: &str) -> Result<ExitCode, Box<dyn Error>> {
    let client = Client::unix(socket)?;
    let file = NewFile { remote_name: url.into(), local_name: local_name.into(), sha256: None, ranges: Vec::new() };
    let new = NewJob {
        display_name: "notify".into(),
        minimum_retry_delay: Some(Seconds(5.0)),
        files: vec![file],
        ..NewJob::download()
    };
    let job = client.create(&new).await?.id;
    // From the begin of the journal, for this job only: nothing can fall between the creation and the first look.
    let mut events = client.events(EventFilter::of_job(job), EventStart::After(0)).await?;
    client.resume(job).await?;
    while let Some(item) = events.next().await {
        let event = match item? {
            StreamItem::Event(event) => event,
            StreamItem::Progress(_) | StreamItem::CutOff { .. } => continue,
            // The journal no longer has it all: the state says what it led to.
            StreamItem::Missed { .. } => match client.state(job).await?.value.state {
                JobState::Transferred => {
                    client.complete(job).await?;
                    continue;
                }
                JobState::Error => return Err("the job is in error, and its event was missed".into()),
                _ => continue,
            },
        };
        match event.kind {
            EventKind::StateChanged { from, to } => println!("{} > {}", from.name(), to.name()),
            EventKind::AttemptFailed { error } => println!("an attempt failed: {}", error.description),
            EventKind::FileTransferred { bytes, .. } => println!("whole: {bytes} bytes"),
            EventKind::JobTransferred => {
                client.complete(job).await?;
            }
            EventKind::JobError { error } => {
                eprintln!("{}: {}", error.code.name(), error.description);
                client.cancel(job).await?;
            }
            EventKind::Acknowledged { .. } => {
                println!("completed: {local_name}");
                return Ok(ExitCode::SUCCESS);
            }
            EventKind::Cancelled { .. } => return Ok(ExitCode::FAILURE),
            _ => {}
        }
    }
    Err("the stream ended".into())
}
