//! The component: maps the contract's types to this crate's, and exports it.

use backhaul_policy::types::{self, InterfaceKind};
use backhaul_policy::{Answer, Descriptor, Hook, Policy, Reason, host};
use backhaul_policy::{network_cost as wit_network_cost, recovery as wit_recovery, retry as wit_retry};

use crate::network_cost::{CostFlags, CostState, Interface};
use crate::{NAME, SETTINGS_SCHEMA, Settings, VERSION, network_cost, recovery, retry};

struct Standard;

backhaul_policy::policy!(Standard);

impl Policy for Standard {
    fn describe() -> Descriptor {
        Descriptor::new(NAME, VERSION, "BITS's own behaviour: fixed retry delays, cost flags, no recovery")
            .hook(Hook::Retry)
            .hook(Hook::NetworkCost)
            .hook(Hook::Recovery)
            .settings_schema(SETTINGS_SCHEMA)
    }

    fn validate_settings(settings: &str) -> Result<(), Vec<String>> {
        Settings::parse(settings).map(drop)
    }

    fn on_failure(context: &wit_retry::Context) -> Answer<wit_retry::Answer> {
        let settings = Settings::parse(&host::settings()).map_err(|problems| problems.join("; "))?;
        let (failure, job) = (&context.failure, &context.call.job);
        let answer = retry::decide(
            &settings,
            &retry::Input {
                class: match failure.class {
                    types::FailureClass::Transient => retry::FailureClass::Transient,
                    types::FailureClass::Fatal => retry::FailureClass::Fatal,
                },
                code: &failure.code,
                http_status: failure.http_status,
                retry_after: failure.retry_after,
                minimum_retry_delay: job.minimum_retry_delay,
                no_progress_timeout: job.no_progress_timeout,
                no_progress_left: context.no_progress_left,
                failures_in_row: context.failures_in_row,
                seed: context.call.seed,
            },
        );
        let verdict = match answer.verdict {
            retry::Verdict::Default => wit_retry::Verdict::Default,
            retry::Verdict::Retry(delay) => wit_retry::Verdict::Retry(delay),
            retry::Verdict::GiveUp => wit_retry::Verdict::GiveUp,
        };
        Ok(verdict.because(reason(answer.reason)))
    }

    fn admit(context: &wit_network_cost::Context) -> Answer<wit_network_cost::Answer> {
        let network = &context.call.network;
        let interfaces: Vec<Interface<'_>> = network.interfaces.iter().map(interface).collect();
        let answer = network_cost::decide(&network_cost::Input {
            flags: cost_flags(context.call.job.cost_flags),
            connected: network.connected,
            interfaces: &interfaces,
            route: network.route,
        });
        let verdict = match answer.verdict {
            network_cost::Verdict::Allow => wit_network_cost::Verdict::Allow,
            network_cost::Verdict::Hold => wit_network_cost::Verdict::Hold(None),
        };
        Ok(verdict.because(reason(answer.reason)))
    }

    fn on_error(context: &wit_recovery::Context) -> Answer<wit_recovery::Answer> {
        let answer = recovery::decide(&context.failure.code);
        let verdict = match answer.verdict {
            recovery::Verdict::Default => wit_recovery::Verdict::Default,
        };
        Ok(verdict.because(reason(answer.reason)))
    }
}

fn reason(reason: crate::Reason) -> Reason {
    let mut out = Reason::new(reason.code, reason.note);
    for (name, value) in reason.attributes {
        out = out.attribute(name, value);
    }
    out
}

fn interface(view: &types::InterfaceView) -> Interface<'_> {
    Interface {
        name: &view.name,
        loopback: view.kind == InterfaceKind::Loopback,
        cost: match view.cost {
            types::CostState::Unrestricted => CostState::Unrestricted,
            types::CostState::CappedUsageUnknown => CostState::CappedUsageUnknown,
            types::CostState::BelowCap => CostState::BelowCap,
            types::CostState::NearCap => CostState::NearCap,
            types::CostState::OvercapCharged => CostState::OvercapCharged,
            types::CostState::OvercapThrottled => CostState::OvercapThrottled,
            types::CostState::UsageBased => CostState::UsageBased,
        },
        roaming: view.roaming,
        congested: view.congested,
    }
}

fn cost_flags(flags: types::CostFlags) -> CostFlags {
    let table = [
        (types::CostFlags::UNRESTRICTED, CostFlags::UNRESTRICTED),
        (types::CostFlags::CAPPED_USAGE_UNKNOWN, CostFlags::CAPPED_USAGE_UNKNOWN),
        (types::CostFlags::BELOW_CAP, CostFlags::BELOW_CAP),
        (types::CostFlags::NEAR_CAP, CostFlags::NEAR_CAP),
        (types::CostFlags::OVERCAP_CHARGED, CostFlags::OVERCAP_CHARGED),
        (types::CostFlags::OVERCAP_THROTTLED, CostFlags::OVERCAP_THROTTLED),
        (types::CostFlags::USAGE_BASED, CostFlags::USAGE_BASED),
        (types::CostFlags::ROAMING, CostFlags::ROAMING),
        (types::CostFlags::IGNORE_CONGESTION, CostFlags::IGNORE_CONGESTION),
    ];
    let set = table.into_iter().filter(|(theirs, _)| flags.contains(*theirs));
    set.fold(CostFlags::default(), |all, (_, ours)| all | ours)
}
