//! The daemon as a process: one for each state directory, an orderly end, and a socket of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::origin::{File, Origin};
use crate::rig::{Backhaul, Daemon, Running, Scratch, assert_absent, assert_published, skip};

/// Documented exit codes.
const USAGE: i32 = 2;
const STORE_UNUSABLE: i32 = 73;
const STORE_LOCKED: i32 = 75;

/// No process of these tests needs longer, on a slow and busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// The documented time of an orderly end.
const DRAIN: Duration = Duration::from_secs(5);

/// A second daemon ends within this, the documented second. The best of a few counts: the machine has other work.
const SECOND_DAEMON: Duration = Duration::from_secs(1);

#[test]
fn a_second_daemon_names_the_first_at_once_and_leaves_it_alone() {
    let daemon = Daemon::configured("[[policies]]\nsource = \"standard\"\n");
    let seconds: Vec<_> = (0..5).map(|_| daemon.serve().run().expect_code(STORE_LOCKED)).collect();
    for second in &seconds {
        let first = format!("process {}", daemon.running().pid());
        assert!(second.stderr.iter().any(|line| line.contains(&first)), "{second}");
    }
    assert!(seconds.iter().any(|second| second.elapsed < SECOND_DAEMON), "{}", seconds[0]);
    // The directory comes before the policies, which may take seconds to compile: not even a wrong one is looked at.
    daemon.scratch.write("config.toml", b"[[policies]]\nsource = \"./gone.wasm\"\n");
    daemon.serve().run().expect_code(STORE_LOCKED);
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn a_policy_that_cannot_be_loaded_leaves_no_new_state_directory() {
    let scratch = Scratch::new();
    let config = scratch.write("config.toml", b"[[policies]]\nsource = \"./gone.wasm\"\n");
    let (state, socket) = (scratch.file("state"), scratch.file("s"));
    let words = ["serve", "--allow-root", "--state-dir", &state, "--socket", &socket, "--config", &config];
    let refused = Backhaul::new().args(words).run();
    assert!(refused.code.is_some_and(|code| code != 0), "{refused}");
    assert_absent(&state);
}

#[test]
fn root_has_to_say_that_it_means_it() {
    if !rustix::process::geteuid().is_root() {
        skip!("only root is refused");
    }
    let scratch = Scratch::new();
    let (state, socket) = (scratch.file("state"), scratch.file("s"));
    let refused = Backhaul::new().args(["serve", "--state-dir", &state, "--socket", &socket]).run().expect_code(USAGE);
    assert!(refused.stderr.iter().any(|line| line.contains("--allow-root")), "{refused}");
    assert_absent(&state);
}

#[test]
fn another_user_is_refused_even_where_the_socket_lets_it_in() {
    /// nobody
    const OTHER: u32 = 65_534;
    /// Says what the daemon answers, or that it ends the connection.
    const CLIENT: &str = "import socket, sys\n\
        client = socket.socket(socket.AF_UNIX); client.settimeout(60); client.connect(sys.argv[1])\n\
        try:\n    client.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); answer = client.recv(100)\n\
        except (BrokenPipeError, ConnectionResetError):\n    answer = b''\n\
        print(answer.split(b'\\r')[0].decode() or 'ended')";
    if !rustix::process::geteuid().is_root() {
        skip!("only root can be another user");
    }
    let daemon = Daemon::start();
    let socket = daemon.socket();
    // As an operator might, who thinks that this is enough.
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(Path::new(&socket).parent().unwrap(), 0o755);
    open(Path::new(&socket), 0o666);
    let answer_to = |uid| {
        let mut client = Command::new("python3");
        client.args(["-c", CLIENT, &socket]).current_dir("/").uid(uid).gid(uid);
        Running::start(client).finish(LIMIT).expect_code(0).stdout.join("\n")
    };
    assert_eq!(answer_to(OTHER), "ended");
    daemon.running().wait_stderr("refusal", LIMIT, |line| line.contains("connection of another user"));
    assert_eq!(answer_to(0), "HTTP/1.1 200 OK");
}

#[test]
fn connections_over_the_limit_wait_until_one_ends() {
    let daemon = Daemon::configured("[api]\nconnections_max = 2\n");
    let mut first = daemon.connect();
    let mut second = daemon.connect();
    for connection in [&mut first, &mut second] {
        assert_eq!(connection.call("GET", "/healthz", &[], None).status, 200);
    }
    let mut third = daemon.connect();
    third.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..100 {
        assert_eq!(first.call("GET", "/healthz", &[], None).status, 200);
    }
    assert!(!third.has_answer(), "it is served beside the two");
    drop(second);
    assert_eq!(third.answer().status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_answered_so() {
    let daemon = Daemon::configured("[api]\nrequest_timeout = 1\n");
    let job = daemon.create(&json!({ "type": "download" }));
    let tag = daemon.get(&format!("{job}/state")).header("etag").unwrap().to_owned();
    let mut connection = daemon.connect();
    let headers = [("If-None-Match", tag.as_str()), ("Prefer", "wait=60")];
    let answer = connection.call("GET", &format!("{job}/state"), &headers, None);
    assert_eq!(answer.problem(), (503, "timed_out".into()));
    // The connection can be used on.
    assert_eq!(connection.call("GET", &format!("{job}/state"), &[], None).status, 200);
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
    let target = daemon.out("f");
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
    let begin = Instant::now();
    let finished = daemon.end(Signal::TERM);
    let elapsed = begin.elapsed();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert!(elapsed < DRAIN, "it took {elapsed:?}: {finished}");
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
    let refused = daemon.serve().run();
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
fn a_place_that_cannot_be_is_told_with_the_option_that_names_another() {
    let scratch = Scratch::new();
    let (file, state) = (scratch.write("file", b""), scratch.file("state"));
    let (long, below_a_file) = (scratch.file(&"s".repeat(108)), format!("{file}/api.sock"));
    let socket = scratch.file("s");
    let places = [
        (&state, &long, USAGE, "107 bytes"),
        (&state, &below_a_file, STORE_UNUSABLE, "--socket PATH"),
        (&file, &socket, STORE_UNUSABLE, "--state-dir DIR"),
    ];
    for (state_dir, socket, code, advice) in places {
        let words = ["serve", "--allow-root", "--state-dir", state_dir, "--socket", socket];
        let refused = Backhaul::new().args(words).run().expect_code(code);
        assert!(refused.stderr.join("\n").contains(advice), "{advice}: {refused}");
        assert_eq!(std::fs::symlink_metadata(&state).is_err(), code == USAGE || state_dir == &file, "{refused}");
        let _gone = std::fs::remove_dir_all(&state);
    }
    let asked = Backhaul::new().args(["job", "list", "--socket", &long]).run().expect_code(USAGE);
    assert!(asked.stderr.join("\n").contains("107 bytes"), "{asked}");
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_touched() {
    let scratch = Scratch::new();
    let text =
        "[scheduler]\ntime_slic = 60\n[transfer]\nconnect_timeout = \"soon\"\n[policy]\ntime_zone = \"Europe/Berln\"\n";
    let config = scratch.write("config.toml", text.as_bytes());
    let state = scratch.file("state");
    let socket = scratch.file("s");
    let refused = Backhaul::new()
        .args(["serve", "--allow-root", "--state-dir", &state, "--socket", &socket, "--config", &config])
        .run();
    assert_eq!(refused.code, Some(USAGE), "{refused}");
    let told = refused.stderr.join("\n");
    let words = ["scheduler.time_slic", "did you mean time_slice?", "transfer.connect_timeout", "0.1 to 3600 seconds"];
    for word in words.into_iter().chain(["policy.time_zone", "did you mean \"Europe/Berlin\"?"]) {
        assert!(told.contains(word), "{told}");
    }
    assert!(std::fs::symlink_metadata(&state).is_err());
    let refused = Backhaul::new().args(["config", "show", "--config", &config, "-o", "json"]).run().expect_code(USAGE);
    assert_eq!(refused.json()[0]["exit_code"], USAGE, "{refused}");
    let shown = Backhaul::new().args(["config", "show"]).run();
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.stdout.iter().any(|line| line == "time_slice = 60"), "{shown}");
    assert!(shown.stdout.iter().any(|line| line == "time_zone = \"system\""), "{shown}");
}

#[test]
fn policies_are_told_the_time_of_the_configured_zone() {
    let zone = "[policy]\ntime_zone = \"asia/kathmandu\"\n";
    let daemon = Daemon::configured(&format!("{zone}[[policies]]\nsource = \"standard\"\n"));
    let config = daemon.scratch.file("config.toml");
    let shown = Backhaul::new().args(["config", "show", "--config", &config]).run().expect_code(0);
    assert!(shown.stdout.iter().any(|line| line == "time_zone = \"Asia/Kathmandu\""), "{shown}");
    let file = json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": daemon.out("f") });
    let job = daemon.create(&json!({ "type": "download", "files": [file], "resume": true }));
    daemon.wait_state(&job, "transient_error");
    let page = daemon.get(&format!("{job}/decisions")).json();
    let decisions = page["decisions"].as_array().unwrap();
    let of_policy = decisions.iter().find(|row| row["policy"] == "standard" && row["hook"] == "retry");
    let told = &of_policy.unwrap_or_else(|| panic!("no decision of the policy: {page}"))["input"]["call"]["local_time"];
    // A quarter of an hour beside everybody else, the whole year.
    assert_eq!((&told["zone"], &told["utc_offset_minutes"]), (&json!("Asia/Kathmandu"), &json!(345)), "{told}");
}

#[test]
fn a_listener_that_only_binds_is_no_daemon_but_is_not_replaced_either() {
    let mut daemon = Daemon::start();
    daemon.end(Signal::TERM);
    let _listener = UnixListener::bind(daemon.socket()).unwrap();
    assert_eq!(daemon.serve().run().code, Some(STORE_LOCKED));
}
