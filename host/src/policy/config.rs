//! How policies are run on this host.

use std::time::Duration;

use jiff::tz::TimeZone;

/// What stands in for a policy that fails to answer or says that it cannot decide, where nothing may be held up by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The next policy of the chain is asked; in the end the built-in default decides.
    #[default]
    BuiltIn,
    /// The policy's last verdict of that hook for that job, if there is one since the host started; else the built-in default.
    LastGood,
}

/// What stands in for a policy that fails to say whether a network is worth its cost, or says that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmitOnFault {
    /// The policy is left out.
    BuiltIn,
    /// The job is held until something changes: nothing is spent on an unknown network.
    Hold,
    /// The policy's last verdict for that job, if there is one since the host started; else the job is held.
    LastGood,
}

/// The `on_fault` settings of the hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnFaults {
    /// For `retry`.
    pub retry: OnFault,
    /// For `network-cost`, of a policy that an operator assigned.
    pub network_cost_assigned: AdmitOnFault,
    /// For `network-cost`, of a job's own policy.
    pub network_cost_own: AdmitOnFault,
    /// For `recovery`.
    pub recovery: OnFault,
}

impl Default for OnFaults {
    fn default() -> Self {
        Self {
            retry: OnFault::BuiltIn,
            network_cost_assigned: AdmitOnFault::Hold,
            network_cost_own: AdmitOnFault::BuiltIn,
            recovery: OnFault::BuiltIn,
        }
    }
}

/// How policies are run.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// Milliseconds: no retry and no recovery is sooner (`scheduler.retry_floor`).
    pub retry_floor_ms: u64,
    /// Fuel of one call.
    pub fuel: u64,
    /// Wall-clock time of one call.
    pub deadline: Duration,
    /// Time that a component may take to compile.
    pub compile_time_max: Duration,
    /// What stands in for a policy that fails.
    pub on_fault: OnFaults,
    /// The zone of the local time that policies are told; none: the machine's.
    pub time_zone: Option<TimeZone>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            // As in BITS (design.md section 3).
            retry_floor_ms: 5_000,
            // A rich decision in Rust takes some 10,000, in QuickJS half a million, in a tight loop all of it takes half a millisecond.
            fuel: 10_000_000,
            // Fuel does not bound time: a pointer chase over 2 MiB takes a tenth of a second for its fuel.
            deadline: Duration::from_millis(50),
            // A Python component takes 15 s on an idle core.
            compile_time_max: Duration::from_secs(60),
            on_fault: OnFaults::default(),
            time_zone: None,
        }
    }
}
