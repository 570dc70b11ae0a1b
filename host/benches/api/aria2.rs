//! aria2 with its JSON-RPC over TCP, and wrk.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::daemon::resident_mib;
use super::load::{Peer, Until, rate, request};

const RPC: &str = "/jsonrpc";

#[derive(Debug)]
pub(crate) struct Aria2 {
    child: Child,
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
}

impl Aria2 {
    /// None if it is not installed.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        Self::with(directory, &[])
    }

    /// The same, with options.
    pub(crate) fn with(directory: &Path, options: &[&str]) -> Option<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let mut command = Command::new("aria2c");
        command.args(["--no-conf", "--quiet", "--enable-rpc", "--rpc-listen-port"]).arg(address.port().to_string());
        let child =
            command.args(options).arg("--dir").arg(directory).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = child else {
            println!("  aria2c is not installed: its figures are left out");
            return None;
        };
        let peer = Peer::Tcp(address);
        peer.wait();
        Some(Self { child, peer, address })
    }

    fn add_paused() -> String {
        body("aria2.addUri", r#"["http://127.0.0.1:9/a/file.bin"],{"pause":"true"}"#)
    }

    /// Adds a paused download; the body of a request for its status.
    pub(crate) fn status_of_one(&self) -> String {
        let (_, answer) = self.peer.call(&request("POST", RPC, &Self::add_paused()));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        // Of all that it could tell, what `state` tells.
        body("aria2.tellStatus", &format!(r#""{}",["status"]"#, answer["result"].as_str().unwrap()))
    }

    pub(crate) fn add_many(&self, count: usize) {
        rate(&self.peer, &request("POST", RPC, &Self::add_paused()), 1, Until::Answered(count));
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        resident_mib(self.child.id())
    }
}

impl Drop for Aria2 {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn body(method: &str, parameters: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"1","method":"{method}","params":[{parameters}]}}"#)
}

pub(crate) fn status_request(body: &str) -> String {
    request("POST", RPC, body)
}

/// Answers a second that wrk gets, with whichever number of threads gets more; none if it is not installed.
pub(crate) fn wrk(
    address: SocketAddr,
    connections: usize,
    seconds: u64,
    post: Option<&str>,
    directory: &Path,
) -> Option<f64> {
    let script = directory.join("post.lua");
    let run = |threads: &str| {
        let mut command = Command::new("wrk");
        command.args(["-t", threads, "-c", &connections.to_string(), "-d", &seconds.to_string()]);
        if let Some(body) = post {
            let lua =
                format!("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n");
            std::fs::write(&script, lua).unwrap();
            command.arg("-s").arg(&script);
        }
        let output = command.arg(format!("http://{address}{RPC}")).output().ok()?;
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
        report.lines().find_map(|line| line.strip_prefix("Requests/sec:")).map(|rate| rate.trim().parse().unwrap())
    };
    let rates: Vec<f64> = ["1", "2"].into_iter().filter_map(run).collect();
    rates.into_iter().reduce(f64::max)
}
