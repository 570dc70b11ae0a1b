//! Callers of a daemon: users that the tests make up (the kernel asks for no entry in /etc/passwd), and whoever comes over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::Daemon;

/// No answer takes longer, on a slow and busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// The group of all of them, which may connect.
pub(crate) const GROUP: u32 = 41_000;

/// Whether users can be made up here.
pub(crate) fn can_be_others() -> bool {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    rustix::process::geteuid().is_root() && is_there("setpriv") && is_there("curl")
}

/// Lets every user come through a directory that was made for one.
pub(crate) fn open_up(directory: impl AsRef<Path>) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A daemon for several users, with further lines of `[access]` and further sections; its socket can be reached by all of them.
pub(crate) fn daemon_of_several(access: &str, sections: &str) -> Daemon {
    let scheduler = "[scheduler]\nretry_floor = 0.001\n";
    let multi = format!("[access]\nmode = \"multi\"\nsocket_group = \"{GROUP}\"\n{access}");
    let daemon = Daemon::configured(&format!("{scheduler}{multi}{sections}"));
    open_up(Path::new(&daemon.socket()).parent().unwrap());
    open_up(daemon.scratch.path());
    daemon
}

/// What a caller is answered.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Heard {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and code of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The path of the job that was created.
    #[track_caller]
    pub(crate) fn created(&self) -> String {
        assert_eq!(self.status, 201, "{self:?}");
        format!("/v1/jobs/{}", self.json()["id"].as_str().unwrap())
    }
}

/// A user of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User(pub(crate) u32);

impl User {
    /// One request to the daemon's socket.
    #[track_caller]
    pub(crate) fn call(self, daemon: &Daemon, method: &str, target: &str, body: Option<&Value>) -> Heard {
        self.call_with(daemon, method, target, &[], body)
    }

    #[track_caller]
    pub(crate) fn call_with(
        self,
        daemon: &Daemon,
        method: &str,
        target: &str,
        fields: &[&str],
        body: Option<&Value>,
    ) -> Heard {
        let mut command = self.command("curl");
        command.args([
            "-sS",
            "--max-time",
            "60",
            "-w",
            "\n%{http_code}",
            "--unix-socket",
            &daemon.socket(),
            "-X",
            method,
        ]);
        for field in fields {
            command.args(["-H", field]);
        }
        if let Some(body) = body {
            command.args(["-H", "Content-Type: application/json", "--data-binary", &body.to_string()]);
        }
        let output = command.arg(format!("http://localhost{target}")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{:?}", output.stderr));
        Heard { status: status.parse().unwrap(), head: String::new(), body: body.to_owned() }
    }

    /// A program as this user.
    pub(crate) fn command(self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={}", self.0), format!("--regid={GROUP}"), "--clear-groups".into(), program.into()];
        command.args(ids);
        command
    }
}

/// The daemon's address for TCP.
#[derive(Debug, Clone)]
pub(crate) struct Tcp(pub(crate) String);

impl Tcp {
    /// Where a daemon says that it listens.
    #[track_caller]
    pub(crate) fn of(daemon: &Daemon) -> Self {
        let line = daemon.running().wait_stderr("listening", LIMIT, |line| line.contains(" listening "));
        let url = line.split("url=").nth(1).expect("the line has a URL").split_whitespace().next().unwrap();
        Self(url.split("://").nth(1).unwrap().to_owned())
    }

    pub(crate) fn port(&self) -> &str {
        self.0.rsplit(':').next().unwrap()
    }

    /// Bytes as they are, and the answer.
    #[track_caller]
    pub(crate) fn raw(&self, request: &str) -> Heard {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        // Whoever is refused may be cut off while it still sends.
        let _cut = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {request:?}: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Heard { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// One request with a token.
    #[track_caller]
    pub(crate) fn call(&self, token: &str, method: &str, target: &str, body: Option<&Value>) -> Heard {
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        );
        match body.map(Value::to_string) {
            Some(body) => request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())),
            None => request.push_str("\r\n"),
        }
        self.raw(&request)
    }

    /// The lines of a stream of events from the begin of the journal.
    #[track_caller]
    pub(crate) fn follow(&self, token: &str) -> impl Iterator<Item = String> + use<> {
        let mut stream = self.connect();
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\nConnection: close\r\nLast-Event-ID: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream).lines().map_while(Result::ok)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.0).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }
}
