//! The network as the host sees it, what somebody says of it, and the policies that are loaded.

use axum::Json as Answer;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::Json;
use super::state::App;
use super::views;
use super::wire::{NetworkOverride, NetworkView, PolicyView};
use crate::clock::Now;
use crate::network::{Interface, Network};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(set, unset)).routes(routes!(policies))
}

/// Get the network that jobs are admitted by
#[utoipa::path(get, path = "/v1/network", operation_id = "get_network", tag = "network",
    responses((status = 200, description = "The network.", body = NetworkView)))]
async fn get(State(app): State<App>) -> Answer<NetworkView> {
    Answer(views::network(&app.host.network()))
}

/// Say what the network is
///
/// It holds, over restarts, until it is taken back. Jobs that may not run on such a network stop at a checkpoint.
#[utoipa::path(put, path = "/v1/network/override", operation_id = "set_network_override", tag = "network",
    request_body = NetworkOverride,
    responses((status = 200, description = "The network as it is now.", body = NetworkView)))]
async fn set(State(app): State<App>, request: Json<NetworkOverride>) -> Result<Answer<NetworkView>, Refusal> {
    let said = request.value;
    let interface = Interface {
        name: "default".into(),
        cost: said.cost.unwrap_or_default(),
        roaming: said.roaming.unwrap_or_default(),
        congested: said.congested.unwrap_or_default(),
        ..Interface::default()
    };
    let network = match said.connected {
        Some(false) => Network { connected: false, interfaces: Vec::new(), route: None, ..Network::default() },
        _ => Network { interfaces: vec![interface], ..Network::default() },
    };
    app.host.set_network_override(Some(network)).await?;
    Ok(Answer(views::network(&app.host.network())))
}

/// Take back what was said of the network
#[utoipa::path(delete, path = "/v1/network/override", operation_id = "delete_network_override", tag = "network",
    responses((status = 200, description = "The network as it is now.", body = NetworkView)))]
async fn unset(State(app): State<App>) -> Result<Answer<NetworkView>, Refusal> {
    app.host.set_network_override(None).await?;
    Ok(Answer(views::network(&app.host.network())))
}

/// List the policies that the host has loaded
#[utoipa::path(get, path = "/v1/policies", operation_id = "list_policies", tag = "policies",
    responses((status = 200, description = "The policies, by name.", body = Vec<PolicyView>)))]
async fn policies(State(app): State<App>) -> Answer<Vec<PolicyView>> {
    Answer(app.host.policies(Now::read().wall).iter().map(views::policy).collect())
}
