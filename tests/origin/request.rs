//! Requests as the origin reads them.

use std::io;

use tokio::io::AsyncReadExt;

use super::wire::Transport;

/// Longest request head that is read; more than any client under test sends.
const HEAD_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As sent, with its query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// None unless `head` is the well-formed head of a request.
    pub(crate) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") || words.next().is_some() {
            return None;
        }
        let headers = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
            .collect::<Option<_>>()?;
        Some(Self { method: method.to_owned(), target: target.to_owned(), headers })
    }

    /// Reads the next request, and drops its body; `buffer` carries what came after it. None at the end of the
    /// connection.
    pub(crate) async fn read(stream: &mut impl Transport, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let head_bytes = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("request head too long"));
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_bytes]).into_owned();
        let request = Self::parse(&head).ok_or_else(|| io::Error::other(format!("not a request: {head:?}")))?;
        buffer.drain(..head_bytes);
        let mut body_bytes: usize = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while body_bytes > 0 {
            let take = body_bytes.min(buffer.len());
            buffer.drain(..take);
            body_bytes -= take;
            if body_bytes > 0 && stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_head_is_taken_apart() {
        let request = Request::parse("GET /a?b=c HTTP/1.1\r\nHost: x\r\nrange: bytes=5-\r\n\r\n").unwrap();
        assert_eq!((request.method.as_str(), request.path()), ("GET", "/a"));
        assert_eq!(request.target, "/a?b=c");
        assert_eq!(request.header("Range"), Some("bytes=5-"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in
            ["", "GET / HTTP/2\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1 x\r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n"]
        {
            assert_eq!(Request::parse(head), None, "{head:?}");
        }
    }
}
