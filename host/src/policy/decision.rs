//! The decision log: every call of a policy with what went in, what came out, and what became of it.
//!
//! A row is the explanation of a decision, a test fixture, and the input of a replay. Rows are redacted before they are made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::contract::{AdmitContext, FileView, Hook, RecoveryContext, RetryContext};
use crate::clock::UnixMillis;
use crate::job::{DecisionId, JobId, PolicyName, Sha256};

/// One call of one policy, or of the built-in default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The question; the policies of a chain share it.
    pub decision: DecisionId,
    /// Position in the chain, from 0.
    pub position: u32,
    /// Which job.
    pub job: JobId,
    /// When.
    pub at: UnixMillis,
    /// Which hook.
    pub hook: Hook,
    /// Who was asked; `built-in` for the native default.
    pub policy: PolicyName,
    /// Digest of the component; none for the native default.
    pub component: Option<Sha256>,
    /// Digest of the settings it was given.
    pub settings: Option<Sha256>,
    /// Version of the WIT package.
    pub wit: String,
    /// Version of the engine: fuel differs between versions.
    pub engine: String,
    /// The context, memo included.
    pub input: RecordedInput,
    /// Pages of the job's files that it read.
    pub files_read: Vec<FilesPage>,
    /// The answer as JSON as it came, or none.
    pub answer: Option<serde_json::Value>,
    /// What was clamped, in words.
    pub clamps: Vec<String>,
    /// Where the verdict that was applied came from.
    pub source: Source,
    /// Whether the call went well.
    pub outcome: Outcome,
    /// Fuel used; 0 for the native default.
    pub fuel: u64,
    /// Bytes of memory at the peak.
    pub peak_memory: u64,
    /// Microseconds, whole host side included.
    pub duration_us: u64,
    /// The last lines that it logged.
    pub log: Vec<String>,
    /// Something was removed; the row cannot be replayed exactly.
    pub redacted: bool,
}

/// The context of a call, as its row keeps it. It becomes JSON only when the row is written, which is not on the policy thread: that would take
/// as long as the guest itself.
#[derive(Debug, Clone)]
pub enum RecordedInput {
    /// Of `on-failure`.
    Retry(Arc<RetryContext>),
    /// Of `admit`.
    Admit(Arc<AdmitContext>),
    /// Of `on-error`.
    Recovery(Arc<RecoveryContext>),
    /// Of any hook, as it was read back.
    Json(serde_json::Value),
}

impl RecordedInput {
    /// The context as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("plain data with text keys always has a JSON form")
    }
}

impl Default for RecordedInput {
    /// Nothing was given: the policy was not asked.
    fn default() -> Self {
        Self::Json(serde_json::Value::Null)
    }
}

impl From<serde_json::Value> for RecordedInput {
    fn from(json: serde_json::Value) -> Self {
        Self::Json(json)
    }
}

impl PartialEq for RecordedInput {
    /// Whether they are written equally.
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Serialize for RecordedInput {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Retry(context) => context.serialize(serializer),
            Self::Admit(context) => context.serialize(serializer),
            Self::Recovery(context) => context.serialize(serializer),
            Self::Json(json) => json.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RecordedInput {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self::Json)
    }
}

/// A page that a guest read by `host.files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesPage {
    /// From which file.
    pub first: u32,
    /// What it was given.
    pub files: Vec<FileView>,
}

/// Where a verdict came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This policy's verdict was applied.
    Policy,
    /// It had nothing to say (`default`), or another one's verdict was stronger.
    PassedOver,
    /// The built-in default decided.
    BuiltIn,
    /// It only looked on.
    Shadow,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It said that it cannot decide: no strike.
    Declined(String),
    /// It failed to answer properly: a strike, unless the answer was only unusable.
    Fault {
        /// For machines.
        fault: Fault,
        /// For people.
        detail: String,
    },
}

/// The kinds of faults, each with its own code in events and decision rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Unreachable, out of bounds, division by zero: the guest broke.
    Trap,
    /// The fuel ran out.
    FuelExhausted,
    /// The wall-clock deadline passed. Not replayable.
    TimedOut,
    /// It wanted more memory than it is granted.
    MemoryLimit,
    /// It recursed too deeply.
    StackOverflow,
    /// The answer is over a limit, names what is not there, or asks for what was not granted.
    InvalidAnswer,
    /// The component could not be instantiated.
    InstantiationFailed,
    /// Not a component.
    NotAComponent,
    /// It imports what a policy may not import.
    ForbiddenImport,
    /// It has the wrong shape: another version of the contract, or none of its hooks.
    WrongShape,
    /// It refused its settings.
    SettingsRefused,
    /// It is larger than a component may be, or took too long to compile.
    TooLarge,
}

impl Fault {
    /// The code in events, for example `fuel_exhausted`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::FuelExhausted => "fuel_exhausted",
            Self::TimedOut => "timed_out",
            Self::MemoryLimit => "memory_limit",
            Self::StackOverflow => "stack_overflow",
            Self::InvalidAnswer => "invalid_answer",
            Self::InstantiationFailed => "instantiation_failed",
            Self::NotAComponent => "not_a_component",
            Self::ForbiddenImport => "forbidden_import",
            Self::WrongShape => "wrong_shape",
            Self::SettingsRefused => "settings_refused",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether the call counts as a strike against the policy.
    #[must_use]
    pub const fn is_strike(self) -> bool {
        matches!(self, Self::Trap | Self::FuelExhausted | Self::TimedOut | Self::MemoryLimit | Self::StackOverflow)
    }
}

/// What a policy wants to remember of a job, per hook. Written in the transaction of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// Which job.
    pub job: JobId,
    /// Whose.
    pub policy: PolicyName,
    /// Of which hook.
    pub hook: Hook,
    /// At most [`super::contract::limits::MEMO_BYTES_MAX`].
    pub bytes: Vec<u8>,
}
