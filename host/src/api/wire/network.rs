//! The network and the policies, as the host sees them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::strict;
use crate::job::CostState;

/// The network that jobs are admitted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// Whether there is one.
    pub connected: bool,
    /// What its traffic costs now.
    #[schema(example = "unrestricted")]
    pub cost: CostState,
    /// Whether it roams.
    pub roaming: bool,
    /// Whether it reports congestion.
    pub congested: bool,
    /// Whether somebody said so (`PUT /v1/network`), instead of the default.
    pub overridden: bool,
}

/// What somebody says of the network. `DELETE /v1/network/override` takes it back. It lasts until then, over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkOverride {
    /// Whether there is one; `true` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// What its traffic costs; `unrestricted` if left out.
    #[serde(default, deserialize_with = "strict::optional_word", skip_serializing_if = "Option::is_none")]
    #[schema(example = "near_cap")]
    pub cost: Option<CostState>,
    /// Whether it roams; `false` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
    /// Whether it reports congestion; `false` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congested: Option<bool>,
}

/// A policy that this host has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Its name, as jobs name it.
    pub name: String,
    /// By its own description.
    pub version: String,
    /// What it does, by its own description.
    pub summary: String,
    /// The hooks that it is asked by: `retry`, `network-cost`, `recovery`.
    pub hooks: Vec<String>,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// Whether it is asked for every job, before the job's own.
    pub assigned: bool,
    /// Whether it failed too often, and is not asked at present.
    pub quarantined: bool,
}

/// That the host lives, or can take work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok` or `ready`.
    #[schema(example = "ok")]
    pub status: String,
}
