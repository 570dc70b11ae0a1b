//! The rig itself, on commands that every machine has.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::*;
use crate::origin::{Content, SOON};

fn shell(script: &str) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Running::start(command)
}

#[test]
fn a_process_is_caught_with_its_lines_and_code() {
    let finished = shell("echo out; echo err >&2; exit 3").finish(SOON).expect_code(3);
    assert_eq!(
        (finished.stdout.as_slice(), finished.stderr.as_slice()),
        (&["out".to_owned()][..], &["err".to_owned()][..])
    );
}

#[test]
fn a_process_is_waited_for_line_by_line_and_signalled() {
    let running = shell("trap 'echo caught; exit 130' INT; echo ready; while :; do :; done");
    running.wait_stdout("ready line", SOON, |line| line == "ready");
    running.signal(Signal::INT);
    let finished = running.finish(SOON).expect_code(130);
    assert_eq!(finished.stdout, ["ready", "caught"]);
    assert!(finished.peak_memory_kib < 64 << 10);
}

#[test]
fn a_process_that_does_not_end_fails_the_test_and_is_killed() {
    let running = shell("echo hello; exec sleep 1000");
    let pid = running.pid();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| running.finish(Duration::from_millis(50))));
    let message = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("no end within 50ms") && message.contains("sleep 1000"), "{message}");
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn a_killed_process_says_by_which_signal() {
    let finished = shell("exec sleep 1000").kill();
    assert_eq!((finished.code, finished.signal), (None, Some(Signal::KILL.as_raw())));
}

#[test]
fn the_binary_under_test_runs() {
    Backhaul::new().arg("--help").run();
}

#[test]
fn a_scratch_directory_goes_with_its_test() {
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let content = Content::new(5, 3_000_000);
    assert_published(scratch.write("f", &content.all()), content);
    assert_absent(scratch.file("g"));
    assert_eq!(names_in(&path), ["f"]);
    drop(scratch);
    assert_absent(path);
}

#[test]
fn a_tmpfs_is_as_small_as_ordered_and_goes() {
    let scratch = Scratch::new();
    let dir = scratch.dir("small");
    let tmpfs = match Tmpfs::mount(&dir, 1 << 20) {
        Ok(tmpfs) => tmpfs,
        Err(why) => skip!("{why}"),
    };
    let error = std::fs::write(tmpfs.path().join("f"), vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(tmpfs);
    assert_eq!(names_in(&dir), [""; 0]);
}

#[test]
fn nginx_serves_a_directory() {
    let scratch = Scratch::new();
    let content = Content::new(6, 100_000);
    let root = scratch.dir("root");
    scratch.write("root/f", &content.all());
    let nginx = match Nginx::start(&root, &scratch.dir("nginx")) {
        Ok(nginx) => nginx,
        Err(why) => skip!("{why}"),
    };
    assert_eq!(fetched(&nginx.url("/f")), content.all());
}

#[test]
fn python_serves_a_directory() {
    let scratch = Scratch::new();
    let content = Content::new(6, 100_000);
    let root = scratch.dir("root");
    scratch.write("root/f", &content.all());
    let python = match PythonServer::start(&root) {
        Ok(python) => python,
        Err(why) => skip!("{why}"),
    };
    assert_eq!(fetched(&python.url("/f")), content.all());
    python.wait_request("GET /f", SOON);
}

#[test]
fn a_black_hole_answers_no_connection() {
    let hole = BlackHole::start();
    let address = hole.url("").strip_prefix("http://").unwrap().parse().unwrap();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

/// A plain HTTP/1.0 fetch, so that these tests need no client.
fn fetched(url: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    write!(socket, "GET /{path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    answer.split_off(at)
}
