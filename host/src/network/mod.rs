//! What the network costs, and whether there is one. Until the host can sense it, an operator says it.

use serde::{Deserialize, Serialize};

use crate::job::CostState;

/// What carries the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum InterfaceKind {
    #[default]
    Unknown,
    Ethernet,
    Wifi,
    Cellular,
    Satellite,
    Tunnel,
    Loopback,
}

/// One way out of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, for example `wlan0`.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// What its traffic costs now.
    pub cost: CostState,
    /// Whether it roams.
    pub roaming: bool,
    /// Whether the network reports congestion.
    pub congested: bool,
}

/// The network as the core sees it. Equal values are the same network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Whether there is one.
    pub connected: bool,
    /// At most 16.
    pub interfaces: Vec<Interface>,
    /// Index of the interface that carries the traffic, where the host can tell.
    pub route: Option<u32>,
    /// Whether the machine runs on its battery.
    pub on_battery: bool,
    /// Whether the battery is being saved.
    pub battery_saver: bool,
    /// Charge in percent, where there is a battery.
    pub battery_percent: Option<u8>,
}

impl Default for Network {
    /// Connected, unrestricted: what a server has, and what holds until somebody says otherwise.
    fn default() -> Self {
        Self {
            connected: true,
            interfaces: vec![Interface { name: "default".into(), ..Interface::default() }],
            route: Some(0),
            on_battery: false,
            battery_saver: false,
            battery_percent: None,
        }
    }
}
