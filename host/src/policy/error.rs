//! Why a policy cannot be used. Always that policy's error, never the host's.

use std::path::PathBuf;

use super::{Fault, PolicyName};

/// A policy could not be loaded, or the runtime could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The engine could not be made: an error of this machine, such as too little address space.
    #[error("failed to start the policy engine: {0}")]
    Engine(String),
    /// The policy thread could not be started.
    #[error("failed to start the policy thread: {0}")]
    Thread(String),
    /// The file could not be read.
    #[error("failed to read the policy {}: {reason}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no embedded policy of that name.
    #[error("there is no embedded policy {name:?}; there are: {known}")]
    NotEmbedded {
        /// The name.
        name: String,
        /// Those that are embedded.
        known: String,
    },
    /// The name cannot be a policy's.
    #[error("{name:?} cannot be the name of a policy: {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Another policy was loaded under that name.
    #[error("another policy is loaded under the name {0}; load this one under a name of its own")]
    NameTaken(PolicyName),
    /// The operator grants what cannot be granted.
    #[error("failed to grant the policy {policy} {what}")]
    Grant {
        /// Which policy.
        policy: PolicyName,
        /// What, and what could be granted.
        what: String,
    },
    /// The component was refused.
    #[error("the policy {policy} was refused ({}): {detail}", fault.code())]
    Refused {
        /// Which policy.
        policy: PolicyName,
        /// Why, for machines.
        fault: Fault,
        /// Why and what to do, for people.
        detail: String,
    },
}

impl PolicyError {
    /// The code under which a refused component appears in events and decision rows.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused { fault, .. } => Some(*fault),
            _ => None,
        }
    }
}
