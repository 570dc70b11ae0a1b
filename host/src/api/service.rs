//! Answers the requests of one connection: polls by a shortcut, everything else by the router.

use std::convert::Infallible;
use std::future::Ready;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::conditional::Tagged;
use super::connection::{Activity, Peer};
use super::door::Door;
use super::error::Refusal;
use super::extract::job_id;
use super::poll::{published_progress, published_state};
use super::state::App;
use crate::access::needs;

/// What answers one connection.
#[derive(Debug, Clone)]
pub(super) struct ConnectionService {
    pub(super) app: App,
    pub(super) router: TowerToHyperService<Router>,
    pub(super) door: Door,
    pub(super) activity: Arc<Activity>,
}

/// The body of an answer of the shortcut, or of the router.
type AnswerBody = http_body_util::Either<Full<Bytes>, Body>;
type Answer = Result<http::Response<AnswerBody>, Infallible>;
type RouterFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Service<Request<Incoming>> for ConnectionService {
    type Response = http::Response<AnswerBody>;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, RouterFuture>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (peer, mut request) = match self.door.admit(&self.app, request) {
            Ok(admitted) => admitted,
            Err(refused) => {
                self.activity.end_answer();
                return Either::Left(std::future::ready(Ok(refused.map(http_body_util::Either::Right))));
            }
        };
        if let Some(tagged) = poll(&self.app, &peer, &request) {
            self.app.metrics.polled.inc();
            let answer = short(tagged, request.headers());
            self.activity.end_answer();
            return Either::Left(std::future::ready(Ok(answer.map(http_body_util::Either::Left))));
        }
        self.activity.begin_answer();
        request.extensions_mut().insert(peer);
        let (router, activity) = (self.router.clone(), Arc::clone(&self.activity));
        let limit = self.app.settings.request_timeout;
        Either::Right(Box::pin(async move {
            let response = match tokio::time::timeout(limit, router.call(request)).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => timed_out(),
            };
            activity.end_answer();
            Ok(response.map(http_body_util::Either::Right))
        }))
    }
}

fn timed_out() -> Response {
    let detail = "the answer took too long; what was asked for goes on, and the job shows what became of it";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", detail).into_response()
}

/// The answer to a plain GET of the state or the progress of a job that is not final. It is what clients ask a thousand times a second:
/// past the router, whose matching and extractors cost more than the answer itself. Everything else takes the long way.
fn poll(app: &App, peer: &Peer, request: &Request<Incoming>) -> Option<Tagged> {
    /// Length of an id.
    const ID: usize = 36;
    let rest = request.uri().path().strip_prefix("/v1/jobs/")?;
    let represent = match rest.get(ID..)? {
        "/state" => published_state,
        "/progress" => published_progress,
        _ => return None,
    };
    let is_plain = request.method() == Method::GET
        && request.uri().query().is_none()
        && !request.headers().contains_key("prefer")
        && request.body().is_end_stream();
    if !is_plain {
        return None;
    }
    // Who may not see it is told so by the router, in the words that all others hear.
    let caller = peer.caller();
    let snapshot = app.host.job(job_id(&rest[..ID])?).filter(|snapshot| caller.sees(&snapshot.record.owner))?;
    let is_allowed = needs("GET", "/v1/jobs/{id}/state").is_some_and(|needs| needs.met_by(caller.scopes));
    is_allowed.then(|| represent(&snapshot))
}

fn short(tagged: Tagged, headers: &http::HeaderMap) -> http::Response<Full<Bytes>> {
    let known = headers.contains_key(header::IF_NONE_MATCH) && tagged.is_known(headers);
    let Tagged { body, tag } = tagged;
    let mut response = http::Response::new(Full::new(if known { Bytes::new() } else { body }));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(header::ETAG, tag);
    response
}
