//! Files of a job.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Time, strict};
use crate::job::{FileRange, FileVerdict, Integrity, Validation};

/// A file to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// An http or https URL, at most 8 KiB.
    #[schema(
        format = "uri",
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?:",
        max_length = 8192,
        example = "https://example.org/disk.iso"
    )]
    pub remote_name: String,
    /// An absolute path. The file appears under it when the job is completed.
    #[schema(format = "path", pattern = "^/", max_length = 4095, example = "/srv/disk.iso")]
    pub local_name: String,
    /// What its bytes must hash to: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    pub sha256: Option<String>,
    /// The parts of the remote file that make up the local one, in this order, one after the other; all of it if left out. They may not
    /// overlap.
    #[serde(default, deserialize_with = "strict::objects", skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<RangeView>,
}

/// A part of a remote file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeView {
    /// Where it begins, in bytes.
    #[serde(deserialize_with = "strict::whole")]
    #[schema(format = "uint64", maximum = 18446744073709551614_u64)]
    pub offset: u64,
    /// Bytes, at least 1; to the end of the file if left out.
    #[serde(default, deserialize_with = "strict::optional_whole")]
    #[schema(format = "uint64", minimum = 1, maximum = 18446744073709551615_u64)]
    pub length: Option<u64>,
}

impl From<FileRange> for RangeView {
    fn from(FileRange { offset, length }: FileRange) -> Self {
        Self { offset, length }
    }
}

impl From<RangeView> for FileRange {
    fn from(RangeView { offset, length }: RangeView) -> Self {
        Self { offset, length }
    }
}

/// Files to be added to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFiles {
    /// At least one.
    #[serde(deserialize_with = "strict::objects")]
    #[schema(min_items = 1)]
    pub files: Vec<NewFile>,
}

/// What can be changed of a file: one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, max_properties = 1)]
pub struct FilePatch {
    /// Another http or https URL. Durable at once, in force from the next attempt.
    #[serde(default, deserialize_with = "strict::given", skip_serializing_if = "Option::is_none")]
    #[schema(
        format = "uri",
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?:",
        max_length = 8192,
        nullable = false,
        example = "https://mirror.example.org/disk.iso"
    )]
    pub remote_name: Option<String>,
    /// What was found of a file that is transferred. With `invalid` the job goes into `error` (`validation_failed`), whatever else it does,
    /// and fetches the file again when it is resumed.
    #[serde(default, deserialize_with = "strict::given_word", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub validation_state: Option<FileVerdict>,
}

/// A file as the host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Its position in the job, from 0.
    pub index: u32,
    /// Its URL. A password and the query are not shown: they may be secrets.
    pub remote_name: String,
    /// Its path. Bytes that are no UTF-8 are shown as U+FFFD.
    pub local_name: String,
    /// What its bytes must hash to.
    pub sha256: Option<String>,
    /// The parts of the remote file that make up the local one; empty: all of it.
    pub ranges: Vec<RangeView>,
    /// The size of the local file, once it is known.
    pub bytes_total: Option<u64>,
    /// Durable bytes, as of the last checkpoint.
    pub bytes_transferred: u64,
    /// Whole, durable and verified.
    pub transferred: bool,
    /// Under its local name.
    pub completed: bool,
    /// Times that it began again from 0.
    pub restarts: u32,
    /// What stands behind its bytes, once it is whole.
    #[schema(example = "client_digest")]
    pub integrity: Option<Integrity>,
    /// The Last-Modified field of the version that is fetched.
    pub last_modified: Option<String>,
    /// The ETag field of the version that is fetched.
    pub etag: Option<String>,
    /// What a client found of it; a completed file is valid. `invalid` until it is fetched again.
    pub validation_state: Validation,
    /// The path of the part file, while there is one. It may be read, and is not to be written to.
    #[schema(example = "/srv/.backhaul-1f2e3d4c-01912345-6789-7abc-8def-0123456789ab-0.part")]
    pub temporary_name: Option<String>,
}

/// The last head that an origin answered with for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseHeadersView {
    /// The status of the answer.
    #[schema(example = 206)]
    pub status: u16,
    /// When it came.
    pub at: Time,
    /// Its fields, in their order, names in lower case.
    pub headers: Vec<ResponseHeaderView>,
    /// Fields were left out, or values cut, for their size.
    pub truncated: bool,
}

/// A field of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseHeaderView {
    /// In lower case.
    #[schema(example = "etag")]
    pub name: String,
    /// `null` where it may be a secret: cookies, tokens, what has to do with authentication, URLs. It is not kept then.
    pub value: Option<String>,
}

/// A page of files, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilePage {
    /// The files.
    pub files: Vec<FileView>,
    /// Give it as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}
