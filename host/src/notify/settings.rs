//! What an operator may set of webhooks.

use std::time::Duration;

/// Limits and pace of deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Webhooks of one owner. 32: one for each application of a busy machine.
    pub per_owner_max: u32,
    /// Deliveries of one owner at once. 4, as in BITS.
    pub concurrent_per_owner: u32,
    /// For a whole attempt, from the name's resolution to the end of the answer. 15 s, as Standard Webhooks advises.
    pub timeout: Duration,
    /// Milliseconds from the first failed attempt to the second; the later delays are multiples of it.
    pub retry_first_ms: u64,
    /// Attempts of one delivery; then it has failed. 10: with a first delay of 5 s some three days.
    pub attempts_max: u32,
    /// Where http may be used instead of https.
    pub plain_http: PlainHttp,
}

/// Where a webhook may be told of events over http, where everybody on the way can read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// On this machine.
    Loopback,
    /// Anywhere: for networks that are trusted as a whole.
    Anywhere,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            per_owner_max: 32,
            concurrent_per_owner: 4,
            timeout: Duration::from_secs(15),
            retry_first_ms: 5_000,
            attempts_max: 10,
            plain_http: PlainHttp::Loopback,
        }
    }
}
