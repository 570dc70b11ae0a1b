//! The journal as a stream: none missing, none twice, and no reader holds up the others.

use std::collections::BTreeSet;

use serde_json::json;

use crate::origin::{File, Origin};
use crate::rig::{Daemon, Scratch};

fn target(scratch: &Scratch) -> String {
    format!("{}/f", scratch.dir("out"))
}

#[test]
fn a_stream_goes_on_where_it_was_without_a_gap_and_over_a_restart() {
    let mut daemon = Daemon::start();
    for _ in 0..3 {
        daemon.create(&json!({ "type": "download" }));
    }
    let numbers = |events: crate::rig::Events, count: usize| -> Vec<u64> {
        events.filter_map(|event| event.id).take(count).collect()
    };
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
    let file = json!({ "remote_name": origin.url("/f"), "local_name": target(&daemon.scratch) });
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
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_hinders_nobody() {
    let daemon = Daemon::configured("[api]\nwrite_timeout = 1\n");
    // Its stream is begun and never read.
    let slow = daemon.connect().follow("/v1/events?after=0", None);
    let name = "n".repeat(256);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let (mut connection, name) = (daemon.connect(), name.as_str());
            scope.spawn(move || {
                for _ in 0..400 {
                    let created = connection.call(
                        "POST",
                        "/v1/jobs",
                        &[],
                        Some(&json!({ "type": "download", "display_name": name })),
                    );
                    assert_eq!(created.status, 201);
                }
            });
        }
    });
    // Everything that it was told before its end is in order; it knows from where to go on.
    let mut last = 0;
    for event in slow {
        match event.id {
            Some(id) => {
                assert_eq!(id, last + 1);
                last = id;
            }
            None => assert_eq!((event.name.as_str(), event.data["resume_after"].as_u64()), ("cut_off", Some(last))),
        }
        if last == 6_400 {
            break;
        }
    }
    let rest: Vec<u64> = daemon
        .connect()
        .follow("/v1/events", Some(last))
        .filter_map(|event| event.id)
        .take(6_400 - last as usize)
        .collect();
    assert_eq!(rest, (last + 1..=6_400).collect::<Vec<_>>());
}
