//! The built-in default: BITS's own behaviour, natively, from the crate that is also the component `standard`.

use backhaul_policy_standard as standard;
use standard::{network_cost, recovery, retry};

use super::contract::{
    AdmitContext, AdmitVerdict, CostState, FailureClass, InterfaceKind, InterfaceView, Reason, RecoveryContext,
    RecoveryVerdict, RetryContext, RetryVerdict, Verdict,
};

/// What the host does by itself after a failed attempt.
pub(super) fn on_failure(context: &RetryContext) -> Verdict<RetryVerdict> {
    let (failure, job) = (&context.failure, &context.call.job);
    let input = retry::Input {
        class: match failure.class {
            FailureClass::Transient => retry::FailureClass::Transient,
            FailureClass::Fatal => retry::FailureClass::Fatal,
        },
        code: &failure.code,
        http_status: failure.http_status,
        retry_after: failure.retry_after,
        minimum_retry_delay: job.minimum_retry_delay,
        no_progress_timeout: job.no_progress_timeout,
        no_progress_left: context.no_progress_left,
        failures_in_row: context.failures_in_row,
        seed: context.call.seed,
    };
    let answer = retry::decide(&standard::Settings::default(), &input);
    let verdict = match answer.verdict {
        retry::Verdict::Default => RetryVerdict::Default,
        retry::Verdict::Retry(delay) => RetryVerdict::Retry(delay),
        retry::Verdict::GiveUp => RetryVerdict::GiveUp,
    };
    Verdict { verdict, reason: reason(answer.reason) }
}

/// Whether the host would let the job run by itself.
pub(super) fn admit(context: &AdmitContext) -> Verdict<AdmitVerdict> {
    let network = &context.call.network;
    let interfaces: Vec<network_cost::Interface<'_>> = network.interfaces.iter().map(interface).collect();
    let answer = network_cost::decide(&network_cost::Input {
        flags: network_cost::CostFlags::from_bits(context.call.job.cost_flags),
        connected: network.connected,
        interfaces: &interfaces,
        route: network.route,
    });
    let verdict = match answer.verdict {
        network_cost::Verdict::Allow => AdmitVerdict::Allow,
        network_cost::Verdict::Hold => AdmitVerdict::Hold(None),
    };
    Verdict { verdict, reason: reason(answer.reason) }
}

/// What the host does by itself with a job in error.
pub(super) fn on_error(context: &RecoveryContext) -> Verdict<RecoveryVerdict> {
    let answer = recovery::decide(&context.failure.code);
    let verdict = match answer.verdict {
        recovery::Verdict::Default => RecoveryVerdict::Default,
    };
    Verdict { verdict, reason: reason(answer.reason) }
}

fn reason(reason: standard::Reason) -> Reason {
    let attributes = reason.attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Reason { code: reason.code.to_owned(), note: reason.note, memo: None, attributes }
}

fn interface(view: &InterfaceView) -> network_cost::Interface<'_> {
    use network_cost::CostState as Native;
    network_cost::Interface {
        name: &view.name,
        loopback: view.kind == InterfaceKind::Loopback,
        cost: match view.cost {
            CostState::Unrestricted => Native::Unrestricted,
            CostState::CappedUsageUnknown => Native::CappedUsageUnknown,
            CostState::BelowCap => Native::BelowCap,
            CostState::NearCap => Native::NearCap,
            CostState::OvercapCharged => Native::OvercapCharged,
            CostState::OvercapThrottled => Native::OvercapThrottled,
            CostState::UsageBased => Native::UsageBased,
        },
        roaming: view.roaming,
        congested: view.congested,
    }
}
