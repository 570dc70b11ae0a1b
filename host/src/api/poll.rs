//! State and progress: what clients ask for most often, answered from the published snapshots alone.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conditional::{self, Tagged};
use super::connection::Peer;
use super::error::Refusal;
use super::extract::JobPath;
use super::state::App;
use super::views::{Reported, live_progress, stored_progress};
use super::wire::{JobProgress, JobStateView};
use crate::host::JobSnapshot;
use crate::job::{JobId, JobState};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(state)).routes(routes!(progress))
}

/// The state of a job that waits for nothing is one of nine: they are made once.
static STATES: LazyLock<[Tagged; 9]> =
    LazyLock::new(|| JobState::ALL.map(|state| Tagged::of(&JobStateView { state, waiting_on: None })));

/// The state of a job that is in memory.
pub(super) fn published_state(snapshot: &JobSnapshot) -> Tagged {
    match snapshot.waiting_on {
        None => STATES[usize::from(snapshot.state.number())].clone(),
        Some(_) => Tagged::of(&Reported::from(snapshot).state()),
    }
}

/// The progress of a job that is in memory.
pub(super) fn published_progress(snapshot: &JobSnapshot) -> Tagged {
    Tagged::of(&live_progress(snapshot))
}

/// What of a job can be asked for with conditions, and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// All of it.
    Job,
    /// Its reported state.
    State,
    /// Its live numbers.
    Progress,
}

impl View {
    /// The job as it is now: from the snapshots, or from the store if it is final.
    pub(super) async fn of(self, app: &App, job: JobId) -> Result<Tagged, Refusal> {
        if let Some(snapshot) = app.host.job(job) {
            return Ok(match self {
                Self::Job => Tagged::of(&Reported::from(&snapshot).job()),
                Self::State => published_state(&snapshot),
                Self::Progress => published_progress(&snapshot),
            });
        }
        let record = app.stored_job(job).await?;
        Ok(match self {
            Self::Job => Tagged::of(&Reported::from(&record).job()),
            Self::State => Tagged::of(&Reported::from(&record).state()),
            Self::Progress => Tagged::of(&stored_progress(&record)),
        })
    }
}

/// Get the state of a job
#[utoipa::path(get, path = "/v1/jobs/{id}/state", operation_id = "get_job_state", tag = "polling",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag that the client has: 304 if the state is the same."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds (at most 60) while If-None-Match matches."),
    ),
    responses(
        (status = 200, description = "Its state.", body = JobStateView, headers(("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "It is the same."),
    ))]
async fn state(
    State(app): State<App>,
    peer: Peer,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    conditional::answer(&app, &peer, &headers, id, View::State).await
}

/// Get how far a job is
#[utoipa::path(get, path = "/v1/jobs/{id}/progress", operation_id = "get_job_progress", tag = "polling",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag that the client has: 304 if the numbers are the same."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds (at most 60) while If-None-Match matches."),
    ),
    responses(
        (status = 200, description = "Its numbers.", body = JobProgress, headers(("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "They are the same."),
    ))]
async fn progress(
    State(app): State<App>,
    peer: Peer,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    conditional::answer(&app, &peer, &headers, id, View::Progress).await
}
