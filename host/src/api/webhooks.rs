//! Webhooks: receivers that events are posted to. Each user has their own, and learns nothing of others'; administrators see them
//! all. They are told of their owner's jobs, whoever looks at them.

use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, Uri, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::extract::{Json, job_id};
use super::intake::Check;
use super::query::Query;
use super::state::App;
use super::views;
use super::wire::{
    CreatedWebhook, DeliveryPage, DeliveryView, NewWebhook as NewView, Seconds, TestedWebhook, WebhookList,
    WebhookPatch, WebhookView,
};
use crate::job::EventKind;
use crate::notify::{
    DEFAULT_KINDS, DeliveryState, NewWebhook, Secret, Tested, WebhookChanges, WebhookError, WebhookId, WebhookStatus,
    is_kind,
};

/// Deliveries of a page: some 100 KiB of JSON.
const PAGE_MAX: u64 = 200;
const PAGE_DEFAULT: u64 = 50;
/// The journal's numbers stay below 2^53, as every number of the API.
const NUMBER_MAX: u64 = crate::job::limits::GUEST_NUMBER_MAX;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change, remove))
        .routes(routes!(test))
        .routes(routes!(deliveries))
        .routes(routes!(resend))
}

/// The webhook that a path names.
#[derive(Debug, Clone, Copy)]
struct WebhookPath(WebhookId);

impl<S: Send + Sync> FromRequestParts<S> for WebhookPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| Refusal::no_webhook_id())?;
        webhook_id(&id).map(Self).ok_or_else(Refusal::no_webhook_id)
    }
}

/// The delivery that a path names.
#[derive(Debug, Clone, Copy)]
struct DeliveryPath(WebhookId, u64);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((id, number)) = path.map_err(|_| Refusal::no_webhook_id())?;
        let webhook = webhook_id(&id).ok_or_else(Refusal::no_webhook_id)?;
        let number = number.parse().ok().filter(|number| *number <= NUMBER_MAX);
        let none = || {
            let detail = format!("webhook {webhook} has no such delivery: it is named by the number of its event");
            Refusal::new(StatusCode::NOT_FOUND, "delivery_not_found", detail)
        };
        Ok(Self(webhook, number.ok_or_else(none)?))
    }
}

/// Reads an id in its one written form, which is that of jobs.
fn webhook_id(text: &str) -> Option<WebhookId> {
    job_id(text).map(|id| WebhookId(id.0))
}

/// Create a webhook
///
/// Events of the caller's jobs are posted to it from now on, as Standard Webhooks 1.0.0 says: `webhook-id`, which stays the same when a
/// delivery is repeated, `webhook-timestamp` and `webhook-signature`. This answer alone has the secret.
#[utoipa::path(post, path = "/v1/webhooks", operation_id = "create_webhook", tag = "webhooks", request_body = NewView,
    responses(
        (status = 201, description = "The webhook is created.", body = CreatedWebhook,
            headers(("Location" = String, description = "The webhook's path."))),
        (status = 409, description = "There are as many webhooks as are allowed (`too_many_webhooks`)."),
    ))]
async fn create(State(app): State<App>, peer: Peer, request: Json<NewView>) -> Result<Response, Refusal> {
    let NewView { url, secret, kinds, labels, enabled } = request.value;
    let mut check = Check::default();
    let url = check.webhook_url(&url);
    let secret = secret.map(|secret| check.keep("/secret", Secret::parse(&secret)));
    let kinds = kinds.map_or_else(|| DEFAULT_KINDS.map(str::to_owned).to_vec(), |kinds| checked(kinds, &mut check));
    let labels = check.labels(labels);
    let Some(url) = check.done(url)? else { return Err(Refusal::internal("a URL that was not refused is missing")) };
    let new = NewWebhook { owner: peer.owner(), url, secret: secret.flatten(), kinds, labels, enabled };
    let status = app.host.webhooks().create(new).await?;
    let secret = status.webhook.secret.expose_text();
    let location = format!("/v1/webhooks/{}", status.webhook.id);
    let location = HeaderValue::try_from(location).expect("a path with a UUID is visible ASCII");
    // Nobody in between is to keep the secret.
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = axum::Json(CreatedWebhook { webhook: views::webhook(&status), secret });
    Ok((StatusCode::CREATED, [(header::LOCATION, location), no_store], body).into_response())
}

/// List webhooks
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    responses((status = 200, description = "The caller's webhooks, oldest first; those of all users for an administrator.", body = WebhookList)))]
async fn list(State(app): State<App>, peer: Peer) -> Result<Response, Refusal> {
    let webhooks = app.host.webhooks().list(own(&peer).as_deref()).await?;
    Ok(axum::Json(WebhookList { webhooks: webhooks.iter().map(views::webhook).collect() }).into_response())
}

/// Get a webhook
#[utoipa::path(get, path = "/v1/webhooks/{id}", operation_id = "get_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "The webhook's id.")),
    responses((status = 200, description = "The webhook.", body = WebhookView)))]
async fn get(State(app): State<App>, peer: Peer, WebhookPath(id): WebhookPath) -> Result<Response, Refusal> {
    Ok(shown(&app.host.webhooks().get(own(&peer).as_deref(), id).await?))
}

/// Change a webhook
///
/// What waits for a webhook stays when it is disabled, and is delivered when it is enabled again.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", operation_id = "change_webhook", tag = "webhooks", request_body = WebhookPatch,
    params(("id" = WebhookId, Path, description = "The webhook's id.")),
    responses((status = 200, description = "The webhook.", body = WebhookView)))]
async fn change(
    State(app): State<App>,
    peer: Peer,
    WebhookPath(id): WebhookPath,
    request: Json<WebhookPatch>,
) -> Result<Response, Refusal> {
    let WebhookPatch { url, kinds, labels, enabled } = request.value;
    let mut check = Check::default();
    let url = url.map(|url| check.webhook_url(&url));
    let kinds = kinds.map(|kinds| checked(kinds, &mut check));
    let labels = labels.map(|labels| check.labels(labels));
    let changes = check.done(WebhookChanges { url: url.flatten(), kinds, labels, enabled })?;
    Ok(shown(&app.host.webhooks().change(own(&peer).as_deref(), id, changes).await?))
}

/// Remove a webhook
///
/// With everything that it was still to be told.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", operation_id = "remove_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "The webhook's id.")),
    responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, peer: Peer, WebhookPath(id): WebhookPath) -> Result<StatusCode, Refusal> {
    app.host.webhooks().remove(own(&peer).as_deref(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test to a webhook
///
/// Now and once, signed like an event, with the type `test`. The answer says what the receiver said.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", operation_id = "test_webhook", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "The webhook's id.")),
    responses((status = 200, description = "What became of it.", body = TestedWebhook)))]
async fn test(State(app): State<App>, peer: Peer, WebhookPath(id): WebhookPath) -> Result<Response, Refusal> {
    let Tested { delivered, status, problem, took } = app.host.webhooks().test(own(&peer).as_deref(), id).await?;
    let took = Seconds::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    Ok(axum::Json(TestedWebhook { delivered, status, problem, took }).into_response())
}

/// List what did not arrive
///
/// Deliveries that have failed, or those that are tried or wait. Each is named by the number of its event.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", operation_id = "list_deliveries", tag = "webhooks",
    params(
        ("id" = WebhookId, Path, description = "The webhook's id."),
        ("state" = Option<DeliveryState>, Query, description = "Which; `failed` if left out."),
        ("limit" = Option<u64>, Query, description = "Deliveries of a page; 50 if left out.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", pattern = "^(0|[1-9][0-9]{0,8})$"),
    ),
    responses((status = 200, description = "A page of deliveries.", body = DeliveryPage)))]
async fn deliveries(
    State(app): State<App>,
    peer: Peer,
    WebhookPath(id): WebhookPath,
    uri: Uri,
) -> Result<Response, Refusal> {
    let mut query = Query::of(&uri);
    let state = match query.one("state").as_deref() {
        None | Some("failed") => DeliveryState::Failed,
        Some("pending") => DeliveryState::Pending,
        Some(_) => {
            query.refuse("state", "must be one of failed, pending");
            DeliveryState::Failed
        }
    };
    let limit = query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    let after = query.number("cursor", 0..=NUMBER_MAX).unwrap_or(0);
    query.done(&["state", "limit", "cursor"])?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    // One more than the page shows whether there is another.
    let mut found = app.host.webhooks().deliveries(own(&peer).as_deref(), id, state, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| last.number.to_string());
    let deliveries = found.iter().map(views::delivery).collect();
    Ok(axum::Json(DeliveryPage { deliveries, next_cursor }).into_response())
}

/// Send a delivery again
///
/// At once: one that has failed is tried as often as a new one, one that waits does not wait any longer.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{n}/resend", operation_id = "resend_delivery", tag = "webhooks",
    params(
        ("id" = WebhookId, Path, description = "The webhook's id."),
        ("n" = u64, Path, description = "The number of the event.", minimum = 1, maximum = 9007199254740991_u64),
    ),
    responses((status = 200, description = "The delivery, which is pending now.", body = DeliveryView)))]
async fn resend(
    State(app): State<App>,
    peer: Peer,
    DeliveryPath(id, number): DeliveryPath,
) -> Result<Response, Refusal> {
    let resent = app.host.webhooks().resend(own(&peer).as_deref(), id, number).await?;
    Ok(axum::Json(views::delivery(&resent)).into_response())
}

/// The owner whose webhooks the caller sees; none if it sees everybody's.
fn own(peer: &Peer) -> Option<String> {
    peer.caller().own()
}

fn shown(status: &WebhookStatus) -> Response {
    axum::Json(views::webhook(status)).into_response()
}

/// Kinds of events, each once.
fn checked(mut kinds: Vec<String>, check: &mut Check) -> Vec<String> {
    if kinds.is_empty() {
        check.refuse("/kinds", "must name at least one kind; disable the webhook if it is to be told of nothing");
    }
    for (position, _) in kinds.iter().enumerate().filter(|(_, kind)| !is_kind(kind)) {
        check.refuse(format!("/kinds/{position}"), format_args!("must be one of {}", EventKind::NAMES.join(", ")));
    }
    let mut seen = std::collections::HashSet::new();
    kinds.retain(|kind| seen.insert(kind.clone()));
    kinds
}

impl From<WebhookError> for Refusal {
    fn from(error: WebhookError) -> Self {
        let text = error.to_string();
        match error {
            WebhookError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "webhook_not_found", text),
            WebhookError::NoDelivery { .. } => Self::new(StatusCode::NOT_FOUND, "delivery_not_found", text),
            WebhookError::TooMany(_) => Self::new(StatusCode::CONFLICT, "too_many_webhooks", text),
            WebhookError::PlainHttp | WebhookError::EgressDenied(_) => Self::field("/url", text),
            WebhookError::Randomness(detail) => Self::internal(&detail),
            WebhookError::Store(error) => error.into(),
            WebhookError::Stopping => Self::stopping(),
        }
    }
}
