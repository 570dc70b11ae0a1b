//! The tests, one file for each theme.

mod catalogue;
mod guests;
mod usage;
