//! One request and its answer, as plain values.

use std::fmt;
use std::time::Duration;

use http::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ClientError;

/// How long an ordinary call may take: a commit takes milliseconds, a large list of files seconds, a disk in trouble longer.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long completing or cancelling may take: each of up to a million files is renamed or deleted.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_secs(600);

/// The version of what was read; it changes whenever that does (RFC 9110 section 8.8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(pub(super) HeaderValue);

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

/// What was read, with its version.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged<T> {
    /// What was read.
    pub value: T,
    /// Its version.
    pub tag: EntityTag,
}

/// Whether a request may be sent again if nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as once.
    Allowed,
    /// The second would be refused, or do more.
    Never,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    pub(super) timeout: Duration,
    pub(super) repeat: Repeat,
}

impl Request {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        let repeat = if method.is_idempotent() { Repeat::Allowed } else { Repeat::Never };
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            timeout: CALL_TIMEOUT,
            repeat,
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A parameter, as often as it has a value.
    pub(super) fn query(mut self, name: &'static str, values: impl IntoIterator<Item = impl ToString>) -> Self {
        self.query.extend(values.into_iter().map(|value| (name, value.to_string())));
        self
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        self.body =
            Some(serde_json::to_vec(body).expect("the shapes of the wire have text keys and no failing serializer"));
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn if_match(self, tag: Option<&EntityTag>) -> Self {
        match tag {
            // A second try would find its own change, and take it for somebody else's.
            Some(tag) => self.header(IF_MATCH, tag.0.clone()).repeat(Repeat::Never),
            None => self,
        }
    }

    /// Holds the answer until something differs from `tag`, for so many whole seconds.
    pub(super) fn held(mut self, tag: &EntityTag, hold: Duration) -> Self {
        let prefer = HeaderValue::try_from(format!("wait={}", hold.as_secs())).expect("digits are visible ASCII");
        self.timeout += hold;
        self.header(IF_NONE_MATCH, tag.0.clone()).header(HeaderName::from_static("prefer"), prefer)
    }

    pub(super) const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) const fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// For errors. Without the query: a filter may hold what is nobody's business.
    pub(super) fn operation(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What came back; no error by its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) operation: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(format!("status {}, {error}", self.status)))
    }

    pub(super) fn tagged<T: DeserializeOwned>(&self) -> Result<Tagged<T>, ClientError> {
        let tag = self.headers.get(ETAG).ok_or_else(|| self.unexpected("it has no ETag"))?;
        Ok(Tagged { value: self.json()?, tag: EntityTag(tag.clone()) })
    }

    /// None if it is what it was (304).
    pub(super) fn if_changed<T: DeserializeOwned>(&self) -> Result<Option<Tagged<T>>, ClientError> {
        match self.status {
            StatusCode::NOT_MODIFIED => Ok(None),
            _ => self.tagged().map(Some),
        }
    }

    fn unexpected(&self, what: impl Into<String>) -> ClientError {
        ClientError::Unexpected { operation: self.operation.clone(), what: what.into() }
    }
}
