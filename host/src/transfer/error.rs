//! Why a transfer failed: each error knows its code, its class, where it lies and how far things had come.

use std::io;

use crate::job::{ErrorCode, ErrorContext, FailureClass, Phase};

/// Why the transfer engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The HTTP client: as a rule the system's certificates could not be read.
    #[error("failed to set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Why one file's transfer failed. The texts carry no URL: whoever reports the failure adds the redacted one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the origin answered with status {status}")]
    Status { status: u16 },
    #[error("the origin answered with status {status}, a redirect, and the job allows none (redirects)")]
    RedirectDisallowed { status: u16 },
    #[error("the origin's answer makes no sense: {what}")]
    InvalidAnswer { what: String },
    #[error("the origin says that the file has {bytes} bytes; at most {bytes_max} are possible")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error(
        "the origin lacks what a resume needs (byte ranges, a strong validator), and the file began again {restarts} times"
    )]
    NoRangeSupport { restarts: u32 },
    #[error(
        "the origin answered with the whole file where a range of it was asked for: it serves no ranges of this file"
    )]
    RangesNotServed,
    #[error(
        "the origin gives no strong validator (an ETag, or a Last-Modified that is old enough), without which nothing says that the ranges of the file are of one version; give the digest of the local file"
    )]
    NothingJoinsRanges,
    #[error("the remote file ends before the range does of which byte {start} was asked for")]
    InvalidRange { start: u64 },
    #[error("what is of dynamic content has no ranges, and the file has some")]
    DynamicRanges,
    #[error("the files of the job would have more than the {bytes_max} bytes that it may have (maximum_download_size)")]
    JobTooLarge { bytes_max: u64 },
    #[error("the remote file changed while it was fetched, time after time ({restarts} restarts)")]
    RemoteFileChanged { restarts: u32 },
    #[error("the body came with Content-Encoding {encoding:?} although it was asked for as it is")]
    Encoded { encoding: String },
    #[error("the head of the answer is over the limits: {what}")]
    HeadTooLarge { what: String },
    #[error("a redirect was not followed: {reason}")]
    RedirectRefused { reason: RedirectRefusal },
    #[error("the name of the origin could not be resolved: {detail}")]
    NameNotResolved { detail: String },
    #[error("no connection to the origin: {detail}")]
    Connect { detail: String },
    #[error("the TLS handshake failed: {detail}")]
    Tls { detail: String },
    #[error("the connection was closed early: {detail}")]
    Closed { phase: Phase, detail: String },
    #[error("the origin was silent for {seconds} s")]
    Silent { phase: Phase, seconds: u64 },
    #[error("the origin sent less than {bytes_per_second} bytes a second over {seconds} s")]
    LowSpeed { bytes_per_second: u64, seconds: u64 },
    #[error("the SHA-256 digest is {found}, not {wanted}")]
    DigestMismatch { wanted: String, found: String },
    #[error("jobs of this owner may not connect to {host}, which is at an address that is kept from them ([egress])")]
    EgressDenied { host: String },
    #[error("{name:?} is not below a root of the job's owner")]
    OutOfReach { name: String },
    #[error("{name:?} exists; remove it, or ask for overwriting")]
    LocalFileExists { name: String },
    #[error("{name:?} cannot be used as a local name: {reason}")]
    LocalNameUnusable { name: String, reason: String },
    #[error("no space for the file: {needed} bytes are needed in {directory:?}, {available} are available")]
    NoSpace { directory: String, needed: u64, available: u64 },
    #[error("failed to {operation} {name:?}: the disk or the quota is full")]
    DiskFull { operation: &'static str, name: String },
    #[error("failed to {operation} {name:?}: {detail}")]
    LocalIo { operation: &'static str, name: String, detail: String },
    #[error("the store could not be read or did not follow: {detail}")]
    Store { detail: String },
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedirectRefusal {
    #[error("more than {0} in a row")]
    TooMany(usize),
    #[error("they lead in a circle")]
    Circle,
    #[error("from https to http")]
    Downgrade,
    #[error("its Location is missing, or no http or https URL")]
    NotHttp,
}

impl FileError {
    /// The code that clients and policies see.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Status { .. } | Self::RedirectDisallowed { .. } => ErrorCode::Http,
            Self::InvalidAnswer { .. } | Self::TooLarge { .. } => ErrorCode::InvalidServerResponse,
            Self::NoRangeSupport { .. } | Self::RangesNotServed | Self::NothingJoinsRanges => {
                ErrorCode::InsufficientRangeSupport
            }
            Self::InvalidRange { .. } => ErrorCode::InvalidRange,
            Self::DynamicRanges => ErrorCode::UnsupportedJobConfiguration,
            Self::JobTooLarge { .. } => ErrorCode::MaxDownloadSizeLimitReached,
            Self::RemoteFileChanged { .. } => ErrorCode::RemoteFileChanged,
            Self::Encoded { .. } => ErrorCode::EncodedBody,
            Self::HeadTooLarge { .. } => ErrorCode::ResponseTooLarge,
            Self::RedirectRefused { .. } => ErrorCode::RedirectRefused,
            Self::NameNotResolved { .. } => ErrorCode::NameNotResolved,
            Self::Connect { .. } => ErrorCode::ConnectFailure,
            Self::Tls { .. } => ErrorCode::TlsFailure,
            Self::Closed { .. } => ErrorCode::ConnectionClosed,
            Self::Silent { .. } | Self::LowSpeed { .. } => ErrorCode::TooSlow,
            Self::DigestMismatch { .. } => ErrorCode::DigestMismatch,
            Self::EgressDenied { .. } | Self::OutOfReach { .. } => ErrorCode::AccessDenied,
            Self::LocalFileExists { .. } => ErrorCode::LocalFileExists,
            Self::LocalNameUnusable { .. } => ErrorCode::LocalNameUnusable,
            Self::NoSpace { .. } | Self::DiskFull { .. } => ErrorCode::DiskFull,
            Self::LocalIo { .. } => ErrorCode::LocalIo,
            Self::Store { .. } => ErrorCode::Interrupted,
        }
    }

    /// Whether it ends by itself.
    pub(crate) const fn class(&self) -> FailureClass {
        match self {
            Self::Status { status } => ErrorCode::class_of_status(*status),
            Self::InvalidAnswer { .. }
            | Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::Closed { .. }
            | Self::Silent { .. }
            | Self::LowSpeed { .. }
            | Self::NoSpace { .. }
            | Self::DiskFull { .. }
            | Self::Store { .. } => FailureClass::Transient,
            Self::TooLarge { .. }
            | Self::RedirectDisallowed { .. }
            | Self::NoRangeSupport { .. }
            | Self::RangesNotServed
            | Self::NothingJoinsRanges
            | Self::InvalidRange { .. }
            | Self::DynamicRanges
            | Self::JobTooLarge { .. }
            | Self::RemoteFileChanged { .. }
            | Self::Encoded { .. }
            | Self::HeadTooLarge { .. }
            | Self::RedirectRefused { .. }
            | Self::Tls { .. }
            | Self::DigestMismatch { .. }
            | Self::EgressDenied { .. }
            | Self::OutOfReach { .. }
            | Self::LocalFileExists { .. }
            | Self::LocalNameUnusable { .. }
            | Self::LocalIo { .. } => FailureClass::Fatal,
        }
    }

    /// Where it lies.
    pub(crate) const fn context(&self) -> ErrorContext {
        match self {
            Self::Status { .. }
            | Self::RedirectDisallowed { .. }
            | Self::InvalidAnswer { .. }
            | Self::TooLarge { .. }
            | Self::NoRangeSupport { .. }
            | Self::RangesNotServed
            | Self::NothingJoinsRanges
            | Self::InvalidRange { .. }
            | Self::RemoteFileChanged { .. }
            | Self::Encoded { .. }
            | Self::HeadTooLarge { .. }
            | Self::RedirectRefused { .. }
            | Self::DigestMismatch { .. } => ErrorContext::RemoteFile,
            Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::EgressDenied { .. }
            | Self::Closed { .. }
            | Self::Silent { .. }
            | Self::LowSpeed { .. } => ErrorContext::Transport,
            Self::Tls { .. } => ErrorContext::Certificate,
            Self::LocalFileExists { .. }
            | Self::OutOfReach { .. }
            | Self::LocalNameUnusable { .. }
            | Self::NoSpace { .. }
            | Self::DiskFull { .. }
            | Self::LocalIo { .. } => ErrorContext::LocalFile,
            // What the client wants of the job, not what the origin does.
            Self::DynamicRanges | Self::JobTooLarge { .. } | Self::Store { .. } => ErrorContext::QueueManager,
        }
    }

    /// How far things had come.
    pub(crate) const fn phase(&self) -> Phase {
        match self {
            Self::Status { .. }
            | Self::RedirectDisallowed { .. }
            | Self::InvalidAnswer { .. }
            | Self::TooLarge { .. }
            | Self::NoRangeSupport { .. }
            | Self::RangesNotServed
            | Self::NothingJoinsRanges
            | Self::InvalidRange { .. }
            | Self::JobTooLarge { .. }
            | Self::RemoteFileChanged { .. }
            | Self::Encoded { .. }
            | Self::HeadTooLarge { .. }
            | Self::RedirectRefused { .. } => Phase::Response,
            Self::NameNotResolved { .. } => Phase::Resolve,
            Self::Connect { .. } | Self::EgressDenied { .. } => Phase::Connect,
            Self::Tls { .. } => Phase::Tls,
            Self::Closed { phase, .. } | Self::Silent { phase, .. } => *phase,
            Self::LowSpeed { .. } => Phase::Body,
            Self::DigestMismatch { .. } => Phase::Verify,
            Self::LocalFileExists { .. }
            | Self::OutOfReach { .. }
            | Self::LocalNameUnusable { .. }
            | Self::NoSpace { .. }
            | Self::DiskFull { .. }
            | Self::LocalIo { .. } => Phase::LocalFile,
            Self::DynamicRanges | Self::Store { .. } => Phase::Unknown,
        }
    }

    /// The status, if the origin answered with a failure.
    pub(crate) const fn http_status(&self) -> Option<u16> {
        match self {
            Self::Status { status } | Self::RedirectDisallowed { status } => Some(*status),
            _ => None,
        }
    }

    /// An error of a call on a local file. What a full disk and a name that cannot be used look like is told apart from the rest.
    pub(crate) fn local(operation: &'static str, name: &str, error: &io::Error) -> Self {
        use rustix::io::Errno;
        let name = name.to_owned();
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::DiskFull { operation, name },
            Some(
                errno @ (Errno::ACCESS
                | Errno::PERM
                | Errno::ROFS
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::NOENT
                | Errno::ISDIR),
            ) => Self::LocalNameUnusable { name, reason: format!("failed to {operation} it: {}", describe(errno)) },
            Some(Errno::FBIG) => {
                let reason = "the file would be larger than its file system or the process may make it".to_owned();
                Self::LocalNameUnusable { name, reason }
            }
            Some(errno) => Self::LocalIo { operation, name, detail: describe(errno) },
            None => Self::LocalIo { operation, name, detail: error.to_string() },
        }
    }
}

/// The system's text for an error number, without Rust's `(os error N)`.
fn describe(errno: rustix::io::Errno) -> String {
    let text = io::Error::from(errno).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn local_errors_are_told_apart() {
        let code = |errno: Errno| FileError::local("write", "/d/f", &errno.into()).code();
        assert_eq!(code(Errno::NOSPC), ErrorCode::DiskFull);
        assert_eq!(code(Errno::DQUOT), ErrorCode::DiskFull);
        assert_eq!(code(Errno::IO), ErrorCode::LocalIo);
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG] {
            assert_eq!(code(errno), ErrorCode::LocalNameUnusable);
        }
        assert_eq!(code(Errno::FBIG), ErrorCode::LocalNameUnusable);
    }

    #[test]
    fn a_full_disk_ends_by_itself_and_a_broken_one_does_not() {
        assert_eq!(FileError::local("write", "f", &Errno::NOSPC.into()).class(), FailureClass::Transient);
        assert_eq!(FileError::local("write", "f", &Errno::IO.into()).class(), FailureClass::Fatal);
        assert_eq!(FileError::local("write", "f", &Errno::ROFS.into()).to_string().matches("os error").count(), 0);
    }
}
