//! The journal as a stream: none missing, none twice, and no reader holds up the others.

use std::collections::BTreeSet;

use backhaul::client::{Client, EventFilter, EventStart, StreamItem};
use serde_json::json;

use crate::origin::{Fault, File, Gate, On, Origin};
use crate::rig::{Daemon, Events, Told};

#[test]
fn a_stream_goes_on_where_it_was_without_a_gap_and_over_a_restart() {
    let mut daemon = Daemon::start();
    for _ in 0..3 {
        daemon.create(&json!({ "type": "download" }));
    }
    let numbers =
        |events: Events, count: usize| -> Vec<u64> { events.filter_map(|event| event.id).take(count).collect() };
    assert_eq!(numbers(daemon.connect().follow("/v1/events?after=0", None), 2), [1, 2]);
    let stream = daemon.connect().follow("/v1/events", Some(2));
    // What is committed while it is followed comes after what was there.
    for _ in 0..3 {
        daemon.create(&json!({ "type": "download" }));
    }
    assert_eq!(numbers(stream, 4), [3, 4, 5, 6]);
    daemon.end(rustix::process::Signal::KILL);
    daemon.begin();
    daemon.create(&json!({ "type": "download" }));
    assert_eq!(numbers(daemon.connect().follow("/v1/events?after=1", Some(5)), 2), [6, 7]);
    let page = daemon.get("/v1/events?after=2&limit=2").json();
    assert_eq!((page["events"][0]["number"].clone(), page["last_number"].clone()), (json!(3), json!(4)));
}

#[test]
fn many_commits_during_the_catching_up_are_each_told_once() {
    let daemon = Daemon::start();
    let count = 300;
    let mut connection = daemon.connect();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..count {
                assert_eq!(connection.call("POST", "/v1/jobs", &[], Some(&json!({ "type": "download" }))).status, 201);
            }
        });
        for _ in 0..4 {
            let stream = daemon.connect().follow("/v1/events?after=0&kind=job_created", None);
            let numbers: Vec<u64> = stream.filter_map(|event| event.id).take(count).collect();
            assert_eq!(numbers, (1..=count as u64).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_job_is_told_with_its_files_first_and_its_progress_without_numbers() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 2_000_000));
    origin.throttle(Some(1_000_000));
    let daemon = Daemon::start();
    let file = json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f") });
    let body = json!({ "type": "download", "files": [file], "labels": { "team": "a" } });
    let job = daemon.create(&body);
    let id = job.rsplit('/').next().unwrap().to_owned();
    daemon.create(&json!({ "type": "download", "labels": { "team": "b" } }));
    let stream = daemon.connect().follow("/v1/events?after=0&progress=50&label=team=a", None);
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    let mut told = Vec::new();
    for event in stream {
        assert_eq!(event.data["job"], id.as_str(), "{event:?}");
        assert_eq!(event.id.is_none(), event.name == "progress", "{event:?}");
        let is_last = event.name == "job_transferred";
        told.push(event);
        if is_last {
            break;
        }
    }
    let position =
        |name: &str| told.iter().position(|event| event.name == name).unwrap_or_else(|| panic!("no {name}: {told:?}"));
    assert!(position("job_created") < position("progress"));
    assert!(position("file_transferred") < position("job_transferred"));
    let bytes: BTreeSet<u64> = told
        .iter()
        .filter(|event| event.name == "progress")
        .filter_map(|event| event.data["bytes_transferred"].as_u64())
        .collect();
    assert!(bytes.len() > 3, "{bytes:?}");
    assert!(told.iter().all(|event| event.data["active"].is_null()), "only of one job: {told:?}");
}

#[test]
fn the_progress_of_one_job_names_the_files_that_are_being_moved() {
    let (origin, daemon, gate) = (Origin::start(), Daemon::start(), Gate::shut());
    let files = ["a", "b", "c"].map(|name| {
        let path = format!("/{name}");
        origin.file(&path, File::seeded(1, 2_000));
        origin.fault(&path, On::Every, Fault::HoldBody(500, gate.clone()));
        json!({ "remote_name": origin.url(&path), "local_name": daemon.out(name) })
    });
    let job = daemon.create(&json!({ "type": "download", "files": files, "parallel_files": 2 }));
    let id = job.rsplit('/').next().unwrap();
    let mut stream = daemon.connect().follow(&format!("/v1/events?job={id}&kind=progress&progress=50"), None);
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    let half = |file| json!({ "file": file, "bytes_total": 2_000, "bytes_transferred": 500 });
    let of = |event: &Told| event.data["active"].as_array().cloned().unwrap_or_default();
    let both = stream.by_ref().find(|event| event.data["bytes_transferred"] == 1_000).unwrap();
    let mut active = of(&both);
    active.sort_by_key(|file| file["file"].as_u64());
    assert_eq!(active, [half(0), half(1)], "{both:?}");
    gate.open();
    let last = stream.find(|event| event.data["state"] == "transferred").unwrap();
    assert_eq!((&last.data["bytes_transferred"], of(&last).len()), (&json!(6_000), 0), "{last:?}");
}

/// Jobs of [`flood`].
const FLOOD: u64 = 6_400;

/// Creates more jobs than the host's ring of recent events and the buffers of a socket hold: some 4 MB of events.
fn flood(daemon: &Daemon) {
    const CLIENTS: u64 = 16;
    let body = json!({ "type": "download", "display_name": "n".repeat(256) });
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (mut connection, body) = (daemon.connect(), &body);
            scope.spawn(move || {
                for _ in 0..FLOOD / CLIENTS {
                    assert_eq!(connection.call("POST", "/v1/jobs", &[], Some(body)).status, 201);
                }
            });
        }
    });
}

/// The typed client, with a runtime that stands still while nothing is asked of it.
fn client(daemon: &Daemon) -> (tokio::runtime::Runtime, Client) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, Client::unix(daemon.socket()).unwrap())
}

/// The numbers of the events up to one of them, from a stream that goes on after another.
fn rest(daemon: &Daemon, after: u64, until: u64) -> Vec<u64> {
    let stream = daemon.connect().follow("/v1/events?progress=0", Some(after));
    stream.filter_map(|event| event.id).take((until - after).try_into().unwrap()).collect()
}

#[test]
fn a_reader_that_takes_nothing_is_ended_and_hinders_nobody() {
    let daemon = Daemon::configured("[api]\nwrite_timeout = 1\n");
    // Its stream is begun and never read.
    let slow = daemon.connect().follow("/v1/events?after=0&progress=0", None);
    flood(&daemon);
    // Everything that it was told before its end is in order.
    let told: Vec<u64> = slow.filter_map(|event| event.id).take(FLOOD.try_into().unwrap()).collect();
    let last = told.len() as u64;
    assert_eq!(told, (1..=last).collect::<Vec<_>>());
    assert_eq!(rest(&daemon, last, FLOOD), (last + 1..=FLOOD).collect::<Vec<_>>());
}

#[test]
fn a_slow_reader_is_cut_off_with_the_number_to_resume_from() {
    let daemon = Daemon::start();
    let mut slow = daemon.connect().follow("/v1/events?after=0&progress=0", None);
    // Its stream has begun: what comes now goes to the ring of recent events, and it does not take it.
    daemon.create(&json!({ "type": "download" }));
    assert_eq!(slow.next().unwrap().id, Some(1));
    // An application that does something else meanwhile.
    let (runtime, client) = client(&daemon);
    let mut stream = runtime.block_on(client.events(EventFilter::default(), EventStart::After(0))).unwrap();
    let mut next = || runtime.block_on(stream.next()).unwrap().unwrap();
    assert!(matches!(next(), StreamItem::Event(event) if event.number == 1));
    for _ in 0..2 {
        flood(&daemon);
    }
    let (mut told, mut cut_off) = (1, None);
    for event in slow {
        match event.id {
            Some(number) => {
                assert_eq!((number, cut_off.is_none()), (told + 1, true));
                told = number;
            }
            None => cut_off = Some((event.name, event.data)),
        }
    }
    assert_eq!(cut_off, Some(("cut_off".to_owned(), json!({ "resume_after": told }))), "{told}");
    let all = 1 + 2 * FLOOD;
    assert_eq!(rest(&daemon, told, all), (told + 1..=all).collect::<Vec<_>>());
    let (mut last, mut cut_off) = (1, Vec::new());
    while last < all {
        match next() {
            StreamItem::Event(event) => {
                assert_eq!(event.number, last + 1);
                last = event.number;
            }
            StreamItem::CutOff { resume_after } => cut_off.push((resume_after, last)),
            other => panic!("{other:?}"),
        }
    }
    assert!(!cut_off.is_empty() && cut_off.iter().all(|(resume_after, last)| resume_after == last), "{cut_off:?}");
}

#[test]
fn a_reader_that_asks_for_what_retention_has_removed_is_told_so() {
    let daemon = Daemon::configured("[retention]\nevents_max = 1000\ninterval = 1\n");
    let mut connection = daemon.connect();
    for _ in 0..1_200 {
        assert_eq!(connection.call("POST", "/v1/jobs", &[], Some(&json!({ "type": "download" }))).status, 201);
    }
    // Retention looks each second; until then everything is there.
    let deadline = std::time::Duration::from_secs(60);
    let begin = tokio::time::Instant::now();
    let page = loop {
        let page = connection.call("GET", "/v1/events?after=10&limit=1", &[], None).json();
        if page["missed_until"] == 200 {
            break page;
        }
        assert!(begin.elapsed() < deadline, "the events are not removed: {page}");
    };
    assert_eq!(page["events"][0]["number"], 201);
    let mut stream = daemon.connect().follow("/v1/events?after=10&progress=0", None);
    let missed = stream.next().unwrap();
    assert_eq!((missed.name.as_str(), &missed.data), ("missed", &json!({ "missed_until": 200 })));
    let numbers: Vec<u64> = stream.filter_map(|event| event.id).take(1_000).collect();
    assert_eq!(numbers, (201..=1_200).collect::<Vec<_>>());
    let (runtime, client) = client(&daemon);
    runtime.block_on(async {
        let mut stream = client.events(EventFilter::default(), EventStart::After(10)).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), StreamItem::Missed { until: 200 });
        let first = stream.next().await.unwrap().unwrap();
        assert!(matches!(&first, StreamItem::Event(event) if event.number == 201), "{first:?}");
    });
    // Who is not behind is told nothing of it.
    let first = daemon.connect().follow("/v1/events?after=200&progress=0", None).next().unwrap();
    assert_eq!(first.id, Some(201));
}
