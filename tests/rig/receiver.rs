//! A receiver of webhooks: takes what is posted, answers as a test wants it, and knows whether signatures are right.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;

/// No delivery takes longer, on a slow and busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What it is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    /// With these lines of the head.
    With(u16, String),
    /// The connection is closed.
    Close,
    /// Nothing, until the other end closes the connection.
    Silence,
}

/// A receiver on a port of its own. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

type Answer = Box<dyn Fn(&Posted, usize) -> Reply + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    answer: Mutex<Answer>,
}

#[derive(Default)]
struct State {
    posted: Vec<Posted>,
    streams: Vec<TcpStream>,
    is_over: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Receiver {
    /// Answers every delivery with 204.
    pub(crate) fn start() -> Self {
        Self::answering(|_, _| Reply::Status(204))
    }

    /// The answer may depend on what is posted, and on how much was posted before.
    pub(crate) fn answering(answer: impl Fn(&Posted, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Answer = Box::new(answer);
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), answer: Mutex::new(answer) };
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared, thread: Some(thread) }
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer(&self, answer: impl Fn(&Posted, usize) -> Reply + Send + Sync + 'static) {
        *self.shared.answer.lock().unwrap() = Box::new(answer);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that was posted so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.shared.state().posted.clone()
    }

    /// Waits until so much was posted that it is enough.
    #[track_caller]
    pub(crate) fn wait(&self, is_enough: impl Fn(&[Posted]) -> bool) -> Vec<Posted> {
        let waiting =
            self.shared.changed.wait_timeout_while(self.shared.state(), LIMIT, |state| !is_enough(&state.posted));
        let (state, timeout) = waiting.unwrap();
        assert!(!timeout.timed_out(), "not enough was posted: {:#?}", state.posted);
        state.posted.clone()
    }

    /// Waits until so many were posted.
    #[track_caller]
    pub(crate) fn wait_count(&self, count: usize) -> Vec<Posted> {
        self.wait(|posted| posted.len() >= count)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        for stream in &state.streams {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
        drop(state);
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        {
            let mut state = shared.state();
            if state.is_over {
                break;
            }
            state.streams.push(stream.try_clone().unwrap());
        }
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || serve(BufReader::new(stream), &shared)));
    }
    for thread in threads {
        thread.join().ok();
    }
}

fn serve(mut reader: BufReader<TcpStream>, shared: &Shared) {
    while let Some(posted) = read(&mut reader) {
        let before = shared.state().posted.len();
        let reply = shared.answer.lock().unwrap()(&posted, before);
        shared.state().posted.push(posted);
        shared.changed.notify_all();
        let (status, lines) = match reply {
            Reply::Status(status) => (status, String::new()),
            Reply::With(status, lines) => (status, lines),
            Reply::Close => {
                reader.get_ref().shutdown(std::net::Shutdown::Both).ok();
                return;
            }
            Reply::Silence => {
                while reader.read(&mut [0]).is_ok_and(|length| length > 0) {}
                return;
            }
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{lines}\r\n");
        if reader.get_mut().write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request; none at the end.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Posted> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let path = first.split(' ').nth(1)?.to_owned();
    assert!(first.starts_with("POST "), "{first}");
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut posted = Posted { path, headers, body: Vec::new() };
    posted.body = vec![0; posted.header("content-length").parse().ok()?];
    reader.read_exact(&mut posted.body).ok()?;
    Some(posted)
}

impl Posted {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(has, _)| has == name);
        found.map_or_else(|| panic!("no {name}: {self:?}"), |(_, value)| value)
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Its `type`.
    #[track_caller]
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// The number of its event.
    #[track_caller]
    pub(crate) fn number(&self) -> u64 {
        self.json()["data"]["number"].as_u64().unwrap()
    }

    /// Whether it is signed with this secret, as Standard Webhooks says: computed here, beside the code under test.
    pub(crate) fn is_signed(&self, secret: &str) -> bool {
        let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id(), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.body);
        self.header("webhook-signature") == format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}
