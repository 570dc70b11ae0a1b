//! All routes, and the document that describes them: made of the same declarations, so that they cannot differ.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::StatusCode;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use super::error::Refusal;
use super::state::App;
use super::{document, events, files, headers, health, jobs, network, poll, steer, story, webhooks};

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
        .merge(health::routes());
    let (router, mut document) = routes.split_for_parts();
    document::describe_refusals(&mut document);
    let json = serde_json::to_vec_pretty(&document).expect("plain data with text keys always has a JSON form");
    let router = router.fallback(no_route).method_not_allowed_fallback(no_method);
    (router, json.into())
}

/// Counts what is answered.
pub(super) fn counted(router: Router<App>, app: App) -> Router<App> {
    router.layer(middleware::from_fn_with_state(app, count))
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
