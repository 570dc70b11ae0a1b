//! Where a daemon is reached, and what says who asks.

use std::fmt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use url::{Host, Url};

/// The environment variable that names the file of the token.
pub const TOKEN_FILE_VARIABLE: &str = "BACKHAUL_TOKEN_FILE";

/// Bytes of a token's file. Beyond this it is some other file.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// Where a daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Its unix socket.
    Socket(PathBuf),
    /// Over TCP: scheme, host and port.
    Url(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Url(origin) => f.write_str(origin),
        }
    }
}

/// Why a daemon cannot be asked over TCP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL of a daemon.
    #[error("the URL of a daemon is https://HOST:PORT, without a path, a query and a user")]
    Form,
    /// The token would be readable on the way.
    #[error("a token is sent to loopback or over https:// only")]
    NotEncrypted,
    /// What should be the token cannot be sent.
    #[error("the token is no single line of visible ASCII characters")]
    Token,
    /// The file of the token cannot be read.
    #[error("failed to read the token from {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A token, as it was made by `backhaul token create`. It does not show itself.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Takes a token, without the space around it.
    ///
    /// # Errors
    /// If it cannot stand in a request.
    pub fn new(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Token);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| EndpointError::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Reads one from a file, where other users of the machine do not see it as they see a command line.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no token.
    pub fn read(path: &Path) -> Result<Self, EndpointError> {
        let failed = |reason: String| EndpointError::File { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if size > TOKEN_FILE_BYTES_MAX {
            return Err(failed(format!("it has {size} bytes")));
        }
        Self::new(&std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?)
    }

    pub(super) const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// The URL of a daemon to which a token may be sent.
pub(super) fn url(text: &str) -> Result<Url, EndpointError> {
    let url = Url::parse(text).map_err(|_| EndpointError::Form)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Form);
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(EndpointError::Form),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => Err(EndpointError::NotEncrypted),
        _ => Err(EndpointError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_encrypted_or_not_off_the_machine() {
        for text in
            ["https://host", "https://192.0.2.1:7447/", "http://localhost:7447", "http://127.0.0.1:1", "http://[::1]:1"]
        {
            assert!(url(text).is_ok(), "{text}");
        }
        assert_eq!(url("http://host:7447"), Err(EndpointError::NotEncrypted));
        for text in
            ["host:7447", "", "https://h/v1", "https://u@h", "https://h/?q", "ftp://h", "https://h/#f", "unix:///run"]
        {
            assert_eq!(url(text), Err(EndpointError::Form), "{text}");
        }
    }

    #[test]
    fn a_token_is_one_line_and_does_not_show_itself() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "backhaul_00ff\n").unwrap();
        let token = Token::read(&file).unwrap();
        assert_eq!(token.value(), "Bearer backhaul_00ff");
        assert!(!format!("{token:?} {:?}", token.value()).contains("00ff"));
        for wrong in ["", "\n", "a b", "a\nb", "\u{e9}"] {
            assert_eq!(Token::new(wrong).unwrap_err(), EndpointError::Token, "{wrong:?}");
        }
        let missing = Token::read(&directory.path().join("missing")).unwrap_err();
        assert!(missing.to_string().contains("/missing: "), "{missing}");
    }
}
