//! What happens by itself: time, network, origins, other jobs. Each cell has a daemon of its own.

use serde_json::json;

use super::stage::{Behaviour, SIZE_BYTES, Stage, Subject};
use super::table::Cell;
use crate::origin::{Fault, On};

/// Seconds that a client waits for what must not happen.
const NOTHING_WITHIN: &str = "wait=1";

/// Where the job of the cell is found afterwards, in the words of a cell.
pub(super) fn observe(cell: &Cell) -> String {
    let state = cell.state.as_str();
    let (stage, subject) = match cell.row.as_str() {
        "network_lost" | "network_found" | "network_found_by_a_job_that_lost_it" => return network(&cell.row, state),
        "retry_delay_over_without_a_network" => return without_a_network(state),
        "cost_gate_shut" | "cost_gate_opened" => return cost_gate(&cell.row, state),
        "slot_granted" | "time_slice_over" | "preempted" => among_others(&cell.row, state),
        row => alone(row, state),
    };
    let left = stage.leaves(&subject, state);
    stage.with_error(&subject, left)
}

/// A job to which something happens that no other one has part in.
fn alone(row: &str, state: &str) -> (Stage, Subject) {
    let stage = Stage::roomy();
    let begin = |behaviour, properties| {
        let subject = stage.create(behaviour, properties);
        stage.done(&subject, "resume");
        subject
    };
    // What breaks before an answer, and what breaks after it.
    let fails = |properties| {
        let behaviour = if state == "connecting" { Behaviour::Status(503) } else { Behaviour::Breaks };
        let subject = begin(behaviour, properties);
        subject.gate.open();
        subject
    };
    let subject = match row {
        "connected" | "last_file_done" => {
            let subject = stage.bring(state, json!({}));
            subject.gate.open();
            subject
        }
        "connect_failure" => {
            // Nobody listens there.
            let file = json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": stage.daemon.out("f") });
            begin(Behaviour::Good, json!({ "files": [file] }))
        }
        "retry_delay_over" => begin(Behaviour::Status(503), json!({ "minimum_retry_delay": 0.2 })),
        // The origin's own wait outlasts the timeout.
        "no_progress_timeout" => {
            begin(Behaviour::Busy, json!({ "minimum_retry_delay": 0.1, "no_progress_timeout": 0.3 }))
        }
        "minimum_retry_delay_exceeds_no_progress_timeout" => {
            fails(json!({ "minimum_retry_delay": 101, "no_progress_timeout": 100 }))
        }
        "recoverable_error" => fails(json!({})),
        "recoverable_error_with_no_progress_timeout_0" => fails(json!({ "no_progress_timeout": 0 })),
        "fatal_error" if state == "connecting" => begin(Behaviour::Status(404), json!({})),
        "fatal_error" => {
            let (path, _gate) = stage.put(Behaviour::Good);
            let mut file = stage.new_file(&path);
            file["sha256"] = json!("0".repeat(64));
            begin(Behaviour::Good, json!({ "files": [file] }))
        }
        "maximum_download_time_over" => {
            let behaviour = if state == "connecting" { Behaviour::Silent } else { Behaviour::Stalls };
            begin(behaviour, json!({ "maximum_download_time": 0.5 }))
        }
        _ => panic!("nobody knows how to let {row} happen"),
    };
    (stage, subject)
}

/// A job that shares the one background slot with another.
fn among_others(row: &str, state: &str) -> (Stage, Subject) {
    let stage = Stage::with("time_slice = 0.1\n");
    let at = |level: &str| json!({ "priority": level });
    let subject = match row {
        "slot_granted" => {
            let blocker = stage.create(Behaviour::Stalls, at("high"));
            let blocker = stage.settle("transferring", blocker);
            let subject = stage.settle(state, stage.create(Behaviour::Good, at("normal")));
            stage.done(&blocker, "suspend");
            subject
        }
        // It moves all the time, so that there are points from which it can resume.
        "time_slice_over" | "preempted" => {
            let subject = stage.create(Behaviour::Good, at("normal"));
            stage.origin.fault(&subject.path, On::Every, Fault::Pace(SIZE_BYTES / 10));
            stage.done(&subject, "resume");
            stage.daemon.wait_progress(&subject.job, 1);
            let level = if row == "preempted" { "high" } else { "normal" };
            let other = stage.create(Behaviour::Stalls, at(level));
            stage.done(&other, "resume");
            subject
        }
        _ => panic!("nobody knows how to let {row} happen"),
    };
    (stage, subject)
}

/// All that it changes is there when the operator who said it is answered.
fn network(row: &str, state: &str) -> String {
    let (lost, found) = (json!({ "connected": false }), json!({ "connected": true }));
    let stage = Stage::occupied();
    if row == "network_lost" {
        let subject = stage.bring(state, json!({}));
        stage.network(&lost);
        return stage.finds(&subject, state);
    }
    let before = if row == "network_found" { state } else { "transferring" };
    let subject = stage.bring(before, json!({}));
    stage.network(&lost);
    let subject = Subject { mark: stage.last_event(), ..subject };
    stage.network(&found);
    stage.finds(&subject, state)
}

fn without_a_network(state: &str) -> String {
    let stage = Stage::roomy();
    let subject = stage.bring("transferring", json!({ "minimum_retry_delay": 0.1 }));
    stage.network(&json!({ "connected": false }));
    let subject = Subject { mark: stage.last_event(), ..subject };
    let tag = stage.call(&subject, "GET", "/state", None).header("etag").unwrap().to_owned();
    let headers = [("If-None-Match", tag.as_str()), ("Prefer", NOTHING_WITHIN)];
    let held = stage.daemon.call("GET", &format!("{}/state", subject.job), &headers, None);
    assert_eq!(held.status, 304, "it went on: {held:?}");
    stage.finds(&subject, state)
}

fn cost_gate(row: &str, state: &str) -> String {
    let (cheap, dear) = (json!({ "cost": "unrestricted" }), json!({ "cost": "usage_based" }));
    let careful = |level: &str| json!({ "priority": level, "cost_flags": "unrestricted" });
    if row == "cost_gate_opened" {
        let stage = Stage::roomy();
        let subject = stage.bring("transferring", careful("foreground"));
        stage.network(&dear);
        let subject = Subject { mark: stage.last_event(), ..subject };
        stage.network(&cheap);
        // Once its worker has stopped.
        return stage.leaves(&subject, state);
    }
    if state != "queued" {
        let stage = Stage::roomy();
        let subject = stage.bring(state, careful("foreground"));
        stage.network(&dear);
        return stage.finds(&subject, state);
    }
    let stage = Stage::with("");
    let blocker = stage.bring("transferring", json!({ "priority": "normal" }));
    let subject = stage.bring(state, careful("normal"));
    stage.network(&dear);
    // Its turn comes.
    stage.done(&blocker, "cancel");
    stage.daemon.wait_state(&subject.job, "transient_error");
    stage.finds(&subject, state)
}
