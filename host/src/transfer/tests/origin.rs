//! An origin of a few lines: for each request a function says what goes on the wire.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What to send, and what to do then.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Read the next request.
    KeepOpen,
    /// Close in order.
    Close,
    /// Break: the client sees a reset.
    Reset,
    /// Say nothing more until the origin ends.
    Stall,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    /// Counts the requests from 0.
    pub(super) number: usize,
}

impl Request {
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The value of a field, by its name in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The first byte that a Range asks for.
    pub(super) fn offset(&self) -> Option<usize> {
        Some(self.range(usize::MAX)?.start)
    }

    /// What a Range asks for of so many bytes.
    pub(super) fn range(&self, size: usize) -> Option<std::ops::Range<usize>> {
        let (first, last) = self.field("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let end = if last.is_empty() { size } else { last.parse::<usize>().ok()?.saturating_add(1).min(size) };
        Some(first.parse().ok()?..end)
    }
}

/// The origin. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Origin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<Option<TcpStream>>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop, connections) = (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::default());
        let (answer, log, ended, open) =
            (Arc::new(answer), Arc::clone(&requests), Arc::clone(&stop), Arc::clone(&connections));
        let accepting = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                let held: &Mutex<Vec<Option<TcpStream>>> = &open;
                held.lock().unwrap().push(Some(stream.try_clone().unwrap()));
                let (answer, log, open) = (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&open));
                let number = serving.len();
                serving.push(std::thread::spawn(move || {
                    let last = serve(&stream, &*answer, &log);
                    open.lock().unwrap()[number] = None;
                    if last == Some(Then::Reset) {
                        tokio::net::TcpSocket::from_std_stream(stream).set_zero_linger().unwrap();
                    }
                }));
            }
            for connection in serving {
                let _ = connection.join();
            }
        });
        Self { address, requests, stop, connections, accepting: Some(accepting) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for connection in self.connections.lock().unwrap().iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Serves a connection; says how its last reply ended.
fn serve(
    mut stream: &TcpStream,
    answer: &(impl Fn(&Request) -> Reply + ?Sized),
    log: &Mutex<Vec<Request>>,
) -> Option<Then> {
    while let Some(head) = read_head(stream) {
        let request = {
            let mut log = log.lock().unwrap();
            let request = Request { head, number: log.len() };
            log.push(request.clone());
            request
        };
        let reply = answer(&request);
        if stream.write_all(&reply.bytes).is_err() {
            return None;
        }
        match reply.then {
            Then::KeepOpen => {}
            Then::Close => {
                let _ = stream.shutdown(Shutdown::Both);
                return Some(reply.then);
            }
            Then::Reset => return Some(reply.then),
            Then::Stall => {
                let _ = stream.read(&mut [0; 1]);
                return Some(reply.then);
            }
        }
    }
    None
}

fn read_head(mut stream: &TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}

/// A file that is served as it should be, with a strong ETag, honouring Range and If-Range.
pub(super) fn proper(request: &Request, content: &[u8], etag: &str) -> Reply {
    let honoured = request.field("if-range").is_none_or(|validator| validator == etag);
    let mut bytes;
    match request.range(content.len()).filter(|_| honoured) {
        Some(range) if range.is_empty() => {
            let unsatisfied = format!("bytes */{}", content.len());
            bytes = head("416 Range Not Satisfiable", &[("Content-Range", &unsatisfied), ("Content-Length", "0")]);
        }
        Some(range) => {
            bytes = head(
                "206 Partial Content",
                &[
                    ("Content-Range", &format!("bytes {}-{}/{}", range.start, range.end - 1, content.len())),
                    ("Content-Length", &range.len().to_string()),
                    ("ETag", etag),
                ],
            );
            bytes.extend_from_slice(&content[range]);
        }
        None => {
            bytes = head("200 OK", &[("Content-Length", &content.len().to_string()), ("ETag", etag)]);
            bytes.extend_from_slice(content);
        }
    }
    Reply { bytes, then: Then::KeepOpen }
}

/// The first `sent` bytes of a reply's body, and then the end.
pub(super) fn cut(mut reply: Reply, sent: usize, then: Then) -> Reply {
    let body = reply.bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    reply.bytes.truncate(body + sent);
    Reply { bytes: reply.bytes, then }
}

pub(super) fn head(status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A server that reads once, says something that is no TLS, and hangs up.
#[derive(Debug)]
pub(super) struct Garbage {
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Garbage {
    pub(super) fn start(says: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of it: what is left unread would turn the end into a reset.
            let _ = stream.read(&mut [0; 16 << 10]);
            let _ = stream.write_all(says);
        });
        Self { address, serving: Some(serving) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// A TLS server whose certificate nobody has signed but itself. It serves one handshake.
pub(super) fn tls_stranger() -> SocketAddr {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    address
}
