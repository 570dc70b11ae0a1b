//! The origin's server: accepts, reads requests, finds the answer, runs the script.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::access::AccessLog;
use super::answer::Answer;
use super::content::Content;
use super::fault::{Fault, On};
use super::gate::Gate;
use super::request::Request;
use super::resource::Resource;
use super::script::{self, Action, After, End, Stage};
use super::throttle::Throttle;
use super::wire::{Transport, Wire};

/// What becomes of a connection as it is accepted.
#[derive(Debug, Clone)]
pub(crate) enum Accepting {
    Serve,
    /// Ended at once.
    End(End),
    /// Accepted, and then held: no TLS handshake, no answer.
    Hold(Gate),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: AccessLog,
    pub(crate) throttle: Throttle,
    paths: Mutex<HashMap<String, Path>>,
    accepting: Mutex<Accepting>,
    connections: AtomicU64,
}

#[derive(Debug, Default)]
struct Path {
    requests: u64,
    /// With the first request that sees it, in ascending order.
    resources: Vec<(u64, Resource)>,
    faults: Vec<(On, Fault)>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            log: AccessLog::default(),
            throttle: Throttle::new(None),
            paths: Mutex::default(),
            accepting: Mutex::new(Accepting::Serve),
            connections: AtomicU64::new(0),
        }
    }
}

impl Shared {
    pub(crate) fn put(&self, path: &str, from: u64, resource: Resource) {
        let mut paths = self.paths.lock().unwrap();
        let resources = &mut paths.entry(path.to_owned()).or_default().resources;
        resources.retain(|(first, _)| *first < from);
        resources.push((from, resource));
    }

    pub(crate) fn content(&self, path: &str) -> Content {
        match self.paths.lock().unwrap()[path].resources.first() {
            Some((_, Resource::File(file))) => file.content,
            _ => panic!("there is no file at {path}"),
        }
    }

    pub(crate) fn add_fault(&self, path: &str, on: On, fault: Fault) {
        self.paths.lock().unwrap().entry(path.to_owned()).or_default().faults.push((on, fault));
    }

    pub(crate) fn set_accepting(&self, accepting: Accepting) {
        *self.accepting.lock().unwrap() = accepting;
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Counts the request, enters it into the access log, and writes the script that answers it.
    fn script(&self, connection: u64, request: &Request) -> (usize, Vec<Action>) {
        let mut paths = self.paths.lock().unwrap();
        let path = paths.entry(request.path().to_owned()).or_default();
        path.requests += 1;
        let nth = path.requests;
        let sequence = self.log.begin(connection, nth, request);
        let resource = path.resources.iter().rev().find(|(from, _)| *from <= nth).map(|(_, resource)| resource);
        let (mut answer, file) = match resource {
            Some(Resource::File(file)) => (file.answer(request, nth), Some(file)),
            Some(Resource::Fixed(answer)) => (answer.clone(), None),
            None => (Answer::error(404), None),
        };
        for (_, fault) in path.faults.iter().filter(|(on, _)| on.meets(nth, request)) {
            if let Some(script) = fault.apply(request, file, &mut answer) {
                return (sequence, script);
            }
        }
        self.log.update(sequence, |row| row.status = Some(answer.status));
        (sequence, answer.script(&request.method))
    }
}

/// Serves until `stopped` fires or its sender is dropped; then every connection breaks.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(joined) = connections.join_next() => joined.expect("a connection's task does not panic"),
            accepted = listener.accept() => {
                let (tcp, _) = accepted.unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connection(tcp, acceptor.clone(), number, Arc::clone(&shared)));
            }
        }
    }
}

async fn connection(tcp: TcpStream, acceptor: Option<TlsAcceptor>, number: u64, shared: Arc<Shared>) {
    tcp.set_nodelay(true).ok();
    let mut wire = Wire::new(tcp);
    let accepting = shared.accepting.lock().unwrap().clone();
    match accepting {
        Accepting::Serve => {}
        Accepting::End(end) => return script::close(&mut wire, end).await,
        Accepting::Hold(gate) => gate.pass().await,
    }
    match acceptor {
        None => requests(wire, number, &shared).await,
        Some(acceptor) => {
            // A client that does not like the certificate ends here; its own test asserts that.
            if let Ok(stream) = acceptor.accept(wire).await {
                requests(stream, number, &shared).await;
            }
        }
    }
}

async fn requests(mut stream: impl Transport, connection: u64, shared: &Shared) {
    let mut read_ahead = Vec::new();
    while let Ok(Some(request)) = Request::read(&mut stream, &mut read_ahead).await {
        let (sequence, actions) = shared.script(connection, &request);
        let stage = Stage { log: &shared.log, sequence, throttle: &shared.throttle, read_ahead: &mut read_ahead };
        if script::run(&mut stream, actions, stage).await == After::Closed {
            return;
        }
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return script::close(&mut stream, End::Orderly).await;
        }
    }
}
