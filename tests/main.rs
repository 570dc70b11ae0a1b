//! The end-to-end tests: the `backhaul` binary against an origin that misbehaves on purpose, and against real servers.
//!
//! One binary, so that it is linked once. [`origin`] is the server, [`rig`] runs the client and what surrounds it,
//! [`cases`] holds the tests, one file for each theme; `faults.toml` says which test proves which row of the catalogue.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod origin;
#[cfg(test)]
mod rig;
