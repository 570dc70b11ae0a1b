//! The journal as JSON, page by page, or as a stream of server-sent events.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connection::Peer;
use super::error::Refusal;
use super::extract::job_id;
use super::list::labels;
use super::query::Query;
use super::state::App;
use super::stream::EventStream;
use super::views;
use super::wire::EventPage;
use crate::job::{EventFilter, EventKind, JobId};
use crate::store::{FilteredEvents, Reader, StoreError};

/// Events of a page: some 300 KiB of JSON.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

/// Milliseconds between two progress events of a job, at most.
const PROGRESS_MS_MAX: u64 = 3_600_000;

/// Beside the kinds of the journal.
const PROGRESS: &str = "progress";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What a reader wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) events: EventFilter,
    /// Progress is wanted where no kinds are named, or it is among them.
    pub(super) progress: Option<Progress>,
    /// Some kinds of the journal are wanted.
    pub(super) journal: Option<Journal>,
}

/// Milliseconds between two progress events of a job; none: as each job says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress(pub(super) Option<u64>);

/// That events of the journal are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Journal;

impl Wanted {
    fn of(query: &mut Query<'_>) -> Self {
        let job = query.one("job").and_then(|text| {
            let job = job_id(&text);
            if job.is_none() {
                query.refuse("job", "must be the id of a job");
            }
            job
        });
        let mut kinds: Vec<String> = query.all("kind").into_iter().map(Cow::into_owned).collect();
        if kinds.iter().any(|kind| kind != PROGRESS && !EventKind::NAMES.contains(&kind.as_str())) {
            query.refuse("kind", format_args!("must be one of {}, progress", EventKind::NAMES.join(", ")));
        }
        let pace = query.number("progress", 0..=PROGRESS_MS_MAX);
        let wants_progress = pace != Some(0) && (kinds.is_empty() || kinds.iter().any(|kind| kind == PROGRESS));
        let wants_journal = kinds.is_empty() || kinds.iter().any(|kind| kind != PROGRESS);
        kinds.retain(|kind| kind != PROGRESS);
        Self {
            events: EventFilter { job, kinds, labels: labels(query), owner: None },
            progress: wants_progress.then_some(Progress(pace)),
            journal: wants_journal.then_some(Journal),
        }
    }
}

/// A part of the journal, and what retention has taken before it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) page: FilteredEvents,
    /// The number that was given last when this was read.
    pub(super) end: u64,
    pub(super) missed_until: Option<u64>,
}

/// Looks through the journal after a number, at one moment: retention may remove events at any other. Blocks on the disk.
pub(super) fn look(reader: &Reader, wanted: &Wanted, after: u64, limit: u32) -> Result<Looked, StoreError> {
    reader.at_once(|reader| {
        let end = reader.last_event_number()?;
        let page = match wanted.journal {
            Some(Journal) => reader.events_filtered(after, limit, &wanted.events)?,
            None => FilteredEvents { events: Vec::new(), last_number: after.max(end) },
        };
        let first = reader.first_event_number()?;
        let missed_until = (first > after.saturating_add(1)).then(|| first - 1);
        Ok(Looked { page, end, missed_until })
    })
}

/// Follow or read the journal
///
/// With `Accept: text/event-stream`, events as they are committed: first those after `Last-Event-ID` or `after`, then new ones, none
/// missing and none twice; without either, new ones only. `id` is the event's number, `event` its kind, `data` the event as JSON.
/// `progress` events have no id and are not in the journal; those of one job (`job`) have the files that are being moved. A reader that is
/// too slow gets `cut_off` with `resume_after`, and the end; one that asks for what retention has removed gets `missed` with `missed_until`
/// first. Otherwise a page of the journal as JSON.
#[utoipa::path(get, path = "/v1/events", operation_id = "get_events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "The number of the last event that the client has.", minimum = 0, maximum = 9007199254740991_u64),
        ("limit" = Option<u64>, Query, description = "JSON only: events of a page that are looked through; 100 if left out.", minimum = 1, maximum = 1000),
        ("job" = Option<JobId>, Query, description = "Only events of this job."),
        ("kind" = Option<Vec<String>>, Query, description = "Only events of these kinds; `progress` is one of them.",
            pattern = "^(job_created|ownership_taken|job_modified|state_changed|file_transferred|file_restarted|attempt_failed|recovered|job_inactive|job_transferred|job_error|acknowledged|publication_failed|cancelled|decision_applied|policy_fault|network_changed|progress)$"),
        ("label" = Option<Vec<String>>, Query, description = "Only events of jobs with each of these labels: `name=value`.", pattern = "="),
        ("progress" = Option<u64>, Query, description = "Stream only: milliseconds between two progress events of a job, not below 50; if left out, each job is told at its own `minimum_notification_interval`; 0 for none.", minimum = 0, maximum = 3600000),
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, and stronger: what a client that reconnects by itself sends.", pattern = "^(0|[1-9][0-9]{0,14})$"),
    ),
    responses((status = 200, description = "Events.", content((EventPage = "application/json"), (String = "text/event-stream")))))]
async fn events(State(app): State<App>, peer: Peer, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    /// Numbers stay below 2^53: JavaScript readers see a double.
    const NUMBER_MAX: u64 = crate::job::limits::GUEST_NUMBER_MAX;
    let mut query = Query::of(&uri);
    let after = query.number("after", 0..=NUMBER_MAX);
    let limit = query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    let mut wanted = Wanted::of(&mut query);
    wanted.events.owner = peer.caller().own();
    let last_event_id =
        headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    if last_event_id == Some(None) {
        query.refuse("Last-Event-ID", "must be the number of an event");
    }
    query.done(&["after", "limit", "job", "kind", "label", "progress"])?;
    let after = last_event_id.flatten().or(after);
    if wants_stream(&headers) {
        return Ok(stream(EventStream::new(app, peer, wanted, after)));
    }
    let (after, limit) = (after.unwrap_or(0), u32::try_from(limit).unwrap_or(u32::MAX));
    let Looked { page, missed_until, .. } = app.read(move |reader| look(reader, &wanted, after, limit)).await?;
    let events = page.events.iter().map(|(number, event)| views::event(*number, event)).collect();
    let last_number = page.last_number.max(missed_until.unwrap_or(0));
    Ok(axum::Json(EventPage { events, last_number, missed_until }).into_response())
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
    fn progress_is_a_kind_beside_those_of_the_journal() {
        let of = |query: &str| {
            let uri: Uri = format!("/v1/events?{query}").parse().unwrap();
            let mut query = Query::of(&uri);
            let wanted = Wanted::of(&mut query);
            query.done(&[]).map(|()| (wanted.journal.is_some(), wanted.progress.map(|progress| progress.0)))
        };
        assert_eq!(of(""), Ok((true, Some(None))));
        assert_eq!(of("progress=0"), Ok((true, None)));
        assert_eq!(of("kind=job_error"), Ok((true, None)));
        assert_eq!(of("kind=progress&progress=1"), Ok((false, Some(Some(1)))));
        assert_eq!(of("kind=progress&kind=job_error&progress=1000"), Ok((true, Some(Some(1_000)))));
        assert!(of("kind=job_eror").is_err() && of("job=x").is_err() && of("label=x").is_err());
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
