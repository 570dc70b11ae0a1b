//! The limits of the API's server.

use std::time::Duration;

/// What an operator may set of the API. Each limit bounds what one client can make the host hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Connections at once; more wait in the socket's backlog.
    pub connections_max: usize,
    /// Bytes of a request's body: some 100,000 files with long names.
    pub body_bytes_max: usize,
    /// From the first byte of a request to the end of its head.
    pub header_read_timeout: Duration,
    /// From the head of a request to the end of its body.
    pub body_read_timeout: Duration,
    /// From the end of a request to its answer. The command of a request that takes longer goes on.
    pub request_timeout: Duration,
    /// Without a request on a connection.
    pub idle_timeout: Duration,
    /// Without a byte that a client takes of what it asked for.
    pub write_timeout: Duration,
    /// Between two comments on a stream of events on which nothing happens.
    pub heartbeat: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            body_bytes_max: 16 << 20,
            header_read_timeout: Duration::from_secs(10),
            body_read_timeout: Duration::from_secs(30),
            // Completing a job renames its files and syncs their directories: 100,000 take a minute on a slow disk.
            request_timeout: Duration::from_secs(300),
            // Longer than clients poll, shorter than what is forgotten.
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}
