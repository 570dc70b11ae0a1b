//! The daemon that is measured, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::load::{Peer, request};

/// Its origin refuses connections, and the network is told to be off where jobs shall stay queued.
pub(crate) const A_JOB: &str = r#"{"type":"download","display_name":"a job","files":[{"remote_name":"http://127.0.0.1:9/a/file.bin","local_name":"/nowhere/file.bin"}]}"#;

#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    pub(crate) peer: Peer,
}

impl Daemon {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::configured(directory, None)
    }

    pub(crate) fn configured(directory: &Path, config: Option<&Path>) -> Self {
        let socket: PathBuf = directory.join("api.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_backhaul"));
        command.args(["serve", "--allow-root", "--state-dir"]).arg(directory.join("state"));
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let child = command.arg("--socket").arg(&socket).stderr(Stdio::null()).spawn().unwrap();
        let peer = Peer::Unix(socket);
        peer.wait();
        Self { child, peer }
    }

    /// Jobs stay queued from now on, over restarts.
    pub(crate) fn disconnect(&self) {
        let off = request("PUT", "/v1/network/override", r#"{"connected":false}"#);
        assert_eq!(self.peer.call(&off).0, 200);
    }

    /// Creates a job; its id.
    pub(crate) fn create(&self, body: &str) -> String {
        let (status, answer) = self.peer.call(&request("POST", "/v1/jobs", body));
        assert_eq!(status, 201, "{answer}");
        let job: Value = serde_json::from_str(&answer).unwrap();
        job["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        resident_mib(self.child.id())
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Memory of a process that is in RAM.
pub(crate) fn resident_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
