//! The rig around the binary: scratch directories, runs of `backhaul` with a limit, tmpfs mounts, real servers, and honest
//! skips.
//!
//! Everything started here ends with the value that started it, also when a test fails.

pub(crate) mod callers;
mod daemon;
pub(crate) mod guest;
mod process;
mod receiver;
mod scratch;
mod servers;
pub(crate) mod skip;
mod space;
mod strace;
#[cfg(test)]
mod tests;
mod tmpfs;

pub(crate) use daemon::{Answer, Daemon, Events, Told};
pub(crate) use process::{Backhaul, Finished, Running};
pub(crate) use receiver::{Posted, Receiver, Reply};
pub(crate) use scratch::{Scratch, assert_absent, assert_published, names_in, sha256_of};
pub(crate) use servers::{BlackHole, Nginx, PythonServer};
pub(crate) use skip::skip;
pub(crate) use strace::Strace;
pub(crate) use tmpfs::Tmpfs;
