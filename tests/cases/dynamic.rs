//! Properties of BITS that change how bytes move: dynamic content, high performance, the maximum download size.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::fetch::DONE;
use crate::origin::{At, End, Fault, File, Framing, Gate, On, Origin};
use crate::rig::{Backhaul, Daemon, assert_published};

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);
/// So that a second of moving bytes would have many checkpoints.
const CHECKPOINTS: &str =
    "[scheduler]\nretry_floor = 0.001\n[transfer]\ncheckpoint_bytes = 65536\ncheckpoint_interval = 0.1\n";

fn create(daemon: &Daemon, urls: &[String], more: &Value) -> String {
    let file =
        |(index, url): (usize, &String)| json!({ "remote_name": url, "local_name": daemon.out(&index.to_string()) });
    let files: Vec<_> = urls.iter().enumerate().map(file).collect();
    let mut job = json!({ "type": "download", "resume": true, "minimum_retry_delay": 0, "files": files });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    daemon.create(&job)
}

fn check_store(daemon: &Daemon) {
    Backhaul::new().args(["store", "check", &daemon.scratch.file("state")]).run().expect_code(DONE);
}

#[test]
fn dynamic_content_is_never_asked_for_in_parts() {
    let (origin, mut daemon) = (Origin::start(), Daemon::configured(CHECKPOINTS));
    let chunked = File { framing: Framing::Chunked { chunk_bytes: 100_000 }, ..File::seeded(1, MIB) };
    let content = origin.file("/f", chunked);
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(MIB / 2), End::Fin));
    // The second is held until the daemon is killed.
    let gate = Gate::shut();
    origin.fault("/f", On::Nth(2), Fault::HoldBody(MIB / 2, gate.clone()));
    let more = json!({ "dynamic_content": true, "priority": "foreground" });
    let job = create(&daemon, &[origin.url("/f")], &more);
    gate.wait_reached(1, LIMIT);
    daemon.wait_progress(&job, MIB / 4);
    daemon.end(Signal::KILL);
    check_store(&daemon);
    gate.open();
    daemon.begin();
    daemon.wait_state(&job, "transferred");
    assert!(origin.log().iter().all(|row| row.range().is_none()), "{:#?}", origin.log());
    assert_eq!(daemon.get(&format!("{job}/files/0")).json()["restarts"], 0);
    assert_eq!(daemon.post(&format!("{job}/complete"), &json!({})).status, 200);
    assert_published(daemon.out("0"), content);
}

#[test]
fn a_high_performance_job_begins_again_after_a_kill_and_goes_on_after_a_stop() {
    let (origin, mut daemon) = (Origin::start(), Daemon::configured(CHECKPOINTS));
    let content = origin.file("/f", File::seeded(1, MIB));
    let gates = [Gate::shut(), Gate::shut()];
    origin.fault("/f", On::Nth(1), Fault::HoldBody(MIB / 2, gates[0].clone()));
    origin.fault("/f", On::Nth(2), Fault::HoldBody(MIB / 2, gates[1].clone()));
    let job = create(&daemon, &[origin.url("/f")], &json!({ "high_performance": true }));
    gates[0].wait_reached(1, LIMIT);
    daemon.wait_progress(&job, MIB / 4);
    let file = daemon.get(&format!("{job}/files/0")).json();
    // The part file is there, and nothing is said of what is in it.
    assert_eq!(file["bytes_transferred"], 0);
    assert!(fs::metadata(file["temporary_name"].as_str().unwrap()).unwrap().len() > 0);
    daemon.end(Signal::KILL);
    check_store(&daemon);
    daemon.begin();
    gates[1].wait_reached(1, LIMIT);
    daemon.wait_progress(&job, MIB / 4);
    assert_eq!(daemon.post(&format!("{job}/suspend"), &json!({})).status, 200);
    origin.wait("the end of the request", LIMIT, |log| log.get(1).is_some_and(|row| row.end.is_some()));
    assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).status, 200);
    daemon.wait_state(&job, "transferred");
    let log = origin.log();
    assert_eq!(log[1].first_byte(), 0, "nothing was durable before the kill");
    assert!(log[2].first_byte() > 0, "what was there when it was stopped is kept");
    assert_eq!(daemon.post(&format!("{job}/complete"), &json!({})).status, 200);
    assert_published(daemon.out("0"), content);
    for gate in gates {
        gate.open();
    }
}

#[test]
fn the_maximum_download_size_is_of_the_whole_job_and_exact() {
    let (origin, daemon) = (Origin::start(), Daemon::configured(CHECKPOINTS));
    origin.file("/sized", File::seeded(1, MIB));
    origin.file("/chunked", File { framing: Framing::Chunked { chunk_bytes: 100_000 }, ..File::seeded(2, MIB) });
    let urls = [origin.url("/sized"), origin.url("/chunked")];
    let job = create(&daemon, &urls, &json!({ "maximum_download_size": 2 * MIB }));
    daemon.wait_state(&job, "transferred");
    for urls in [urls.clone(), [urls[1].clone(), urls[0].clone()]] {
        let before = origin.body_sent();
        let job = create(&daemon, &urls, &json!({ "maximum_download_size": 2 * MIB - 1 }));
        daemon.wait_state(&job, "error");
        let view = daemon.get(&job).json();
        assert_eq!(
            (&view["error"]["code"], &view["error"]["number"], &view["error"]["file"]),
            (&json!("max_download_size_limit_reached"), &json!("0x80200064"), &json!(1)),
            "{view}"
        );
        assert!(view["progress"]["bytes_transferred"].as_u64().unwrap() < 2 * MIB, "{view}");
        println!("{} bytes were sent", origin.body_sent() - before);
    }
}
