//! Components made by hand, for what no compiler makes: guests that break. The maker is that of the host's own tests.

use backhaul::policy::{Fault, contract};

#[path = "../../host/src/policy/tests/guests.rs"]
#[expect(dead_code, reason = "the host's own tests need more of it")]
mod guests;
#[path = "../../host/src/policy/tests/hostile.rs"]
pub(crate) mod hostile;

pub(crate) use self::contract::Hook;
pub(crate) use self::guests::{Guest, guest};

/// A policy of that name that describes itself well and traps whenever it is asked to retry or to repair.
pub(crate) fn trapping(name: &str) -> Vec<u8> {
    let mut trapping = guest().only(&[Hook::Retry, Hook::Recovery]).on_call("unreachable");
    trapping.descriptor.name = name.into();
    trapping.component()
}
