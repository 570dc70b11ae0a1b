//! The load: requests over kept connections, without a library between them and the socket, so that it takes little from who answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use backhaul::clock::Stopwatch;

/// Threads of the load.
const THREADS: usize = 2;
/// Nothing that is measured takes a part of this; without it a mistake would hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(crate) enum Peer {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Peer {
    pub(crate) fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                Box::new(stream)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                Box::new(stream)
            }
        })
    }

    /// One request on a connection of its own.
    pub(crate) fn call(&self, request: &str) -> (u16, String) {
        exchange(&mut *self.connect().unwrap(), request)
    }

    /// Waits until it takes connections.
    pub(crate) fn wait(&self) {
        let begun = Stopwatch::start();
        while self.connect().is_err() {
            assert!(begun.elapsed() < ANSWER_WITHIN, "{self:?} does not serve");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A request with a body of JSON.
pub(crate) fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Writes a request and reads the whole answer: its status, and its body.
pub(crate) fn exchange(stream: &mut dyn Stream, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 65_536];
    loop {
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "the connection ended");
        answer.extend_from_slice(&part[..length]);
        let Some(head_bytes) = memchr::memmem::find(&answer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..head_bytes]).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let body = head_bytes + 4..head_bytes + 4 + length.parse::<usize>().unwrap();
        if answer.len() >= body.end {
            return (head[9..12].parse().unwrap(), String::from_utf8(answer[body].to_vec()).unwrap());
        }
    }
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Elapsed(Duration),
    /// As many answers on each connection.
    Answered(usize),
}

/// Answers a second, with one request on each connection at a time.
pub(crate) fn rate(peer: &Peer, request: &str, connections: usize, until: Until) -> f64 {
    let threads = THREADS.min(connections);
    let begun = Stopwatch::start();
    let answers: usize = std::thread::scope(|scope| {
        let share = |_| scope.spawn(|| share(peer, request, connections / threads, until));
        let loads: Vec<_> = (0..threads).map(share).collect();
        loads.into_iter().map(|load| load.join().unwrap()).sum()
    });
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let answers = answers as f64;
    answers / begun.elapsed().as_secs_f64()
}

/// What one thread does: a request is written on all connections first, so that the peer always has some to answer.
fn share(peer: &Peer, request: &str, connections: usize, until: Until) -> usize {
    let mut streams: Vec<_> = (0..connections).map(|_| peer.connect().unwrap()).collect();
    let mut answer = [0; 4_096];
    let begun = Stopwatch::start();
    for stream in &mut streams {
        stream.write_all(request.as_bytes()).unwrap();
    }
    for round in 1.. {
        let is_last = match until {
            Until::Elapsed(duration) => begun.elapsed() >= duration,
            Until::Answered(count) => round == count,
        };
        for stream in &mut streams {
            let length = stream.read(&mut answer).unwrap();
            let whole = answer[..length].starts_with(b"HTTP/1.1 20") && answer[..length].ends_with(b"}");
            assert!(whole, "not a whole answer: {}", String::from_utf8_lossy(&answer[..length]));
            if !is_last {
                stream.write_all(request.as_bytes()).unwrap();
            }
        }
        if is_last {
            return round * connections;
        }
    }
    unreachable!("a load ends by itself")
}

/// How long each of many requests takes, one after the other on one connection.
pub(crate) fn times(peer: &Peer, request: &str, count: usize) -> Vec<Duration> {
    let mut stream = peer.connect().unwrap();
    let mut time = || {
        let begun = Stopwatch::start();
        assert_eq!(exchange(&mut *stream, request).0, 200);
        begun.elapsed()
    };
    (0..count).map(|_| time()).collect()
}
