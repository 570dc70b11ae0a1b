//! How many jobs, files and ranges there may be (bits.md section 7).

use crate::job::{ErrorCode, FileSpec};

/// The limits. `Default` is for a host that serves many; BITS's own numbers are [`Limits::BITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs of one owner that are not final.
    pub jobs_per_owner: u32,
    /// Jobs that are not final. 100,000: what one host holds in memory at some 1 KiB each (design.md section 8).
    pub jobs: u32,
    /// Files of one job. A million: they stay in the store.
    pub files_per_job: u32,
    /// Ranges of one file. 1,000: some 20 KiB, which are written with each checkpoint of the file.
    pub ranges_per_file: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { jobs_per_owner: 100_000, jobs: 100_000, files_per_job: 1_000_000, ranges_per_file: 1_000 }
    }
}

impl Limits {
    /// BITS's own: MaxJobsPerUser, MaxJobsPerMachine, MaxFilesPerJob, MaxRangesPerFile.
    pub const BITS: Self = Self { jobs_per_owner: 60, jobs: 300, files_per_job: 200, ranges_per_file: 500 };

    /// Whether an owner may have one job more.
    ///
    /// # Errors
    /// Which limit says no; the owner's own first.
    pub const fn admit_job(self, of_owner: u32, of_all: u32) -> Result<(), LimitReached> {
        match (of_owner < self.jobs_per_owner, of_all < self.jobs) {
            (false, _) => Err(LimitReached::JobsPerOwner(self.jobs_per_owner)),
            (true, false) => Err(LimitReached::Jobs(self.jobs)),
            (true, true) => Ok(()),
        }
    }

    /// Whether a job may have these files beside those that it has.
    ///
    /// # Errors
    /// Which limit says no.
    pub fn admit_files(self, files_total: u32, files: &[FileSpec]) -> Result<(), LimitReached> {
        let total = u32::try_from(files.len()).ok().and_then(|more| files_total.checked_add(more));
        if total.is_none_or(|total| total > self.files_per_job) {
            return Err(LimitReached::FilesPerJob(self.files_per_job));
        }
        let ranges_max = usize::try_from(self.ranges_per_file).unwrap_or(usize::MAX);
        match files.iter().any(|file| file.ranges.len() > ranges_max) {
            true => Err(LimitReached::RangesPerFile(self.ranges_per_file)),
            false => Ok(()),
        }
    }
}

/// A limit was reached. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// BG_E_TOO_MANY_JOBS_PER_USER.
    #[error("this owner has {0} jobs, as many as allowed; complete or cancel some (limits.jobs_per_owner)")]
    JobsPerOwner(u32),
    /// BG_E_TOO_MANY_JOBS_PER_MACHINE.
    #[error("the host has {0} jobs, as many as allowed; complete or cancel some (limits.jobs)")]
    Jobs(u32),
    /// BG_E_TOO_MANY_FILES_IN_JOB.
    #[error("a job may have {0} files at most; make several jobs (limits.files_per_job)")]
    FilesPerJob(u32),
    /// BG_E_TOO_MANY_RANGES_IN_FILE.
    #[error("a file may have {0} ranges at most (limits.ranges_per_file)")]
    RangesPerFile(u32),
}

impl LimitReached {
    /// BITS's code for it.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::JobsPerOwner(_) => ErrorCode::TooManyJobsPerUser,
            Self::Jobs(_) => ErrorCode::TooManyJobsPerMachine,
            Self::FilesPerJob(_) => ErrorCode::TooManyFilesInJob,
            Self::RangesPerFile(_) => ErrorCode::TooManyRangesInFile,
        }
    }
}
