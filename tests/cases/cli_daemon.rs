//! The commands that speak to a daemon: what each prints on a pipe, as JSON, and on a terminal, and how it ends.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::fetch::{DONE, INTERRUPTED, JOB_FAILED, USAGE};
use crate::origin::{Fault, File, Gate, On, Origin};
use crate::rig::{Backhaul, Daemon, Running, assert_absent, assert_published, names_in};

/// Documented exit codes.
const CANCELLED: i32 = 3;
const INCOMPLETE: i32 = 3;
const NOT_FOUND: i32 = 66;
const UNAVAILABLE: i32 = 69;
const REFUSED: i32 = 77;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

/// A suspended job of one file at the origin.
fn job(daemon: &Daemon, origin: &Origin, more: &[&str]) -> String {
    let url = origin.url("/f");
    let words = ["job", "create", url.as_str(), "-d", "."].into_iter().chain(more.iter().copied());
    let finished = daemon.run(words);
    assert_eq!(finished.stdout.len(), 1, "the id alone expected: {finished}");
    finished.stdout[0].clone()
}

fn origin() -> Origin {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 3 * MIB));
    origin
}

/// The fields of a command's one line.
#[track_caller]
fn fields<'a>(daemon: &Daemon, words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let finished = daemon.run(words);
    assert_eq!(finished.stdout.len(), 1, "one line expected: {finished}");
    finished.stdout[0].split('\t').map(str::to_owned).collect()
}

#[test]
fn a_job_is_created_listed_shown_and_brought_to_its_end() {
    let (origin, daemon) = (origin(), Daemon::start());
    let id = job(&daemon, &origin, &["--label", "batch=7", "--priority", "high", "--name", "a\tname"]);
    let listed = fields(&daemon, ["job", "list"]);
    assert_eq!((&listed[0], &listed[1], &listed[2], listed.len()), (&id, &"suspended".into(), &"high".into(), 10));
    assert_eq!(listed[8], "a\u{fffd}name", "a tab in a name would be another field");
    assert_eq!(fields(&daemon, ["job", "list", "--label", "batch=7", "--state", "suspended"])[0], id);
    assert_eq!(daemon.run(["job", "list", "--label", "batch=8"]).stdout, [""; 0]);
    for state in ["transient-error", "transient_error"] {
        assert_eq!(daemon.run(["job", "list", "--state", state]).stdout, [""; 0]);
    }
    let finished = daemon.command(["job", "list", "--state", "nonsense"]).run().expect_code(USAGE);
    assert!(finished.output().contains("transient-error"), "{finished}");
    let end = &id[id.len() - 8..];
    let shown = daemon.json(["job", "show", end]);
    assert_eq!((shown["id"].as_str(), &shown["labels"]["batch"]), (Some(id.as_str()), &Value::from("7")));
    let text = daemon.run(["job", "show", &id]).stdout.join("\n");
    assert!(text.contains("priority\thigh") && text.contains("labels\tbatch=7"), "{text}");
    let file = fields(&daemon, ["job", "files", end]);
    assert_eq!((file[0].as_str(), &file[4], &file[5]), ("0", &daemon.out("f"), &origin.url("/f")));
    assert_eq!(fields(&daemon, ["job", "resume", end])[0], id);
    daemon.command(["job", "watch", end]).run().expect_code(DONE);
    assert_absent(daemon.out("f"));
    let completed = daemon.json(["job", "complete", end]);
    assert_eq!((&completed["state"], &completed["partial"]), (&Value::from("acknowledged"), &Value::from(false)));
    assert_published(daemon.out("f"), origin.content("/f"));
    assert_eq!(daemon.run(["job", "list"]).stdout, [""; 0]);
    assert_eq!(daemon.json(["job", "show", &id])["state"], "acknowledged", "the whole id finds a job at its end");
    daemon.command(["job", "show", end]).run().expect_code(NOT_FOUND);
    let finished = daemon.command(["job", "resume", &id, "--json"]).run().expect_code(REFUSED);
    assert!(finished.output().contains("invalid_state"), "{finished}");
}

#[test]
fn json_is_a_format_beside_a_directory_too() {
    let (origin, daemon) = (origin(), Daemon::start());
    let url = origin.url("/f");
    let created = daemon.run(["job", "create", &url, "-d", "new", "-o", "json"]).json();
    assert_eq!((created.len(), &created[0]["state"]), (1, &Value::from("suspended")));
    let id = created[0]["id"].as_str().unwrap();
    let more = daemon.run(["job", "add-file", id, &origin.url("/g"), "-d", "new", "-o", "json"]).json();
    assert_eq!(more[0]["progress"]["files_total"], 2);
    let finished = daemon.command(["job", "create", &url, "-d", "new", "-o", "name"]).run().expect_code(USAGE);
    assert!(finished.stderr.join("\n").contains("--directory DIR"), "{finished}");
}

#[test]
fn a_job_that_is_completed_too_early_says_what_is_lost() {
    let (origin, daemon) = (origin(), Daemon::start());
    for json in [&[][..], &["--json"]] {
        let id = job(&daemon, &origin, &[]);
        let words = ["job", "complete", &id].into_iter().chain(json.iter().copied());
        let finished = daemon.command(words).run().expect_code(INCOMPLETE);
        assert!(finished.stderr.join("\n").contains("0 of 1 file had been finished"), "{finished}");
        let finished = daemon.command(["job", "complete", &id]).run().expect_code(REFUSED);
        let told = "a job that is acknowledged cannot be completed";
        assert!(finished.stderr.join("\n").contains(told), "{finished}");
    }
    assert_eq!(names_in(daemon.out_dir()), [""; 0]);
}

#[test]
fn create_waits_for_the_end_and_takes_lists_as_get_does() {
    let (origin, daemon) = (Origin::start(), Daemon::start());
    let contents = ["/a", "/b"].map(|path| origin.file(path, File::seeded(2, MIB)));
    let list = format!("{} new/a sha256={}\n{} b\n", origin.url("/a"), contents[0].sha256(), origin.url("/b"));
    std::fs::write(daemon.out("list"), list).unwrap();
    let words = ["job", "create", "-i", "list", "-d", ".", "-j", "2", "--auto-complete", "--resume", "--wait"];
    let finished = daemon.run(words);
    assert!(finished.stderr.join("\n").contains("completed: 2 of 2 files"), "{finished}");
    assert_published(daemon.out("new/a"), contents[0]);
    assert_published(daemon.out("b"), contents[1]);
}

#[test]
fn json_of_a_watch_tells_events_progress_and_the_job() {
    let (origin, daemon) = (origin(), Daemon::start());
    origin.throttle(Some(4 * MIB));
    let url = origin.url("/f");
    let finished = daemon.run(["job", "create", &url, "-d", ".", "--resume", "--wait", "--json"]);
    let lines = finished.json();
    assert_eq!(
        (&lines[0]["type"], &lines[0]["display_name"]),
        (&"download".into(), &"f".into()),
        "the job first: {finished}"
    );
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert!(of("event") > 2 && of("progress") > 0 && of("job") == 1, "{finished}");
    assert!(lines.iter().any(|line| line["active"][0]["file"] == 0), "the file that was moved: {finished}");
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["state"]), (&"job".into(), &"transferred".into()), "{finished}");
    let kinds: Vec<_> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert!(kinds.contains(&"file_transferred") && kinds.contains(&"job_transferred"), "{kinds:?}");
}

#[test]
fn a_watch_ends_with_the_job_or_with_a_signal() {
    let (origin, daemon) = (origin(), Daemon::start());
    origin.file("/gone", File::seeded(1, MIB));
    origin.fault("/gone", On::Every, Fault::status(404));
    let gone = origin.url("/gone");
    let finished = daemon.command(["job", "create", &gone, "-d", ".", "-r", "-w"]).run().expect_code(JOB_FAILED);
    assert!(finished.stderr.join("\n").contains("http (0x80190194)"), "{finished}");
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldHead(gate.clone()));
    let id = job(&daemon, &origin, &["--resume", "--priority", "foreground"]);
    // Begun once it has told the state that it found.
    let watching = || {
        let watch = daemon.command(["job", "watch", &id, "--json"]).start();
        watch.wait_stdout("first state", LIMIT, |line| line.contains(r#""type":"state""#));
        watch
    };
    let watch = watching();
    origin.wait("request", LIMIT, |log| log.iter().any(|row| row.path() == "/f"));
    daemon.run(["job", "suspend", &id]);
    watch.wait_stdout("suspension", LIMIT, |line| line.contains(r#""to":"suspended""#));
    watch.signal(rustix::process::Signal::INT);
    watch.finish(LIMIT).expect_code(INTERRUPTED);
    let watch = watching();
    daemon.run(["job", "cancel", &id]);
    watch.finish(LIMIT).expect_code(CANCELLED);
}

#[test]
fn why_tells_the_story_with_its_failures() {
    let (origin, daemon) = (origin(), Daemon::start());
    origin.fault("/f", On::Nth(1), Fault::status(503));
    let id = job(
        &daemon,
        &origin,
        &["--resume", "--minimum-retry-delay", "0", "--wait"]
            .into_iter()
            .filter(|word| *word != "--wait")
            .collect::<Vec<_>>(),
    );
    daemon.command(["job", "watch", &id]).run().expect_code(DONE);
    let story = daemon.run(["job", "why", &id]).stdout.join("\n");
    let parts = [
        "the job was created",
        "from queued to connecting",
        "an attempt failed: http 503",
        "decided about the retry",
        "is whole: 3.0 MiB",
        "everything is here",
        "was asked about",
    ];
    let places: Vec<_> = parts[..6].iter().map(|part| story.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {story}");
    assert!(story.contains(parts[6]) && story.contains("file f") || story.contains("f is whole"), "{story}");
    let why = daemon.json(["job", "why", &id]);
    assert_eq!(why["state"], "transferred");
    assert!(why["events"].as_array().unwrap().len() > 5);
}

#[test]
fn files_are_added_and_what_is_wrong_is_named() {
    let (origin, daemon) = (origin(), Daemon::start());
    let id = daemon.run(["job", "create"]).stdout[0].clone();
    let finished = daemon.command(["job", "resume", &id]).run().expect_code(REFUSED);
    assert!(finished.stderr.join("\n").contains("empty, 0x80200003"), "{finished}");
    let url = origin.url("/f");
    assert_eq!(daemon.json(["job", "add-file", &id, &url])["progress"]["files_total"], 1);
    daemon.command(["job", "add-file", &id]).run().expect_code(USAGE);
    daemon.command(["job", "add-file", "01234567-89ab-7def-8123-456789abcdef", &url]).run().expect_code(NOT_FOUND);
    for (word, code) in [("nonsense", USAGE), ("12345", USAGE), ("abcdef0123456789", NOT_FOUND)] {
        let finished = daemon.command(["job", "show", word]).run().expect_code(code);
        assert!(finished.stderr.join("\n").contains(word), "{finished}");
    }
    // One wrong id keeps the others from nothing, and is the exit code.
    daemon.command(["job", "suspend", "abcdef0123456789", &id]).run().expect_code(NOT_FOUND);
    assert_eq!(names_in(daemon.out_dir()), [""; 0]);
}

#[test]
fn properties_labels_and_remote_names_are_set() {
    let (origin, daemon) = (origin(), Daemon::start());
    let id = job(&daemon, &origin, &["--label", "old=1", "--label", "kept=2"]);
    let properties =
        ["--priority", "low", "-n", "another", "--minimum-retry-delay", "90s", "-j", "3", "--auto-complete"];
    let changed =
        daemon.json(["job", "set", &id, "--label", "new=3", "--remove-label", "old"].into_iter().chain(properties));
    let expected = serde_json::json!({
        "priority": "low", "display_name": "another", "minimum_retry_delay": 90.0, "parallel_files": 3, "auto_complete": true,
        "labels": { "kept": "2", "new": "3" },
    });
    for (name, value) in expected.as_object().unwrap() {
        let is = &changed[name];
        assert!(is == value || is.as_f64().is_some_and(|is| Some(is) == value.as_f64()), "{name} in {changed}");
    }
    daemon.run(["job", "set", &id, "--file", "0", "--remote-name", &origin.url("/old/f")]);
    let (from, to) = (origin.url("/old/"), origin.url("/"));
    let finished = daemon.run(["job", "set", &id, "--replace-prefix", &from, &to]);
    assert!(finished.stderr.join("\n").contains("1 file changed"), "{finished}");
    assert_eq!(fields(&daemon, ["job", "files", &id])[5], origin.url("/f"));
    daemon.command(["job", "set", &id]).run().expect_code(USAGE);
    let finished = daemon.command(["job", "set", &id, "--file", "7", "--remote-name", &to]).run();
    finished.expect_code(NOT_FOUND);
    let finished = daemon.command(["job", "set", &id, "-n", &"n".repeat(257)]).run().expect_code(REFUSED);
    assert!(finished.stderr.join("\n").contains("/display_name"), "the field is named: {finished}");
}

#[test]
fn the_network_is_said_shown_and_taken_back() {
    let (origin, daemon) = (origin(), Daemon::start());
    assert_eq!(daemon.json(["network", "show"])["overridden"], false);
    let said = daemon.json(["network", "set", "near-cap,roaming"]);
    assert_eq!(
        (&said["cost"], &said["roaming"], &said["overridden"]),
        (&"near_cap".into(), &true.into(), &true.into())
    );
    let id = job(&daemon, &origin, &["--resume", "--cost-flags", "standard"]);
    let watch = daemon.command(["job", "watch", &id, "--json"]).start();
    watch.wait_stdout("wait for another network", LIMIT, |line| line.contains("network_cost"));
    let listed = fields(&daemon, ["job", "list"]);
    assert!(listed[1] == "transient_error" && listed[9].contains("network of lower cost"), "{listed:?}");
    let text = daemon.run(["network", "set", "--default"]).stdout.join("\n");
    assert!(text.contains("cost\tunrestricted") && text.contains("said by somebody\tno"), "{text}");
    watch.finish(LIMIT).expect_code(DONE);
    daemon.command(["network", "set", "cheap"]).run().expect_code(USAGE);
}

#[test]
fn events_are_read_and_followed() {
    let (origin, daemon) = (origin(), Daemon::start());
    let first = job(&daemon, &origin, &[]);
    let follow = daemon.command(["events", "--follow", "--after", "0", "--json"]).start();
    follow.wait_stdout("old event", LIMIT, |line| line.contains("job_created"));
    let second = daemon.json(["job", "create", "--label", "x=y"])["id"].as_str().unwrap().to_owned();
    follow.wait_stdout("new event", LIMIT, |line| line.contains(&second));
    follow.signal(rustix::process::Signal::TERM);
    let finished = follow.finish(LIMIT).expect_code(INTERRUPTED);
    let numbers: Vec<_> = finished.json().iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let all = daemon.run(["events"]);
    let created =
        |job: &str| all.stdout.iter().filter(|line| line.contains(job) && line.contains("job_created")).count();
    assert_eq!((created(&first), created(&second)), (1, 1), "{all}");
    assert_eq!(fields(&daemon, ["events", "--job", &second, "--kind", "job_created"])[3], "job_created");
    assert_eq!(fields(&daemon, ["events", "--label", "x=y", "--kind", "job_created"])[2], second);
    let finished = daemon.command(["events", "--kind", "nonsense"]).run().expect_code(REFUSED);
    assert_eq!(finished.output().matches("state_changed").count(), 1, "the kinds are named, once: {finished}");
}

#[test]
fn without_a_daemon_the_socket_is_named() {
    for words in [&["job", "list"][..], &["events"], &["events", "--follow"], &["network", "show"]] {
        let finished = Backhaul::new().args(words.iter().copied()).args(["--socket", "/nonexistent/s", "--json"]).run();
        let finished = finished.expect_code(UNAVAILABLE);
        assert!(finished.stderr.join("\n").contains("/nonexistent/s") && finished.output().contains("backhaul serve"));
        assert_eq!(finished.json()[0]["exit_code"], UNAVAILABLE, "{finished}");
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let finished = Backhaul::new().args(["completions", shell]).run().expect_code(DONE);
        for word in ["add-file", "transient-error"] {
            assert!(finished.output().contains(word), "{shell}: {word}: {finished}");
        }
    }
}

/// A command on a pseudo-terminal of 24 rows and 80 columns, which Python brings along. Bars are drawn without line ends: each escape begins
/// a line here, so that one drawing of all of them is one.
fn on_terminal(daemon: &Daemon, words: &[&str]) -> Running {
    let run = r"import os, pty, sys
read = lambda terminal: os.read(terminal, 65536).replace(b'\x1b', b'\n')
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))";
    let mut command = Command::new("python3");
    command.args(["-c", run, env!("CARGO_BIN_EXE_backhaul")]).args(words).args(["--socket", &daemon.socket()]);
    command.env("TERM", "xterm").env_remove("NO_COLOR").current_dir(daemon.out_dir());
    Running::start(command)
}

#[test]
fn a_terminal_gets_tables_and_bars() {
    let (origin, daemon) = (origin(), Daemon::start());
    origin.throttle(Some(2 * MIB));
    let on_terminal = |words: &[&str]| on_terminal(&daemon, words).finish(LIMIT);
    let url = origin.url("/f");
    let finished = on_terminal(&["job", "create", &url, "-d", ".", "--resume", "--wait"]).expect_code(DONE);
    let text = finished.output();
    assert!(
        text.contains("[=") && text.contains(" MiB / 3.0 MiB") && text.contains("transferred: 1 file"),
        "{finished}"
    );
    let table = on_terminal(&["job", "list"]).expect_code(DONE).output();
    assert!(table.contains("PRIORITY") && table.contains("100 %") && table.contains("3.0 MiB"), "{table}");
}

#[test]
fn a_watch_draws_a_bar_for_each_of_the_first_files_on_a_terminal_only() {
    const FILES: usize = 7;
    let (origin, daemon, gate) = (Origin::start(), Daemon::start(), Gate::shut());
    let paths: Vec<_> = (0..FILES).map(|number| format!("/f{number}")).collect();
    for path in &paths {
        origin.file(path, File::seeded(1, MIB));
        origin.fault(path, On::Nth(1), Fault::HoldBody(MIB / 2, gate.clone()));
    }
    // When it is asked for again, there is another version.
    origin.file_from("/f0", 2, File::seeded(2, MIB));
    let urls: Vec<_> = paths.iter().map(|path| origin.url(path)).collect();
    let words = ["job", "create", "-d", ".", "-j", "7", "--resume"].into_iter();
    let id = daemon.run(words.chain(urls.iter().map(String::as_str))).stdout[0].clone();
    let bars = on_terminal(&daemon, &["job", "watch", &id]);
    let (on_pipe, quiet) = (daemon.command(["job", "watch", &id]), daemon.command(["job", "watch", &id, "--quiet"]));
    let (on_pipe, quiet) = (on_pipe.start(), quiet.start());
    gate.wait_reached(FILES, LIMIT);
    let drawn =
        bars.wait_stdout("drawing", LIMIT, |line| line.contains("0 of 7 files   [====    ]  50 %  3.5 MiB / 7.0 MiB"));
    let has_bar = |path: &&String| drawn.contains(&format!("{:<14} [====    ]  50 %  512.0 KiB / 1.0 MiB", &path[1..]));
    assert_eq!((paths.iter().filter(has_bar).count(), drawn.contains("and 2 more")), (5, true), "{drawn}");
    daemon.run(["job", "suspend", &id]);
    bars.wait_stdout("suspension", LIMIT, |line| line.contains("0 of 7 files") && line.contains("suspended"));
    gate.open();
    daemon.run(["job", "resume", &id]);
    let text = bars.finish(LIMIT).expect_code(DONE).output();
    assert!(text.contains("f0: begins again from 0") && text.contains("transferred: 7 files"), "{text}");
    let text = on_pipe.finish(LIMIT).expect_code(DONE).output();
    assert!(text.contains("transferred: 7 files") && !text.contains(['\x1b', '\r']), "{text:?}");
    assert_eq!(quiet.finish(LIMIT).expect_code(DONE).output().trim(), "");
}
