//! From the contract's plain shapes to what wasmtime generated, and back.
//!
//! Field by field and case by case, written once per shape: a shape that differs on one side does not compile.

use super::{bindings as guest, contract};
use crate::job::CostFlags;

/// Into a guest. By reference: the same context goes to every policy of a chain.
pub(super) trait ToGuest {
    /// The generated type.
    type Guest;
    /// The same value.
    fn to_guest(&self) -> Self::Guest;
}

/// Out of a guest.
pub(super) trait ToHost {
    /// The contract's type.
    type Host;
    /// The same value.
    fn into_host(self) -> Self::Host;
}

macro_rules! same {
    ($($type:ty),*) => { $(
        impl ToGuest for $type {
            type Guest = $type;
            fn to_guest(&self) -> $type { self.clone() }
        }
        impl ToHost for $type {
            type Host = $type;
            fn into_host(self) -> $type { self }
        }
    )* };
}

same!(bool, u8, u16, u32, u64, i32, String);

impl<T: ToGuest> ToGuest for Option<T> {
    type Guest = Option<T::Guest>;
    fn to_guest(&self) -> Self::Guest {
        self.as_ref().map(T::to_guest)
    }
}

impl<T: ToHost> ToHost for Option<T> {
    type Host = Option<T::Host>;
    fn into_host(self) -> Self::Host {
        self.map(T::into_host)
    }
}

impl<T: ToGuest> ToGuest for Vec<T> {
    type Guest = Vec<T::Guest>;
    fn to_guest(&self) -> Self::Guest {
        self.iter().map(T::to_guest).collect()
    }
}

impl<T: ToHost> ToHost for Vec<T> {
    type Host = Vec<T::Host>;
    fn into_host(self) -> Self::Host {
        self.into_iter().map(T::into_host).collect()
    }
}

impl<A: ToGuest, B: ToGuest> ToGuest for (A, B) {
    type Guest = (A::Guest, B::Guest);
    fn to_guest(&self) -> Self::Guest {
        (self.0.to_guest(), self.1.to_guest())
    }
}

impl<A: ToHost, B: ToHost> ToHost for (A, B) {
    type Host = (A::Host, B::Host);
    fn into_host(self) -> Self::Host {
        (self.0.into_host(), self.1.into_host())
    }
}

macro_rules! record {
    ($host:ty = $guest:ty { $($field:ident),* $(,)? }) => {
        impl ToGuest for $host {
            type Guest = $guest;
            fn to_guest(&self) -> Self::Guest {
                let Self { $($field),* } = self;
                Self::Guest { $($field: $field.to_guest()),* }
            }
        }
        impl ToHost for $guest {
            type Host = $host;
            fn into_host(self) -> Self::Host {
                let Self { $($field),* } = self;
                Self::Host { $($field: $field.into_host()),* }
            }
        }
    };
}

macro_rules! enumeration {
    ($host:ty = $guest:ty { $($case:ident),* $(,)? }) => {
        impl ToGuest for $host {
            type Guest = $guest;
            fn to_guest(&self) -> Self::Guest {
                match self { $(Self::$case => Self::Guest::$case),* }
            }
        }
        impl ToHost for $guest {
            type Host = $host;
            fn into_host(self) -> Self::Host {
                match self { $(Self::$case => Self::Host::$case),* }
            }
        }
    };
}

/// Cases without a payload, with one, and with two that the WIT has as a tuple.
macro_rules! variant {
    ($host:ty = $guest:ty { $($bare:ident),* ; $($one:ident),* ; $($two:ident),* }) => {
        impl ToGuest for $host {
            type Guest = $guest;
            fn to_guest(&self) -> Self::Guest {
                match self {
                    $(Self::$bare => Self::Guest::$bare,)*
                    $(Self::$one(value) => Self::Guest::$one(value.to_guest()),)*
                    $(Self::$two(first, second) => Self::Guest::$two((first.to_guest(), second.to_guest())),)*
                }
            }
        }
        impl ToHost for $guest {
            type Host = $host;
            fn into_host(self) -> Self::Host {
                match self {
                    $(Self::$bare => Self::Host::$bare,)*
                    $(Self::$one(value) => Self::Host::$one(value.into_host()),)*
                    $(Self::$two((first, second)) => Self::Host::$two(first.into_host(), second.into_host()),)*
                }
            }
        }
    };
}

enumeration!(contract::Direction = guest::types::Direction { Download, Upload, UploadReply });
enumeration!(contract::Priority = guest::types::Priority { Foreground, High, Normal, Low });
enumeration!(
    contract::CostState = guest::types::CostState {
        Unrestricted,
        CappedUsageUnknown,
        BelowCap,
        NearCap,
        OvercapCharged,
        OvercapThrottled,
        UsageBased,
    }
);
enumeration!(
    contract::InterfaceKind =
        guest::types::InterfaceKind { Unknown, Ethernet, Wifi, Cellular, Satellite, Tunnel, Loopback }
);
enumeration!(
    contract::ErrorContext = guest::types::FailureContext {
        None,
        Unknown,
        QueueManager,
        Notification,
        LocalFile,
        RemoteFile,
        Transport,
        RemoteApplication,
        Certificate,
    }
);
enumeration!(contract::FailureClass = guest::types::FailureClass { Transient, Fatal });
enumeration!(
    contract::Phase =
        guest::types::Phase { Unknown, Resolve, Connect, Tls, Send, Response, Body, LocalFile, Verify, Publish }
);
enumeration!(contract::Hook = guest::meta::Hook { Retry, NetworkCost, Recovery });
enumeration!(
    contract::Cause =
        guest::network_cost::Cause { Start, Slice, NetworkChanged, PowerChanged, BudgetChanged, LookAgain }
);

record!(
    contract::FileView =
        guest::types::FileView { index, remote_name, local_name, bytes_total, bytes_transferred, done, restarts }
);
record!(
    contract::AttemptView =
        guest::types::AttemptView { started_at, ended_at, remote_name, new_bytes, code, http_status }
);
record!(
    contract::OriginView =
        guest::types::OriginView { origin, running, failures_in_row, last_success_at, not_before_at }
);
record!(contract::InterfaceView = guest::types::InterfaceView { name, kind, cost, roaming, congested, attributes });
record!(contract::BudgetView = guest::types::BudgetView { name, interface_name, limit, used, resets_at });
record!(
    contract::NetworkView = guest::types::NetworkView {
        connected,
        interfaces,
        route,
        on_battery,
        battery_saver,
        battery_percent,
        budgets,
        attributes,
    }
);
record!(contract::HostView = guest::types::HostView { running, queued, running_foreground, bytes_per_second });
record!(
    contract::LocalTime =
        guest::types::LocalTime { year, month, day, weekday, hour, minute, second, utc_offset_minutes, zone }
);
record!(
    contract::FailureView = guest::types::Failure {
        at,
        code,
        number,
        context,
        phase,
        class,
        http_status,
        message,
        retry_after,
        file,
        final_url,
        origin,
        response_headers,
        body_excerpt,
        new_bytes,
        duration,
        attributes,
    }
);
record!(
    contract::Call =
        guest::types::Call { decision_id, now_at, local_time, seed, memo, job, file, network, host, attributes }
);
record!(contract::Reason = guest::types::Reason { code, note, memo, attributes });
record!(
    contract::RetryContext =
        guest::retry::Context { call, failure, built_in, failures_in_row, since_progress, no_progress_left, history }
);
record!(contract::AdmitContext = guest::network_cost::Context { call, cause, running, built_in, held_since });
record!(contract::RecoveryContext = guest::recovery::Context { call, failure, recoveries, last_recovery_at, history });
record!(contract::Plan = guest::recovery::Plan { changes, after });
record!(
    contract::Descriptor = guest::meta::Descriptor { name, version, summary, hooks, capabilities, settings_schema }
);
record!(contract::Verdict<contract::RetryVerdict> = guest::retry::Answer { verdict, reason });
record!(contract::Verdict<contract::AdmitVerdict> = guest::network_cost::Answer { verdict, reason });
record!(contract::Verdict<contract::RecoveryVerdict> = guest::recovery::Answer { verdict, reason });

variant!(contract::RetryVerdict = guest::retry::Verdict { Default, GiveUp; Retry; Other });
variant!(contract::AdmitVerdict = guest::network_cost::Verdict { Default, Allow; AllowAtMost, Hold; Other });
variant!(contract::RecoveryVerdict = guest::recovery::Verdict { Default, Leave, Complete, Cancel; Resume; Other });

/// The flags are bits here and a type of their own there.
mod flags {
    use super::{CostFlags, guest};

    /// BITS's bit of every flag of the contract.
    const TABLE: [(u32, guest::types::CostFlags); 9] = {
        use guest::types::CostFlags as Guest;
        [
            (0x1, Guest::UNRESTRICTED),
            (0x2, Guest::CAPPED_USAGE_UNKNOWN),
            (0x4, Guest::BELOW_CAP),
            (0x8, Guest::NEAR_CAP),
            (0x10, Guest::OVERCAP_CHARGED),
            (0x20, Guest::OVERCAP_THROTTLED),
            (0x40, Guest::USAGE_BASED),
            (CostFlags::ROAMING.0, Guest::ROAMING),
            (CostFlags::IGNORE_CONGESTION.0, Guest::IGNORE_CONGESTION),
        ]
    };

    pub(super) fn to_guest(bits: u32) -> guest::types::CostFlags {
        let set = TABLE.into_iter().filter(|(bit, _)| bits & bit != 0);
        set.fold(guest::types::CostFlags::empty(), |all, (_, flag)| all | flag)
    }

    pub(super) fn to_host(flags: guest::types::CostFlags) -> u32 {
        let set = TABLE.into_iter().filter(|(_, flag)| flags.contains(*flag));
        set.fold(0, |all, (bit, _)| all | bit)
    }
}

macro_rules! job_view {
    ($($field:ident),* $(,)?) => {
        impl ToGuest for contract::JobView {
            type Guest = guest::types::JobView;
            fn to_guest(&self) -> Self::Guest {
                let Self { cost_flags, $($field),* } = self;
                Self::Guest { cost_flags: flags::to_guest(*cost_flags), $($field: $field.to_guest()),* }
            }
        }
        impl ToHost for guest::types::JobView {
            type Host = contract::JobView;
            fn into_host(self) -> Self::Host {
                let Self { cost_flags, $($field),* } = self;
                Self::Host { cost_flags: flags::to_host(cost_flags), $($field: $field.into_host()),* }
            }
        }
    };
}

job_view!(
    id,
    owner,
    display_name,
    direction,
    priority,
    labels,
    files_total,
    files_transferred,
    bytes_total,
    bytes_transferred,
    error_count,
    recoveries,
    created_at,
    started_at,
    last_progress_at,
    active_time,
    deadline_at,
    minimum_retry_delay,
    no_progress_timeout,
    maximum_download_time,
    attributes,
);

macro_rules! change {
    ({ $($one:ident),* } { $($two:ident),* }) => {
        impl ToGuest for contract::Change {
            type Guest = guest::recovery::Change;
            fn to_guest(&self) -> Self::Guest {
                match self {
                    Self::SetCostFlags(bits) => Self::Guest::SetCostFlags(flags::to_guest(*bits)),
                    $(Self::$one(value) => Self::Guest::$one(value.to_guest()),)*
                    $(Self::$two(first, second) => Self::Guest::$two((first.to_guest(), second.to_guest())),)*
                }
            }
        }
        impl ToHost for guest::recovery::Change {
            type Host = contract::Change;
            fn into_host(self) -> Self::Host {
                match self {
                    Self::SetCostFlags(set) => Self::Host::SetCostFlags(flags::to_host(set)),
                    $(Self::$one(value) => Self::Host::$one(value.into_host()),)*
                    $(Self::$two((first, second)) => Self::Host::$two(first.into_host(), second.into_host()),)*
                }
            }
        }
    };
}

change!({ RemoveHeader, UseCredential, SetProxy, SetPriority, SetMinimumRetryDelay, SetNoProgressTimeout, RestartFile }
        { SetRemoteName, ReplaceRemotePrefix, RefreshRemoteName, SetHeader, Other });

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::strategies;

    proptest! {
        #[test]
        fn a_retry_context_comes_back_as_it_went(context in strategies::retry_context()) {
            prop_assert_eq!(context.to_guest().into_host(), context);
        }

        #[test]
        fn an_admit_context_comes_back_as_it_went(context in strategies::admit_context()) {
            prop_assert_eq!(context.to_guest().into_host(), context);
        }

        #[test]
        fn a_recovery_context_comes_back_as_it_went(context in strategies::recovery_context()) {
            prop_assert_eq!(context.to_guest().into_host(), context);
        }

        #[test]
        fn every_answer_comes_back_as_it_went(
            retry in strategies::retry_answer(), admit in strategies::admit_answer(), recovery in strategies::recovery_answer(),
        ) {
            prop_assert_eq!(retry.to_guest().into_host(), retry);
            prop_assert_eq!(admit.to_guest().into_host(), admit);
            prop_assert_eq!(recovery.to_guest().into_host(), recovery);
        }

        #[test]
        fn a_descriptor_comes_back_as_it_went(descriptor in strategies::descriptor()) {
            prop_assert_eq!(descriptor.to_guest().into_host(), descriptor);
        }

        #[test]
        fn unknown_cost_flags_do_not_cross(bits: u32) {
            prop_assert_eq!(flags::to_host(flags::to_guest(bits)), bits & 0x8000_00ff);
        }
    }

    #[test]
    fn every_bit_has_its_own_flag() {
        assert_eq!(flags::to_guest(0x4), guest::types::CostFlags::BELOW_CAP);
        assert_eq!(flags::to_guest(0x20), guest::types::CostFlags::OVERCAP_THROTTLED);
        assert_eq!(flags::to_guest(0x80), guest::types::CostFlags::ROAMING);
        assert_eq!(flags::to_guest(0x8000_0000), guest::types::CostFlags::IGNORE_CONGESTION);
    }
}
