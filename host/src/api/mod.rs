//! The host API: HTTP/1.1 with JSON on a unix socket, and over TCP where that is asked for (design.md section 6).
//!
//! ```text
//! client ── unix socket ──→ Server ── a task a connection ──→ Door: who asks ──→ shortcut (state, progress) ──→ published snapshots
//!        ── TCP, TLS ─────→                                                 └──→ router ── rule of the route ──→ Host: commands, reads, journal
//! ```
//!
//! [`Server`] owns its connections; [`crate::host::Host`] does the work. Nothing is kept here that would be lost in a crash: what was
//! acknowledged is in the store, and a stream of events goes on from the number that its reader has.

mod conditional;
mod connection;
mod document;
mod door;
mod error;
mod events;
mod extract;
mod failures;
mod files;
mod gate;
mod headers;
mod health;
mod intake;
mod jobs;
mod list;
mod metrics;
mod network;
mod pace;
mod poll;
mod query;
mod router;
mod server;
mod service;
mod settings;
mod shares;
mod socket;
mod state;
mod steer;
mod story;
mod stream;
mod tcp;
mod tokens;
mod views;
mod webhooks;
pub mod wire;

pub use door::Access;
pub use server::Server;
pub use settings::ApiSettings;
pub use socket::{Socket, SocketError, SocketOwner};
pub use tcp::{TcpConfig, TcpDoor, TcpError};
