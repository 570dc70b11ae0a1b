//! Backhaul: a background transfer service with the semantics of Windows BITS, whose decisions are WebAssembly policies.
//!
//! [`host::Host`] puts the parts together; ARCHITECTURE.md in the repository is the map.

pub mod access;
pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod host;
pub mod job;
pub mod network;
pub mod notify;
pub mod policy;
pub mod scheduler;
pub mod store;
pub mod transfer;
