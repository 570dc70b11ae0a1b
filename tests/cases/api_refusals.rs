//! What the host API refuses: clearly, and without harm to others.

use serde_json::{Value, json};

use crate::rig::{Answer, Daemon};

/// An id that no job has.
const NOBODY: &str = "/v1/jobs/01900000-0000-7000-8000-000000000000";

#[test]
fn every_refusal_is_a_problem_with_its_status() {
    let daemon = Daemon::start();
    let job = daemon.create(&json!({ "type": "download" }));
    let raw = |method: &str, target: &str, headers: &str, body: &[u8]| -> Answer {
        let mut connection = daemon.connect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        connection.send(head.as_bytes());
        connection.send(body);
        connection.answer()
    };
    let typed = "Content-Type: application/json\r\n";
    let refused = |answer: &Answer, status: u16, code: &str| assert_eq!(answer.problem(), (status, code.to_owned()));
    refused(&raw("POST", "/v1/jobs", typed, b"{\"type\":"), 400, "bad_json");
    refused(&raw("POST", "/v1/jobs", typed, b"{\"type\":\"\xff\xfe\"}"), 400, "bad_json");
    refused(&raw("POST", "/v1/jobs", typed, b""), 400, "bad_json");
    refused(&raw("POST", "/v1/jobs", "Content-Type: text/plain\r\n", b"{}"), 415, "unsupported_media_type");
    refused(&raw("POST", "/v1/jobs", "", b"{}"), 415, "unsupported_media_type");
    let mut large = daemon.connect();
    large.send(
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16777217\r\n\r\n",
    );
    refused(&large.answer(), 413, "body_too_large");
    refused(&daemon.get("/nothing"), 404, "no_such_path");
    refused(&daemon.get("/v1/jobs/not-an-id"), 404, "not_found");
    for below in ["", "/state", "/progress", "/error", "/why", "/files", "/files/0", "/decisions"] {
        refused(&daemon.get(&format!("{NOBODY}{below}")), 404, "not_found");
    }
    for operation in ["suspend", "resume", "cancel", "complete"] {
        refused(&daemon.call("POST", &format!("{NOBODY}/{operation}"), &[], None), 404, "not_found");
    }
    let wrong_method = daemon.call("DELETE", &job, &[], None);
    refused(&wrong_method, 405, "method_not_allowed");
    assert!(
        wrong_method.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("PATCH")),
        "{wrong_method:?}"
    );
    refused(&daemon.post("/v1/jobs", &json!({ "type": "download", "policies": ["nobody"] })), 409, "policy_not_found");
    refused(&daemon.post("/v1/jobs", &json!({ "type": "download", "resume": true })), 409, "empty");
    refused(&daemon.get("/v1/jobs?stat=queued"), 422, "invalid_field");
    refused(&daemon.get("/v1/events?kind=job_eror"), 422, "invalid_field");
}

#[test]
fn wrong_fields_are_named_by_json_pointers() {
    let daemon = Daemon::start();
    let long = "n".repeat(1 << 20);
    let wrong: [(Value, &[&str]); 8] = [
        (json!({}), &["/type"]),
        (json!({ "type": "upload" }), &["/type"]),
        (json!({ "type": "download", "prority": "high" }), &["/prority"]),
        (json!({ "type": "download", "parallel_files": "1" }), &["/parallel_files"]),
        (
            json!({ "type": "download", "display_name": long, "minimum_retry_delay": -1 }),
            &["/display_name", "/minimum_retry_delay"],
        ),
        (json!({ "type": "download", "labels": { "a/b": long } }), &["/labels/a~1b"]),
        (
            json!({ "type": "download", "files": [{ "remote_name": "http://h/", "local_name": "/a" }, { "remote_name": "x", "local_name": "y" }] }),
            &["/files/1/remote_name", "/files/1/local_name"],
        ),
        (
            json!({ "type": "download", "files": [{ "remote_name": "http://h/", "local_name": 1 }] }),
            &["/files/0/local_name"],
        ),
    ];
    for (body, fields) in wrong {
        let answer = daemon.post("/v1/jobs", &body);
        assert_eq!(
            (answer.problem().0, answer.fields()),
            (422, fields.iter().map(|field| (*field).to_owned()).collect())
        );
        assert!(answer.body.len() < 4_000, "what was sent is not sent back");
    }
    assert_eq!(daemon.get("/v1/jobs").json()["jobs"], json!([]));
}

#[test]
fn half_sent_requests_are_ended_and_idle_connections_hinder_nobody() {
    let daemon = Daemon::configured("[api]\nheader_read_timeout = 0.1\nbody_read_timeout = 0.1\n");
    let job = daemon.create(&json!({ "type": "download" }));
    let idle: Vec<_> = (0..1_000).map(|_| daemon.connect()).collect();
    let mut half_head = daemon.connect();
    half_head.send(b"GET /v1/jobs HTTP/1.1\r\nHo");
    let mut half_body = daemon.connect();
    half_body
        .send(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    assert_eq!(daemon.get(&format!("{job}/state")).status, 200);
    assert_eq!(half_body.answer().problem(), (408, "request_timeout".into()));
    assert!(half_head.is_ended());
    for mut connection in idle.into_iter().step_by(100) {
        assert_eq!(connection.call("GET", &format!("{job}/state"), &[], None).status, 200);
    }
}
