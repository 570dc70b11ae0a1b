//! How long an origin is waited for: silence, and a speed below the floor. Pure.
//!
//! Only time spent waiting for the origin counts: not while a rate limit or the disk holds the transfer up.

use std::time::Duration;

use super::error::FileError;
use super::settings::TransferSettings;
use crate::job::Phase;

/// Counts time and bytes of one body.
#[derive(Debug)]
pub(crate) struct Patience {
    idle_timeout: Duration,
    window: Duration,
    floor: u64,
    silent: Duration,
    waited: Duration,
    received: u64,
}

impl Patience {
    pub(crate) const fn new(settings: &TransferSettings) -> Self {
        Self {
            idle_timeout: settings.idle_timeout,
            window: settings.low_speed_window,
            floor: settings.low_speed_bytes_per_second,
            silent: Duration::ZERO,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// How much longer to wait before [`Self::verdict`] is asked.
    pub(crate) fn left(&self) -> Duration {
        let window = if self.floor == 0 { Duration::MAX } else { self.window.saturating_sub(self.waited) };
        self.idle_timeout.saturating_sub(self.silent).min(window)
    }

    pub(crate) fn waited(&mut self, time: Duration) {
        self.silent = self.silent.saturating_add(time);
        self.waited = self.waited.saturating_add(time);
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.silent = Duration::ZERO;
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// Whether patience is at an end. A window that was fast enough is followed by the next.
    pub(crate) fn verdict(&mut self) -> Result<(), FileError> {
        if self.silent >= self.idle_timeout {
            return Err(FileError::Silent { phase: Phase::Body, seconds: self.idle_timeout.as_secs() });
        }
        if self.floor == 0 || self.waited < self.window {
            return Ok(());
        }
        if u128::from(self.received) * 1000 < u128::from(self.floor) * self.waited.as_millis() {
            return Err(FileError::LowSpeed { bytes_per_second: self.floor, seconds: self.window.as_secs() });
        }
        self.waited = Duration::ZERO;
        self.received = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ErrorCode;

    fn patience(floor: u64) -> Patience {
        Patience::new(&TransferSettings {
            idle_timeout: Duration::from_secs(60),
            low_speed_bytes_per_second: floor,
            low_speed_window: Duration::from_secs(30),
            ..TransferSettings::default()
        })
    }

    #[test]
    fn silence_ends_it_and_a_byte_begins_it_anew() {
        let mut patience = patience(0);
        patience.waited(Duration::from_secs(59));
        assert_eq!(patience.left(), Duration::from_secs(1));
        assert_eq!(patience.verdict(), Ok(()));
        patience.received(1);
        patience.waited(Duration::from_secs(59));
        assert_eq!(patience.verdict(), Ok(()));
        patience.waited(Duration::from_secs(1));
        assert_eq!(patience.left(), Duration::ZERO);
        assert!(matches!(patience.verdict(), Err(FileError::Silent { seconds: 60, .. })));
    }

    #[test]
    fn a_drip_is_too_slow_although_it_is_never_silent() {
        let mut patience = patience(100);
        for second in 1..=30 {
            patience.waited(Duration::from_secs(1));
            patience.received(1);
            let verdict = patience.verdict();
            assert_eq!(verdict.is_err(), second == 30);
            if let Err(error) = verdict {
                assert_eq!(error.code(), ErrorCode::TooSlow);
            }
        }
    }

    #[test]
    fn the_floor_itself_is_fast_enough_and_each_window_counts_by_itself() {
        let mut patience = patience(100);
        patience.received(3000);
        patience.waited(Duration::from_secs(30));
        assert_eq!(patience.left(), Duration::ZERO);
        assert_eq!(patience.verdict(), Ok(()));
        assert_eq!(patience.left(), Duration::from_secs(30));
        patience.received(2999);
        patience.waited(Duration::from_secs(30));
        assert!(matches!(patience.verdict(), Err(FileError::LowSpeed { bytes_per_second: 100, seconds: 30 })));
    }

    #[test]
    fn time_that_was_not_spent_waiting_does_not_count() {
        let mut patience = patience(100);
        patience.received(1);
        assert_eq!(patience.verdict(), Ok(()));
        assert_eq!(patience.left(), Duration::from_secs(30));
    }
}
