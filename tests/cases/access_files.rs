//! Files stay below the roots of their owners, whatever is put in their way, and are their owners' own.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::{Condvar, Mutex};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use crate::origin::{File, Origin};
use crate::rig::callers::{User, can_be_others, daemon_of_several, open_up};
use crate::rig::{Daemon, names_in, skip};

const ANNA: User = User(41_001);

/// A directory that everybody comes through, with `root`, which is Anna's, and `outside`, which everybody may write.
struct Place {
    scratch: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        open_up(scratch.path());
        for name in ["root", "outside"] {
            fs::create_dir(scratch.path().join(name)).unwrap();
        }
        Self { scratch }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    fn daemon(&self) -> Daemon {
        daemon_of_several("", &format!("[[subjects]]\nname = \"uid:41001\"\nroots = [{:?}]\n", self.path("root")))
    }
}

fn job(origin: &Origin, local_name: &str) -> Value {
    let file = json!({ "remote_name": origin.url("/f"), "local_name": local_name });
    json!({ "type": "download", "files": [file], "resume": true, "auto_complete": true })
}

#[test]
fn a_name_that_is_not_below_a_root_is_refused_when_the_job_is_made() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let (origin, place) = (Origin::start(), Place::new());
    let daemon = place.daemon();
    for name in ["outside/f", "rootf", "f"] {
        let refused = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&job(&origin, &place.path(name))));
        assert_eq!(refused.problem(), (422, "access_denied".into()), "{name}");
        assert_eq!(refused.json()["number"], "0x80070005");
        assert_eq!(refused.json()["errors"][0]["field"], "/files/0/local_name");
    }
    let dots = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&job(&origin, &place.path("root/../outside/f"))));
    assert_eq!(dots.problem(), (422, "invalid_field".into()));
    let made = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&json!({ "type": "download" }))).created();
    let file = json!({ "remote_name": origin.url("/f"), "local_name": "/etc/backhaul" });
    let refused = ANNA.call(&daemon, "POST", &format!("{made}/files"), Some(&json!({ "files": [file] })));
    assert_eq!(refused.problem(), (422, "access_denied".into()));
    // Who has no roots has no files.
    let refused = User(41_002).call(&daemon, "POST", "/v1/jobs", Some(&job(&origin, &place.path("root/f"))));
    assert_eq!(refused.problem(), (422, "access_denied".into()));
    assert!(refused.body.contains("nowhere"), "{refused:?}");
}

#[test]
fn files_belong_to_the_owner_of_their_job() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let (origin, place) = (Origin::start(), Place::new());
    // One that is kept in memory until it is whole, and one that is not.
    origin.file("/f", File::seeded(1, 1_000));
    origin.file("/large", File::seeded(2, 300_000));
    let daemon = place.daemon();
    for (path, name) in [("/f", "small"), ("/large", "large")] {
        let local_name = place.path(&format!("root/{name}"));
        let file = json!({ "remote_name": origin.url(path), "local_name": local_name });
        let body = json!({ "type": "download", "files": [file], "resume": true });
        let job = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&body)).created();
        daemon.wait_state(&job, "transferred");
        let parts = names_in(place.path("root"));
        let part = parts.iter().find(|name| name.ends_with(".part")).expect("the part file is there");
        let owner = |path: &str| fs::metadata(path).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        // Nobody in /etc/passwd: a group of the same number.
        assert_eq!(owner(&place.path(&format!("root/{part}"))), (41_001, 41_001));
        assert_eq!(ANNA.call(&daemon, "POST", &format!("{job}/complete"), None).status, 200);
        assert_eq!(owner(&local_name), (41_001, 41_001));
    }
}

#[test]
fn links_that_lead_out_are_not_followed_and_those_that_stay_are() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let (origin, place) = (Origin::start(), Place::new());
    origin.file("/f", File::seeded(1, 1_000));
    let daemon = place.daemon();
    fs::create_dir(place.path("root/inside")).unwrap();
    symlink("inside", place.path("root/stays")).unwrap();
    symlink("../outside", place.path("root/relative")).unwrap();
    symlink(place.path("outside"), place.path("root/absolute")).unwrap();
    symlink("/proc/self/root", place.path("root/magic")).unwrap();
    let run = |name: &str| ANNA.call(&daemon, "POST", "/v1/jobs", Some(&job(&origin, &place.path(name)))).created();
    for way in ["relative", "absolute", "magic/tmp"] {
        let job = run(&format!("root/{way}/f"));
        daemon.wait_state(&job, "error");
        let error = daemon.get(&format!("{job}/error")).json();
        assert_eq!((&error["code"], &error["number"]), (&json!("access_denied"), &json!("0x80070005")), "{way}");
    }
    daemon.wait_state(&run("root/stays/f"), "acknowledged");
    assert_eq!(names_in(place.path("root/inside")), ["f"]);
    assert_eq!(names_in(place.path("outside")), [""; 0]);
}

#[test]
fn a_directory_that_was_moved_out_is_followed_neither_at_publication_nor_at_deletion() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let (origin, place) = (Origin::start(), Place::new());
    origin.file("/f", File::seeded(1, 100_000));
    let daemon = place.daemon();
    fs::create_dir(place.path("root/way")).unwrap();
    let file = json!({ "remote_name": origin.url("/f"), "local_name": place.path("root/way/f") });
    let body = json!({ "type": "download", "files": [file], "resume": true });
    let job = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&body)).created();
    daemon.wait_state(&job, "transferred");
    // The very part file that the store knows, on a way that leads out.
    fs::rename(place.path("root/way"), place.path("outside/way")).unwrap();
    symlink(place.path("outside/way"), place.path("root/way")).unwrap();
    let parts = names_in(place.path("outside/way"));
    assert_eq!(parts.len(), 1);
    let refused = ANNA.call(&daemon, "POST", &format!("{job}/complete"), None);
    assert_eq!(refused.problem(), (409, "access_denied".into()));
    assert_eq!(names_in(place.path("outside/way")), parts, "it has no name there");
    assert_eq!(ANNA.call(&daemon, "POST", &format!("{job}/cancel"), None).status, 200);
    assert_eq!(names_in(place.path("outside/way")), parts, "nor is it deleted there");
    let events = daemon.get("/v1/events").json()["events"].as_array().unwrap().clone();
    assert!(events.iter().any(|event| event["kind"] == "cancelled" && event["files_left"] == 1), "{events:?}");
}

/// Rounds of each race. Each makes a job of some files.
const ROUNDS: usize = 25;

/// Exchanges a directory with a link, again and again, while it is let.
#[derive(Default)]
struct Racer {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wanted {
    #[default]
    Pause,
    Race,
    End,
}

impl Racer {
    fn want(&self, wanted: Wanted) {
        *self.wanted.lock().unwrap() = wanted;
        self.changed.notify_all();
    }

    /// Returns how often it has exchanged them. Whenever it pauses, the directory is where it belongs.
    fn run(&self, directory: &str, link: &str) -> u64 {
        let exchange =
            || renameat_with(CWD, Path::new(directory), CWD, Path::new(link), RenameFlags::EXCHANGE).unwrap();
        let mut exchanges = 0;
        loop {
            let wanted =
                self.changed.wait_while(self.wanted.lock().unwrap(), |wanted| *wanted == Wanted::Pause).unwrap();
            if *wanted == Wanted::End {
                return exchanges;
            }
            drop(wanted);
            exchange();
            exchange();
            exchanges += 2;
        }
    }
}

#[test]
fn no_exchange_of_directories_leads_out_at_download_publication_or_deletion() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let (origin, place) = (Origin::start(), Place::new());
    origin.file("/f", File::seeded(1, 100_000));
    let daemon = place.daemon();
    fs::create_dir(place.path("root/way")).unwrap();
    symlink(place.path("outside"), place.path("root/link")).unwrap();
    // What is deleted there is not its part file.
    fs::write(place.path("outside/kept"), "").unwrap();
    let racer = Racer::default();
    let mut published = 0;
    let exchanges = std::thread::scope(|scope| {
        let exchanges = scope.spawn(|| racer.run(&place.path("root/way"), &place.path("root/link")));
        for round in 0..2 * ROUNDS {
            // Every other one is raced only once it has everything: then the names are given, or the parts deleted, in the race.
            racer.want(if round % 2 == 0 { Wanted::Race } else { Wanted::Pause });
            let files: Vec<_> = (0..4)
                .map(|file| {
                    let local_name = place.path(&format!("root/way/{round}-{file}"));
                    json!({ "remote_name": origin.url("/f"), "local_name": local_name })
                })
                .collect();
            let body = json!({ "type": "download", "files": files, "resume": true });
            let job = ANNA.call(&daemon, "POST", "/v1/jobs", Some(&body)).created();
            let state = wait_for_one_of(&daemon, &job, &["transferred", "error"]);
            racer.want(Wanted::Race);
            if state == "transferred" && round % 4 == 1 {
                published += usize::from(ANNA.call(&daemon, "POST", &format!("{job}/complete"), None).status == 200);
            }
            ANNA.call(&daemon, "POST", &format!("{job}/cancel"), None);
        }
        racer.want(Wanted::End);
        exchanges.join().unwrap()
    });
    assert!(exchanges > 1_000, "{exchanges} exchanges are no race");
    assert!(published > 0, "some got their names");
    assert_eq!(names_in(place.path("outside")), ["kept"], "after {exchanges} exchanges");
}

fn wait_for_one_of(daemon: &Daemon, job: &str, states: &[&str]) -> String {
    let mut tag = String::from("\"none\"");
    loop {
        let fields = [("If-None-Match", tag.as_str()), ("Prefer", "wait=30")];
        let answer = daemon.call("GET", &format!("{job}/state"), &fields, None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let state = answer.json()["state"].as_str().unwrap().to_owned();
        if states.contains(&state.as_str()) {
            return state;
        }
        tag = answer.header("etag").unwrap().to_owned();
    }
}

#[test]
fn several_users_are_served_by_root_because_the_configuration_says_so() {
    let daemon = Daemon::start();
    let config = daemon.scratch.write("multi.toml", b"[access]\nmode = \"multi\"\n");
    let serve = |config: &str| {
        let state = daemon.scratch.file("other");
        crate::rig::Backhaul::new().args([
            "serve",
            "--state-dir",
            &state,
            "--socket",
            &format!("{}.b", daemon.socket()),
            "--config",
            config,
        ])
    };
    let refused = serve(&config).run().expect_code(2);
    assert!(refused.output().contains("access.socket_group"), "{refused}");
    let config = daemon.scratch.write("multi.toml", b"[access]\nmode = \"multi\"\nsocket_group = \"no-such-group\"\n");
    let refused = serve(&config).run().expect_code(2);
    assert!(refused.output().contains("/etc/group has no \"no-such-group\""), "{refused}");
    let config = daemon.scratch.write("multi.toml", b"[access]\nmode = \"multi\"\nsocket_group = \"0\"\n");
    let running = serve(&config).start();
    running.wait_stderr("serving", std::time::Duration::from_secs(60), |line| line.contains(" serving "));
    let mode = fs::metadata(format!("{}.b", daemon.socket())).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o660);
    running.signal(rustix::process::Signal::TERM);
    running.finish(std::time::Duration::from_secs(60)).expect_code(0);
}
