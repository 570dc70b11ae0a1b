//! Keys that make a repeated request safe.

use super::Sha256;

/// What a client names a request to create a job by. The same key with the same request is the same job, as long as the job is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// The client's text. It is the owner's own: another owner's equal key is another one.
    pub key: String,
    /// SHA-256 of the request that it came with.
    pub request: Sha256,
}
