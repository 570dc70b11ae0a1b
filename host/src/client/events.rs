//! Events as a stream, over broken connections and restarts of the daemon.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eventsource_stream::{Event as Sse, EventStream as SseStream, EventStreamError};
use futures_util::Stream;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use tokio::time::{Sleep, sleep};

use super::request::Request;
use super::sse::{self, BoundedLines, Cut};
use super::transport::Transport;
use super::{Client, ClientError};
use crate::api::wire::{EventView, ProgressEvent};
use crate::clock::Stopwatch;
use crate::job::JobId;

/// Before the first attempt to connect again, and the most between two.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a stream tries to connect again before it gives up; [`EventStream::patience`] sets another.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which events are wanted. `Default`: all of the journal, and no progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this job only.
    pub job: Option<JobId>,
    /// Of these kinds only (`state_changed`, ...); any if empty.
    pub kinds: Vec<String>,
    /// Of jobs with this label of this value only.
    pub label: Option<(String, String)>,
    /// Progress of running jobs as well, at most so often for each; with 0 at each job's own `minimum_notification_interval`.
    pub progress: Option<Duration>,
}

impl EventFilter {
    /// The events of one job.
    #[must_use]
    pub fn of_job(job: JobId) -> Self {
        Self { job: Some(job), ..Self::default() }
    }

    pub(super) fn apply(&self, request: Request) -> Request {
        let Self { job, kinds, label, progress } = self;
        request
            .query("job", *job)
            .query("kind", kinds)
            // A filter on kinds is one on progress, too.
            .query("kind", progress.filter(|_| !kinds.is_empty()).map(|_| "progress"))
            .query("label", label.as_ref().map(|(name, value)| format!("{name}={value}")))
            // The daemon tells progress unless it is asked not to, at the pace of each job unless it is asked for another.
            .query("progress", progress.map_or(Some(0), |pace| Some(pace.as_millis()).filter(|millis| *millis > 0)))
    }
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStart {
    /// With what happens from now on.
    Now,
    /// With what follows the event of this number; 0: with the oldest that is kept.
    After(u64),
}

/// What a stream yields.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// An event of the journal. Each comes once, in the order of numbers.
    Event(EventView),
    /// How far a job is. Some may be missing; the last one holds.
    Progress(ProgressEvent),
    /// Events up to this number are gone by retention before they could be read: look at the jobs themselves. What comes next follows it.
    Missed {
        /// The last of them.
        until: u64,
    },
    /// The application took events more slowly than they happened, and the daemon ended the stream. Nothing is missing: the stream is
    /// made anew, and goes on in the journal after this number.
    CutOff {
        /// The last event that was looked at.
        resume_after: u64,
    },
}

/// Events as they come. Ends after its first error only.
///
/// Broken connections are made anew behind the scenes, from the last event that was yielded. Dropping a pending `next` loses nothing.
pub struct EventStream {
    transport: Arc<Transport>,
    filter: EventFilter,
    /// The last number that was yielded or is known to be passed over.
    last_number: u64,
    patience: Duration,
    pause: Duration,
    /// Since when there is no connection.
    broken: Option<Stopwatch>,
    state: State,
}

type Connecting = Pin<Box<dyn Future<Output = Result<reqwest::Response, ClientError>> + Send>>;
type Reading = Pin<Box<dyn Stream<Item = Result<Sse, EventStreamError<Cut>>> + Send>>;

enum State {
    Connecting(Connecting),
    Reading(Reading),
    Pausing(Pin<Box<Sleep>>),
    Ended,
}

impl Client {
    /// Events as a stream: the daemon pushes them as they are committed. Connected when this returns, so that nothing that is done
    /// thereafter is missed.
    pub async fn events(&self, filter: EventFilter, start: EventStart) -> Result<EventStream, ClientError> {
        let after = match start {
            EventStart::Now => self.last_event_number().await?,
            EventStart::After(number) => number,
        };
        let mut stream = EventStream {
            transport: Arc::clone(&self.transport),
            filter,
            last_number: after,
            patience: PATIENCE,
            pause: PAUSE.0,
            broken: None,
            state: State::Ended,
        };
        let response = self.transport.stream(stream.request()).await?;
        stream.state = State::Reading(reading(response));
        Ok(stream)
    }
}

impl EventStream {
    /// The next item; none after an error.
    pub async fn next(&mut self) -> Option<Result<StreamItem, ClientError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Gives up when there was no connection for so long; 60 s if not set.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The number of the last event that was yielded, or after which the stream began: what to go on after.
    #[must_use]
    pub const fn last_number(&self) -> u64 {
        self.last_number
    }

    fn request(&self) -> Request {
        let request = self.filter.apply(Request::get("/v1/events"));
        let request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        request.header(HeaderName::from_static("last-event-id"), HeaderValue::from(self.last_number))
    }

    fn connect(&self) -> State {
        let (transport, request) = (Arc::clone(&self.transport), self.request());
        State::Connecting(Box::pin(async move { transport.stream(request).await }))
    }

    /// The connection broke, or could not be made: what comes next.
    fn broke(&mut self, why: ClientError) -> Result<State, ClientError> {
        let since = *self.broken.get_or_insert_with(Stopwatch::start);
        match why {
            ClientError::Broken { .. } | ClientError::CannotConnect { .. } | ClientError::Timeout { .. }
                if since.elapsed() < self.patience =>
            {
                let pause = self.pause;
                self.pause = (pause * 2).min(PAUSE.1);
                Ok(State::Pausing(Box::pin(sleep(pause))))
            }
            why => Err(why),
        }
    }

    fn broken(&self, reason: impl fmt::Display) -> ClientError {
        ClientError::Broken {
            daemon: self.transport.endpoint().clone(),
            operation: "GET /v1/events".to_owned(),
            reason: reason.to_string(),
        }
    }

    /// One server-sent event: the item, if it is one that was not yielded before.
    fn take(&mut self, event: &Sse) -> Result<Option<StreamItem>, ClientError> {
        // Whatever came, the connection is sound.
        self.broken = None;
        self.pause = PAUSE.0;
        let mut item = sse::item(&event.event, &event.data).map_err(|error| ClientError::Unexpected {
            operation: "GET /v1/events".to_owned(),
            what: format!("a {} that cannot be read: {error}", event.event),
        })?;
        let number = match &mut item {
            Some(StreamItem::Event(event)) => event.number,
            Some(StreamItem::Missed { until }) => *until,
            Some(StreamItem::Progress(_)) => return Ok(item),
            Some(StreamItem::CutOff { resume_after }) => {
                self.last_number = self.last_number.max(*resume_after);
                *resume_after = self.last_number;
                return Ok(item);
            }
            None => event.id.parse().unwrap_or(0),
        };
        let is_new = number > self.last_number;
        self.last_number = self.last_number.max(number);
        Ok(item.filter(|_| is_new))
    }
}

fn reading(response: reqwest::Response) -> Reading {
    Box::pin(SseStream::new(BoundedLines::new(Box::pin(response.bytes_stream()))))
}

impl Stream for EventStream {
    type Item = Result<StreamItem, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let next = match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Pausing(pause) => {
                    std::task::ready!(pause.as_mut().poll(context));
                    Ok(self.connect())
                }
                State::Connecting(connecting) => match std::task::ready!(connecting.as_mut().poll(context)) {
                    Ok(response) => Ok(State::Reading(reading(response))),
                    Err(error) => self.broke(error),
                },
                State::Reading(reading) => match std::task::ready!(reading.as_mut().poll_next(context)) {
                    Some(Ok(event)) => match self.take(&event) {
                        Ok(Some(item)) => return Poll::Ready(Some(Ok(item))),
                        Ok(None) => continue,
                        Err(error) => Err(error),
                    },
                    Some(Err(EventStreamError::Transport(Cut::Transport(error)))) => {
                        let why = self.broken(error);
                        self.broke(why)
                    }
                    Some(Err(_)) => Err(ClientError::Unexpected {
                        operation: "GET /v1/events".to_owned(),
                        what: "what is no stream of events".to_owned(),
                    }),
                    None => {
                        let why = self.broken("the daemon ended the stream");
                        self.broke(why)
                    }
                },
            };
            match next {
                Ok(state) => self.state = state,
                Err(error) => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Connecting(_) => "connecting",
            State::Reading(_) => "reading",
            State::Pausing(_) => "pausing",
            State::Ended => "ended",
        };
        let (filter, last) = (&self.filter, self.last_number);
        f.debug_struct("EventStream")
            .field("filter", filter)
            .field("last_number", &last)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
