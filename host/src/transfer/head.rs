//! The head of a response, read once into what the acceptance rules look at.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{self, HeaderMap, HeaderName};

use super::content_range::{ContentRange, digits};
use crate::job::{FileVersion, Sha256};

/// Seconds by which Last-Modified must be older than Date to count as a strong validator (RFC 9110 section 8.8.2.2 says at
/// least one second; a minute leaves room for a file that is written while it is served, and for clocks that are not one).
const STRONG_DATE_SECONDS: u64 = 60;
/// Bytes of an ETag that is remembered: real ones have some tens; it is stored with every checkpoint and sent with every resume.
const ETAG_BYTES_MAX: usize = 512;

/// A field that may be missing, or be there in a form that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field<T> {
    Absent,
    Present(T),
    /// Malformed, or there twice with different values.
    Invalid,
}

impl<T> Field<T> {
    pub(crate) const fn present(&self) -> Option<&T> {
        if let Self::Present(value) = self { Some(value) } else { None }
    }

    fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Invalid, Self::Present)
    }
}

/// What of a response's head decides whether its body is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The validators; `bytes_total` is none here.
    pub(crate) version: FileVersion,
    pub(crate) content_length: Field<u64>,
    pub(crate) content_range: Field<ContentRange>,
    /// The first coding that is not the identity, whether it is one of the content or of the transfer.
    pub(crate) encoding: Option<String>,
    pub(crate) chunked: bool,
    /// `multipart/byteranges`: a 206 of several parts.
    pub(crate) multipart: bool,
    pub(crate) location: Option<String>,
    /// SHA-256 of the whole file as the origin gives it (Repr-Digest, RFC 9530).
    pub(crate) repr_digest: Option<Sha256>,
}

impl Head {
    pub(crate) fn parse(status: u16, headers: &HeaderMap) -> Self {
        let etag = single(headers, header::ETAG).filter(|etag| is_etag(etag));
        let last_modified = single(headers, header::LAST_MODIFIED);
        let modified = last_modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
        let date = single(headers, header::DATE).and_then(|text| httpdate::parse_http_date(&text).ok());
        let age = modified.zip(date).and_then(|(modified, date)| date.duration_since(modified).ok());
        let version = FileVersion {
            etag,
            last_modified: last_modified.filter(|_| modified.is_some()),
            last_modified_is_strong: age.is_some_and(|age| age >= Duration::from_secs(STRONG_DATE_SECONDS)),
            bytes_total: None,
        };
        let codings = |name: HeaderName| list(headers, name);
        let is_identity = |coding: &String| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
        let is_chunked = |coding: &String| coding.eq_ignore_ascii_case("chunked");
        let transfer = codings(header::TRANSFER_ENCODING);
        let encoding = codings(header::CONTENT_ENCODING).into_iter().find(|coding| !is_identity(coding));
        let encoding = encoding
            .or_else(|| transfer.iter().find(|coding| !is_identity(coding) && !is_chunked(coding)).cloned())
            .map(|coding| coding.chars().take(40).collect());
        Self {
            status,
            version,
            content_length: content_length(headers),
            content_range: content_range(headers),
            encoding,
            chunked: transfer.iter().any(is_chunked),
            multipart: single(headers, header::CONTENT_TYPE).is_some_and(|text| is_multipart(&text)),
            location: single(headers, header::LOCATION),
            repr_digest: repr_digest(headers),
        }
    }
}

/// The one value of a field; none if it is missing, no text, or there twice with different values.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.any(|value| value != first) {
        return None;
    }
    Some(first.to_str().ok()?.trim().to_owned())
}

/// The elements of a field that is a list, over all its lines. A value that is no text counts as one unknown element.
fn list(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|value| value.to_str().unwrap_or("?").split(',').map(|element| element.trim().to_owned())).collect()
}

/// Content-Length: ASCII digits. Several are one as long as all say the same (RFC 9110 section 8.6).
fn content_length(headers: &HeaderMap) -> Field<u64> {
    let elements = list(headers, header::CONTENT_LENGTH);
    let Some(first) = elements.first() else { return Field::Absent };
    if elements.iter().any(|element| element != first) {
        return Field::Invalid;
    }
    Field::from_option(digits(first))
}

fn content_range(headers: &HeaderMap) -> Field<ContentRange> {
    if !headers.contains_key(header::CONTENT_RANGE) {
        return Field::Absent;
    }
    Field::from_option(single(headers, header::CONTENT_RANGE).and_then(|text| ContentRange::parse(&text)))
}

/// `"..."` or `W/"..."` (RFC 9110 section 8.8.3). Anything else cannot be sent back, and proves nothing when it is the same again.
fn is_etag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    text.len() <= ETAG_BYTES_MAX && inner.is_some_and(|inner| inner.bytes().all(|byte| byte > b' ' && byte != b'"'))
}

fn is_multipart(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/byteranges")
}

/// The `sha-256` member of Repr-Digest: a structured-field dictionary of byte sequences (RFC 9530 section 3).
fn repr_digest(headers: &HeaderMap) -> Option<Sha256> {
    let members = list(headers, HeaderName::from_static("repr-digest"));
    let mut found = members.iter().filter_map(|member| member.strip_prefix("sha-256=:"));
    let base64 = found.next()?.split(':').next()?;
    if found.next().is_some() {
        return None;
    }
    BASE64.decode(base64).ok()?.try_into().ok().map(Sha256)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn head(fields: &[(&'static str, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Head::parse(200, &headers)
    }

    #[test]
    fn lengths_that_differ_or_are_no_numbers_are_invalid() {
        assert_eq!(head(&[]).content_length, Field::Absent);
        assert_eq!(head(&[("content-length", "7")]).content_length, Field::Present(7));
        assert_eq!(head(&[("content-length", "7"), ("content-length", "7")]).content_length, Field::Present(7));
        assert_eq!(head(&[("content-length", "7, 7")]).content_length, Field::Present(7));
        for two in ["7, 8", "-7", "+7", "", "7a", "18446744073709551616"] {
            assert_eq!(head(&[("content-length", two)]).content_length, Field::Invalid, "{two:?}");
        }
        assert_eq!(head(&[("content-length", "7"), ("content-length", "8")]).content_length, Field::Invalid);
    }

    #[test]
    fn only_a_well_formed_etag_is_remembered() {
        let etag = |text: &str| head(&[("etag", text)]).version.etag;
        assert_eq!(etag("\"a\"").as_deref(), Some("\"a\""));
        assert_eq!(etag("W/\"a\"").as_deref(), Some("W/\"a\""));
        assert_eq!(etag("\"\"").as_deref(), Some("\"\""));
        let longest = format!("\"{}\"", "x".repeat(510));
        assert_eq!(etag(&longest).as_deref(), Some(&longest[..]));
        for text in ["a", "\"", "\"a", "a\"", "w/\"a\"", "\"a\"b\"", "\"a b\"", &format!("\"{}\"", "x".repeat(511))] {
            assert_eq!(etag(text), None, "{text}");
        }
        assert_eq!(head(&[("etag", "\"a\""), ("etag", "\"b\"")]).version.etag, None);
        assert_eq!(head(&[("etag", "\"a\""), ("etag", "\"a\"")]).version.etag.as_deref(), Some("\"a\""));
    }

    #[test]
    fn a_date_is_strong_when_it_is_a_minute_older_than_the_answer() {
        let strong = |modified: &str, date: &str| {
            head(&[("last-modified", modified), ("date", date)]).version.last_modified_is_strong
        };
        let date = "Fri, 20 Nov 2026 12:01:00 GMT";
        assert!(strong("Fri, 20 Nov 2026 12:00:00 GMT", date));
        assert!(!strong("Fri, 20 Nov 2026 12:00:01 GMT", date));
        assert!(!strong("Fri, 20 Nov 2026 13:00:00 GMT", date));
        assert!(!strong("Fri, 20 Nov 2026 12:00:00 GMT", "whenever"));
        assert!(!head(&[("last-modified", "Fri, 20 Nov 2026 12:00:00 GMT")]).version.last_modified_is_strong);
        assert_eq!(head(&[("last-modified", "yesterday")]).version.last_modified, None);
    }

    #[test]
    fn codings_other_than_the_identity_are_seen_in_both_fields() {
        let encoding = |fields: &[(&'static str, &str)]| head(fields).encoding;
        assert_eq!(encoding(&[("content-encoding", "identity")]), None);
        assert_eq!(encoding(&[("content-encoding", "")]), None);
        assert_eq!(encoding(&[("content-encoding", "Identity, gzip")]).as_deref(), Some("gzip"));
        assert_eq!(encoding(&[("content-encoding", "identity"), ("content-encoding", "br")]).as_deref(), Some("br"));
        assert_eq!(encoding(&[("transfer-encoding", "chunked")]), None);
        assert_eq!(encoding(&[("transfer-encoding", "gzip, chunked")]).as_deref(), Some("gzip"));
        assert!(head(&[("transfer-encoding", "Chunked")]).chunked);
        assert!(!head(&[("transfer-encoding", "identity")]).chunked);
    }

    #[test]
    fn several_parts_are_seen() {
        assert!(head(&[("content-type", "Multipart/ByteRanges; boundary=x")]).multipart);
        assert!(!head(&[("content-type", "multipart/form-data")]).multipart);
    }

    #[test]
    fn a_range_that_is_there_twice_is_invalid() {
        assert_eq!(head(&[]).content_range, Field::Absent);
        let one = ("content-range", "bytes 0-1/2");
        assert!(head(&[one]).content_range.present().is_some());
        assert!(head(&[one, one]).content_range.present().is_some());
        assert_eq!(head(&[one, ("content-range", "bytes 1-1/2")]).content_range, Field::Invalid);
    }

    #[test]
    fn the_origins_digest_is_read() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let digest = |text: &str| head(&[("repr-digest", text)]).repr_digest.map(|digest| digest.to_string());
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(&format!("sha-256=:{empty}:")).as_deref(), Some(hex));
        assert_eq!(digest(&format!("sha-512=:AA==:, sha-256=:{empty}:;a=b")).as_deref(), Some(hex));
        let short = &empty[1..];
        for text in [
            "",
            "sha-256=:AA==:",
            &format!("sha-256=:{short}:"),
            &format!("sha-256=:!{short}:"),
            &format!("sha-256={empty}"),
            &format!("sha-256=:{empty}:, sha-256=:{empty}:"),
        ] {
            assert_eq!(digest(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_field_are_read_without_panic(
            fields in prop::collection::vec(
                (prop::sample::select(vec![
                    "etag", "last-modified", "date", "content-length", "content-range", "content-encoding",
                    "transfer-encoding", "content-type", "location", "repr-digest",
                ]), prop::collection::vec(0x20u8..=0xff, 0..60)), 0..8),
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(name, value);
                }
            }
            let head = Head::parse(200, &headers);
            prop_assert_eq!(head.version.bytes_total, None);
        }
    }
}
