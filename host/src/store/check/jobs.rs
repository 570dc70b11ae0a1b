//! What the header of a job says.

use rusqlite::Connection;

use super::files::Sums;
use super::{Findings, REPORT, RESTORE, each};
use crate::job::{JobId, JobRecord, JobState};
use crate::store::error::{Problem, Result};
use crate::store::rows::{decision, header, response};

/// Compares the header with the sums over its files, and with its state.
pub(super) fn look(job: &JobRecord, sums: &Sums, findings: &mut Findings) {
    let subject = format!("job {}", job.id);
    if sums.unreadable == 0 {
        compare(job, sums, &subject, findings);
    }
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            findings.add(&subject, format!("it is {}, and {problem}", job.state.name()), REPORT);
        }
    };
    match job.state {
        JobState::Error | JobState::TransientError => require(job.error.is_some(), "has no error"),
        JobState::Transferred => require(job.files_total > 0, "has no files"),
        JobState::Acknowledged => {
            require(sums.published == sums.finished, "has finished files that are not published");
            require(job.intent.is_none(), "has begun what it did not finish");
        }
        JobState::Cancelled => require(job.intent.is_none(), "has begun what it did not finish"),
        JobState::Queued | JobState::Connecting | JobState::Transferring | JobState::Suspended => {}
    }
    if let Err(error) = job.properties.check() {
        findings.add(&subject, error.to_string(), REPORT);
    }
}

/// Whether retention has begun to remove a job.
pub(super) fn is_being_removed(connection: &Connection, job: &JobRecord, findings: &mut Findings) -> Result<bool> {
    let sql = "SELECT count(*) FROM removal WHERE job_id = ?1";
    let rows = connection.prepare_cached(sql)?.query_row([job.id.0.as_bytes()], |row| row.get::<_, u32>(0))?;
    if rows > 0 && !job.state.is_final() {
        findings.add(format!("job {}", job.id), format!("it is {}, and being removed", job.state.name()), REPORT);
    }
    Ok(rows > 0)
}

fn compare(job: &JobRecord, sums: &Sums, subject: &str, findings: &mut Findings) {
    let mut equal = |what: &str, said: u64, is: u64| {
        if said != is {
            findings.add(subject, format!("it says {what} {said}, and its files make {is}"), REPORT);
        }
    };
    equal("files_total", u64::from(job.files_total), sums.files);
    equal("files_transferred", u64::from(job.files_transferred), sums.finished);
    equal("files_sized", u64::from(job.files_sized), sums.sized);
    equal("bytes_sized", job.bytes_sized, sums.bytes_sized);
    equal("bytes_transferred", job.bytes_transferred, sums.durable);
    if job.progress_bytes < sums.high_water {
        let problem =
            format!("it says progress_bytes {}, and its files have made {}", job.progress_bytes, sums.high_water);
        findings.add(subject, problem, REPORT);
    }
}

/// Decisions read at once: a page of them is some MiB.
const DECISIONS_PAGE: u32 = 256;

/// Reads the decisions of a job, its headers and the heads of responses for its files, for their checksums. Returns the number of decisions.
pub(super) fn decisions(connection: &Connection, job: JobId, findings: &mut Findings) -> Result<u64> {
    let mut note = |problem: Problem| match problem {
        Problem::Row(error) => {
            findings.add(format!("job {job}"), error.to_string(), RESTORE);
            Ok(())
        }
        other => Err(other),
    };
    if let Err(problem) = header::of_job(connection, job) {
        note(problem)?;
    }
    each(connection, response::SELECT_ALL_OF_JOB, [job.0.as_bytes()], |row| match response::from_row(row) {
        Ok(_) => Ok(()),
        Err(error) => note(error.into()),
    })?;
    let mut count = 0;
    let mut last = 0;
    loop {
        match decision::of_job(connection, job, last, DECISIONS_PAGE) {
            Ok(page) => match page.last() {
                Some((number, _)) => {
                    last = *number;
                    count += page.len() as u64;
                }
                None => return Ok(count),
            },
            Err(problem) => return note(problem).map(|()| count),
        }
    }
}
