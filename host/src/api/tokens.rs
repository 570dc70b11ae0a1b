//! Tokens: make, list, take back. For administrators.

use axum::Json as Answer;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::extract::Json;
use super::intake::Check;
use super::state::App;
use super::wire::{CreatedToken, NewToken, Time, TokenView};
use crate::access::{Scope, Scopes, TokenName, TokenRecord};
use crate::clock::Now;
use crate::host::TokenError;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

fn view(record: &TokenRecord) -> TokenView {
    TokenView {
        name: record.name.to_string(),
        scopes: record.scopes.iter().collect(),
        created_at: Time(record.created_at),
        expires_at: record.expires_at.map(Time),
        expired: !record.is_valid(Now::read().wall),
    }
}

/// List the tokens
///
/// By name, without what stands for them: nobody can be shown that again.
#[utoipa::path(get, path = "/v1/tokens", operation_id = "list_tokens", tag = "tokens",
    responses((status = 200, description = "The tokens.", body = Vec<TokenView>)))]
async fn list(State(app): State<App>) -> Answer<Vec<TokenView>> {
    Answer(app.host.tokens().list().iter().map(view).collect())
}

/// Make a token
///
/// Its secret is in the answer, and nowhere else: only a digest of it is kept.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "create_token", tag = "tokens", request_body = NewToken,
    responses(
        (status = 201, description = "The token is made.", body = CreatedToken),
        (status = 409, description = "There is a token of the name (`token_exists`), or there are too many (`too_many_tokens`)."),
    ))]
async fn create(State(app): State<App>, peer: Peer, request: Json<NewToken>) -> Result<Response, Refusal> {
    let NewToken { name, scopes, expires_in } = request.value;
    let mut check = Check::default();
    let name = name.parse::<TokenName>().map_err(|error| check.refuse("/name", error)).ok();
    if !(1..=Scope::ALL.len()).contains(&scopes.len()) {
        check.refuse("/scopes", "must name 1 to 4 of read, jobs, policies, admin");
    }
    let scopes: Scopes = scopes.into_iter().collect();
    let lifetime_ms = check.duration("/expires_in", expires_in);
    let Some(name) = check.done(name)? else {
        return Err(Refusal::internal("a name that was refused was not reported"));
    };
    let (secret, record) = app.host.tokens().create(name, scopes, lifetime_ms).await?;
    tracing::info!(token = %record.name, scopes = %record.scopes, by = peer.owner(), "made a token");
    let created = CreatedToken { token: view(&record), secret: secret.expose().to_owned() };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Answer(created)).into_response())
}

/// Revoke a token
///
/// The next request with it is refused, and its streams end. Its jobs stay: a new token of the same name has them.
#[utoipa::path(delete, path = "/v1/tokens/{name}", operation_id = "revoke_token", tag = "tokens",
    params(("name" = String, Path, description = "The token's name.")),
    responses(
        (status = 204, description = "It is worth nothing any more."),
        (status = 404, description = "There is no such token (`token_not_found`)."),
    ))]
async fn revoke(State(app): State<App>, peer: Peer, TokenPath(name): TokenPath) -> Result<StatusCode, Refusal> {
    app.host.tokens().revoke(&name).await?;
    tracing::info!(token = %name, by = peer.owner(), "revoked a token");
    Ok(StatusCode::NO_CONTENT)
}

/// The token that a path names.
#[derive(Debug)]
struct TokenPath(TokenName);

impl<S: Send + Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "token_not_found", "there is no token of this name");
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| missing())?;
        name.parse().map(Self).map_err(|_| missing())
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::Exists(_) => Self::new(StatusCode::CONFLICT, "token_exists", text),
            TokenError::TooMany => Self::new(StatusCode::CONFLICT, "too_many_tokens", text),
            TokenError::Missing(_) => Self::new(StatusCode::NOT_FOUND, "token_not_found", text),
            TokenError::Random(_) => Self::internal("the system gave no random bytes for a token"),
            TokenError::Store(error) => error.into(),
        }
    }
}
