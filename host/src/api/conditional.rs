//! Entity tags, conditions on them, and answers that wait for a change.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::connection::Peer;
use super::error::Refusal;
use super::poll::View;
use super::state::App;
use crate::job::JobId;

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// RFC 7240.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Seconds that a client may have an answer held. Longer than that, proxies and clients give up by themselves.
pub(super) const WAIT_SECONDS_MAX: u64 = 60;

/// Bytes of the digest in an entity tag: two different representations of one job never share one by chance.
const TAG_BYTES: usize = 16;

/// A representation with its strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tagged {
    pub(super) body: Bytes,
    pub(super) tag: HeaderValue,
}

impl Tagged {
    /// The JSON form of a value.
    pub(super) fn of(value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("plain data with text keys always has a JSON form");
        Self::of_bytes(body.into())
    }

    pub(super) fn of_bytes(body: Bytes) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digest = Sha256::digest(&body);
        let mut tag = [b'"'; 2 * TAG_BYTES + 2];
        for (byte, pair) in digest.iter().zip(tag[1..=2 * TAG_BYTES].chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let tag = HeaderValue::from_bytes(&tag).expect("quotes and hexadecimal digits are visible ASCII");
        Self { body, tag }
    }

    /// Whether an If-None-Match of the request holds this tag, so that the client has this representation.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        headers.get_all(header::IF_NONE_MATCH).iter().any(|field| lists(field, &self.tag, Comparison::Weak))
    }

    /// 200 with the body, or 304 where the client has it.
    pub(super) fn response(self, headers: &HeaderMap) -> Response {
        let known = self.is_known(headers);
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.body) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response.headers_mut().insert(header::ETAG, self.tag);
        response
    }
}

/// How tags are compared (RFC 9110 section 8.8.3.2): a weak one is the same version for reading, never for changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Weak,
    Strong,
}

/// Whether a list of entity tags holds one. `*` is any.
fn lists(field: &HeaderValue, tag: &HeaderValue, comparison: Comparison) -> bool {
    let Ok(field) = field.to_str() else { return false };
    field.split(',').map(str::trim).any(|listed| {
        let listed = if comparison == Comparison::Weak { listed.strip_prefix("W/").unwrap_or(listed) } else { listed };
        listed == "*" || listed.as_bytes() == tag.as_bytes()
    })
}

/// Whether the request was made for another representation than this (If-Match).
pub(super) fn is_outdated(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut fields = headers.get_all(header::IF_MATCH).iter().peekable();
    fields.peek().is_some() && !fields.any(|field| lists(field, tag, Comparison::Strong))
}

/// How long the client prefers to wait for a change: `Prefer: wait=N`. Other preferences are ignored, as RFC 7240 wants it.
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
    let mut preferences = preferences.flat_map(|field| field.split([',', ';'])).filter_map(|one| one.split_once('='));
    let (_, seconds) = preferences.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    seconds.trim().trim_matches('"').parse().ok().map(|seconds: u64| seconds.min(WAIT_SECONDS_MAX))
}

/// How often held progress is looked at: between two commits nobody announces it.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Answers a GET. If the client has the representation already and prefers to wait, the answer is held until it would be another one.
pub(super) async fn answer(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
    job: JobId,
    view: View,
) -> Result<Response, Refusal> {
    let Some(seconds) = preferred_wait(headers) else {
        return Ok(view.of(app, job).await?.response(headers));
    };
    let held = async {
        loop {
            // Read before the look, so that no change falls in between.
            let seen = app.host.job(job).map(|snapshot| snapshot.revision);
            let tagged = view.of(app, job).await?;
            if !tagged.is_known(headers) || app.stopping.is_cancelled() {
                return Ok::<_, Refusal>(tagged);
            }
            tokio::select! {
                () = changed(app, job, view, seen) => {}
                () = app.stopping.cancelled() => {}
            }
            // What changed may have been whose it is.
            app.check_sight(peer, job).await?;
        }
    };
    let tagged = match tokio::time::timeout(Duration::from_secs(seconds), held).await {
        Ok(tagged) => tagged?,
        Err(_) => view.of(app, job).await?,
    };
    let mut response = tagged.response(headers);
    let applied = HeaderValue::try_from(format!("wait={seconds}")).expect("a number is visible ASCII");
    response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    Ok(response)
}

/// Returns when a view of a job may be another. Cancel-safe.
async fn changed(app: &App, job: JobId, view: View, seen: Option<u64>) {
    match (seen, view) {
        // Final, and only in the store: it stays as it is.
        (None, _) => std::future::pending().await,
        (Some(seen), View::Job | View::State) => app.host.changed(job, seen).await,
        (Some(seen), View::Progress) => tokio::select! {
            () = app.host.changed(job, seen) => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_tag_is_of_the_bytes() {
        let one = Tagged::of(&serde_json::json!({"a": 1}));
        assert_eq!(one, Tagged::of(&serde_json::json!({"a": 1})));
        assert_ne!(one.tag, Tagged::of(&serde_json::json!({"a": 2})).tag);
        assert_eq!(one.tag.len(), 34);
    }

    #[test]
    fn conditions_are_lists_and_a_star_is_any() {
        let tag = HeaderValue::from_static("\"abc\"");
        let known =
            |value| Tagged { body: Bytes::new(), tag: tag.clone() }.is_known(&headers(header::IF_NONE_MATCH, value));
        assert!(known("\"abc\"") && known("\"x\", W/\"abc\"") && known("*"));
        assert!(!known("\"abcd\"") && !known("abc"));
        assert!(!is_outdated(&HeaderMap::new(), &tag));
        assert!(!is_outdated(&headers(header::IF_MATCH, "\"x\", \"abc\""), &tag));
        assert!(!is_outdated(&headers(header::IF_MATCH, "*"), &tag));
        // Weak tags never match where strong ones are asked for.
        assert!(is_outdated(&headers(header::IF_MATCH, "W/\"abc\""), &tag));
    }

    #[test]
    fn the_wait_is_bounded_and_other_preferences_are_ignored() {
        assert_eq!(preferred_wait(&headers(PREFER, "wait=7")), Some(7));
        assert_eq!(preferred_wait(&headers(PREFER, "respond-async, Wait=100000")), Some(WAIT_SECONDS_MAX));
        assert_eq!(preferred_wait(&headers(PREFER, "wait=-1")), None);
        assert_eq!(preferred_wait(&headers(PREFER, "return=minimal")), None);
    }
}
