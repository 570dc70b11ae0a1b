//! Bad words on the command line: one clear error that names the field and what is allowed, and nothing done.

use std::fs;

use crate::rig::{Backhaul, Scratch, names_in};

/// Bad usage; documented.
const USAGE: i32 = 2;

/// Nobody listens there: what gets that far fails otherwise than by usage.
const URL: &str = "http://127.0.0.1:1/f";

/// Arguments of `get`, and what the error must say.
const WRONG: [(&[&str], &[&str]); 36] = [
    (&[], &["nothing to fetch", "-i LIST"]),
    (&["ftp://h/f"], &["URL 1", "http:// or https://", "ftp:"]),
    (&[URL, "nonsense"], &["URL 2", "no URL"]),
    (&["http://127.0.0.1:1/"], &["URL 1", "no last segment", "-o FILE"]),
    (&["http://127.0.0.1:1/%2fetc%2fpasswd"], &["URL 1", "slash", "-o FILE"]),
    (&[URL, URL], &["URL 2 and URL 1", "same local name"]),
    (&[URL, "http://127.0.0.1:1/g", "-o", "x"], &["-o FILE", "single URL", "-d DIR"]),
    (&[URL, "-o", "x", "-d", "y"], &["--output", "--directory"]),
    (&[URL, "-o", "-"], &["-o -", "a file is needed"]),
    (&[URL, "-o", "missing/x"], &["-o", "does not exist", "create it first"]),
    (&[URL, "-o", "."], &["-o", "is a directory", "-d"]),
    (&[URL, "-d", "list"], &["-d", "list", "no directory"]),
    (&[URL, "-j", "0"], &["--parallel-files", "1..=64"]),
    (&[URL, "-j", "65"], &["--parallel-files", "1..=64"]),
    (&[URL, "--sha256", "abc"], &["--sha256", "64 hexadecimal digits"]),
    (&[URL, "-i", "list", "--sha256", DIGEST], &["--sha256", "single URL", "sha256=HEX"]),
    (&["-i", "missing"], &["-i", "missing", "No such file"]),
    (&["-i", "nested"], &["nested:2", "nested:1", "directory", "new-list/a"]),
    (&["-i", "digests"], &["digests:1", "SHA256=00", "sha256=HEX"]),
    (&[URL, "-H", "@missing"], &["-H", "missing", "No such file"]),
    (&["-i", "bad-list"], &["bad-list:3", "http:// or https://"]),
    (&[URL, "-H", "secret"], &["-H", "`Name: value`"]),
    (&[URL, "-H", "Range: bytes=0-"], &["-H", "range", "cannot be given"]),
    (&[URL, "-H", "X: secret\n"], &["-H", "value of x", "visible ASCII"]),
    (&[URL, "--priority", "urgent"], &["--priority", "foreground", "low"]),
    (&[URL, "--minimum-retry-delay", "-1"], &["--minimum-retry-delay", "500ms", "7d"]),
    (&[URL, "--minimum-retry-delay", "1w"], &["--minimum-retry-delay", "500ms", "7d"]),
    (&[URL, "--no-progress-timeout", "4000d"], &["--no-progress-timeout", "ten years"]),
    (&[URL, "--network", "cheap"], &["--network", "offline", "roaming"]),
    (&[URL, "--cost-flags", "0x40000000"], &["--cost-flags", "not-roaming", "0x80000021"]),
    (&[URL, "--policy", "nobody"], &["--policy", "nobody", "standard"]),
    (&[URL, "--settings", "{}"], &["--policy"]),
    (&[URL, "--policy", "standard", "--settings", "[]"], &["--settings", "JSON object"]),
    (&[URL, "--grant", "memory=16MiB"], &["--policy"]),
    (&[URL, "--policy", "standard", "--grant", "memory=65MiB"], &["--grant", "memory=16MiB", "64MiB", "see-query"]),
    (&[URL, "--colour"], &["--colour"]),
];

const DIGEST: &str = "00ff10e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b78";

/// A directory with lists in it.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("list", b"http://127.0.0.1:1/listed\n");
    scratch.write("bad-list", b"http://127.0.0.1:1/a\n\nsmb://user:secret@h/b\n");
    scratch.write("nested", b"http://127.0.0.1:1/a new-list/a\nhttp://127.0.0.1:1/b new-list/a/b\n");
    scratch.write("digests", b"http://127.0.0.1:1/a name SHA256=00\n");
    scratch
}

fn get(scratch: &Scratch) -> Backhaul {
    let state = scratch.file("state");
    Backhaul::new().args(["get", "--state-dir", &state]).current_dir(scratch.path().to_str().unwrap())
}

#[test]
fn wrong_words_are_named_and_nothing_is_done() {
    let scratch = scratch();
    for (words, expected) in WRONG {
        let finished = get(&scratch).args(words.iter().copied()).run().expect_code(USAGE);
        let error = finished.stderr.join("\n");
        for part in expected {
            assert!(error.contains(part), "{part:?} expected: {finished}");
        }
        assert_eq!(error.matches("error:").count(), 1, "one error expected: {finished}");
        assert!(!error.contains("secret"), "a secret is told: {finished}");
        assert_eq!(finished.stdout, [""; 0], "{finished}");
        assert_eq!(names_in(scratch.path()), ["bad-list", "digests", "list", "nested"], "{finished}");
    }
}

#[test]
fn with_json_an_error_is_a_line_too() {
    let scratch = scratch();
    let finished = get(&scratch).args(["--json", "ftp://h/f"]).run().expect_code(USAGE);
    let lines = finished.json();
    assert_eq!(lines.len(), 1, "{finished}");
    assert_eq!((&lines[0]["type"], &lines[0]["exit_code"]), (&"error".into(), &USAGE.into()), "{finished}");
}

#[test]
fn without_a_home_the_state_directory_must_be_said() {
    let scratch = scratch();
    let finished = Backhaul::new().args(["get", URL]).current_dir(scratch.path().to_str().unwrap()).run();
    let finished = finished.expect_code(USAGE);
    assert!(finished.output().contains("--state-dir"), "{finished}");
}

#[test]
fn what_stands_under_the_local_name_is_told_before_anything_is_begun() {
    let scratch = scratch();
    let name = scratch.write("f", b"mine");
    let finished = get(&scratch).arg(URL).run().expect_code(1);
    let error = finished.stderr.join("\n");
    assert!(error.contains("local_file_exists") && error.contains("--overwrite"), "{finished}");
    assert_eq!(fs::read(name).unwrap(), b"mine");
    assert_eq!(names_in(scratch.path()), ["bad-list", "digests", "f", "list", "nested"], "{finished}");
}

#[test]
fn help_and_exit_codes_are_told_and_a_closed_pipe_is_no_failure() {
    for words in [&["--help"][..], &["get", "--help"], &["help", "exit-codes"], &["--version"]] {
        let finished = Backhaul::new().args(words.iter().copied()).run().expect_code(0);
        assert!(!finished.stdout.is_empty() && finished.stderr.is_empty(), "{finished}");
    }
    let table = Backhaul::new().arg("exit-codes").run().expect_code(0).stdout;
    for code in ["    0  ", "    1  ", "    2  ", "   75  ", "  130  "] {
        assert!(table.iter().any(|line| line.starts_with(code)), "{code:?} in {table:?}");
    }
    Backhaul::new().run().expect_code(USAGE);
    Backhaul::new().arg("nonsense").run().expect_code(USAGE);
}

/// Commands that look into something, what they are given, their exit code, and what the error must say.
const UNUSABLE: [(&[&str], i32, &str); 9] = [
    (&["store", "check", "missing"], 73, "there is no store in missing"),
    (&["store", "check", "."], 73, "there is no store in"),
    (&["store", "check", "list"], 73, "list"),
    (&["policy", "inspect", "list"], 78, "not_a_component"),
    (&["policy", "inspect", "nobody"], 78, "nobody"),
    (&["policy", "inspect", "."], 78, "policy build"),
    (&["policy", "build", "."], 78, "Cargo.toml"),
    (&["policy", "build", "list"], 2, "-o FILE"),
    (&["policy", "build", "list", "-o", "x.wasm"], 78, "not a WebAssembly module"),
];

#[test]
fn what_cannot_be_looked_into_has_its_own_exit_code() {
    let scratch = scratch();
    for (words, code, expected) in UNUSABLE {
        let command = Backhaul::new().args(words.iter().copied()).current_dir(scratch.path().to_str().unwrap());
        let finished = command.run();
        let told = finished.stderr.iter().any(|line| line.contains(expected));
        assert!(finished.code == Some(code) && told, "{expected:?} expected: {finished}");
        assert_eq!(names_in(scratch.path()), ["bad-list", "digests", "list", "nested"], "{finished}");
    }
}

#[test]
fn a_policy_that_is_refused_leaves_nothing_behind() {
    let scratch = scratch();
    let finished = get(&scratch).args([URL, "-d", "new", "--policy", "./list"]).run().expect_code(78);
    assert!(finished.output().contains("not_a_component"), "{finished}");
    let settings = ["--policy", "mirrors", "--settings", r#"{"mirrors": []}"#];
    get(&scratch).args([URL, "-d", "new"]).args(settings).run().expect_code(78);
    assert_eq!(names_in(scratch.path()), ["bad-list", "digests", "list", "nested"], "{finished}");
}
