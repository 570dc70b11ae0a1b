//! A batch as rows: one call is one transaction's content.

use std::collections::HashMap;

use rusqlite::Connection;

use super::error::{Problem, Result};
use super::rows::{decision, delivery, event, file, header, idempotency, job, memo, meta, response, token};
use super::{Batch, Replaced, change};
use crate::job::{Event, FileIndex, FileRecord, FileSpec, JobId, RequestHeaders, SafeUrl};
use crate::scheduler::{FileChange, Replacement, Write};

/// Files read at once when remote names are replaced: a page of them is some hundred KiB.
const REPLACE_PAGE: u32 = 1000;

/// A change that matters to nobody: an empty transaction would touch nothing, and so could not say whether the store can be written.
const PROBE: &str = include_str!("sql/probe.sql");

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The events with their numbers, in the order of the batch.
    pub(super) events: Vec<(u64, Event)>,
    pub(super) replaced: Vec<Replaced>,
}

pub(super) fn batch(connection: &Connection, batch: &Batch) -> Result<Applied> {
    let mut applied = Applied::default();
    if *batch == Batch::default() {
        connection.prepare_cached(PROBE)?.execute([])?;
    }
    let last_update = last_update_of_each_job(&batch.writes);
    for (position, write) in batch.writes.iter().enumerate() {
        match write {
            Write::InsertJob { job, headers } => {
                job::insert(connection, job)?;
                header::insert(connection, job.id, headers)?;
            }
            Write::InsertFiles { job, first, files } => insert_files(connection, *job, *first, files)?,
            Write::UpdateJob(job) => {
                if last_update.get(&job.id) == Some(&position) {
                    job::update(connection, job)?;
                }
            }
            Write::UpdateFile { job, file, change } => update_file(connection, *job, *file, change)?,
            Write::ReplaceRemotePrefix { job, from, to, replacement } => {
                let prefix = Prefix { job: *job, from, to };
                applied.replaced.push(match replacement {
                    Replacement::Usable => prefix.replace(connection, Unusable::Kept)?,
                    Replacement::AllOrNone { request, event } => {
                        let replaced = prefix.replace_all_or_none(connection)?;
                        if replaced.files > 0 {
                            applied.events.push((event::insert(connection, event)?, event.clone()));
                        }
                        Replaced { request: Some(*request), ..replaced }
                    }
                });
            }
            Write::Response { job, file, response } => response::upsert(connection, *job, *file, response)?,
            Write::Redirected { job, redirection, event } => {
                let mut record = known_file(connection, *job, redirection.file)?;
                if change::redirect(&mut record, redirection) {
                    file::update(connection, *job, &record)?;
                    applied.events.push((event::insert(connection, event)?, event.clone()));
                }
            }
            Write::RememberKey { job, owner, key } => idempotency::insert(connection, *job, owner, key)?,
            Write::ForgetOwner(job) => forget_owner(connection, *job)?,
            Write::InsertToken(record) => token::insert(connection, record)?,
            Write::RemoveToken(name) => token::remove(connection, name)?,
            Write::NetworkOverride(network) => meta::set_network_override(connection, network.as_ref())?,
            Write::ReplaceHeaders { job, headers } => replace_headers(connection, *job, headers)?,
            Write::MarkPublished(job) => file::mark_published(connection, *job)?,
            Write::Journal(event) => applied.events.push((event::insert(connection, event)?, event.clone())),
        }
    }
    for decision in &batch.decisions {
        decision::insert(connection, decision)?;
    }
    for memo in &batch.memos {
        memo::upsert(connection, memo)?;
    }
    Ok(applied)
}

/// A header that is written many times in a batch is written once: nothing else reads or writes the rows of jobs in between.
fn last_update_of_each_job(writes: &[Write]) -> HashMap<JobId, usize> {
    let update = |(position, write): (usize, &Write)| match write {
        Write::UpdateJob(job) => Some((job.id, position)),
        _ => None,
    };
    writes.iter().enumerate().filter_map(update).collect()
}

fn insert_files(connection: &Connection, job: JobId, first: FileIndex, files: &[FileSpec]) -> Result<()> {
    for (offset, spec) in (0_u32..).zip(files) {
        let index = first.0.checked_add(offset).map(FileIndex);
        let index = index.ok_or_else(|| Problem::Refused(format!("job {job} would have too many files")))?;
        file::insert(connection, job, &change::planned(index, spec.clone()))?;
    }
    Ok(())
}

fn update_file(connection: &Connection, job: JobId, index: FileIndex, change: &FileChange) -> Result<()> {
    change_file(connection, job, &mut known_file(connection, job, index)?, change.clone())
}

/// They are given for the remote names as these are now, wherever redirects have led them before.
fn replace_headers(connection: &Connection, job: JobId, headers: &RequestHeaders) -> Result<()> {
    header::replace(connection, job, headers)?;
    for mut record in file::withheld(connection, job)? {
        record.headers_withheld = false;
        file::update(connection, job, &record)?;
    }
    Ok(())
}

fn known_file(connection: &Connection, job: JobId, index: FileIndex) -> Result<FileRecord> {
    let found = file::get(connection, job, index)?;
    found.ok_or_else(|| Problem::Refused(format!("job {job} has no file {index} to be updated")))
}

/// Headers are for the origins that they were given for. A job of which one file is pointed at another origin has none any more.
fn change_file(connection: &Connection, job: JobId, record: &mut FileRecord, change: FileChange) -> Result<()> {
    let origin = record.remote_name.origin();
    change::apply(record, change);
    if record.remote_name.origin() != origin {
        header::replace(connection, job, &RequestHeaders::default())?;
    }
    file::update(connection, job, record)
}

/// A job changes hands: the new owner gets the job, and nothing that the former one had given it to work with.
fn forget_owner(connection: &Connection, job: JobId) -> Result<()> {
    header::replace(connection, job, &RequestHeaders::default())?;
    idempotency::forget(connection, job)?;
    delivery::forget_job(connection, job)?;
    let mut first = FileIndex(0);
    loop {
        let page = file::page(connection, job, first, REPLACE_PAGE)?;
        let Some(next) = page.last().and_then(|last| last.index.0.checked_add(1)) else { return Ok(()) };
        first = FileIndex(next);
        for mut record in page {
            // It serves the same as before, or refuses: what is there stays.
            if let Some(remote_name) = record.remote_name.without_userinfo() {
                record.remote_name = remote_name;
                file::update(connection, job, &record)?;
            }
        }
    }
}

/// A begin of remote names, and what it becomes.
struct Prefix<'a> {
    job: JobId,
    from: &'a str,
    to: &'a str,
}

/// What happens at a name that would be no remote name with the new prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unusable {
    /// It stays as it is, and is counted.
    Kept,
    /// It is counted, and no more names are looked at.
    TheEnd,
}

impl Prefix<'_> {
    fn replace(&self, connection: &Connection, unusable: Unusable) -> Result<Replaced> {
        let mut replaced = Replaced { job: self.job, files: 0, unusable: 0, first_unusable: None, request: None };
        let mut first = 0;
        loop {
            let page = file::with_prefix(connection, self.job, self.from, first, REPLACE_PAGE)?;
            let Some(last) = page.last() else { return Ok(replaced) };
            first = u64::from(last.index.0) + 1;
            for mut record in page {
                let rest = record.remote_name.expose().as_str().strip_prefix(self.from).unwrap_or_default();
                match SafeUrl::parse(&format!("{}{rest}", self.to)) {
                    Ok(remote_name) => {
                        change_file(connection, self.job, &mut record, FileChange::RemoteName(remote_name))?;
                        replaced.files += 1;
                    }
                    Err(_) => {
                        replaced.unusable += 1;
                        replaced.first_unusable.get_or_insert(record.index);
                        if unusable == Unusable::TheEnd {
                            return Ok(replaced);
                        }
                    }
                }
            }
        }
    }

    /// Takes back what it did where a name is unusable; the rest of the batch stands.
    fn replace_all_or_none(&self, connection: &Connection) -> Result<Replaced> {
        connection.execute_batch("SAVEPOINT prefix")?;
        let mut replaced = self.replace(connection, Unusable::TheEnd)?;
        if replaced.first_unusable.is_some() {
            replaced.files = 0;
            connection.execute_batch("ROLLBACK TO prefix")?;
        }
        connection.execute_batch("RELEASE prefix")?;
        Ok(replaced)
    }
}
