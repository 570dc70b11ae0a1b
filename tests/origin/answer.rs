//! An answer before it becomes a script: status, headers, framing, body, and where it is cut or held.

use super::gate::Gate;
use super::script::{Action, End, Piece};

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Sent ahead of the status line: interim (1xx) answers.
    pub(crate) interim: Vec<u8>,
    pub(crate) status: u16,
    /// Sent as they are, in this order, duplicates included.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<Piece>,
    pub(crate) cut: Option<(At, End)>,
    /// Stops before the status line.
    pub(crate) head_gate: Option<Gate>,
    /// Stops after so many bytes of the body.
    pub(crate) body_gate: Option<(u64, Gate)>,
    pub(crate) bytes_per_second: Option<u64>,
    /// What becomes of the connection after the body; none: it is kept.
    pub(crate) end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A Content-Length: the true one, unless the headers hold another already.
    Length,
    Chunked {
        chunk_bytes: u64,
    },
    /// Neither: the body ends with the connection.
    Close,
}

/// Where an answer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// After so many bytes of the body, framing not counted.
    Body(u64),
    /// After so many bytes of the answer, from its status line on.
    Answer(u64),
    /// After so many bytes on the wire: with TLS, within a record.
    Wire(u64),
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            interim: Vec::new(),
            status,
            headers: Vec::new(),
            framing: Framing::Length,
            body: Vec::new(),
            cut: None,
            head_gate: None,
            body_gate: None,
            bytes_per_second: None,
            end: None,
        }
    }

    /// A page that a server sends with an error status.
    pub(crate) fn error(status: u16) -> Self {
        let page = format!("<html><title>{status}</title><h1>{status}</h1></html>\n");
        Self::new(status).with("Content-Type", "text/html").with_body(Piece::Bytes(page.into_bytes()))
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::error(status).with("Location", location)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with_body(mut self, piece: Piece) -> Self {
        self.body.push(piece);
        self
    }

    /// Replaces every header of that name by one.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.body.iter().map(Piece::len_bytes).sum()
    }

    /// The script of this answer to a request of `method`.
    pub(crate) fn script(self, method: &str) -> Vec<Action> {
        let mut script = Vec::new();
        script.extend(self.head_gate.clone().map(Action::Hold));
        if let Some((At::Wire(bytes), end)) = self.cut {
            script.push(Action::CutWire(bytes, end));
        }
        script.extend(self.bytes_per_second.map(Action::Pace));
        script.push(Action::Send(self.head()));
        if method != "HEAD" && !matches!(self.status, 204 | 304) {
            script.extend(self.framed_body());
        }
        if let Some((bytes, gate)) = self.body_gate {
            script = split(script, At::Body(bytes), [Action::Hold(gate)], Rest::Kept);
        }
        match self.cut {
            Some((at @ (At::Body(_) | At::Answer(_)), end)) => split(script, at, [Action::End(end)], Rest::Dropped),
            _ => {
                let close = if self.framing == Framing::Close { Some(End::Orderly) } else { None };
                script.extend(self.end.or(close).map(Action::End));
                script
            }
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = self.interim.clone();
        head.extend(format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).bytes());
        for (name, value) in &self.headers {
            head.extend(format!("{name}: {value}\r\n").bytes());
        }
        match self.framing {
            Framing::Length if self.header("content-length").is_none() && !matches!(self.status, 204 | 304) => {
                head.extend(format!("Content-Length: {}\r\n", self.body_bytes()).bytes());
            }
            Framing::Length => {}
            Framing::Chunked { .. } => head.extend(b"Transfer-Encoding: chunked\r\n"),
            Framing::Close => head.extend(b"Connection: close\r\n"),
        }
        head.extend(b"\r\n");
        head
    }

    fn framed_body(&self) -> Vec<Action> {
        let Framing::Chunked { chunk_bytes } = self.framing else {
            return self.body.iter().cloned().map(Action::Body).collect();
        };
        let mut script = Vec::new();
        for piece in &self.body {
            let mut offset = 0;
            while offset < piece.len_bytes() {
                let chunk = sub_piece(piece, offset, chunk_bytes);
                offset += chunk.len_bytes();
                script.push(Action::Send(format!("{:x}\r\n", chunk.len_bytes()).into_bytes()));
                script.push(Action::Body(chunk));
                script.push(Action::Send(b"\r\n".to_vec()));
            }
        }
        script.push(Action::Send(b"0\r\n\r\n".to_vec()));
        script
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Kept,
    Dropped,
}

/// Puts `between` into a script at a place counted in bytes. A place beyond the end is the end.
fn split<const N: usize>(script: Vec<Action>, at: At, between: [Action; N], rest: Rest) -> Vec<Action> {
    let mut out = Vec::new();
    let mut script = script.into_iter();
    let mut left = match at {
        At::Body(bytes) | At::Answer(bytes) | At::Wire(bytes) => bytes,
    };
    for action in script.by_ref() {
        let counted = match &action {
            Action::Body(piece) => piece.len_bytes(),
            Action::Send(bytes) if matches!(at, At::Answer(_)) => bytes.len() as u64,
            _ => 0,
        };
        if counted <= left {
            left -= counted;
            out.push(action);
            // The framing after the last counted byte belongs behind the place.
            if left > 0 || (counted == 0 && !matches!(at, At::Answer(_))) {
                continue;
            }
            break;
        }
        let (head, tail) = match action {
            Action::Body(piece) => {
                (Action::Body(sub_piece(&piece, 0, left)), Action::Body(sub_piece(&piece, left, u64::MAX)))
            }
            Action::Send(mut bytes) => {
                let tail = bytes.split_off(usize::try_from(left).unwrap());
                (Action::Send(bytes), Action::Send(tail))
            }
            _ => unreachable!("only bytes are counted"),
        };
        out.push(head);
        out.extend(between);
        if rest == Rest::Kept {
            out.push(tail);
            out.extend(script);
        }
        return out;
    }
    out.extend(between);
    if rest == Rest::Kept {
        out.extend(script);
    }
    out
}

fn sub_piece(piece: &Piece, offset: u64, bytes_max: u64) -> Piece {
    match piece {
        Piece::Seeded { seed, range } => {
            let start = range.start + offset;
            Piece::Seeded { seed: *seed, range: start..range.end.min(start.saturating_add(bytes_max)) }
        }
        Piece::Bytes(bytes) => {
            let from = usize::try_from(offset).unwrap();
            let take = (bytes.len() - from).min(usize::try_from(bytes_max).unwrap_or(usize::MAX));
            Piece::Bytes(bytes[from..from + take].to_vec())
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(script: &[Action]) -> Vec<u8> {
        script
            .iter()
            .flat_map(|action| match action {
                Action::Send(bytes) => bytes.clone(),
                Action::Body(piece) => piece.bytes(),
                _ => Vec::new(),
            })
            .collect()
    }

    fn answers() -> [Answer; 3] {
        let answer =
            Answer::new(200).with_body(Piece::Seeded { seed: 1, range: 3..40 }).with_body(Piece::Bytes(vec![7; 9]));
        let chunked = Answer { framing: Framing::Chunked { chunk_bytes: 10 }, ..answer.clone() };
        let close = Answer { framing: Framing::Close, ..answer.clone() };
        [answer, chunked, close]
    }

    #[test]
    fn an_answer_cut_at_n_is_its_first_n_bytes() {
        for answer in answers() {
            let whole = sent(&answer.clone().script("GET"));
            for bytes in 0..whole.len() {
                let cut = Answer { cut: Some((At::Answer(bytes as u64), End::Fin)), ..answer.clone() };
                let script = cut.script("GET");
                assert_eq!(sent(&script), whole[..bytes]);
                assert!(matches!(script.last(), Some(Action::End(End::Fin))));
            }
        }
    }

    #[test]
    fn a_body_cut_at_n_holds_n_body_bytes() {
        for answer in answers() {
            for bytes in 0..=answer.body_bytes() {
                let cut = Answer { cut: Some((At::Body(bytes), End::Reset)), ..answer.clone() };
                let script = cut.script("GET");
                let body: u64 = script
                    .iter()
                    .map(|action| if let Action::Body(piece) = action { piece.len_bytes() } else { 0 })
                    .sum();
                assert_eq!(body, bytes);
                assert!(!sent(&script).ends_with(b"0\r\n\r\n"), "a cut body has no last chunk");
            }
        }
    }

    #[test]
    fn a_gate_within_the_body_changes_no_byte() {
        for answer in answers() {
            let whole = sent(&answer.clone().script("GET"));
            for bytes in 0..=answer.body_bytes() {
                let held = Answer { body_gate: Some((bytes, Gate::shut())), ..answer.clone() };
                assert_eq!(sent(&held.script("GET")), whole);
            }
        }
    }

    #[test]
    fn head_answers_have_no_body() {
        for answer in answers() {
            assert!(sent(&answer.script("HEAD")).ends_with(b"\r\n\r\n"));
        }
    }
}
