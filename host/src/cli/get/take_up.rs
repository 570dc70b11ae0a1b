//! Looks whether an earlier run of the same command left a job behind, and gives it the options of this run.
//!
//! This happens in the store itself, before a host is started on it, so that the job never runs with options of the past. The lock is
//! free for a moment between the two; who takes it then is the same command, and this one is told so.

use std::os::unix::fs::MetadataExt as _;

use super::settings::GetSettings;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::store::failure as of_store;
use crate::clock::Now;
use crate::job::{Event, EventKind, FileIndex, FileRecord, JobId, JobRecord, JobState, RequestHeaders};
use crate::scheduler::Write;
use crate::store::{Batch, OpenMode, Reader, Store, StoreError};

/// Rows read at once.
const PAGE: u32 = 1000;

/// What an earlier run left behind.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing that is of use.
    Nothing,
    /// A job that can go on.
    Job {
        /// With the options of this run.
        record: Box<JobRecord>,
        /// The number of the last event of the runs before.
        last_event: u64,
    },
    /// Everything is published: the run was killed before it could say so.
    Finished {
        /// The job.
        record: Box<JobRecord>,
        /// Holds the lock of the store.
        reader: Reader,
    },
}

/// Finds the job and brings its options up to date.
pub(crate) async fn look(settings: &GetSettings) -> Result<Left, Failure> {
    let store = match Store::open(&settings.state_dir, OpenMode::Existing) {
        Ok(opened) => opened.store,
        Err(StoreError::Missing { .. }) => return Ok(Left::Nothing),
        Err(error) => return Err(in_use_or(error)),
    };
    let left = look_into(&store, settings).await;
    let closed = store.close().await;
    let left = left?;
    closed.map_err(|error| of_store(&error))?;
    Ok(left)
}

async fn look_into(store: &Store, settings: &GetSettings) -> Result<Left, Failure> {
    let reader = store.reader().map_err(|error| of_store(&error))?;
    let jobs = reader.jobs_not_final().map_err(|error| of_store(&error))?;
    let Some(mut record) = jobs.into_iter().next() else {
        let finished = finished(&reader).map_err(|error| of_store(&error))?;
        return Ok(finished.map_or(Left::Nothing, |record| Left::Finished { record: Box::new(record), reader }));
    };
    let Some(origins) = origins_of(&reader, &record, settings).map_err(|error| of_store(&error))? else {
        let message = format!(
            "the store {} holds the job of another command; move it away, or give another --state-dir",
            settings.state_dir.display()
        );
        return Err(Failure::new(ExitCode::StoreDamaged, message));
    };
    let headers = reader.headers(record.id).map_err(|error| of_store(&error))?;
    // They are numbered from 1 without a gap.
    let last_event = reader.counts().map_err(|error| of_store(&error))?.events;
    // A policy that pointed a file at another origin took the headers away, and they are not given for that one now either.
    let headers = (origins == Origins::AsGiven).then_some(&headers);
    let writes = updates(&mut record, headers, settings);
    if !writes.is_empty() {
        let batch = Batch { writes, ..Batch::default() };
        store.commit(batch).await.map_err(|error| of_store(&error))?;
    }
    Ok(Left::Job { record: Box::new(record), last_event })
}

/// What must be written so that the job has the options of this run. Headers that are none stay as they are.
fn updates(record: &mut JobRecord, headers: Option<&RequestHeaders>, settings: &GetSettings) -> Vec<Write> {
    let differences = record.properties.differences(&settings.properties);
    let mut fields: Vec<String> = differences.into_iter().map(str::to_owned).collect();
    let mut writes = Vec::new();
    if headers.is_some_and(|headers| *headers != settings.headers) {
        fields.push("headers".into());
        writes.push(Write::ReplaceHeaders { job: record.id, headers: settings.headers.clone() });
    }
    if fields.is_empty() {
        return writes;
    }
    let at = Now::read().wall;
    record.properties = settings.properties.clone();
    record.modified_at = at;
    writes.push(Write::UpdateJob(Box::new(record.clone())));
    writes.push(Write::Journal(Event { at, job: Some(record.id), kind: EventKind::JobModified { fields } }));
    writes
}

/// Where the files of a job lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origins {
    /// All at the origins that the command names.
    AsGiven,
    /// Some elsewhere: a policy has repaired them.
    Others,
}

/// Where the job's files lie, if they are what this command fetches. The store is keyed by that: other files mean that somebody changed it.
fn origins_of(reader: &Reader, record: &JobRecord, settings: &GetSettings) -> Result<Option<Origins>, StoreError> {
    if usize::try_from(record.files_total) != Ok(settings.files.len()) {
        return Ok(None);
    }
    let mut wanted = settings.files.iter();
    let mut origins = Origins::AsGiven;
    let same = every_file(reader, record, |file| {
        let Some(wanted) = wanted.next() else { return false };
        if wanted.remote_name.origin() != file.remote_name.origin() {
            origins = Origins::Others;
        }
        wanted.local_name == file.local_name && wanted.digest == file.digest
    })?;
    Ok(same.then_some(origins))
}

/// The last job of the store, if it was completed whole, and its files still stand where it put them.
pub(crate) fn finished(reader: &Reader) -> Result<Option<JobRecord>, StoreError> {
    let Some(job) = last_created(reader)? else { return Ok(None) };
    let is_whole =
        |record: &JobRecord| record.state == JobState::Acknowledged && record.files_transferred == record.files_total;
    let Some(record) = reader.job(job)?.filter(is_whole) else { return Ok(None) };
    let all_stand = every_file(reader, &record, |file| {
        let metadata = file.local_name.as_path().symlink_metadata();
        file.published && metadata.is_ok_and(|metadata| metadata.is_file() && metadata.size() == file.durable)
    })?;
    Ok(all_stand.then_some(record))
}

fn every_file(
    reader: &Reader,
    record: &JobRecord,
    mut holds: impl FnMut(&FileRecord) -> bool,
) -> Result<bool, StoreError> {
    for first in (0..record.files_total).step_by(PAGE as usize) {
        if !reader.files(record.id, FileIndex(first), PAGE)?.iter().all(&mut holds) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn last_created(reader: &Reader) -> Result<Option<JobId>, StoreError> {
    let (mut after, mut last) = (0, None);
    loop {
        let page = reader.events(after, PAGE, None)?;
        let Some((number, _)) = page.last() else { return Ok(last) };
        after = *number;
        let created = page.iter().rev().find(|(_, event)| event.kind == EventKind::JobCreated);
        last = created.and_then(|(_, event)| event.job).or(last);
    }
}

/// A store that is in use is in use by the same command.
pub(crate) fn in_use_or(error: StoreError) -> Failure {
    match error {
        StoreError::InUse { path, pid } => {
            let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            let message = format!(
                "the same files are being fetched by {who} already; wait for it, or stop it first (the state is in {})",
                path.display()
            );
            Failure::new(ExitCode::StoreLocked, message)
        }
        error => of_store(&error),
    }
}

#[cfg(test)]
mod tests;
