//! The one HTTP client: HTTP/1.1, no decoding, no redirects of its own, no cookies, bounded heads.
//!
//! Proxies of the environment are not used: what reaches an origin, and what sees the headers of a job, is configured or
//! direct. (A proxy setting will be a property of the job, as it is in BITS.)

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, redirect};
use tokio::time::timeout;

use super::error::{FileError, TransferError};
use super::net_error::{DeniedAddress, ResolveError, classify};
use super::settings::TransferSettings;
use crate::access::EgressRules;
use crate::job::{Phase, RequestHeaders, ResponseHeaders, SafeUrl};

/// Header fields of a response; also hyper's own default.
const HEADERS_MAX: usize = 100;
/// Bytes of all header fields of a response: far beyond honest ones. The client itself would take 400 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long an idle connection is kept: shorter than the 60 to 75 s after which common servers close theirs.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// Request fields that are the engine's own, or that belong to one connection: a job cannot set them.
const RESERVED: [HeaderName; 18] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Response fields that policies may see. None of them carries a credential.
const SHOWN: [&str; 20] = [
    "accept-ranges",
    "age",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "server",
    "via",
    "x-cache",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];
/// Bytes of a shown value; what is longer is cut.
const SHOWN_BYTES_MAX: usize = 1024;

/// Whether a request field is the engine's own. A client that sets one is refused; here it is left out.
#[must_use]
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.as_str().eq_ignore_ascii_case(name))
}

/// A job's headers for the wire. What cannot stand in a request is left out; the edge has refused it.
pub(crate) fn wire_headers(headers: &RequestHeaders) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.0.len());
    for (name, value) in headers.0.iter().filter(|(name, _)| !is_reserved_header(name)) {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            value.set_sensitive(true);
            map.append(name, value);
        }
    }
    map
}

/// The fields of a response that policies may see.
pub(crate) fn shown_headers(headers: &HeaderMap) -> ResponseHeaders {
    let shown = headers.iter().filter(|(name, _)| SHOWN.contains(&name.as_str()));
    shown
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), text.chars().take(SHOWN_BYTES_MAX).collect())
        })
        .collect()
}

/// The client with its limits of time.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    first_byte_timeout: Duration,
    egress: Arc<EgressRules>,
}

impl Client {
    /// A client for jobs for which these rules hold. It has connections of its own: one that was made for others is never used.
    pub(crate) fn new(settings: &TransferSettings, egress: EgressRules) -> Result<Self, TransferError> {
        let egress = Arc::new(egress);
        // Fails if a provider was installed before, by whoever embeds this library: theirs is used then.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let built = Self::builder(settings, &egress).build().or_else(|error| {
            // A machine without certificates can fetch over http all the same; over https it finds nobody to trust.
            tracing::warn!(%error, "no certificates of the system can be used: every https origin will be refused");
            Self::builder(settings, &egress).tls_certs_only([]).build()
        });
        let http = built.map_err(TransferError::Client)?;
        Ok(Self { http, first_byte_timeout: settings.first_byte_timeout, egress })
    }

    fn builder(settings: &TransferSettings, egress: &Arc<EgressRules>) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("backhaul/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            .dns_resolver(Resolver(Arc::clone(egress)))
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(settings.idle_connections_per_origin)
    }

    /// Sends one GET and waits for the head of its answer.
    pub(crate) async fn get(&self, url: &SafeUrl, headers: HeaderMap) -> Result<Response, FileError> {
        // The resolver is not asked for hosts that are addresses already.
        if !self.egress.permits_host(url.expose().host()) {
            return Err(FileError::EgressDenied { host: url.expose().host_str().unwrap_or_default().to_owned() });
        }
        let request = self.http.get(url.expose().clone()).headers(headers);
        let answer = timeout(self.first_byte_timeout, request.send()).await;
        let silent = || FileError::Silent { phase: Phase::Response, seconds: self.first_byte_timeout.as_secs() };
        let response = answer.map_err(|_| silent())?.map_err(|error| classify(&error, Phase::Response))?;
        let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if bytes > HEAD_BYTES_MAX {
            return Err(FileError::HeadTooLarge { what: format!("{bytes} bytes, at most {HEAD_BYTES_MAX} are taken") });
        }
        Ok(response)
    }
}

/// The system's resolver, with errors that can be told from those of connecting. It blocks a thread of the blocking pool, not the runtime.
///
/// Addresses that may not be connected to are left out here: what is connected to is what this returns, whatever the name leads to later.
#[derive(Debug)]
struct Resolver(Arc<EgressRules>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<SocketAddr> = found.map_err(|error| ResolveError(error.to_string()))?.collect();
            if addresses.is_empty() {
                return Err(ResolveError("the name has no address".to_owned()).into());
            }
            let permitted: Vec<_> = addresses.into_iter().filter(|address| egress.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(DeniedAddress(name.as_str().to_owned()).into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

/// The userinfo of a URL as an Authorization field.
pub(crate) fn basic_authorization(url: &SafeUrl) -> Option<HeaderValue> {
    let url = url.expose();
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let userinfo = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(userinfo))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn decoded(percent_encoded: &str) -> String {
    let bytes = percent_encoded.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| percent_encoded.get(at + 1..at + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_cannot_set_the_engines_own_fields() {
        let headers =
            [("Range", "bytes=0-1"), ("accept-encoding", "gzip"), ("X-Api-Key", "k"), ("bad name", "v"), ("x", "a\nb")];
        let headers = RequestHeaders(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        let wire = wire_headers(&headers);
        assert_eq!(wire.len(), 1);
        assert!(wire["x-api-key"].is_sensitive());
    }

    #[test]
    fn userinfo_becomes_basic_authorization() {
        let field = |url: &str| {
            let value = basic_authorization(&SafeUrl::parse(url).unwrap())?;
            Some(value.to_str().unwrap().to_owned())
        };
        assert_eq!(field("http://h/"), None);
        // RFC 7617 section 2.
        assert_eq!(field("http://Aladdin:open%20sesame@h/").as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(field("http://a@h/").as_deref(), Some("Basic YTo="));
        assert_eq!(field("http://ab:c@h/").as_deref(), Some("Basic YWI6Yw=="));
        assert_eq!(field("http://a:%zz@h/").as_deref(), Some("Basic YToleno="));
    }

    #[test]
    fn only_listed_response_fields_are_shown_and_long_values_are_cut() {
        let mut headers = HeaderMap::new();
        headers.insert("etag", HeaderValue::from_static("\"a\""));
        headers.insert("set-cookie", HeaderValue::from_static("secret"));
        headers.insert("server", HeaderValue::try_from("s".repeat(2000)).unwrap());
        let shown = shown_headers(&headers);
        assert_eq!(shown.len(), 2);
        assert!(shown.iter().all(|(_, value)| value.len() <= SHOWN_BYTES_MAX && value != "secret"));
    }
}
