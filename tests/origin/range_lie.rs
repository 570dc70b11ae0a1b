//! Wrong answers to range requests: each breaks one rule, and keeps every other, so that nothing else gives it away.

use std::ops::Range;

use super::answer::Answer;
use super::gzip::gzip;
use super::request::Request;
use super::resource::File;
use super::script::Piece;

/// What is wrong. `start` stands for the first byte asked for (0 if the request had no Range), `size` for the file's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeLie {
    /// 206 without Content-Range.
    NoContentRange,
    /// 206 with this Content-Range, word for word.
    Garbled(&'static str),
    /// 206 that honestly begins so many bytes too early.
    Early(u64),
    /// 206 that honestly begins so many bytes too late: a gap.
    Late(u64),
    /// 206 that honestly ends so many bytes before the end, if it begins before that.
    EndsEarly(u64),
    /// 206 whose range ends beyond the total, its body too.
    EndsBeyondTotal(u64),
    /// 206 whose Content-Range promises so many bytes fewer than the body has.
    SaysLess(u64),
    /// 206 whose Content-Range promises so many bytes more than the body has.
    SaysMore(u64),
    /// 206 with a total that is off by this.
    TotalOffBy(i64),
    /// 206 with `*` for a total: allowed, if nothing else is wrong.
    TotalUnknown,
    /// 206 whose last byte comes before its first.
    Reversed,
    /// 206 with two Content-Range headers that differ.
    TwoContentRanges,
    /// 206 in a unit that is not bytes.
    OtherUnit,
    /// 206 as multipart/byteranges, one part.
    Multipart,
    /// 206 with another strong ETag, and the bytes of another version.
    OtherVersion,
    /// 206 with the same ETag, but weak.
    WeakEtag,
    /// 206 without any validator.
    NoEtag,
    /// 206 with the range gzip'd, and said so.
    Gzip,
    /// The right label on the bytes from another place: only a digest tells.
    OtherBytes,
    /// 200 with the whole file.
    WholeAs200,
    /// 200 with the whole file, and a Content-Range of what was asked.
    WholeAs200WithContentRange,
    /// 200 with the part that was asked for, and its Content-Range.
    PartAs200WithContentRange,
    /// 416 with the size of the file.
    Unsatisfiable,
    /// 416 with a size that is off by this.
    UnsatisfiableOffBy(i64),
    /// 416 without a size.
    UnsatisfiableWithoutSize,
}

impl RangeLie {
    pub(crate) fn apply(self, request: &Request, file: &File, answer: &mut Answer) {
        let size = file.content.size_bytes;
        let start = asked_start(request).min(size.saturating_sub(1));
        let honest = start..size;
        match self {
            Self::NoContentRange => {
                part(file, honest, answer);
                answer.remove("content-range");
            }
            Self::Garbled(value) => part_labelled(file, honest, value, answer),
            Self::Early(by) => part(file, start.saturating_sub(by)..size, answer),
            Self::Late(by) => part(file, (start + by).min(size - 1)..size, answer),
            Self::EndsEarly(by) => part(file, start..if start < size - by { size - by } else { size }, answer),
            Self::EndsBeyondTotal(by) => {
                let label = format!("bytes {start}-{}/{size}", size + by - 1);
                part_labelled(file, start..size + by, &label, answer);
            }
            Self::SaysLess(by) => part_labelled(file, honest, &label(start..size - by, size), answer),
            Self::SaysMore(by) => part_labelled(file, start..size - by, &label(honest, size), answer),
            Self::TotalOffBy(by) => {
                let label = label(honest.clone(), size.checked_add_signed(by).unwrap());
                part_labelled(file, honest, &label, answer);
            }
            Self::TotalUnknown => part_labelled(file, honest, &format!("bytes {start}-{}/*", size - 1), answer),
            Self::Reversed => part_labelled(file, honest, &format!("bytes {}-{start}/{size}", size - 1), answer),
            Self::TwoContentRanges => {
                part(file, honest, answer);
                answer.headers.push(("Content-Range".to_owned(), label(0..size, size)));
            }
            Self::OtherUnit => part_labelled(file, honest, &format!("items {start}-{}/{size}", size - 1), answer),
            Self::Multipart => multipart(file, honest, answer),
            Self::OtherVersion => {
                part(file, honest.clone(), answer);
                answer.body = vec![Piece::Seeded { seed: file.content.seed ^ 0xFFFF, range: honest }];
                answer.set("ETag", "\"another-version\"");
            }
            Self::WeakEtag => {
                part(file, honest, answer);
                answer.set("ETag", &format!("W/{}", file.strong_etag()));
            }
            Self::NoEtag => {
                part(file, honest, answer);
                answer.remove("etag");
                answer.remove("last-modified");
            }
            Self::Gzip => {
                part(file, honest.clone(), answer);
                answer.body = vec![Piece::Bytes(gzip(&file.content.bytes(honest)))];
                answer.set("Content-Encoding", "gzip");
            }
            Self::OtherBytes => {
                part(file, honest.clone(), answer);
                answer.body = vec![Piece::Seeded { seed: file.content.seed ^ 0xFFFF, range: honest }];
            }
            Self::WholeAs200 => whole(file, answer),
            Self::WholeAs200WithContentRange => {
                whole(file, answer);
                answer.set("Content-Range", &label(honest, size));
            }
            Self::PartAs200WithContentRange => {
                part(file, honest, answer);
                answer.status = 200;
            }
            Self::Unsatisfiable => *answer = Answer::error(416).with("Content-Range", &format!("bytes */{size}")),
            Self::UnsatisfiableOffBy(by) => {
                let size = size.checked_add_signed(by).unwrap();
                let answered = Answer::error(416).with("Content-Range", &format!("bytes */{size}"));
                *answer = answered.with("ETag", &file.strong_etag());
            }
            Self::UnsatisfiableWithoutSize => *answer = Answer::error(416),
        }
    }
}

fn asked_start(request: &Request) -> u64 {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    range.and_then(|range| range.split('-').next()?.parse().ok()).unwrap_or(0)
}

fn label(range: Range<u64>, size: u64) -> String {
    // A range that a lie has emptied is said as its one byte before: still a well-formed header.
    format!("bytes {}-{}/{size}", range.start, range.end.max(range.start + 1) - 1)
}

fn part(file: &File, range: Range<u64>, answer: &mut Answer) {
    let label = label(range.clone(), file.content.size_bytes);
    part_labelled(file, range, &label, answer);
}

fn part_labelled(file: &File, range: Range<u64>, label: &str, answer: &mut Answer) {
    answer.status = 206;
    answer.set("Content-Range", label);
    answer.body = vec![Piece::Seeded { seed: file.content.seed, range }];
}

fn whole(file: &File, answer: &mut Answer) {
    answer.status = 200;
    answer.remove("content-range");
    answer.body = vec![Piece::Seeded { seed: file.content.seed, range: 0..file.content.size_bytes }];
}

fn multipart(file: &File, range: Range<u64>, answer: &mut Answer) {
    let label = label(range.clone(), file.content.size_bytes);
    part(file, range.clone(), answer);
    answer.remove("content-range");
    answer.set("Content-Type", "multipart/byteranges; boundary=cut");
    let head = format!("--cut\r\nContent-Type: application/octet-stream\r\nContent-Range: {label}\r\n\r\n");
    answer.body = vec![
        Piece::Bytes(head.into_bytes()),
        Piece::Seeded { seed: file.content.seed, range },
        Piece::Bytes(b"\r\n--cut--\r\n".to_vec()),
    ];
}
