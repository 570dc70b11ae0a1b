//! Errors: RFC 9457 with BITS's code.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of problem: `about:blank`, for the code says more (RFC 9457 section 4.2.1).
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason phrase of the status.
    pub title: String,
    /// The status.
    pub status: u16,
    /// For people: what failed, on what, and what to do.
    pub detail: String,
    /// For machines, for example `invalid_state`. BITS's name where it has one.
    #[schema(example = "empty")]
    pub code: String,
    /// BITS's number in hexadecimal, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0x80200003")]
    pub number: Option<String>,
    /// The fields that were wrong, each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Which one, as a JSON Pointer (RFC 6901) into the body, or the name of a parameter.
    #[schema(example = "/files/0/remote_name")]
    pub field: String,
    /// What is wrong, and what is allowed.
    pub detail: String,
}
