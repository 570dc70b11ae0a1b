//! The last head that an origin answered with for a file: BITS's property HTTP_RESPONSE_HEADERS (bits.md 2.8).

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;

/// A head, without what may be a secret, and not larger than is of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileResponse {
    /// When it came.
    pub at: UnixMillis,
    /// Its status.
    pub status: u16,
    /// Its fields, in their order.
    pub fields: Vec<ResponseField>,
    /// Something was left out, or cut.
    pub truncated: bool,
}

/// A field of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseField {
    /// In lower case.
    pub name: String,
    /// None where it may be a secret.
    pub value: Option<String>,
}
