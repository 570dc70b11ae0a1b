//! All routes, and the document that describes them: made of the same declarations, so that they cannot differ.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use super::connection::Peer;
use super::error::Refusal;
use super::state::App;
use super::{document, events, files, headers, health, jobs, network, poll, steer, story, tokens, webhooks};
use crate::access::needs;

/// The routes without their state, and the document as JSON.
pub(super) fn build() -> (Router<App>, Bytes) {
    let routes = OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(jobs::routes())
        .merge(steer::routes())
        .merge(poll::routes())
        .merge(files::routes())
        .merge(headers::routes())
        .merge(story::routes())
        .merge(events::routes())
        .merge(network::routes())
        .merge(webhooks::routes())
        .merge(tokens::routes())
        .merge(health::routes());
    let (router, mut document) = routes.split_for_parts();
    document::describe_refusals(&mut document);
    let json = serde_json::to_vec_pretty(&document).expect("plain data with text keys always has a JSON form");
    let router = router.fallback(no_route).method_not_allowed_fallback(no_method);
    (router, json.into())
}

/// Refuses what callers may not do, and counts what is answered.
pub(super) fn guarded(router: Router<App>, app: App) -> Router<App> {
    let guard = middleware::from_fn_with_state(app.clone(), guard);
    router.layer(guard).layer(middleware::from_fn_with_state(app, count))
}

/// Looks up the rule of the route: before anything of the request is read.
async fn guard(peer: Peer, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let needs = route.and_then(|route| needs(request.method().as_str(), route));
    match needs.filter(|needs| !needs.met_by(peer.caller().scopes)) {
        Some(needs) => Refusal::scope_missing(needs).into_response(),
        None => next.run(request).await,
    }
}

async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    app.metrics.answered(&method, route.as_ref().map_or("other", MatchedPath::as_str), response.status());
    response
}

async fn no_route() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "there is nothing under this path; /openapi.json lists what there is",
    )
}

async fn no_method() -> Refusal {
    let detail = "this path does not take the method; the field Allow says which ones it takes";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
