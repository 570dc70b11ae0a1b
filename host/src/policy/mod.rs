//! Runs guests: WebAssembly components that decide retries, weigh network cost and repair failed jobs.
//!
//! ```text
//! driver ─ Ask, JobFacts ─→ Policies::answer ─ no policies ─→ native default, at once
//!    ↑                            │ queue (bounded)
//!    │                            ↓
//!    │          policy thread: Decider ─ for each policy of the chain: fit ─→ call (fresh instance) ─→ clamp ─→ row
//!    └─ Answered { answer, decisions, memos, faults } ←─ chain: who decides
//! ```
//!
//! A policy advises, the host decides: a call ends by its fuel, its deadline or its memory limit, its answer is checked, and whatever
//! goes wrong is recorded and answered by what `on_fault` says. Nothing here is durable: the driver stores rows and memos in the
//! transaction of the decision. After a crash strikes are forgotten; an answer that was not committed never was.

mod bindings;
pub mod build;
mod builtin;
mod call;
mod chain;
pub mod clamp;
mod compile;
mod component;
mod config;
pub mod contract;
mod convert;
mod decide;
mod decision;
mod engine;
mod error;
mod fit;
mod grants;
mod guest_state;
mod hooked;
mod inspect;
pub mod prebuilt;
mod quarantine;
mod record;
pub mod redact;
mod registry;
mod scan;
#[cfg(test)]
pub(crate) mod strategies;
mod tally;
#[cfg(test)]
mod tests;
mod thread;
mod times;

pub use component::{COMPONENT_BYTES_MAX, PolicySource};
pub use config::{AdmitOnFault, OnFault, OnFaults, PolicyConfig};
pub use decision::{DecisionRow, Fault, FilesPage, Memo, Outcome, RecordedInput, Source};
pub use engine::{ENGINE_VERSION, MEMORY_BYTES_MAX};
pub use error::PolicyError;
pub use grants::{Capability, Grants, UnknownCapability};
pub use guest_state::{JobFacts, NoFacts};
pub use inspect::{Inspection, inspect};
pub use registry::{Loaded, Policies, PolicyDirectory, PolicyStatus};
pub use scan::CONTRACT_VERSION;
pub use tally::{Answered, FaultReport};

use crate::job::PolicyName;

/// The name under which the native default appears in decisions.
pub const BUILT_IN: &str = "built-in";
