//! The settings of the scheduler, each with its unit, its default and the reason for it.

use super::limits::Limits;
use crate::policy::contract::limits;

/// What an operator can set of the scheduler. `Default` is the daemon's; see [`SchedulerConfig::for_one_job`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Milliseconds that a job keeps its slot while another of its level is ready. 60 s: long against the cost of a new connection,
    /// short against the patience of whoever waits. BITS's own is not public.
    pub time_slice_ms: u64,
    /// Foreground jobs at once. BITS has no published cap; 64 keeps descriptors and memory bounded.
    pub foreground_slots: u32,
    /// Background jobs at once. 1, as in BITS; operators of servers raise it.
    pub background_slots: u32,
    /// Milliseconds: the shortest wait for a retry, whatever a policy says. 5 s, as in BITS.
    pub retry_floor_ms: u64,
    /// Milliseconds: the longest wait that an origin can impose by Retry-After. A day: beyond it a mistaken header would bury a job.
    pub retry_after_max_ms: u64,
    /// Connections to one origin at once, over all jobs. 64: what a single job may ask for, and far below what servers refuse.
    pub connections_per_origin: u32,
    /// Origins whose health is remembered. 4,096: about 1 MiB; the idle ones that were longest untouched are forgotten first.
    pub origins_max: usize,
    /// Questions of admission, and stored transitions of waiting jobs, in one step. 256 questions take some 10 ms of the policy thread.
    pub admit_batch: u32,
    /// Milliseconds: the longest hold before a policy is asked again. 15 minutes, so that no answer is for ever.
    pub hold_reask_ms: u64,
    /// Milliseconds: the shortest hold. 1 s, so that a policy that says "look again at once" does not keep the host busy.
    pub hold_floor_ms: u64,
    /// Milliseconds between two looks at the free space that a job waits for. 5 s: soon enough for people, nothing for the disk.
    pub disk_probe_ms: u64,
    /// Milliseconds until a job tries again although no more space is free than when it failed last: a quota is not seen from here.
    /// A minute: such a try costs a request.
    pub disk_retry_ms: u64,
    /// Bytes that must be free before a job of unknown remaining size tries again. 1 MiB: some progress for each try.
    pub disk_space_wanted_bytes: u64,
    /// Milliseconds until a job tries again that found no network although the host believes in one. 15 s: hosts without a source of
    /// network changes would wait for ever otherwise.
    pub network_probe_ms: u64,
    /// Attempts kept in a job's history: as many as the contract shows.
    pub history: usize,
    /// Repairs by policies that a job may have in a row. With the two below: a loop of repairs stays visible and slow.
    pub recovery_burst: u32,
    /// Milliseconds until a job may be repaired once more.
    pub recovery_refill_ms: u64,
    /// Repairs that a job may have in its life.
    pub recoveries_per_job: u32,
    /// Final jobs that are still answered from memory. 1,024: at least a whole batch of inputs, about 1 MiB.
    pub final_jobs_kept: usize,
    /// Timers handled in one step: as many as questions.
    pub timers_batch: u32,
    /// Milliseconds without progress and without a client, after which a job is cancelled. 90 days, as in BITS.
    pub inactivity_timeout_ms: u64,
    /// Milliseconds that a job is given after each start, however long it seems to have been inactive: a clock that was wrong while the
    /// host was down must not cancel it. A day: time for whoever looks after the machine to notice.
    pub inactivity_grace_ms: u64,
    /// How many jobs, files and ranges there may be.
    pub limits: Limits,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            time_slice_ms: 60_000,
            foreground_slots: 64,
            background_slots: 1,
            retry_floor_ms: 5_000,
            retry_after_max_ms: 86_400_000,
            connections_per_origin: 64,
            origins_max: 4_096,
            admit_batch: 256,
            hold_reask_ms: 900_000,
            hold_floor_ms: 1_000,
            disk_probe_ms: 5_000,
            disk_retry_ms: 60_000,
            disk_space_wanted_bytes: 1 << 20,
            network_probe_ms: 15_000,
            history: limits::HISTORY_MAX,
            recovery_burst: 8,
            recovery_refill_ms: 60_000,
            recoveries_per_job: 100,
            final_jobs_kept: 1_024,
            timers_batch: 256,
            inactivity_timeout_ms: 7_776_000_000,
            inactivity_grace_ms: 86_400_000,
            limits: Limits::default(),
        }
    }
}

impl SchedulerConfig {
    /// For `get` and the demo, where somebody looks on: a floor of 0.2 s for retries, still far above a busy loop.
    #[must_use]
    pub fn for_one_job() -> Self {
        Self { retry_floor_ms: 200, ..Self::default() }
    }
}
