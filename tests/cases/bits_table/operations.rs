//! What clients do.

use serde_json::{Value, json};

use super::stage::{Behaviour, SIZE_BYTES, Stage, Subject};
use super::table::Cell;
use crate::origin::{Fault, On};
use crate::rig::{Answer, assert_absent};

/// BG_S_PARTIAL_COMPLETE, which the API says as `partial`.
const PARTIAL_COMPLETE: &str = "partial_complete 0x00200017";

/// A running job that is given another level keeps its slot if that level has one.
pub(super) fn wants_room(cell: &Cell) -> bool {
    cell.row == "set_priority" && cell.state != "queued"
}

/// What becomes of the cell's operation, in the words of a cell.
pub(super) fn observe(stage: &Stage, cell: &Cell) -> String {
    let state = cell.state.as_str();
    if state == "nothing" {
        let subject = stage.create(Behaviour::Good, json!({}));
        return stage.finds(&subject, state);
    }
    let subject = subject(stage, &cell.row, state);
    let before = Seen::of(stage, &subject, &cell.row);
    let answer = perform(stage, &subject, &cell.row, state);
    let found = if answer.status >= 400 {
        let (_, code) = answer.problem();
        let number = answer.json()["number"].as_str().unwrap_or("without a number").to_owned();
        let after = Seen::of(stage, &subject, &cell.row);
        assert_eq!(before, after, "{}: it was refused, and changed the job", cell.name());
        format!("refused {code} {number}")
    } else if cell.row.starts_with("get_error") {
        let (error, now) = (answer.json(), stage.call(&subject, "GET", "/state", None).json());
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{} {} {}", word(&now["state"]), word(&error["code"]), word(&error["number"]))
    } else {
        let found = stage.finds(&subject, state);
        let is_partial = cell.row.starts_with("complete") && answer.json()["partial"] == true;
        if is_partial { format!("{found} {PARTIAL_COMPLETE}") } else { found }
    };
    // Jobs that are held would fill the slots of the others.
    stage.call(&subject, "POST", "/cancel", None);
    found
}

/// The job that the row wants, in the state of the column.
fn subject(stage: &Stage, row: &str, state: &str) -> Subject {
    match (row, state) {
        ("resume_without_files" | "set_high_performance_without_files", _) => {
            let job = stage.daemon.create(&json!({ "type": "download" }));
            let (path, gate) = stage.put(Behaviour::Good);
            let subject = Subject { job, path, gate, mark: stage.last_event() };
            match state {
                "suspended" => {}
                "acknowledged" => stage.done(&subject, "complete"),
                _ => stage.done(&subject, "cancel"),
            }
            subject
        }
        ("resume_with_nothing_left", _) => {
            let subject = stage.bring("transferred", json!({}));
            stage.done(&subject, "suspend");
            Subject { mark: stage.last_event(), ..subject }
        }
        ("resume_with_new_files", _) => {
            let subject = stage.bring(state, json!({}));
            let (path, _gate) = stage.put(Behaviour::Good);
            let added = json!({ "files": [stage.new_file(&path)] });
            assert_eq!(stage.call(&subject, "POST", "/files", Some(added)).status, 200);
            subject
        }
        ("complete_with_one_of_two_files", _) => {
            let (first, _gate) = stage.put(Behaviour::Good);
            let status = if state == "transient_error" { 503 } else { 404 };
            let (second, gate) = stage.put(Behaviour::Status(status));
            let files = json!([stage.new_file(&first), stage.new_file(&second)]);
            let job = json!({ "type": "download", "priority": "foreground", "files": files });
            let subject = Subject { job: stage.daemon.create(&job), path: first, gate, mark: 0 };
            if state == "suspended" {
                let stopped = stage.settle("error", subject);
                stage.done(&stopped, "suspend");
                return Subject { mark: stage.last_event(), ..stopped };
            }
            stage.settle(state, subject)
        }
        ("complete_with_the_local_name_taken", _) => {
            let subject = stage.bring(state, json!({}));
            std::fs::write(stage.daemon.out_dir().join(subject.path.replace('/', "")), "another's").unwrap();
            subject
        }
        ("get_error_after_a_failure", _) => after_a_failure(stage, state),
        _ => stage.bring(state, json!({})),
    }
}

/// A job that failed with 503 once, and was resumed.
fn after_a_failure(stage: &Stage, state: &str) -> Subject {
    let behaviour = match state {
        "connecting" => Behaviour::Silent,
        "transferring" => Behaviour::Stalls,
        _ => Behaviour::Good,
    };
    let subject = stage.create(behaviour, json!({}));
    stage.origin.fault(&subject.path, On::Nth(1), Fault::status(503));
    stage.done(&subject, "resume");
    stage.daemon.wait_state(&subject.job, "transient_error");
    match state {
        "suspended" => stage.done(&subject, "suspend"),
        "queued" => stage.patched(&subject, json!({ "priority": "normal" })),
        _ => {}
    }
    if state == "suspended" {
        return Subject { mark: stage.last_event(), ..subject };
    }
    stage.done(&subject, "resume");
    stage.daemon.wait_state(&subject.job, state);
    Subject { mark: stage.last_event(), ..subject }
}

fn perform(stage: &Stage, subject: &Subject, row: &str, state: &str) -> Answer {
    let post = |below: &str, body| stage.call(subject, "POST", below, body);
    let patch = |changes| stage.call(subject, "PATCH", "", Some(changes));
    let url = stage.origin.url(&subject.path);
    match row {
        "suspend" | "cancel" | "complete" => post(&format!("/{row}"), None),
        "complete_with_one_of_two_files" => {
            let answer = post("/complete", None);
            let out = stage.daemon.out_dir();
            assert!(out.join(subject.path.replace('/', "")).exists(), "the finished file is published");
            assert_absent(out.join((subject.path.replace('/', "").parse::<u32>().unwrap() + 1).to_string()));
            answer
        }
        "complete_with_the_local_name_taken" => post("/complete", None),
        _ if row.starts_with("resume") => post("/resume", None),
        "add_file" | "add_file_with_ranges" => {
            let (path, _gate) = stage.put(Behaviour::Good);
            let mut file = stage.new_file(&path);
            if row == "add_file_with_ranges" {
                file["ranges"] = json!([{ "offset": 10, "length": 10 }, { "offset": 0, "length": 5 }]);
            }
            post("/files", Some(json!({ "files": [file] })))
        }
        "set_remote_name" => {
            stage.call(subject, "PATCH", "/files/0", Some(json!({ "remote_name": format!("{url}?other") })))
        }
        "replace_remote_prefix" => {
            let to = format!("http://localhost:{}/", stage.origin.address().port());
            let answer = post("/replace-remote-prefix", Some(json!({ "from": stage.origin.url("/"), "to": to })));
            assert!(answer.status >= 400 || answer.json() == json!({ "files_changed": 1 }), "{answer:?}");
            answer
        }
        "replace_remote_prefix_without_a_match" => {
            let answer = post("/replace-remote-prefix", Some(json!({ "from": "http://nobody/", "to": "http://a/" })));
            assert!(answer.status >= 400 || answer.json() == json!({ "files_changed": 0 }), "{answer:?}");
            answer
        }
        "set_priority" => patch(json!({ "priority": if state == "queued" { "low" } else { "high" } })),
        "set_display_name" => patch(json!({ "display_name": "another" })),
        "set_description" => patch(json!({ "description": "another" })),
        "set_notify_flags" => patch(json!({ "notify_flags": ["file_transferred"] })),
        "set_minimum_retry_delay" => patch(json!({ "minimum_retry_delay": 700 })),
        "set_no_progress_timeout" => patch(json!({ "no_progress_timeout": 1_000 })),
        "set_maximum_download_time" => patch(json!({ "maximum_download_time": 10_000 })),
        "set_cost_flags" => patch(json!({ "cost_flags": "standard" })),
        "set_minimum_notification_interval" => patch(json!({ "minimum_notification_interval": 1 })),
        "set_dynamic_content" => patch(json!({ "dynamic_content": true })),
        "set_maximum_download_size" => patch(json!({ "maximum_download_size": SIZE_BYTES * 2 })),
        "set_high_performance" | "set_high_performance_without_files" => patch(json!({ "high_performance": true })),
        "get_error" | "get_error_after_a_failure" => stage.call(subject, "GET", "/error", None),
        _ => panic!("nobody knows how to do {row}"),
    }
}

/// All that a client can see of a job, but what moves while it runs.
#[derive(Debug, PartialEq)]
struct Seen {
    job: Value,
    files: Value,
    left: Option<String>,
}

impl Seen {
    fn of(stage: &Stage, subject: &Subject, row: &str) -> Self {
        let mut job = stage.call(subject, "GET", "", None).json();
        let mut files = stage.call(subject, "GET", "/files", None).json();
        let state = job["state"].as_str().unwrap().to_owned();
        if row == "complete_with_the_local_name_taken" {
            // It was tried, which the journal says as well.
            job["modified_at"] = Value::Null;
        }
        if ["connecting", "transferring"].contains(&state.as_str()) {
            for moving in ["progress", "modified_at", "last_progress_at"] {
                job[moving] = Value::Null;
            }
            let names: Vec<Value> =
                files["files"].as_array().unwrap().iter().map(|file| file["remote_name"].clone()).collect();
            files = Value::Array(names);
        }
        let left = stage.left(subject, &state);
        Self { job, files, left }
    }
}
