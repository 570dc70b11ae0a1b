//! The bytes that all files of a job together may have: one count for the files of a run.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::FileError;

/// Counts what the files have, or will have where their size is known.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: Option<u64>,
    used: AtomicU64,
}

impl Budget {
    /// `used`: what the files have when the run begins.
    pub(crate) const fn new(bytes_max: Option<u64>, used: u64) -> Self {
        Self { bytes_max, used: AtomicU64::new(used) }
    }

    /// Replaces what is counted for one file by what it is to have. Refused if that is too much; then nothing is changed. Less is never
    /// refused.
    pub(crate) fn recount(&self, before: u64, after: u64) -> Result<(), FileError> {
        let Some(bytes_max) = self.bytes_max else { return Ok(()) };
        let recounted = |used: u64| {
            let recounted = used.saturating_sub(before).saturating_add(after);
            (after <= before || recounted <= bytes_max).then_some(recounted)
        };
        let counted = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, recounted);
        counted.map(|_| ()).map_err(|_| FileError::JobTooLarge { bytes_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed_and_a_byte_more_is_not() {
        let budget = Budget::new(Some(100), 40);
        budget.recount(0, 60).unwrap();
        assert_eq!(budget.recount(60, 61), Err(FileError::JobTooLarge { bytes_max: 100 }));
        // What was refused was not counted.
        budget.recount(60, 59).unwrap();
        budget.recount(0, 1).unwrap();
        assert!(budget.recount(0, u64::MAX).is_err());
    }

    #[test]
    fn bytes_of_a_file_that_begins_again_are_given_back() {
        let budget = Budget::new(Some(100), 90);
        assert!(budget.recount(0, 20).is_err());
        budget.recount(90, 0).unwrap();
        budget.recount(0, 100).unwrap();
        // A limit that is exceeded already does not keep anybody from having less.
        let exceeded = Budget::new(Some(10), 50);
        exceeded.recount(30, 20).unwrap();
        assert!(exceeded.recount(20, 21).is_err());
    }

    #[test]
    fn without_a_limit_everything_is_allowed() {
        Budget::new(None, 0).recount(0, u64::MAX).unwrap();
    }
}
