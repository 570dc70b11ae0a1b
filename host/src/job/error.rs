//! What went wrong with a job: BITS's codes and contexts, and our own where BITS has none.

use serde::{Deserialize, Serialize};

use super::{FileIndex, FileSummary, Origin, SafeUrl};
use crate::clock::UnixMillis;

/// BG_ERROR_CONTEXT, with BITS's numbers (bits.md 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorContext {
    /// No error.
    #[default]
    None,
    /// Not known.
    Unknown,
    /// The queue manager.
    QueueManager,
    /// A notification of the queue manager.
    Notification,
    /// The local file.
    LocalFile,
    /// The remote file.
    RemoteFile,
    /// The way to it.
    Transport,
    /// The application behind an upload.
    RemoteApplication,
    /// The origin's certificate.
    Certificate,
}

/// Whether an error ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// It may go away: the job is tried again.
    Transient,
    /// It stays until somebody changes something.
    Fatal,
}

/// How far the attempt had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not known.
    #[default]
    Unknown,
    /// Name resolution.
    Resolve,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for or reading the head of the response.
    Response,
    /// Reading the body.
    Body,
    /// Writing the part file.
    LocalFile,
    /// Checking size and digest.
    Verify,
    /// Giving the file its local name.
    Publish,
}

/// A code with a stable name and number. BITS's where it has one; ours have BITS's facility with the customer bit set (0xA020xxxx).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The origin answered with a failure status: 0x80190000 + status (bits.md 6.2). The status is in [`JobError::http_status`].
    Http,
    /// BG_E_NOT_FOUND.
    NotFound,
    /// BG_E_INVALID_STATE.
    InvalidState,
    /// BG_E_EMPTY.
    Empty,
    /// BG_E_DESTINATION_LOCKED.
    DestinationLocked,
    /// BG_E_NETWORK_DISCONNECTED.
    NetworkDisconnected,
    /// BG_E_INSUFFICIENT_RANGE_SUPPORT.
    InsufficientRangeSupport,
    /// BG_E_REMOTE_NOT_SUPPORTED.
    RemoteNotSupported,
    /// BG_E_INVALID_SERVER_RESPONSE.
    InvalidServerResponse,
    /// BG_E_NO_PROGRESS.
    NoProgress,
    /// BG_E_CONNECT_FAILURE.
    ConnectFailure,
    /// BG_E_CONNECTION_CLOSED.
    ConnectionClosed,
    /// BG_E_BLOCKED_BY_POLICY.
    BlockedByPolicy,
    /// BG_E_VALIDATION_FAILED.
    ValidationFailed,
    /// BG_E_MAXDOWNLOAD_TIMEOUT.
    MaxdownloadTimeout,
    /// BG_E_BLOCKED_BY_COST_TRANSFER_POLICY.
    BlockedByCostTransferPolicy,
    /// BG_E_REMOTE_FILE_CHANGED.
    RemoteFileChanged,
    /// BG_E_ERROR_INFORMATION_UNAVAILABLE.
    ErrorInformationUnavailable,
    /// BG_E_NEW_OWNER_NO_FILE_ACCESS.
    NewOwnerNoFileAccess,
    /// BG_E_STRING_TOO_LONG.
    StringTooLong,
    /// BG_E_FILE_NOT_FOUND: the job has no such file.
    FileNotFound,
    /// BG_E_INVALID_RANGE.
    InvalidRange,
    /// BG_E_OVERLAPPING_RANGES.
    OverlappingRanges,
    /// BG_E_TOO_MANY_JOBS_PER_USER.
    TooManyJobsPerUser,
    /// BG_E_TOO_MANY_JOBS_PER_MACHINE.
    TooManyJobsPerMachine,
    /// BG_E_TOO_MANY_FILES_IN_JOB.
    TooManyFilesInJob,
    /// BG_E_TOO_MANY_RANGES_IN_FILE.
    TooManyRangesInFile,
    /// BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE.
    ReadOnlyPropertyAfterAddfile,
    /// BG_E_READ_ONLY_PROPERTY_AFTER_RESUME.
    ReadOnlyPropertyAfterResume,
    /// BG_E_MAX_DOWNLOAD_SIZE_INVALID_VALUE.
    MaxDownloadSizeInvalidValue,
    /// BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED.
    MaxDownloadSizeLimitReached,
    /// BG_E_UNSUPPORTED_JOB_CONFIGURATION.
    UnsupportedJobConfiguration,
    /// E_PENDING: the file is not finished yet.
    Pending,
    /// E_ACCESSDENIED.
    AccessDenied,
    /// The bytes are not those of the digest.
    DigestMismatch,
    /// No space, or no quota, for the bytes.
    DiskFull,
    /// The local name is taken, and overwriting was not asked for.
    LocalFileExists,
    /// The local name cannot be used: its directory is missing or forbidden, or it is no ordinary file.
    LocalNameUnusable,
    /// Reading or writing the part file failed.
    LocalIo,
    /// The origin was too slow, or silent.
    TooSlow,
    /// A name could not be resolved.
    NameNotResolved,
    /// The origin's certificate, or the handshake, was refused.
    TlsFailure,
    /// A redirect that is not followed: too many, in a circle, from https to http, or to what is no http URL.
    RedirectRefused,
    /// The body came encoded although it was asked for as it is.
    EncodedBody,
    /// The head of the response is over the limits.
    ResponseTooLarge,
    /// The host was stopped or lost its store in the middle.
    Interrupted,
}

impl ErrorCode {
    /// BITS's HRESULT, or ours.
    #[must_use]
    pub const fn number(self, http_status: Option<u16>) -> u32 {
        match self {
            Self::Http => 0x8019_0000 | if let Some(status) = http_status { status as u32 } else { 0 },
            Self::NotFound => 0x8020_0001,
            Self::InvalidState => 0x8020_0002,
            Self::Empty => 0x8020_0003,
            Self::DestinationLocked => 0x8020_000D,
            Self::NetworkDisconnected => 0x8020_0010,
            Self::InsufficientRangeSupport => 0x8020_0013,
            Self::RemoteNotSupported => 0x8020_0014,
            Self::InvalidServerResponse => 0x8020_001B,
            Self::NoProgress => 0x8020_0024,
            Self::ConnectFailure => 0x8020_002D,
            Self::ConnectionClosed => 0x8020_002E,
            Self::BlockedByPolicy => 0x8020_003E,
            Self::ValidationFailed => 0x8020_0053,
            Self::MaxdownloadTimeout => 0x8020_0054,
            Self::BlockedByCostTransferPolicy => 0x8020_0059,
            Self::RemoteFileChanged => 0x8020_0073,
            Self::ErrorInformationUnavailable => 0x8020_000F,
            Self::NewOwnerNoFileAccess => 0x8020_0016,
            Self::StringTooLong => 0x8020_0021,
            Self::FileNotFound => 0x8020_0029,
            Self::InvalidRange => 0x8020_002B,
            Self::OverlappingRanges => 0x8020_002C,
            Self::TooManyJobsPerUser => 0x8020_0049,
            Self::TooManyJobsPerMachine => 0x8020_0050,
            Self::TooManyFilesInJob => 0x8020_0051,
            Self::TooManyRangesInFile => 0x8020_0052,
            Self::ReadOnlyPropertyAfterAddfile => 0x8020_0061,
            Self::ReadOnlyPropertyAfterResume => 0x8020_0062,
            Self::MaxDownloadSizeInvalidValue => 0x8020_0063,
            Self::MaxDownloadSizeLimitReached => 0x8020_0064,
            Self::UnsupportedJobConfiguration => 0x8020_0072,
            Self::Pending => 0x8000_000A,
            Self::AccessDenied => 0x8007_0005,
            Self::DigestMismatch => 0xA020_0001,
            Self::DiskFull => 0xA020_0002,
            Self::LocalFileExists => 0xA020_0003,
            Self::LocalNameUnusable => 0xA020_0004,
            Self::LocalIo => 0xA020_0005,
            Self::TooSlow => 0xA020_0006,
            Self::NameNotResolved => 0xA020_0007,
            Self::TlsFailure => 0xA020_0008,
            Self::RedirectRefused => 0xA020_0009,
            Self::EncodedBody => 0xA020_000A,
            Self::ResponseTooLarge => 0xA020_000B,
            Self::Interrupted => 0xA020_000C,
        }
    }

    /// The stable name, for example `blocked_by_cost_transfer_policy`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::NotFound => "not_found",
            Self::InvalidState => "invalid_state",
            Self::Empty => "empty",
            Self::DestinationLocked => "destination_locked",
            Self::NetworkDisconnected => "network_disconnected",
            Self::InsufficientRangeSupport => "insufficient_range_support",
            Self::RemoteNotSupported => "remote_not_supported",
            Self::InvalidServerResponse => "invalid_server_response",
            Self::NoProgress => "no_progress",
            Self::ConnectFailure => "connect_failure",
            Self::ConnectionClosed => "connection_closed",
            Self::BlockedByPolicy => "blocked_by_policy",
            Self::ValidationFailed => "validation_failed",
            Self::MaxdownloadTimeout => "maxdownload_timeout",
            Self::BlockedByCostTransferPolicy => "blocked_by_cost_transfer_policy",
            Self::RemoteFileChanged => "remote_file_changed",
            Self::ErrorInformationUnavailable => "error_information_unavailable",
            Self::NewOwnerNoFileAccess => "new_owner_no_file_access",
            Self::StringTooLong => "string_too_long",
            Self::FileNotFound => "file_not_found",
            Self::InvalidRange => "invalid_range",
            Self::OverlappingRanges => "overlapping_ranges",
            Self::TooManyJobsPerUser => "too_many_jobs_per_user",
            Self::TooManyJobsPerMachine => "too_many_jobs_per_machine",
            Self::TooManyFilesInJob => "too_many_files_in_job",
            Self::TooManyRangesInFile => "too_many_ranges_in_file",
            Self::ReadOnlyPropertyAfterAddfile => "read_only_property_after_addfile",
            Self::ReadOnlyPropertyAfterResume => "read_only_property_after_resume",
            Self::MaxDownloadSizeInvalidValue => "max_download_size_invalid_value",
            Self::MaxDownloadSizeLimitReached => "max_download_size_limit_reached",
            Self::UnsupportedJobConfiguration => "unsupported_job_configuration",
            Self::Pending => "pending",
            Self::AccessDenied => "access_denied",
            Self::DigestMismatch => "digest_mismatch",
            Self::DiskFull => "disk_full",
            Self::LocalFileExists => "local_file_exists",
            Self::LocalNameUnusable => "local_name_unusable",
            Self::LocalIo => "local_io",
            Self::TooSlow => "too_slow",
            Self::NameNotResolved => "name_not_resolved",
            Self::TlsFailure => "tls_failure",
            Self::RedirectRefused => "redirect_refused",
            Self::EncodedBody => "encoded_body",
            Self::ResponseTooLarge => "response_too_large",
            Self::Interrupted => "interrupted",
        }
    }

    /// A condition that ends by itself: the job waits behind a gate for it, and no policy is asked to retry (design.md section 4).
    #[must_use]
    pub const fn is_condition(self) -> bool {
        matches!(
            self,
            Self::NetworkDisconnected
                | Self::BlockedByPolicy
                | Self::BlockedByCostTransferPolicy
                | Self::DiskFull
                | Self::DestinationLocked
        )
    }

    /// The class of a failure status (design.md section 3, which departs from bits.md 6.2 for 421, 423, 425 and 429).
    #[must_use]
    pub const fn class_of_status(status: u16) -> FailureClass {
        match status {
            408 | 409 | 421 | 423 | 425 | 429 => FailureClass::Transient,
            501 | 505 => FailureClass::Fatal,
            500..=599 => FailureClass::Transient,
            _ => FailureClass::Fatal,
        }
    }
}

/// The job's error object: what a client reads in the states ERROR and TRANSIENT_ERROR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobError {
    /// What.
    pub code: ErrorCode,
    /// Where.
    pub context: ErrorContext,
    /// Whether it ends by itself.
    pub class: FailureClass,
    /// The status, if the origin answered with a failure.
    pub http_status: Option<u16>,
    /// The file, if one is concerned.
    pub file: Option<FileIndex>,
    /// For people: what failed, on what, and what to do. No secrets.
    pub description: String,
}

impl JobError {
    /// The HRESULT.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.code.number(self.http_status)
    }
}

/// Headers of a response that policies may see: lower-case names from the host's allow list.
pub type ResponseHeaders = Vec<(String, String)>;

/// One failed attempt, with all that a policy is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error as the client will see it.
    pub error: JobError,
    /// How far the attempt had come.
    pub phase: Phase,
    /// When it failed.
    pub at: UnixMillis,
    /// Milliseconds to wait as the origin asked (Retry-After), already clamped and counted from `at`.
    pub retry_after_ms: Option<u64>,
    /// The remote name in force when it failed.
    pub remote_name: Option<SafeUrl>,
    /// Where redirects had led.
    pub final_url: Option<SafeUrl>,
    /// The file that failed, as it is after its last checkpoint, if a file is concerned.
    pub file: Option<Box<FileSummary>>,
    /// The origin that failed, for its spacing and health.
    pub origin: Option<Origin>,
    /// Headers of the response from the allow list.
    pub response_headers: ResponseHeaders,
    /// The begin of a text body, for error documents.
    pub body_excerpt: Option<String>,
}

impl Serialize for SafeUrl {
    /// Redacted: whatever is serialised may be shown. The store uses [`SafeUrl::expose`].
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SafeUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
