//! Tokens in JSON.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Seconds, Time, strict};
use crate::access::Scope;

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: its jobs are owned by `token:NAME`.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$", example = "ci")]
    pub name: String,
    /// What it may do: at least one of `read`, `jobs`, `policies`, `admin`.
    #[serde(deserialize_with = "strict::words")]
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Vec<Scope>,
    /// Seconds until it is worth nothing; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Seconds>,
}

/// A token, without what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is worth nothing; null: never.
    pub expires_at: Option<Time>,
    /// Whether it is worth nothing any more.
    pub expired: bool,
}

/// A new token. What stands for it is shown here, and never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenView,
    /// What requests bring in `Authorization: Bearer`.
    pub secret: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}
