//! The request headers of a job. Their values are credentials more often than not: only here are they shown, and not where they are
//! write-only.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::{JobPath, Json};
use super::intake;
use super::state::App;
use super::steer::command;
use super::wire::{JobHeaders, JobHeadersView};
use crate::job::{JobId, RequestHeaders, Transition};
use crate::scheduler::Command;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, set))
}

/// Get the request headers of a job
///
/// Where they are write-only, their names with `null` in place of the values. A job at its end has none any more.
#[utoipa::path(get, path = "/v1/jobs/{id}/headers", operation_id = "get_headers", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The headers.", body = JobHeadersView)))]
async fn get(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    // The job after its headers: those that were read before they became write-only are hidden as well.
    let (headers, job) = app.read(move |reader| Ok((reader.headers(id)?, reader.job(id)?))).await?;
    let job = job.ok_or_else(|| Refusal::no_job(id))?;
    Ok(shown(headers, job.headers_write_only))
}

/// Set the request headers of a job
///
/// In place of all that it has; none at all with an empty object. In force from the next attempt. They go to the origin of the file that is
/// fetched, not where a redirect leads elsewhere, and they are dropped once a file is pointed at another origin. Backhaul's own headers
/// (such as Range, Host and Accept-Encoding) are refused. Write-only ones can be set as well.
#[utoipa::path(put, path = "/v1/jobs/{id}/headers", operation_id = "set_headers", tag = "jobs", request_body = JobHeaders,
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The headers as they are kept: names in lower case.", body = JobHeadersView),
        (status = 422, description = "Headers are wrong; each is named, its value never told (`invalid_field`), or they are longer than \
            allowed (`string_too_long`)."),
    ))]
async fn set(State(app): State<App>, JobPath(id): JobPath, request: Json<JobHeaders>) -> Result<Response, Refusal> {
    let headers = intake::headers(request.value.headers)?;
    let wanted = Command::SetHeaders { job: id, headers: headers.clone() };
    // Refused for a final state as suspend is (bits.md section 1.3).
    let job = command(&app, id, Transition::Suspended, wanted).await?.into_job();
    Ok(shown(headers, job.headers_write_only))
}

fn shown(headers: RequestHeaders, write_only: bool) -> Response {
    let headers = headers.0.into_iter().map(|(name, value)| (name, (!write_only).then_some(value))).collect();
    let mut response = axum::Json(JobHeadersView { headers, write_only }).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
