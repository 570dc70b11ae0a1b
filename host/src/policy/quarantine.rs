//! Strikes: what a policy that fails loses. Pure; the time is given in.
//!
//! A strike costs the policy the job on which it failed, for ten minutes: after that it is asked again, so that a moment of load on this
//! machine is not held against it for ever. Three strikes by three jobs against different origins within ten minutes are the policy's own
//! fault, not the circumstances': the component is set aside for all jobs, for an hour. So is one that has kept the policy thread busy until its
//! deadline twenty times in that time, whatever the origins: everybody waits for that thread, and a thousand jobs of one origin would otherwise
//! wait for a minute.

use std::collections::{HashMap, HashSet};

use super::Fault;
use crate::clock::UnixMillis;
use crate::job::{JobId, Sha256};

/// Strikes that quarantine a policy.
const STRIKES: usize = 3;
/// Calls out of time that quarantine a policy: with a deadline of 50 ms, a second of the policy thread.
const TIMED_OUT_MAX: usize = 20;
/// Milliseconds: strikes further apart are not counted together, and a job loses the policy for so long.
const WINDOW_MS: u64 = 10 * 60_000;
/// Milliseconds that a policy is set aside for: time for somebody to look, and an end if nobody does.
const QUARANTINE_MS: u64 = 60 * 60_000;
/// Strikes that are remembered of one policy. Under constant load the oldest are forgotten first.
const REMEMBERED_MAX: usize = 1024;

/// Whether a policy may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may.
    Fit,
    /// Not for this job, until then.
    SetAside(UnixMillis),
    /// Not at all, until then.
    Quarantined(UnixMillis),
}

#[derive(Debug)]
struct Strike {
    at: UnixMillis,
    job: JobId,
    origin: String,
    fault: Fault,
}

#[derive(Debug, Default)]
struct Record {
    strikes: Vec<Strike>,
    quarantined_until: Option<UnixMillis>,
}

/// The strikes of all policies, by the digest of their component.
#[derive(Debug, Default)]
pub(super) struct Quarantine(HashMap<Sha256, Record>);

impl Quarantine {
    /// Whether the policy may be asked for this job now.
    pub(super) fn standing(&self, component: Sha256, job: JobId, now: UnixMillis) -> Standing {
        let Some(record) = self.0.get(&component) else { return Standing::Fit };
        if let Some(until) = record.quarantined_until
            && now < until
        {
            return Standing::Quarantined(until);
        }
        let last =
            record.strikes.iter().filter(|strike| strike.job == job).map(|strike| strike.at.plus(WINDOW_MS)).max();
        match last {
            Some(until) if now < until => Standing::SetAside(until),
            _ => Standing::Fit,
        }
    }

    /// Notes a strike, and tells what the policy's standing is now.
    pub(super) fn strike(
        &mut self,
        component: Sha256,
        job: JobId,
        origin: &str,
        fault: Fault,
        now: UnixMillis,
    ) -> Standing {
        let record = self.0.entry(component).or_default();
        // A clock that was set back leaves strikes of the future: they age from now on.
        for strike in &mut record.strikes {
            strike.at = strike.at.min(now);
        }
        record.strikes.retain(|strike| now.since(strike.at) < WINDOW_MS);
        if record.strikes.len() >= REMEMBERED_MAX {
            record.strikes.remove(0);
        }
        record.strikes.push(Strike { at: now, job, origin: origin.to_owned(), fault });
        let timed_out = record.strikes.iter().filter(|strike| strike.fault == Fault::TimedOut).count();
        if differing(&record.strikes) < STRIKES && timed_out < TIMED_OUT_MAX {
            return Standing::SetAside(now.plus(WINDOW_MS));
        }
        record.strikes.clear();
        let until = now.plus(QUARANTINE_MS);
        record.quarantined_until = Some(until);
        Standing::Quarantined(until)
    }

    /// Forgets what was held against a component.
    pub(super) fn release(&mut self, component: Sha256) {
        self.0.remove(&component);
    }

    /// The components that are set aside for all jobs, and until when.
    pub(super) fn quarantined(&self, now: UnixMillis) -> Vec<(Sha256, UnixMillis)> {
        let until =
            |(digest, record): (&Sha256, &Record)| Some((*digest, record.quarantined_until.filter(|end| now < *end)?));
        self.0.iter().filter_map(until).collect()
    }
}

/// How many jobs and how many origins are concerned, whichever is less. A job strikes once in ten minutes, so each counts with its own origin.
fn differing(strikes: &[Strike]) -> usize {
    let jobs: HashSet<JobId> = strikes.iter().map(|strike| strike.job).collect();
    let origins: HashSet<&str> = strikes.iter().map(|strike| strike.origin.as_str()).collect();
    jobs.len().min(origins.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const POLICY: Sha256 = Sha256([1; 32]);
    const OTHER: Sha256 = Sha256([2; 32]);

    fn job(number: u128) -> JobId {
        JobId(Uuid::from_u128(number))
    }

    fn at(minutes: u64) -> UnixMillis {
        UnixMillis(1_000_000_000 + minutes * 60_000)
    }

    fn is_quarantined(standing: Standing) -> bool {
        matches!(standing, Standing::Quarantined(_))
    }

    #[test]
    fn a_strike_costs_the_policy_the_job_for_ten_minutes() {
        let mut quarantine = Quarantine::default();
        assert_eq!(quarantine.strike(POLICY, job(1), "a", Fault::Trap, at(0)), Standing::SetAside(at(10)));
        assert_eq!(quarantine.standing(POLICY, job(1), at(9)), Standing::SetAside(at(10)));
        assert_eq!(quarantine.standing(POLICY, job(2), at(9)), Standing::Fit);
        assert_eq!(quarantine.standing(OTHER, job(1), at(9)), Standing::Fit);
        assert_eq!(quarantine.standing(POLICY, job(1), at(10)), Standing::Fit);
        assert_eq!(quarantine.quarantined(at(0)), []);
    }

    #[test]
    fn three_jobs_against_three_origins_quarantine_it_for_an_hour() {
        let mut quarantine = Quarantine::default();
        quarantine.strike(POLICY, job(1), "a", Fault::Trap, at(0));
        quarantine.strike(POLICY, job(2), "b", Fault::Trap, at(4));
        assert_eq!(quarantine.strike(POLICY, job(3), "c", Fault::Trap, at(9)), Standing::Quarantined(at(69)));
        assert_eq!(quarantine.standing(POLICY, job(4), at(68)), Standing::Quarantined(at(69)));
        assert_eq!(quarantine.quarantined(at(68)), [(POLICY, at(69))]);
        assert_eq!(quarantine.standing(POLICY, job(1), at(69)), Standing::Fit);
        assert_eq!(quarantine.quarantined(at(69)), []);
        assert_eq!(quarantine.strike(POLICY, job(1), "a", Fault::Trap, at(69)), Standing::SetAside(at(79)));
    }

    #[test]
    fn one_bad_origin_or_one_bad_job_does_not_quarantine_it() {
        let mut quarantine = Quarantine::default();
        for number in 0..20 {
            assert!(!is_quarantined(quarantine.strike(POLICY, job(number), "the same", Fault::Trap, at(0))));
            assert!(!is_quarantined(quarantine.strike(OTHER, job(0), &number.to_string(), Fault::Trap, at(0))));
        }
        assert!(!is_quarantined(quarantine.strike(POLICY, job(0), "another", Fault::Trap, at(0))));
        assert!(is_quarantined(quarantine.strike(POLICY, job(1), "a third", Fault::Trap, at(0))));
    }

    #[test]
    fn a_policy_that_keeps_the_thread_busy_is_quarantined_whatever_the_origins() {
        let mut quarantine = Quarantine::default();
        let strike = |quarantine: &mut Quarantine, number: u8, minutes| {
            quarantine.strike(POLICY, job(number.into()), "the same", Fault::TimedOut, at(minutes))
        };
        for number in 0..19 {
            assert!(!is_quarantined(strike(&mut quarantine, number, 0)));
        }
        assert!(!is_quarantined(quarantine.strike(POLICY, job(50), "the same", Fault::FuelExhausted, at(1))));
        assert!(is_quarantined(strike(&mut quarantine, 19, 9)));
        let mut quarantine = Quarantine::default();
        for number in 0..19 {
            assert!(!is_quarantined(strike(&mut quarantine, number, 0)));
        }
        assert!(!is_quarantined(strike(&mut quarantine, 19, 10)), "the others are too long ago");
    }

    #[test]
    fn strikes_further_apart_do_not_count_together() {
        let mut quarantine = Quarantine::default();
        quarantine.strike(POLICY, job(1), "a", Fault::Trap, at(0));
        quarantine.strike(POLICY, job(2), "b", Fault::Trap, at(5));
        assert!(!is_quarantined(quarantine.strike(POLICY, job(3), "c", Fault::Trap, at(10))));
        assert!(is_quarantined(quarantine.strike(POLICY, job(4), "d", Fault::Trap, at(11))));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_strikes_for_ever() {
        let mut quarantine = Quarantine::default();
        quarantine.strike(POLICY, job(1), "a", Fault::Trap, at(100_000));
        quarantine.strike(POLICY, job(2), "b", Fault::Trap, at(0));
        assert!(!is_quarantined(quarantine.strike(POLICY, job(3), "c", Fault::Trap, at(10))));
    }

    #[test]
    fn an_operator_can_release_it() {
        let mut quarantine = Quarantine::default();
        for number in 0..3_u8 {
            quarantine.strike(POLICY, job(number.into()), &number.to_string(), Fault::Trap, at(0));
        }
        assert!(is_quarantined(quarantine.standing(POLICY, job(1), at(0))));
        quarantine.release(POLICY);
        assert_eq!(quarantine.standing(POLICY, job(1), at(0)), Standing::Fit);
    }

    #[test]
    fn the_strikes_that_are_remembered_are_bounded() {
        let mut quarantine = Quarantine::default();
        for number in 0..2_000 {
            quarantine.strike(POLICY, job(number), "a", Fault::Trap, at(0));
        }
        assert_eq!(quarantine.0[&POLICY].strikes.len(), REMEMBERED_MAX);
    }
}
