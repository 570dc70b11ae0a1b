//! The files of a job.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::{FilePath, JobPath, Json};
use super::intake::{self, Check, FileWish};
use super::jobs::check_reach;
use super::query::NumberedPage;
use super::state::App;
use super::steer::{command, steer};
use super::views;
use super::wire::{
    FilePage, FilePatch, FileView, JobView, NewFiles, PrefixReplaced, PrefixReplacement, ResponseHeadersView,
};
use crate::job::{FileIndex, FileRecord, JobId, JobRecord, StoreId, Transition, part_file_name};
use crate::scheduler::{Command, Reply};
use crate::store::Reader;

/// Files of a page: some 300 KiB of JSON.
const PAGE_MAX: u32 = 1_000;
const PAGE_DEFAULT: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get, change))
        .routes(routes!(response_headers))
        .routes(routes!(replace_prefix))
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
    let parts = Parts::of(&app, &job);
    let files = files.iter().map(|file| views::file(file, parts.temporary_name(file))).collect();
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
    let owner = app.owner_of(id).await?;
    let mut check = Check::default();
    if request.value.files.is_empty() {
        check.refuse("/files", "must have at least one file");
    }
    let files = check.files(request.value.files);
    let files = check.done(files)?;
    check_reach(&app, &owner, &files)?;
    // Refused for a final state as suspend is (bits.md section 1.3).
    steer(&app, id, Transition::Suspended, Command::AddFiles { job: id, files }).await
}

/// Get a file of a job
#[utoipa::path(get, path = "/v1/jobs/{id}/files/{n}", operation_id = "get_file", tag = "files",
    params(("id" = JobId, Path, description = "The job's id."), ("n" = u32, Path, description = "The file's index, from 0.")),
    responses((status = 200, description = "The file.", body = FileView)))]
async fn get(State(app): State<App>, FilePath(id, index): FilePath) -> Result<Response, Refusal> {
    Ok(axum::Json(stored_file(&app, id, index).await?).into_response())
}

async fn stored_file(app: &App, id: JobId, index: FileIndex) -> Result<FileView, Refusal> {
    let (job, file) = app.read(move |reader| Ok((reader.job(id)?, reader.file(id, index)?))).await?;
    let job = job.ok_or_else(|| Refusal::no_job(id))?;
    let file = file.ok_or_else(|| no_file(id, index))?;
    Ok(views::file(&file, Parts::of(app, &job).temporary_name(&file)))
}

fn no_file(job: JobId, file: FileIndex) -> Refusal {
    Refusal::no_file(format!("job {job} has no file {file}"))
}

/// Which files of a job have a part file now.
struct Parts {
    store: StoreId,
    /// None of a final job: its part files are gone.
    job: Option<JobId>,
    /// Files with one of which the store knows nothing yet.
    being_fetched: Vec<FileIndex>,
}

impl Parts {
    fn of(app: &App, job: &JobRecord) -> Self {
        let snapshot = app.host.job(job.id).filter(|snapshot| !snapshot.record.state.is_final());
        let active = snapshot.into_iter().flat_map(|snapshot| snapshot.progress.active);
        let being_fetched = active.filter(|file| file.has_part).map(|file| file.file).collect();
        Self { store: app.host.store_id(), job: Some(job.id).filter(|_| !job.state.is_final()), being_fetched }
    }

    fn temporary_name(&self, file: &FileRecord) -> Option<String> {
        let has_part = !file.published && (file.part.is_some() || self.being_fetched.contains(&file.index));
        let name = part_file_name(self.store, self.job.filter(|_| has_part)?, file.index);
        Some(file.local_name.directory().join(name).to_string_lossy().into_owned())
    }
}

/// Get the last response headers for a file
///
/// The head that an origin answered with last, whatever its status; of redirects that were followed, the last one. Values that may be secrets
/// are not kept, and 16 KiB at most are. 404 (`no_response`) as long as no origin has answered.
#[utoipa::path(get, path = "/v1/jobs/{id}/files/{n}/response-headers", operation_id = "get_response_headers", tag = "files",
    params(("id" = JobId, Path, description = "The job's id."), ("n" = u32, Path, description = "The file's index, from 0.")),
    responses((status = 200, description = "The head.", body = ResponseHeadersView)))]
async fn response_headers(State(app): State<App>, FilePath(id, index): FilePath) -> Result<Response, Refusal> {
    let read = move |reader: &Reader| {
        Ok((reader.job(id)?.is_some(), reader.file(id, index)?.is_some(), reader.response(id, index)?))
    };
    match app.read(read).await? {
        (false, ..) => Err(Refusal::no_job(id)),
        (_, false, _) => Err(no_file(id, index)),
        (.., None) => Err(Refusal::no_response(id, index)),
        (.., Some(response)) => Ok(axum::Json(views::response(response)).into_response()),
    }
}

/// Give a file another remote name, or validate it
///
/// One of both. A remote name is durable at once and in force from the next attempt: a transfer that runs is not disturbed. A file that is
/// not transferred yet cannot be validated (409 `pending`); one that is found invalid takes the job into `error` at once.
#[utoipa::path(patch, path = "/v1/jobs/{id}/files/{n}", operation_id = "change_file", tag = "files", request_body = FilePatch,
    params(("id" = JobId, Path, description = "The job's id."), ("n" = u32, Path, description = "The file's index, from 0.")),
    responses((status = 200, description = "The file.", body = FileView)))]
async fn change(
    State(app): State<App>,
    FilePath(id, index): FilePath,
    request: Json<FilePatch>,
) -> Result<Response, Refusal> {
    let wanted = match intake::file_change(request.value)? {
        FileWish::RemoteName(remote_name) => Command::SetRemoteName { job: id, file: index, remote_name },
        FileWish::Validate(verdict) => Command::Validate { job: id, file: index, verdict },
    };
    command(&app, id, Transition::Suspended, wanted).await?;
    Ok((StatusCode::OK, axum::Json(stored_file(&app, id, index).await?)).into_response())
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
