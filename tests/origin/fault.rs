//! Faults that a test adds to a path: which requests they meet, and what they do to the right answer.

use std::fmt;
use std::sync::Arc;

use super::answer::{Answer, At, Framing};
use super::gate::Gate;
use super::range_lie::RangeLie;
use super::request::Request;
use super::resource::File;
use super::script::{Action, End};

/// Which requests of a path a fault meets. Counting starts at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Every,
    Nth(u64),
    /// That one and all before.
    UpTo(u64),
    /// That one and all after.
    From(u64),
    /// Requests that carry a Range header.
    Ranged,
    /// Requests that carry none.
    Whole,
}

#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection ends before any answer.
    NoAnswer(End),
    /// Actions of one's own instead of an answer.
    Script(Vec<Action>),
    /// Another answer instead.
    Instead(Answer),
    Cut(At, End),
    /// A header set to a value, right or wrong.
    Set(&'static str, String),
    /// A second (or first) header of that name.
    Add(&'static str, String),
    /// These Content-Length headers, none to many, whatever the body has; the connection ends after the body.
    ContentLength(Vec<String>),
    /// A 206 that is wrong in one way, or another answer than the range deserves.
    Range(RangeLie),
    /// So many headers more, each of so many bytes.
    HeaderFlood {
        count: usize,
        value_bytes: usize,
    },
    /// So many interim answers ahead of the real one.
    Interim {
        status: u16,
        count: usize,
    },
    /// Waits at the gate before the status line.
    HoldHead(Gate),
    /// Waits at the gate after so many bytes of the body.
    HoldBody(u64, Gate),
    /// So many body bytes a second.
    Pace(u64),
    /// Anything else.
    Edit(Edit),
}

pub(crate) type Edit = Arc<dyn Fn(&Request, &mut Answer) + Send + Sync>;

impl On {
    pub(crate) fn meets(self, nth: u64, request: &Request) -> bool {
        match self {
            Self::Every => true,
            Self::Nth(n) => nth == n,
            Self::UpTo(n) => nth <= n,
            Self::From(n) => nth >= n,
            Self::Ranged => request.header("range").is_some(),
            Self::Whole => request.header("range").is_none(),
        }
    }
}

impl Fault {
    pub(crate) fn status(status: u16) -> Self {
        Self::Instead(Answer::error(status))
    }

    pub(crate) fn retry_after(status: u16, value: &str) -> Self {
        Self::Instead(Answer::error(status).with("Retry-After", value))
    }

    pub(crate) fn edit(edit: impl Fn(&Request, &mut Answer) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }

    /// Does to the answer what the fault says. A script takes the place of the answer.
    pub(crate) fn apply(&self, request: &Request, file: Option<&File>, answer: &mut Answer) -> Option<Vec<Action>> {
        match self {
            Self::NoAnswer(end) => return Some(vec![Action::End(*end)]),
            Self::Script(script) => return Some(script.clone()),
            Self::Instead(other) => *answer = other.clone(),
            Self::Cut(at, end) => answer.cut = Some((*at, *end)),
            Self::Set(name, value) => answer.set(name, value),
            Self::Add(name, value) => answer.headers.push(((*name).to_owned(), value.clone())),
            Self::ContentLength(values) => {
                answer.remove("content-length");
                answer.framing = if values.is_empty() { Framing::Close } else { Framing::Length };
                answer.headers.extend(values.iter().map(|value| ("Content-Length".to_owned(), value.clone())));
                answer.end = Some(End::Orderly);
            }
            Self::Range(lie) => lie.apply(request, file.expect("only files have ranges to lie about"), answer),
            Self::HeaderFlood { count, value_bytes } => {
                let value = "x".repeat(*value_bytes);
                answer.headers.extend((0..*count).map(|n| (format!("X-Flood-{n}"), value.clone())));
            }
            Self::Interim { status, count } => {
                answer.interim =
                    format!("HTTP/1.1 {status} Wait\r\nX-Interim: yes\r\n\r\n").repeat(*count).into_bytes();
            }
            Self::HoldHead(gate) => answer.head_gate = Some(gate.clone()),
            Self::HoldBody(bytes, gate) => answer.body_gate = Some((*bytes, gate.clone())),
            Self::Pace(bytes_per_second) => answer.bytes_per_second = Some(*bytes_per_second),
            Self::Edit(edit) => edit(request, answer),
        }
        None
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fault")
    }
}
