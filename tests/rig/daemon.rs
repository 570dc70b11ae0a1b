//! A daemon under test, the commands that speak to it, and a client that does so byte by byte: what a real one would never send can be
//! sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Backhaul, Finished, Running, Scratch};
use crate::origin::Origin;

/// No answer takes longer, on a slow and busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// A running daemon with a state directory of its own.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) scratch: Scratch,
    /// Apart from the state: the name of a socket has 107 bytes at most.
    sockets: TempDir,
    running: Option<Running>,
    /// The certificate of an authority that it trusts instead of the system's.
    authority: Option<String>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::configured("[scheduler]\nretry_floor = 0.001\n")
    }

    pub(crate) fn configured(config: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("config.toml", config.as_bytes());
        scratch.dir("out");
        let mut daemon = Self { scratch, sockets: TempDir::new().unwrap(), running: None, authority: None };
        daemon.begin();
        daemon
    }

    /// Starts it again, now trusting a TLS origin.
    pub(crate) fn trusting(mut self, origin: &Origin) -> Self {
        self.authority = Some(self.scratch.write("authority.pem", origin.authority_pem().as_bytes()));
        self.end(rustix::process::Signal::TERM);
        self.begin();
        self
    }

    /// Starts it, again if need be, and waits until it serves.
    pub(crate) fn begin(&mut self) {
        self.begin_with(self.serve());
    }

    /// The same with another command line or environment.
    pub(crate) fn begin_with(&mut self, serve: Backhaul) {
        let running = serve.start();
        running.wait_stderr("serving", LIMIT, |line| line.contains(" serving "));
        self.running = Some(running);
    }

    /// The command line of this daemon.
    pub(crate) fn serve(&self) -> Backhaul {
        let (state, config) = (self.scratch.file("state"), self.scratch.file("config.toml"));
        let words = ["serve", "--allow-root", "--state-dir", &state, "--socket", &self.socket(), "--config", &config];
        let serve = Backhaul::new().args(words);
        match &self.authority {
            Some(authority) => serve.env("SSL_CERT_FILE", authority),
            None => serve,
        }
    }

    pub(crate) fn socket(&self) -> String {
        self.sockets.path().join("api.sock").into_os_string().into_string().unwrap()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it was begun")
    }

    /// Waits for its end, which somebody else has brought about.
    pub(crate) fn ended(&mut self) -> Finished {
        self.running.take().expect("it was begun").finish(LIMIT)
    }

    /// Ends it with a signal.
    pub(crate) fn end(&mut self, signal: rustix::process::Signal) -> Finished {
        let running = self.running.take().expect("it was begun");
        running.signal(signal);
        running.finish(LIMIT)
    }

    /// Where a file shall appear.
    pub(crate) fn out(&self, name: &str) -> String {
        self.scratch.file(&format!("out/{name}"))
    }

    /// The directory of [`Daemon::out`].
    pub(crate) fn out_dir(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    /// A command that speaks to it.
    pub(crate) fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Backhaul {
        Backhaul::new().env("BACKHAUL_SOCKET", &self.socket()).args(words).current_dir(&self.scratch.file("out"))
    }

    /// Runs a command that speaks to it, to success.
    #[track_caller]
    pub(crate) fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Finished {
        self.command(words).run().expect_code(0)
    }

    /// The one line of JSON that a command answers with.
    #[track_caller]
    pub(crate) fn json<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Value {
        let finished = self.command(words).arg("--json").run().expect_code(0);
        let mut lines = finished.json();
        assert_eq!(lines.len(), 1, "one line expected: {finished}");
        lines.remove(0)
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Connection { reader: BufReader::new(stream) }
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        self.connect().call(method, target, headers, body)
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call("GET", target, &[], None)
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        self.call("POST", target, &[], Some(body))
    }

    /// Creates a job, and says its path.
    #[track_caller]
    pub(crate) fn create(&self, job: &Value) -> String {
        let answer = self.post("/v1/jobs", job);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.header("location").expect("a created job has a location").to_owned()
    }

    /// Waits, by held answers, until a job is in a state.
    #[track_caller]
    pub(crate) fn wait_state(&self, job: &str, wanted: &str) {
        self.wait_view(&format!("{job}/state"), |state| state["state"] == wanted);
    }

    /// Waits, by held answers, until so many bytes are there.
    #[track_caller]
    pub(crate) fn wait_progress(&self, job: &str, bytes: u64) {
        self.wait_view(&format!("{job}/progress"), |progress| progress["bytes_transferred"].as_u64() >= Some(bytes));
    }

    /// The same, until so many bytes are durable.
    #[track_caller]
    pub(crate) fn wait_durable(&self, job: &str, bytes: u64) {
        self.wait_view(job, |job| job["progress"]["bytes_transferred"].as_u64() >= Some(bytes));
    }

    /// Waits, by held answers, until so many files are whole.
    #[track_caller]
    pub(crate) fn wait_whole(&self, job: &str, files: u64) {
        self.wait_view(&format!("{job}/progress"), |progress| progress["files_transferred"] == files);
    }

    #[track_caller]
    fn wait_view(&self, view: &str, is_wanted: impl Fn(&Value) -> bool) {
        let mut connection = self.connect();
        let (mut tag, mut last) = (String::from("\"none\""), Value::Null);
        loop {
            let headers = [("If-None-Match", tag.as_str()), ("Prefer", "wait=30")];
            let answer = connection.call("GET", view, &headers, None);
            assert_eq!(answer.status, 200, "no change within 30 s from {last}: {answer:?}");
            last = answer.json();
            if is_wanted(&last) {
                return;
            }
            tag = answer.header("etag").unwrap().to_owned();
        }
    }
}

/// A connection to a daemon.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let body = body.map(|body| serde_json::to_vec(body).unwrap());
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &body {
            request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        self.send(format!("{request}\r\n").as_bytes());
        // A request that is refused by its head may be answered before its body is read.
        let _refused = self.reader.get_mut().write_all(&body.unwrap_or_default());
        self.answer()
    }

    /// The head of an answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let status = self.line().split(' ').nth(1).expect("a status line").parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => return Answer { status, headers, body: Vec::new() },
            }
        }
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        self.reader.read_exact(&mut answer.body).unwrap();
        answer
    }

    /// A line without its end; empty at the end of the stream as well, and for a line that the end cut short.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        if !line.ends_with('\n') {
            line.clear();
        }
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Whether a byte of an answer is there by now.
    pub(crate) fn has_answer(&mut self) -> bool {
        self.reader.get_ref().set_nonblocking(true).unwrap();
        let has_answer = self.reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.reader.get_ref().set_nonblocking(false).unwrap();
        has_answer
    }

    /// Whether the daemon ends the connection without another byte.
    pub(crate) fn is_ended(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0) | Err(_))
    }

    /// Begins a stream of events.
    #[track_caller]
    pub(crate) fn follow(mut self, target: &str, last: Option<u64>) -> Events {
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        self.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{last}\r\n").as_bytes());
        let head = self.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        Events { connection: self }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(has, _)| has.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and code of a problem, whose form is checked.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }

    /// The fields that a problem names.
    #[track_caller]
    pub(crate) fn fields(&self) -> Vec<String> {
        let problem = self.json();
        problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    connection: Connection,
}

/// One event of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Iterator for Events {
    type Item = Told;

    /// The next event; comments are passed over, chunk sizes as well.
    fn next(&mut self) -> Option<Told> {
        let (mut id, mut name, mut data) = (None, String::new(), None);
        let mut empty = 0;
        loop {
            let line = self.connection.line();
            // Two in a row stand between chunks; more only at the end.
            empty = if line.is_empty() { empty + 1 } else { 0 };
            // The last chunk; no line of an event is just its size.
            if empty > 4 || line == "0" {
                return None;
            }
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.parse().unwrap()),
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                _ if line.is_empty() && data.is_some() => return Some(Told { id, name, data: data.take()? }),
                _ => {}
            }
        }
    }
}
