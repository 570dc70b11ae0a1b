//! `backhaul serve` with a state directory and a socket of its own.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Backhaul, Finished, Running};
use super::scratch::Scratch;

/// How long a daemon may take until it answers, on a slow and busy machine too.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A transient error is tried again after this at the latest, where a job says so.
const CONFIG: &str = "[scheduler]\nretry_floor = 0.2\n";

/// A daemon that runs; killed with the value.
#[derive(Debug)]
pub(crate) struct Service {
    running: Option<Running>,
    scratch: Scratch,
    /// Paths of sockets are short, those of scratch directories are not.
    socket_dir: TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        let scratch = Scratch::new();
        scratch.write("config.toml", CONFIG.as_bytes());
        scratch.dir("out");
        let mut daemon = Self { running: None, scratch, socket_dir: TempDir::with_prefix("bh").unwrap() };
        daemon.start_again();
        daemon
    }

    /// Starts it, after its end, with the same state and the same socket.
    pub(crate) fn start_again(&mut self) {
        let (state, config) = (self.scratch.file("state"), self.scratch.file("config.toml"));
        let socket = self.socket();
        let arguments = ["serve", "--allow-root", "--state-dir", &state, "--socket", &socket, "--config", &config];
        let mut running = Backhaul::new().args(arguments).start();
        running.wait_until("answer", START_LIMIT, || UnixStream::connect(&socket).is_ok());
        self.running = Some(running);
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Finished {
        self.running.take().expect("it runs").kill()
    }

    pub(crate) fn socket(&self) -> String {
        self.socket_dir.path().join("s").into_os_string().into_string().unwrap()
    }

    /// Where a file shall appear.
    pub(crate) fn out(&self, name: &str) -> String {
        self.scratch.file(&format!("out/{name}"))
    }

    /// The directory of [`Service::out`].
    pub(crate) fn out_dir(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    /// A command that speaks to it.
    pub(crate) fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Backhaul {
        let out = self.out_dir();
        Backhaul::new().env("BACKHAUL_SOCKET", &self.socket()).args(words).current_dir(out.to_str().unwrap())
    }

    /// Runs a command that speaks to it, to success.
    #[track_caller]
    pub(crate) fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Finished {
        self.command(words).run().expect_code(0)
    }

    /// The one line of JSON that a command answers with.
    #[track_caller]
    pub(crate) fn json<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> serde_json::Value {
        let finished = self.command(words).arg("--json").run().expect_code(0);
        let mut lines = finished.json();
        assert_eq!(lines.len(), 1, "one line expected: {finished}");
        lines.remove(0)
    }
}
