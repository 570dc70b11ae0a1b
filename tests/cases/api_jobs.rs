//! Jobs through the host API: the classic loop, conditions, held answers, repeated requests, lists.

use serde_json::{Value, json};

use crate::origin::{File, Origin};
use crate::rig::{Daemon, assert_absent, assert_published};

const SIZE_BYTES: u64 = 100_000;

/// A job with one file that nobody serves.
fn unreachable(name: &str) -> Value {
    let file = json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": format!("/nowhere/{name}") });
    json!({ "type": "download", "display_name": name, "files": [file] })
}

#[test]
fn the_classic_loop_creates_adds_resumes_polls_and_completes() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    let daemon = Daemon::start();
    let target = daemon.out("f");
    let job = daemon.create(&json!({ "type": "download" }));
    assert_eq!(daemon.get(&format!("{job}/state")).json(), json!({ "state": "suspended", "waiting_on": null }));
    assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).problem(), (409, "empty".into()));
    let file = json!({ "remote_name": origin.url("/f"), "local_name": target, "sha256": content.sha256() });
    let added = daemon.post(&format!("{job}/files"), &json!({ "files": [file] }));
    assert_eq!((added.status, &added.json()["progress"]["files_total"]), (200, &json!(1)));
    assert_eq!(daemon.call("POST", &format!("{job}/resume"), &[], None).status, 200);
    daemon.wait_state(&job, "transferred");
    assert_absent(&target);
    let progress = daemon.get(&format!("{job}/progress")).json();
    let whole =
        json!({ "bytes_total": SIZE_BYTES, "bytes_transferred": SIZE_BYTES, "files_total": 1, "files_transferred": 1 });
    assert_eq!(progress, whole);
    let completed = daemon.call("POST", &format!("{job}/complete"), &[], None);
    assert_eq!((completed.status, &completed.json()["partial"]), (200, &json!(false)));
    assert_published(&target, content);
    // Final jobs stay readable, and nothing can be done to them.
    assert_eq!(daemon.get(&job).json()["state"], "acknowledged");
    assert_eq!(daemon.get(&format!("{job}/files/0")).json()["integrity"], "client_digest");
    for operation in ["suspend", "resume", "cancel", "complete"] {
        let refused = daemon.call("POST", &format!("{job}/{operation}"), &[], None);
        assert_eq!(refused.problem(), (409, "invalid_state".into()), "{operation}");
        assert_eq!(refused.json()["number"], "0x80200002");
    }
    let patched = daemon.call("PATCH", &job, &[], Some(&json!({ "display_name": "late" })));
    assert_eq!(patched.problem(), (409, "invalid_state".into()));
}

#[test]
fn an_answer_is_known_again_by_its_tag_and_held_until_it_changes() {
    let daemon = Daemon::start();
    let job = daemon.create(&unreachable("a"));
    for part in ["", "/state", "/progress"] {
        let first = daemon.get(&format!("{job}{part}"));
        let tag = first.header("etag").unwrap().to_owned();
        let again = daemon.call("GET", &format!("{job}{part}"), &[("If-None-Match", &tag)], None);
        assert_eq!((again.status, again.body.len()), (304, 0), "{part}");
        let held = daemon.call("GET", &format!("{job}{part}"), &[("If-None-Match", &tag), ("Prefer", "wait=0")], None);
        assert_eq!((held.status, held.header("preference-applied")), (304, Some("wait=0")), "{part}");
    }
    let tag = daemon.get(&format!("{job}/state")).header("etag").unwrap().to_owned();
    let mut waiting = daemon.connect();
    waiting.send(
        format!("GET {job}/state HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\nPrefer: wait=60\r\n\r\n").as_bytes(),
    );
    assert_eq!(daemon.call("POST", &format!("{job}/cancel"), &[], None).status, 200);
    let answer = waiting.answer();
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("cancelled")), "{answer:?}");
}

#[test]
fn a_change_is_made_only_to_the_job_that_the_client_saw() {
    let daemon = Daemon::start();
    let job = daemon.create(&unreachable("a"));
    let tag = daemon.get(&job).header("etag").unwrap().to_owned();
    let change = json!({ "display_name": "b", "priority": "high", "labels": { "team": "x" } });
    let changed = daemon.call("PATCH", &job, &[("If-Match", &tag)], Some(&change));
    assert_eq!((changed.status, &changed.json()["priority"]), (200, &json!("high")), "{changed:?}");
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    let refused = daemon.call("PATCH", &job, &[("If-Match", &tag)], Some(&json!({ "display_name": "c" })));
    assert_eq!(refused.problem(), (412, "precondition_failed".into()));
    assert_eq!(daemon.get(&job).json()["display_name"], "b");
}

#[test]
fn a_repeated_request_finds_the_job_of_the_first() {
    let mut daemon = Daemon::start();
    let key = [("Idempotency-Key", "a-key")];
    let first = daemon.call("POST", "/v1/jobs", &key, Some(&unreachable("a")));
    let again = daemon.call("POST", "/v1/jobs", &key, Some(&unreachable("a")));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.header("location"), again.header("location"));
    daemon.end(rustix::process::Signal::KILL);
    daemon.begin();
    let after_a_crash = daemon.call("POST", "/v1/jobs", &key, Some(&unreachable("a")));
    assert_eq!(first.header("location"), after_a_crash.header("location"));
    let other = daemon.call("POST", "/v1/jobs", &key, Some(&unreachable("b")));
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    let long = "k".repeat(256);
    for wrong in ["", "a key", &long] {
        let refused = daemon.call("POST", "/v1/jobs", &[("Idempotency-Key", wrong)], Some(&unreachable("a")));
        assert_eq!((refused.problem().0, refused.fields()), (422, vec!["Idempotency-Key".to_owned()]), "{wrong:?}");
    }
    assert_eq!(daemon.get("/v1/jobs").json()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn lists_go_page_by_page_and_final_jobs_are_listed_on_demand() {
    let daemon = Daemon::start();
    let jobs: Vec<String> = (0..7).map(|number| daemon.create(&unreachable(&number.to_string()))).collect();
    daemon.call("POST", &format!("{}/cancel", jobs[2]), &[], None);
    let list = |filter: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = daemon.get(&format!("/v1/jobs?limit=2{filter}{cursor}")).json();
            found.extend(
                page["jobs"].as_array().unwrap().iter().map(|job| format!("/v1/jobs/{}", job["id"].as_str().unwrap())),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    let others: Vec<String> = jobs.iter().filter(|job| **job != jobs[2]).cloned().collect();
    assert_eq!(list(""), others);
    assert_eq!(list("&state=cancelled"), [jobs[2].clone()]);
    assert_eq!(list("&state=suspended&state=cancelled"), jobs);
    assert_eq!(list("&priority=high"), Vec::<String>::new());
}

#[test]
fn files_are_paged_renamed_one_by_one_and_by_their_prefix() {
    let daemon = Daemon::start();
    let file = |n: usize| json!({ "remote_name": format!("http://127.0.0.1:1/old/{n}"), "local_name": format!("/nowhere/{n}") });
    let files: Vec<Value> = (0..5).map(file).collect();
    let job = daemon.create(&json!({ "type": "download", "files": files }));
    let page = daemon.get(&format!("{job}/files?limit=3")).json();
    assert_eq!((page["files"].as_array().unwrap().len(), page["next_cursor"].as_str()), (3, Some("3")));
    let page = daemon.get(&format!("{job}/files?cursor=3")).json();
    assert_eq!((page["files"][0]["index"].clone(), page["next_cursor"].clone()), (json!(3), Value::Null));
    let other = json!({ "remote_name": "http://127.0.0.1:1/other?secret=1" });
    let renamed = daemon.call("PATCH", &format!("{job}/files/0"), &[], Some(&other));
    assert_eq!((renamed.status, renamed.json()["remote_name"].clone()), (200, json!("http://127.0.0.1:1/other?...")));
    let prefix = json!({ "from": "http://127.0.0.1:1/old/", "to": "http://127.0.0.1:2/new/" });
    let replaced = daemon.post(&format!("{job}/replace-remote-prefix"), &prefix);
    assert_eq!((replaced.status, replaced.json()), (200, json!({ "files_changed": 4 })));
    assert_eq!(daemon.get(&format!("{job}/files/4")).json()["remote_name"], "http://127.0.0.1:2/new/4");
    assert_eq!(daemon.get(&format!("{job}/files/5")).problem(), (404, "file_not_found".into()));
}

#[test]
fn a_job_tells_why_it_does_not_move() {
    let daemon = Daemon::start();
    let target = daemon.out("f");
    let file = json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": target });
    let job = daemon.create(&json!({ "type": "download", "files": [file] }));
    assert_eq!(daemon.get(&format!("{job}/error")).problem(), (404, "error_information_unavailable".into()));
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    daemon.wait_state(&job, "transient_error");
    let error = daemon.get(&format!("{job}/error")).json();
    assert_eq!((&error["code"], &error["number"]), (&json!("connect_failure"), &json!("0x8020002D")), "{error}");
    let why = daemon.get(&format!("{job}/why")).json();
    assert_eq!(why["waiting_on"]["code"], "retry_delay", "{why}");
    assert!(why["decisions"].as_array().unwrap().iter().any(|row| row["hook"] == "retry"), "{why}");
    let page = daemon.get(&format!("{job}/decisions?limit=1")).json();
    let next = page["next_cursor"].as_str().expect("admission and retry were decided");
    assert_ne!(daemon.get(&format!("{job}/decisions?cursor={next}")).json()["decisions"], page["decisions"]);
    // Said by the operator, and kept over a restart.
    let said = daemon.call("PUT", "/v1/network/override", &[], Some(&json!({ "connected": false })));
    assert_eq!(said.json()["overridden"], true, "{said:?}");
    assert_eq!(daemon.get(&format!("{job}/state")).json()["waiting_on"]["code"], "network");
    assert_eq!(daemon.call("DELETE", "/v1/network/override", &[], None).json()["connected"], true);
}
