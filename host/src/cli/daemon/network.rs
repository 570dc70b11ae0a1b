//! `network show` and `network set`.

use super::Session;
use super::arguments::{NetworkCommand, OutputArguments, SetNetworkArguments};
use super::table;
use crate::api::wire::{NetworkOverride, NetworkView};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::network::Network;

/// How the result is printed.
pub(super) const fn output(arguments: &super::NetworkArguments) -> OutputArguments {
    match &arguments.command {
        NetworkCommand::Show { output } | NetworkCommand::Set(SetNetworkArguments { output, .. }) => *output,
    }
}

/// Shows the network, after what is to be said of it.
pub(super) async fn network(session: &Session<'_>, command: &NetworkCommand) -> Result<ExitCode, Failure> {
    let network = match command {
        NetworkCommand::Show { .. } => session.client.network().await?,
        NetworkCommand::Set(SetNetworkArguments { network: Some(network), .. }) => {
            session.client.set_network(&said(network)).await?
        }
        NetworkCommand::Set(_) => session.client.network_default().await?,
    };
    table::print_one(session.format, &pairs(&network), &network, session.printer);
    Ok(ExitCode::Success)
}

fn said(network: &Network) -> NetworkOverride {
    let interface = network.interfaces.first();
    NetworkOverride {
        connected: Some(network.connected),
        cost: interface.map(|interface| interface.cost),
        roaming: interface.map(|interface| interface.roaming),
        congested: interface.map(|interface| interface.congested),
    }
}

fn pairs(network: &NetworkView) -> Vec<(&'static str, String)> {
    let yes = |holds: bool| (if holds { "yes" } else { "no" }).to_owned();
    let cost = serde_json::to_value(network.cost).ok().and_then(|cost| Some(cost.as_str()?.to_owned()));
    vec![
        ("connected", yes(network.connected)),
        ("cost", cost.unwrap_or_default()),
        ("roaming", yes(network.roaming)),
        ("congested", yes(network.congested)),
        ("said by somebody", yes(network.overridden)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::get::parse_network;
    use crate::job::CostState;

    #[test]
    fn what_is_said_is_the_whole_network() {
        let offline = said(&parse_network("offline").unwrap());
        assert_eq!(offline, NetworkOverride { connected: Some(false), ..NetworkOverride::default() });
        let roaming = said(&parse_network("near-cap,roaming").unwrap());
        assert_eq!(
            (roaming.cost, roaming.roaming, roaming.congested),
            (Some(CostState::NearCap), Some(true), Some(false))
        );
    }
}
