//! What is kept of the head of an answer: enough for a client to look at, nothing that may be a secret. Pure.
//!
//! Clients look for fields that only they know of, so that all are kept but for those that are, or may well be, credentials: of them the
//! name is kept and no value. Fields that hold a URL count as such: URLs may be signed.

use reqwest::header::HeaderMap;

use crate::clock::UnixMillis;
use crate::job::{FileResponse, ResponseField};

/// Bytes of one value; what is longer is cut. Real ones have some tens, content security policies up to a few thousand.
const VALUE_BYTES_MAX: usize = 2 << 10;
/// Bytes of all names and values: a quarter of what a head may have, so that a million files do not keep 64 GB of them.
const FIELDS_BYTES_MAX: usize = 16 << 10;

/// Parts of names by which credentials are known: `set-cookie`, `www-authenticate`, `x-amz-security-token`, `x-session-id`, ...
const SECRET_PARTS: [&str; 10] =
    ["auth", "cookie", "token", "secret", "passw", "credential", "session", "signature", "api-key", "apikey"];
/// Fields that hold URLs.
const URL_FIELDS: [&str; 6] = ["location", "content-location", "link", "refresh", "referer", "x-accel-redirect"];

/// The head as it is kept.
pub(crate) fn kept(status: u16, headers: &HeaderMap, at: UnixMillis) -> FileResponse {
    let mut response = FileResponse { at, status, fields: Vec::with_capacity(headers.len()), truncated: false };
    let mut left = FIELDS_BYTES_MAX;
    for (name, value) in headers {
        let name = name.as_str().to_owned();
        let value = (!may_be_secret(&name)).then(|| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let end = text.floor_char_boundary(VALUE_BYTES_MAX.min(text.len()));
            response.truncated |= end < text.len();
            text[..end].to_owned()
        });
        let bytes = name.len() + value.as_ref().map_or(0, String::len);
        if bytes > left {
            response.truncated = true;
            continue;
        }
        left -= bytes;
        response.fields.push(ResponseField { name, value });
    }
    response
}

/// By the name of a field, in lower case.
fn may_be_secret(name: &str) -> bool {
    URL_FIELDS.contains(&name) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn head(fields: &[(&str, &str)]) -> FileResponse {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        kept(200, &headers, UnixMillis(7))
    }

    #[test]
    fn fields_are_kept_and_credentials_are_not() {
        let response = head(&[("ETag", "\"a\""), ("X-Goog-Hash", "crc32c=x"), ("Content-Disposition", "attachment")]);
        assert!(response.fields.iter().all(|field| field.value.is_some()) && !response.truncated);
        for name in [
            "Set-Cookie",
            "WWW-Authenticate",
            "Authentication-Info",
            "X-Amz-Security-Token",
            "X-Session-Id",
            "Location",
            "Content-Location",
            "Link",
            "X-Api-Key",
        ] {
            let response = head(&[(name, "SECRET")]);
            let name = name.to_lowercase();
            assert_eq!(response.fields, [ResponseField { name, value: None }]);
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_there_twice() {
        let response = head(&[("Via", "a"), ("Via", "b")]);
        let values: Vec<_> = response.fields.iter().filter_map(|field| field.value.as_deref()).collect();
        assert_eq!(values, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn a_head_of_any_size_is_kept_within_bounds(sizes in prop::collection::vec(0_usize..6_000, 0..30)) {
            let texts: Vec<_> = sizes.iter().map(|size| ("x-field", "v".repeat(*size))).collect();
            let fields: Vec<_> = texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let response = head(&fields);
            let bytes = |field: &ResponseField| field.name.len() + field.value.as_ref().map_or(0, String::len);
            prop_assert!(response.fields.iter().map(bytes).sum::<usize>() <= FIELDS_BYTES_MAX);
            let whole = sizes.iter().all(|size| *size <= VALUE_BYTES_MAX) && response.fields.len() == sizes.len();
            prop_assert_eq!(response.truncated, !whole);
        }
    }
}
