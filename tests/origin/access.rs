//! The access log: what was asked, what was answered, and how much of it went out. Tests read it and wait on it.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::request::Request;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// From 0, over all paths, in the order of arrival.
    pub(crate) sequence: usize,
    /// From 0, in the order of acceptance.
    pub(crate) connection: u64,
    /// From 1: the how-manieth request of this path it is.
    pub(crate) nth: u64,
    pub(crate) request: Request,
    pub(crate) at: Instant,
    /// None until the answer begins, and for answers that have no status line.
    pub(crate) status: Option<u16>,
    /// Bytes of the body handed to the socket (or to TLS), framing not counted.
    pub(crate) body_sent: u64,
    pub(crate) end: Option<Ended>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The answer went out to its end as the origin meant it, faults included.
    AsMeant,
    /// The client went away, or reset the connection, before that.
    ClientGone,
}

impl Access {
    pub(crate) fn path(&self) -> &str {
        self.request.path()
    }

    pub(crate) fn range(&self) -> Option<&str> {
        self.request.header("range")
    }

    pub(crate) fn if_range(&self) -> Option<&str> {
        self.request.header("if-range")
    }

    /// First byte asked for by `Range: bytes=N-`, or by a whole request: 0.
    pub(crate) fn first_byte(&self) -> u64 {
        let Some(range) = self.range() else { return 0 };
        range.strip_prefix("bytes=").and_then(|range| range.split('-').next()?.parse().ok()).unwrap()
    }
}

#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    rows: Mutex<Vec<Access>>,
    change: Condvar,
}

impl AccessLog {
    pub(crate) fn begin(&self, connection: u64, nth: u64, request: &Request) -> usize {
        let mut rows = self.rows.lock().unwrap();
        let sequence = rows.len();
        let (request, at) = (request.clone(), Instant::now());
        rows.push(Access { sequence, connection, nth, request, at, status: None, body_sent: 0, end: None });
        self.change.notify_all();
        sequence
    }

    pub(crate) fn update(&self, sequence: usize, change: impl FnOnce(&mut Access)) {
        change(&mut self.rows.lock().unwrap()[sequence]);
        self.change.notify_all();
    }

    pub(crate) fn rows(&self) -> Vec<Access> {
        self.rows.lock().unwrap().clone()
    }

    /// Blocks until `done` holds of the rows, and returns them.
    pub(crate) fn wait(&self, what: &str, limit: Duration, done: impl Fn(&[Access]) -> bool) -> Vec<Access> {
        let rows = self.rows.lock().unwrap();
        let (rows, timeout) = self.change.wait_timeout_while(rows, limit, |rows| !done(rows)).unwrap();
        assert!(!timeout.timed_out(), "no {what} in the access log within {limit:?}: {rows:#?}");
        rows.clone()
    }
}
