//! One reader's stream of server-sent events: the journal first, then what is committed, none missing and none twice.
//!
//! The stream is pulled by the connection when the client takes bytes: it has no task and no buffer of its own. What a slow reader has
//! not taken stays in the host's ring of recent events; once that has gone on without it, the reader is cut off with the number from which
//! it can read the journal. Who takes nothing at all is ended by the connection's write timeout.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep_until};

use super::events::{Filter, Looked, kind_name, look};
use super::state::App;
use super::views::{self, live_progress};
use super::wire::{JobProgress, ProgressEvent};
use crate::host::NumberedEvent;
use crate::job::{Event, JobId, JobState};

/// Events of the journal that are looked through at once.
const JOURNAL_PAGE: u32 = 500;
/// Bytes that are handed over at once: larger ones only wait in memory for the socket.
const CHUNK_BYTES: usize = 64 << 10;
/// Milliseconds after which a client shall connect again by itself: soon, for the journal has what it missed.
const RETRY_MS: u32 = 1_000;

/// Where the stream is.
#[derive(Debug)]
enum Phase {
    /// Before its first bytes.
    Begin,
    /// Behind the journal's end.
    Journal,
    /// At its end.
    Live(broadcast::Receiver<Arc<NumberedEvent>>),
    /// Said all that it had to say.
    Ended,
}

/// A reader's stream.
#[derive(Debug)]
pub(super) struct EventStream {
    app: App,
    filter: Filter,
    phase: Phase,
    /// The last event that was looked at; none until a reader without a place in the journal has seen one.
    last: Option<u64>,
    progress: Option<Pace>,
    heartbeat_at: Instant,
}

/// When progress is told next, and what was told last.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    at: Instant,
    told: HashMap<JobId, (JobState, JobProgress)>,
}

/// The data of `cut_off`.
#[derive(Debug, Serialize)]
struct CutOff {
    resume_after: Option<u64>,
}

enum Woke {
    Event(Result<Arc<NumberedEvent>, RecvError>),
    Progress,
    Heartbeat,
    Stopping,
}

impl EventStream {
    pub(super) fn new(app: App, filter: Filter, after: Option<u64>, progress_ms: Option<u64>) -> Self {
        let now = Instant::now();
        let heartbeat_at = now + app.settings.heartbeat;
        let pace = |millis| Pace { interval: Duration::from_millis(millis), at: now, told: HashMap::new() };
        app.metrics.streams.inc();
        Self { app, filter, phase: Phase::Begin, last: after, progress: progress_ms.map(pace), heartbeat_at }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        futures_util::stream::unfold(self, |mut stream| async move {
            let chunk = stream.next().await?;
            Some((Ok(chunk), stream))
        })
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut chunk = String::new();
            match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Begin => {
                    self.phase = match self.last {
                        Some(_) => Phase::Journal,
                        None => Phase::Live(self.app.host.events()),
                    };
                    let _ = write!(chunk, "retry: {RETRY_MS}\n\n");
                }
                Phase::Journal => self.read_journal(&mut chunk).await,
                Phase::Live(events_rx) => self.live(events_rx, &mut chunk).await,
                Phase::Ended => return None,
            }
            if !chunk.is_empty() {
                self.heartbeat_at = Instant::now() + self.app.settings.heartbeat;
                return Some(chunk.into());
            }
        }
    }

    async fn read_journal(&mut self, chunk: &mut String) {
        // Subscribed before the page is read: what is committed meanwhile is in one of the two, or in both.
        let events_rx = self.app.host.events();
        let (filter, after) = (self.filter.clone(), self.last.unwrap_or(0));
        let looked = self.app.read(move |reader| look(reader, &filter, after, JOURNAL_PAGE)).await;
        let Ok(Looked { events, last_number, at_end }) = looked else {
            // The client comes again by itself, with the last number that it has.
            return;
        };
        for (number, event) in &events {
            frame(chunk, *number, event);
        }
        self.last = Some(last_number);
        self.phase = if at_end { Phase::Live(events_rx) } else { Phase::Journal };
    }

    async fn live(&mut self, mut events_rx: broadcast::Receiver<Arc<NumberedEvent>>, chunk: &mut String) {
        match self.wait(&mut events_rx).await {
            Woke::Event(Ok(event)) => {
                if !self.take(&event, chunk).await {
                    return;
                }
                while chunk.len() < CHUNK_BYTES {
                    match events_rx.try_recv() {
                        Ok(event) => {
                            if !self.take(&event, chunk).await {
                                return;
                            }
                        }
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                        Err(TryRecvError::Lagged(_)) => return self.cut_off(chunk),
                    }
                }
            }
            Woke::Event(Err(RecvError::Lagged(_))) => return self.cut_off(chunk),
            Woke::Event(Err(RecvError::Closed)) | Woke::Stopping => return,
            Woke::Progress => self.tell_progress(chunk),
            Woke::Heartbeat => chunk.push_str(": \n\n"),
        }
        self.phase = Phase::Live(events_rx);
    }

    /// Waits for something to tell. Cancel-safe: an event that was not returned stays in the ring.
    async fn wait(&self, events_rx: &mut broadcast::Receiver<Arc<NumberedEvent>>) -> Woke {
        let progress = async {
            match &self.progress {
                Some(pace) => sleep_until(pace.at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.app.stopping.cancelled() => Woke::Stopping,
            event = events_rx.recv() => Woke::Event(event),
            () = progress => Woke::Progress,
            () = sleep_until(self.heartbeat_at) => Woke::Heartbeat,
        }
    }

    /// Takes a committed event. False if the journal has to be read first: an event before this one was not seen.
    async fn take(&mut self, event: &NumberedEvent, chunk: &mut String) -> bool {
        let NumberedEvent { number, event, .. } = event;
        match self.last {
            Some(last) if *number <= last => return true,
            // With a filter on one job, the numbers that were looked at have gaps of their own.
            Some(last) if *number > last + 1 && self.filter.job.is_none() => {
                self.phase = Phase::Journal;
                return false;
            }
            _ => self.last = Some(*number),
        }
        if self.filter.wants(event) && self.has_labels(event).await {
            frame(chunk, *number, event);
        }
        true
    }

    async fn has_labels(&self, event: &Event) -> bool {
        if self.filter.labels.is_empty() {
            return true;
        }
        let Some(job) = event.job else { return false };
        match self.app.host.job(job) {
            Some(snapshot) => self.filter.labels.match_all(&snapshot.record),
            // Final, or committed a moment ago.
            None => self.app.stored_job(job).await.is_ok_and(|record| self.filter.labels.match_all(&record)),
        }
    }

    fn cut_off(&self, chunk: &mut String) {
        self.app.metrics.cut_off.inc();
        data(chunk, "cut_off", &CutOff { resume_after: self.last });
    }

    /// What has changed of the jobs that run, and the last numbers of those that have just stopped.
    fn tell_progress(&mut self, chunk: &mut String) {
        let Some(pace) = &mut self.progress else { return };
        pace.at = Instant::now() + pace.interval;
        let jobs = match self.filter.job {
            Some(job) => self.app.host.job(job).into_iter().collect(),
            None => self.app.host.jobs(),
        };
        let mut still_running = HashMap::new();
        for snapshot in jobs {
            let job = snapshot.record.id;
            let before = pace.told.get(&job);
            if !(snapshot.state.is_running() || before.is_some()) || !self.filter.labels.match_all(&snapshot.record) {
                continue;
            }
            let now = (snapshot.state, live_progress(&snapshot));
            if before != Some(&now) {
                data(chunk, "progress", &ProgressEvent { job, state: now.0, progress: now.1 });
            }
            if snapshot.state.is_running() {
                still_running.insert(job, now);
            }
        }
        pace.told = still_running;
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.app.metrics.streams.dec();
    }
}

/// An event of the journal.
fn frame(chunk: &mut String, number: u64, event: &Event) {
    let _ = writeln!(chunk, "id: {number}");
    data(chunk, kind_name(&event.kind), &views::event(number, event));
}

fn data(chunk: &mut String, name: &str, value: &impl Serialize) {
    let json = serde_json::to_string(value).expect("plain data with text keys always has a JSON form");
    let _ = write!(chunk, "event: {name}\ndata: {json}\n\n");
}
