//! What may run now: gates are derived from the network as it is, never stored. A change is one generation, whatever the number of jobs.

use crate::clock::BootMillis;
use crate::job::CostFlags;
use crate::network::{Interface, Network};

/// The network, and how often it has changed.
#[derive(Debug)]
pub(super) struct Gates {
    network: Network,
    generation: u32,
    /// The last network that there was, and how many different ones in a row there were before it. An admission, or a hold, is about one of
    /// them; a gap without any does not make it another.
    known: Network,
    admissions: u32,
    /// How often the network came back, and [`Gates::online_ms`] when it last did.
    returns: u32,
    returned_ms: u64,
    /// Milliseconds without a network so far.
    offline_ms: u64,
    offline_since: Option<BootMillis>,
}

/// What a change of the network means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing changed.
    None,
    /// There is none any more.
    Lost,
    /// It is back.
    Back,
    /// There is one, as before, and something of it changed.
    Other,
}

impl Gates {
    pub(super) fn new() -> Self {
        let network = Network::default();
        Self {
            known: network.clone(),
            network,
            generation: 0,
            admissions: 0,
            returns: 0,
            returned_ms: 0,
            offline_ms: 0,
            offline_since: None,
        }
    }

    /// Takes the network as it is now.
    pub(super) fn change(&mut self, network: Network, now: BootMillis) -> Change {
        if self.network == network {
            return Change::None;
        }
        self.generation = self.generation.wrapping_add(1);
        if network.connected && network != self.known {
            self.known.clone_from(&network);
            self.admissions = self.admissions.wrapping_add(1);
        }
        let before = std::mem::replace(&mut self.network, network);
        match (before.connected, self.network.connected) {
            (true, true) => Change::Other,
            (false, false) => Change::None,
            (true, false) => {
                self.offline_since = Some(now);
                Change::Lost
            }
            (false, true) => {
                self.offline_ms = now.0.saturating_sub(self.online_ms(now));
                self.offline_since = None;
                self.returns = self.returns.wrapping_add(1);
                self.returned_ms = self.online_ms(now);
                Change::Back
            }
        }
    }

    pub(super) const fn network(&self) -> &Network {
        &self.network
    }

    pub(super) const fn connected(&self) -> bool {
        self.network.connected
    }

    /// Counts the changes.
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// The number of the last network that there was: what admissions and holds are about.
    pub(super) const fn admissions(&self) -> u32 {
        self.admissions
    }

    /// How often the network came back. What has waited for a retry or for a network since before the last time need not wait any more.
    pub(super) const fn returns(&self) -> u32 {
        self.returns
    }

    /// [`Gates::online_ms`] when the network last came back.
    pub(super) const fn returned_ms(&self) -> u64 {
        self.returned_ms
    }

    /// The boot clock without the time in which there was no network: what `no_progress_timeout` counts by.
    pub(super) fn online_ms(&self, now: BootMillis) -> u64 {
        self.offline_since.unwrap_or(now).0.saturating_sub(self.offline_ms)
    }

    /// Whether a job with such flags may run on the present network (bits.md section 4). This only names the gate of a job that is
    /// held; whether it is held the policies decide.
    pub(super) fn cost_allows(&self, flags: CostFlags) -> bool {
        let route = self.network.route.and_then(|route| self.network.interfaces.get(usize::try_from(route).ok()?));
        let Some(Interface { cost, roaming, congested, .. }) = route.or_else(|| self.network.interfaces.first()) else {
            return true;
        };
        flags.contains(CostFlags::of(*cost))
            && (!roaming || flags.contains(CostFlags::ROAMING))
            && (!congested || flags.contains(CostFlags::IGNORE_CONGESTION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::CostState;

    fn network(cost: CostState) -> Network {
        Network { interfaces: vec![Interface { cost, ..Interface::default() }], ..Network::default() }
    }

    #[test]
    fn a_change_is_told_by_what_it_means() {
        let mut gates = Gates::new();
        let lost = Network { connected: false, ..Network::default() };
        assert_eq!(gates.change(Network::default(), BootMillis(0)), Change::None);
        assert_eq!(gates.generation(), 0);
        assert_eq!(gates.change(lost.clone(), BootMillis(100)), Change::Lost);
        assert_eq!(gates.change(lost, BootMillis(150)), Change::None);
        assert_eq!(gates.online_ms(BootMillis(200)), 100);
        assert_eq!(gates.change(Network::default(), BootMillis(300)), Change::Back);
        assert_eq!(gates.online_ms(BootMillis(300)), 100);
        assert_eq!(gates.online_ms(BootMillis(350)), 150);
        assert_eq!(gates.change(network(CostState::NearCap), BootMillis(400)), Change::Other);
        assert_eq!(
            (gates.generation(), gates.admissions(), gates.returns()),
            (3, 1, 1),
            "a gap makes no other network"
        );
    }

    #[test]
    fn cost_flags_name_the_gate() {
        let mut gates = Gates::new();
        let _ = gates.change(network(CostState::UsageBased), BootMillis(0));
        assert!(gates.cost_allows(CostFlags::ALWAYS));
        assert!(!gates.cost_allows(CostFlags::UNRESTRICTED));
        let mut roaming = network(CostState::Unrestricted);
        roaming.interfaces[0].roaming = true;
        let _ = gates.change(roaming, BootMillis(0));
        assert!(!gates.cost_allows(CostFlags::NOT_ROAMING));
        let _ = gates.change(Network { interfaces: vec![], ..Network::default() }, BootMillis(0));
        assert!(gates.cost_allows(CostFlags(0)));
    }
}
