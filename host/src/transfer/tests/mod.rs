//! The worker against raw sockets that say what they like, with the real store and a driver that only records.

mod origin;
mod rig;

mod containment;
mod control;
mod downloads;
mod errors;
mod hostile;
mod joining;
mod origins;
mod publication;
mod ranges;
mod redirects;
