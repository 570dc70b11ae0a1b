//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("failed to read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error("the configuration {} has {size} bytes; at most {allowed} are allowed", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        allowed: u64,
    },
    /// It is no TOML.
    #[error("the configuration {} is no TOML: {detail}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        detail: String,
    },
    /// Some keys are unknown, or have values that cannot be.
    #[error("the configuration {} is wrong:{}", .path.display(), Lines(.wrong))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Each of them.
        wrong: Vec<WrongKey>,
    },
}

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey {
    /// For example `scheduler.time_slice`.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

struct Lines<'a>(&'a [WrongKey]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|WrongKey { key, problem }| write!(f, "\n  {key}: {problem}"))
    }
}
