//! What the header of a job says.

use rusqlite::Connection;

use super::files::Sums;
use super::{Findings, REPORT, RESTORE};
use crate::job::{JobId, JobRecord, JobState};
use crate::store::error::{Problem, Result};
use crate::store::rows::{decision, header};

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

/// Reads the decisions and headers of a job, for their checksums. Returns the number of decisions.
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
    match decision::of_job(connection, job) {
        Ok(decisions) => Ok(decisions.len() as u64),
        Err(problem) => note(problem).map(|()| 0),
    }
}
