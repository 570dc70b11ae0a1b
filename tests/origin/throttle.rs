//! Pace: so many bytes a second, over one connection or over all of them.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    /// None: no limit.
    bytes_per_second: Option<u64>,
    /// When the bytes let through so far are paid for.
    paid_at: Instant,
}

/// Credit that an idle throttle gathers: enough to hide the timer's millisecond, too little to show in a rate.
const CREDIT: Duration = Duration::from_millis(5);

impl Throttle {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self(Mutex::new(State { bytes_per_second, paid_at: Instant::now() }))
    }

    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        self.0.lock().unwrap().bytes_per_second = bytes_per_second;
    }

    /// Bytes to send in one go so that the flow stays even: a fiftieth of a second's worth, at least one byte.
    pub(crate) fn slice_bytes(&self) -> usize {
        let rate = self.0.lock().unwrap().bytes_per_second;
        rate.map_or(usize::MAX, |rate| usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1))
    }

    /// Returns when `bytes` may be sent.
    pub(crate) async fn pass(&self, bytes: usize) {
        let Some(at) = self.reserve(bytes) else { return };
        sleep_until(at).await;
    }

    fn reserve(&self, bytes: usize) -> Option<Instant> {
        let mut state = self.0.lock().unwrap();
        let rate = state.bytes_per_second?;
        let now = Instant::now();
        let from = state.paid_at.max(now.checked_sub(CREDIT).unwrap_or(now));
        state.paid_at = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        Some(state.paid_at)
    }
}
