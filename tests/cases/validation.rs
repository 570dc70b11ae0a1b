//! What a client says of finished files, and what it may read of them: validation, the part file's path, response headers.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::fetch::DONE;
use crate::origin::{Fault, File, Gate, On, Origin};
use crate::rig::{Backhaul, Daemon, assert_published};

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);
/// How many daemons are killed around a verdict.
const KILLS: u32 = 12;
/// Looks for an answer, by which each is killed later than the one before.
const LOOKS: u32 = 800;

/// A job of so many files, `/0` and so on, resumed.
fn job(daemon: &Daemon, origin: &Origin, files: u32) -> String {
    let file = |index: u32| {
        let local_name = daemon.out(&index.to_string());
        json!({ "remote_name": origin.url(&format!("/{index}")), "local_name": local_name })
    };
    let files: Vec<_> = (0..files).map(file).collect();
    daemon.create(&json!({ "type": "download", "resume": true, "files": files }))
}

fn origin_of(files: u32) -> Origin {
    let origin = Origin::start();
    for index in 0..files {
        origin.file(&format!("/{index}"), File::seeded(u64::from(index), MIB));
    }
    origin
}

fn validate(daemon: &Daemon, job: &str, file: u32, state: &str) -> crate::rig::Answer {
    daemon.call("PATCH", &format!("{job}/files/{file}"), &[], Some(&json!({ "validation_state": state })))
}

fn file(daemon: &Daemon, job: &str, file: u32) -> Value {
    daemon.get(&format!("{job}/files/{file}")).json()
}

fn check_store(daemon: &Daemon) {
    Backhaul::new().args(["store", "check", &daemon.scratch.file("state")]).run().expect_code(DONE);
}

#[test]
fn only_one_thing_is_changed_of_a_file_and_only_a_transferred_one_is_validated() {
    let (origin, daemon) = (origin_of(1), Daemon::start());
    let gate = Gate::shut();
    origin.fault("/0", On::Every, Fault::HoldHead(gate.clone()));
    let job = job(&daemon, &origin, 1);
    gate.wait_reached(1, LIMIT);
    let path = format!("{job}/files/0");
    for body in [
        json!({}),
        json!({ "validation_state": "unset" }),
        json!({ "validation_state": null }),
        json!({ "remote_name": null }),
        json!({ "validation_state": "valid", "remote_name": origin.url("/0") }),
    ] {
        let answer = daemon.call("PATCH", &path, &[], Some(&body));
        assert_eq!(answer.problem().0, 422, "{body}: {answer:?}");
    }
    for state in ["valid", "invalid"] {
        let answer = validate(&daemon, &job, 0, state);
        assert_eq!(answer.problem(), (409, "pending".to_owned()));
        assert_eq!(answer.json()["number"], "0x8000000A");
    }
    assert_eq!(validate(&daemon, &job, 1, "valid").problem(), (404, "file_not_found".to_owned()));
    assert_eq!(daemon.get(&format!("{path}/response-headers")).problem(), (404, "no_response".to_owned()));
    gate.open();
    daemon.wait_state(&job, "transferred");
}

#[test]
fn an_invalid_file_is_fetched_again_and_completing_validates() {
    let (origin, mut daemon) = (origin_of(2), Daemon::start());
    let job = job(&daemon, &origin, 2);
    let id = job.rsplit('/').next().unwrap().to_owned();
    daemon.wait_state(&job, "transferred");
    assert_eq!(file(&daemon, &job, 0)["validation_state"], "unset");
    daemon.run(["job", "set", &id, "--file", "0", "--validation", "valid"]);
    assert_eq!(file(&daemon, &job, 0)["validation_state"], "valid");
    assert!(daemon.run(["job", "files", &id]).stdout[0].contains("\tvalid\t"));
    daemon.run(["job", "set", &id, "--file", "1", "--validation", "invalid"]);
    let view = daemon.get(&job).json();
    assert_eq!((&view["state"], &view["error"]["code"]), (&json!("error"), &json!("validation_failed")), "{view}");
    assert_eq!((&view["error"]["context"], &view["error"]["file"]), (&json!("remote_file"), &json!(1)), "{view}");
    assert_eq!(
        (&view["progress"]["files_transferred"], &view["progress"]["bytes_transferred"]),
        (&json!(1), &json!(MIB))
    );
    let bad = file(&daemon, &job, 1);
    assert_eq!(
        (&bad["validation_state"], &bad["transferred"], &bad["bytes_transferred"]),
        (&json!("invalid"), &json!(false), &json!(0))
    );
    assert!(daemon.run(["job", "files", &id]).stdout[1].contains("\tinvalid\t"));
    daemon.end(Signal::TERM);
    check_store(&daemon);
    daemon.begin();
    assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).status, 200);
    daemon.wait_state(&job, "transferred");
    assert_eq!(file(&daemon, &job, 1)["validation_state"], "unset");
    assert_eq!((origin.log_of("/0").len(), origin.log_of("/1").len()), (1, 2));
    assert_eq!(daemon.post(&format!("{job}/complete"), &json!({})).status, 200);
    for index in 0..2 {
        assert_published(daemon.out(&index.to_string()), origin.content(&format!("/{index}")));
        assert_eq!(file(&daemon, &job, index)["validation_state"], "valid");
    }
    assert_eq!(validate(&daemon, &job, 0, "valid").problem(), (409, "invalid_state".to_owned()));
    daemon.end(Signal::TERM);
    check_store(&daemon);
}

#[test]
fn an_invalid_file_stops_the_transfer_of_the_others() {
    let (origin, mut daemon) = (origin_of(2), Daemon::configured("[transfer]\ncheckpoint_bytes = 65536\n"));
    let gate = Gate::shut();
    origin.fault("/1", On::Nth(1), Fault::HoldBody(MIB / 2, gate.clone()));
    let job = job(&daemon, &origin, 2);
    gate.wait_reached(1, LIMIT);
    daemon.wait_progress(&job, MIB + MIB / 4);
    let part = file(&daemon, &job, 1)["temporary_name"].as_str().unwrap().to_owned();
    assert!(fs::metadata(&part).unwrap().len() > 0);
    assert_eq!(validate(&daemon, &job, 0, "invalid").status, 200);
    daemon.wait_state(&job, "error");
    // The worker lets go of the origin, although that has still bytes to send.
    origin.wait("the end of the second file's request", LIMIT, |log| {
        log.iter().any(|row| row.path() == "/1" && row.end.is_some())
    });
    assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).status, 200);
    daemon.wait_state(&job, "transferred");
    let again = origin.log_of("/1");
    assert!(again[1].first_byte() > 0, "what the other file had is kept: {again:#?}");
    assert_eq!(daemon.post(&format!("{job}/complete"), &json!({})).status, 200);
    for index in 0..2 {
        assert_published(daemon.out(&index.to_string()), origin.content(&format!("/{index}")));
        assert_eq!(file(&daemon, &job, index)["temporary_name"], Value::Null);
    }
    daemon.end(Signal::TERM);
    check_store(&daemon);
}

#[test]
fn a_kill_around_a_verdict_leaves_header_and_rows_in_agreement() {
    let (origin, mut daemon) = (origin_of(3), Daemon::start());
    let job = job(&daemon, &origin, 3);
    let (mut kept, mut lost) = (0, 0);
    for kill in 0..KILLS {
        daemon.wait_state(&job, "transferred");
        let mut connection = daemon.connect();
        let body = br#"{"validation_state":"invalid"}"#;
        let head = format!(
            "PATCH {job}/files/{} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            kill % 3,
            body.len()
        );
        connection.send(head.as_bytes());
        connection.send(body);
        // From before it is read to after it is answered: a look takes some microseconds.
        (0..kill * LOOKS).any(|_| connection.has_answer());
        let answered = connection.has_answer();
        daemon.end(Signal::KILL);
        check_store(&daemon);
        daemon.begin();
        let view = daemon.get(&job).json();
        let is_error = view["state"] == "error";
        assert!(is_error || !answered, "an answered verdict holds: {view}");
        let transferred = if is_error { 2 } else { 3 };
        assert_eq!(view["progress"]["files_transferred"], transferred, "{view}");
        assert_eq!(view["progress"]["bytes_transferred"], transferred * MIB, "{view}");
        if is_error {
            kept += 1;
            assert_eq!(view["error"]["code"], "validation_failed", "{view}");
            assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).status, 200);
        } else {
            lost += 1;
        }
    }
    println!("{KILLS} kills: {kept} verdicts were durable, {lost} were not");
    daemon.wait_state(&job, "transferred");
    assert_eq!(daemon.post(&format!("{job}/complete"), &json!({})).status, 200);
    for index in 0..3 {
        assert_published(daemon.out(&index.to_string()), origin.content(&format!("/{index}")));
    }
    daemon.end(Signal::TERM);
    check_store(&daemon);
}

#[test]
fn the_last_response_headers_are_shown_without_what_may_be_secret() {
    let (origin, mut daemon) = (origin_of(2), Daemon::start());
    for (name, value) in [("X-Checksum", "abc"), ("Set-Cookie", "sid=CANARY"), ("X-Auth-Token", "CANARY")] {
        origin.fault("/0", On::Every, Fault::Set(name, value.to_owned()));
    }
    origin.fixed("/1", crate::origin::Answer::error(404).with("X-Why", "gone"));
    let job = job(&daemon, &origin, 2);
    daemon.wait_state(&job, "error");
    let headers = |file: u32| daemon.get(&format!("{job}/files/{file}/response-headers")).json();
    let value = |head: &Value, name: &str| {
        let fields = head["headers"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).map(|field| field["value"].clone())
    };
    let first = headers(0);
    assert_eq!((&first["status"], &first["truncated"]), (&json!(200), &json!(false)));
    assert_eq!(value(&first, "x-checksum"), Some(json!("abc")));
    assert_eq!(value(&first, "set-cookie"), Some(Value::Null));
    assert_eq!(value(&first, "x-auth-token"), Some(Value::Null));
    let second = headers(1);
    assert_eq!((&second["status"], value(&second, "x-why")), (&json!(404), Some(json!("gone"))));
    daemon.end(Signal::TERM);
    check_store(&daemon);
    let state = daemon.scratch.path().join("state");
    for entry in fs::read_dir(state).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|six| six == b"CANARY"), "a secret is stored");
    }
}
