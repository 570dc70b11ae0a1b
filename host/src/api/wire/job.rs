//! Jobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};

use super::{NewFile, Seconds, Time, strict};
use crate::job::{Direction, ErrorContext, JobId, JobState, NotifyFlags, Priority, Redirects, limits};
use crate::policy::contract::limits::{ATTRIBUTE_KEY_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX};

/// What can be created.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "it describes the type of a new job in the document: uploads are known, but not taken yet"
)]
pub(crate) enum NewJobType {
    /// From the origin to local files.
    Download,
}

/// A job to be created. Only `type` is required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// `download`; uploads are not taken yet.
    #[serde(rename = "type", deserialize_with = "strict::word")]
    #[schema(value_type = NewJobType)]
    pub direction: Direction,
    /// For people, at most 256 characters.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub display_name: String,
    /// The level in the queue; `normal` if left out.
    #[serde(default, deserialize_with = "strict::word")]
    #[schema(example = "normal")]
    pub priority: Priority,
    /// Its first files.
    #[serde(default, deserialize_with = "strict::objects")]
    pub files: Vec<NewFile>,
    /// Between a transient error and the next attempt; 600 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_retry_delay: Option<Seconds>,
    /// Without progress, after which a transient error becomes fatal; 0: every error is fatal. 1,209,600 (14 days) if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_progress_timeout: Option<Seconds>,
    /// That the job may spend connecting and transferring; 7,776,000 (90 days) if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_download_time: Option<Seconds>,
    /// Files moved at once, 1 to 64; 1 if left out.
    #[serde(default, deserialize_with = "strict::optional_whole", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub parallel_files: Option<u16>,
    /// The cost states under which it may run: BITS's bits, or the name of a preset (`always`, `not_roaming`, `no_surcharge`, `standard`,
    /// `unrestricted`); `always` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^(always|not_roaming|no_surcharge|standard|unrestricted|0x([08]00000)?([08][1-9a-f]|[1-79a-f][0-9a-f]))$"
    )]
    pub cost_flags: Option<String>,
    /// Complete the job as soon as it is transferred.
    #[serde(default)]
    pub auto_complete: bool,
    /// Replace existing local files; else their presence is an error.
    #[serde(default)]
    pub overwrite: bool,
    /// Resume the job at once, instead of leaving it SUSPENDED.
    #[serde(default)]
    pub resume: bool,
    /// The client's own, at most 32: names of at most 64 bytes, values of at most 1 KiB.
    #[serde(default)]
    #[schema(schema_with = labels_schema)]
    pub labels: BTreeMap<String, String>,
    /// Loaded policies that this job adds to the assigned ones, asked in this order; at most 8.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub policies: Vec<String>,
    /// For people, at most 1,024 characters.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub description: String,
    /// Which notifications are delivered; `job_transferred` and `job_error` if left out. With `disable` none is, whatever else is named.
    #[serde(default, deserialize_with = "strict::optional_words", skip_serializing_if = "Option::is_none")]
    pub notify_flags: Option<Vec<NotifyFlag>>,
    /// Between two notifications of changes and of progress; 0.5 if left out. Progress is told on `/v1/events` at this pace, but not more
    /// than 20 times a second, and at another where a reader asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_notification_interval: Option<Seconds>,
    /// What the origins serve has no size, or is another each time: it is fetched in one go, and from its begin after each interruption.
    /// Such a job runs at the level `foreground` only, and its files have no ranges.
    #[serde(default)]
    pub dynamic_content: bool,
    /// No progress is made durable while a file is moved: after a crash it begins again. For many small files.
    #[serde(default)]
    pub high_performance: bool,
    /// Bytes that all files together may have, at least 1; no limit if left out.
    #[serde(default, deserialize_with = "strict::optional_whole", skip_serializing_if = "Option::is_none")]
    #[schema(format = "uint64", minimum = 1, maximum = 18446744073709551615_u64)]
    pub maximum_download_size: Option<u64>,
    /// What happens at a redirect; `allow` if left out.
    #[serde(default, deserialize_with = "strict::word")]
    #[schema(example = "allow")]
    pub redirects: Redirects,
    /// Redirects may lead from https to http.
    #[serde(default)]
    pub redirects_to_http: bool,
    /// Request headers for the origins of the job's files; at most 100, with all lines together 16 KiB. They are dropped once a file is
    /// pointed at another origin.
    #[serde(default, deserialize_with = "strict::secrets")]
    #[schema(schema_with = headers_schema)]
    pub headers: BTreeMap<String, String>,
    /// The values of the headers are shown to nobody, for good.
    #[serde(default)]
    pub headers_write_only: bool,
}

/// BG_NOTIFY_*: what a notification can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyFlag {
    /// The job became TRANSFERRED.
    JobTransferred,
    /// The job went into ERROR.
    JobError,
    /// None is delivered.
    Disable,
    /// The job was changed, or has made progress.
    JobModification,
    /// A file is whole.
    FileTransferred,
}

impl NotifyFlag {
    const ALL: [Self; 5] =
        [Self::JobTransferred, Self::JobError, Self::Disable, Self::JobModification, Self::FileTransferred];

    const fn flag(self) -> NotifyFlags {
        match self {
            Self::JobTransferred => NotifyFlags::JOB_TRANSFERRED,
            Self::JobError => NotifyFlags::JOB_ERROR,
            Self::Disable => NotifyFlags::DISABLE,
            Self::JobModification => NotifyFlags::JOB_MODIFICATION,
            Self::FileTransferred => NotifyFlags::FILE_TRANSFERRED,
        }
    }

    /// The flags as the host has them.
    pub(crate) fn flags(words: &[Self]) -> NotifyFlags {
        words.iter().fold(NotifyFlags::NONE, |flags, word| flags.with(word.flag()))
    }

    /// The flags in words.
    pub(crate) fn words(flags: NotifyFlags) -> Vec<Self> {
        Self::ALL.into_iter().filter(|word| flags.contains(word.flag())).collect()
    }
}

/// Request headers in place of those that a job has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobHeaders {
    /// All of them.
    #[serde(deserialize_with = "strict::secrets")]
    #[schema(schema_with = headers_schema)]
    pub headers: BTreeMap<String, String>,
}

/// The request headers of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobHeadersView {
    /// By name; a value is `null` where the headers are write-only.
    pub headers: BTreeMap<String, Option<String>>,
    /// Values are shown to nobody.
    pub write_only: bool,
}

/// What can be changed of a job. What is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobPatch {
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub display_name: Option<String>,
    /// As at creation.
    #[serde(deserialize_with = "strict::optional_word", skip_serializing_if = "Option::is_none")]
    #[schema(example = "high")]
    pub priority: Option<Priority>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_retry_delay: Option<Seconds>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_progress_timeout: Option<Seconds>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_download_time: Option<Seconds>,
    /// As at creation.
    #[serde(deserialize_with = "strict::optional_whole", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub parallel_files: Option<u16>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^(always|not_roaming|no_surcharge|standard|unrestricted|0x([08]00000)?([08][1-9a-f]|[1-79a-f][0-9a-f]))$"
    )]
    pub cost_flags: Option<String>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_complete: Option<bool>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// As at creation; all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = optional_labels_schema)]
    pub labels: Option<BTreeMap<String, String>>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub description: Option<String>,
    /// As at creation; all of them.
    #[serde(deserialize_with = "strict::optional_words", skip_serializing_if = "Option::is_none")]
    pub notify_flags: Option<Vec<NotifyFlag>>,
    /// As at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_notification_interval: Option<Seconds>,
    /// As at creation; only before the first resume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_content: Option<bool>,
    /// As at creation; only before the job has files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_performance: Option<bool>,
    /// As at creation; only before the first resume. Null is as if it were left out, here too: a limit that was given cannot be taken
    /// away, but raised to 18446744073709551615, which no job reaches.
    #[serde(deserialize_with = "strict::optional_whole", skip_serializing_if = "Option::is_none")]
    #[schema(format = "uint64", minimum = 1, maximum = 18446744073709551615_u64)]
    pub maximum_download_size: Option<u64>,
    /// As at creation; from the next attempt on.
    #[serde(deserialize_with = "strict::optional_word", skip_serializing_if = "Option::is_none")]
    #[schema(example = "report")]
    pub redirects: Option<Redirects>,
    /// As at creation; from the next attempt on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirects_to_http: Option<bool>,
    /// `true`: the values of the headers are shown to nobody any more. There is no way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = write_only_schema)]
    pub headers_write_only: Option<bool>,
}

/// A job as of the last commit that changed it. Its entity tag changes with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// A UUID of version 7: ids sort by creation.
    pub id: JobId,
    /// What it moves, and which way.
    #[serde(rename = "type")]
    #[schema(example = "download")]
    pub direction: Direction,
    /// For people.
    pub display_name: String,
    /// Whose it is: `uid:NUMBER`.
    pub owner: String,
    /// Its state, as reported: a queued job that may not run at present is in `transient_error`.
    #[schema(example = "queued")]
    pub state: JobState,
    /// Why it does not move, if it does not.
    pub waiting_on: Option<WaitingOnView>,
    /// The level in the queue.
    #[schema(example = "normal")]
    pub priority: Priority,
    /// Between a transient error and the next attempt.
    pub minimum_retry_delay: Seconds,
    /// Without progress, after which a transient error becomes fatal; 0: every error is fatal.
    pub no_progress_timeout: Seconds,
    /// That the job may spend connecting and transferring.
    pub maximum_download_time: Seconds,
    /// Files moved at once.
    pub parallel_files: u16,
    /// The cost states under which it may run: the name of a preset, or BITS's bits in hexadecimal.
    pub cost_flags: String,
    /// Completed as soon as it is transferred.
    pub auto_complete: bool,
    /// Replaces existing local files.
    pub overwrite: bool,
    /// The client's own.
    pub labels: BTreeMap<String, String>,
    /// Policies of its own, after the assigned ones.
    pub policies: Vec<String>,
    /// For people.
    pub description: String,
    /// Which notifications are delivered.
    pub notify_flags: Vec<NotifyFlag>,
    /// Between two notifications of changes and of progress.
    pub minimum_notification_interval: Seconds,
    /// What the origins serve is fetched in one go.
    pub dynamic_content: bool,
    /// No progress is made durable while a file is moved.
    pub high_performance: bool,
    /// Bytes that all files together may have.
    #[schema(format = "uint64")]
    pub maximum_download_size: Option<u64>,
    /// What happens at a redirect.
    #[schema(example = "allow")]
    pub redirects: Redirects,
    /// Redirects may lead from https to http.
    pub redirects_to_http: bool,
    /// The values of its request headers are shown to nobody.
    pub headers_write_only: bool,
    /// When it was created.
    pub created_at: Time,
    /// When anything of it last changed.
    pub modified_at: Time,
    /// When its first attempt began.
    pub started_at: Option<Time>,
    /// When it last became TRANSFERRED.
    pub transferred_at: Option<Time>,
    /// When it last made progress.
    pub last_progress_at: Option<Time>,
    /// Bytes and files, durable as of this commit. `/progress` has them live.
    pub progress: JobProgress,
    /// Failed attempts; never reset.
    pub error_count: u32,
    /// Times that a policy repaired it.
    pub recoveries: u32,
    /// The error object, in `error` and `transient_error`, and until the job transfers again.
    pub error: Option<ErrorView>,
}

/// A page of jobs, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Give it as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// The state of a job, and why it does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStateView {
    /// As reported.
    #[schema(example = "transferring")]
    pub state: JobState,
    /// `null` for a job that moves or is at an end.
    pub waiting_on: Option<WaitingOnView>,
}

/// Why a job does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingOnView {
    /// For machines: `turn`, `retry_delay`, `network`, `network_cost`, `policy_hold`, `disk_full`, `origin`, `store`.
    #[schema(example = "retry_delay")]
    pub code: String,
    /// For people.
    pub detail: String,
    /// When it ends at the latest, if that is known.
    pub until: Option<Time>,
    /// The policy that holds it, if one does.
    pub policy: Option<String>,
}

fn write_only_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
        .description(Some("The values of the headers are shown to nobody any more. There is no way back."))
        .enum_values(Some([Some(true), None]))
        .build()
}

fn headers_schema() -> Object {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))
        .max_length(Some(limits::HEADER_NAME_BYTES_MAX));
    let value = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[\\t -~]*$"))
        .max_length(Some(limits::HEADER_VALUE_BYTES_MAX));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Request headers by name. Those that Backhaul sets itself, such as Range, are refused."))
        .property_names(Some(name.build()))
        .additional_properties(Some(Schema::Object(value.build())))
        .max_properties(Some(limits::HEADERS_MAX))
        .build()
}

pub(super) fn labels_schema() -> Object {
    labels_of(SchemaType::Type(Type::Object))
}

pub(super) fn optional_labels_schema() -> Object {
    labels_of(SchemaType::from_iter([Type::Object, Type::Null]))
}

fn labels_of(schema_type: SchemaType) -> Object {
    let name =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(ATTRIBUTE_KEY_BYTES_MAX));
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(ATTRIBUTE_VALUE_BYTES_MAX));
    ObjectBuilder::new()
        .schema_type(schema_type)
        .description(Some("The client's own, at most 32: names of at most 64 bytes, values of at most 1 KiB."))
        .property_names(Some(name.build()))
        .additional_properties(Some(Schema::Object(value.build())))
        .max_properties(Some(limits::LABELS_MAX))
        .build()
}

/// How far a job is, live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// Unknown until the size of every file is.
    pub bytes_total: Option<u64>,
    /// Payload bytes of all files.
    pub bytes_transferred: u64,
    /// Number of files.
    pub files_total: u32,
    /// Files that are whole, durable and verified.
    pub files_transferred: u32,
}

/// How far one file is that is being moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileProgressView {
    /// Which.
    pub file: u32,
    /// Its size, if known.
    pub bytes_total: Option<u64>,
    /// Bytes so far.
    pub bytes_transferred: u64,
}

/// The answer to `complete`: the job, and whether all of it was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletedJob {
    /// The job.
    #[serde(flatten)]
    pub job: JobView,
    /// Some files of the job were not finished, and are dropped (BG_S_PARTIAL_COMPLETE).
    pub partial: bool,
}

/// The error object of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    /// BITS's name where it has one, for example `http`.
    #[schema(example = "http")]
    pub code: String,
    /// BITS's number in hexadecimal, or ours.
    #[schema(example = "0x80190194")]
    pub number: String,
    /// Where it happened (BG_ERROR_CONTEXT).
    #[schema(example = "remote_file")]
    pub context: ErrorContext,
    /// The status, if the origin answered with a failure.
    pub http_status: Option<u16>,
    /// The file that failed, if one did.
    pub file: Option<u32>,
    /// For people.
    pub description: String,
    /// When it happened.
    pub at: Time,
}

/// The remote names of a job that begin with one text begin with another afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixReplacement {
    /// What they begin with; compared byte by byte.
    #[schema(min_length = 1, max_length = 8192, example = "http://old.example/")]
    pub from: String,
    /// What they shall begin with.
    #[schema(max_length = 8192, example = "https://new.example/pub/")]
    pub to: String,
}

/// What a replacement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrefixReplaced {
    /// Files whose remote name changed; may be 0.
    pub files_changed: u32,
}

/// One decision of a policy, or of the built-in default in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// Counts the questions of the job.
    pub number: u64,
    /// The row of the decision log: hook, policy, input, answer, clamps, fuel, duration.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub row: serde_json::Map<String, serde_json::Value>,
}

/// A page of decisions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionPage {
    /// The decisions.
    pub decisions: Vec<DecisionView>,
    /// Give it as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// The story of a job: why it is where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobWhy {
    /// Its state, as reported.
    #[schema(example = "transient_error")]
    pub state: JobState,
    /// One sentence for people.
    pub summary: String,
    /// Why it does not move, if it does not.
    pub waiting_on: Option<WaitingOnView>,
    /// The error object, if there is one.
    pub error: Option<ErrorView>,
    /// What happened lately, oldest first: at most 100 events.
    pub events: Vec<super::EventView>,
    /// The decisions behind it, oldest first: at most 20.
    pub decisions: Vec<DecisionView>,
}
