//! The shapes of `wit/policy.wit` as plain Rust: what the core asks and is answered, what a decision row holds, what a fixture is.
//!
//! Field by field the WIT's own, in snake_case; its documentation is there. Every `u64` is below 2^53. Times are Unix milliseconds.
#![expect(missing_docs, reason = "the shapes are documented in wit/policy.wit, which they mirror")]

use serde::{Deserialize, Serialize};

pub use crate::job::{CostState, Direction, ErrorContext, FailureClass, Phase, Priority};
pub use crate::network::InterfaceKind;

/// Open key and value pairs.
pub type Attributes = Vec<(String, String)>;

/// The limits of the contract (design.md section 4). What a guest returns beyond them is rejected whole.
pub mod limits {
    /// Bytes of a reason's note.
    pub const NOTE_BYTES_MAX: usize = 500;
    /// Bytes of a reason's code.
    pub const CODE_BYTES_MAX: usize = 64;
    /// Bytes of a memo.
    pub const MEMO_BYTES_MAX: usize = 4 << 10;
    /// Attributes of one record.
    pub const ATTRIBUTES_MAX: usize = 32;
    /// Bytes of an attribute's key.
    pub const ATTRIBUTE_KEY_BYTES_MAX: usize = 64;
    /// Bytes of an attribute's value.
    pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1 << 10;
    /// Changes of one plan.
    pub const CHANGES_MAX: usize = 64;
    /// Attempts in a history.
    pub const HISTORY_MAX: usize = 16;
    /// Interfaces in a network view.
    pub const INTERFACES_MAX: usize = 16;
    /// Budgets in a network view.
    pub const BUDGETS_MAX: usize = 16;
    /// Bytes of a failure's message.
    pub const MESSAGE_BYTES_MAX: usize = 1 << 10;
    /// Bytes of a body excerpt.
    pub const BODY_EXCERPT_BYTES_MAX: usize = 4 << 10;
    /// Lines that a guest may log in one call.
    pub const LOG_LINES_MAX: usize = 32;
    /// Bytes of one such line.
    pub const LOG_LINE_BYTES_MAX: usize = 1 << 10;
    /// Bytes of a policy's settings.
    pub const SETTINGS_BYTES_MAX: usize = 64 << 10;
    /// Files in one page of `host.files`.
    pub const FILES_PAGE_MAX: u32 = 256;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    pub index: u32,
    /// Without query and userinfo, unless the policy was granted `see-query`.
    pub remote_name: String,
    pub local_name: String,
    pub bytes_total: Option<u64>,
    pub bytes_transferred: u64,
    pub done: bool,
    pub restarts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    pub id: String,
    pub owner: String,
    pub display_name: String,
    pub direction: Direction,
    pub priority: Priority,
    pub labels: Attributes,
    pub files_total: u32,
    pub files_transferred: u32,
    pub bytes_total: Option<u64>,
    pub bytes_transferred: u64,
    /// BITS's bits.
    pub cost_flags: u32,
    pub error_count: u32,
    pub recoveries: u32,
    pub created_at: u64,
    pub started_at: Option<u64>,
    pub last_progress_at: Option<u64>,
    pub active_time: u64,
    pub deadline_at: Option<u64>,
    pub minimum_retry_delay: u64,
    pub no_progress_timeout: u64,
    pub maximum_download_time: u64,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    pub started_at: u64,
    pub ended_at: u64,
    pub remote_name: String,
    pub new_bytes: u64,
    pub code: String,
    pub http_status: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginView {
    pub origin: String,
    pub running: u32,
    pub failures_in_row: u32,
    pub last_success_at: Option<u64>,
    pub not_before_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    pub name: String,
    pub kind: InterfaceKind,
    pub cost: CostState,
    pub roaming: bool,
    pub congested: bool,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    pub name: String,
    pub interface_name: String,
    pub limit: u64,
    pub used: u64,
    pub resets_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    pub connected: bool,
    pub interfaces: Vec<InterfaceView>,
    pub route: Option<u32>,
    pub on_battery: bool,
    pub battery_saver: bool,
    pub battery_percent: Option<u8>,
    pub budgets: Vec<BudgetView>,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostView {
    pub running: u32,
    pub queued: u32,
    pub running_foreground: u32,
    pub bytes_per_second: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocalTime {
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub weekday: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub utc_offset_minutes: i32,
    pub zone: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    pub at: u64,
    pub code: String,
    pub number: u32,
    pub context: ErrorContext,
    pub phase: Phase,
    pub class: FailureClass,
    pub http_status: Option<u16>,
    pub message: String,
    pub retry_after: Option<u64>,
    pub file: Option<FileView>,
    pub final_url: Option<String>,
    pub origin: Option<OriginView>,
    pub response_headers: Attributes,
    pub body_excerpt: Option<String>,
    pub new_bytes: u64,
    pub duration: u64,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub decision_id: String,
    pub now_at: u64,
    /// Filled in by the policy chain, which knows the host's zone.
    pub local_time: LocalTime,
    pub seed: u64,
    /// Filled in by the policy chain: each policy has its own.
    pub memo: Vec<u8>,
    pub job: JobView,
    pub file: Option<FileView>,
    pub network: NetworkView,
    pub host: HostView,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    pub note: String,
    pub memo: Option<Vec<u8>>,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryVerdict {
    #[default]
    Default,
    Retry(u64),
    GiveUp,
    Other(String, Attributes),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryContext {
    pub call: Call,
    pub failure: FailureView,
    /// Filled in by the policy chain from the built-in default.
    pub built_in: RetryVerdict,
    pub failures_in_row: u32,
    pub since_progress: u64,
    pub no_progress_left: u64,
    pub history: Vec<AttemptView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmitVerdict {
    #[default]
    Default,
    Allow,
    AllowAtMost(u64),
    Hold(Option<u64>),
    Other(String, Attributes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Start,
    Slice,
    NetworkChanged,
    PowerChanged,
    BudgetChanged,
    LookAgain,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitContext {
    pub call: Call,
    pub cause: Cause,
    pub running: bool,
    /// Filled in by the policy chain from the built-in default.
    pub built_in: AdmitVerdict,
    pub held_since: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    SetRemoteName(u32, String),
    ReplaceRemotePrefix(String, String),
    RefreshRemoteName(u32, String),
    SetHeader(String, String),
    RemoveHeader(String),
    UseCredential(String),
    SetProxy(String),
    SetPriority(Priority),
    SetCostFlags(u32),
    SetMinimumRetryDelay(u64),
    SetNoProgressTimeout(u64),
    RestartFile(u32),
    Other(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub changes: Vec<Change>,
    pub after: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryVerdict {
    #[default]
    Default,
    Leave,
    Resume(Plan),
    Complete,
    Cancel,
    Other(String, Attributes),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryContext {
    pub call: Call,
    pub failure: FailureView,
    pub recoveries: u32,
    pub last_recovery_at: Option<u64>,
    pub history: Vec<AttemptView>,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict<V> {
    pub verdict: V,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    Retry,
    NetworkCost,
    Recovery,
}

impl Hook {
    /// The name in the WIT, for example `network-cost`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::NetworkCost => "network-cost",
            Self::Recovery => "recovery",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub hooks: Vec<Hook>,
    pub capabilities: Vec<String>,
    pub settings_schema: String,
}
