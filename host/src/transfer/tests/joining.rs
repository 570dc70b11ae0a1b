//! Whatever ranges are wanted, and wherever answers are cut: what is joined is the ranges, one after the other, of one version.

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::job::{FileRange, FileVersion, RestartReason, ranges};
use crate::transfer::accept::{Asked, Decision, accept};
use crate::transfer::error::FileError;
use crate::transfer::head::Head;
use crate::transfer::layout::Part;
use crate::transfer::resume::{Content, Digest, Known, Plan, RemoteName, plan};

/// Rounds after which every file is whole: the last ones of the origin are without fault.
const ROUNDS: usize = 400;

/// What the origin does with one request.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// Which version of the file it has by now.
    version: u8,
    /// It sends less than it was asked for.
    at_most: u64,
    /// It begins earlier than it was asked to.
    early: u64,
    /// It does not say how large the file is.
    hides_total: bool,
    /// It takes no notice of If-Range.
    is_blind: bool,
    /// So many bytes of the body come before the connection breaks.
    cut: u64,
}

const GOOD: Answer =
    Answer { version: 0, at_most: u64::MAX, early: 0, hides_total: false, is_blind: false, cut: u64::MAX };

fn byte(version: u8, place: u64) -> u8 {
    (place as u8).wrapping_mul(31).wrapping_add(version.wrapping_mul(101))
}

/// Head and body.
fn respond(answer: Answer, part: Part, if_range: Option<&str>, total: u64) -> (Head, Vec<u8>) {
    let etag = format!("\"v{}\"", answer.version);
    let (mut fields, status, body): (Vec<(&str, String)>, u16, _);
    let is_other = if_range.is_some_and(|validator| validator != etag);
    let end = part.end.unwrap_or(total).min(total);
    if is_other && !answer.is_blind {
        fields = vec![("content-length", total.to_string())];
        (status, body) = (200, 0..total);
    } else if part.start >= total {
        fields = vec![("content-range", format!("bytes */{total}"))];
        (status, body) = (416, 0..0);
    } else {
        let start = part.start.saturating_sub(answer.early);
        let end = end.min(part.start.saturating_add(answer.at_most.max(1)));
        let shown = if answer.hides_total { "*".to_owned() } else { total.to_string() };
        fields = vec![("content-range", format!("bytes {start}-{}/{shown}", end - 1))];
        (status, body) = (206, start..end);
    }
    fields.push(("etag", etag));
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    (Head::parse(status, &headers), body.map(|place| byte(answer.version, place)).collect())
}

/// How the file ended: its bytes, or why there are none.
fn fetch(wanted: &[FileRange], total: u64, answers: &[Answer]) -> Result<Vec<u8>, FileError> {
    let (mut held, mut version): (Vec<u8>, Option<FileVersion>) = (Vec::new(), None);
    let mut answers = answers.iter().copied();
    for _ in 0..ROUNDS {
        let (remote_name, digest, content) = (RemoteName::Same, Digest::None, Content::Static);
        let known =
            Known { held: held.len() as u64, version: version.as_ref(), ranges: wanted, remote_name, digest, content };
        let planned = plan(known);
        let before = version.clone().unwrap_or_default();
        let (asked, part, if_range) = match &planned {
            Plan::Complete => return Ok(held),
            Plan::Whole => panic!("it has ranges"),
            Plan::Restart(_) => {
                (held, version) = (Vec::new(), None);
                continue;
            }
            Plan::First { part, sequel } => (Asked::First { part: *part, sequel: *sequel }, *part, None),
            Plan::Rest { part, keep, if_range } => {
                (Asked::Rest { part: *part, known: &before, keep: *keep }, *part, if_range.as_deref())
            }
        };
        // The version only ever rises, and the last one stays.
        let answer = answers.next().unwrap_or(Answer { version: 9, ..GOOD });
        let (head, body) = respond(answer, part, if_range, total);
        match accept(asked, &head, u64::MAX) {
            Decision::Append { discard, length, version: found } => {
                assert_eq!(length, body.len() as u64);
                let came = body.iter().take(usize::try_from(answer.cut).unwrap_or(usize::MAX));
                held.extend(came.skip(usize::try_from(discard).unwrap()));
                version = Some(found);
            }
            Decision::Done { version: found } => version = Some(found),
            Decision::Restart { reason, .. } => {
                assert!(reason != RestartReason::Repointed);
                (held, version) = (Vec::new(), None);
            }
            Decision::Fail(error) => return Err(error),
            Decision::Whole(_) | Decision::Redirect { .. } => panic!("nothing of that was asked for"),
        }
    }
    panic!("it never ends");
}

/// Ranges that do not overlap, in any order, within a file of so many bytes; the last byte may belong to one to the end.
fn some_ranges() -> impl Strategy<Value = (Vec<FileRange>, u64)> {
    let cuts = prop::collection::btree_set(0_u64..120, 2..12);
    (cuts, any::<bool>(), any::<prop::sample::Index>(), any::<u64>()).prop_map(|(cuts, to_the_end, rotate, order)| {
        let cuts: Vec<u64> = cuts.into_iter().collect();
        let total = cuts[cuts.len() - 1].max(1);
        let pairs = cuts.windows(2).enumerate().filter(|(index, _)| order >> index & 1 == 0 || *index == 0);
        let mut ranges: Vec<FileRange> = pairs
            .map(|(_, pair)| FileRange {
                offset: pair[0],
                length: (!(to_the_end && pair[1] == total)).then(|| pair[1] - pair[0]),
            })
            .collect();
        let by = rotate.index(ranges.len());
        ranges.rotate_left(by);
        (ranges, total)
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let length = prop_oneof![2 => Just(u64::MAX), 3 => 0_u64..20];
    (0_u8..9, length.clone(), 0_u64..3, prop::bool::weighted(0.2), prop::bool::weighted(0.2), length).prop_map(
        |(version, at_most, early, hides_total, is_blind, cut)| Answer {
            version: version / 5,
            at_most,
            early,
            hides_total,
            is_blind,
            cut,
        },
    )
}

fn wanted_bytes(ranges: &[FileRange], total: u64, version: u8) -> Vec<u8> {
    let places = ranges
        .iter()
        .flat_map(|range| range.offset..range.length.map_or(total, |length| range.offset.saturating_add(length)));
    places.map(|place| byte(version, place)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_arrives_is_the_ranges_of_one_version(
        (wanted, total) in some_ranges(),
        mut answers in prop::collection::vec(answer(), 0..30),
    ) {
        prop_assert_eq!(ranges::check(&wanted), Ok(()));
        answers.sort_by_key(|answer| answer.version);
        match fetch(&wanted, total, &answers) {
            Ok(bytes) => {
                let is_one = (0..=9).any(|version| bytes == wanted_bytes(&wanted, total, version));
                prop_assert!(is_one, "{:?}", bytes);
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }

    #[test]
    fn a_range_beyond_the_file_is_never_whole(
        (mut wanted, total) in some_ranges(),
        over in 0_u64..20,
        answers in prop::collection::vec(answer(), 0..10),
        to_the_end: bool,
        at in any::<prop::sample::Index>(),
    ) {
        wanted.retain(|range| range.length.is_some());
        let length = (!to_the_end).then_some(5);
        wanted.insert(at.index(wanted.len() + 1), FileRange { offset: total + over, length });
        // Of one version: else the file would begin again before it is seen.
        let answers: Vec<_> = answers.into_iter().map(|answer| Answer { version: 9, ..answer }).collect();
        let outcome = fetch(&wanted, total, &answers);
        prop_assert!(matches!(outcome, Err(FileError::InvalidRange { .. })), "{:?}", outcome);
    }
}

#[test]
fn the_last_byte_of_a_range_may_be_beyond_the_file() {
    let wanted = [FileRange { offset: 90, length: Some(11) }];
    assert_eq!(fetch(&wanted, 100, &[]), Err(FileError::InvalidRange { start: 90 }));
    assert_eq!(fetch(&wanted, 101, &[]), Ok(wanted_bytes(&wanted, 101, 9)));
}
