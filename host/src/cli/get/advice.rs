//! What to do about an error, for people.

use crate::job::{ErrorCode, JobError};

/// One sentence without a full stop.
pub(crate) const fn advice(error: &JobError) -> &'static str {
    match error.code {
        ErrorCode::Http => of_status(error.http_status),
        ErrorCode::LocalFileExists => "move the file away, or give --overwrite to replace it",
        ErrorCode::LocalNameUnusable => {
            "see that the directory exists and can be written to, and that no directory, symbolic link or device has the name"
        }
        ErrorCode::LocalIo => "see what is wrong with the disk; the same command goes on from the last checkpoint",
        ErrorCode::DiskFull => "free some space; the same command goes on",
        ErrorCode::DigestMismatch => {
            "compare the digest with its source: the origin serves other bytes than it promises"
        }
        ErrorCode::ValidationFailed => "ask the origin's operator: its bytes are not those that it promises",
        ErrorCode::TlsFailure => {
            "check the host name and the machine's clock, or ask the origin's operator for its certificate"
        }
        ErrorCode::NameNotResolved => "check the host name in the URL, and that the machine can resolve names",
        ErrorCode::ConnectFailure => "check host and port in the URL, and that the machine reaches them",
        ErrorCode::NetworkDisconnected => "the same command goes on once there is a network",
        ErrorCode::NoProgress | ErrorCode::TooSlow | ErrorCode::ConnectionClosed | ErrorCode::Interrupted => {
            "the same command tries again from what is there; --no-progress-timeout says how long it goes on by itself"
        }
        ErrorCode::MaxdownloadTimeout => "the same command goes on from what is there",
        ErrorCode::RedirectRefused => "give the final URL itself if you trust it",
        ErrorCode::RemoteFileChanged => "try again when the origin no longer changes the file",
        ErrorCode::EncodedBody => {
            "the origin compresses although it is asked not to; ask its operator, or take another address"
        }
        ErrorCode::InsufficientRangeSupport => {
            "take another address, or try again on a better network: from this origin, a file must come in one go"
        }
        ErrorCode::InvalidServerResponse | ErrorCode::ResponseTooLarge => {
            "the origin does not keep to HTTP; the same command tries again, another address may do better"
        }
        ErrorCode::BlockedByPolicy | ErrorCode::BlockedByCostTransferPolicy => {
            "wait for another network, or say with --network and --cost-flags what it is and may cost"
        }
        ErrorCode::DestinationLocked => "the same command goes on once the volume can be used again",
        ErrorCode::RemoteNotSupported => "give an http:// or https:// URL",
        ErrorCode::MaxDownloadSizeLimitReached => {
            "the files are larger than the job may fetch: make another one that may"
        }
        ErrorCode::AccessDenied => {
            "let the file lie below a root of the job's owner, and come from an address that its jobs may connect to"
        }
        ErrorCode::InvalidRange => "ask for ranges that the file has",
        ErrorCode::NotFound
        | ErrorCode::InvalidState
        | ErrorCode::Empty
        | ErrorCode::ErrorInformationUnavailable
        | ErrorCode::StringTooLong
        | ErrorCode::FileNotFound
        | ErrorCode::OverlappingRanges
        | ErrorCode::TooManyJobsPerUser
        | ErrorCode::TooManyJobsPerMachine
        | ErrorCode::TooManyFilesInJob
        | ErrorCode::TooManyRangesInFile
        | ErrorCode::ReadOnlyPropertyAfterAddfile
        | ErrorCode::ReadOnlyPropertyAfterResume
        | ErrorCode::MaxDownloadSizeInvalidValue
        | ErrorCode::UnsupportedJobConfiguration
        | ErrorCode::NewOwnerNoFileAccess
        | ErrorCode::Pending => "please report this: it should not happen here",
    }
}

const fn of_status(status: Option<u16>) -> &'static str {
    match status {
        Some(401 | 403) => "give what the origin wants to see, for example -H 'Authorization: ...'",
        Some(404 | 410) => "check the URL; with --policy mirrors other addresses are tried",
        Some(407) => "the proxy wants credentials",
        Some(416) => "the origin's file is shorter than it was; try again",
        Some(451) => "the origin may not serve this file here",
        Some(408 | 429 | 500..=599) => "the origin has trouble; the same command tries again from what is there",
        _ => "check the URL with the origin's operator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{ErrorContext, FailureClass};

    #[test]
    fn statuses_have_their_own_advice() {
        let of = |status| {
            let error = JobError {
                code: ErrorCode::Http,
                context: ErrorContext::RemoteFile,
                class: FailureClass::Fatal,
                http_status: Some(status),
                file: None,
                description: String::new(),
            };
            advice(&error)
        };
        assert!(of(404).contains("check the URL"));
        assert!(of(401).contains("Authorization"));
        assert!(of(503).contains("tries again"));
    }
}
