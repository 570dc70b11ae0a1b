//! Jobs: create, get, change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::Digest as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conditional::{self, Tagged, is_outdated};
use super::connection::Peer;
use super::error::Refusal;
use super::extract::{JobPath, Json};
use super::poll::View;
use super::state::App;
use super::steer::{command, steer};
use super::views::Reported;
use super::wire::{FieldProblem, JobPatch, JobView, NewJob};
use super::{intake, list};
use crate::clock::Now;
use crate::host::{Created, JobSnapshot};
use crate::job::{FileSpec, IdempotencyKey, JobChanges, JobId, JobRecord, PolicyName, Sha256, Transition};
use crate::scheduler::{Begin, Command, CommandError, Reply};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(list::route()).routes(routes!(get, change))
}

/// Create a job
///
/// With its first files, if it has any. It is durable when this is answered. A repeated request with the same `Idempotency-Key` and the
/// same body is answered with the job that the first one created.
#[utoipa::path(post, path = "/v1/jobs", operation_id = "create_job", tag = "jobs", request_body = NewJob,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, the client's own for this job.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 201, description = "The job is created.", body = JobView,
            headers(("Location" = String, description = "The job's path."), ("ETag" = String))),
        (status = 409, description = "A policy that the job names is not loaded (`policy_not_found`); it is to be resumed and has no \
            files (`empty`); its properties do not go together (`unsupported_job_configuration`); or a limit of the host is reached: \
            `too_many_jobs_per_user`, `too_many_jobs_per_machine`, `too_many_files_in_job`, `too_many_ranges_in_file`."),
        (status = 422, description = "Fields are wrong; each is named. The code is BITS's where it has one for all of them \
            (`string_too_long`, `max_download_size_invalid_value`, `invalid_range`, `overlapping_ranges`), else `invalid_field`. Or the \
            key came with another body before (`idempotency_key_reused`)."),
    ))]
async fn create(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    request: Json<NewJob>,
) -> Result<Response, Refusal> {
    let key = idempotency_key(&headers, &request.bytes)?;
    let begin = if request.value.resume { Begin::Resumed } else { Begin::Suspended };
    let (spec, files) = intake::new_job(request.value, peer.owner())?;
    check_reach(&app, &spec.owner, &files)?;
    check_policies(&app, &spec.policies)?;
    let Created { job, .. } = app.host.create_once(spec, files, begin, key).await?;
    let mut response = represent(app.host.job(job.id).as_ref(), &job).response(&HeaderMap::new());
    *response.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)).expect("a path with a UUID is visible ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The key of a request, with the digest of its body.
fn idempotency_key(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, Refusal> {
    /// Characters: a key is an identifier, not a document.
    const KEY_MAX: usize = 255;
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let is_visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if is_visible && (1..=KEY_MAX).contains(&key.len()) => {
            let request = Sha256(sha2::Sha256::digest(body).into());
            Ok(Some(IdempotencyKey { key: key.to_owned(), request }))
        }
        _ => Err(Refusal::field("Idempotency-Key", format!("must be 1 to {KEY_MAX} visible ASCII characters"))),
    }
}

/// Files that the owner may not write are told at once, not when the job runs. That no link leads out, the transfer engine sees to.
pub(super) fn check_reach(app: &App, owner: &str, files: &[FileSpec]) -> Result<(), Refusal> {
    /// Fields that are named in one answer.
    const NAMED_MAX: usize = 100;
    let reach = &app.host.tenant(owner).reach;
    let outside = files.iter().enumerate().filter(|(_, file)| !reach.allows(&file.local_name));
    let outside = outside.take(NAMED_MAX).map(|(position, _)| FieldProblem {
        field: format!("/files/{position}/local_name"),
        detail: format!("{owner} may write {reach}"),
    });
    let outside: Vec<_> = outside.collect();
    if outside.is_empty() { Ok(()) } else { Err(Refusal::out_of_reach(outside)) }
}

/// A job that names a policy by mistake would be decided without it, and nobody would notice before it matters.
fn check_policies(app: &App, names: &[PolicyName]) -> Result<(), Refusal> {
    if names.is_empty() {
        return Ok(());
    }
    let loaded: Vec<_> = app.host.policies(Now::read().wall).into_iter().map(|status| status.loaded.name).collect();
    let missing = names.iter().enumerate().filter(|(_, name)| !loaded.contains(name));
    let missing: Vec<_> = missing
        .map(|(position, _)| FieldProblem {
            field: format!("/policies/{position}"),
            detail: "no policy of this name is loaded: the configuration has those that are, and GET /v1/policies lists them".into(),
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::no_policies(missing)) }
}

/// The job as it is published; the record of the reply where it is not in memory any more.
pub(super) fn represent(snapshot: Option<&JobSnapshot>, record: &JobRecord) -> Tagged {
    Tagged::of(&snapshot.map_or_else(|| Reported::from(record), Reported::from).job())
}

/// Get a job
///
/// Final jobs stay readable until retention removes them.
#[utoipa::path(get, path = "/v1/jobs/{id}", operation_id = "get_job", tag = "jobs",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag that the client has: 304 if the job is as it was."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds (at most 60) while If-None-Match matches."),
    ),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "The client has it."),
    ))]
async fn get(
    State(app): State<App>,
    peer: Peer,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    conditional::answer(&app, &peer, &headers, id, View::Job).await
}

/// Change a job
///
/// What is left out, or null, stays. With `If-Match`, nothing is changed unless the job is as the client saw it.
#[utoipa::path(patch, path = "/v1/jobs/{id}", operation_id = "change_job", tag = "jobs", request_body = JobPatch,
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the job as the client saw it."),
    ),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(("ETag" = String))),
        (status = 409, description = "The job is at its end (`invalid_state`), the property cannot be set any more \
            (`read_only_property_after_resume`, `read_only_property_after_addfile`), or properties would not go together \
            (`unsupported_job_configuration`). Nothing is changed then."),
        (status = 422, description = "Fields are wrong; each is named, and nothing is changed. The code is BITS's where it has one for all \
            of them (`string_too_long`, `max_download_size_invalid_value`), else `invalid_field`."),
        (status = 412, description = "The job is not as the client saw it (`precondition_failed`)."),
    ))]
async fn change(
    State(app): State<App>,
    JobPath(id): JobPath,
    headers: HeaderMap,
    request: Json<JobPatch>,
) -> Result<Response, Refusal> {
    let changes = Box::new(intake::changes(request.value)?);
    let expected = if headers.contains_key(header::IF_MATCH) { expected(&app, id, &headers).await? } else { None };
    if changes.dynamic_content == Some(true) {
        let reply = become_dynamic(&app, id, changes, expected).await?;
        return Ok(represent(app.host.job(id).as_ref(), &reply.into_job()).response(&HeaderMap::new()));
    }
    steer(&app, id, Transition::Suspended, Command::Modify { job: id, changes, expected }).await
}

/// Changes a job that is to be of dynamic content, unless a file of it has ranges. Only the store knows the files: the job is looked at there, and
/// the change is made only if it is still that job.
async fn become_dynamic(
    app: &App,
    id: JobId,
    changes: Box<JobChanges>,
    expected: Option<Arc<JobRecord>>,
) -> Result<Reply, Refusal> {
    /// A job that may still become so moves only when a client does something to it.
    const TRIES: u32 = 5;
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let seen = match &expected {
            Some(expected) => Some(Arc::clone(expected)),
            // One that was resumed is refused for that, however it moves meanwhile.
            None => app.host.job(id).map(|snapshot| snapshot.record).filter(|record| !record.resumed),
        };
        if seen.is_some() && app.read(move |reader| reader.has_ranges(id)).await? {
            return Err(CommandError::dynamic_ranges(id).into());
        }
        let wanted = Command::Modify { job: id, changes: changes.clone(), expected: seen };
        match command(app, id, Transition::Suspended, wanted).await {
            Err(refusal) if refusal == Refusal::precondition_failed(id) && expected.is_none() && tries > 0 => {}
            result => return result,
        }
    }
}

/// The record of the job that the client saw: the core compares it once more, when it makes the change.
async fn expected(app: &App, id: JobId, headers: &HeaderMap) -> Result<Option<Arc<JobRecord>>, Refusal> {
    let (tagged, record) = match app.host.job(id) {
        Some(snapshot) => (Tagged::of(&Reported::from(&snapshot).job()), Some(snapshot.record)),
        None => (View::Job.of(app, id).await?, None),
    };
    if is_outdated(headers, &tagged.tag) { Err(Refusal::precondition_failed(id)) } else { Ok(record) }
}
