//! Complete and cancel of one small job, with the daemon killed at each system call that changes something, and with renames that fail.
//!
//! What lies between two such calls leaves the disk as it is: being killed there is being killed at the second one. The calls are those
//! that a first run is seen to make. The number of a call is counted per thread, and each kind is the work of one thread, so that
//! every one of them is met.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::fetch::RESUMABLE_BYTES;
use crate::origin::{Content, Fault, File, Gate, On, Origin, SOON};
use crate::rig::{Backhaul, Daemon, Strace, assert_published, names_in, skip};

/// System calls that change files or make a change durable: of SQLite, of part files, of directories.
const CHANGING: [&str; 16] = [
    "pwrite64",
    "pwritev",
    "write",
    "writev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "syncfs",
    "sync_file_range",
    "rename",
    "renameat",
    "renameat2",
    "linkat",
    "unlink",
    "unlinkat",
];

/// `write` is also how threads wake each other: more of them than of any other kind, and none of them touches the disk.
const WAKING: &str = "write";

/// The largest part that a small file is kept in memory for, and one that has a part file of its own; the third is never whole.
const SIZES_BYTES: [u64; 3] = [4_000, RESUMABLE_BYTES, RESUMABLE_BYTES];

/// What is done to the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Complete,
    Cancel,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cancel => "cancel",
        }
    }

    const fn final_state(self) -> &'static str {
        match self {
            Self::Complete => "acknowledged",
            Self::Cancel => "cancelled",
        }
    }
}

/// A daemon, an origin, and one job after the other.
struct Place {
    daemon: Daemon,
    origin: Origin,
    jobs: u64,
    published: BTreeSet<String>,
}

/// Two files of it are whole, and the third is on its way.
struct SmallJob {
    path: String,
    names: [String; 3],
    contents: [Content; 3],
}

impl Place {
    fn new() -> Self {
        let (daemon, origin) = (Daemon::start(), Origin::start());
        Self { daemon, origin, jobs: 0, published: BTreeSet::new() }
    }

    fn job(&mut self) -> SmallJob {
        self.jobs += 1;
        let gate = Gate::shut();
        let names = [0, 1, 2].map(|file| format!("{}-{file}", self.jobs));
        let contents = [0_usize, 1, 2].map(|file| {
            let path = format!("/{}", names[file]);
            self.origin.file(&path, File::seeded(self.jobs * 3 + file as u64, SIZES_BYTES[file]))
        });
        self.origin.fault(&format!("/{}", names[2]), On::Every, Fault::HoldBody(RESUMABLE_BYTES / 2, gate.clone()));
        let files: Vec<Value> = names
            .iter()
            .map(|name| json!({ "remote_name": self.origin.url(&format!("/{name}")), "local_name": self.daemon.out(name) }))
            .collect();
        let path =
            self.daemon.create(&json!({ "type": "download", "parallel_files": 3, "resume": true, "files": files }));
        gate.wait_reached(1, SOON);
        self.daemon.wait_whole(&path, 2);
        SmallJob { path, names, contents }
    }

    /// Asks for the operation; the answer may be cut off by the end of the daemon.
    fn ask(&self, job: &SmallJob, operation: Operation) -> String {
        let mut stream = UnixStream::connect(self.daemon.socket()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request =
            format!("POST {}/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", job.path, operation.name());
        let mut answer = Vec::new();
        // A daemon that is killed in the middle takes the connection with it.
        let _cut = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Does it again after a kill, unless the start has finished it.
    fn finish(&self, job: &SmallJob, operation: Operation) {
        let answer = self.daemon.call("POST", &format!("{}/{}", job.path, operation.name()), &[], None);
        let state = self.daemon.get(&job.path).json()["state"].clone();
        assert_eq!(state, operation.final_state(), "{answer:?}");
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
    }

    /// The end is as if nothing had happened in between, and is told once.
    fn assert_ended(&mut self, job: &SmallJob, operation: Operation) {
        let id = job.path.rsplit('/').next().unwrap();
        let events = self.daemon.get(&format!("/v1/events?after=0&limit=1000&job={id}")).json();
        let told = |kind: &str, file: Option<usize>| {
            let of_kind = |event: &&Value| event["kind"] == kind && file.is_none_or(|file| event["file"] == file);
            events["events"].as_array().unwrap().iter().filter(of_kind).count()
        };
        for file in [0, 1] {
            assert_eq!(told("file_transferred", Some(file)), 1, "file {file}: {events}");
        }
        assert_eq!(told(operation.final_state(), None), 1, "{events}");
        assert_eq!(told("acknowledged", None) + told("cancelled", None), 1, "{events}");
        if operation == Operation::Complete {
            for file in [0, 1] {
                assert_published(self.daemon.out(&job.names[file]), job.contents[file]);
                self.published.insert(job.names[file].clone());
            }
        }
        // Neither part files nor files that nobody asked for.
        assert_eq!(names_in(self.daemon.out_dir()), self.published.iter().cloned().collect::<Vec<_>>());
    }

    fn check_store(&self) {
        Backhaul::new().args(["store", "check", &self.daemon.scratch.file("state")]).run().expect_code(0);
    }
}

/// The calls that the operation makes, by kind, and how many of each; none if nobody may look.
fn calls_of(place: &mut Place, operation: Operation) -> Option<Vec<(&'static str, usize)>> {
    let job = place.job();
    let log = place.daemon.scratch.file("calls");
    let strace = Strace::attach(place.daemon.running().pid(), &[&format!("trace={}", CHANGING.join(","))], &log)?;
    assert!(place.ask(&job, operation).starts_with("HTTP/1.1 200"));
    let calls = strace.finish(&log);
    place.assert_ended(&job, operation);
    Some(CHANGING.iter().filter_map(|name| Some((*name, *calls.get(*name)?))).collect())
}

fn is_survived_at_every_call(operation: Operation) -> Result<u64, ()> {
    let mut place = Place::new();
    let calls = calls_of(&mut place, operation).ok_or(())?;
    let kinds: BTreeSet<_> = calls.iter().map(|(name, _)| *name).collect();
    assert!(kinds.contains("fdatasync") || kinds.contains("fsync"), "a commit syncs: {calls:?}");
    assert!(kinds.contains("unlinkat") || kinds.contains("unlink"), "a part file is deleted: {calls:?}");
    let mut kills = 0;
    for (name, most) in calls.into_iter().filter(|(name, _)| *name != WAKING) {
        // A few more than were seen: another run may make more of them. The first that is not reached ends the kind.
        for nth in 1..=most + 4 {
            let job = place.job();
            let log = place.daemon.scratch.file("calls");
            let inject = format!("inject={name}:signal=KILL:when={nth}");
            let pid = place.daemon.running().pid();
            let strace = Strace::attach(pid, &[&format!("trace={name}"), &inject], &log).expect("it could before");
            let answer = place.ask(&job, operation);
            let is_killed = answer.is_empty();
            // With it, the process is let go, or its end becomes known.
            drop(strace);
            if is_killed {
                kills += 1;
                place.daemon.ended();
                place.check_store();
                place.daemon.begin();
                place.finish(&job, operation);
            } else {
                assert!(answer.starts_with("HTTP/1.1 200"), "{name} {nth}: {answer}");
            }
            place.assert_ended(&job, operation);
            if !is_killed {
                break;
            }
        }
    }
    place.daemon.end(rustix::process::Signal::TERM).expect_code(0);
    place.check_store();
    Ok(kills)
}

#[test]
fn complete_is_finished_by_the_next_start_wherever_it_was_killed() {
    match is_survived_at_every_call(Operation::Complete) {
        Ok(kills) => {
            println!("{kills} kills");
            assert!(kills >= 10, "{kills} kills only: the calls are not those that complete makes");
        }
        Err(()) => skip!("strace may not attach to processes of this user"),
    }
}

#[test]
fn cancel_is_finished_by_the_next_start_wherever_it_was_killed() {
    match is_survived_at_every_call(Operation::Cancel) {
        Ok(kills) => {
            println!("{kills} kills");
            assert!(kills >= 6, "{kills} kills only: the calls are not those that cancel makes");
        }
        Err(()) => skip!("strace may not attach to processes of this user"),
    }
}

#[test]
fn a_rename_that_fails_leaves_the_job_transferred_and_is_told_by_its_file() {
    let mut daemon = Daemon::start();
    let origin = Origin::start();
    for (number, errno) in ["EIO", "ENOSPC", "EACCES", "EROFS", "EDQUOT"].into_iter().enumerate() {
        let names = [0, 1].map(|file| format!("{number}-{file}"));
        let contents = [0_usize, 1].map(|file| {
            let seed = number as u64 * 2 + file as u64;
            origin.file(&format!("/{}", names[file]), File::seeded(seed, SIZES_BYTES[file]))
        });
        let files: Vec<Value> = names
            .iter()
            .map(|name| json!({ "remote_name": origin.url(&format!("/{name}")), "local_name": daemon.out(name) }))
            .collect();
        let job = daemon.create(&json!({ "type": "download", "resume": true, "files": files }));
        daemon.wait_state(&job, "transferred");
        let log = daemon.scratch.file("calls");
        let inject = format!("inject=renameat2,renameat,rename:error={errno}:when=2");
        let Some(strace) = Strace::attach(daemon.running().pid(), &["trace=renameat2,renameat,rename", &inject], &log)
        else {
            skip!("strace may not attach to processes of this user");
        };
        let refused = daemon.call("POST", &format!("{job}/complete"), &[], None);
        drop(strace);
        let (status, code) = refused.problem();
        assert_eq!(status, 409, "{errno}: {code}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&names[1]), "{errno}: which file? {detail}");
        assert_eq!(daemon.get(&format!("{job}/state")).json()["state"], "transferred", "{errno}");
        // The first has its name and can be used; completing again gives the other its own.
        assert_published(daemon.out(&names[0]), contents[0]);
        let completed = daemon.call("POST", &format!("{job}/complete"), &[], None);
        assert_eq!((completed.status, &completed.json()["partial"]), (200, &json!(false)), "{errno}");
        assert_published(daemon.out(&names[1]), contents[1]);
    }
    daemon.end(rustix::process::Signal::TERM).expect_code(0);
    Backhaul::new().args(["store", "check", &daemon.scratch.file("state")]).run().expect_code(0);
}
