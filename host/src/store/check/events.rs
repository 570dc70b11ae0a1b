//! What the journal says.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{Findings, REPORT, RESTORE, each};
use crate::job::{EventKind, FileIndex, FileRecord, JobRecord, JobState};
use crate::store::Counts;
use crate::store::error::Result;
use crate::store::rows::event;

/// The journal as a whole.
#[derive(Debug)]
pub(super) struct Journal {
    /// Nothing was removed from its begin.
    is_complete: bool,
}

/// Looks at every event: numbers without a gap, rows as they were written.
pub(super) fn numbers(connection: &Connection, counts: &mut Counts, findings: &mut Findings) -> Result<Journal> {
    let mut last: Option<u64> = None;
    let mut first = None;
    each(connection, event::SELECT_ALL, [], |row| {
        counts.events += 1;
        let number = row.get::<_, i64>(0)?.cast_unsigned();
        first.get_or_insert(number);
        if let Some(last) = last
            && number != last + 1
        {
            findings.add(format!("event {number}"), format!("the one before it is {last}"), RESTORE);
        }
        last = Some(number);
        if let Err(error) = event::from_row(row) {
            findings.add(format!("event {number}"), error.to_string(), RESTORE);
        }
        Ok(())
    })?;
    let given = event::last_number(connection)?;
    if last.is_some_and(|last| last != given) {
        findings.add("the journal", format!("its last event is not number {given}, which was given"), RESTORE);
    }
    Ok(Journal { is_complete: first.map_or(given == 0, |first| first == 1) })
}

/// What the journal says of one job.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// None if its begin was removed.
    state: Option<JobState>,
    /// How many events say that a file is transferred, since it last began again.
    transferred: HashMap<FileIndex, u32>,
    last_file_transferred: u64,
    job_transferred: u64,
    acknowledged: u32,
    cancelled: u32,
}

/// Reads a job's events and compares them with its header. Damaged events are left out: they were found before.
pub(super) fn of_job(
    connection: &Connection,
    job: &JobRecord,
    journal: &Journal,
    findings: &mut Findings,
) -> Result<Story> {
    let mut story = Story::default();
    let subject = format!("job {}", job.id);
    let mut damaged = false;
    each(connection, event::SELECT_ALL_OF_JOB, [job.id.0.as_bytes()], |row| {
        match event::from_row(row) {
            Ok((number, event)) => story.tell(number, &event.kind, &subject, findings),
            Err(_) => damaged = true,
        }
        Ok(())
    })?;
    if damaged {
        return Ok(Story::default());
    }
    match story.state {
        Some(state) if state != job.state => {
            let problem = format!("it is {}, and its events end with {}", job.state.name(), state.name());
            findings.add(&subject, problem, REPORT);
        }
        None if journal.is_complete => findings.add(&subject, "no event says that it was created", REPORT),
        _ => {}
    }
    if story.state.is_none() {
        return Ok(Story::default());
    }
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            findings.add(&subject, problem, REPORT);
        }
    };
    require(
        story.acknowledged == u32::from(job.state == JobState::Acknowledged),
        "its events do not say once that it was completed",
    );
    require(
        story.cancelled == u32::from(job.state == JobState::Cancelled),
        "its events do not say once that it was cancelled",
    );
    if job.state == JobState::Transferred {
        require(
            story.job_transferred > story.last_file_transferred,
            "no event after those of its files says that it is transferred",
        );
    }
    Ok(story)
}

impl Story {
    fn tell(&mut self, number: u64, kind: &EventKind, subject: &str, findings: &mut Findings) {
        match kind {
            EventKind::JobCreated => self.state = Some(JobState::Suspended),
            EventKind::StateChanged { from, to } => {
                if self.state.is_some_and(|state| state != *from) {
                    let problem = format!("it becomes {} from {}, which it was not", to.name(), from.name());
                    findings.add(format!("{subject}, event {number}"), problem, REPORT);
                }
                if self.state.is_some() {
                    self.state = Some(*to);
                }
            }
            EventKind::FileTransferred { file, .. } => {
                *self.transferred.entry(*file).or_default() += 1;
                self.last_file_transferred = number;
            }
            EventKind::FileRestarted { file, .. } => {
                self.transferred.remove(file);
            }
            EventKind::JobTransferred => self.job_transferred = number,
            EventKind::Acknowledged { .. } => self.acknowledged += 1,
            EventKind::Cancelled { .. } => self.cancelled += 1,
            EventKind::JobModified { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::Recovered { .. }
            | EventKind::JobError { .. }
            | EventKind::OwnershipTaken { .. }
            | EventKind::JobInactive { .. }
            | EventKind::PublicationFailed { .. }
            | EventKind::DecisionApplied { .. }
            | EventKind::PolicyFault { .. }
            | EventKind::NetworkChanged { .. } => {}
        }
    }

    /// Exactly one event says that a finished file is transferred, and none says it of another one.
    pub(super) fn compare(&self, file: &FileRecord, subject: &str, findings: &mut Findings) {
        if self.state.is_none() {
            return;
        }
        let events = self.transferred.get(&file.index).copied().unwrap_or(0);
        if events != u32::from(file.finished) {
            let is = if file.finished { "finished" } else { "not finished" };
            findings.add(subject, format!("it is {is}, and {events} events say that it is transferred"), REPORT);
        }
    }
}
