//! The files of a job.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::{FilePath, JobPath, Json};
use super::intake::{self, Check};
use super::query::NumberedPage;
use super::state::App;
use super::steer::{command, steer};
use super::views;
use super::wire::{FilePage, FilePatch, FileView, JobView, NewFiles, PrefixReplaced, PrefixReplacement};
use crate::job::{FileIndex, FileRecord, JobId, Transition};
use crate::scheduler::{Command, Reply};

/// Files of a page: some 300 KiB of JSON.
const PAGE_MAX: u32 = 1_000;
const PAGE_DEFAULT: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, change)).routes(routes!(replace_prefix))
}

/// List the files of a job
#[utoipa::path(get, path = "/v1/jobs/{id}/files", operation_id = "list_files", tag = "files",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("limit" = Option<u64>, Query, description = "Files of a page; 100 if left out.", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", pattern = "^(0|[1-9][0-9]{0,8})$"),
    ),
    responses((status = 200, description = "A page of files.", body = FilePage)))]
async fn list(State(app): State<App>, JobPath(id): JobPath, uri: Uri) -> Result<Response, Refusal> {
    // The cursor is the index of the next file.
    let NumberedPage { cursor: first, limit } = NumberedPage::of(&uri, PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let (job, files) =
        app.read(move |reader| Ok((reader.job(id)?, reader.files(id, FileIndex(first), limit)?))).await?;
    let job = job.ok_or_else(|| Refusal::no_job(id))?;
    let next = files.last().map(|file| file.index.0.saturating_add(1)).filter(|next| *next < job.files_total);
    let files = files.iter().map(views::file).collect();
    Ok(axum::Json(FilePage { files, next_cursor: next.map(|next| next.to_string()) }).into_response())
}

/// Add files to a job
///
/// All or none. Files can be added in every state that is not final; a job that was transferred fetches them when it is resumed.
#[utoipa::path(post, path = "/v1/jobs/{id}/files", operation_id = "add_files", tag = "files", request_body = NewFiles,
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(("ETag" = String))),
        (status = 409, description = "The job is at its end (`invalid_state`), is of dynamic content and a file has ranges \
            (`unsupported_job_configuration`), or has more than the host allows (`too_many_files_in_job`, `too_many_ranges_in_file`)."),
        (status = 422, description = "Fields are wrong; each is named (`invalid_field`; `invalid_range`, `overlapping_ranges`)."),
    ))]
async fn add(State(app): State<App>, JobPath(id): JobPath, request: Json<NewFiles>) -> Result<Response, Refusal> {
    let mut check = Check::default();
    if request.value.files.is_empty() {
        check.refuse("/files", "must have at least one file");
    }
    let files = check.files(request.value.files);
    let files = check.done(files)?;
    // Refused for a final state as suspend is (bits.md section 1.3).
    steer(&app, id, Transition::Suspended, Command::AddFiles { job: id, files }).await
}

/// Get a file of a job
#[utoipa::path(get, path = "/v1/jobs/{id}/files/{n}", operation_id = "get_file", tag = "files",
    params(("id" = JobId, Path, description = "The job's id."), ("n" = u32, Path, description = "The file's index, from 0.")),
    responses((status = 200, description = "The file.", body = FileView)))]
async fn get(State(app): State<App>, FilePath(id, index): FilePath) -> Result<Response, Refusal> {
    Ok(axum::Json(views::file(&stored_file(&app, id, index).await?)).into_response())
}

async fn stored_file(app: &App, id: JobId, index: FileIndex) -> Result<FileRecord, Refusal> {
    let (job, file) = app.read(move |reader| Ok((reader.job(id)?, reader.file(id, index)?))).await?;
    job.ok_or_else(|| Refusal::no_job(id))?;
    file.ok_or_else(|| Refusal::no_file(format!("job {id} has no file {index}")))
}

/// Give a file another remote name
///
/// It is durable at once and in force from the next attempt: a transfer that runs is not disturbed.
#[utoipa::path(patch, path = "/v1/jobs/{id}/files/{n}", operation_id = "set_remote_name", tag = "files", request_body = FilePatch,
    params(("id" = JobId, Path, description = "The job's id."), ("n" = u32, Path, description = "The file's index, from 0.")),
    responses((status = 200, description = "The file.", body = FileView)))]
async fn change(
    State(app): State<App>,
    FilePath(id, index): FilePath,
    request: Json<FilePatch>,
) -> Result<Response, Refusal> {
    let mut check = Check::default();
    let remote_name = check.remote_name(&request.value.remote_name);
    let Some(remote_name) = check.done(remote_name)? else {
        return Err(Refusal::internal("a remote name that was refused was not reported"));
    };
    let wanted = Command::SetRemoteName { job: id, file: index, remote_name };
    command(&app, id, Transition::Suspended, wanted).await?;
    Ok((StatusCode::OK, axum::Json(views::file(&stored_file(&app, id, index).await?))).into_response())
}

/// Let the remote names of a job begin with something else
///
/// All of those that begin with `from`, or none: 422 if one of them would be no remote name. In force from the next attempt.
#[utoipa::path(post, path = "/v1/jobs/{id}/replace-remote-prefix", operation_id = "replace_remote_prefix", tag = "files",
    request_body = PrefixReplacement,
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "How many have another name now.", body = PrefixReplaced)))]
async fn replace_prefix(
    State(app): State<App>,
    JobPath(id): JobPath,
    request: Json<PrefixReplacement>,
) -> Result<Response, Refusal> {
    let (from, to) = intake::prefixes(request.value)?;
    match command(&app, id, Transition::Suspended, Command::ReplaceRemotePrefix { job: id, from, to }).await? {
        Reply::PrefixReplaced { files_changed, .. } => Ok(axum::Json(PrefixReplaced { files_changed }).into_response()),
        _ => Err(Refusal::internal("replacing a prefix was answered with something else")),
    }
}
