//! Runs guests: WebAssembly components that decide retries, weigh network cost and repair failed jobs.

pub mod contract;
mod decision;

pub use decision::{DecisionRow, Fault, FilesPage, Memo, Outcome, Source};
