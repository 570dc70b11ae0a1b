//! Why a job is where it is: its error, the decisions of policies, and both with its events as one story.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::JobPath;
use super::query::NumberedPage;
use super::state::App;
use super::views::{self, Reported};
use super::wire::{DecisionPage, ErrorView, JobWhy};
use crate::job::{JobId, JobState};

/// Decisions of a page. A row has the whole input of a policy: some KiB each.
const PAGE_MAX: u32 = 200;
const PAGE_DEFAULT: u32 = 50;

/// Events of a story.
const STORY_EVENTS: u32 = 100;
/// Decisions of a story.
const STORY_DECISIONS: u32 = 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(error)).routes(routes!(decisions)).routes(routes!(why))
}

/// Get the error object of a job
///
/// 404 `error_information_unavailable` for a job that has none.
#[utoipa::path(get, path = "/v1/jobs/{id}/error", operation_id = "get_job_error", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "Its error.", body = ErrorView)))]
async fn error(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    let error = match app.host.job(id) {
        Some(snapshot) => Reported::from(&snapshot).error(),
        None => Reported::from(&app.stored_job(id).await?).error(),
    };
    Ok(axum::Json(error.ok_or_else(|| Refusal::no_error(id))?).into_response())
}

/// List the decisions that policies took for a job
///
/// Oldest first, each with its input, its answer and what became of it.
#[utoipa::path(get, path = "/v1/jobs/{id}/decisions", operation_id = "list_decisions", tag = "jobs",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("limit" = Option<u64>, Query, description = "Decisions of a page; 50 if left out.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", pattern = "^(0|[1-9][0-9]{0,8})$"),
    ),
    responses((status = 200, description = "A page of decisions.", body = DecisionPage)))]
async fn decisions(State(app): State<App>, JobPath(id): JobPath, uri: Uri) -> Result<Response, Refusal> {
    let NumberedPage { cursor: after, limit } = NumberedPage::of(&uri, PAGE_DEFAULT, 1..=PAGE_MAX)?;
    // One more than the page shows whether there is another.
    let (job, mut rows) =
        app.read(move |reader| Ok((reader.job(id)?, reader.decisions(id, after.into(), limit + 1)?))).await?;
    job.ok_or_else(|| Refusal::no_job(id))?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| more).map(|(number, _)| number.to_string());
    let decisions = rows.iter().map(|(number, row)| views::decision(*number, row)).collect();
    Ok(axum::Json(DecisionPage { decisions, next_cursor }).into_response())
}

/// Tell the story of a job
///
/// Its state, why it does not move if it does not, its last events, and the decisions behind them.
#[utoipa::path(get, path = "/v1/jobs/{id}/why", operation_id = "get_job_why", tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The story.", body = JobWhy)))]
async fn why(State(app): State<App>, JobPath(id): JobPath) -> Result<Response, Refusal> {
    let snapshot = app.host.job(id);
    let (job, events, decisions) = app
        .read(move |reader| {
            Ok((reader.job(id)?, reader.last_events(id, STORY_EVENTS)?, reader.last_decisions(id, STORY_DECISIONS)?))
        })
        .await?;
    let job = job.ok_or_else(|| Refusal::no_job(id))?;
    let reported = snapshot.as_ref().map_or_else(|| Reported::from(&job), Reported::from);
    let state = reported.state();
    let error = reported.error();
    let story = JobWhy {
        state: state.state,
        summary: summary(state.state, state.waiting_on.as_ref().map(|waiting| waiting.detail.as_str()), error.as_ref()),
        waiting_on: state.waiting_on,
        error,
        events: events.iter().map(|(number, event)| views::event(*number, event)).collect(),
        decisions: decisions.iter().map(|(number, row)| views::decision(*number, row)).collect(),
    };
    Ok(axum::Json(story).into_response())
}

/// One sentence for people.
fn summary(state: JobState, waiting: Option<&str>, error: Option<&ErrorView>) -> String {
    let because = |begin: &str| match (waiting, error) {
        (Some(detail), _) => format!("{begin}: {detail}"),
        (None, Some(error)) => format!("{begin}: {}", error.description),
        (None, None) => begin.to_owned(),
    };
    match state {
        JobState::Queued => because("waits in the queue"),
        JobState::Connecting => "connects to the origin".into(),
        JobState::Transferring => "moves bytes".into(),
        JobState::Suspended => "is suspended: resume it to go on".into(),
        JobState::Error => because("has failed, and waits for resume, complete or cancel"),
        JobState::TransientError => because("cannot go on at present, and will by itself"),
        JobState::Transferred => "has everything: complete it to give the files their names".into(),
        JobState::Acknowledged => "is completed".into(),
        JobState::Cancelled => "is cancelled".into(),
    }
}
