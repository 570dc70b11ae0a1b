//! Remote names: the URLs of files, parsed once, and never shown with their secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::properties::limits;

/// An http or https URL. `Display` and `Debug` leave out userinfo, query and fragment, which may be credentials
/// (a signed URL is one); [`SafeUrl::expose`] gives the whole, for the wire and the store only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafeUrl(Url);

/// Why a text is no remote name. The text itself is not repeated: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteNameError {
    /// Not a URL at all.
    #[error("the remote name is no URL: {0}")]
    NotAUrl(url::ParseError),
    /// A scheme that is not served: BG_E_REMOTE_NOT_SUPPORTED.
    #[error("remote names begin with http:// or https://, not {scheme}:")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// Over [`limits::URL_BYTES_MAX`].
    #[error("the remote name has {bytes} bytes; at most {} are allowed", limits::URL_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Scheme, host and port (RFC 9110 section 4.3.1): what connections are counted by, and what credentials are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// The origin as text, for example `https://example.org:8443`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SafeUrl {
    /// Parses a remote name.
    pub fn parse(text: &str) -> Result<Self, RemoteNameError> {
        if text.len() > limits::URL_BYTES_MAX {
            return Err(RemoteNameError::TooLong { bytes: text.len() });
        }
        let url = Url::parse(text).map_err(RemoteNameError::NotAUrl)?;
        Self::from_url(url)
    }

    /// Takes a parsed URL, for example the target of a redirect. The fragment is dropped: it never goes on the wire.
    pub fn from_url(mut url: Url) -> Result<Self, RemoteNameError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RemoteNameError::Scheme { scheme: url.scheme().to_owned() });
        }
        url.set_fragment(None);
        match url.as_str().len() {
            bytes if bytes > limits::URL_BYTES_MAX => Err(RemoteNameError::TooLong { bytes }),
            _ => Ok(Self(url)),
        }
    }

    /// The whole URL with its secrets.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin(self.0.origin().ascii_serialization())
    }

    /// The same without the user and the password in it; none if it has neither.
    #[must_use]
    pub fn without_userinfo(&self) -> Option<Self> {
        if self.0.username().is_empty() && self.0.password().is_none() {
            return None;
        }
        let mut url = self.0.clone();
        // Neither call fails for a URL that has a host, which every http URL has.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Some(Self(url))
    }

    /// The last segment of the path, percent-decoded, if there is one that can name a file.
    #[must_use]
    pub fn last_segment(&self) -> Option<String> {
        let segment = self.0.path_segments()?.next_back().filter(|segment| !segment.is_empty())?;
        percent_decode(segment)
    }
}

/// Decodes `%XX`; none where the result is not UTF-8.
fn percent_decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2)).flatten();
        let decoded =
            escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.origin().ascii_serialization();
        write!(f, "{origin}{}", self.0.path())?;
        if self.0.query().is_some() { f.write_str("?...") } else { Ok(()) }
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafeUrl({self})")
    }
}

impl FromStr for SafeUrl {
    type Err = RemoteNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_userinfo_query_or_fragment() {
        let url = SafeUrl::parse("https://user:secret@example.org:8443/a/b?sig=secret#secret").unwrap();
        assert_eq!(url.to_string(), "https://example.org:8443/a/b?...");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.expose().as_str(), "https://user:secret@example.org:8443/a/b?sig=secret");
        assert_eq!(url.origin().as_str(), "https://example.org:8443");
    }

    #[test]
    fn other_schemes_and_long_names_are_refused() {
        assert!(matches!(SafeUrl::parse("smb://server/share"), Err(RemoteNameError::Scheme { .. })));
        assert!(matches!(SafeUrl::parse("file:///etc/passwd"), Err(RemoteNameError::Scheme { .. })));
        assert!(matches!(SafeUrl::parse("/relative"), Err(RemoteNameError::NotAUrl(_))));
        let long = format!("http://example.org/{}", "a".repeat(limits::URL_BYTES_MAX));
        assert!(matches!(SafeUrl::parse(&long), Err(RemoteNameError::TooLong { .. })));
    }

    #[test]
    fn the_last_segment_is_decoded() {
        let name = |text| SafeUrl::parse(text).unwrap().last_segment();
        assert_eq!(name("http://h/a/b%20c.iso?x").as_deref(), Some("b c.iso"));
        assert_eq!(name("http://h/a/"), None);
        assert_eq!(name("http://h/%ff"), None);
        assert_eq!(name("http://h/100%").as_deref(), Some("100%"));
        assert_eq!(name("http://h/%2e%2e%2fx").as_deref(), Some("../x"));
    }
}
