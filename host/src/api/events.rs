//! The journal as JSON, page by page, or as a stream of server-sent events.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Refusal;
use super::extract::job_id;
use super::jobs::Labels;
use super::query::Query;
use super::state::App;
use super::stream::EventStream;
use super::views;
use super::wire::EventPage;
use crate::job::{Event, EventKind, JobId};
use crate::store::{Reader, StoreError};

/// Events of a page: some 300 KiB of JSON.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

/// Milliseconds between two progress events of a job: twice a second is what an eye wants.
const PROGRESS_MS_DEFAULT: u64 = 500;
/// Milliseconds: more often, numbers would only be read for the wire.
const PROGRESS_MS_MIN: u64 = 50;
const PROGRESS_MS_MAX: u64 = 3_600_000;

/// Every kind of the journal, and `progress`, which is not in it.
const KINDS: [&str; 15] = [
    "job_created",
    "job_modified",
    "state_changed",
    "file_transferred",
    "file_restarted",
    "attempt_failed",
    "recovered",
    "job_transferred",
    "job_error",
    "acknowledged",
    "publication_failed",
    "cancelled",
    "decision_applied",
    "policy_fault",
    "network_changed",
];
const PROGRESS: &str = "progress";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// The name of a kind, as it stands in `kind`.
pub(super) const fn kind_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::JobCreated => "job_created",
        EventKind::JobModified { .. } => "job_modified",
        EventKind::StateChanged { .. } => "state_changed",
        EventKind::FileTransferred { .. } => "file_transferred",
        EventKind::FileRestarted { .. } => "file_restarted",
        EventKind::AttemptFailed { .. } => "attempt_failed",
        EventKind::Recovered { .. } => "recovered",
        EventKind::JobTransferred => "job_transferred",
        EventKind::JobError { .. } => "job_error",
        EventKind::Acknowledged { .. } => "acknowledged",
        EventKind::PublicationFailed { .. } => "publication_failed",
        EventKind::Cancelled { .. } => "cancelled",
        EventKind::DecisionApplied { .. } => "decision_applied",
        EventKind::PolicyFault { .. } => "policy_fault",
        EventKind::NetworkChanged { .. } => "network_changed",
    }
}

/// Which events a reader wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) job: Option<JobId>,
    kinds: Vec<&'static str>,
    pub(super) labels: Labels,
}

impl Filter {
    fn of(query: &mut Query<'_>) -> Self {
        let job = query.one("job").and_then(|text| {
            let job = job_id(&text);
            if job.is_none() {
                query.refuse("job", "must be the id of a job");
            }
            job
        });
        let named = query.all("kind");
        let known = |name: &str| KINDS.into_iter().chain([PROGRESS]).find(|kind| *kind == name);
        let kinds: Vec<_> = named.iter().filter_map(|name| known(name)).collect();
        if kinds.len() < named.len() {
            query.refuse("kind", format_args!("must be one of {}, progress", KINDS.join(", ")));
        }
        Self { job, kinds, labels: Labels::of(query) }
    }

    /// Whether job and kind are wanted. Labels are looked at by who can look up the job.
    pub(super) fn wants(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind_name(&event.kind)))
            && self.job.is_none_or(|job| event.job == Some(job))
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&PROGRESS)
    }
}

/// A page of the journal: the wanted events, and the number up to which it was looked through.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) events: Vec<(u64, Event)>,
    pub(super) last_number: u64,
    /// Whether the end of the journal was reached.
    pub(super) at_end: bool,
}

/// Looks through `limit` events after a number. Blocks on the disk.
pub(super) fn look(reader: &Reader, filter: &Filter, after: u64, limit: u32) -> Result<Looked, StoreError> {
    let mut events = reader.events(after, limit, filter.job)?;
    let at_end = events.len() < limit as usize;
    let last_number = events.last().map_or(after, |(number, _)| *number);
    events.retain(|(_, event)| filter.wants(event));
    if !filter.labels.is_empty() {
        let mut wanted = Vec::with_capacity(events.len());
        for (number, event) in events {
            let record = event.job.map(|job| reader.job(job)).transpose()?.flatten();
            if record.is_some_and(|record| filter.labels.match_all(&record)) {
                wanted.push((number, event));
            }
        }
        events = wanted;
    }
    Ok(Looked { events, last_number, at_end })
}

/// Follow or read the journal
///
/// With `Accept: text/event-stream`, events as they are committed: first those after `Last-Event-ID` or `after`, then new ones, none
/// missing and none twice; without either, new ones only. `id` is the event's number, `event` its kind, `data` the event as JSON.
/// `progress` events have no id and are not in the journal. A reader that is too slow gets `cut_off` with `resume_after`, and the end;
/// one that asks for what retention has removed gets `missed` with `missed_until` first. Otherwise a page of the journal as JSON.
#[utoipa::path(get, path = "/v1/events", operation_id = "get_events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "The number of the last event that the client has.", minimum = 0, maximum = 9007199254740991_u64),
        ("limit" = Option<u64>, Query, description = "JSON only: events of a page that are looked through; 100 if left out.", minimum = 1, maximum = 1000),
        ("job" = Option<JobId>, Query, description = "Only events of this job."),
        ("kind" = Option<Vec<String>>, Query, description = "Only events of these kinds; `progress` is one of them."),
        ("label" = Option<Vec<String>>, Query, description = "Only events of jobs with each of these labels: `name=value`, or `name`."),
        ("progress" = Option<u64>, Query, description = "Stream only: milliseconds between two progress events of a job; 500 if left out, 0 for none.", minimum = 0, maximum = 3600000),
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, and stronger: what a client that reconnects by itself sends.", pattern = "^(0|[1-9][0-9]{0,14})$"),
    ),
    responses((status = 200, description = "Events.", content((EventPage = "application/json"), (String = "text/event-stream")))))]
async fn events(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    /// Numbers stay below 2^53: JavaScript readers see a double.
    const NUMBER_MAX: u64 = crate::job::limits::GUEST_NUMBER_MAX;
    let mut query = Query::of(&uri);
    let after = query.number("after", 0..=NUMBER_MAX);
    let limit = query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    let progress_ms = query.number("progress", 0..=PROGRESS_MS_MAX).unwrap_or(PROGRESS_MS_DEFAULT);
    let filter = Filter::of(&mut query);
    let last_event_id =
        headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    if last_event_id == Some(None) {
        query.refuse("Last-Event-ID", "must be the number of an event");
    }
    query.done(&["after", "limit", "job", "kind", "label", "progress"])?;
    let after = last_event_id.flatten().or(after);
    if wants_stream(&headers) {
        let progress_ms =
            if progress_ms == 0 || !filter.wants_progress() { None } else { Some(progress_ms.max(PROGRESS_MS_MIN)) };
        return Ok(stream(EventStream::new(app, filter, after, progress_ms)));
    }
    let (after, limit) = (after.unwrap_or(0), u32::try_from(limit).unwrap_or(u32::MAX));
    let looked = app.read(move |reader| look(reader, &filter, after, limit)).await?;
    let events = looked.events.iter().map(|(number, event)| views::event(*number, event)).collect();
    Ok(axum::Json(EventPage { events, last_number: looked.last_number, missed_until: None }).into_response())
}

/// Whether the client names the stream's type. A wildcard gets JSON.
fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    let mut types = accepted.flat_map(|field| field.split(',')).filter_map(|one| one.split(';').next());
    types.any(|media_type| media_type.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn stream(events: EventStream) -> Response {
    let mut response = Response::new(Body::from_stream(events.into_stream()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_that_are_serialised() {
        let some = [EventKind::JobCreated, EventKind::JobTransferred, EventKind::Cancelled { files_left: 0 }];
        for kind in some {
            assert_eq!(serde_json::to_value(&kind).unwrap()["kind"], kind_name(&kind));
            assert!(KINDS.contains(&kind_name(&kind)));
        }
    }

    #[test]
    fn a_stream_is_given_only_to_who_names_it() {
        let accepts = |value: &'static str| {
            wants_stream(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("text/event-stream") && accepts("application/json;q=0.5, Text/Event-Stream"));
        assert!(!accepts("*/*") && !accepts("application/json") && !wants_stream(&HeaderMap::new()));
    }
}
