//! Whether the present network is worth its cost to a job.

use std::fmt;
use std::ops::BitOr;

use crate::{Answer, Reason};

/// What a network costs. Exactly one state holds; roaming is separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostState {
    /// Unlimited, or not known to be limited.
    Unrestricted,
    /// A limited plan whose use is not known.
    CappedUsageUnknown,
    /// Below 80 % of the cap.
    BelowCap,
    /// From 80 % of the cap.
    NearCap,
    /// Over the cap, with a surcharge.
    OvercapCharged,
    /// Over the cap, slower but without a surcharge.
    OvercapThrottled,
    /// Paid by the byte.
    UsageBased,
}

impl CostState {
    fn name(self) -> &'static str {
        match self {
            Self::Unrestricted => "unrestricted",
            Self::CappedUsageUnknown => "capped_usage_unknown",
            Self::BelowCap => "below_cap",
            Self::NearCap => "near_cap",
            Self::OvercapCharged => "overcap_charged",
            Self::OvercapThrottled => "overcap_throttled",
            Self::UsageBased => "usage_based",
        }
    }

    fn hold_code(self) -> &'static str {
        match self {
            Self::Unrestricted => "cost_unrestricted",
            Self::CappedUsageUnknown => "cost_capped_usage_unknown",
            Self::BelowCap => "cost_below_cap",
            Self::NearCap => "cost_near_cap",
            Self::OvercapCharged => "cost_overcap_charged",
            Self::OvercapThrottled => "cost_overcap_throttled",
            Self::UsageBased => "cost_usage_based",
        }
    }

    fn flag(self) -> CostFlags {
        match self {
            Self::Unrestricted => CostFlags::UNRESTRICTED,
            Self::CappedUsageUnknown => CostFlags::CAPPED_USAGE_UNKNOWN,
            Self::BelowCap => CostFlags::BELOW_CAP,
            Self::NearCap => CostFlags::NEAR_CAP,
            Self::OvercapCharged => CostFlags::OVERCAP_CHARGED,
            Self::OvercapThrottled => CostFlags::OVERCAP_THROTTLED,
            Self::UsageBased => CostFlags::USAGE_BASED,
        }
    }

    /// What another byte costs here, cheapest first: within a plan, then slow, then money.
    fn dearness(self) -> u8 {
        match self {
            Self::Unrestricted => 0,
            Self::BelowCap => 1,
            Self::CappedUsageUnknown => 2,
            Self::NearCap => 3,
            Self::OvercapThrottled => 4,
            Self::UsageBased => 5,
            Self::OvercapCharged => 6,
        }
    }
}

/// The job's permission: it may run while the flag of the present state is set. The bits are those of `BITS_COST_STATE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CostFlags(u32);

impl CostFlags {
    /// Run on a network that costs nothing.
    pub const UNRESTRICTED: Self = Self(0x1);
    /// Run within a plan whose use is not known.
    pub const CAPPED_USAGE_UNKNOWN: Self = Self(0x2);
    /// Run below 80 % of the cap.
    pub const BELOW_CAP: Self = Self(0x4);
    /// Run from 80 % of the cap.
    pub const NEAR_CAP: Self = Self(0x8);
    /// Run over the cap, with a surcharge.
    pub const OVERCAP_CHARGED: Self = Self(0x10);
    /// Run over the cap, slowly.
    pub const OVERCAP_THROTTLED: Self = Self(0x20);
    /// Run where every byte is paid for.
    pub const USAGE_BASED: Self = Self(0x40);
    /// Run while roaming, if the flag of the cost state is set too.
    pub const ROAMING: Self = Self(0x80);
    /// Run although the network reports congestion.
    pub const IGNORE_CONGESTION: Self = Self(0x8000_0000);

    /// From the bits of `BITS_COST_STATE_*`; others mean nothing here.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    fn has(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }
}

impl BitOr for CostFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One interface that could carry the job's traffic.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// Name, for the note.
    pub name: &'a str,
    /// Never leaves this machine: of no interest unless the route leads over it.
    pub loopback: bool,
    /// What it costs.
    pub cost: CostState,
    /// Outside the home network.
    pub roaming: bool,
    /// The network reports congestion.
    pub congested: bool,
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The job's property.
    pub flags: CostFlags,
    /// There is a network.
    pub connected: bool,
    /// The interfaces of the host.
    pub interfaces: &'a [Interface<'a>],
    /// Which of them carries this job's traffic, if known.
    pub route: Option<u32>,
}

/// Whether the job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It waits until something changes.
    Hold,
}

/// Decides as BITS does: the job's flags against the state of the interface that carries its traffic. Where that is not known, the
/// cheapest one counts; where none is known, the network counts as unrestricted.
pub fn decide(input: &Input<'_>) -> Answer<Verdict> {
    let hold = |reason| Answer { verdict: Verdict::Hold, reason };
    if !input.connected {
        return hold(Reason::new("no_network", "waits for a network".to_owned()));
    }
    let Some(interface) = carrier(input) else {
        return unknown_interface(input.flags);
    };
    let name = interface.name;
    let facts =
        |code, note| Reason::new(code, note).attribute("interface", name).attribute("cost", interface.cost.name());
    if interface.roaming && !input.flags.has(CostFlags::ROAMING) {
        return hold(facts("cost_roaming", format!("{name} is roaming, and the job's cost flags exclude roaming")));
    }
    if !input.flags.has(interface.cost.flag()) {
        let cost = interface.cost;
        let note = format!("{name} is {cost}, and the job's cost flags exclude {}", cost.name());
        return hold(facts(cost.hold_code(), note));
    }
    if interface.congested && !input.flags.has(CostFlags::IGNORE_CONGESTION) {
        let note = format!("{name} is congested, and the job's cost flags lack ignore_congestion");
        return hold(facts("congested", note));
    }
    let reason = facts("cost_allowed", format!("{name} is {}: the job's cost flags allow it", interface.cost));
    Answer { verdict: Verdict::Allow, reason }
}

fn unknown_interface(flags: CostFlags) -> Answer<Verdict> {
    if flags.has(CostFlags::UNRESTRICTED) {
        let note = "the network's cost is not known and counts as unrestricted: the job's cost flags allow it";
        Answer { verdict: Verdict::Allow, reason: Reason::new("cost_allowed", note.to_owned()) }
    } else {
        let note = "the network's cost is not known and counts as unrestricted, which the job's cost flags exclude";
        Answer { verdict: Verdict::Hold, reason: Reason::new("cost_unrestricted", note.to_owned()) }
    }
}

/// The interface to judge by.
fn carrier<'a>(input: &Input<'a>) -> Option<&'a Interface<'a>> {
    let routed = input.route.and_then(|index| input.interfaces.get(usize::try_from(index).ok()?));
    let outward = input.interfaces.iter().filter(|interface| !interface.loopback);
    routed
        .or_else(|| outward.min_by_key(|interface| (interface.roaming, interface.cost.dearness(), interface.congested)))
}

impl fmt::Display for CostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unrestricted => "unrestricted",
            Self::CappedUsageUnknown => "on a limited plan of unknown use",
            Self::BelowCap => "below its cap",
            Self::NearCap => "near its cap",
            Self::OvercapCharged => "over its cap with a surcharge",
            Self::OvercapThrottled => "over its cap and slowed down",
            Self::UsageBased => "paid by the byte",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CostFlags, CostState, Input, Interface, Verdict, decide};
    use proptest::prelude::*;

    const ALWAYS: CostFlags = CostFlags::from_bits(0x8000_00ff);
    const STANDARD: CostFlags = CostFlags::from_bits(0x8000_0067);
    const STATES: [CostState; 7] = [
        CostState::Unrestricted,
        CostState::CappedUsageUnknown,
        CostState::BelowCap,
        CostState::NearCap,
        CostState::OvercapCharged,
        CostState::OvercapThrottled,
        CostState::UsageBased,
    ];

    fn interface(cost: CostState) -> Interface<'static> {
        Interface { name: "wwan0", loopback: false, cost, roaming: false, congested: false }
    }

    fn judge(flags: CostFlags, interfaces: &[Interface<'_>], route: Option<u32>) -> (Verdict, &'static str, String) {
        let answer = decide(&Input { flags, connected: true, interfaces, route });
        (answer.verdict, answer.reason.code, answer.reason.note)
    }

    #[test]
    fn without_a_network_the_job_waits_for_one() {
        let interfaces = [interface(CostState::Unrestricted)];
        let answer = decide(&Input { flags: ALWAYS, connected: false, interfaces: &interfaces, route: Some(0) });
        assert_eq!((answer.verdict, answer.reason.code), (Verdict::Hold, "no_network"));
    }

    #[test]
    fn the_flag_of_the_present_state_decides() {
        for (bit, state) in STATES.into_iter().enumerate() {
            let only = CostFlags::from_bits(1 << bit);
            assert_eq!(judge(only, &[interface(state)], Some(0)).1, "cost_allowed");
            let without = CostFlags::from_bits(0xff & !(1 << bit));
            let (verdict, code, _) = judge(without, &[interface(state)], Some(0));
            assert_eq!((verdict, code), (Verdict::Hold, state.hold_code()));
            assert_eq!(code.strip_prefix("cost_"), Some(state.name()));
        }
    }

    #[test]
    fn the_standard_flags_stop_near_the_cap() {
        let (verdict, code, note) = judge(STANDARD, &[interface(CostState::NearCap)], Some(0));
        assert_eq!((verdict, code), (Verdict::Hold, "cost_near_cap"));
        assert_eq!(note, "wwan0 is near its cap, and the job's cost flags exclude near_cap");
        assert_eq!(judge(STANDARD, &[interface(CostState::BelowCap)], Some(0)).0, Verdict::Allow);
    }

    #[test]
    fn roaming_needs_its_own_flag_as_well() {
        let roaming = Interface { roaming: true, ..interface(CostState::Unrestricted) };
        assert_eq!(judge(CostFlags::UNRESTRICTED, &[roaming], Some(0)).1, "cost_roaming");
        assert_eq!(judge(CostFlags::ROAMING, &[roaming], Some(0)).1, "cost_unrestricted");
        assert_eq!(judge(CostFlags::UNRESTRICTED | CostFlags::ROAMING, &[roaming], Some(0)).0, Verdict::Allow);
    }

    #[test]
    fn congestion_holds_unless_ignored() {
        let congested = Interface { congested: true, ..interface(CostState::Unrestricted) };
        assert_eq!(judge(CostFlags::UNRESTRICTED, &[congested], Some(0)).1, "congested");
        let ignoring = CostFlags::UNRESTRICTED | CostFlags::IGNORE_CONGESTION;
        assert_eq!(judge(ignoring, &[congested], Some(0)).0, Verdict::Allow);
    }

    #[test]
    fn the_interface_of_the_route_counts_even_if_another_is_cheaper() {
        let interfaces = [interface(CostState::Unrestricted), interface(CostState::UsageBased)];
        assert_eq!(judge(STANDARD, &interfaces, Some(1)).0, Verdict::Allow);
        assert_eq!(judge(CostFlags::UNRESTRICTED, &interfaces, Some(1)).1, "cost_usage_based");
    }

    #[test]
    fn without_a_route_the_cheapest_interface_counts() {
        let interfaces = [interface(CostState::UsageBased), interface(CostState::BelowCap)];
        assert_eq!(judge(CostFlags::BELOW_CAP, &interfaces, None).0, Verdict::Allow);
        assert_eq!(judge(CostFlags::BELOW_CAP, &interfaces, Some(7)).0, Verdict::Allow, "a route that is not there");
        let abroad =
            [Interface { roaming: true, ..interface(CostState::Unrestricted) }, interface(CostState::UsageBased)];
        assert_eq!(judge(CostFlags::USAGE_BASED, &abroad, None).0, Verdict::Allow);
    }

    #[test]
    fn loopback_counts_only_as_the_route() {
        let interfaces = [
            Interface { name: "lo", loopback: true, ..interface(CostState::Unrestricted) },
            interface(CostState::UsageBased),
        ];
        assert_eq!(judge(CostFlags::UNRESTRICTED, &interfaces, None).1, "cost_usage_based");
        assert_eq!(judge(CostFlags::UNRESTRICTED, &interfaces, Some(0)).0, Verdict::Allow);
    }

    #[test]
    fn an_unknown_cost_counts_as_unrestricted() {
        assert_eq!(judge(CostFlags::UNRESTRICTED, &[], None).0, Verdict::Allow);
        assert_eq!(judge(CostFlags::USAGE_BASED, &[], None).1, "cost_unrestricted");
    }

    prop_compose! {
        fn any_interface()(loopback: bool, state in 0..7_usize, roaming: bool, congested: bool) -> Interface<'static> {
            Interface { name: "wwan0", loopback, cost: STATES[state], roaming, congested }
        }
    }

    proptest! {
        #[test]
        fn more_flags_never_stop_a_job(
            interfaces in proptest::collection::vec(any_interface(), 0..4), route in proptest::option::of(0..5_u32), few: u32, more: u32,
        ) {
            let held = |flags| judge(flags, &interfaces, route).0 == Verdict::Hold;
            let few = CostFlags::from_bits(few);
            prop_assert!(held(few) || !held(few | CostFlags::from_bits(more)));
            prop_assert!(!held(ALWAYS));
        }
    }
}
