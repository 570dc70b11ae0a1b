//! The client of the host API: what applications in Rust, and the command line, speak to a running daemon with.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use backhaul::api::wire::{NewFile, NewJob};
//! use backhaul::client::{Client, ClientError, default_socket};
//! use backhaul::job::JobState;
//!
//! # async fn fetch() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::unix(default_socket()?)?;
//! let file = NewFile {
//!     remote_name: "https://example.org/disk.iso".into(),
//!     local_name: "/srv/disk.iso".into(),
//!     sha256: None,
//!     ranges: Vec::new(),
//! };
//! let job = client.create(&NewJob { resume: true, files: vec![file], ..NewJob::download() }).await?;
//! let is_over = |state| matches!(state, JobState::Transferred | JobState::Error);
//! let end = client.wait(job.id, Duration::from_secs(3600), is_over).await?;
//! if end.state == JobState::Transferred {
//!     client.complete(job.id).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is cheap to clone, and keeps connections open between calls. Every wait has a bound: calls end with
//! [`ClientError::Timeout`] at the latest. Calls that may be repeated without harm (reads, settings of a value, creation, which
//! carries a key) are repeated for a few seconds where the connection breaks under them, so that the restart of a daemon in
//! between is not seen; the others are told as [`ClientError::Broken`], and a look at the job says what became of them.
//!
//! The daemon keeps all state: a client that is killed loses nothing but the [`EventStream`] position, which is the number of
//! the last event that it dealt with.

mod endpoint;
mod error;
mod events;
mod host;
mod jobs;
mod request;
mod socket;
mod sse;
#[cfg(test)]
mod tests;
mod tokens;
mod transport;
mod waiting;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::endpoint::{Endpoint, EndpointError, TOKEN_FILE_VARIABLE, Token};
pub use self::error::ClientError;
pub use self::events::{EventFilter, EventStart, EventStream, StreamItem};
pub(crate) use self::jobs::priority_name;
pub use self::jobs::{IdempotencyKey, JobFilter};
pub use self::request::{EntityTag, Tagged};
pub(crate) use self::socket::checked_socket;
pub use self::socket::{NoSocketPath, SOCKET_VARIABLE, SocketPathTooLong, default_socket};
use self::transport::Transport;

/// A client of one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A client of the daemon that listens on this socket; see [`default_socket`]. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Setup`] if the HTTP client cannot be made.
    pub fn unix(socket: impl Into<PathBuf>) -> Result<Self, ClientError> {
        Ok(Self { transport: Arc::new(Transport::unix(socket.into())?) })
    }

    /// A client of the daemon that serves under this URL (`https://host:7447`), for whoever has the token. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Endpoint`] if the token must not be sent there, [`ClientError::Setup`] if the HTTP client cannot be made.
    pub fn remote(url: &str, token: &Token) -> Result<Self, ClientError> {
        Ok(Self { transport: Arc::new(Transport::remote(&endpoint::url(url)?, token)?) })
    }

    /// Where the daemon is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.transport.endpoint()
    }
}
