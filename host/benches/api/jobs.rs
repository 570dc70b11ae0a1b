//! What many jobs and many connections cost: memory with 10,000 queued jobs, lists of them, a start with them, and polls beside
//! connections that are idle or half through their request.

use std::path::Path;
use std::time::Duration;

use backhaul::clock::Stopwatch;
use serde_json::Value;

use super::aria2::Aria2;
use super::daemon::{A_JOB, Daemon};
use super::load::{Peer, Stream, Until, exchange, get, rate, request, times};
use super::{RUNS, best, print_rate, print_times};

const QUEUED: usize = 10_000;
/// Clients that create them: a divisor of their number.
const CLIENTS: usize = 50;
const IDLE: usize = 1_000;
const HALF_SENT: usize = 100;
const POLLS: usize = 20_000;
/// Times that the list is read from one end to the other.
const WALKS: usize = 10;

pub(crate) fn run(directory: &Path) {
    if let Some(aria2) = Aria2::start(directory) {
        aria2.add_many(QUEUED);
        println!("{:9.1} MiB  aria2 with {QUEUED} paused downloads", aria2.resident_mib());
    }
    let mut daemon = Daemon::start(directory);
    daemon.disconnect();
    println!("{:9.1} MiB  resident without jobs", daemon.resident_mib());
    let last = daemon.create(A_JOB);
    rate(&daemon.peer, &request("POST", "/v1/jobs", A_JOB), CLIENTS, Until::Answered(QUEUED / CLIENTS));
    println!("{:9.1} MiB  with {QUEUED} jobs just created; less than 60 is wanted", daemon.resident_mib());
    lists(&daemon.peer);
    println!("{:9.1} MiB  after the lists", daemon.resident_mib());

    for _ in 0..RUNS {
        daemon.stop();
        let begun = Stopwatch::start();
        daemon = Daemon::start(directory);
        assert_eq!(daemon.peer.call(&get("/v1/jobs?limit=1")).0, 200);
        let millis = begun.elapsed().as_millis();
        println!("{millis:9} ms   from exec to the first answer; less than 1,000 is wanted");
    }
    println!("{:9.1} MiB  with {QUEUED} jobs after a start", daemon.resident_mib());
    lists(&daemon.peer);
    println!("{:9.1} MiB  after the lists", daemon.resident_mib());
    others(&daemon, &get(&format!("/v1/jobs/{last}/state")));
}

/// Walks through the list: every page is timed.
fn lists(peer: &Peer) {
    for limit in [100, 500] {
        let (mut times, mut seen) = (Vec::new(), 0);
        let mut stream = peer.connect().unwrap();
        for _ in 0..WALKS {
            let mut target = format!("/v1/jobs?limit={limit}");
            loop {
                let begun = Stopwatch::start();
                let (status, body) = exchange(&mut *stream, &get(&target));
                times.push(begun.elapsed());
                assert_eq!(status, 200, "{body}");
                let page: Value = serde_json::from_str(&body).unwrap();
                seen += page["jobs"].as_array().unwrap().len();
                let Some(cursor) = page["next_cursor"].as_str() else { break };
                target = format!("/v1/jobs?limit={limit}&cursor={cursor}");
            }
        }
        assert_eq!(seen, (QUEUED + 1) * WALKS, "a job is missing or double");
        print_times(times, &format!("a page of {limit} jobs, anywhere; less than 20 is wanted at p99"));
    }
}

/// Polls beside connections that take place and do nothing.
fn others(daemon: &Daemon, state: &str) {
    let polls = |what: &str| {
        let [rate] = best(RUNS, || [rate(&daemon.peer, state, 32, Until::Elapsed(Duration::from_secs(2)))]);
        print_rate(rate, &format!("state over 32 connections {what}"));
        print_times(times(&daemon.peer, state, POLLS), &format!("state on one connection {what}"));
    };
    polls("without others");
    let connect = |_| daemon.peer.connect().unwrap();
    let _idle: Vec<Box<dyn Stream>> = (0..IDLE).map(connect).collect();
    let mut half_sent: Vec<Box<dyn Stream>> = (0..HALF_SENT).map(connect).collect();
    for stream in &mut half_sent {
        stream.write_all(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Le").unwrap();
    }
    polls(&format!("beside {IDLE} idle connections and {HALF_SENT} half-sent requests"));
}
