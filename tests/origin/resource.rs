//! What lives at a path, and the right answer to a request for it (RFC 9110): ranges, If-Range, If-Match, 416.

use std::ops::Range;

use super::answer::{Answer, Framing};
use super::content::Content;
use super::gzip::gzip;
use super::request::Request;
use super::script::Piece;

#[derive(Debug, Clone)]
pub(crate) enum Resource {
    File(File),
    /// The same answer to every request.
    Fixed(Answer),
}

/// A seeded file, and how the server presents it.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) content: Content,
    pub(crate) etag: Etag,
    pub(crate) last_modified: Option<&'static str>,
    pub(crate) ranges: Ranges,
    pub(crate) framing: Framing,
    pub(crate) encoding: Encoding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Etag {
    None,
    /// Strong, and a function of the content, as it should be.
    OfContent,
    /// `W/` before that.
    Weak,
    /// Strong, and another one at every request: servers behind one balancer, each with tags of its own.
    PerRequest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranges {
    Served,
    /// Served without regard to If-Range: what several caches do.
    ServedBlindly,
    /// The whole file, whatever was asked.
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    /// gzip, and said so, although the client did not ask for it.
    Gzip,
    /// gzip bytes without a Content-Encoding: to the client, that is what the file is.
    GzipUnlabelled,
    /// The identity bytes under a label that does not fit them.
    Labelled(&'static str),
}

/// Older than any answer's Date by years: a strong validator by RFC 9110, section 8.8.2.2.
pub(crate) const OLD_DATE: &str = "Tue, 01 Jan 2019 00:00:00 GMT";

impl File {
    /// A file as a good server presents it: strong ETag, old Last-Modified, ranges, Content-Length.
    pub(crate) fn seeded(seed: u64, size_bytes: u64) -> Self {
        Self {
            content: Content::new(seed, size_bytes),
            etag: Etag::OfContent,
            last_modified: Some(OLD_DATE),
            ranges: Ranges::Served,
            framing: Framing::Length,
            encoding: Encoding::Identity,
        }
    }

    pub(crate) fn without_validators(self) -> Self {
        Self { etag: Etag::None, last_modified: None, ..self }
    }

    pub(crate) fn strong_etag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.content.seed, self.content.size_bytes)
    }

    fn etag(&self, nth: u64) -> Option<String> {
        match self.etag {
            Etag::None => None,
            Etag::OfContent => Some(self.strong_etag()),
            Etag::Weak => Some(format!("W/{}", self.strong_etag())),
            Etag::PerRequest => Some(format!("\"node-{nth}\"")),
        }
    }

    /// The answer to the `nth` request, without faults.
    pub(crate) fn answer(&self, request: &Request, nth: u64) -> Answer {
        let etag = self.etag(nth);
        if let Some(wanted) = request.header("if-match")
            && wanted != "*"
            && !wanted.split(',').any(|tag| is_strong(tag.trim()) && Some(tag.trim()) == etag.as_deref())
        {
            return Answer::error(412);
        }
        let size_bytes = self.content.size_bytes;
        let mut answer = match self.wanted(request, etag.as_deref()) {
            Wanted::All => Answer { body: vec![self.piece(0..size_bytes)], ..Answer::new(200) },
            Wanted::Part(range) => {
                let content_range = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
                let body = vec![self.piece(range)];
                Answer { body, ..Answer::new(206).with("Content-Range", &content_range) }
            }
            Wanted::Nothing => {
                let answer = Answer::error(416).with("Content-Range", &format!("bytes */{size_bytes}"));
                return etag.iter().fold(answer, |answer, etag| answer.with("ETag", etag));
            }
        };
        if self.ranges != Ranges::Ignored {
            answer.set("Accept-Ranges", "bytes");
        }
        answer.set("Content-Type", "application/octet-stream");
        if let Some(etag) = etag {
            answer.set("ETag", &etag);
        }
        if let Some(date) = self.last_modified {
            answer.set("Last-Modified", date);
        }
        answer.framing = self.framing;
        self.encode(answer)
    }

    fn piece(&self, range: Range<u64>) -> Piece {
        Piece::Seeded { seed: self.content.seed, range }
    }

    fn wanted(&self, request: &Request, etag: Option<&str>) -> Wanted {
        if self.ranges == Ranges::Ignored || request.method != "GET" {
            return Wanted::All;
        }
        if let Some(condition) = request.header("if-range")
            && self.ranges != Ranges::ServedBlindly
            && !(Some(condition) == self.last_modified || (is_strong(condition) && Some(condition) == etag))
        {
            return Wanted::All;
        }
        request.header("range").map_or(Wanted::All, |range| wanted(range, self.content.size_bytes))
    }

    fn encode(&self, mut answer: Answer) -> Answer {
        if self.encoding == Encoding::Identity {
            return answer;
        }
        if let Encoding::Labelled(label) = self.encoding {
            answer.set("Content-Encoding", label);
            return answer;
        }
        if self.encoding == Encoding::Gzip {
            answer.set("Content-Encoding", "gzip");
        }
        let content: Vec<u8> = answer.body.iter().flat_map(Piece::bytes).collect();
        answer.body = vec![Piece::Bytes(gzip(&content))];
        answer
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

/// What a Range header asks of a file. A header that is not understood is ignored, and so are several ranges.
fn wanted(range: &str, size_bytes: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let part = |start: u64, end: u64| if start < end { Wanted::Part(start..end) } else { Wanted::Nothing };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Err(_)) if last.is_empty() => part(first, size_bytes),
        (Ok(first), Ok(last)) if first <= last => part(first, size_bytes.min(last.saturating_add(1))),
        (Err(_), Ok(suffix)) if first.is_empty() => part(size_bytes.saturating_sub(suffix), size_bytes),
        _ => Wanted::All,
    }
}

fn is_strong(etag: &str) -> bool {
    etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_the_standard_says() {
        for (range, meant) in [
            ("bytes=0-", Wanted::Part(0..100)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=99-", Wanted::Part(99..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("items=0-1", Wanted::All),
            ("bytes=-", Wanted::All),
        ] {
            assert_eq!(wanted(range, 100), meant, "{range}");
        }
    }

    fn ask(file: &File, headers: &str) -> u16 {
        let request = Request::parse(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).unwrap();
        file.answer(&request, 1).status
    }

    #[test]
    fn if_range_needs_the_strong_validator_of_now() {
        let file = File::seeded(1, 100);
        let etag = file.strong_etag();
        assert_eq!(ask(&file, &format!("Range: bytes=5-\r\nIf-Range: {etag}\r\n")), 206);
        assert_eq!(ask(&file, "Range: bytes=5-\r\nIf-Range: \"other\"\r\n"), 200);
        assert_eq!(ask(&file, &format!("Range: bytes=5-\r\nIf-Range: {OLD_DATE}\r\n")), 206);
        assert_eq!(ask(&file, "Range: bytes=5-\r\nIf-Range: Tue, 01 Jan 2019 00:00:01 GMT\r\n"), 200);
        let weak = File { etag: Etag::Weak, ..file };
        assert_eq!(ask(&weak, &format!("Range: bytes=5-\r\nIf-Range: W/{etag}\r\n")), 200);
        let blind = File { ranges: Ranges::ServedBlindly, ..weak };
        assert_eq!(ask(&blind, "Range: bytes=5-\r\nIf-Range: \"other\"\r\n"), 206);
    }

    #[test]
    fn if_match_fails_unless_the_tag_is_there() {
        let file = File::seeded(1, 100);
        assert_eq!(ask(&file, &format!("If-Match: \"x\", {}\r\n", file.strong_etag())), 200);
        assert_eq!(ask(&file, "If-Match: \"x\"\r\n"), 412);
    }
}
