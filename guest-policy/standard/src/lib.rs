//! Backhaul's own behaviour: that of BITS, as a policy.
//!
//! Compiled twice. Natively it is the host's fallback, which answers wherever no policy does; as a component it is a policy like any other.
//! The logic is plain Rust over plain inputs, without clock, randomness or floating point, so equal inputs give equal answers in both.
//!
//! - [`retry`]: the job's minimum retry delay, the server's Retry-After as a lower bound, no retry without a no-progress timeout.
//! - [`network_cost`]: a job runs while its cost flags allow the state of the network.
//! - [`recovery`]: a job in error waits for its owner.
//!
//! Without [`Settings`] this is BITS; settings add backoff and jitter to the retry delay.

#[cfg(target_arch = "wasm32")]
mod guest;
pub mod network_cost;
pub mod recovery;
pub mod retry;
mod settings;

use backhaul_policy_support::clipped;

pub use self::settings::{SETTINGS_SCHEMA, Settings};

/// The name under which decisions record this policy.
pub const NAME: &str = "standard";
/// The version under which decisions record this policy.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The contract's limits. Notes name interfaces and error codes, whose length is not ours.
const NOTE_MAX: usize = 500;
const ATTRIBUTE_VALUE_MAX: usize = 1024;

/// Numbers that cross the contract stay below 2^53.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// A verdict and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Answer<V> {
    /// What to do.
    pub verdict: V,
    /// Why.
    pub reason: Reason,
}

/// Why a verdict was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Short and stable, for machines.
    pub code: &'static str,
    /// A sentence for people.
    pub note: String,
    /// The facts that decided.
    pub attributes: Vec<(&'static str, String)>,
}

impl Reason {
    fn new(code: &'static str, note: String) -> Self {
        Self { code, note: clipped(&note, NOTE_MAX).to_owned(), attributes: Vec::new() }
    }

    fn attribute(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, clipped(&value.to_string(), ATTRIBUTE_VALUE_MAX).to_owned()));
        self
    }
}
