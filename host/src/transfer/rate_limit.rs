//! A job's own ceiling in bytes per second, over all its files.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Time that may be saved up while nothing came: short pauses of an origin do not cost rate, and a burst stays short.
const CREDIT: Duration = Duration::from_secs(1);

/// A bucket that may go into debt: bytes are counted when they have come, and the next are asked for when they are paid.
#[derive(Debug)]
pub(crate) struct RateLimit {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes_per_second: Option<u64>,
    paid_at: Option<Instant>,
}

impl RateLimit {
    pub(crate) const fn new(bytes_per_second: Option<u64>) -> Self {
        Self { state: Mutex::new(State { bytes_per_second, paid_at: None }) }
    }

    /// Another ceiling from now on. Debts are forgiven.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        let mut state = self.state();
        if state.bytes_per_second != bytes_per_second {
            *state = State { bytes_per_second, paid_at: None };
        }
    }

    /// Counts bytes that have come; says until when no more may be asked for.
    pub(crate) fn charge(&self, bytes: usize, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let rate = state.bytes_per_second?.max(1);
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let paid_at = state.paid_at.map_or(now, |paid_at| paid_at.max(earliest)) + cost;
        state.paid_at = Some(paid_at);
        (paid_at > now).then_some(paid_at)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_over_all_who_share_it() {
        let limit = RateLimit::new(Some(1000));
        let begin = Instant::now();
        let mut now = begin;
        for _ in 0..100 {
            now = limit.charge(100, now).unwrap();
        }
        assert_eq!(now - begin, Duration::from_secs(10));
    }

    #[test]
    fn a_pause_saves_up_a_second_at_most() {
        let limit = RateLimit::new(Some(1000));
        let begin = Instant::now();
        assert_eq!(limit.charge(0, begin), None);
        let later = begin + Duration::from_secs(100);
        assert_eq!(limit.charge(1000, later), None);
        assert_eq!(limit.charge(500, later), Some(later + Duration::from_millis(500)));
    }

    #[test]
    fn a_new_ceiling_holds_at_once() {
        let limit = RateLimit::new(Some(1));
        let now = Instant::now();
        assert!(limit.charge(1_000_000, now).is_some());
        limit.set(None);
        assert_eq!(limit.charge(1_000_000, now), None);
        limit.set(Some(0));
        assert_eq!(limit.charge(2, now), Some(now + Duration::from_secs(2)));
    }
}
