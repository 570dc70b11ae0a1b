//! The host API: HTTP/1.1 with JSON on a unix socket (design.md section 6).
//!
//! ```text
//! client ── unix socket ──→ Server ── a task a connection ──→ shortcut (state, progress) ──→ published snapshots
//!                                                        └──→ router ──→ Host: commands, reads of the store, journal
//! ```
//!
//! [`Server`] owns its connections; [`crate::host::Host`] does the work. Nothing is kept here that would be lost in a crash: what was
//! acknowledged is in the store, and a stream of events goes on from the number that its reader has.

mod conditional;
mod connection;
mod document;
mod error;
mod events;
mod extract;
mod files;
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
mod socket;
mod state;
mod steer;
mod story;
mod stream;
mod views;
mod webhooks;
pub mod wire;

pub use server::{Access, Server};
pub use settings::ApiSettings;
pub use socket::{Socket, SocketError};
