//! Why a command could not do its work: one clear text, and the exit code.

use std::error::Error;
use std::fmt;

use super::exit_code::ExitCode;

/// The end of a command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) code: ExitCode,
    /// What failed on what, and what to do. Without secrets.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with its text.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Bad usage.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitCode::Usage, message.to_string())
    }

    /// An error with its causes, each after a colon.
    pub(crate) fn of(code: ExitCode, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many libraries repeat their source in their own text.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the store")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_told_once() {
        let failure = Failure::of(ExitCode::StoreUnusable, &Outer(std::io::Error::other("no space")));
        assert_eq!(failure.message, "failed to open the store: no space");
    }
}
