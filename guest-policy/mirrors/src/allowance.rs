//! How often retries may be given up for another mirror.
//!
//! The host limits repairs: a burst of 8, then one a minute, and 100 for a job. A job that is given up beyond that ends in ERROR, although
//! its retries could have gone on. So this policy gives up half as often, and leaves the rest to errors that are final anyway.

use backhaul_policy::Memo;
use backhaul_policy::types::Call;

/// Milliseconds after which one more give-up is allowed.
const EACH_MS: u64 = 120_000;
const BURST: u64 = 4;
const RECOVERIES_MAX: u32 = 50;

/// What is left of the allowance, in milliseconds, and when that was so. Kept between calls as a memo.
pub(crate) struct Allowance {
    left_ms: u64,
    at: u64,
    recoveries: u32,
}

impl Allowance {
    pub(crate) fn of(call: &Call) -> Self {
        let memo = Memo::of(call);
        let kept = |name| memo.get(name).and_then(|text| text.parse::<u64>().ok());
        let left_ms = match (kept("left_ms"), kept("at")) {
            // A clock that was set back adds nothing.
            (Some(left_ms), Some(at)) => left_ms.saturating_add(call.now_at.saturating_sub(at)),
            _ => u64::MAX,
        };
        Self { left_ms: left_ms.min(BURST * EACH_MS), at: call.now_at, recoveries: call.job.recoveries }
    }

    /// Takes one give-up, and returns what to remember; none if there is none left.
    pub(crate) fn spend(self) -> Option<Memo> {
        let left_ms = self.left_ms.checked_sub(EACH_MS).filter(|_| self.recoveries < RECOVERIES_MAX)?;
        let mut memo = Memo::default();
        memo.set("left_ms", left_ms.to_string());
        memo.set("at", self.at.to_string());
        Some(memo)
    }
}
