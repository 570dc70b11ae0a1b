//! One reader's stream of server-sent events: the journal first, then what is committed, none missing and none twice.
//!
//! The stream is pulled by the connection when the client takes bytes: it has no task and no buffer of its own. What a slow reader has
//! not taken stays in the host's ring of recent events; once that has gone on without it, the reader is cut off with the number from which
//! it can read the journal. Who takes nothing at all is ended by the connection's write timeout.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep_until};

use super::connection::Peer;
use super::events::{Looked, Progress, Wanted, look};
use super::pace::Pace;
use super::state::App;
use super::views::{self, active_files, live_progress};
use super::wire::{CutOffEvent, MissedEvent, ProgressEvent};
use crate::host::NumberedEvent;
use crate::job::{Event, JobFilter, JobState};

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
    peer: Peer,
    wanted: Wanted,
    phase: Phase,
    /// The last event that was looked at; none until a reader without a place in the journal has seen one.
    last: Option<u64>,
    pace: Option<Pace>,
    heartbeat_at: Instant,
}

/// The states in which jobs have progress.
const RUNNING: [JobState; 2] = [JobState::Connecting, JobState::Transferring];
/// Running jobs whose progress one reader is told: all slots of most hosts.
const RUNNING_MAX: usize = 1_024;

enum Woke {
    Event(Result<Arc<NumberedEvent>, RecvError>),
    Progress,
    Heartbeat,
    Stopping,
}

impl EventStream {
    pub(super) fn new(app: App, peer: Peer, wanted: Wanted, after: Option<u64>) -> Self {
        let now = Instant::now();
        let heartbeat_at = now + app.settings.heartbeat;
        let pace = wanted.progress.map(|Progress(millis)| Pace::new(millis.map(Duration::from_millis), now));
        app.metrics.streams.inc();
        Self { app, peer, wanted, phase: Phase::Begin, last: after, pace, heartbeat_at }
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
            let mut chunk = Vec::new();
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
            // A token that was taken back, or is over, gets no more. That is seen at the latest with the next heartbeat.
            if !self.peer.is_known(&self.app.host) {
                return None;
            }
            if !chunk.is_empty() {
                self.heartbeat_at = Instant::now() + self.app.settings.heartbeat;
                return Some(chunk.into());
            }
        }
    }

    async fn read_journal(&mut self, chunk: &mut Vec<u8>) {
        // Subscribed before the page is read: what is committed meanwhile is in one of the two, or in both.
        let events_rx = self.app.host.events();
        let (wanted, after) = (self.wanted.clone(), self.last.unwrap_or(0));
        let looked = self.app.read(move |reader| look(reader, &wanted, after, JOURNAL_PAGE)).await;
        let Ok(Looked { page, end, missed_until }) = looked else {
            // The client comes again by itself, with the last number that it has.
            return;
        };
        if let Some(missed_until) = missed_until {
            data(chunk, "missed", &MissedEvent { missed_until });
        }
        for (number, event) in &page.events {
            frame(chunk, *number, event);
        }
        // A page may be empty because nothing in it was wanted: only one that led no further is the last.
        let is_over = page.last_number == after || page.last_number >= end;
        self.last = Some(match (is_over, after > end) {
            (false, _) => page.last_number,
            (true, false) => page.last_number.max(end),
            // Such a number was never given: whoever has it has it from another store, and gets what comes.
            (true, true) => end,
        });
        self.phase = if is_over { Phase::Live(events_rx) } else { Phase::Journal };
    }

    async fn live(&mut self, mut events_rx: broadcast::Receiver<Arc<NumberedEvent>>, chunk: &mut Vec<u8>) {
        match self.wait(&mut events_rx).await {
            Woke::Event(Ok(event)) => {
                if !self.take(&event, chunk) {
                    return;
                }
                while chunk.len() < CHUNK_BYTES {
                    match events_rx.try_recv() {
                        Ok(event) => {
                            if !self.take(&event, chunk) {
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
            Woke::Heartbeat => chunk.extend_from_slice(b": \n\n"),
        }
        self.phase = Phase::Live(events_rx);
    }

    /// Waits for something to tell. Cancel-safe: an event that was not returned stays in the ring.
    async fn wait(&self, events_rx: &mut broadcast::Receiver<Arc<NumberedEvent>>) -> Woke {
        let progress = async {
            match &self.pace {
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
    fn take(&mut self, event: &NumberedEvent, chunk: &mut Vec<u8>) -> bool {
        let number = event.number;
        match self.last {
            Some(last) if number <= last => return true,
            Some(last) if number > last + 1 => {
                self.phase = Phase::Journal;
                return false;
            }
            _ => {}
        }
        // A job is published before its events are told. Whose one was that has left memory since, the store knows.
        let job = event.event.job.and_then(|job| self.app.host.job(job));
        if self.wanted.events.owner.is_some() && event.event.job.is_some() && job.is_none() {
            self.last = Some(number.saturating_sub(1));
            self.phase = Phase::Journal;
            return false;
        }
        self.last = Some(number);
        let record = job.as_ref().map(|snapshot| &*snapshot.record);
        if self.wanted.journal.is_some() && self.wanted.events.matches(&event.event, |_| record) {
            let bytes = event.wire(|event| {
                let mut bytes = Vec::new();
                frame(&mut bytes, event.number, &event.event);
                bytes.into()
            });
            chunk.extend_from_slice(&bytes);
        }
        true
    }

    fn cut_off(&self, chunk: &mut Vec<u8>) {
        self.app.metrics.cut_off.inc();
        data(chunk, "cut_off", &CutOffEvent { resume_after: self.last });
    }

    /// What has changed of the jobs that run, and the last numbers of those that have just stopped.
    fn tell_progress(&mut self, chunk: &mut Vec<u8>) {
        let Some(pace) = &mut self.pace else { return };
        let jobs = match self.wanted.events.job {
            Some(job) => self.app.host.job(job).into_iter().collect(),
            None => {
                let owner = self.wanted.events.owner.clone();
                let filter = JobFilter { states: RUNNING.to_vec(), owner, ..JobFilter::default() };
                let mut jobs = self.app.host.list(&filter, None, RUNNING_MAX).jobs;
                // Those that have stopped since: their last numbers.
                let stopped = pace.jobs().filter(|told| jobs.iter().all(|job| job.record.id != *told));
                let stopped: Vec<_> = stopped.filter_map(|told| self.app.host.job(told)).collect();
                jobs.extend(stopped);
                jobs
            }
        };
        let mut wanted = Vec::with_capacity(jobs.len());
        for snapshot in &jobs {
            let record = &snapshot.record;
            if self.wanted.events.shows(record) && (snapshot.state.is_running() || pace.knows(record.id)) {
                let own = Duration::from_millis(record.properties.minimum_notification_interval_ms);
                // One job has some hundreds of them at most; those of all jobs would be megabytes at once.
                let active = if self.wanted.events.job.is_some() { active_files(snapshot) } else { Vec::new() };
                let progress = live_progress(snapshot);
                wanted.push((ProgressEvent { job: record.id, state: snapshot.state, progress, active }, own));
            }
        }
        for told in pace.look(Instant::now(), wanted) {
            data(chunk, "progress", &told);
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.app.metrics.streams.dec();
    }
}

/// An event of the journal. Every stream sends it in this form: it is made once for all of them.
fn frame(chunk: &mut Vec<u8>, number: u64, event: &Event) {
    let _ = writeln!(chunk, "id: {number}");
    data(chunk, event.kind.name(), &views::event(number, event));
}

fn data(chunk: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    let _ = write!(chunk, "event: {name}\ndata: ");
    serde_json::to_writer(&mut *chunk, value).expect("plain data with text keys always has a JSON form");
    chunk.extend_from_slice(b"\n\n");
}
