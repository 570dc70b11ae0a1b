//! The tests, one file for each theme.

mod catalogue;
mod demo;
mod guests;
mod usage;
