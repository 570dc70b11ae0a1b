//! What can go wrong between a client and its daemon.

use std::fmt::Write as _;
use std::time::Duration;

use super::endpoint::{Endpoint, EndpointError};
use crate::api::wire::Problem;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The HTTP client could not be made.
    #[error("failed to set up the HTTP client: {0}")]
    Setup(String),
    /// The daemon cannot be asked over TCP with what was given.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody listens, or not for this user. Nothing was sent.
    #[error("cannot reach the daemon on {daemon}: {reason}; start it with `backhaul serve`, or name its socket or URL")]
    CannotConnect {
        /// Where it was looked for.
        daemon: Endpoint,
        /// What the system said.
        reason: String,
    },
    /// The connection broke under a call that may have been carried out or not.
    #[error(
        "the connection to the daemon on {daemon} broke during {operation}: {reason}; look at the job before you repeat it"
    )]
    Broken {
        /// Where the daemon is.
        daemon: Endpoint,
        /// Method and path.
        operation: String,
        /// What broke it.
        reason: String,
    },
    /// The daemon did not answer in time, or what was waited for did not come about.
    #[error("no answer to {operation} within {} s", limit.as_secs_f64())]
    Timeout {
        /// Method and path.
        operation: String,
        /// How long it was waited.
        limit: Duration,
    },
    /// The daemon refused, and says why.
    #[error("{}", told(problem))]
    Problem {
        /// Method and path.
        operation: String,
        /// Code, number, detail, and the fields that were wrong.
        problem: Box<Problem>,
    },
    /// What answered does not speak this API, or not this version of it.
    #[error("unexpected answer to {operation}: {what}")]
    Unexpected {
        /// Method and path.
        operation: String,
        /// What was not as it should be.
        what: String,
    },
}

impl ClientError {
    /// The code of the problem, for example `invalid_state`, if the daemon refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { problem, .. } => Some(&problem.code),
            _ => None,
        }
    }

    /// The status that the daemon answered with, if it refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { problem, .. } => Some(problem.status),
            _ => None,
        }
    }
}

fn told(problem: &Problem) -> String {
    let mut text = format!("{} ({}", problem.detail, problem.code);
    if let Some(number) = &problem.number {
        let _ = write!(text, ", {number}");
    }
    text.push(')');
    // A problem of one field has it in its detail.
    let more = problem.errors.iter().filter(|field| problem.detail != format!("{}: {}", field.field, field.detail));
    for field in more {
        let _ = write!(text, "\n  {}: {}", field.field, field.detail);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::FieldProblem;

    #[test]
    fn a_problem_is_told_with_its_code_and_its_fields() {
        let problem = Problem {
            kind: "about:blank".into(),
            title: "Unprocessable Content".into(),
            status: 422,
            detail: "the job cannot be created".into(),
            code: "invalid_fields".into(),
            number: Some("0x80070057".into()),
            errors: vec![FieldProblem { field: "/parallel_files".into(), detail: "1 to 64".into() }],
        };
        let error = ClientError::Problem { operation: "POST /v1/jobs".into(), problem: Box::new(problem) };
        assert_eq!(
            error.to_string(),
            "the job cannot be created (invalid_fields, 0x80070057)\n  /parallel_files: 1 to 64"
        );
        assert_eq!((error.code(), error.status()), (Some("invalid_fields"), Some(422)));
    }

    #[test]
    fn who_cannot_be_reached_is_named_with_what_to_do() {
        let error = ClientError::CannotConnect {
            daemon: Endpoint::Socket("/run/b.sock".into()),
            reason: "no such file".into(),
        };
        assert!(error.to_string().contains("/run/b.sock") && error.to_string().contains("`backhaul serve`"));
    }
}
