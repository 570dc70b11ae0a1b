//! The daemon as a process: one for each state directory, an orderly end, and a socket of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::origin::{File, Origin};
use crate::rig::{Backhaul, Daemon, Scratch, assert_published};

/// Documented exit codes.
const USAGE: i32 = 2;
const STORE_LOCKED: i32 = 75;

#[test]
fn a_second_daemon_names_the_first_and_leaves_it_alone() {
    let daemon = Daemon::start();
    let second = daemon.command().run();
    assert_eq!(second.code, Some(STORE_LOCKED), "{second}");
    assert!(second.stderr.iter().any(|line| line.contains(&format!("process {}", daemon.running().pid()))), "{second}");
    assert!(second.elapsed < Duration::from_secs(10), "{second}");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn a_daemon_of_another_directory_does_not_take_a_socket_that_is_served() {
    let daemon = Daemon::start();
    let scratch = Scratch::new();
    let state = scratch.file("state");
    let words = ["serve", "--allow-root", "--state-dir", &state, "--socket", &daemon.socket()];
    let second = Backhaul::new().args(words).run();
    assert_eq!(second.code, Some(STORE_LOCKED), "{second}");
    assert!(second.stderr.iter().any(|line| line.contains("--socket PATH")), "{second}");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn a_signal_drains_and_the_next_daemon_goes_on() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 3_000_000));
    origin.throttle(Some(1_000_000));
    let mut daemon = Daemon::start();
    let target = format!("{}/f", daemon.scratch.dir("out"));
    let file = json!({ "remote_name": origin.url("/f"), "local_name": target });
    let job = daemon.create(&json!({ "type": "download", "files": [file], "resume": true, "auto_complete": true }));
    daemon.wait_progress(&job, 500_000);
    // A held answer and a stream end with the daemon.
    let tag = daemon.get(&format!("{job}/state")).header("etag").unwrap().to_owned();
    let mut held = daemon.connect();
    held.send(
        format!("GET {job}/state HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\nPrefer: wait=60\r\n\r\n").as_bytes(),
    );
    let stream = daemon.connect().follow("/v1/events?progress=0&kind=job_error", None);
    let finished = daemon.end(Signal::TERM);
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(stream.count(), 0);
    assert!(std::fs::symlink_metadata(daemon.socket()).is_err());
    origin.throttle(None);
    daemon.begin();
    daemon.wait_state(&job, "acknowledged");
    assert_published(&target, content);
    assert!(origin.log_of("/f").iter().any(|access| access.range().is_some()), "it goes on at its checkpoint");
}

#[test]
fn the_socket_is_its_owners_and_one_that_was_left_behind_is_replaced() {
    let mut daemon = Daemon::start();
    let mode = std::fs::symlink_metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    daemon.end(Signal::KILL);
    assert!(std::fs::symlink_metadata(daemon.socket()).is_ok(), "a kill leaves the socket");
    daemon.begin();
    assert_eq!(daemon.get("/readyz").status, 200);
    daemon.end(Signal::INT);
    // What is no socket is left as it is.
    std::fs::write(daemon.socket(), "mine").unwrap();
    let refused = daemon.command().run();
    assert_eq!(refused.code, Some(USAGE), "{refused}");
    assert_eq!(std::fs::read(daemon.socket()).unwrap(), b"mine");
}

#[test]
fn the_supervisor_is_told_when_it_serves_and_when_it_stops() {
    let scratch = Scratch::new();
    let sockets = tempfile::TempDir::new().unwrap();
    let notify = sockets.path().join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (state, socket) = (scratch.file("state"), sockets.path().join("api.sock"));
    let words = ["serve", "--allow-root", "--state-dir", &state, "--socket", socket.to_str().unwrap()];
    let running = Backhaul::new().args(words).env("NOTIFY_SOCKET", notify.to_str().unwrap()).start();
    let told = |what: &str| {
        let mut text = vec![0; 4_096];
        let length = supervisor.recv(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        assert!(text.lines().any(|line| line == what), "{text}");
    };
    told("READY=1");
    running.signal(Signal::TERM);
    told("STOPPING=1");
    assert_eq!(running.finish(Duration::from_secs(60)).code, Some(0));
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_touched() {
    let scratch = Scratch::new();
    let config = scratch.write("config.toml", b"[scheduler]\ntime_slic = 60\n[transfer]\nconnect_timeout = \"soon\"\n");
    let state = scratch.file("state");
    let socket = scratch.file("s");
    let refused = Backhaul::new()
        .args(["serve", "--allow-root", "--state-dir", &state, "--socket", &socket, "--config", &config])
        .run();
    assert_eq!(refused.code, Some(USAGE), "{refused}");
    let told = refused.stderr.join("\n");
    for word in ["scheduler.time_slic", "did you mean time_slice?", "transfer.connect_timeout", "0.1 to 3600 seconds"] {
        assert!(told.contains(word), "{told}");
    }
    assert!(std::fs::symlink_metadata(&state).is_err());
    let shown = Backhaul::new().args(["config", "show"]).run();
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.stdout.iter().any(|line| line == "time_slice = 60"), "{shown}");
}

#[test]
fn a_listener_that_only_binds_is_no_daemon_but_is_not_replaced_either() {
    let mut daemon = Daemon::start();
    daemon.end(Signal::TERM);
    let _listener = UnixListener::bind(daemon.socket()).unwrap();
    assert_eq!(daemon.command().run().code, Some(STORE_LOCKED));
}
