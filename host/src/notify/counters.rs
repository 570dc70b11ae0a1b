//! What is counted of webhooks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the host started, and at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookCounts {
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub attempts_failed: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
    /// Events that retention took from the journal before a webhook was told of them.
    pub missed: u64,
    /// Deliveries that are tried or wait, at present.
    pub pending: u64,
    /// Deliveries that are on the lists of the failed, at present.
    pub failed: u64,
}

/// Written by the task, read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) delivered: AtomicU64,
    pub(super) attempts_failed: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) pending: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> WebhookCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WebhookCounts {
            delivered: of(&self.delivered),
            attempts_failed: of(&self.attempts_failed),
            given_up: of(&self.given_up),
            missed: of(&self.missed),
            pending: of(&self.pending),
            failed: of(&self.failed),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
