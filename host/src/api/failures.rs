//! Requests whose token is worth nothing: how many are answered and logged.
//!
//! Nobody guesses 256 random bits, so this protects the log and the processor, not the token: whoever brings a valid one is served
//! although its address has failed before. Otherwise one user of a machine could lock out all others of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::clock::{BootMillis, Now};

/// Failures of one address that are answered and logged each, in a burst: a client with a wrong setting is seen at once.
const BURST: u32 = 20;
/// Milliseconds until one more is: 20 a minute.
const REFILL_MS: u64 = 3_000;
/// Addresses that are counted apart. All others share one count.
const ADDRESSES_MAX: usize = 1_024;

/// What a failure is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is missing.
    Told,
    /// Only when to come again, in seconds.
    TooMany { retry_after: u64 },
}

/// Counts failures by address.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Option<IpAddr>, Bucket>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    since: BootMillis,
    /// Not logged since the last line.
    silent: u64,
}

impl Failures {
    /// Notes one.
    pub(super) fn note(&self, from: IpAddr) -> Verdict {
        self.note_at(from, Now::read().boot)
    }

    fn note_at(&self, from: IpAddr, now: BootMillis) -> Verdict {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Some(network(from));
        if !buckets.contains_key(&key) && buckets.len() >= ADDRESSES_MAX {
            // One that is full again says nothing that a new one would not.
            buckets.retain(|_, bucket| now.since(bucket.since) < u64::from(BURST) * REFILL_MS);
            if buckets.len() >= ADDRESSES_MAX {
                key = None;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: BURST, since: now, silent: 0 });
        let gained = now.since(bucket.since) / REFILL_MS;
        if gained > 0 {
            bucket.left = bucket.left.saturating_add(u32::try_from(gained).unwrap_or(u32::MAX)).min(BURST);
            bucket.since = bucket.since.plus(gained * REFILL_MS);
        }
        if bucket.left == 0 {
            bucket.silent += 1;
            let wait_ms = REFILL_MS.saturating_sub(now.since(bucket.since));
            return Verdict::TooMany { retry_after: wait_ms.div_ceil(1_000).max(1) };
        }
        bucket.left -= 1;
        tracing::warn!(%from, not_logged_before = bucket.silent, "a request over TCP had no valid token");
        bucket.silent = 0;
        Verdict::Told
    }
}

/// Whoever has one IPv6 address has its whole network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(number))
    }

    #[test]
    fn a_burst_is_told_and_then_one_in_a_while() {
        let failures = Failures::default();
        let told = |count: u32, at| {
            (0..count).filter(|_| failures.note_at(address(1), BootMillis(at)) == Verdict::Told).count()
        };
        assert_eq!(told(100, 0), 20);
        assert_eq!(failures.note_at(address(1), BootMillis(1_000)), Verdict::TooMany { retry_after: 2 });
        assert_eq!(told(100, 3_000), 1);
        assert_eq!(told(100, 3_000 + 60_000), 20);
        assert_eq!(failures.note_at(address(2), BootMillis(0)), Verdict::Told, "another address has its own count");
    }

    #[test]
    fn the_number_of_counts_is_bounded() {
        let failures = Failures::default();
        for number in 0..10_000 {
            let _verdict = failures.note_at(address(number), BootMillis(0));
        }
        assert_eq!(failures.0.lock().unwrap().len(), ADDRESSES_MAX + 1);
        assert!(matches!(failures.note_at(address(20_000), BootMillis(0)), Verdict::TooMany { .. }));
        assert_eq!(failures.note_at(address(20_000), BootMillis(600_000)), Verdict::Told);
        let v6 = |text: &str| network(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_eq!(v6("::ffff:192.0.2.1"), v6("192.0.2.1"));
    }
}
