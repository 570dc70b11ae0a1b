//! Jobs: create, list, get, change.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conditional::{self, Tagged};
use super::connection::Peer;
use super::error::Refusal;
use super::extract::{JobPath, Json, job_id};
use super::intake;
use super::poll::View;
use super::query::Query;
use super::state::App;
use super::views::Reported;
use super::wire::{JobPage, JobView, NewJob};
use crate::host::JobSnapshot;
use crate::job::{JobId, JobRecord, JobState, Priority};
use crate::scheduler::Command;

/// Jobs of a page: some 100 KiB of JSON.
const PAGE_MAX: u64 = 500;
const PAGE_DEFAULT: u64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get))
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
        (status = 409, description = "A policy that the job names is not loaded, or it is to be resumed and has no files."),
    ))]
async fn create(State(app): State<App>, peer: Peer, request: Json<NewJob>) -> Result<Response, Refusal> {
    let resume = request.value.resume;
    let (spec, files) = intake::new_job(request.value, peer.owner())?;
    let record = app.host.create(spec, files).await?;
    let id = record.id;
    if resume {
        app.host.command(Command::Resume(id)).await?;
    }
    let mut response = created(&app, id, record);
    let location = HeaderValue::try_from(format!("/v1/jobs/{id}")).expect("a path with a UUID is visible ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn created(app: &App, id: JobId, record: JobRecord) -> Response {
    let tagged = represent(app.host.job(id).as_ref(), &record);
    let mut response = tagged.response(&HeaderMap::new());
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// The job as it is published; the record of the reply where it is final already.
pub(super) fn represent(snapshot: Option<&JobSnapshot>, record: &JobRecord) -> Tagged {
    Tagged::of(&snapshot.map_or_else(|| Reported::from(record), Reported::from).job())
}

/// List jobs
///
/// Oldest first. Final jobs (`acknowledged`, `cancelled`) are listed only where `state` names them.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(
        ("state" = Option<Vec<JobState>>, Query, description = "Only jobs in one of these reported states."),
        ("priority" = Option<Vec<Priority>>, Query, description = "Only jobs of one of these levels."),
        ("label" = Option<Vec<String>>, Query, description = "Only jobs with each of these labels: `name=value`, or `name` for any value."),
        ("limit" = Option<u64>, Query, description = "Jobs of a page; 100 if left out.", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", format = "uuid"),
    ),
    responses((status = 200, description = "A page of jobs.", body = JobPage)))]
async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Refusal> {
    let mut query = Query::of(&uri);
    let states = states(&mut query);
    let priorities = priorities(&mut query);
    let labels = Labels::of(&mut query);
    let limit = usize::try_from(query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT)).unwrap_or(usize::MAX);
    let after = query.one("cursor").and_then(|cursor| {
        let after = job_id(&cursor);
        if after.is_none() {
            query.refuse("cursor", "must be `next_cursor` of the page before");
        }
        after
    });
    query.done(&["state", "priority", "label", "limit", "cursor"])?;
    let mut jobs = app.host.jobs();
    jobs.retain(|job| {
        after.is_none_or(|after| job.record.id > after)
            && if states.is_empty() { !job.state.is_final() } else { states.contains(&job.state) }
            && (priorities.is_empty() || priorities.contains(&job.record.properties.priority))
            && labels.match_all(&job.record)
    });
    jobs.sort_unstable_by_key(|job| job.record.id);
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let next_cursor = jobs.last().filter(|_| more).map(|job| job.record.id.to_string());
    let jobs = jobs.iter().map(|job| Reported::from(job).job()).collect();
    Ok(axum::Json(JobPage { jobs, next_cursor }).into_response())
}

fn states(query: &mut Query<'_>) -> Vec<JobState> {
    let named = query.all("state");
    let find = |name: &str| JobState::ALL.into_iter().find(|state| state.name() == name);
    let found: Vec<_> = named.iter().filter_map(|name| find(name)).collect();
    if found.len() < named.len() {
        let names = JobState::ALL.map(JobState::name).join(", ");
        query.refuse("state", format_args!("must be one of {names}"));
    }
    found
}

fn priorities(query: &mut Query<'_>) -> Vec<Priority> {
    let named = query.all("priority");
    let parse = |name: &str| serde_json::from_value(serde_json::Value::String(name.to_owned())).ok();
    let found: Vec<Priority> = named.iter().filter_map(|name| parse(name)).collect();
    if found.len() < named.len() {
        query.refuse("priority", "must be one of foreground, high, normal, low");
    }
    found
}

/// Labels that a job must have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Labels(Vec<(String, Option<String>)>);

impl Labels {
    pub(super) fn of(query: &mut Query<'_>) -> Self {
        let pair = |label: &str| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (label.to_owned(), None),
        };
        Self(query.all("label").iter().map(|label| pair(label)).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn match_all(&self, record: &JobRecord) -> bool {
        self.0.iter().all(|(name, value)| {
            record.labels.iter().any(|(has, is)| has == name && value.as_ref().is_none_or(|value| is == value))
        })
    }
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
async fn get(State(app): State<App>, JobPath(id): JobPath, headers: HeaderMap) -> Result<Response, Refusal> {
    conditional::answer(&app, &headers, id, View::Job).await
}
