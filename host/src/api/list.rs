//! Lists of jobs: those that are not final from memory, final ones from the store, in one order.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::extract::job_id;
use super::query::Query;
use super::state::App;
use super::views::Reported;
use super::wire::{JobPage, JobView};
use crate::host::JobList;
use crate::job::{JobFilter, JobId, JobState, Priority};
use crate::store::FinalJobs;

/// Jobs of a page: some 400 KiB of JSON.
const PAGE_MAX: u64 = 500;
const PAGE_DEFAULT: u64 = 100;

pub(super) fn route() -> UtoipaMethodRouter<App> {
    routes!(list)
}

/// List jobs
///
/// Oldest first. Final jobs (`acknowledged`, `cancelled`) are listed only where `state` names them.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(
        ("state" = Option<Vec<JobState>>, Query, description = "Only jobs in one of these reported states."),
        ("priority" = Option<Priority>, Query, description = "Only jobs of this level."),
        ("label" = Option<Vec<String>>, Query, description = "Only jobs with each of these labels: `name=value`.", pattern = "="),
        ("limit" = Option<u64>, Query, description = "Jobs of a page; 100 if left out.", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", format = "uuid"),
    ),
    responses((status = 200, description = "A page of jobs.", body = JobPage)))]
async fn list(State(app): State<App>, peer: Peer, uri: Uri) -> Result<Response, Refusal> {
    let mut query = Query::of(&uri);
    let states = states(&mut query);
    let owner = peer.caller().own();
    let filter = JobFilter { states, labels: labels(&mut query), priority: priority(&mut query), owner };
    let limit = usize::try_from(query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT)).unwrap_or(usize::MAX);
    let after = query.one("cursor").and_then(|cursor| {
        let after = job_id(&cursor);
        if after.is_none() {
            query.refuse("cursor", "must be `next_cursor` of the page before");
        }
        after
    });
    query.done(&["state", "priority", "label", "limit", "cursor"])?;
    Ok(axum::Json(page(&app, filter, after, limit).await?).into_response())
}

async fn page(app: &App, filter: JobFilter, after: Option<JobId>, limit: usize) -> Result<JobPage, Refusal> {
    let wants_final = filter.states.iter().any(|state| state.is_final());
    let wants_others = filter.states.is_empty() || filter.states.iter().any(|state| !state.is_final());
    // Memory first: a job that becomes final in between is then in both, and never in none.
    let others =
        if wants_others { app.host.list(&filter, after, limit) } else { JobList { jobs: Vec::new(), next: None } };
    let finals = if wants_final {
        app.host.list_final(filter, after, u32::try_from(limit).unwrap_or(u32::MAX)).await?
    } else {
        FinalJobs { jobs: Vec::new(), next: None }
    };
    let jobs = others.jobs.iter().map(Reported::from).map(|job| job.job());
    let jobs = jobs.chain(finals.jobs.iter().map(Reported::from).map(|job| job.job())).collect();
    Ok(merged(jobs, [others.next, finals.next], limit))
}

/// One page of two. Each says up to which job it has looked, if there is more: beyond that the other one must not run ahead.
fn merged(mut jobs: Vec<JobView>, looked_up_to: [Option<JobId>; 2], limit: usize) -> JobPage {
    let bound = looked_up_to.into_iter().flatten().min();
    jobs.retain(|job| bound.is_none_or(|bound| job.id <= bound));
    jobs.sort_by_key(|job| job.id);
    jobs.dedup_by_key(|job| job.id);
    let is_cut = jobs.len() > limit;
    jobs.truncate(limit);
    let next = if is_cut { jobs.last().map(|job| job.id) } else { bound };
    JobPage { jobs, next_cursor: next.map(|next| next.to_string()) }
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

fn priority(query: &mut Query<'_>) -> Option<Priority> {
    let name = query.one("priority")?;
    let priority = serde_json::from_value(serde_json::Value::String(name.into_owned())).ok();
    if priority.is_none() {
        query.refuse("priority", "must be one of foreground, high, normal, low");
    }
    priority
}

/// Labels that a job must have.
pub(super) fn labels(query: &mut Query<'_>) -> Vec<(String, String)> {
    let given = query.all("label");
    let pairs: Vec<_> = given.iter().filter_map(|label| label.split_once('=')).collect();
    if pairs.len() < given.len() {
        query.refuse("label", "must be name=value");
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::arbitrary::job_record;
    use proptest::prelude::*;
    use uuid::Uuid;

    const fn id(number: u128) -> JobId {
        JobId(Uuid::from_u128(number))
    }

    proptest! {
        #[test]
        fn two_lists_give_each_job_once_and_in_order(
            record in job_record(), ours in proptest::collection::btree_set(1..60_u128, 0..20),
            theirs in proptest::collection::btree_set(1..60_u128, 0..20), limit in 1..8_usize, short in 1..8_usize,
        ) {
            let view = |number: &u128| JobView { id: id(*number), ..Reported::from(&record).job() };
            let all: std::collections::BTreeSet<u128> = ours.union(&theirs).copied().collect();
            // A source that looks at few jobs may give less than was asked for, and say where to go on.
            let take = |source: &std::collections::BTreeSet<u128>, after: u128, count: usize| {
                let rest: Vec<u128> = source.range(after + 1..).copied().collect();
                let taken: Vec<u128> = rest.iter().take(count).copied().collect();
                let next = if taken.len() < rest.len() { taken.last().copied().map(id) } else { None };
                (taken, next)
            };
            let (mut seen, mut after) = (Vec::new(), 0);
            loop {
                let (from_ours, next_ours) = take(&ours, after, limit);
                let (from_theirs, next_theirs) = take(&theirs, after, short.min(limit));
                let jobs = from_ours.iter().chain(&from_theirs).map(view).collect();
                let page = merged(jobs, [next_ours, next_theirs], limit);
                prop_assert!(page.jobs.len() <= limit);
                seen.extend(page.jobs.iter().map(|job| job.id.0.as_u128()));
                match page.next_cursor {
                    Some(next) => after = next.parse::<Uuid>().unwrap().as_u128(),
                    None => break,
                }
            }
            prop_assert_eq!(seen, all.into_iter().collect::<Vec<_>>());
        }
    }
}
