use proptest::prelude::*;
use proptest::sample::select;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const MAX: u64 = 1 << 40;
const ETAG: &str = "\"a\"";
const WEAK: &str = "W/\"a\"";
const DATE: &str = "Fri, 20 Nov 2026 12:00:00 GMT";
const OTHER_DATE: &str = "Fri, 20 Nov 2026 12:00:01 GMT";

fn head(status: u16, fields: &[(&str, &str)]) -> Head {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Head::parse(status, &headers)
}

fn known(etag: Option<&str>, last_modified: Option<&str>, bytes_total: Option<u64>) -> FileVersion {
    FileVersion {
        etag: etag.map(str::to_owned),
        last_modified: last_modified.map(str::to_owned),
        last_modified_is_strong: last_modified.is_some(),
        bytes_total,
    }
}

fn rest(known: &FileVersion, keep: Keep) -> Asked<'_> {
    Asked::Rest { part: Part { start: 4, end: None, of: PartOf::File }, known, keep }
}

/// The answer to a request for the rest of a file with strong ETag and 10 bytes, of which 4 are durable.
fn resumed(status: u16, fields: &[(&str, &str)]) -> Decision {
    accept(rest(&known(Some(ETAG), None, Some(10)), Keep::Validator), &head(status, fields), MAX)
}

fn whole(fields: &[(&str, &str)]) -> Decision {
    accept(Asked::Whole, &head(200, fields), MAX)
}

fn taken(length: BodyLength, version: FileVersion) -> Decision {
    Decision::Whole(WholeBody { length, version })
}

fn is_invalid(decision: &Decision) -> bool {
    matches!(decision, Decision::Fail(FileError::InvalidAnswer { .. }))
}

const GOOD: [(&str, &str); 3] = [("etag", ETAG), ("content-range", "bytes 4-9/10"), ("content-length", "6")];

fn good_but(name: &str, value: Option<&str>) -> Decision {
    let mut fields: Vec<(&str, &str)> = GOOD.into_iter().filter(|(field, _)| *field != name).collect();
    fields.extend(value.map(|value| (name, value)));
    resumed(206, &fields)
}

#[test]
fn the_rest_of_the_same_version_is_appended() {
    let version = known(Some(ETAG), None, Some(10));
    let append = Decision::Append { discard: 0, length: 6, version };
    assert_eq!(resumed(206, &GOOD), append);
    assert_eq!(good_but("content-length", None), append);
    assert_eq!(good_but("content-encoding", Some("identity")), append);
}

#[test]
fn bytes_that_are_there_already_are_discarded() {
    let at = |range: &str, length: &str| {
        resumed(206, &[("etag", ETAG), ("content-range", range), ("content-length", length)])
    };
    let version = known(Some(ETAG), None, Some(10));
    assert_eq!(at("bytes 1-9/10", "9"), Decision::Append { discard: 3, length: 9, version: version.clone() });
    assert_eq!(at("bytes 0-4/10", "5"), Decision::Append { discard: 4, length: 5, version });
    // Nothing new.
    assert_eq!(at("bytes 0-3/10", "4"), again(RestartReason::RangeIgnored));
    // A gap.
    assert_eq!(at("bytes 5-9/10", "5"), again(RestartReason::RangeIgnored));
}

#[test]
fn less_than_was_asked_for_is_taken() {
    let fields = [("etag", ETAG), ("content-range", "bytes 4-5/10"), ("content-length", "2")];
    let version = known(Some(ETAG), None, Some(10));
    assert_eq!(resumed(206, &fields), Decision::Append { discard: 0, length: 2, version });
}

#[test]
fn a_range_that_is_malformed_or_misframed_is_never_appended() {
    let ignored = again(RestartReason::RangeIgnored);
    assert_eq!(good_but("content-range", None), ignored);
    assert_eq!(good_but("content-range", Some("bytes 9-4/10")), ignored);
    assert_eq!(good_but("content-range", Some("bytes */10")), ignored);
    assert_eq!(good_but("content-range", Some("bytes 4-9/*")), ignored);
    assert_eq!(good_but("content-length", Some("5")), ignored);
    assert_eq!(good_but("content-length", Some("7")), ignored);
    assert_eq!(good_but("content-type", Some("multipart/byteranges; boundary=x")), ignored);
    let two = [GOOD[0], GOOD[1], ("content-range", "bytes 5-9/10")];
    assert_eq!(resumed(206, &two), ignored);
}

#[test]
fn another_total_or_etag_begins_the_file_again() {
    assert_eq!(good_but("content-range", Some("bytes 4-9/11")), again(RestartReason::RemoteFileChanged));
    assert_eq!(good_but("etag", Some("\"b\"")), again(RestartReason::RemoteFileChanged));
    assert_eq!(good_but("etag", Some(WEAK)), again(RestartReason::RemoteFileChanged));
    assert_eq!(good_but("etag", None), again(RestartReason::NoValidator));
}

#[test]
fn an_encoded_body_is_refused_whatever_was_asked_for() {
    let encoded = |decision| matches!(decision, Decision::Fail(FileError::Encoded { encoding }) if encoding == "gzip");
    assert!(encoded(good_but("content-encoding", Some("gzip"))));
    assert!(encoded(resumed(200, &[("content-encoding", "gzip")])));
    assert!(encoded(whole(&[("content-encoding", "gzip")])));
    assert!(encoded(whole(&[("transfer-encoding", "gzip, chunked")])));
    // The body of a failure may be as it likes.
    assert_eq!(resumed(404, &[("content-encoding", "gzip")]), Decision::Fail(FileError::Status { status: 404 }));
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    for status in [200, 206] {
        let fields =
            [("content-length", "6"), ("content-length", "7"), ("content-range", "bytes 4-9/10"), ("etag", ETAG)];
        assert!(is_invalid(&resumed(status, &fields)));
        assert!(is_invalid(&accept(Asked::Whole, &head(status, &fields), MAX)));
    }
    assert!(is_invalid(&whole(&[("content-length", "-1")])));
}

#[test]
fn a_whole_file_ends_by_length_last_chunk_or_close() {
    let fields = [("etag", ETAG), ("content-length", "10")];
    assert_eq!(whole(&fields), taken(BodyLength::Exactly(10), known(Some(ETAG), None, Some(10))));
    let fields = [("etag", ETAG), ("transfer-encoding", "chunked")];
    assert_eq!(whole(&fields), taken(BodyLength::Chunked, known(Some(ETAG), None, None)));
    // Nothing by which it could be resumed: its end may have been a cut.
    assert_eq!(whole(&[("etag", ETAG)]), taken(BodyLength::UntilClose, FileVersion::default()));
}

#[test]
fn a_whole_file_with_a_range_is_taken_only_if_the_range_is_the_file() {
    let with = |range, length| whole(&[("content-range", range), ("content-length", length)]);
    let version = known(None, None, Some(10));
    assert_eq!(with("bytes 0-9/10", "10"), taken(BodyLength::Exactly(10), version.clone()));
    assert_eq!(whole(&[("content-range", "bytes 0-9/10")]), taken(BodyLength::Exactly(10), version));
    for (range, length) in [
        ("bytes 0-8/10", "9"),
        ("bytes 1-9/10", "9"),
        ("bytes 0-9/10", "9"),
        ("bytes 0-9/*", "10"),
        ("bytes */10", "10"),
        ("nonsense", "10"),
    ] {
        assert!(is_invalid(&with(range, length)), "{range} {length}");
        // At a resume there is a way out: to ask for the whole.
        let fields = [("content-range", range), ("content-length", length)];
        assert_eq!(resumed(200, &fields), again(RestartReason::RangeIgnored));
    }
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    assert!(is_invalid(&accept(Asked::Whole, &head(206, &GOOD), MAX)));
    let fields = [("content-range", "bytes 0-9/10"), ("content-length", "10")];
    assert!(is_invalid(&accept(Asked::Whole, &head(206, &fields), MAX)));
}

fn replaced(reason: RestartReason, version: FileVersion) -> Decision {
    let body = WholeBody { length: BodyLength::Exactly(version.bytes_total.unwrap()), version };
    Decision::Restart { reason, next: Next::TakeThisBody(body) }
}

#[test]
fn the_whole_in_answer_to_a_range_begins_the_file_again_with_this_very_answer() {
    let answer = |etag, length| resumed(200, &[("etag", etag), ("content-length", length)]);
    let version = |etag, total| known(Some(etag), None, Some(total));
    assert_eq!(answer(ETAG, "10"), replaced(RestartReason::RangeIgnored, version(ETAG, 10)));
    assert_eq!(answer(ETAG, "11"), replaced(RestartReason::RemoteFileChanged, version(ETAG, 11)));
    assert_eq!(answer("\"b\"", "10"), replaced(RestartReason::RemoteFileChanged, version("\"b\"", 10)));
    let unknown = known(Some(ETAG), None, None);
    let head = head(200, &[("etag", ETAG), ("content-length", "10")]);
    let decision = accept(rest(&unknown, Keep::Validator), &head, MAX);
    assert_eq!(decision, replaced(RestartReason::RangeIgnored, version(ETAG, 10)));
    for keep in [Keep::RepointedSame, Keep::RepointedDigest] {
        let decision = accept(rest(&known(Some(ETAG), None, Some(10)), keep), &head, MAX);
        assert_eq!(decision, replaced(RestartReason::Repointed, version(ETAG, 10)));
    }
    // A total that the answer does not tell is no other total.
    let body = WholeBody { length: BodyLength::Chunked, version: unknown };
    assert_eq!(
        resumed(200, &[("etag", ETAG), ("transfer-encoding", "chunked")]),
        Decision::Restart { reason: RestartReason::RangeIgnored, next: Next::TakeThisBody(body) }
    );
}

#[test]
fn sizes_over_the_limit_are_refused_before_anything_is_taken() {
    let max = MAX.to_string();
    let over = (MAX + 1).to_string();
    assert!(matches!(whole(&[("content-length", &max)]), Decision::Whole(_)));
    let too_large = Decision::Fail(FileError::TooLarge { bytes: MAX + 1, bytes_max: MAX });
    assert_eq!(whole(&[("content-length", &over)]), too_large);
    assert_eq!(resumed(200, &[("content-length", &over)]), too_large);
    let unknown = known(Some(ETAG), None, None);
    for (range, fits) in [
        (format!("bytes 4-9/{over}"), false),
        (format!("bytes 4-9/{max}"), true),
        (format!("bytes 4-{max}/*"), false),
        (format!("bytes 4-{}/*", MAX - 1), true),
    ] {
        let head = head(206, &[("etag", ETAG), ("content-range", &range)]);
        let decision = accept(rest(&unknown, Keep::Validator), &head, MAX);
        assert_eq!(matches!(decision, Decision::Append { .. }), fits, "{range}");
        assert_eq!(decision == too_large, !fits, "{range}");
    }
}

#[test]
fn a_total_that_was_not_known_is_learnt() {
    let unknown = known(Some(ETAG), None, None);
    let version = |range: &str| {
        let head = head(206, &[("etag", ETAG), ("content-range", range)]);
        match accept(rest(&unknown, Keep::Validator), &head, MAX) {
            Decision::Append { version, .. } => version,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(version("bytes 4-9/10"), known(Some(ETAG), None, Some(10)));
    assert_eq!(version("bytes 4-9/*"), unknown);
}

#[test]
fn a_date_as_validator_may_be_left_out_of_the_answer_but_not_differ() {
    let dated = known(None, Some(DATE), Some(10));
    let decision = |fields: &[(&str, &str)]| {
        let mut all = vec![("content-range", "bytes 4-9/10")];
        all.extend(fields);
        accept(rest(&dated, Keep::Validator), &head(206, &all), MAX)
    };
    let append = Decision::Append { discard: 0, length: 6, version: dated.clone() };
    assert_eq!(decision(&[]), append);
    assert_eq!(decision(&[("last-modified", DATE)]), append);
    assert_eq!(decision(&[("last-modified", OTHER_DATE)]), again(RestartReason::RemoteFileChanged));
}

#[test]
fn a_digest_lets_bytes_be_kept_unless_the_validators_contradict() {
    let decision = |known: &FileVersion, fields: &[(&str, &str)]| {
        let mut all = vec![("content-range", "bytes 4-9/10")];
        all.extend(fields);
        accept(rest(known, Keep::Digest), &head(206, &all), MAX)
    };
    let weak = known(Some(WEAK), Some(DATE), Some(10));
    let appended = |decision| matches!(decision, Decision::Append { .. });
    let changed = again(RestartReason::RemoteFileChanged);
    assert!(appended(decision(&weak, &[])));
    assert!(appended(decision(&weak, &[("etag", ETAG)])));
    assert!(appended(decision(&weak, &[("etag", WEAK), ("last-modified", OTHER_DATE)])));
    assert!(appended(decision(&weak, &[("last-modified", DATE)])));
    assert_eq!(decision(&weak, &[("etag", "W/\"b\"")]), changed);
    assert_eq!(decision(&weak, &[("etag", "\"b\""), ("last-modified", DATE)]), changed);
    assert_eq!(decision(&weak, &[("last-modified", OTHER_DATE)]), changed);
    let nothing = known(None, None, Some(10));
    // What the answer says of the version is what the next resume goes by.
    let version = FileVersion { last_modified_is_strong: false, ..known(Some(ETAG), Some(DATE), Some(10)) };
    let append = Decision::Append { discard: 0, length: 6, version };
    assert_eq!(decision(&nothing, &[("etag", ETAG), ("last-modified", DATE)]), append);
}

#[test]
fn a_repointed_file_keeps_its_bytes_only_if_all_three_marks_are_the_same() {
    let all = known(Some(ETAG), Some(DATE), Some(10));
    let decision = |known: &FileVersion, fields: &[(&str, &str)]| {
        accept(rest(known, Keep::RepointedSame), &head(206, fields), MAX)
    };
    let same = [("content-range", "bytes 4-9/10"), ("etag", ETAG), ("last-modified", DATE)];
    let append = Decision::Append { discard: 0, length: 6, version: all.clone() };
    assert_eq!(decision(&all, &same), append);
    let repointed = again(RestartReason::Repointed);
    for missing in 1..3 {
        let mut fields = same.to_vec();
        fields.remove(missing);
        assert_eq!(decision(&all, &fields), repointed, "{fields:?}");
    }
    assert_eq!(decision(&all, &[same[0], ("etag", "\"b\""), same[2]]), repointed);
    assert_eq!(decision(&all, &[same[0], same[1], ("last-modified", OTHER_DATE)]), repointed);
    assert_eq!(decision(&all, &[("content-range", "bytes 4-9/11"), same[1], same[2]]), repointed);
    assert_eq!(decision(&known(None, Some(DATE), Some(10)), &[same[0], same[2]]), repointed);
    assert_eq!(decision(&known(Some(ETAG), None, Some(10)), &same[..2]), repointed);
    assert_eq!(decision(&known(Some(ETAG), Some(DATE), None), &same), repointed);
    assert_eq!(decision(&known(Some(WEAK), Some(DATE), Some(10)), &[same[0], ("etag", WEAK), same[2]]), repointed);
}

#[test]
fn a_repointed_file_with_a_digest_needs_the_same_total_only() {
    let before = known(Some(ETAG), Some(DATE), Some(10));
    let decision = |range| {
        let head = head(206, &[("content-range", range), ("etag", "\"b\"")]);
        accept(rest(&before, Keep::RepointedDigest), &head, MAX)
    };
    let version = known(Some("\"b\""), None, Some(10));
    assert_eq!(decision("bytes 4-9/10"), Decision::Append { discard: 0, length: 6, version });
    assert_eq!(decision("bytes 4-9/11"), again(RestartReason::Repointed));
}

#[test]
fn a_416_means_done_only_where_the_file_ends_at_the_durable_end() {
    let unknown = known(Some(ETAG), None, None);
    let decision =
        |known: &FileVersion, keep, fields: &[(&str, &str)]| accept(rest(known, keep), &head(416, fields), MAX);
    let ends_here = ("content-range", "bytes */4");
    let done = |etag| Decision::Done { version: known(etag, None, Some(4)) };
    // One that had ignored If-Range would say the same of another version.
    assert_eq!(decision(&unknown, Keep::Validator, &[ends_here]), again(RestartReason::NoValidator));
    assert_eq!(decision(&unknown, Keep::Validator, &[ends_here, ("etag", ETAG)]), done(Some(ETAG)));
    let changed = again(RestartReason::RemoteFileChanged);
    assert_eq!(decision(&unknown, Keep::Validator, &[ends_here, ("etag", "\"b\"")]), changed);
    let nothing = known(None, None, None);
    assert_eq!(decision(&nothing, Keep::Digest, &[ends_here]), done(None));
    assert_eq!(decision(&nothing, Keep::RepointedDigest, &[ends_here]), done(None));
    assert_eq!(decision(&unknown, Keep::RepointedSame, &[ends_here]), again(RestartReason::Repointed));
    assert_eq!(decision(&unknown, Keep::Validator, &[("content-range", "bytes */3")]), changed);
    assert_eq!(
        decision(&nothing, Keep::RepointedDigest, &[("content-range", "bytes */5")]),
        again(RestartReason::Repointed)
    );
    // A total that was known was larger: there was something to ask for.
    assert_eq!(resumed(416, &[ends_here]), changed);
    for useless in [vec![], vec![("content-range", "bytes */*")], vec![("content-range", "bytes 4-9/10")]] {
        assert_eq!(decision(&unknown, Keep::Validator, &useless), again(RestartReason::RangeIgnored));
    }
    assert_eq!(accept(Asked::Whole, &head(416, &[ends_here]), MAX), Decision::Fail(FileError::Status { status: 416 }));
}

#[test]
fn every_other_status_is_a_failure_or_a_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let location = [("location", "/x")];
        let redirect = Decision::Redirect { location: "/x".to_owned() };
        assert_eq!(resumed(status, &location), redirect);
        let refused = FileError::RedirectRefused { reason: RedirectRefusal::NotHttp };
        assert_eq!(resumed(status, &[]), Decision::Fail(refused));
    }
    for status in [300, 304, 305, 306, 309, 399, 400, 404, 451, 499, 500, 503, 599] {
        assert_eq!(resumed(status, &GOOD), Decision::Fail(FileError::Status { status }));
        assert_eq!(accept(Asked::Whole, &head(status, &[]), MAX), Decision::Fail(FileError::Status { status }));
    }
    for status in [100, 101, 199, 201, 202, 203, 204, 205, 207, 226, 299, 600, 999] {
        assert!(is_invalid(&resumed(status, &GOOD)), "{status}");
        assert!(is_invalid(&accept(Asked::Whole, &head(status, &[]), MAX)), "{status}");
    }
}

/// Bytes 4 to 9 of a file as a range of it, of which so many are there.
fn range_part(taken: u64) -> Part {
    Part { start: 4 + taken, end: Some(10), of: PartOf::Range { taken } }
}

const fn to_the_end(taken: u64) -> Part {
    Part { start: 4 + taken, end: None, of: PartOf::Range { taken } }
}

#[test]
fn the_first_range_is_taken_from_a_206_that_is_the_range_or_its_begin() {
    let decision =
        |fields: &[(&str, &str)], part, sequel| accept(Asked::First { part, sequel }, &head(206, fields), MAX);
    let (part, free) = (range_part(0), Sequel::NeedsNothing);
    let of_range = |range| decision(&[("etag", ETAG), ("content-range", range)], part, free);
    let append = |length, total| Decision::Append { discard: 0, length, version: known(Some(ETAG), None, total) };
    assert_eq!(of_range("bytes 4-9/20"), append(6, Some(20)));
    assert_eq!(of_range("bytes 4-9/*"), append(6, None));
    assert_eq!(of_range("bytes 4-5/20"), append(2, Some(20)));
    for other in ["bytes 0-5/20", "bytes 4-9/10"] {
        assert!(matches!(of_range(other), Decision::Append { .. }), "{other}");
    }
    // A gap, too much, nothing new, nonsense.
    for other in ["bytes 5-9/20", "bytes 4-10/20", "bytes 0-3/20", "bytes */20", "x"] {
        assert!(is_invalid(&of_range(other)), "{other}");
    }
    assert!(is_invalid(&decision(&[("etag", ETAG)], part, free)));
    let beyond = Decision::Fail(FileError::InvalidRange { start: 4 });
    assert_eq!(of_range("bytes 4-8/9"), beyond);
    assert_eq!(accept(Asked::First { part, sequel: free }, &head(416, &[]), MAX), beyond);
    let whole = head(200, &[("etag", ETAG), ("content-length", "10")]);
    for part in [part, to_the_end(0)] {
        let decision = accept(Asked::First { part, sequel: free }, &whole, MAX);
        assert_eq!(decision, Decision::Fail(FileError::RangesNotServed));
    }
    // Where others follow, something must say that they are of the same version.
    let (needs, fields) = (Sequel::NeedsValidator, [("etag", WEAK), ("content-range", "bytes 4-9/20")]);
    assert_eq!(decision(&fields, part, needs), Decision::Fail(FileError::NothingJoinsRanges));
    assert!(matches!(decision(&fields, part, free), Decision::Append { .. }));
    assert!(matches!(decision(&[("etag", ETAG), fields[1]], part, needs), Decision::Append { .. }));
}

#[test]
fn a_range_goes_on_only_in_its_place_and_its_version() {
    let before = known(Some(ETAG), None, Some(20));
    let decision = |status, fields: &[(&str, &str)], keep| {
        accept(Asked::Rest { part: range_part(2), known: &before, keep }, &head(status, fields), MAX)
    };
    let good = |range| decision(206, &[("etag", ETAG), ("content-range", range)], Keep::Validator);
    assert_eq!(good("bytes 6-9/20"), Decision::Append { discard: 0, length: 4, version: before.clone() });
    assert_eq!(good("bytes 4-9/20"), Decision::Append { discard: 2, length: 6, version: before.clone() });
    assert_eq!(good("bytes 6-10/20"), again(RestartReason::RangeIgnored));
    assert_eq!(good("bytes 6-9/21"), again(RestartReason::RemoteFileChanged));
    assert_eq!(good("bytes 6-9/*"), again(RestartReason::RangeIgnored));
    // The whole says that the file is another one, or that ranges are not served; it is never taken.
    let whole = |etag, keep| decision(200, &[("etag", etag), ("content-length", "20")], keep);
    assert_eq!(whole("\"b\"", Keep::Validator), again(RestartReason::RemoteFileChanged));
    assert_eq!(whole("\"b\"", Keep::RepointedSame), again(RestartReason::Repointed));
    let not_served = Decision::Fail(FileError::RangesNotServed);
    assert_eq!(whole(ETAG, Keep::Validator), not_served);
    assert_eq!(whole("\"b\"", Keep::Digest), not_served);
    let large = MAX + 1;
    // The size of the remote file is not that of the local one.
    let huge = known(Some(ETAG), None, Some(large));
    let answer = head(206, &[("etag", ETAG), ("content-range", &format!("bytes 6-9/{large}"))]);
    let asked = Asked::Rest { part: range_part(2), known: &huge, keep: Keep::Validator };
    assert!(matches!(accept(asked, &answer, MAX), Decision::Append { .. }));
}

#[test]
fn a_416_to_a_range_means_that_it_is_beyond_the_file_or_that_the_file_changed() {
    let decision = |part, total, fields: &[(&str, &str)]| {
        let before = known(Some(ETAG), None, total);
        accept(Asked::Rest { part, known: &before, keep: Keep::Validator }, &head(416, fields), MAX)
    };
    let beyond = |start| Decision::Fail(FileError::InvalidRange { start });
    let changed = again(RestartReason::RemoteFileChanged);
    let total = |total| [("content-range", total)];
    // A further range begins where the file ends, or beyond.
    for part in [range_part(0), to_the_end(0)] {
        assert_eq!(decision(part, Some(3), &total("bytes */3")), beyond(4));
        assert_eq!(decision(part, None, &total("bytes */4")), beyond(4));
        assert_eq!(decision(part, Some(3), &[]), beyond(4));
        assert_eq!(decision(part, Some(20), &total("bytes */3")), changed);
        assert_eq!(decision(part, Some(3), &[("content-range", "bytes */3"), ("etag", "\"b\"")]), changed);
        assert_eq!(decision(part, None, &total("bytes */9")), again(RestartReason::RangeIgnored));
    }
    // In the middle of one.
    assert_eq!(decision(range_part(2), None, &total("bytes */6")), beyond(6));
    assert_eq!(decision(range_part(2), Some(20), &total("bytes */20")), changed);
    let end = [("content-range", "bytes */6"), ("etag", ETAG)];
    assert_eq!(decision(to_the_end(2), None, &end), Decision::Done { version: known(Some(ETAG), None, Some(6)) });
    assert_eq!(decision(to_the_end(2), Some(20), &end), changed);
}

fn any_fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let number = || select(vec!["0", "1", "3", "4", "5", "9", "10", "11", "*", "-1", "18446744073709551615", "x", ""]);
    let range = (number(), number(), number()).prop_map(|(first, last, total)| match (first, last) {
        ("*", _) => format!("bytes */{total}"),
        _ => format!("bytes {first}-{last}/{total}"),
    });
    let field = prop_oneof![
        6 => range.prop_map(|range| ("content-range", range)),
        3 => number().prop_map(|length| ("content-length", length.to_owned())),
        3 => select(vec![ETAG, WEAK, "\"b\"", "b", ""]).prop_map(|etag| ("etag", etag.to_owned())),
        2 => select(vec![DATE, OTHER_DATE, "x"]).prop_map(|date| ("last-modified", date.to_owned())),
        1 => select(vec!["identity", "gzip", ""]).prop_map(|coding| ("content-encoding", coding.to_owned())),
        1 => select(vec!["chunked", "gzip, chunked"]).prop_map(|coding| ("transfer-encoding", coding.to_owned())),
        1 => select(vec!["multipart/byteranges", "text/html"]).prop_map(|kind| ("content-type", kind.to_owned())),
        1 => Just(("location", "/x".to_owned())),
    ];
    prop::collection::vec(field, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever comes, bytes are appended only where the durable ones end, and only to a file of the size that is known.
    #[test]
    fn no_answer_appends_out_of_place_or_to_another_version(
        status in prop_oneof![4 => Just(206u16), 2 => Just(200), 1 => Just(416), 1 => 100u16..1000],
        fields in any_fields(),
        offset in 1u64..12,
        etag in prop::option::of(select(vec![ETAG, WEAK])),
        date in prop::option::of(Just(DATE)),
        total in prop::option::of(12u64..14),
        taken in prop::option::of(0u64..3),
        length in prop::option::of(1u64..6),
        keep in select(vec![Keep::Validator, Keep::Digest, Keep::RepointedSame, Keep::RepointedDigest]),
    ) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let head = head(status, &fields);
        let before = known(etag, date, total);
        let of = taken.map_or(PartOf::File, |taken| PartOf::Range { taken });
        let end = length.filter(|_| taken.is_some()).map(|length| offset + length);
        let asked = Asked::Rest { part: Part { start: offset, end, of }, known: &before, keep };
        match accept(asked, &head, MAX) {
            Decision::Append { discard, length, version } => {
                prop_assert_eq!(status, 206);
                prop_assert!(discard <= offset && discard < length);
                prop_assert!(head.encoding.is_none() && !head.multipart);
                prop_assert!(total.is_none() || version.bytes_total == total);
                let Some(ContentRange::Satisfied { range, .. }) = head.content_range.present() else {
                    return Err(TestCaseError::fail("no range"));
                };
                prop_assert_eq!(range.start + discard, offset);
                prop_assert!(end.is_none_or(|end| range.end <= end));
                prop_assert_eq!(range.end - range.start, length);
                prop_assert!(version.bytes_total.is_none_or(|total| range.end <= total));
                if matches!(keep, Keep::Validator | Keep::RepointedSame) && before.strong_etag().is_some() {
                    prop_assert_eq!(head.version.etag.as_deref(), before.strong_etag());
                }
            }
            Decision::Done { version } => {
                prop_assert_eq!(status, 416);
                prop_assert!(total.is_none() && version.bytes_total == Some(offset));
                prop_assert!(taken != Some(0) && end.is_none());
            }
            Decision::Whole(_) => return Err(TestCaseError::fail("the whole would be joined to what is durable")),
            Decision::Restart { next: Next::TakeThisBody(body), .. } => {
                prop_assert_eq!(status, 200);
                prop_assert!(head.encoding.is_none() && taken.is_none());
                prop_assert!(body.version.bytes_total.is_none_or(|total| body.length == BodyLength::Exactly(total)));
            }
            Decision::Restart { .. } | Decision::Fail(_) => {}
            Decision::Redirect { .. } => prop_assert!((300..400).contains(&status)),
        }
    }

    #[test]
    fn a_fresh_file_is_taken_from_a_plain_200_only(
        status in prop_oneof![4 => Just(200u16), 2 => Just(206), 1 => 100u16..1000],
        fields in any_fields(),
    ) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let head = head(status, &fields);
        match accept(Asked::Whole, &head, MAX) {
            Decision::Whole(body) => {
                prop_assert_eq!(status, 200);
                prop_assert!(head.encoding.is_none());
                if let BodyLength::Exactly(length) = body.length {
                    prop_assert!(head.content_length.present().is_none_or(|given| *given == length));
                }
                if body.length == BodyLength::UntilClose {
                    prop_assert_eq!(body.version, FileVersion::default());
                }
            }
            Decision::Append { .. } | Decision::Restart { .. } | Decision::Done { .. } => {
                return Err(TestCaseError::fail("nothing is durable"));
            }
            Decision::Fail(_) | Decision::Redirect { .. } => {}
        }
    }
}
