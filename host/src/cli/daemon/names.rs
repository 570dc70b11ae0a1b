//! From the wire to the words and pictures of `get`.

use std::path::PathBuf;

use super::Session;
use crate::api::wire::{ErrorView, FileProgressView, FileView, JobProgress, JobStateView, WaitingOnView};
use crate::cli::failure::Failure;
use crate::cli::get::{ActiveFile, Names, Progress};
use crate::job::{ErrorCode, FailureClass, FileIndex, FileSpec, JobError, JobId, LocalName, PolicyName, SafeUrl};
use crate::scheduler::WaitingOn;

/// Files whose names are asked for; the others are shown by their numbers.
const NAMED_MAX: u32 = 1000;

/// The names of a job's files.
pub(super) async fn of_job(session: &Session<'_>, job: JobId, files_total: u32) -> Result<Names, Failure> {
    let page = session.client.files(job, None, Some(NAMED_MAX)).await?;
    let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    // From the first that cannot be named on, none is: a name stands at its number.
    let named: Vec<_> = page.files.iter().map_while(spec).collect();
    let count = usize::try_from(files_total).unwrap_or(usize::MAX).max(named.len());
    Ok(Names::of_first(named, count, working_directory))
}

fn spec(file: &FileView) -> Option<FileSpec> {
    let remote_name = SafeUrl::parse(&file.remote_name).ok()?;
    let local_name = LocalName::new(PathBuf::from(&file.local_name)).ok()?;
    Some(FileSpec::new(remote_name, local_name))
}

/// Learns the names of files that are being moved and are not among those that were asked for. What cannot be asked for is shown by its
/// number: a bar is worth no failure.
pub(super) async fn learn(session: &Session<'_>, job: JobId, names: &mut Names, active: &[FileProgressView]) {
    for file in active.iter().map(|active| active.file) {
        if !names.knows(FileIndex(file)) {
            names.learn(FileIndex(file), session.client.file(job, file).await.ok().as_ref().and_then(spec));
        }
    }
}

/// A job as it was told last.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Its state, and why it does not move.
    pub(super) state: JobStateView,
    /// Its numbers.
    pub(super) numbers: JobProgress,
    /// The files that are being moved.
    pub(super) active: Vec<FileProgressView>,
    /// What it failed of.
    pub(super) error: Option<ErrorView>,
}

/// How far it is, as `get` draws it.
pub(super) fn progress(reading: &Reading) -> Progress {
    let Reading { state, numbers, active, error } = reading;
    let JobProgress { bytes_total, bytes_transferred, files_total, files_transferred } = *numbers;
    let active = active.iter().map(|view| ActiveFile {
        file: FileIndex(view.file),
        bytes_transferred: view.bytes_transferred,
        bytes_total: view.bytes_total,
    });
    Progress {
        state: state.state,
        waiting_on: state.waiting_on.as_ref().map(waiting_on),
        error: error.as_ref().map(job_error),
        bytes_transferred,
        // The best that is known from here: bytes that are fetched again are not told.
        bytes_received: bytes_transferred,
        bytes_total,
        files_transferred,
        files_total,
        active: active.collect(),
    }
}

fn waiting_on(view: &WaitingOnView) -> WaitingOn {
    WaitingOn {
        code: code(&view.code),
        detail: view.detail.clone(),
        until: view.until.map(|until| until.0),
        policy: view.policy.clone().map(PolicyName),
        error: None,
    }
}

/// The codes that have words of their own.
fn code(code: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "turn",
        "retry_delay",
        "network",
        "network_cost",
        "policy_hold",
        "disk_full",
        "destination_locked",
        "origin",
        "store",
    ];
    KNOWN.into_iter().find(|known| *known == code).unwrap_or("waiting")
}

/// The error object as `get` knows it.
fn job_error(view: &ErrorView) -> JobError {
    let code = serde_json::Value::String(view.code.clone());
    JobError {
        // A code of a later version keeps its description, which says what it is.
        code: serde_json::from_value(code).unwrap_or(ErrorCode::Interrupted),
        context: view.context,
        class: FailureClass::Transient,
        http_status: view.http_status,
        file: view.file.map(FileIndex),
        description: view.description.clone(),
    }
}

/// The error object in a few words.
pub(super) fn error_text(error: &ErrorView) -> String {
    let ErrorView { code, number, description, .. } = error;
    format!("{code} ({number}): {description}")
}
