//! What supervisors and monitors ask.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::state::App;
use super::wire::Health;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(document))
}

/// Tell whether the host lives
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "host",
    responses((status = 200, description = "It does.", body = Health)))]
async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok".into() })
}

/// Tell whether the host can take work
///
/// 503 `store_unavailable` while the store cannot be written: what is there stays readable, and nothing new is taken.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "host",
    responses((status = 200, description = "It can.", body = Health)))]
async fn readyz(State(app): State<App>) -> Result<axum::Json<Health>, Refusal> {
    if app.stopping.is_cancelled() {
        return Err(Refusal::stopping());
    }
    let why = app.host.degraded().borrow().clone();
    match why {
        Some(why) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", why)),
        None => Ok(axum::Json(Health { status: "ready".into() })),
    }
}

/// Get the numbers of the host
///
/// Who does not see everybody's jobs is told the numbers of its own.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "host",
    responses((status = 200, description = "In the text form of Prometheus.", body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(app): State<App>, peer: Peer) -> Result<Response, Refusal> {
    const TYPE: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = app
        .metrics
        .text(&app.host, peer.caller().own().as_deref())
        .map_err(|_| Refusal::internal("the metrics have no text form"))?;
    Ok(([(header::CONTENT_TYPE, TYPE)], text).into_response())
}

/// Get this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "host",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
async fn document(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], app.document.clone()).into_response()
}
