//! Random values of every shape of the contract, for property tests. The larger ones are boxed: inline, a strategy of strategies and the
//! tree of its values do not fit on the stack of a test that is not optimised.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::contract::*;
use crate::job::{CostFlags, limits::GUEST_NUMBER_MAX};

/// A number as the contract allows it: small, usual, and at the edges.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..=3_u64, 0..=100_000_u64, 0..=4_000_000_000_000_u64, Just(GUEST_NUMBER_MAX), 0..=GUEST_NUMBER_MAX]
}

/// A short text with letters of one to four bytes.
pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-z0-9 _./é漢😀-]{0,12}"
}

/// A remote name as guests see it.
pub(crate) fn remote_name() -> impl Strategy<Value = String> {
    "https?://(origin|mirror)[0-9]?\\.example(:8080)?/[a-z0-9/._-]{0,16}"
}

/// Open pairs.
pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    vec((text(), text()), 0..3)
}

fn cost_flags() -> impl Strategy<Value = u32> {
    any::<u32>().prop_map(|bits| bits & CostFlags::ALWAYS.0)
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![Direction::Download, Direction::Upload, Direction::UploadReply])
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

fn cost() -> impl Strategy<Value = CostState> {
    use CostState::{
        BelowCap, CappedUsageUnknown, NearCap, OvercapCharged, OvercapThrottled, Unrestricted, UsageBased,
    };
    prop::sample::select(vec![
        Unrestricted,
        CappedUsageUnknown,
        BelowCap,
        NearCap,
        OvercapCharged,
        OvercapThrottled,
        UsageBased,
    ])
}

fn kind() -> impl Strategy<Value = InterfaceKind> {
    use InterfaceKind::{Cellular, Ethernet, Loopback, Satellite, Tunnel, Unknown, Wifi};
    prop::sample::select(vec![Unknown, Ethernet, Wifi, Cellular, Satellite, Tunnel, Loopback])
}

fn error_context() -> impl Strategy<Value = ErrorContext> {
    use ErrorContext::{
        Certificate, LocalFile, None, Notification, QueueManager, RemoteApplication, RemoteFile, Transport, Unknown,
    };
    prop::sample::select(vec![
        None,
        Unknown,
        QueueManager,
        Notification,
        LocalFile,
        RemoteFile,
        Transport,
        RemoteApplication,
        Certificate,
    ])
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase::{Body, Connect, LocalFile, Publish, Resolve, Response, Send, Tls, Unknown, Verify};
    prop::sample::select(vec![Unknown, Resolve, Connect, Tls, Send, Response, Body, LocalFile, Verify, Publish])
}

fn class() -> impl Strategy<Value = FailureClass> {
    prop::sample::select(vec![FailureClass::Transient, FailureClass::Fatal])
}

prop_compose! {
    /// A file.
    pub(crate) fn file()(
        index in 0..100_u32, remote_name in remote_name(), local_name in text(), bytes_total in option::of(number()),
        bytes_transferred in number(), done: bool, restarts in 0..6_u32,
    ) -> FileView {
        FileView { index, remote_name, local_name, bytes_total, bytes_transferred, done, restarts }
    }
}

prop_compose! {
    fn job_identity()(
        id in text(), owner in text(), display_name in text(), direction in direction(), priority in priority(), labels in attributes(),
        cost_flags in cost_flags(), attributes in attributes(),
    ) -> (String, String, String, Direction, Priority, Attributes, u32, Attributes) {
        (id, owner, display_name, direction, priority, labels, cost_flags, attributes)
    }
}

prop_compose! {
    /// A job.
    pub(crate) fn job()(
        (id, owner, display_name, direction, priority, labels, cost_flags, attributes) in job_identity().boxed(),
        counts in (0..1_000_u32, 0..1_000_u32, any::<u32>(), any::<u32>()), bytes_total in option::of(number()), bytes_transferred in number(),
        created_at in number(), at in (option::of(number()), option::of(number()), option::of(number())),
        durations in (number(), number(), number(), number()),
    ) -> JobView {
        let (files_total, files_transferred, error_count, recoveries) = counts;
        let (started_at, last_progress_at, deadline_at) = at;
        let (active_time, minimum_retry_delay, no_progress_timeout, maximum_download_time) = durations;
        JobView {
            id, owner, display_name, direction, priority, labels, files_total, files_transferred, bytes_total, bytes_transferred, cost_flags,
            error_count, recoveries, created_at, started_at, last_progress_at, active_time, deadline_at, minimum_retry_delay,
            no_progress_timeout, maximum_download_time, attributes,
        }
    }
}

prop_compose! {
    /// An attempt.
    pub(crate) fn attempt()(
        started_at in number(), ended_at in number(), remote_name in remote_name(), new_bytes in number(), code in text(),
        http_status in option::of(100..600_u16),
    ) -> AttemptView {
        AttemptView { started_at, ended_at, remote_name, new_bytes, code, http_status }
    }
}

prop_compose! {
    fn origin()(
        origin in "https://[a-z]{1,8}", running: u32, failures_in_row: u32, last_success_at in option::of(number()),
        not_before_at in option::of(number()),
    ) -> OriginView {
        OriginView { origin, running, failures_in_row, last_success_at, not_before_at }
    }
}

prop_compose! {
    fn interface()(name in text(), kind in kind(), cost in cost(), roaming: bool, congested: bool, attributes in attributes()) -> InterfaceView {
        InterfaceView { name, kind, cost, roaming, congested, attributes }
    }
}

prop_compose! {
    fn budget()(
        name in text(), interface_name in text(), limit in number(), used in number(), resets_at in option::of(number()),
    ) -> BudgetView {
        BudgetView { name, interface_name, limit, used, resets_at }
    }
}

prop_compose! {
    /// A network.
    pub(crate) fn network()(
        connected: bool, interfaces in vec(interface().boxed(), 0..4), route in option::of(0..5_u32), on_battery: bool, battery_saver: bool,
        battery_percent in option::of(0..=100_u8), budgets in vec(budget().boxed(), 0..3), attributes in attributes(),
    ) -> NetworkView {
        NetworkView { connected, interfaces, route, on_battery, battery_saver, battery_percent, budgets, attributes }
    }
}

prop_compose! {
    fn local_time()(
        year in -4712..10_000_i32, month in 1..=12_u8, day in 1..=31_u8, weekday in 1..=7_u8, clock in (0..24_u8, 0..60_u8, 0..60_u8),
        utc_offset_minutes in -900..900_i32, zone in text(),
    ) -> LocalTime {
        let (hour, minute, second) = clock;
        LocalTime { year, month, day, weekday, hour, minute, second, utc_offset_minutes, zone }
    }
}

prop_compose! {
    fn host()(running: u32, queued: u32, running_foreground: u32, bytes_per_second in number()) -> HostView {
        HostView { running, queued, running_foreground, bytes_per_second }
    }
}

prop_compose! {
    /// What every hook is told.
    pub(crate) fn call()(
        decision_id in text(), now_at in 0..=4_000_000_000_000_u64, local_time in local_time().boxed(), seed in number(),
        memo in vec(any::<u8>(), 0..40), job in job().boxed(), file in option::of(file().boxed()), network in network().boxed(), host in host().boxed(),
        attributes in attributes(),
    ) -> Call {
        Call { decision_id, now_at, local_time, seed, memo, job, file, network, host, attributes }
    }
}

prop_compose! {
    /// A failure.
    pub(crate) fn failure()(
        at in number(), code in text(), number_ in any::<u32>(), kinds in (error_context(), phase(), class()),
        http_status in option::of(100..600_u16), message in text(), retry_after in option::of(number()),
        place in (option::of(file().boxed()), option::of(remote_name()), option::of(origin().boxed())), response_headers in attributes(),
        body_excerpt in option::of(text()), amounts in (number(), number()), attributes in attributes(),
    ) -> FailureView {
        let (context, phase, class) = kinds;
        let (file, final_url, origin) = place;
        let (new_bytes, duration) = amounts;
        FailureView {
            at, code, number: number_, context, phase, class, http_status, message, retry_after, file, final_url, origin, response_headers,
            body_excerpt, new_bytes, duration, attributes,
        }
    }
}

/// A verdict on a failed attempt.
pub(crate) fn retry_verdict() -> impl Strategy<Value = RetryVerdict> {
    prop_oneof![
        Just(RetryVerdict::Default),
        number().prop_map(RetryVerdict::Retry),
        Just(RetryVerdict::GiveUp),
        (text(), attributes()).prop_map(|(name, attributes)| RetryVerdict::Other(name, attributes)),
    ]
}

/// A verdict on the network.
pub(crate) fn admit_verdict() -> impl Strategy<Value = AdmitVerdict> {
    prop_oneof![
        Just(AdmitVerdict::Default),
        Just(AdmitVerdict::Allow),
        number().prop_map(AdmitVerdict::AllowAtMost),
        option::of(number()).prop_map(AdmitVerdict::Hold),
        (text(), attributes()).prop_map(|(name, attributes)| AdmitVerdict::Other(name, attributes)),
    ]
}

/// A change of a plan, of whatever worth.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..100_u32, remote_name()).prop_map(|(file, url)| Change::SetRemoteName(file, url)),
        (remote_name(), remote_name()).prop_map(|(from, to)| Change::ReplaceRemotePrefix(from, to)),
        (0..100_u32, remote_name()).prop_map(|(file, url)| Change::RefreshRemoteName(file, url)),
        (text(), text()).prop_map(|(name, value)| Change::SetHeader(name, value)),
        text().prop_map(Change::RemoveHeader),
        text().prop_map(Change::UseCredential),
        text().prop_map(Change::SetProxy),
        priority().prop_map(Change::SetPriority),
        cost_flags().prop_map(Change::SetCostFlags),
        number().prop_map(Change::SetMinimumRetryDelay),
        number().prop_map(Change::SetNoProgressTimeout),
        (0..100_u32).prop_map(Change::RestartFile),
        (text(), text()).prop_map(|(name, value)| Change::Other(name, value)),
    ]
}

/// A verdict on a job in error.
pub(crate) fn recovery_verdict() -> impl Strategy<Value = RecoveryVerdict> {
    prop_oneof![
        Just(RecoveryVerdict::Default),
        Just(RecoveryVerdict::Leave),
        (vec(change(), 0..4), number()).prop_map(|(changes, after)| RecoveryVerdict::Resume(Plan { changes, after })),
        Just(RecoveryVerdict::Complete),
        Just(RecoveryVerdict::Cancel),
        (text(), attributes()).prop_map(|(name, attributes)| RecoveryVerdict::Other(name, attributes)),
    ]
}

prop_compose! {
    /// A reason.
    pub(crate) fn reason()(code in text(), note in text(), memo in option::of(vec(any::<u8>(), 0..40)), attributes in attributes()) -> Reason {
        Reason { code, note, memo, attributes }
    }
}

fn answer<V: std::fmt::Debug + Clone>(verdict: impl Strategy<Value = V>) -> impl Strategy<Value = Verdict<V>> {
    (verdict, reason()).prop_map(|(verdict, reason)| Verdict { verdict, reason })
}

/// An answer of `on-failure`.
pub(crate) fn retry_answer() -> impl Strategy<Value = Verdict<RetryVerdict>> {
    answer(retry_verdict())
}

/// An answer of `admit`.
pub(crate) fn admit_answer() -> impl Strategy<Value = Verdict<AdmitVerdict>> {
    answer(admit_verdict())
}

/// An answer of `on-error`.
pub(crate) fn recovery_answer() -> impl Strategy<Value = Verdict<RecoveryVerdict>> {
    answer(recovery_verdict())
}

prop_compose! {
    /// What `on-failure` is told.
    pub(crate) fn retry_context()(
        call in call().boxed(), failure in failure().boxed(), built_in in retry_verdict(), failures_in_row: u32, since_progress in number(),
        no_progress_left in number(), history in vec(attempt().boxed(), 0..4),
    ) -> RetryContext {
        RetryContext { call, failure, built_in, failures_in_row, since_progress, no_progress_left, history }
    }
}

prop_compose! {
    /// What `admit` is told.
    pub(crate) fn admit_context()(
        call in call().boxed(), cause in cause(), running: bool, built_in in admit_verdict(), held_since in option::of(number()),
    ) -> AdmitContext {
        AdmitContext { call, cause, running, built_in, held_since }
    }
}

fn cause() -> impl Strategy<Value = Cause> {
    use Cause::{BudgetChanged, LookAgain, NetworkChanged, PowerChanged, Slice, Start};
    prop::sample::select(vec![Start, Slice, NetworkChanged, PowerChanged, BudgetChanged, LookAgain])
}

prop_compose! {
    /// What `on-error` is told.
    pub(crate) fn recovery_context()(
        call in call().boxed(), failure in failure().boxed(), recoveries: u32, last_recovery_at in option::of(number()), history in vec(attempt().boxed(), 0..4),
    ) -> RecoveryContext {
        RecoveryContext { call, failure, recoveries, last_recovery_at, history }
    }
}

prop_compose! {
    /// What a policy says of itself.
    pub(crate) fn descriptor()(
        name in text(), version in text(), summary in text(), capabilities in vec(text(), 0..3), settings_schema in text(),
        hooks in vec(prop::sample::select(vec![Hook::Retry, Hook::NetworkCost, Hook::Recovery]), 0..4),
    ) -> Descriptor {
        Descriptor { name, version, summary, hooks, capabilities, settings_schema }
    }
}
