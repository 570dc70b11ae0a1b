//! How fast it goes, and how long it will take.

use std::collections::VecDeque;

use crate::clock::BootMillis;

/// Milliseconds over which the rate is taken: steady to the eye, and honest soon after a stall.
const WINDOW_MS: u64 = 5_000;

/// Bytes over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(BootMillis, u64)>,
}

impl Rate {
    /// Takes a reading. One below the last begins anew: a file was restarted.
    pub(crate) fn sample(&mut self, at: BootMillis, bytes: u64) {
        if self.samples.back().is_some_and(|(_, last)| *last > bytes) {
            self.samples.clear();
        }
        self.samples.push_back((at, bytes));
        // One reading before the window stays, so that the window is covered.
        while self.samples.get(1).is_some_and(|(next, _)| at.since(*next) >= WINDOW_MS) {
            self.samples.pop_front();
        }
    }

    /// Bytes per second; none before there are two readings.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        let (begin, first) = self.samples.front()?;
        let (end, last) = self.samples.back()?;
        let bytes = last.saturating_sub(*first);
        (end.since(*begin) > 0).then(|| saturate(u128::from(bytes) * 1000 / u128::from(end.since(*begin))))
    }

    /// Seconds until so many bytes are there, rounded up; none while nothing moves.
    pub(crate) fn seconds_for(&self, bytes: u64) -> Option<u64> {
        match self.bytes_per_second() {
            None | Some(0) => None,
            Some(rate) => Some(bytes.div_ceil(rate)),
        }
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(samples: &[(u64, u64)]) -> Rate {
        let mut rate = Rate::default();
        for (at, bytes) in samples {
            rate.sample(BootMillis(*at), *bytes);
        }
        rate
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        let samples: Vec<_> = (0..100).map(|i| (i * 100, i * 1000)).collect();
        let rate = rate(&samples);
        assert_eq!(rate.bytes_per_second(), Some(10_000));
        assert_eq!(rate.seconds_for(25_000), Some(3));
        assert!(rate.samples.len() <= 52);
    }

    #[test]
    fn what_was_there_before_is_not_speed() {
        assert_eq!(rate(&[(0, 1 << 30)]).bytes_per_second(), None);
        assert_eq!(rate(&[(0, 1 << 30), (1000, (1 << 30) + 5)]).bytes_per_second(), Some(5));
    }

    #[test]
    fn a_stall_and_a_restart_are_seen() {
        assert_eq!(rate(&[(0, 0), (1000, 9000), (7000, 9000), (13_000, 9000)]).seconds_for(1), None);
        assert_eq!(rate(&[(0, 9000), (1000, 10_000), (2000, 0), (3000, 500)]).bytes_per_second(), Some(500));
    }

    proptest! {
        #[test]
        fn no_readings_panic_and_the_memory_is_bounded(samples in proptest::collection::vec((0..10_000_u64, any::<u64>()), 0..300)) {
            let mut now = 0;
            let mut rate = Rate::default();
            for (step, bytes) in samples {
                now += step;
                rate.sample(BootMillis(now), bytes);
                let _ = rate.seconds_for(u64::MAX);
            }
        }
    }
}
