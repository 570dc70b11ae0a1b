//! The rules one by one, then random inputs against the invariants.

mod actors;
mod changes;
mod endings;
mod failures;
mod harness;
mod limits;
mod lives;
mod network;
mod ownership;
mod properties;
mod simulation;
mod slots;
mod table;
mod validation;
mod week;
