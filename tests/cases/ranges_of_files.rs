//! Files that are made of ranges of a remote one: what a client asks for, what the wire sees, and what is left after a kill.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::fetch::DONE;
use crate::origin::{Content, Fault, File, Gate, On, Origin};
use crate::rig::{Backhaul, Daemon, Nginx, PythonServer, Scratch, names_in, skip};

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);
/// Checkpoints after every 64 KiB.
const CHECKPOINTS: &str = "[scheduler]\nretry_floor = 0.001\n[transfer]\ncheckpoint_bytes = 65536\n";

/// In an order of their own; the second one goes to the end.
const RANGES: [(u64, Option<u64>); 4] = [(MIB, Some(1000)), (3 * MIB, None), (0, Some(MIB)), (2 * MIB, Some(300_000))];

fn ranges(ranges: &[(u64, Option<u64>)]) -> Value {
    ranges.iter().map(|(offset, length)| json!({ "offset": offset, "length": length })).collect()
}

fn concatenated(content: Content, ranges: &[(u64, Option<u64>)]) -> Vec<u8> {
    let part = |(offset, length): &(u64, Option<u64>)| {
        content.bytes(*offset..length.map_or(content.size_bytes, |length| offset + length))
    };
    ranges.iter().flat_map(part).collect()
}

/// A job of one file, resumed.
fn job(daemon: &Daemon, url: &str, wanted: Value) -> String {
    let file = json!({ "remote_name": url, "local_name": daemon.out("f"), "ranges": wanted });
    let job = json!({ "type": "download", "resume": true, "minimum_retry_delay": 0, "files": [file] });
    daemon.create(&job)
}

fn check_store(daemon: &Daemon) {
    Backhaul::new().args(["store", "check", &daemon.scratch.file("state")]).run().expect_code(DONE);
}

fn complete(daemon: &Daemon, job: &str) -> Vec<u8> {
    let answer = daemon.post(&format!("{job}/complete"), &json!({}));
    assert_eq!((answer.status, &answer.json()["partial"]), (200, &json!(false)), "{answer:?}");
    fs::read(daemon.out("f")).unwrap()
}

#[test]
fn ranges_come_from_our_origin_over_kept_connections_and_are_counted_as_the_local_file() {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    let content = origin.file("/f", File::seeded(1, 4 * MIB));
    let wanted = concatenated(content, &RANGES);
    let job = job(&daemon, &origin.url("/f"), ranges(&RANGES));
    daemon.wait_state(&job, "transferred");
    let view = daemon.get(&job).json();
    let size = wanted.len() as u64;
    assert_eq!(
        (&view["progress"]["bytes_total"], &view["progress"]["bytes_transferred"]),
        (&json!(size), &json!(size))
    );
    let file = daemon.get(&format!("{job}/files/0")).json();
    assert_eq!((&file["bytes_total"], &file["bytes_transferred"]), (&json!(size), &json!(size)), "{file}");
    assert!(complete(&daemon, &job) == wanted);
    // As old as the origin's file.
    assert_eq!(fs::metadata(daemon.out("f")).unwrap().mtime(), 1_546_300_800);
    let log = origin.log_of("/f");
    let asked: Vec<_> = log.iter().map(|row| row.range().unwrap()).collect();
    assert_eq!(asked, ["bytes=1048576-1049575", "bytes=3145728-", "bytes=0-1048575", "bytes=2097152-2397151"]);
    // A connection is idle again a moment after its answer: now and then the next request is there before it.
    let connections: BTreeSet<_> = log.iter().map(|row| row.connection).collect();
    assert!(connections.len() < asked.len(), "each range has a connection of its own: {log:#?}");
}

#[test]
fn ranges_come_from_nginx() {
    let scratch = Scratch::new();
    let content = Content::new(3, 4 * MIB);
    let root = scratch.dir("root");
    scratch.write("root/f", &content.all());
    let nginx = match Nginx::start(&root, &scratch.dir("nginx")) {
        Ok(nginx) => nginx,
        Err(why) => skip!("{why}"),
    };
    let daemon = Daemon::start();
    let whole = job(&daemon, &nginx.url("/f"), ranges(&RANGES));
    daemon.wait_state(&whole, "transferred");
    assert!(complete(&daemon, &whole) == concatenated(content, &RANGES));
    fs::remove_file(daemon.out("f")).unwrap();
    let beyond = job(&daemon, &nginx.url("/f"), ranges(&[(0, Some(10)), (4 * MIB, Some(1))]));
    daemon.wait_state(&beyond, "error");
    let error = daemon.get(&format!("{beyond}/error")).json();
    assert_eq!((&error["code"], &error["number"]), (&json!("invalid_range"), &json!("0x8020002B")), "{error}");
}

#[test]
fn a_server_without_ranges_fails_the_job_at_once() {
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    scratch.write("root/f", &Content::new(3, MIB).all());
    let server = match PythonServer::start(&root) {
        Ok(server) => server,
        Err(why) => skip!("{why}"),
    };
    let daemon = Daemon::start();
    let job = job(&daemon, &server.url("/f"), ranges(&RANGES[..1]));
    daemon.wait_state(&job, "error");
    let error = daemon.get(&format!("{job}/error")).json();
    assert_eq!((&error["code"], &error["file"]), (&json!("insufficient_range_support"), &json!(0)), "{error}");
    assert!(names_in(daemon.out_dir()).is_empty(), "the whole is not fetched");
}

#[test]
fn a_killed_daemon_goes_on_in_the_middle_of_a_range() {
    let (origin, mut daemon) = (Origin::start(), Daemon::configured(CHECKPOINTS));
    let content = origin.file("/f", File::seeded(1, 4 * MIB));
    let wanted = concatenated(content, &RANGES);
    // The first range and a half of the second, then silence.
    let gate = Gate::shut();
    origin.fault("/f", On::Nth(2), Fault::HoldBody(MIB / 2, gate.clone()));
    let job = job(&daemon, &origin.url("/f"), ranges(&RANGES));
    gate.wait_reached(1, LIMIT);
    // Not only there: a kill leaves what is durable.
    daemon.wait_durable(&job, 1000 + 1);
    let part = daemon.get(&format!("{job}/files/0")).json()["temporary_name"].as_str().unwrap().to_owned();
    assert!(fs::metadata(&part).unwrap().len() > 0);
    daemon.end(Signal::KILL);
    check_store(&daemon);
    daemon.begin();
    gate.open();
    daemon.wait_state(&job, "transferred");
    assert!(complete(&daemon, &job) == wanted);
    daemon.end(Signal::TERM);
    check_store(&daemon);
    let log = origin.log_of("/f");
    let first_bytes: Vec<_> = log.iter().map(|row| row.first_byte()).collect();
    assert_eq!(first_bytes.len(), 5, "{log:#?}");
    assert!((3 * MIB + 1..=3 * MIB + MIB / 2).contains(&first_bytes[2]), "{first_bytes:?}");
    assert_eq!(first_bytes[3..], [0, 2 * MIB], "no range is fetched again");
    assert!(log[2].if_range().is_some());
}

#[test]
fn a_file_that_changes_between_two_ranges_is_wholly_the_new_one() {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    origin.file("/f", File::seeded(1, 4 * MIB));
    let content = origin.file_from("/f", 3, File::seeded(2, 4 * MIB));
    let job = job(&daemon, &origin.url("/f"), ranges(&RANGES));
    daemon.wait_state(&job, "transferred");
    assert_eq!(daemon.get(&format!("{job}/files/0")).json()["restarts"], 1);
    assert!(complete(&daemon, &job) == concatenated(content, &RANGES));
}

#[test]
fn the_digest_of_a_file_of_ranges_is_that_of_the_local_file() {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    // Without a validator, the digest alone says that the ranges belong together.
    let content = origin.file("/f", File::seeded(1, 4 * MIB).without_validators());
    let wanted = concatenated(content, &RANGES[2..]);
    let sha256 = crate::origin::hex(&<sha2::Sha256 as sha2::Digest>::digest(&wanted));
    let file = |sha256: &str| json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f"), "sha256": sha256, "ranges": ranges(&RANGES[2..]) });
    let new = |sha256| json!({ "type": "download", "resume": true, "files": [file(sha256)] });
    let good = daemon.create(&new(&sha256));
    daemon.wait_state(&good, "transferred");
    assert_eq!(daemon.get(&format!("{good}/files/0")).json()["integrity"], "client_digest");
    let wrong = daemon.create(&new(&content.sha256()));
    daemon.wait_state(&wrong, "error");
    assert_eq!(daemon.get(&format!("{wrong}/error")).json()["code"], "digest_mismatch");
    let none = job(&daemon, &origin.url("/f"), ranges(&RANGES[2..]));
    daemon.wait_state(&none, "error");
    assert_eq!(daemon.get(&format!("{none}/error")).json()["code"], "insufficient_range_support");
}
