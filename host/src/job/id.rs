//! Identifiers. Each has its own type, so that a job's number is never taken for a file's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job: a UUID of version 7, so that ids sort by creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid")]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// Draws a new id. Never called by the core, which is given its ids.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A store: drawn when it is created, and part of the names of its part files, so that two stores never take each other's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u32);

/// A text that is no store id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a store id is 8 hexadecimal digits in lower case, not {text:?}")]
pub struct StoreIdError {
    text: String,
}

impl StoreId {
    /// Draws a new id.
    #[must_use]
    pub fn generate() -> Self {
        // The last bytes of a UUID of version 7 are random.
        let bytes = Uuid::now_v7().into_bytes();
        Self(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for StoreId {
    type Err = StoreIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || StoreIdError { text: text.chars().take(16).collect() };
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 8 || !text.bytes().all(is_digit) {
            return Err(error());
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| error())
    }
}

/// The name of a part file, beside the local name. Never made of the local name: one of 255 bytes would leave no room.
#[must_use]
pub fn part_file_name(store: StoreId, job: JobId, file: FileIndex) -> String {
    format!(".backhaul-{store}-{job}-{file}.part")
}

/// Position of a file in its job, from 0, in the order in which files were added.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct FileIndex(pub u32);

impl fmt::Display for FileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the runs of a job from 1. Reports of an earlier run are recognised by it and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNumber(pub u32);

/// One question to the policies of a job: `<job id>-<count>`. The policies of a chain share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct DecisionId(pub String);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name under which a policy was loaded, at most 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct PolicyName(pub String);

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_id_reads_back_as_it_was_written() {
        for id in [0, 1, 0x0a0b_0c0d, u32::MAX] {
            let text = StoreId(id).to_string();
            assert_eq!((text.len(), text.parse()), (8, Ok(StoreId(id))));
        }
        for text in ["", "0", "0000000G", "0000000A", "+0000000", "000000000"] {
            assert!(text.parse::<StoreId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_file_is_named_by_store_job_and_file() {
        let name = part_file_name(StoreId(0xbeef), JobId(Uuid::nil()), FileIndex(7));
        assert_eq!(name, ".backhaul-0000beef-00000000-0000-0000-0000-000000000000-7.part");
    }
}
