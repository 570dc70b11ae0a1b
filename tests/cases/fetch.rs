//! What the cases share: a `get` into a scratch directory, and what must hold of it whatever the origin did.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::origin::{Content, Origin};
use crate::rig::{Backhaul, Finished, Scratch, assert_published, names_in, sha256_of};

/// Documented exit codes.
pub(crate) const DONE: i32 = 0;
pub(crate) const JOB_FAILED: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const INTERRUPTED: i32 = 130;

/// A size of which the host does not keep the begin in memory: what came before a cut is durable.
pub(crate) const RESUMABLE_BYTES: u64 = 300_000;

/// One `get` with a directory of its own for its target and its store.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) scratch: Scratch,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// The local name.
    pub(crate) out: String,
}

impl Fetch {
    /// `get URL -o out/f`, with the shortest retry delay, and a limit on transient errors that outlasts every single fault.
    pub(crate) fn new(url: &str) -> Self {
        Self::named(url, "f")
    }

    /// The same under another local name.
    pub(crate) fn named(url: &str, name: &str) -> Self {
        let scratch = Scratch::new();
        let out = format!("{}/{name}", scratch.dir("out"));
        let mut fetch = Self { scratch, arguments: Vec::new(), environment: Vec::new(), out };
        let out = fetch.out.clone();
        fetch.arguments.extend(["get", url, "-o", &out].map(str::to_owned));
        fetch.with(["--json"]).with(["--minimum-retry-delay", "0"]).with(["--no-progress-timeout", "30"])
    }

    /// `get -i LIST -d out` for these addresses and local names.
    pub(crate) fn listed<const N: usize>(files: [(String, &str); N]) -> Self {
        let mut fetch = Self::new("");
        let lines: String = files.iter().map(|(url, name)| format!("{url} {name}\n")).collect();
        let list = fetch.scratch.write("list", lines.as_bytes());
        let dir = fetch.scratch.dir("out");
        fetch.arguments.splice(1..4, ["-i", &list, "-d", &dir].map(str::to_owned));
        fetch
    }

    pub(crate) fn with<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Lets it trust the origin's authority.
    pub(crate) fn trusting(self, origin: &Origin) -> Self {
        let authority = self.scratch.write("authority.pem", origin.authority_pem().as_bytes());
        self.env("SSL_CERT_FILE", &authority)
    }

    /// Transient errors become fatal after so many seconds without progress.
    pub(crate) fn patience(self, seconds: &str) -> Self {
        self.with(["--no-progress-timeout", seconds])
    }

    pub(crate) fn state_dir(&self) -> String {
        self.scratch.file("state")
    }

    /// The command line: the same again goes on where the last one ended.
    pub(crate) fn command(&self) -> Backhaul {
        self.command_with_state(&self.state_dir())
    }

    /// The same with a state directory that several share.
    pub(crate) fn command_with_state(&self, state_dir: &str) -> Backhaul {
        let mut command = Backhaul::new().args(self.arguments.iter().map(String::as_str));
        for (name, value) in &self.environment {
            command = command.env(name, value);
        }
        command.args(["--state-dir", state_dir]).current_dir(self.scratch.path().to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn run(&self) -> Finished {
        let finished = self.command().run();
        if matches!(finished.code, Some(DONE | JOB_FAILED)) {
            let lines = finished.json();
            let summary = lines.last().unwrap_or_else(|| panic!("a summary expected: {finished}"));
            assert_eq!(summary["type"], "summary", "{finished}");
            assert_eq!(summary["exit_code"].as_i64().map(i32::try_from), finished.code.map(Ok), "{finished}");
        }
        finished
    }

    /// Runs it, and asserts that the file is there, wholly, with nothing beside it.
    #[track_caller]
    pub(crate) fn run_to(&self, content: Content) -> Finished {
        let finished = self.run().expect_code(DONE);
        assert_published(&self.out, content);
        self.assert_alone(&[self.name()]);
        finished
    }

    /// Runs it, and asserts that the job ends in ERROR with this code, and that nothing has the local name.
    #[track_caller]
    pub(crate) fn run_to_error(&self, code: &str) -> Finished {
        let finished = self.run().expect_code(JOB_FAILED);
        assert_eq!(error(&finished)["code"], code, "{finished}");
        self.assert_unpublished();
        finished
    }

    /// The same for a failure status.
    #[track_caller]
    pub(crate) fn run_to_status(&self, status: u16) -> Finished {
        let finished = self.run_to_error("http");
        assert_eq!(error(&finished)["http_status"], status, "{finished}");
        finished
    }

    /// Runs it, and asserts that it either published this very content or failed and published nothing.
    #[track_caller]
    pub(crate) fn run_to_right_or_nothing(&self, content: Content) -> Finished {
        let finished = self.run();
        match finished.code {
            Some(DONE) => assert_published(&self.out, content),
            Some(JOB_FAILED) => self.assert_unpublished(),
            _ => panic!("exit code 0 or 1 expected: {finished}"),
        }
        finished
    }

    /// `store check` on every store in the state directory.
    pub(crate) fn check_stores(&self) {
        for finished in self.check_each_store() {
            finished.expect_code(DONE);
        }
    }

    /// The same, whatever it says.
    pub(crate) fn check_each_store(&self) -> Vec<Finished> {
        let check = |store: &String| Backhaul::new().args(["store", "check", store]).run();
        self.stores().iter().map(check).collect()
    }

    /// The directories of the stores in the state directory.
    pub(crate) fn stores(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.state_dir()) else { return Vec::new() };
        // What is renamed so is on its way out. Without a database, its process was killed before there was a store.
        let is_store = |path: &PathBuf| path.join("store.db").is_file() && !path.to_string_lossy().contains(".done-");
        let paths = entries.map(|entry| entry.unwrap().path()).filter(is_store);
        paths.map(|path| path.into_os_string().into_string().unwrap()).collect()
    }

    /// Bytes of the part file so far.
    pub(crate) fn part_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.scratch.path().join("out")).unwrap().map(Result::unwrap);
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    }

    #[track_caller]
    pub(crate) fn assert_unpublished(&self) {
        assert!(fs::symlink_metadata(&self.out).is_err(), "{} is there: {}", self.out, sha256_of(&self.out));
    }

    /// Asserts that the target's directory holds these names and no other; no part file.
    #[track_caller]
    pub(crate) fn assert_alone(&self, names: &[&str]) {
        assert_eq!(names_in(self.scratch.path().join("out")), names);
    }

    fn name(&self) -> &str {
        self.out.rsplit('/').next().expect("split gives at least one")
    }
}

/// The error object of a job in ERROR.
#[track_caller]
fn error(finished: &Finished) -> serde_json::Value {
    let error = finished.json().into_iter().find(|line| line["type"] == "error");
    error.unwrap_or_else(|| panic!("an error expected: {finished}"))["error"].take()
}

/// Why files began again, in order.
pub(crate) fn restarts(finished: &Finished) -> Vec<String> {
    let restarts = finished.json().into_iter().filter(|line| line["kind"] == "file_restarted");
    restarts.map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
}

/// Does something for every item of a table, eight at once: most of a run is spent waiting for its retry.
pub(crate) fn for_each_at_once<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    const AT_ONCE: usize = 8;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst)) {
                    work(item);
                }
            });
        }
    });
}

/// Numbers drawn from a seed, for offsets and moments that shall be arbitrary but the same in every run.
pub(crate) fn draw(seed: u64, index: u64, below: u64) -> u64 {
    let bytes = Content::new(seed, u64::MAX).bytes(index * 8..index * 8 + 8);
    u64::from_le_bytes(bytes.try_into().unwrap()) % below
}
