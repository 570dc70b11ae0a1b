//! Runs guests: WebAssembly components that decide retries, weigh network cost and repair failed jobs.

pub mod build;
pub mod contract;
mod decision;
pub mod prebuilt;

pub use decision::{DecisionRow, Fault, FilesPage, Memo, Outcome, Source};
