//! The acceptance rules: which bytes of which answers may become part of a file (RFC 9110 sections 13 to 15). Pure.
//!
//! Bytes that are durable are joined only by bytes of the same version of the remote file, and only at the very place where
//! they end. Whatever is not certain begins the file again, or fails; it never appends.

use super::content_range::ContentRange;
use super::error::{FileError, RedirectRefusal};
use super::head::{Field, Head};
use super::layout::{Part, PartOf};
use crate::job::{FileVersion, RestartReason};

/// What the request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// The file from its begin; no Range was sent.
    Whole,
    /// The first part of a file of ranges; nothing of it is there.
    First {
        part: Part,
        /// What is to follow it.
        sequel: Sequel,
    },
    /// What follows the bytes that are there.
    Rest {
        part: Part,
        /// The version that they belong to.
        known: &'a FileVersion,
        /// Why they may be kept.
        keep: Keep,
    },
}

/// What the parts that follow the first one of a file need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// There are none, or the client gave a digest, which will tell.
    NeedsNothing,
    /// A strong validator: without one nobody could say that they are of the same version (RFC 9110 section 15.3.7.3).
    NeedsValidator,
}

/// What must hold for durable bytes to be kept (design.md section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The version's strong validator was sent as If-Range.
    Validator,
    /// There is no strong validator, but the client gave a digest, which will tell. No If-Range was sent.
    Digest,
    /// The file has another remote name now: total, strong ETag and Last-Modified must all be those known. If-Range was sent.
    RepointedSame,
    /// The file has another remote name now, and the client gave a digest: the total must be the known one. No If-Range was sent.
    RepointedDigest,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// So many bytes.
    Exactly(u64),
    /// The last chunk.
    Chunked,
    /// The end of the connection, which a cut looks like as well: such bytes are never resumed.
    UntilClose,
}

/// A body that is the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeBody {
    pub(crate) length: BodyLength,
    pub(crate) version: FileVersion,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Decision {
    /// Its body is the file from its begin; nothing was durable.
    Whole(WholeBody),
    /// Its body goes on where the bytes that are there end, after its first `discard` bytes, which are there already.
    Append {
        discard: u64,
        /// Bytes of the body, the discarded ones included.
        length: u64,
        version: FileVersion,
    },
    /// The durable bytes are given up.
    Restart { reason: RestartReason, next: Next },
    /// The remote file ends where the bytes that are there end.
    Done { version: FileVersion },
    /// Ask there.
    Redirect { location: String },
    /// Refused.
    Fail(FileError),
}

/// How a file begins again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// This very answer carries the whole file.
    TakeThisBody(WholeBody),
    /// This answer is of no use; ask for the whole.
    AskAgain,
}

/// Applies the rules. `bytes_max` is the largest file that is accepted.
pub(crate) fn accept(asked: Asked<'_>, head: &Head, bytes_max: u64) -> Decision {
    match head.status {
        301 | 302 | 303 | 307 | 308 => match &head.location {
            Some(location) => Decision::Redirect { location: location.clone() },
            None => Decision::Fail(FileError::RedirectRefused { reason: RedirectRefusal::NotHttp }),
        },
        200 | 206 => match &head.encoding {
            Some(encoding) => Decision::Fail(FileError::Encoded { encoding: encoding.clone() }),
            None if head.content_length == Field::Invalid => invalid("its Content-Length fields contradict each other"),
            None => success(asked, head, bytes_max),
        },
        416 => match asked {
            Asked::Whole => Decision::Fail(FileError::Status { status: 416 }),
            Asked::First { part, .. } => Decision::Fail(FileError::InvalidRange { start: part.start }),
            Asked::Rest { part, known, keep } => unsatisfied(part, known, keep, head),
        },
        300 | 304..=306 | 309..=599 => Decision::Fail(FileError::Status { status: head.status }),
        status => invalid(&format!("status {status} in answer to GET")),
    }
}

fn success(asked: Asked<'_>, head: &Head, bytes_max: u64) -> Decision {
    match (asked, head.status) {
        (Asked::Whole, 200) => match whole_body(head, bytes_max) {
            Ok(body) => Decision::Whole(body),
            Err(error) => Decision::Fail(error),
        },
        (Asked::Whole, _) => invalid("a part of the file, though all of it was asked for"),
        (Asked::First { .. }, 200) => Decision::Fail(FileError::RangesNotServed),
        (Asked::First { part, sequel }, _) => first(part, sequel, head),
        (Asked::Rest { part: Part { of: PartOf::Range { .. }, .. }, known, keep }, 200) => {
            whole_for_a_range(known, keep, head)
        }
        // The request had no If-Range that failed, or it had and the file is another: all from the begin.
        (Asked::Rest { known, keep, .. }, 200) => match whole_body(head, bytes_max) {
            Ok(body) => {
                let reason = reason_of_whole(known, keep, head, body.version.bytes_total);
                Decision::Restart { reason, next: Next::TakeThisBody(body) }
            }
            Err(FileError::InvalidAnswer { .. }) => again(RestartReason::RangeIgnored),
            Err(error) => Decision::Fail(error),
        },
        (Asked::Rest { part, known, keep }, _) => rest(part, known, keep, head, bytes_max),
    }
}

/// A 206 to the first range of a file.
fn first(part: Part, sequel: Sequel, head: &Head) -> Decision {
    let Some(piece) = piece(part, head) else {
        return invalid("not the part of the file that was asked for, or one that contradicts itself");
    };
    if is_beyond(part, piece.total) {
        return Decision::Fail(FileError::InvalidRange { start: part.start });
    }
    if sequel == Sequel::NeedsValidator && head.version.strong_validator().is_none() {
        return Decision::Fail(FileError::NothingJoinsRanges);
    }
    let version = FileVersion { bytes_total: piece.total, ..head.version.clone() };
    Decision::Append { discard: piece.discard, length: piece.length, version }
}

/// What a 206 holds of the part that was asked for.
struct Piece {
    discard: u64,
    length: u64,
    total: Option<u64>,
    end: u64,
}

/// None if it holds nothing of use, or does not say clearly what: it may begin early and end early, and not pass the part's end.
fn piece(part: Part, head: &Head) -> Option<Piece> {
    let Some(ContentRange::Satisfied { range, total }) = head.content_range.present() else { return None };
    let length = range.end - range.start;
    let misframed = head.content_length.present().is_some_and(|given| *given != length);
    let out_of_place =
        range.start > part.start || range.end <= part.start || part.end.is_some_and(|end| range.end > end);
    let is_good = !head.multipart && !misframed && !out_of_place;
    is_good.then(|| Piece { discard: part.start - range.start, length, total: *total, end: range.end })
}

/// Whether the remote file ends before the range does.
fn is_beyond(part: Part, total: Option<u64>) -> bool {
    part.end.zip(total).is_some_and(|(end, total)| end > total)
}

/// A 200 to the request for a further part of a file of ranges. The whole is never taken for it. It is what the condition of the request
/// asked for, if the file is another by now; if the file is the same, the origin does not serve ranges.
fn whole_for_a_range(known: &FileVersion, keep: Keep, head: &Head) -> Decision {
    let found = &head.version;
    let is_same = match known.strong_etag() {
        Some(etag) => found.etag.as_deref() == Some(etag),
        None => known.last_modified == found.last_modified,
    };
    match keep {
        Keep::Validator | Keep::RepointedSame if !is_same => again(changed(keep)),
        _ => Decision::Fail(FileError::RangesNotServed),
    }
}

/// A 200. One with a Content-Range is taken only if that range is the whole file.
fn whole_body(head: &Head, bytes_max: u64) -> Result<WholeBody, FileError> {
    let content_length = head.content_length.present().copied();
    let total = match &head.content_range {
        Field::Absent => content_length,
        Field::Present(ContentRange::Satisfied { range, total: Some(total) })
            if range.start == 0 && range.end == *total && content_length.is_none_or(|length| length == *total) =>
        {
            Some(*total)
        }
        _ => return Err(invalid_answer("status 200 with a Content-Range that is not the whole file")),
    };
    match total {
        Some(bytes) if bytes > bytes_max => Err(FileError::TooLarge { bytes, bytes_max }),
        Some(bytes) => {
            let version = FileVersion { bytes_total: total, ..head.version.clone() };
            Ok(WholeBody { length: BodyLength::Exactly(bytes), version })
        }
        None if head.chunked => Ok(WholeBody { length: BodyLength::Chunked, version: head.version.clone() }),
        // Without validators nothing is ever resumed.
        None => Ok(WholeBody { length: BodyLength::UntilClose, version: FileVersion::default() }),
    }
}

/// Why a range request was answered with the whole.
fn reason_of_whole(known: &FileVersion, keep: Keep, head: &Head, total: Option<u64>) -> RestartReason {
    let other_total = known.bytes_total.is_some() && total.is_some() && known.bytes_total != total;
    match keep {
        Keep::RepointedSame | Keep::RepointedDigest => RestartReason::Repointed,
        Keep::Validator | Keep::Digest if other_total || contradicts(known, head) => RestartReason::RemoteFileChanged,
        Keep::Validator | Keep::Digest => RestartReason::RangeIgnored,
    }
}

/// A 206 to the request for what follows.
fn rest(part: Part, known: &FileVersion, keep: Keep, head: &Head, bytes_max: u64) -> Decision {
    let Some(Piece { discard, length, total, end }) = piece(part, head) else {
        return again(RestartReason::RangeIgnored);
    };
    match (known.bytes_total, total) {
        (Some(known_total), Some(total)) if known_total != total => return again(changed(keep)),
        (Some(_), None) => return again(RestartReason::RangeIgnored),
        _ => {}
    }
    if let Err(reason) = same_version(known, keep, head) {
        return again(reason);
    }
    if is_beyond(part, total) {
        return Decision::Fail(FileError::InvalidRange { start: part.start });
    }
    // The end of the range stands for the total where that is unknown. Of a file of ranges, the size is another one than that of the remote
    // file, and was looked at before.
    let bytes = total.unwrap_or(end);
    if part.of == PartOf::File && bytes > bytes_max {
        return Decision::Fail(FileError::TooLarge { bytes, bytes_max });
    }
    let validators = match keep {
        Keep::Validator | Keep::RepointedSame => known.clone(),
        Keep::Digest | Keep::RepointedDigest => head.version.clone(),
    };
    let version = FileVersion { bytes_total: total, ..validators };
    Decision::Append { discard, length, version }
}

/// A 416 to the request for what follows: the file ends where the bytes end that are there, or before a range, or it is another one.
fn unsatisfied(part: Part, known: &FileVersion, keep: Keep, head: &Head) -> Decision {
    let total = match head.content_range.present() {
        Some(ContentRange::Unsatisfied { total }) => *total,
        _ => None,
    };
    if let PartOf::Range { taken } = part.of
        && (taken == 0 || part.end.is_some())
    {
        return no_such_range(part, taken, known, keep, head, total);
    }
    let Some(total) = total else { return again(RestartReason::RangeIgnored) };
    // Where the total was known there was something left to ask for, so that this one is another.
    if total != part.start || known.bytes_total.is_some() {
        return again(changed(keep));
    }
    match keep {
        Keep::RepointedSame => again(RestartReason::Repointed),
        // As for a 206: an origin that ignores If-Range must not make the begin of one version the whole of another.
        Keep::Validator | Keep::Digest | Keep::RepointedDigest => match same_version(known, keep, head) {
            Ok(()) => Decision::Done { version: FileVersion { bytes_total: Some(total), ..known.clone() } },
            Err(reason) => again(reason),
        },
    }
}

/// A 416 where a range cannot end: it lies beyond the file, or the file is another one. To fail takes no proof that it is the same; a 416
/// need not have an ETag.
fn no_such_range(part: Part, taken: u64, known: &FileVersion, keep: Keep, head: &Head, total: Option<u64>) -> Decision {
    let other_total = known.bytes_total.is_some() && total.is_some() && known.bytes_total != total;
    // Bytes of a range within a file of known size cannot all be missing.
    let is_shorter = taken > 0 && known.bytes_total.is_some();
    if other_total || is_shorter || contradicts(known, head) {
        return again(changed(keep));
    }
    match total {
        Some(total) if total > part.start => again(RestartReason::RangeIgnored),
        _ => Decision::Fail(FileError::InvalidRange { start: part.start }),
    }
}

/// Whether a 206 or a 416 is of the version that is known.
fn same_version(known: &FileVersion, keep: Keep, head: &Head) -> Result<(), RestartReason> {
    let found = &head.version;
    match keep {
        Keep::Validator => match (known.strong_etag(), found.etag.as_deref()) {
            (Some(etag), Some(found)) if etag == found => Ok(()),
            (Some(_), Some(_)) => Err(RestartReason::RemoteFileChanged),
            // A 206 has the ETag that a 200 would have had (RFC 9110 section 15.3.7).
            (Some(_), None) => Err(RestartReason::NoValidator),
            // A date was sent; a 206 to If-Range may leave Last-Modified out.
            (None, _) if contradicts(known, head) => Err(RestartReason::RemoteFileChanged),
            (None, _) => Ok(()),
        },
        Keep::Digest if contradicts(known, head) => Err(RestartReason::RemoteFileChanged),
        Keep::Digest | Keep::RepointedDigest => Ok(()),
        Keep::RepointedSame => {
            let same_etag = known.strong_etag().is_some() && known.strong_etag() == found.etag.as_deref();
            let same_date = known.last_modified.is_some() && known.last_modified == found.last_modified;
            if same_etag && same_date && known.bytes_total.is_some() { Ok(()) } else { Err(RestartReason::Repointed) }
        }
    }
}

/// Whether the validators say that this is another version. ETags, where both are there, have the last word.
fn contradicts(known: &FileVersion, head: &Head) -> bool {
    let opaque = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
    match (&known.etag, &head.version.etag) {
        (Some(known), Some(found)) => opaque(known) != opaque(found),
        _ => match (&known.last_modified, &head.version.last_modified) {
            (Some(known), Some(found)) => known != found,
            _ => false,
        },
    }
}

const fn changed(keep: Keep) -> RestartReason {
    match keep {
        Keep::Validator | Keep::Digest => RestartReason::RemoteFileChanged,
        Keep::RepointedSame | Keep::RepointedDigest => RestartReason::Repointed,
    }
}

const fn again(reason: RestartReason) -> Decision {
    Decision::Restart { reason, next: Next::AskAgain }
}

fn invalid_answer(what: &str) -> FileError {
    FileError::InvalidAnswer { what: what.to_owned() }
}

fn invalid(what: &str) -> Decision {
    Decision::Fail(invalid_answer(what))
}

#[cfg(test)]
mod tests;
