//! What is done to a job: suspend, resume, cancel, complete, and other names for its files.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::extract::JobPath;
use super::jobs::represent;
use super::state::App;
use super::views::Reported;
use super::wire::{CompletedJob, JobView};
use crate::host::OwnershipError;
use crate::job::{IllegalTransition, JobId, Transition};
use crate::scheduler::{Command, CommandError, Reply};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(suspend))
        .routes(routes!(resume))
        .routes(routes!(cancel))
        .routes(routes!(complete))
        .routes(routes!(take_ownership))
}

/// Hands a command to the host. One on a final job, which the core does not know any more, is refused for the job's state.
pub(super) async fn command(app: &App, job: JobId, transition: Transition, command: Command) -> Result<Reply, Refusal> {
    match app.host.command(command).await {
        Ok(reply) => Ok(reply),
        Err(CommandError::NotFound(_)) => {
            let state = app.stored_job(job).await?.state;
            Err(CommandError::InvalidState(IllegalTransition { state, transition }).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The same, answered with the job as it is then.
pub(super) async fn steer(app: &App, job: JobId, transition: Transition, wanted: Command) -> Result<Response, Refusal> {
    let reply = command(app, job, transition, wanted).await?;
    Ok(represent(app.host.job(job).as_ref(), &reply.into_job()).response(&HeaderMap::new()))
}

/// Suspend a job
///
/// It stops at a point from which it can go on. A job that is suspended already stays so.
#[utoipa::path(post, path = "/v1/jobs/{id}/suspend", operation_id = "suspend_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = JobView, headers(("ETag" = String)))))]
async fn suspend(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    steer(&app, id, Transition::Suspended, Command::Suspend(id)).await
}

/// Resume a job
///
/// It waits for its turn. A job that is resumed already stays as it is; one without files is refused.
#[utoipa::path(post, path = "/v1/jobs/{id}/resume", operation_id = "resume_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(("ETag" = String))),
        (status = 409, description = "The job is at its end (`invalid_state`), has no files (`empty`), or is of dynamic content and not of \
            the level `foreground` (`unsupported_job_configuration`)."),
    ))]
async fn resume(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    steer(&app, id, Transition::Resumed, Command::Resume(id)).await
}

/// Cancel a job
///
/// Its part files are deleted, and it ends. Files under their local names stay.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = JobView, headers(("ETag" = String)))))]
async fn cancel(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    steer(&app, id, Transition::Cancelled, Command::Cancel(id)).await
}

/// Complete a job
///
/// Its finished files get their local names, and it ends. What is not finished is dropped, which `partial` says.
#[utoipa::path(post, path = "/v1/jobs/{id}/complete", operation_id = "complete_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = CompletedJob)))]
async fn complete(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    match command(&app, id, Transition::Completed, Command::Complete(id)).await? {
        Reply::Completed { job, partial } => {
            Ok(axum::Json(CompletedJob { job: Reported::from(&*job).job(), partial }).into_response())
        }
        _ => Err(Refusal::internal("complete was answered with something else")),
    }
}

/// Take the ownership of a job
///
/// For administrators: the job is the caller's from then on, and its former owner does not see it any more. Its request headers
/// and the users and passwords in its remote names are dropped. Refused (`new_owner_no_file_access`) if the caller may not write where its files lie.
#[utoipa::path(post, path = "/v1/jobs/{id}/take-ownership", operation_id = "take_ownership", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(("ETag" = String))),
        (status = 409, description = "The job is final (`invalid_state`), or a file of it lies where the caller may not write \
            (`new_owner_no_file_access`)."),
    ))]
async fn take_ownership(State(app): State<App>, peer: Peer, JobPath(id): JobPath) -> Result<Response, Refusal> {
    match app.host.take_ownership(id, peer.owner()).await {
        Ok(record) => {
            tracing::info!(job = %id, by = peer.owner(), "took a job over");
            Ok(represent(app.host.job(id).as_ref(), &record).response(&HeaderMap::new()))
        }
        // The core does not know final jobs any more.
        Err(OwnershipError::Command(CommandError::NotFound(_))) => {
            let state = app.stored_job(id).await?.state;
            Err(CommandError::InvalidState(IllegalTransition { state, transition: Transition::Suspended }).into())
        }
        Err(error) => Err(error.into()),
    }
}
