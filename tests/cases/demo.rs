//! `backhaul demo`: what it tells is consistent, what it does is right, and what stops it is survived.

use std::path::Path;
use std::time::Duration;

use backhaul::store::{StoreError, check};
use rustix::process::Signal;
use serde_json::Value;

use crate::origin::Content;
use crate::rig::{Backhaul, Finished, Scratch, assert_absent, guest, names_in, sha256_of};

const MIB: u64 = 1 << 20;
const SIZE_BYTES: u64 = 64 * MIB;
/// The size, two checkpoints, and what is on its way.
const BYTES_SENT_MAX: u64 = SIZE_BYTES + 2 * 16 * MIB + 16 * MIB;
/// As the README states it.
const SHA256_OF_SEED_1: &str = "fad3a28c49030ede8d0614b2b6d7b670cc38bcdb5ba779d3ce1a56f278abc8f3";
const ETAG_OF_SEED_1: &str = "\"demo-1-4000000\"";
/// Documented exit codes.
const DONE: i32 = 0;
const JOB_FAILED: i32 = 1;
const USAGE: i32 = 2;
const STORE_LOCKED: i32 = 75;
const INTERRUPTED: i32 = 130;
/// A policy cannot be loaded.
const POLICY_UNUSABLE: i32 = 78;

/// The lines of `--json`.
struct Told(Vec<Value>);

impl Told {
    #[track_caller]
    fn by(finished: &Finished) -> Self {
        let told = Self(finished.json());
        assert_eq!(told.0.first().map(|line| &line["type"]), Some(&Value::from("job")), "{finished}");
        assert_eq!(told.0.last().map(|line| &line["type"]), Some(&Value::from("summary")), "{finished}");
        assert_eq!(told.summary()["exit_code"], finished.code.unwrap(), "{finished}");
        told
    }

    fn job(&self) -> &Value {
        &self.0[0]
    }

    fn summary(&self) -> &Value {
        self.0.last().unwrap()
    }

    fn lines<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |line| line["type"] == kind)
    }

    fn events<'a>(&'a self, kind: &'a str) -> Vec<&'a Value> {
        self.lines("event").filter(|line| line["kind"] == kind).collect()
    }

    fn requests(&self) -> Vec<&Value> {
        self.lines("request").collect()
    }

    /// The policies whose verdicts were applied, in order.
    fn decided_by(&self, hook: &str) -> Vec<String> {
        let mut decisions = self.events("decision_applied");
        decisions.retain(|decision| decision["hook"] == hook);
        Self::texts(&decisions, "policy")
    }

    /// `field` of each, as texts without quotes.
    fn texts(lines: &[&Value], field: &str) -> Vec<String> {
        let text = |line: &&Value| line[field].as_str().map_or_else(|| line[field].to_string(), str::to_owned);
        lines.iter().map(text).collect()
    }

    /// What must hold of every run, however it ends: the log adds up, the events follow each other, and nothing was sent in vain.
    #[track_caller]
    fn assert_consistent(&self) {
        let sent: u64 = self.requests().iter().map(|request| request["bytes_sent"].as_u64().unwrap()).sum();
        assert_eq!(self.summary()["bytes_sent"], sent);
        assert_eq!(self.summary()["bytes_sent_max"], BYTES_SENT_MAX);
        assert!(sent <= BYTES_SENT_MAX, "{sent} bytes sent");
        let numbers: Vec<u64> = self.lines("event").map(|event| event["number"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        let changes = self.events("state_changed");
        for pair in changes.windows(2) {
            assert_eq!(pair[0]["to"], pair[1]["from"], "{pair:?}");
        }
        if let Some(last) = changes.last() {
            assert_eq!(last["to"], self.summary()["state"]);
        }
    }

    #[track_caller]
    fn assert_right(&self) {
        self.assert_consistent();
        let summary = self.summary();
        assert_eq!(summary["state"], "acknowledged");
        assert_eq!(summary["sha256"], summary["sha256_expected"]);
        assert!(summary["sha256"].is_string(), "{summary}");
    }
}

/// A number that is arbitrary, but the same in every run.
fn draw(index: u64, below: u64) -> u64 {
    const SEED: u64 = 31;
    let bytes = Content::new(SEED, u64::MAX).bytes(index * 8..index * 8 + 8);
    u64::from_le_bytes(bytes.try_into().unwrap()) % below
}

fn demo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Backhaul {
    Backhaul::new().arg("demo").args(arguments)
}

/// `demo --json --seed N --keep DIR` in a directory of the test.
fn kept(scratch: &Scratch, seed: u64) -> Backhaul {
    demo(["--json", "--seed", &seed.to_string(), "--keep", &scratch.file("kept")])
}

fn kept_file(scratch: &Scratch, seed: u64) -> String {
    scratch.file(&format!("kept/demo-{seed}.bin"))
}

#[test]
fn the_story_goes_as_it_should_and_the_file_is_right() {
    let finished = demo(["--json"]).run().expect_code(DONE);
    let told = Told::by(&finished);
    told.assert_right();
    assert_eq!(told.summary()["sha256"], SHA256_OF_SEED_1);
    assert!(finished.elapsed < Duration::from_secs(30), "{:?}", finished.elapsed);

    let requests = told.requests();
    assert_eq!(Told::texts(&requests, "status"), ["200", "206", "503", "404", "206"], "{finished}");
    assert_eq!(Told::texts(&requests, "end"), ["cut", "cut", "complete", "complete", "complete"]);
    let (origin, mirror) = (&told.job()["origin"], &told.job()["mirror"]);
    assert!(requests[..4].iter().all(|request| request["address"] == *origin), "{finished}");
    assert_eq!(requests[4]["address"], *mirror);
    assert!(requests[0]["range"].is_null() && requests[0]["if_range"].is_null(), "{finished}");
    assert!(requests[1..].iter().all(|request| request["if_range"] == ETAG_OF_SEED_1), "{finished}");
    let starts: Vec<u64> = requests[1..].iter().map(|request| range_start(request)).collect();
    assert!(starts[0] <= requests[0]["bytes_sent"].as_u64().unwrap(), "{starts:?}");
    assert!(starts[0] < starts[1] && starts[1] == starts[2] && starts[2] == starts[3], "{starts:?}");
    let waited = requests[3]["at"].as_u64().unwrap() - requests[2]["at"].as_u64().unwrap();
    assert!(waited >= 1000, "{waited} ms after a Retry-After of 1 s");

    let states = Told::texts(&told.events("state_changed"), "to");
    assert!(!states.contains(&"error".to_owned()), "a repaired job is never seen in ERROR: {states:?}");
    assert_eq!(states.iter().filter(|state| *state == "transient_error").count(), 4, "{states:?}");
    assert_eq!(states[states.len() - 2..], ["transferred", "acknowledged"]);
    assert_eq!(told.events("attempt_failed").len(), 4, "{finished}");
    assert_eq!(told.summary()["attempts"].as_array().unwrap().len(), 5, "{finished}");
    let new: u64 = sum(&told.summary()["attempts"], "new_bytes");
    assert_eq!(new, SIZE_BYTES, "each byte is progress once: {finished}");

    assert_eq!(told.decided_by("retry"), ["standard", "standard", "standard", "built-in"], "{finished}");
    assert_eq!(told.decided_by("recovery"), ["mirrors"], "{finished}");
    assert_eq!(Told::texts(&told.events("recovered"), "policy"), ["mirrors"]);
    assert_eq!(told.events("file_restarted").len(), 0, "{finished}");
    assert_absent(told.job()["state_dir"].as_str().unwrap());
    assert_absent(told.job()["file"].as_str().unwrap());
}

fn range_start(request: &Value) -> u64 {
    let range = request["range"].as_str().unwrap();
    range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
}

fn sum(array: &Value, field: &str) -> u64 {
    array.as_array().unwrap().iter().map(|element| element[field].as_u64().unwrap()).sum()
}

#[test]
fn what_is_kept_is_the_seeds_file_and_needs_no_second_fetch() {
    let scratch = Scratch::new();
    let first = Told::by(&kept(&scratch, 7).run().expect_code(DONE));
    first.assert_right();
    let file = kept_file(&scratch, 7);
    assert_eq!(first.summary()["file"], file);
    assert_eq!(first.summary()["sha256"], sha256_of(&file));
    assert_ne!(first.summary()["sha256"], SHA256_OF_SEED_1);
    assert_eq!(names_in(scratch.file("kept")), ["demo-7.bin", "demo-7.bin.state"]);

    let again = Told::by(&kept(&scratch, 7).run().expect_code(DONE));
    again.assert_right();
    assert_eq!(again.requests().len(), 0);
    assert_eq!(again.summary()["sha256"], first.summary()["sha256"]);

    std::fs::remove_file(&file).unwrap();
    let anew = Told::by(&kept(&scratch, 7).run().expect_code(DONE));
    anew.assert_right();
    assert_eq!(anew.summary()["sha256"], sha256_of(&file));
}

#[test]
fn without_mirrors_the_job_ends_in_error_until_somebody_repairs() {
    let scratch = Scratch::new();
    let finished = kept(&scratch, 1).args(["--without", "mirrors"]).run().expect_code(JOB_FAILED);
    let told = Told::by(&finished);
    told.assert_consistent();
    let summary = told.summary();
    assert_eq!(summary["state"], "error");
    assert_eq!((&summary["error"]["http_status"], &summary["error"]["context"]), (&404.into(), &"remote_file".into()));
    assert!(summary["file"].is_null() && summary["sha256"].is_null(), "{summary}");
    assert_eq!(told.events("job_error").len(), 1);
    assert_eq!(told.lines("error").count(), 1);
    assert_absent(kept_file(&scratch, 1));

    let finished = kept(&scratch, 1).run().expect_code(DONE);
    let told = Told::by(&finished);
    told.assert_right();
    assert_eq!(told.job()["resumed"], true);
    let before = told.summary()["bytes_durable_before"].as_u64().unwrap();
    assert!(before > SIZE_BYTES / 2, "the bytes are kept although the ports changed: {finished}");
    assert_eq!(range_start(told.requests()[0]), before);
    assert_eq!(told.summary()["sha256"], SHA256_OF_SEED_1);
}

#[test]
fn without_standard_the_built_in_default_retries() {
    let finished = demo(["--json", "--without", "standard"]).run().expect_code(DONE);
    let told = Told::by(&finished);
    told.assert_right();
    assert_eq!(told.decided_by("retry"), ["built-in"; 4], "{finished}");
    assert_eq!(told.decided_by("recovery"), ["mirrors"], "{finished}");
}

#[test]
fn a_policy_that_traps_is_named_and_the_fallback_decides() {
    let scratch = Scratch::new();
    let component = scratch.write("breaks.wasm", &guest::trapping("breaks"));
    let finished = demo(["--json", "--policy", &component]).run().expect_code(JOB_FAILED);
    let told = Told::by(&finished);
    told.assert_consistent();
    assert_eq!(told.summary()["error"]["http_status"], 404, "{finished}");
    let faults = told.events("policy_fault");
    assert!(!faults.is_empty(), "{finished}");
    assert!(faults.iter().all(|fault| fault["policy"] == "breaks" && fault["fault"] == "trap"), "{finished}");
    assert_eq!(told.decided_by("retry"), ["built-in"; 4], "{finished}");
    assert_eq!(told.decided_by("recovery"), ["built-in"], "{finished}");

    let finished = demo(["--policy", &component]).run().expect_code(JOB_FAILED);
    assert!(finished.output().contains("breaks: trap; the fallback decides"), "{finished}");
}

#[test]
fn people_are_told_in_lines_that_fit_a_terminal() {
    let finished = demo(["--seed", "3"]).run().expect_code(DONE);
    let output = finished.output();
    assert!(!output.contains('\x1b'), "{finished}");
    let too_long = |line: &&str| line.chars().count() > 80 && !line.contains('/');
    assert_eq!(output.lines().find(too_long), None);
    for wanted in [
        "state     QUEUED > CONNECTING",
        "decision  standard (retry)",
        "decision  mirrors (recovery)",
        "http 503",
        "http 404",
        "progress  32.",
        "Requests to the origin",
        "the right one for seed 3",
    ] {
        assert!(output.contains(wanted), "{wanted:?} is missing: {finished}");
    }
}

#[test]
fn an_interrupted_demo_goes_on() {
    let scratch = Scratch::new();
    let running = kept(&scratch, 5).start();
    running.wait_stdout("bytes", Duration::from_secs(20), |line| {
        line.contains("\"type\":\"event\"") && line.contains("\"attempt_failed\"")
    });
    running.signal(Signal::INT);
    let finished = running.finish(Duration::from_secs(20)).expect_code(INTERRUPTED);
    assert!(finished.output().contains("--keep"), "it says how to go on: {finished}");
    let told = Told::by(&kept(&scratch, 5).run().expect_code(DONE));
    told.assert_right();
    assert!(told.summary()["bytes_durable_before"].as_u64().unwrap() > 0);
}

#[test]
fn a_demo_that_is_killed_at_any_moment_goes_on() {
    const KILLS: u64 = 8;
    /// Of a run that takes about ten.
    const MOMENT_MS_MAX: u64 = 7_000;
    let scratch = Scratch::new();
    let mut seed = 100;
    for kill in 0..KILLS {
        let moment = Duration::from_millis(draw(kill, MOMENT_MS_MAX));
        let running = kept(&scratch, seed).start();
        // It says nothing there: the wait ends with the moment, or with the process.
        assert_eq!(running.try_wait_stderr(moment, |_| true), None);
        let finished = running.kill();
        if finished.signal.is_some() {
            match check(Path::new(&scratch.file(&format!("kept/demo-{seed}.bin.state")))) {
                Ok(report) => assert!(report.is_clean(), "{report:?}"),
                // Killed before it was there.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            continue;
        }
        // It was faster than the kill, with what earlier runs had left.
        Told::by(&finished.expect_code(DONE)).assert_right();
        seed += 1;
    }
    let told = Told::by(&kept(&scratch, seed).run().expect_code(DONE));
    told.assert_right();
    assert_eq!(told.summary()["sha256"], sha256_of(kept_file(&scratch, seed)));
}

#[test]
fn two_demos_in_one_directory_do_not_disturb_each_other() {
    let scratch = Scratch::new();
    let first = kept(&scratch, 1).start();
    first.wait_stdout("begin", Duration::from_secs(20), |line| line.contains("\"type\":\"job\""));
    let second = kept(&scratch, 1).run().expect_code(STORE_LOCKED);
    assert!(second.output().contains(&first.pid().to_string()), "it names the other: {second}");
    Told::by(&first.finish(Duration::from_secs(60)).expect_code(DONE)).assert_right();
}

#[test]
fn without_a_network_it_waits_and_says_so() {
    let running = demo(["--network", "offline"]).start();
    let line = running.wait_stderr("reason to wait", Duration::from_secs(20), |line| line.contains("  waits  "));
    assert!(line.contains("network"), "{line}");
    running.signal(Signal::INT);
    running.finish(Duration::from_secs(20)).expect_code(INTERRUPTED);
}

#[test]
fn what_it_cannot_use_is_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let file = scratch.write("no-component", b"this is text");
    let keep = scratch.file("kept");
    for (arguments, code) in [
        (["--seed", "-1"], USAGE),
        (["--without", "nobody"], USAGE),
        (["--network", "free"], USAGE),
        (["--policy", "/nowhere"], USAGE),
        (["--policy", &file], POLICY_UNUSABLE),
    ] {
        let finished = demo(arguments).args(["--keep", &keep]).run().expect_code(code);
        assert!(finished.output().contains(arguments[0]) || code == POLICY_UNUSABLE, "{finished}");
    }
    demo(["--keep", &format!("{file}/below")]).run().expect_code(USAGE);
}
