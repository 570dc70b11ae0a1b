//! What a request is refused with: one type for every failure, which becomes an `application/problem+json` body.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::wire::{FieldProblem, Problem};
use crate::access::Needs;
use crate::host::{CreateError, OwnershipError};
use crate::job::{ChangeError, ErrorCode, FileIndex, JobId, PropertyError};
use crate::scheduler::CommandError;
use crate::store::StoreError;

/// The media type of RFC 9457.
pub(super) const PROBLEM_TYPE: &str = "application/problem+json";

/// A refusal. What it says goes to the client; secrets never get into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    number: Option<u32>,
    detail: String,
    fields: Vec<FieldProblem>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, number: None, detail: detail.into(), fields: Vec::new() }
    }

    fn with_code(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { number: Some(code.number(None)), ..Self::new(status, code.name(), detail) }
    }

    /// BG_E_NOT_FOUND.
    pub(super) fn no_job(job: JobId) -> Self {
        Self::with_code(StatusCode::NOT_FOUND, ErrorCode::NotFound, format!("there is no job {job}"))
    }

    /// What stands where a job's id should is none: no job has it.
    pub(super) fn no_job_id() -> Self {
        let detail =
            "there is no such job: the id of a job is a UUID, for example 01912345-6789-7abc-8def-0123456789ab";
        Self::with_code(StatusCode::NOT_FOUND, ErrorCode::NotFound, detail)
    }

    /// What stands where a webhook's id should is none.
    pub(super) fn no_webhook_id() -> Self {
        let detail = "there is no such webhook: the id of a webhook is a UUID, as the list of webhooks shows it";
        Self::new(StatusCode::NOT_FOUND, "webhook_not_found", detail)
    }

    /// BG_E_FILE_NOT_FOUND.
    pub(super) fn no_file(detail: impl Into<String>) -> Self {
        Self::with_code(StatusCode::NOT_FOUND, ErrorCode::FileNotFound, detail)
    }

    /// No origin has answered for the file.
    pub(super) fn no_response(job: JobId, file: FileIndex) -> Self {
        let detail = format!("no origin has answered for file {file} of job {job} yet");
        Self::new(StatusCode::NOT_FOUND, "no_response", detail)
    }

    /// BG_E_ERROR_INFORMATION_UNAVAILABLE.
    pub(super) fn no_error(job: JobId) -> Self {
        let detail = format!("job {job} has no error object: it is neither in error nor in transient_error");
        Self::with_code(StatusCode::NOT_FOUND, ErrorCode::ErrorInformationUnavailable, detail)
    }

    /// Fields whose values cannot be; each is named. The code is BITS's where it has one for all of them.
    pub(super) fn coded_fields(wrong: Vec<(FieldProblem, Option<ErrorCode>)>) -> Self {
        let code = wrong.first().and_then(|(_, code)| *code);
        let code = code.filter(|code| wrong.iter().all(|(_, other)| *other == Some(*code)));
        let refusal = Self::fields(wrong.into_iter().map(|(problem, _)| problem).collect());
        match code {
            Some(code) => Self { code: code.name(), number: Some(code.number(None)), ..refusal },
            None => refusal,
        }
    }

    /// Fields whose values cannot be; each is named.
    pub(super) fn fields(fields: Vec<FieldProblem>) -> Self {
        let detail = match fields.as_slice() {
            [FieldProblem { field, detail }] => format!("{field}: {detail}"),
            _ => format!("{} fields are wrong", fields.len()),
        };
        let refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail);
        Self { fields, ..refusal }
    }

    /// Local names where the owner may not write: E_ACCESSDENIED.
    pub(super) fn out_of_reach(fields: Vec<FieldProblem>) -> Self {
        let detail = "a local name lies where the owner of the job may not write";
        Self { fields, ..Self::with_code(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::AccessDenied, detail) }
    }

    /// The caller is known, and may not do this at all. Of a job that it does not see it is told that there is none.
    pub(super) fn scope_missing(needs: Needs) -> Self {
        let least = needs.least().name();
        let detail = format!("this needs the scope {least}; ask an administrator of this host for it");
        Self::with_code(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, detail)
    }

    /// One field whose value cannot be.
    pub(super) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldProblem { field: field.into(), detail: detail.into() }])
    }

    /// The job is not as the client believes (RFC 9110 section 13.1.1).
    pub(super) fn precondition_failed(job: JobId) -> Self {
        let detail = format!("job {job} was changed meanwhile; get it again and decide anew");
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// Policies that a job names and the host does not have.
    pub(super) fn no_policies(fields: Vec<FieldProblem>) -> Self {
        let refusal = Self::new(StatusCode::CONFLICT, "policy_not_found", "a policy that the job names is not loaded");
        Self { fields, ..refusal }
    }

    /// The host ends.
    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the host is stopping; try again when it is back")
    }

    /// A defect of ours: told to the log, not to the client.
    pub(super) fn internal(what: &str) -> Self {
        tracing::error!(what, "a request failed by a defect of this program");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a defect of this program; its log says more")
    }

    fn problem(self) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.into(),
            number: self.number.map(hexadecimal),
            errors: self.fields,
        }
    }
}

/// An error number as BITS's documentation writes it.
pub(super) fn hexadecimal(number: u32) -> String {
    format!("0x{number:08X}")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status;
        let body = serde_json::to_vec(&self.problem()).expect("plain data with text keys always has a JSON form");
        let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        (status, [media_type], body).into_response()
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::NotFound(job) => Self::no_job(job),
            CommandError::InvalidState(_) => Self::with_code(StatusCode::CONFLICT, ErrorCode::InvalidState, text),
            CommandError::Empty(_) => Self::with_code(StatusCode::CONFLICT, ErrorCode::Empty, text),
            CommandError::FileNotFound { .. } => Self::no_file(text),
            CommandError::Pending { .. } => Self::with_code(StatusCode::CONFLICT, ErrorCode::Pending, text),
            CommandError::Change(ChangeError::Property(PropertyError { field, allowed, given })) => {
                Self::field(format!("/{field}"), format!("must be {allowed}, not {given}"))
            }
            CommandError::Change(ChangeError::ReadOnlyAfterResume(_)) => {
                Self::with_code(StatusCode::CONFLICT, ErrorCode::ReadOnlyPropertyAfterResume, text)
            }
            CommandError::Change(ChangeError::ReadOnlyAfterAddFile(_)) => {
                Self::with_code(StatusCode::CONFLICT, ErrorCode::ReadOnlyPropertyAfterAddfile, text)
            }
            CommandError::Change(ChangeError::DynamicNeedsForeground) | CommandError::Unsupported { .. } => {
                Self::with_code(StatusCode::CONFLICT, ErrorCode::UnsupportedJobConfiguration, text)
            }
            CommandError::Limit(limit) => Self::with_code(StatusCode::CONFLICT, limit.code(), text),
            CommandError::Changed(job) => Self::precondition_failed(job),
            CommandError::RemotePrefix { .. } => Self::field("/to", text),
            // The job stays as it is, and complete can be called again once somebody has made room.
            CommandError::Publication(error) => {
                let number = Some(error.number());
                Self { number, ..Self::new(StatusCode::CONFLICT, error.code.name(), text) }
            }
            CommandError::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", text),
            CommandError::Stopping => Self::stopping(),
        }
    }
}

impl From<OwnershipError> for Refusal {
    fn from(error: OwnershipError) -> Self {
        let text = error.to_string();
        match error {
            OwnershipError::NoFileAccess { .. } => {
                Self::with_code(StatusCode::CONFLICT, ErrorCode::NewOwnerNoFileAccess, text)
            }
            OwnershipError::Command(error) => error.into(),
            OwnershipError::Store(error) => error.into(),
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        let text = error.to_string();
        match error {
            CreateError::Command(error) => error.into(),
            CreateError::KeyUsed { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "failed to read the store for a request");
        let detail = "the store cannot be read at present; the log of the host says more";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_bits_code_and_number() {
        let problem = Refusal::from(CommandError::Empty(JobId::generate())).problem();
        assert_eq!(
            (problem.status, problem.code.as_str(), problem.number.as_deref()),
            (409, "empty", Some("0x80200003"))
        );
        let problem = Refusal::no_error(JobId::generate()).problem();
        assert_eq!((problem.status, problem.number.as_deref()), (404, Some("0x8020000F")));
    }

    #[test]
    fn the_code_is_bits_own_where_all_wrong_fields_share_it() {
        let wrong = |field: &str| FieldProblem { field: field.into(), detail: "is wrong".into() };
        let long = |field| (wrong(field), Some(ErrorCode::StringTooLong));
        let of = |fields| {
            let problem = Refusal::coded_fields(fields).problem();
            (problem.status, problem.code, problem.number, problem.errors.len())
        };
        let too_long = "string_too_long".to_owned();
        assert_eq!(of(vec![long("/a"), long("/b")]), (422, too_long, Some("0x80200021".into()), 2));
        assert_eq!(of(vec![long("/a"), (wrong("/b"), None)]), (422, "invalid_field".into(), None, 2));
        assert_eq!(of(vec![(wrong("/b"), None), long("/a")]), (422, "invalid_field".into(), None, 2));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let wrong = |field: &str| FieldProblem { field: field.into(), detail: "is wrong".into() };
        let problem = Refusal::fields(vec![wrong("/a"), wrong("/files/1/remote_name")]).problem();
        assert_eq!((problem.status, problem.errors.len()), (422, 2));
        assert_eq!(problem.errors[1].field, "/files/1/remote_name");
    }
}
