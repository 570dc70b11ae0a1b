//! A file's error as the scheduler and the policies are told it.

use super::error::FileError;
use super::fetch::Circumstances;
use crate::clock::Now;
use crate::job::{ErrorContext, Failure, FileRecord, FileSummary, JobError};

/// Describes the failure of a file, whose record is as it is after its last checkpoint.
pub(crate) fn failure(file: &FileRecord, error: &FileError, circumstances: Circumstances) -> Box<Failure> {
    let Circumstances { final_url, response_headers, body_excerpt, retry_after_ms, .. } = circumstances;
    let is_local = matches!(error.context(), ErrorContext::LocalFile | ErrorContext::QueueManager);
    let origin = final_url.as_ref().unwrap_or(&file.remote_name).origin();
    Box::new(Failure {
        error: JobError {
            code: error.code(),
            context: error.context(),
            class: error.class(),
            http_status: error.http_status(),
            file: Some(file.index),
            description: format!("failed to fetch {}: {error}", file.remote_name),
        },
        phase: error.phase(),
        at: Now::read().wall,
        retry_after_ms,
        remote_name: Some(file.remote_name.clone()),
        final_url,
        file: Some(Box::new(FileSummary::from(file))),
        origin: (!is_local).then_some(origin),
        response_headers,
        body_excerpt,
    })
}
