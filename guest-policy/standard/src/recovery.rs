//! What becomes of a job in error.

use crate::{Answer, Reason};

/// What to do with a job in error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the job stays in ERROR until its owner resumes, completes or cancels it.
    Default,
}

/// Decides as BITS does, which repairs nothing. `code`: the failure's error code.
pub fn decide(code: &str) -> Answer<Verdict> {
    let note = format!("{code}: the job waits for its owner to resume, complete or cancel it");
    Answer { verdict: Verdict::Default, reason: Reason::new("no_recovery", note) }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, decide};

    #[test]
    fn a_job_in_error_waits_for_its_owner() {
        let answer = decide("digest_mismatch");
        assert_eq!((answer.verdict, answer.reason.code), (Verdict::Default, "no_recovery"));
        assert_eq!(answer.reason.note, "digest_mismatch: the job waits for its owner to resume, complete or cancel it");
    }
}
