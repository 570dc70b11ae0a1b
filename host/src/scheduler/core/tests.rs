//! The rules one by one, then random inputs against the invariants.

mod harness;
mod lives;
