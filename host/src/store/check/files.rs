//! What the rows of a job's files say.

use rusqlite::Connection;

use super::events::Story;
use super::{Findings, REPORT, RESTORE, disk, each};
use crate::job::{FileRecord, JobRecord, StoreId, Validation};
use crate::store::error::Result;
use crate::store::rows::file;

/// Sums over the files of a job.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) files: u64,
    /// Files whose rows are damaged, and in no other sum.
    pub(super) unreadable: u64,
    pub(super) finished: u64,
    pub(super) published: u64,
    pub(super) sized: u64,
    pub(super) bytes_sized: u64,
    pub(super) durable: u64,
    pub(super) high_water: u64,
}

impl Sums {
    fn add(&mut self, file: &FileRecord) {
        let size = file.bytes_total();
        self.files += 1;
        self.finished += u64::from(file.finished);
        self.published += u64::from(file.published);
        self.sized += u64::from(size.is_some());
        self.bytes_sized = self.bytes_sized.saturating_add(size.unwrap_or(0));
        self.durable = self.durable.saturating_add(file.durable);
        self.high_water = self.high_water.saturating_add(file.high_water);
    }
}

/// Looks at every file of a job, in the store and on the disk.
pub(super) fn of_job(
    connection: &Connection,
    store: StoreId,
    job: &JobRecord,
    story: &Story,
    findings: &mut Findings,
) -> Result<Sums> {
    let mut sums = Sums::default();
    each(connection, file::SELECT_OF_JOB, [job.id.0.as_bytes()], |row| {
        let file = match file::from_row(row) {
            Ok(file) => file,
            Err(error) => {
                sums.files += 1;
                sums.unreadable += 1;
                findings.add(format!("job {}", job.id), error.to_string(), RESTORE);
                return Ok(());
            }
        };
        let subject = format!("job {}, file {}", job.id, file.index);
        // Retention removes the files of a final job from the first on.
        if u64::from(file.index.0) != sums.files && !job.state.is_final() {
            findings.add(&subject, format!("it stands where file {} should be", sums.files), REPORT);
        }
        sums.add(&file);
        look(&file, &subject, findings);
        story.compare(&file, &subject, findings);
        if !job.state.is_final() {
            disk::look(store, job, &file, &subject, findings);
        }
        Ok(())
    })?;
    Ok(sums)
}

fn look(file: &FileRecord, subject: &str, findings: &mut Findings) {
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            findings.add(subject, problem, REPORT);
        }
    };
    let size = file.bytes_total();
    require(file.durable <= file.high_water, "it has more durable bytes than it ever had");
    require(size.is_none_or(|size| file.durable <= size), "it has more durable bytes than its size");
    require(file.durable == 0 || file.version.is_some(), "it has bytes of no version");
    require(file.version.is_some() || file.part.is_none(), "it has a part file of no version");
    require(file.durable == 0 || file.part.is_some(), "it has bytes and no part file");
    let is_refused = file.validation == Validation::Invalid;
    require(!(file.finished && is_refused), "it is finished, although a client has found it invalid");
    if file.finished {
        require(size == Some(file.durable), "it is finished, and its durable bytes are not its size");
    }
}
