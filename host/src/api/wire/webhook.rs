//! Webhooks: receivers that events are posted to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::job::{labels_schema, optional_labels_schema};
use super::{EventView, Seconds, Time};
use crate::notify::{DeliveryState, WebhookId};

/// A webhook to be created. Only `url` is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where events are posted to. `https://`; `http://` only on this machine, unless the daemon is set otherwise. At most 8 KiB.
    #[schema(format = "uri", max_length = 8192, pattern = "^https?://")]
    pub url: String,
    /// What deliveries are signed with: `whsec_` and base64 of 24 to 64 bytes. One is drawn if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^whsec_(([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?|([A-Za-z0-9+/]{4}){21}([A-Za-z0-9+/][AQgw]==)?)$",
        example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    )]
    pub secret: Option<String>,
    /// The kinds of events, as the journal names them; `job_transferred`, `job_error`, `acknowledged` and `cancelled` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = optional_kinds_schema)]
    pub kinds: Option<Vec<String>>,
    /// Only events of jobs with each of these labels.
    #[serde(default)]
    #[schema(schema_with = labels_schema)]
    pub labels: BTreeMap<String, String>,
    /// Whether events are delivered at once; `true` if left out.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// Changes of a webhook. What is left out, or `null`, stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where events are posted to, from the next attempt on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 8192, pattern = "^https?://")]
    pub url: Option<String>,
    /// The kinds of events, from the next one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = optional_kinds_schema)]
    pub kinds: Option<Vec<String>>,
    /// Which jobs' events, from the next one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = optional_labels_schema)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether events are delivered. What happened since it was disabled is delivered once it is enabled, as far as the journal has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A webhook. Its secret is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is, and whose jobs it is told of.
    pub owner: String,
    /// Where events are posted to, without userinfo and query.
    pub url: String,
    /// The kinds of events.
    pub kinds: Vec<String>,
    /// Only events of jobs with each of these labels.
    #[schema(schema_with = labels_schema)]
    pub labels: BTreeMap<String, String>,
    /// Whether events are delivered.
    pub enabled: bool,
    /// Why the host has disabled it; `null` if it has not.
    pub disabled_because: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// Deliveries that are tried or wait.
    pub pending: u64,
    /// Deliveries that have failed; see the list of them.
    pub failed: u64,
    /// When a delivery last arrived since the daemon was started; `null` if none did.
    pub delivered_at: Option<Time>,
}

/// A webhook that was created, with its secret: this answer is the only one that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// What deliveries are signed with.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    pub secret: String,
}

/// The webhooks of a user, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// All of them: their number is limited.
    pub webhooks: Vec<WebhookView>,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestedWebhook {
    /// The receiver has it.
    pub delivered: bool,
    /// The status that the receiver answered with; `null` if it did not answer.
    pub status: Option<u16>,
    /// What went wrong; `null` if nothing did.
    pub problem: Option<String>,
    /// How long it took.
    pub took: Seconds,
}

/// An event on its way to a webhook, as far as it has not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// The event.
    pub event: EventView,
    /// `pending` or `failed`.
    #[schema(example = "failed")]
    pub state: DeliveryState,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it is tried next; `null` once it has failed. What waits for an earlier event of its job may be tried later.
    pub due_at: Option<Time>,
    /// When it was last tried; `null` if it was not yet.
    pub attempted_at: Option<Time>,
    /// The status that the receiver last answered with; `null` if it did not answer.
    pub status: Option<u16>,
    /// What went wrong last; `null` if nothing did yet.
    pub problem: Option<String>,
}

/// A page of deliveries, oldest event first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// Give it as `cursor` for the next page; `null` if there is none.
    pub next_cursor: Option<String>,
}

/// Names of kinds of events, or null.
fn optional_kinds_schema() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(crate::job::EventKind::NAMES));
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(kind)
        .min_items(Some(1))
        .max_items(Some(crate::job::EventKind::NAMES.len()))
        .build()
}
