//! The demo's origin: an HTTP server in this process, on two ports of the loopback interface, with an access log of its own.
//!
//! It owns its connections in a task that ends with [`Origin`]. Nothing of it is durable: see [`super::plan`].

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::content::{Content, LAST_MODIFIED, SIZE};
use super::plan::{Answer, Plan, Site, Status};
use crate::clock::{Now, UnixMillis};
use crate::job::SafeUrl;

/// Bytes of one piece of a body, and how often one is sent: 12 MiB/s, so that the demo's 64 MiB take some five seconds
/// and the story can be followed, retries included, in about ten.
const PIECE_BYTES: usize = 60 << 10;
const PIECE_EVERY: Duration = Duration::from_millis(5);

/// Connections at once on one port; more wait in the listener's queue. The job has one, and people with curl may look in.
const CONNECTIONS_MAX: usize = 16;

/// Requests that the access log keeps: a story has some ten, a policy that asks in a circle cannot fill the memory.
const REQUESTS_MAX: usize = 10_000;

/// Seconds that the origin asks for with its 503.
const RETRY_AFTER: &str = "1";

/// One request as the access log has it, written when its response is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RequestRecord {
    /// Counts from 1, in the order in which requests came.
    pub number: u64,
    /// When it came.
    pub at: UnixMillis,
    pub method: String,
    /// The whole URL, without a query.
    pub address: String,
    /// The field as it came.
    pub range: Option<String>,
    /// The field as it came.
    pub if_range: Option<String>,
    pub status: u16,
    /// Bytes of the body that were given to the connection: never fewer than the client got.
    pub bytes_sent: u64,
    pub end: End,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// With its last byte.
    Complete,
    /// The origin cut the connection, as the story has it.
    Cut,
    /// The client went away.
    Aborted,
}

/// A running origin.
#[derive(Debug)]
pub(super) struct Origin {
    url: SafeUrl,
    mirror_url: SafeUrl,
    shared: Arc<Shared>,
    /// The two accept loops; dropped with this, and their connections with them.
    _servers: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    content: Content,
    mirror_url: String,
    plan: Mutex<Plan>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    arrived: u64,
    bytes_sent: u64,
    over: Vec<RequestRecord>,
}

impl Origin {
    /// Listens on two free ports.
    pub(super) async fn start(content: Content) -> std::io::Result<Self> {
        let (listener, url) = listen(&format!("/files/{}", content.file_name())).await?;
        let (mirror_listener, mirror_url) = listen(&format!("/mirror/{}", content.file_name())).await?;
        let shared = Arc::new(Shared {
            content,
            mirror_url: mirror_url.to_string(),
            plan: Mutex::new(Plan::new(content)),
            log: Mutex::default(),
        });
        let endpoint = |site, url: &SafeUrl| Endpoint { site, url: url.clone(), shared: Arc::clone(&shared) };
        let mut servers = JoinSet::new();
        servers.spawn(accept(listener, endpoint(Site::Origin, &url)));
        servers.spawn(accept(mirror_listener, endpoint(Site::Mirror, &mirror_url)));
        Ok(Self { url, mirror_url, shared, _servers: servers })
    }

    /// Where the file is at first.
    pub(super) const fn url(&self) -> &SafeUrl {
        &self.url
    }

    /// Where it lives on.
    pub(super) const fn mirror_url(&self) -> &SafeUrl {
        &self.mirror_url
    }

    /// The requests that are over, from the one of that position in the log on.
    pub(super) fn requests_from(&self, position: usize) -> Vec<RequestRecord> {
        lock(&self.shared.log).over.get(position..).unwrap_or_default().to_vec()
    }

    /// Bytes of bodies sent so far, those of running responses among them.
    pub(super) fn bytes_sent(&self) -> u64 {
        lock(&self.shared.log).bytes_sent
    }
}

async fn listen(path: &str) -> std::io::Result<(TcpListener, SafeUrl)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}{path}", listener.local_addr()?);
    Ok((listener, SafeUrl::parse(&url).expect("a loopback address and a plain path are a URL")))
}

/// One port.
#[derive(Debug, Clone)]
struct Endpoint {
    site: Site,
    url: SafeUrl,
    shared: Arc<Shared>,
}

async fn accept(listener: TcpListener, endpoint: Endpoint) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, endpoint.clone()));
                }
                // No descriptor is free, or the client is gone already: the next one may have more luck, a little later.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(stream: TcpStream, endpoint: Endpoint) {
    let service = service_fn(|request| {
        let response = endpoint.respond(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    // An error here is a client that went away, or a cut of our own: the access log has both.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A response before it is one: what the access log does not need.
type Parts = (StatusCode, HeaderMap, Payload);

impl Endpoint {
    fn respond(&self, request: &Request<Incoming>) -> Response<Logged> {
        let field = |name: HeaderName| {
            request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (range, if_range) = (field(header::RANGE), field(header::IF_RANGE));
        let (status, headers, payload) = match *request.method() {
            _ if request.uri().path() != self.url.expose().path() => {
                self.text(StatusCode::NOT_FOUND, "there is nothing here\n".into())
            }
            Method::GET => self.answer(range.as_deref(), if_range.as_deref()),
            // Looking is no chapter of the story.
            Method::HEAD => self.file(0..SIZE, Status::Whole, None),
            _ => self.text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are served\n".into()),
        };
        let record = RequestRecord {
            number: lock(&self.shared.log).next_number(),
            at: Now::read().wall,
            method: request.method().to_string(),
            address: self.url.to_string(),
            range,
            if_range,
            status: status.as_u16(),
            bytes_sent: 0,
            end: End::Aborted,
        };
        let length = if request.method() == Method::HEAD { 0 } else { payload.length() };
        let mut response = Response::new(Logged { payload, length, record, shared: Arc::clone(&self.shared) });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn answer(&self, range: Option<&str>, if_range: Option<&str>) -> Parts {
        let answer = lock(&self.shared.plan).answer(self.site, range, if_range);
        match answer {
            Answer::Bytes { range, status, cut_at } => self.file(range, status, cut_at),
            Answer::NotSatisfiable => {
                let mut parts = self.text(StatusCode::RANGE_NOT_SATISFIABLE, "the file ends before that\n".into());
                parts.1.insert(header::CONTENT_RANGE, value(format!("bytes */{SIZE}")));
                parts
            }
            Answer::Unavailable => {
                let mut parts = self.text(StatusCode::SERVICE_UNAVAILABLE, "come back in a second\n".into());
                parts.1.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
                parts
            }
            // What a policy can read if it was not told of mirrors (RFC 6249 section 2, and the excerpt of the body).
            Answer::Moved => {
                let mirror = &self.shared.mirror_url;
                let text = format!("the file is not here any more; it lives on at {mirror}\n");
                let mut parts = self.text(StatusCode::NOT_FOUND, text);
                parts.1.insert(header::LINK, value(format!("<{mirror}>; rel=\"duplicate\"")));
                parts
            }
        }
    }

    fn file(&self, range: std::ops::Range<u64>, status: Status, cut_at: Option<u64>) -> Parts {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::ETAG, value(self.shared.content.etag()));
        headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(LAST_MODIFIED));
        let status = match status {
            Status::Whole => StatusCode::OK,
            Status::Part => {
                let field = format!("bytes {}-{}/{SIZE}", range.start, range.end - 1);
                headers.insert(header::CONTENT_RANGE, value(field));
                StatusCode::PARTIAL_CONTENT
            }
        };
        let mut pace = tokio::time::interval(PIECE_EVERY);
        // A busy machine is late now and then; the rate stays.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        (status, headers, Payload::File(FileBody { content: self.shared.content, range, cut_at, pace }))
    }

    fn text(&self, status: StatusCode, text: String) -> Parts {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        (status, headers, Payload::Text(Full::from(text)))
    }
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits, quotes and plain letters are a field value")
}

impl Log {
    const fn next_number(&mut self) -> u64 {
        self.arrived += 1;
        self.arrived
    }
}

/// A part of the file, sent piece by piece, and possibly cut.
#[derive(Debug)]
struct FileBody {
    content: Content,
    range: std::ops::Range<u64>,
    cut_at: Option<u64>,
    pace: Interval,
}

/// The end of a body that the story cuts: the connection is closed in the middle of it.
#[derive(Debug, thiserror::Error)]
#[error("the demo cuts this connection")]
struct CutHere;

impl Body for FileBody {
    type Data = Bytes;
    type Error = CutHere;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutHere>>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        // Whatever was given out before this tick is on the wire meanwhile: a cut loses nothing that was counted as sent.
        ready!(self.pace.poll_tick(cx));
        let end = self.range.end.min(self.cut_at.unwrap_or(self.range.end));
        let left = usize::try_from(end - self.range.start).unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(Some(Err(CutHere)));
        }
        let mut piece = vec![0; left.min(PIECE_BYTES)];
        self.content.fill(self.range.start, &mut piece);
        self.range.start += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}

#[derive(Debug)]
enum Payload {
    Text(Full<Bytes>),
    File(FileBody),
}

impl Payload {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.size_hint().lower(),
            Self::File(file) => file.range.end - file.range.start,
        }
    }
}

/// A body that writes the access log: what it gave out, and how it ended.
#[derive(Debug)]
struct Logged {
    payload: Payload,
    length: u64,
    record: RequestRecord,
    shared: Arc<Shared>,
}

impl Body for Logged {
    type Data = Bytes;
    type Error = CutHere;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutHere>>> {
        let frame = match &mut self.payload {
            Payload::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Payload::File(file) => Pin::new(file).poll_frame(cx),
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.record.bytes_sent += bytes;
                lock(&self.shared.log).bytes_sent += bytes;
            }
            Poll::Ready(Some(Err(CutHere))) => self.record.end = End::Cut,
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }
}

impl Drop for Logged {
    /// The server drops a body when it has its last byte, when it failed, and when the connection is gone.
    fn drop(&mut self) {
        if self.record.bytes_sent == self.length {
            self.record.end = End::Complete;
        }
        let mut log = lock(&self.shared.log);
        if log.over.len() < REQUESTS_MAX {
            log.over.push(self.record.clone());
        }
    }
}

/// A panic of a handler cannot leave these half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
