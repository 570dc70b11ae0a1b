//! The misbehaving origin: an HTTP/1.1 server that does on the wire whatever a test tells it, and says what it did.
//!
//! [`Origin`] runs on a thread of its own with a runtime of its own, so that tests are plain functions: they set up paths
//! and faults, run the client, and read the access log or wait on it. A request goes through these parts:
//!
//! ```text
//! socket → Request → Resource → Answer → faults → script of Actions → socket
//!                                                        └ access log
//! ```
//!
//! Everything ends with the `Origin`: its thread stops, its connections break.

mod access;
mod answer;
mod content;
mod fault;
mod gate;
mod gzip;
mod range_lie;
mod request;
mod resource;
mod script;
mod server;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub(crate) use access::{Access, Ended};
pub(crate) use answer::{Answer, At, Framing};
pub(crate) use content::{Content, hex};
pub(crate) use fault::{Fault, On};
pub(crate) use gate::Gate;
pub(crate) use range_lie::RangeLie;
pub(crate) use request::Request;
pub(crate) use resource::{Encoding, Etag, File, OLD_DATE, Ranges, Resource};
pub(crate) use script::{Action, End, Piece};
pub(crate) use server::Accepting;
pub(crate) use tls::Certificate;

use server::Shared;

/// How long a test waits for something in the access log that should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    authority_pem: Option<String>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// An origin on a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        Self::launch(None)
    }

    pub(crate) fn start_tls(certificate: Certificate) -> Self {
        Self::launch(Some(certificate))
    }

    fn launch(certificate: Option<Certificate>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, authority_pem) = certificate.map(tls::acceptor).unzip();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let server = server::serve(listener, acceptor, Arc::clone(&shared), stopped);
        let thread = std::thread::Builder::new()
            .name("origin".to_owned())
            .spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(server))
            .unwrap();
        Self { address, authority_pem, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority behind the certificate, in PEM; TLS origins only.
    pub(crate) fn authority_pem(&self) -> &str {
        self.authority_pem.as_deref().expect("this origin speaks TLS")
    }

    pub(crate) fn url(&self, target: &str) -> String {
        let scheme = if self.authority_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{target}", self.address)
    }

    /// Puts a file at a path, or another one in its place: requests from now on see it.
    pub(crate) fn file(&self, path: &str, file: File) -> Content {
        let content = file.content;
        self.shared.put(path, 1, Resource::File(file));
        content
    }

    /// Puts another file in its place from the `nth` request of the path on.
    pub(crate) fn file_from(&self, path: &str, nth: u64, file: File) -> Content {
        let content = file.content;
        self.shared.put(path, nth, Resource::File(file));
        content
    }

    /// What is at a path at first.
    pub(crate) fn content(&self, path: &str) -> Content {
        self.shared.content(path)
    }

    /// Answers every request of the path in the same way.
    pub(crate) fn fixed(&self, path: &str, answer: Answer) {
        self.shared.put(path, 1, Resource::Fixed(answer));
    }

    /// The same from the `nth` request of the path on.
    pub(crate) fn fixed_from(&self, path: &str, nth: u64, answer: Answer) {
        self.shared.put(path, nth, Resource::Fixed(answer));
    }

    pub(crate) fn redirect(&self, path: &str, status: u16, location: &str) {
        self.fixed(path, Answer::redirect(status, location));
    }

    /// `/chain/1` to `/chain/<hops>`, each to the next, the last one to `target`. Returns the path of the first.
    pub(crate) fn redirect_chain(&self, hops: usize, target: &str) -> String {
        for hop in 1..=hops {
            let next = if hop == hops { target.to_owned() } else { format!("/chain/{}", hop + 1) };
            self.redirect(&format!("/chain/{hop}"), 302, &next);
        }
        "/chain/1".to_owned()
    }

    /// Adds a fault to a path. Several that meet the same request are applied in the order of addition.
    pub(crate) fn fault(&self, path: &str, on: On, fault: Fault) {
        self.shared.add_fault(path, on, fault);
    }

    /// What becomes of connections as they are accepted, before TLS; from now on.
    pub(crate) fn accepting(&self, accepting: Accepting) {
        self.shared.set_accepting(accepting);
    }

    /// Holds the whole origin to so many body bytes a second; none: no limit.
    pub(crate) fn throttle(&self, bytes_per_second: Option<u64>) {
        self.shared.throttle.set(bytes_per_second);
    }

    /// The access log so far, in the order of arrival.
    pub(crate) fn log(&self) -> Vec<Access> {
        self.shared.log.rows()
    }

    /// The rows of one path.
    pub(crate) fn log_of(&self, path: &str) -> Vec<Access> {
        self.log().into_iter().filter(|row| row.path() == path).collect()
    }

    pub(crate) fn body_sent(&self) -> u64 {
        self.log().iter().map(|row| row.body_sent).sum()
    }

    /// Blocks until `done` holds of the access log; panics with `what` and the log after the limit.
    pub(crate) fn wait(&self, what: &str, limit: Duration, done: impl Fn(&[Access]) -> bool) -> Vec<Access> {
        self.shared.log.wait(what, limit, done)
    }

    /// Connections accepted so far, those included that never sent a request.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().expect("only drop takes the thread").join();
        if joined.is_err() && !std::thread::panicking() {
            panic!("the origin's thread panicked");
        }
    }
}
