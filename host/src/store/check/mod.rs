//! `backhaul store check`: does everything that a store says agree, with itself and with the files on the disk?
//!
//! It reads and changes nothing. A store in use is refused: what its process is doing would look like disagreement.

mod disk;
mod events;
mod files;
mod jobs;
mod webhooks;

use std::path::Path;

use rusqlite::{Connection, Row};

use super::error::{Problem, StoreError};
use super::open::{self, Presence};
use super::rows;
use super::schema::Schema;
use super::{Counts, OpenMode};
use crate::job::StoreId;

/// Findings that are kept; the rest is counted. Nobody reads more, and a damaged store may have one for each of a million files.
const FINDINGS_MAX: usize = 1000;

/// Lines of `integrity_check` that are shown.
const INTEGRITY_LINES: u32 = 100;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The id in the names of the store's part files.
    pub store: StoreId,
    /// The version of the store.
    pub version: u32,
    /// How much was looked at.
    pub counts: Counts,
    /// What does not agree; empty if all is well.
    pub findings: Vec<Finding>,
    /// Further findings, beyond those that are kept.
    pub more: u64,
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Of what: the database, a job, a file of a job, an event.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl CheckReport {
    /// Whether everything agrees.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What to do where the store cannot be trusted.
const RESTORE: &str = "put a copy of the store back, or begin with a new one";
/// What to do where this program must have made a mistake.
const REPORT: &str = "report it with the store: this program should never have written that";
/// What to do about a damaged override.
const SET_AGAIN: &str = "set the network again, or take the override back";
/// What to do about a damaged token, which nobody can use.
const NEW_TOKEN: &str = "put a copy of the store back, or begin with a new one and make the tokens again";
/// What to do about damaged part files: nothing.
const FETCHED_AGAIN: &str = "nothing: the file begins again from 0 when the job runs";

/// The findings so far.
#[derive(Debug, Default)]
struct Findings {
    kept: Vec<Finding>,
    more: u64,
}

impl Findings {
    fn add(&mut self, subject: impl ToString, problem: impl Into<String>, advice: &'static str) {
        match self.kept.len() < FINDINGS_MAX {
            true => {
                self.kept.push(Finding { subject: subject.to_string(), problem: problem.into(), advice });
            }
            false => self.more += 1,
        }
    }
}

/// Checks the store of a directory.
///
/// # Errors
/// Why it cannot be checked: there is none, it is in use, or it is not even in a state to be read, each with its own [`StoreError`].
pub fn check(directory: &Path) -> Result<CheckReport, StoreError> {
    let schema = Schema::current();
    let (_lock, directory, database, presence) = open::locked(directory, OpenMode::Existing)?;
    if presence == Presence::Absent {
        return Err(StoreError::Missing { path: directory });
    }
    let inspected = open::inspect(&database, &schema)?;
    let version = inspected.version;
    check_connection(&inspected.connection, version, &schema).map_err(|problem| problem.at("check", &database))
}

fn check_connection(connection: &Connection, version: u32, schema: &Schema) -> Result<CheckReport, Problem> {
    let mut findings = Findings::default();
    let store = open::store_id(connection)?;
    if version < schema.version() {
        // The statements below are for the newest version only.
        findings.add(
            "the database",
            format!("it has version {version}"),
            "open it once with this program, which migrates it",
        );
        return Ok(CheckReport { store, version, counts: Counts::default(), findings: findings.kept, more: 0 });
    }
    connection.pragma(None, "integrity_check", INTEGRITY_LINES, |row| {
        match row.get::<_, String>(0)? {
            line if line == "ok" => {}
            line => findings.add("the database", line, RESTORE),
        }
        Ok(())
    })?;
    host(connection, &mut findings)?;
    webhooks::look(connection, &mut findings)?;
    let mut counts = Counts::default();
    let journal = events::numbers(connection, &mut counts, &mut findings)?;
    each(connection, rows::job::SELECT_ALL, [], |row| {
        counts.jobs += 1;
        let job = match rows::job::from_row(row) {
            Ok(job) => job,
            Err(error) => {
                findings.add("the database", error.to_string(), RESTORE);
                return Ok(());
            }
        };
        let story = events::of_job(connection, &job, &journal, &mut findings)?;
        let sums = files::of_job(connection, store, &job, &story, &mut findings)?;
        counts.files += sums.files;
        // What is left of a job that is being removed does not agree with itself.
        if !jobs::is_being_removed(connection, &job, &mut findings)? {
            jobs::look(&job, &sums, &mut findings);
        }
        counts.decisions += jobs::decisions(connection, job.id, &mut findings)?;
        Ok(())
    })?;
    Ok(CheckReport { store, version, counts, findings: findings.kept, more: findings.more })
}

/// Reads what is kept beside the jobs, for its checksums.
fn host(connection: &Connection, findings: &mut Findings) -> Result<(), Problem> {
    match rows::meta::network_override(connection) {
        Ok(_) => {}
        Err(Problem::Row(error)) => findings.add("the network's override", error.to_string(), SET_AGAIN),
        Err(problem) => return Err(problem),
    }
    each(connection, rows::token::SELECT_ALL, [], |row| {
        if let Err(error) = rows::token::from_row(row) {
            findings.add("a token", error.to_string(), NEW_TOKEN);
        }
        Ok(())
    })?;
    each(connection, rows::idempotency::SELECT_ALL, [], |row| {
        if let Err(error) = rows::idempotency::from_row(row) {
            findings.add("an idempotency key", error.to_string(), RESTORE);
        }
        Ok(())
    })
}

/// Runs a query, row by row.
fn each(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut look: impl FnMut(&Row<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        look(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
