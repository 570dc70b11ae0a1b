//! What an error of the HTTP client means.
//!
//! The client's own labels do not tell: it calls truncation, resets and timeouts within a body errors of decoding. The chain
//! of sources does, so it is walked for the types that are known.

use std::error::Error;
use std::io;

use super::error::FileError;
use crate::job::Phase;

/// A name that could not be resolved: what our resolver says, to be found again in the chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ResolveError(pub(crate) String);

/// An address that the job's owner may not connect to: what our resolver says.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of {0} are kept from this owner's jobs")]
pub(crate) struct DeniedAddress(pub(crate) String);

/// Classifies an error that came up in `phase`: [`Phase::Response`] before the head was there, [`Phase::Body`] after.
pub(crate) fn classify(error: &reqwest::Error, phase: Phase) -> FileError {
    let mut found = Found::default();
    found.look_into(error, 0);
    if let Some(host) = found.denied {
        return FileError::EgressDenied { host };
    }
    if let Some(detail) = found.resolve {
        return FileError::NameNotResolved { detail };
    }
    // What TLS says within a handshake is about who the origin is; later it is about the connection.
    if error.is_connect() {
        return match found.tls {
            Some(detail) => FileError::Tls { detail },
            None if error.is_timeout() => FileError::Connect { detail: "it took too long".to_owned() },
            None => FileError::Connect { detail: found.innermost },
        };
    }
    if found.too_large {
        return FileError::HeadTooLarge { what: found.innermost };
    }
    // A record that does not decrypt is damage on the way, no answer.
    if found.parse && found.tls.is_none() {
        return FileError::InvalidAnswer { what: found.innermost };
    }
    FileError::Closed { phase, detail: found.innermost }
}

#[derive(Debug, Default)]
struct Found {
    resolve: Option<String>,
    denied: Option<String>,
    tls: Option<String>,
    too_large: bool,
    parse: bool,
    /// The last text of the chain. It names system calls and protocol errors, never the URL, which only the outermost does.
    innermost: String,
}

/// Links of a chain that are looked at: real ones have some eight.
const LINKS_MAX: usize = 32;

impl Found {
    fn look_into(&mut self, error: &(dyn Error + 'static), depth: usize) {
        if depth > 0 {
            self.innermost = error.to_string();
        }
        if let Some(resolve) = error.downcast_ref::<ResolveError>() {
            self.resolve = Some(resolve.to_string());
        }
        if let Some(DeniedAddress(host)) = error.downcast_ref::<DeniedAddress>() {
            self.denied = Some(host.clone());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            self.tls = Some(tls.to_string());
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            self.too_large |= hyper.is_parse_too_large();
            self.parse |= hyper.is_parse();
        }
        if depth == LINKS_MAX {
            return;
        }
        // The source of an I/O error is the source of what it wraps: what it wraps is reached only this way.
        let io = error.downcast_ref::<io::Error>();
        self.parse |=
            io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
        let wrapped = io.and_then(io::Error::get_ref);
        if let Some(wrapped) = wrapped {
            self.look_into(wrapped, depth + 1);
        } else if let Some(source) = error.source() {
            self.look_into(source, depth + 1);
        }
    }
}
