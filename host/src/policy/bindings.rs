//! What wasmtime generates from `wit/policy.wit`, in the one place that knows it. [`super::convert`] leads in and out.
//!
//! The world names every hook, but none is demanded of a component: the hooks are looked up one by one (`GuestIndices` of each exported
//! interface), so that a component of a smaller world, `retry-policy` for example, is a policy as well.
#![allow(missing_docs, reason = "generated; the documentation is in the WIT")]
#![allow(unreachable_pub, missing_debug_implementations, clippy::use_self, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "policy",
    // A host function may end the call, for example when a guest reads files without end.
    imports: { default: trappable },
    additional_derives: [PartialEq],
});

pub(crate) use self::backhaul::policy::{host, types};
pub(crate) use self::exports::backhaul::policy::{meta, network_cost, recovery, retry};
