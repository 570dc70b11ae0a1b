//! Sends requests over the unix socket or TCP, repeats those that may be, and sorts what comes back.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect;
use tokio::time::{sleep, timeout};
use url::Url;

use super::ClientError;
use super::endpoint::{Endpoint, Token};
use super::request::{Answer, Repeat, Request};
use crate::api::wire::Problem;

/// A name is needed for the Host field; the socket decides who answers.
const LOCAL: &str = "http://localhost";

/// Connecting to a local socket takes microseconds; a daemon whose queue stays full for so long is in trouble.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon sends a heartbeat well within it: a stream that is silent for so long is dead.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(60);

/// Bytes of an answer: the largest page of the API is far smaller.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Milliseconds before each repeat of a request whose connection broke: in all about the 5 s that a daemon has to stop, and what
/// it needs to start again.
const REPEATS_MS: [u64; 7] = [20, 100, 300, 1000, 2000, 3000, 4000];

/// The HTTP clients of one daemon.
#[derive(Debug)]
pub(super) struct Transport {
    endpoint: Endpoint,
    /// What stands before the path.
    base: String,
    calls: reqwest::Client,
    /// With a limit of silence instead of one for the whole.
    streams: reqwest::Client,
}

impl Transport {
    pub(super) fn unix(socket: PathBuf) -> Result<Self, ClientError> {
        // Certificates play no part on a local socket; reading the system's would take longer than the call.
        let builder = || common().tls_certs_only([]).unix_socket(socket.clone());
        Self::of(Endpoint::Socket(socket.clone()), LOCAL.to_owned(), builder)
    }

    pub(super) fn remote(url: &Url, token: &Token) -> Result<Self, ClientError> {
        let fields = HeaderMap::from_iter([(AUTHORIZATION, token.value().clone())]);
        let base = url.origin().ascii_serialization();
        Self::of(Endpoint::Url(base.clone()), base, || common().default_headers(fields.clone()))
    }

    fn of(endpoint: Endpoint, base: String, builder: impl Fn() -> reqwest::ClientBuilder) -> Result<Self, ClientError> {
        let setup = |error: reqwest::Error| ClientError::Setup(causes(&error));
        let calls = builder().build().map_err(setup)?;
        let streams = builder().read_timeout(STREAM_SILENCE_MAX).build().map_err(setup)?;
        Ok(Self { endpoint, base, calls, streams })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request, and again while its connection breaks, if it may be repeated.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        let mut result = self.once(&request).await;
        // Only what was there is worth it: where nobody listens at first, that is the answer.
        if !may_be_repeated(&result, &request) {
            return result;
        }
        for pause in REPEATS_MS {
            sleep(Duration::from_millis(pause)).await;
            result = outcome(result, self.once(&request).await);
            if !may_be_repeated(&result, &request) {
                break;
            }
        }
        result
    }

    async fn once(&self, request: &Request) -> Result<Answer, ClientError> {
        let operation = request.operation();
        let exchange = async {
            let response = self.built(&self.calls, request).send().await;
            let mut response = response.map_err(|error| self.failed(&operation, &error))?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&operation, &error))? {
                if body.len() + chunk.len() > BODY_BYTES_MAX {
                    let what = format!("more than {BODY_BYTES_MAX} bytes");
                    return Err(ClientError::Unexpected { operation: operation.clone(), what });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Answer { operation: operation.clone(), status, headers, body })
        };
        let late = || ClientError::Timeout { operation: operation.clone(), limit: request.timeout };
        let answer = timeout(request.timeout, exchange).await.map_err(|_| late())??;
        checked(answer)
    }

    /// Opens a stream: its head is there when this returns.
    pub(super) async fn stream(&self, request: Request) -> Result<reqwest::Response, ClientError> {
        let operation = request.operation();
        let opened = timeout(request.timeout, self.built(&self.streams, &request).send()).await;
        let late = || ClientError::Timeout { operation: operation.clone(), limit: request.timeout };
        let response = opened.map_err(|_| late())?.map_err(|error| self.failed(&operation, &error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = timeout(request.timeout, response.bytes()).await.map_err(|_| late())?;
        let body = body.map_err(|error| self.failed(&operation, &error))?.to_vec();
        checked(Answer { operation: operation.clone(), status, headers, body })?;
        Err(ClientError::Unexpected { operation, what: format!("status {status} instead of a stream") })
    }

    fn built(&self, http: &reqwest::Client, request: &Request) -> reqwest::RequestBuilder {
        let Request { method, path, query, headers, body, .. } = request;
        let mut all: HeaderMap = headers.clone();
        all.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if body.is_some() {
            all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let built = http.request(method.clone(), format!("{}{path}", self.base)).query(query).headers(all);
        match body {
            Some(body) => built.body(body.clone()),
            None => built,
        }
    }

    fn failed(&self, operation: &str, error: &reqwest::Error) -> ClientError {
        let (daemon, reason) = (self.endpoint.clone(), reason(error));
        if error.is_connect() {
            ClientError::CannotConnect { daemon, reason }
        } else {
            ClientError::Broken { daemon, operation: operation.to_owned(), reason }
        }
    }
}

/// What holds for every daemon.
fn common() -> reqwest::ClientBuilder {
    // Fails if a provider was installed before, by whoever embeds this library: theirs is used then.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("backhaul/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
}

/// Whether the daemon went away in the middle, and the request does no harm if it was carried out all the same.
fn may_be_repeated(result: &Result<Answer, ClientError>, request: &Request) -> bool {
    let went_away = match result {
        Err(ClientError::Broken { .. }) => true,
        Err(ClientError::Problem { problem, .. }) => problem.status == 503 && problem.code == "stopping",
        _ => false,
    };
    went_away && request.repeat == Repeat::Allowed
}

/// What is known after one more try. Where nobody listens, what became of the try before is still the question: it must not be told as
/// if nothing had been sent.
fn outcome(before: Result<Answer, ClientError>, repeated: Result<Answer, ClientError>) -> Result<Answer, ClientError> {
    match repeated {
        Err(ClientError::CannotConnect { .. }) => before,
        repeated => repeated,
    }
}

/// The answer, or the problem that it is.
fn checked(answer: Answer) -> Result<Answer, ClientError> {
    if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let Answer { operation, status, headers, body } = answer;
    let is_problem =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/problem+json"));
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) if is_problem => Err(ClientError::Problem { operation, problem: Box::new(problem) }),
        _ => Err(ClientError::Unexpected { operation, what: format!("status {status} without a problem to say why") }),
    }
}

/// What the system said where it did, else all that is known.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(system) = error.downcast_ref::<io::Error>()
            && system.raw_os_error().is_some()
        {
            // Sockets are their owners' only: starting a daemon that runs already would not help.
            let whose =
                if system.kind() == io::ErrorKind::PermissionDenied { ", for it is another user's" } else { "" };
            return format!("{system}{whose}");
        }
        cause = error.source();
    }
    causes(error)
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_doubt_stays_so_while_nobody_listens() {
        let daemon = Endpoint::Socket("/s".into());
        let broken = || Err(ClientError::Broken { daemon: daemon.clone(), operation: "x".into(), reason: "y".into() });
        let nobody = || Err(ClientError::CannotConnect { daemon: daemon.clone(), reason: "z".into() });
        let late = || Err(ClientError::Timeout { operation: "x".into(), limit: Duration::ZERO });
        assert!(matches!(outcome(broken(), nobody()), Err(ClientError::Broken { .. })));
        assert!(matches!(outcome(broken(), late()), Err(ClientError::Timeout { .. })));
    }
}
