//! Request headers that a job may have: names and values that can stand in a request, and that are not the engine's own.

use reqwest::header::{HeaderName, HeaderValue};

use super::client::is_reserved_header;
use crate::job::RequestHeaders;
use crate::job::limits::{HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX};

/// Why a header is refused. The value is not repeated: it may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No colon.
    #[error("a header is `Name: value`")]
    Form,
    /// The name has characters that names do not have.
    #[error("{0:?} is no header name: letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    Name(String),
    /// The name is too long.
    #[error("a header name has {0} bytes; at most {HEADER_NAME_BYTES_MAX} are allowed")]
    NameTooLong(usize),
    /// The engine's own.
    #[error("{0} is set by Backhaul itself and cannot be given")]
    Owned(HeaderName),
    /// The value has control characters or is not ASCII.
    #[error("the value of {0} has characters that a header cannot have: visible ASCII, blanks and tabs are allowed")]
    Value(HeaderName),
    /// The value is too long.
    #[error("the value of {name} has {bytes} bytes; at most {HEADER_VALUE_BYTES_MAX} are allowed")]
    TooLong {
        /// Whose.
        name: HeaderName,
        /// Its length.
        bytes: usize,
    },
    /// Too many.
    #[error("at most {HEADERS_MAX} headers are allowed")]
    TooMany,
    /// Too much of them.
    #[error("the headers have {0} bytes; at most {HEADERS_BYTES_MAX} are allowed")]
    AllTooLong(usize),
}

/// Checks one header, and brings it into the form in which it is kept.
///
/// # Errors
/// What is wrong with it.
pub fn request_header(name: &str, value: &str) -> Result<(String, String), HeaderError> {
    if name.len() > HEADER_NAME_BYTES_MAX {
        return Err(HeaderError::NameTooLong(name.len()));
    }
    let shown = || name.chars().take(80).collect();
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name(shown()))?;
    if is_reserved_header(name.as_str()) {
        return Err(HeaderError::Owned(name));
    }
    let value = value.trim_matches([' ', '\t']);
    if value.len() > HEADER_VALUE_BYTES_MAX {
        return Err(HeaderError::TooLong { name, bytes: value.len() });
    }
    let is_visible = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if !is_visible || HeaderValue::from_str(value).is_err() {
        return Err(HeaderError::Value(name));
    }
    Ok((name.as_str().to_owned(), value.to_owned()))
}

/// Checks all headers of a job together: how many, and how long as lines.
///
/// # Errors
/// Which limit they exceed.
pub fn check_all(headers: &RequestHeaders) -> Result<(), HeaderError> {
    /// A colon, a blank, and the line's end.
    const LINE_BYTES: usize = 4;
    if headers.0.len() > HEADERS_MAX {
        return Err(HeaderError::TooMany);
    }
    let bytes: usize = headers.0.iter().map(|(name, value)| name.len() + value.len() + LINE_BYTES).sum();
    if bytes > HEADERS_BYTES_MAX { Err(HeaderError::AllTooLong(bytes)) } else { Ok(()) }
}

/// Reads headers as they are typed, `Name: value`, and checks each and all of them.
///
/// # Errors
/// The first that is wrong, or the limit that they exceed together.
pub(crate) fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<RequestHeaders, HeaderError> {
    let headers = RequestHeaders(texts.into_iter().map(parse).collect::<Result<_, _>>()?);
    check_all(&headers)?;
    Ok(headers)
}

fn parse(text: &str) -> Result<(String, String), HeaderError> {
    let (name, value) = text.split_once(':').ok_or(HeaderError::Form)?;
    request_header(name, value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_lower_case_and_values_trimmed() {
        assert_eq!(parse("X-Api-Key:  a:b \t"), Ok(("x-api-key".into(), "a:b".into())));
        assert_eq!(parse("Accept:"), Ok(("accept".into(), String::new())));
    }

    #[test]
    fn what_the_engine_owns_is_refused() {
        for name in ["RANGE", "If-Range", "Accept-Encoding", "Host", "Content-Length", "If-None-Match", "Connection"] {
            assert!(matches!(parse(&format!("{name}: x")), Err(HeaderError::Owned(_))), "{name}");
        }
    }

    #[test]
    fn bad_headers_are_refused_without_their_value() {
        assert_eq!(parse("secret"), Err(HeaderError::Form));
        for text in ["a b: secret", ": secret", "a\n: secret", "é: secret", "X : secret"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, HeaderError::Name(_)) && !error.to_string().contains("secret"), "{text:?}");
        }
        for text in ["a: secret\r\nb: c", "a: secret\0", "a: secret\x7f", "a: secreté"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, HeaderError::Value(_)) && !error.to_string().contains("secret"), "{text:?}");
        }
        let long = format!("a: {}", "v".repeat(HEADER_VALUE_BYTES_MAX + 1));
        assert!(matches!(parse(&long), Err(HeaderError::TooLong { .. })));
        assert_eq!(parse_all(std::iter::repeat_n("a: b", HEADERS_MAX + 1)), Err(HeaderError::TooMany));
        let half = format!("a: {}", "v".repeat(HEADER_VALUE_BYTES_MAX));
        assert!(matches!(parse_all([half.as_str(), half.as_str()]), Err(HeaderError::AllTooLong(_))));
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_go_on_the_wire(text in "\\PC{0,40}") {
            if let Ok((name, value)) = parse(&text) {
                prop_assert!(HeaderName::from_bytes(name.as_bytes()).is_ok());
                prop_assert!(HeaderValue::from_str(&value).is_ok());
            }
        }
    }
}
