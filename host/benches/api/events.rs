//! From a commit to the line of the stream of events: 1,000 events a second, 20 readers.
//!
//! When a commit ended is not seen from outside. It lies between the event's own time, which is read before the transaction is written
//! and synced, and the answer to the request that caused it. So the time since the former is an upper bound, and it is what the goal is held
//! against; the time since the latter is nearly a lower one.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use backhaul::clock::{Now, Stopwatch};
use serde_json::Value;

use super::daemon::Daemon;
use super::load::{Peer, exchange, request};
use super::{RUNS, print_times};

const READERS: usize = 20;
const WRITERS: usize = 16;
/// What each writer causes, at its own pace.
const EACH: usize = 300;
/// All writers together cause 1,000 events a second.
const PACE: Duration = Duration::from_millis(16);

pub(crate) fn run(directory: &Path) {
    let daemon = Daemon::start(directory);
    for _ in 0..RUNS {
        run_once(&daemon);
    }
}

fn run_once(daemon: &Daemon) {
    let jobs: Vec<String> = (0..WRITERS).map(|_| daemon.create(r#"{"type":"download","resume":false}"#)).collect();
    let clock = Clock::start();
    let ready = Barrier::new(READERS + WRITERS);
    let (lines, answered) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read(&daemon.peer, &ready, clock))).collect();
        let write = |(index, job): (usize, &String)| {
            let (ready, peer) = (&ready, &daemon.peer);
            let job = job.clone();
            scope.spawn(move || write(peer, &job, ready, clock, PACE * u32::try_from(index).unwrap() / 16))
        };
        let writers: Vec<_> = jobs.iter().enumerate().map(write).collect();
        let answered: Vec<Vec<Duration>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let lines: Vec<Vec<(Duration, Vec<u8>)>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        (lines, answered)
    });
    let ends = answered.iter().flatten();
    let taken = *ends.clone().max().unwrap() - *ends.min().unwrap();
    println!(
        "{:9.0} /s  events, {READERS} readers",
        f64::from(u32::try_from(WRITERS * EACH).unwrap()) / taken.as_secs_f64()
    );
    let index: HashMap<&str, usize> = jobs.iter().enumerate().map(|(index, job)| (job.as_str(), index)).collect();
    let (mut since_event, mut since_answer, mut until_answer) = (Vec::new(), Vec::new(), Vec::new());
    for lines in lines {
        let mut seen = [0; WRITERS];
        for (at, line) in lines {
            let event: Value = serde_json::from_slice(&line).unwrap();
            let writer = index[event["job"].as_str().unwrap()];
            let answered = answered[writer][seen[writer]];
            since_answer.push(at.saturating_sub(answered));
            seen[writer] += 1;
            let happened: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            let happened = u64::try_from(happened.as_millisecond()).unwrap();
            since_event.push(clock.since(at, happened));
            until_answer.push(clock.since(answered, happened));
        }
        assert_eq!(seen, [EACH; WRITERS], "an event is missing or double");
    }
    print_times(since_event, "from before the commit to the line; less than 10 is wanted at p99");
    print_times(until_answer, "of it, from before the commit to the answer to the request");
    print_times(since_answer, "from the answer to the request to the line");
}

/// A clock that also knows what the wall clock showed, to a fraction of its milliseconds.
#[derive(Debug, Clone, Copy)]
struct Clock {
    watch: Stopwatch,
    wall_ms: u64,
}

impl Clock {
    fn start() -> Self {
        let before = Now::read().wall.0;
        loop {
            // At the turn of a millisecond.
            let wall_ms = Now::read().wall.0;
            if wall_ms > before {
                return Self { watch: Stopwatch::start(), wall_ms };
            }
        }
    }

    fn now(self) -> Duration {
        self.watch.elapsed()
    }

    fn since(self, at: Duration, wall_ms: u64) -> Duration {
        at.saturating_sub(Duration::from_millis(wall_ms.saturating_sub(self.wall_ms)))
    }
}

/// Changes a job again and again; when each answer came.
fn write(peer: &Peer, job: &str, ready: &Barrier, clock: Clock, shift: Duration) -> Vec<Duration> {
    let mut stream = peer.connect().unwrap();
    ready.wait();
    let begun = clock.now() + shift;
    let mut due = begun;
    let mut change = |number: usize| {
        std::thread::sleep(due.saturating_sub(clock.now()));
        due += PACE;
        let body = format!(r#"{{"display_name":"change {number}"}}"#);
        let (status, answer) = exchange(&mut *stream, &request("PATCH", &format!("/v1/jobs/{job}"), &body));
        let at = clock.now();
        assert_eq!(status, 200, "{answer}");
        at
    };
    (0..EACH).map(&mut change).collect()
}

/// Reads all events; when each line came.
fn read(peer: &Peer, ready: &Barrier, clock: Clock) -> Vec<(Duration, Vec<u8>)> {
    let mut stream = peer.connect().unwrap();
    let follow = "GET /v1/events?kind=job_modified HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(follow.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::with_capacity(WRITERS * EACH);
    let mut line = Vec::new();
    while lines.len() < WRITERS * EACH {
        line.clear();
        assert!(stream.read_until(b'\n', &mut line).unwrap() > 0, "the stream ended");
        if line.starts_with(b"retry: ") {
            ready.wait();
        } else if let Some(data) = line.strip_prefix(b"data: ") {
            lines.push((clock.now(), data.to_vec()));
        }
    }
    lines
}
