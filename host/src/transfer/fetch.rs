//! One request for a file: redirects followed, the answer judged.

use std::borrow::Cow;

use reqwest::Response;
use reqwest::header::{self, HeaderMap, HeaderValue};

use super::accept::{Asked, Decision, accept};
use super::body::read_begin;
use super::client::{Client, basic_authorization, shown_headers};
use super::content_range::range_field;
use super::error::FileError;
use super::head::Head;
use super::redirect::{Chain, Downgrade, Led};
use super::response::kept;
use super::retry_after::retry_after_ms;
use crate::clock::Now;
use crate::job::{FileResponse, Redirects, ResponseHeaders, SafeUrl};

/// Bytes of an error document that policies are shown (design.md section 4).
const EXCERPT_BYTES_MAX: usize = 4096;

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) remote_name: &'a SafeUrl,
    /// The job's own headers.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) asked: Asked<'a>,
    pub(crate) if_range: Option<&'a str>,
    /// The largest file that is accepted.
    pub(crate) bytes_max: u64,
    pub(crate) redirects: Redirects,
    pub(crate) downgrade: Downgrade,
}

/// An answer that is no failure.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) decision: Decision,
    pub(crate) head: Head,
    pub(crate) response: Response,
    pub(crate) circumstances: Circumstances,
}

/// What a policy is told of an answer, beside the error itself.
#[derive(Debug, Default)]
pub(crate) struct Circumstances {
    pub(crate) final_url: Option<SafeUrl>,
    pub(crate) response_headers: ResponseHeaders,
    pub(crate) body_excerpt: Option<String>,
    pub(crate) retry_after_ms: Option<u64>,
    /// The last head that came, for the client.
    pub(crate) response: Option<Box<FileResponse>>,
    /// Where redirects had led, or would lead.
    pub(crate) led: Option<Led>,
}

/// Sends a request, and follows redirects. Cancel-safe: nothing is kept between calls.
pub(crate) async fn fetch(client: &Client, request: &Request<'_>) -> Result<Answer, (FileError, Circumstances)> {
    let mut chain = Chain::new(request.remote_name, request.downgrade);
    let mut last = None;
    loop {
        let sent = client.get(chain.present(), headers(request, &chain)).await;
        let mut response = sent.map_err(|error| (error, circumstances(&chain, last.take())))?;
        let head = Head::parse(response.status().as_u16(), response.headers());
        last = Some(Box::new(kept(head.status, response.headers(), Now::read().wall)));
        let mut circumstances = |chain: &Chain| circumstances(chain, last.take());
        match accept(request.asked, &head, request.bytes_max) {
            Decision::Redirect { location } if request.redirects == Redirects::Disallow => {
                let mut circumstances = circumstances(&chain);
                // A way that could not have been followed leads nowhere.
                circumstances.led = chain.follow(&location).ok().and_then(|()| chain.led());
                return Err((FileError::RedirectDisallowed { status: head.status }, circumstances));
            }
            Decision::Redirect { location } => {
                let followed = chain.follow(&location);
                followed.map_err(|reason| (FileError::RedirectRefused { reason }, circumstances(&chain)))?;
                // Redirects have small bodies; reading one frees its connection for what comes next.
                let _ = read_begin(&mut response, EXCERPT_BYTES_MAX).await;
            }
            Decision::Fail(error) => {
                let mut circumstances = circumstances(&chain);
                circumstances.response_headers = shown_headers(response.headers());
                circumstances.retry_after_ms = asked_wait(&head, response.headers());
                circumstances.body_excerpt = excerpt(&head, &mut response).await;
                return Err((error, circumstances));
            }
            decision => {
                let mut circumstances = circumstances(&chain);
                circumstances.led = chain.led().filter(|_| request.redirects == Redirects::Report);
                return Ok(Answer { decision, head, response, circumstances });
            }
        }
    }
}

fn circumstances(chain: &Chain, response: Option<Box<FileResponse>>) -> Circumstances {
    Circumstances { final_url: chain.final_url().cloned(), response, ..Circumstances::default() }
}

fn headers(request: &Request<'_>, chain: &Chain) -> HeaderMap {
    let mut headers = if chain.may_send_secrets() { request.headers.clone() } else { HeaderMap::new() };
    if chain.may_send_secrets()
        && !headers.contains_key(header::AUTHORIZATION)
        && let Some(authorization) = basic_authorization(request.remote_name)
    {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Asked::First { part, .. } | Asked::Rest { part, .. } = request.asked {
        let range = range_field(part.start, part.end);
        let range = HeaderValue::try_from(range).expect("numbers and ASCII letters");
        headers.insert(header::RANGE, range);
        if let Some(validator) = request.if_range.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(header::IF_RANGE, validator);
        }
    }
    headers
}

/// 429 and 503 say when to come again.
fn asked_wait(head: &Head, headers: &HeaderMap) -> Option<u64> {
    if !matches!(head.status, 429 | 503) {
        return None;
    }
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    retry_after_ms(headers.get(header::RETRY_AFTER)?.to_str().ok()?, date, Now::read().wall)
}

async fn excerpt(head: &Head, response: &mut Response) -> Option<String> {
    let content_type = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let is_text = content_type.starts_with("text/") || content_type.contains("json") || content_type.contains("xml");
    if !is_text || head.encoding.is_some() {
        return None;
    }
    let begin = read_begin(response, EXCERPT_BYTES_MAX).await;
    let text = match String::from_utf8_lossy(&begin) {
        Cow::Borrowed(text) => text.to_owned(),
        // The last character may be cut; replacing it and others may make the text longer again.
        Cow::Owned(text) => text[..text.floor_char_boundary(EXCERPT_BYTES_MAX.min(text.len()))].to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
