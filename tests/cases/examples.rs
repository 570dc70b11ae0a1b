//! The example applications, each run to its end against the real daemon; `embed` is killed in the middle.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::fetch::{DONE, JOB_FAILED};
use crate::origin::{Content, Fault, File, On, Origin};
use crate::rig::{Daemon, Running, Scratch, assert_absent, assert_published, names_in, skip};

const MIB: u64 = 1 << 20;

/// Two polls, two retry delays and a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(90);

/// An example in Rust, as `cargo test` builds it.
fn example(name: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_backhaul")).parent().unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is missing: run `cargo build --release --examples`", program.display());
    Command::new(program)
}

/// A script beside the examples in Rust.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clients").join(name)
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a client whose first request meets a 503, which passes.
fn fetches_over_a_transient_error(mut client: Command, expected: &str) {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    let content = origin.file("/f", File::seeded(1, 3 * MIB));
    origin.fault("/f", On::Nth(1), Fault::status(503));
    let out = daemon.out("f");
    client.args([&daemon.socket(), &origin.url("/f"), &out]);
    let finished = Running::start(client).finish(RUN_LIMIT).expect_code(DONE);
    assert_published(&out, content);
    assert_eq!(names_in(daemon.out_dir()), ["f"]);
    for part in ["503", "completed", expected] {
        assert!(finished.output().contains(part), "{part:?} expected: {finished}");
    }
    assert_eq!(origin.log_of("/f").len(), 2, "{finished}");
}

/// Runs a client whose file is not there.
fn tells_what_stays(mut client: Command) {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    origin.file("/f", File::seeded(1, MIB));
    origin.fault("/f", On::Every, Fault::status(404));
    let out = daemon.out("f");
    client.args([&daemon.socket(), &origin.url("/f"), &out]);
    let finished = Running::start(client).finish(RUN_LIMIT).expect_code(JOB_FAILED);
    assert!(finished.output().contains("404"), "{finished}");
    assert_absent(&out);
    assert_eq!(daemon.run(["job", "list"]).stdout, [""; 0], "the job was not cancelled: {finished}");
}

#[test]
fn polling_in_rust() {
    fetches_over_a_transient_error(example("poll"), "transient_error");
    tells_what_stays(example("poll"));
}

#[test]
fn polling_in_rust_that_takes_every_error_for_the_last() {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    origin.file("/f", File::seeded(1, MIB));
    origin.fault("/f", On::Every, Fault::status(503));
    let mut client = example("poll");
    client.args(["--strict", &daemon.socket(), &origin.url("/f"), &daemon.out("f")]);
    let finished = Running::start(client).finish(RUN_LIMIT).expect_code(JOB_FAILED);
    assert!(finished.output().contains("0x801901F7"), "{finished}");
    assert_eq!(names_in(daemon.out_dir()), [""; 0]);
}

#[test]
fn polling_in_python() {
    if !is_installed("python3") {
        skip!("python3 is not installed");
    }
    let client = || {
        let mut client = Command::new("python3");
        client.arg(script("poll.py"));
        client
    };
    fetches_over_a_transient_error(client(), "transient_error");
    tells_what_stays(client());
}

#[test]
fn polling_in_python_over_the_end_of_the_daemon() {
    if !is_installed("python3") {
        skip!("python3 is not installed");
    }
    let (origin, mut daemon) = (Origin::start(), Daemon::start());
    let content = origin.file("/f", File::seeded(2, 24 * MIB));
    origin.throttle(Some(8 * MIB));
    let out = daemon.out("f");
    let client = || {
        let mut client = Command::new("python3");
        client.arg(script("poll.py")).args([&daemon.socket(), &origin.url("/f"), &out]);
        client
    };
    let running = Running::start(client());
    running.wait_stdout("begin of the transfer", RUN_LIMIT, |line| line == "transferring");
    let again = client();
    daemon.end(rustix::process::Signal::KILL);
    // One that nobody answers at first tells so, and begins nothing.
    let finished = Running::start(again).finish(RUN_LIMIT).expect_code(JOB_FAILED);
    assert!(
        finished.output().contains("no answer from the daemon") && !finished.output().contains("Traceback"),
        "{finished}"
    );
    daemon.begin();
    running.finish(RUN_LIMIT).expect_code(DONE);
    assert_published(&out, content);
}

#[test]
fn events_in_rust() {
    fetches_over_a_transient_error(example("notify"), "transferring > transferred");
    tells_what_stays(example("notify"));
}

#[test]
fn events_in_javascript() {
    if !is_installed("node") {
        skip!("node is not installed");
    }
    let client = || {
        let mut client = Command::new("node");
        client.arg(script("notify.mjs"));
        client
    };
    fetches_over_a_transient_error(client(), "transferring > transferred");
    tells_what_stays(client());
    survives_the_end_of_the_daemon(client());
}

#[test]
fn events_in_rust_over_the_end_of_the_daemon() {
    survives_the_end_of_the_daemon(example("notify"));
}

/// Kills the daemon while the client waits for it, and starts it again.
fn survives_the_end_of_the_daemon(mut client: Command) {
    let (origin, mut daemon) = (Origin::start(), Daemon::start());
    let content = origin.file("/f", File::seeded(2, 24 * MIB));
    origin.throttle(Some(16 * MIB));
    let out = daemon.out("f");
    client.args([&daemon.socket(), &origin.url("/f"), &out]);
    let running = Running::start(client);
    running.wait_stdout("begin of the transfer", RUN_LIMIT, |line| line.contains("connecting > transferring"));
    daemon.end(rustix::process::Signal::KILL);
    daemon.begin();
    let finished = running.finish(RUN_LIMIT).expect_code(DONE);
    assert_published(&out, content);
    let of = |text: &str| finished.stdout.iter().filter(|line| line.contains(text)).count();
    assert_eq!((of("transferring > transferred"), of("completed")), (1, 1), "each event comes once: {finished}");
}

#[test]
fn a_receiver_of_webhooks_in_python() {
    if !is_installed("python3") {
        skip!("python3 is not installed");
    }
    let (origin, daemon) = (Origin::start(), Daemon::start());
    origin.file("/f", File::seeded(4, MIB));
    std::fs::write(daemon.out("secret"), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    let mut receiver = Command::new("python3");
    receiver.arg(script("webhook.py")).args(["--until", "acknowledged", &daemon.out("secret")]);
    let receiver = Running::start(receiver);
    let listening = receiver.wait_stdout("address", RUN_LIMIT, |line| line.starts_with("listening on "));
    let url = listening.strip_prefix("listening on ").unwrap();
    daemon.run(["webhook", "add", url, "--secret-file", "secret"]);
    // Whoever does not have the secret is not believed.
    let forged = daemon.json(["webhook", "add", url]);
    let tested = daemon.command(["webhook", "test", forged["id"].as_str().unwrap()]).run().expect_code(JOB_FAILED);
    assert!(tested.output().contains("401"), "{tested}");
    daemon.run(["webhook", "remove", forged["id"].as_str().unwrap()]);
    let words = ["job", "create", &origin.url("/f"), "-o", "f", "--resume", "--wait", "--auto-complete"];
    daemon.run(words);
    let finished = receiver.finish(RUN_LIMIT).expect_code(DONE);
    let told: Vec<_> = finished.stdout.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(told[1..], ["job_transferred", "acknowledged"], "{finished}");
}

#[test]
fn an_application_with_the_host_in_itself_survives_its_own_kill() {
    let (origin, scratch) = (Origin::start(), Scratch::new());
    let content = origin.file("/f", File::seeded(3, 64 * MIB));
    origin.throttle(Some(32 * MIB));
    let (state, out) = (scratch.file("state"), format!("{}/f", scratch.dir("out")));
    let start = || {
        let mut application = example("embed");
        application.args([&state, &origin.url("/f"), &out]);
        Running::start(application)
    };
    let running = start();
    running.wait_stdout("checkpoint", RUN_LIMIT, |line| durable(line) > 0);
    running.kill();
    assert_absent(&out);
    let finished = start().finish(RUN_LIMIT).expect_code(DONE);
    assert!(finished.stdout[0].starts_with("going on with job"), "{finished}");
    assert_published(&out, content);
    assert_eq!(names_in(scratch.path().join("out")), ["f"]);
    assert_fetched_once(&origin, content);
    let finished = start().finish(RUN_LIMIT).expect_code(DONE);
    assert!(finished.stdout[0].starts_with("completed"), "{finished}");
}

/// The durable bytes that a line of `embed` tells.
fn durable(line: &str) -> u64 {
    let number = || line.split(" received, ").nth(1)?.split(' ').next()?.parse().ok();
    number().unwrap_or(0)
}

/// What was durable was not fetched again; the rest of one checkpoint may be.
fn assert_fetched_once(origin: &Origin, content: Content) {
    let allowed = content.size_bytes + 32 * MIB;
    assert!(origin.body_sent() <= allowed, "{} bytes sent, {allowed} allowed", origin.body_sent());
}
