//! Wrong answers to range requests, at a resume and to a request that asked for no range: never wrong bytes, and a right
//! file as soon as the origin is honest again.

use super::fetch::{Fetch, JOB_FAILED, RESUMABLE_BYTES, for_each_at_once};
use crate::origin::{At, End, Fault, File, On, Origin, RangeLie};

const SIZE_BYTES: u64 = RESUMABLE_BYTES;
/// Where the first answer is cut, for a resume.
const CUT_AT: u64 = 100_000;

const LIES: [RangeLie; 37] = [
    RangeLie::NoContentRange,
    RangeLie::Garbled(""),
    RangeLie::Garbled("bytes"),
    RangeLie::Garbled("bytes 100000-299999"),
    RangeLie::Garbled("bytes=100000-299999/300000"),
    RangeLie::Garbled("bytes */300000"),
    RangeLie::Garbled("bytes -299999/300000"),
    RangeLie::Garbled("bytes 100000-/300000"),
    RangeLie::Garbled("bytes 100000-299999/300000, bytes 0-1/300000"),
    RangeLie::Garbled("bytes +100000-299999/300000"),
    RangeLie::Garbled("bytes 0x186a0-299999/300000"),
    RangeLie::Garbled("bytes 100000-18446744073709551615/18446744073709551616"),
    RangeLie::Garbled("bytes 99999999999999999999999-299999/300000"),
    RangeLie::Early(10),
    RangeLie::Early(100_000),
    RangeLie::Late(1),
    RangeLie::Late(500),
    RangeLie::EndsEarly(1),
    RangeLie::EndsEarly(150_000),
    RangeLie::EndsBeyondTotal(1),
    RangeLie::SaysLess(1),
    RangeLie::SaysMore(1),
    RangeLie::TotalOffBy(1),
    RangeLie::TotalOffBy(-1),
    RangeLie::TotalUnknown,
    RangeLie::Reversed,
    RangeLie::TwoContentRanges,
    RangeLie::OtherUnit,
    RangeLie::Multipart,
    RangeLie::WeakEtag,
    RangeLie::NoEtag,
    RangeLie::Gzip,
    RangeLie::WholeAs200,
    RangeLie::WholeAs200WithContentRange,
    RangeLie::PartAs200WithContentRange,
    RangeLie::Unsatisfiable,
    RangeLie::UnsatisfiableWithoutSize,
];

/// Serves one file for each lie, each at a path of its own.
fn with_each_lie(work: impl Fn(&Origin, &str, RangeLie) + Sync) {
    let origin = Origin::start();
    let cases: Vec<_> = LIES.into_iter().enumerate().collect();
    for_each_at_once(&cases, |(number, lie)| {
        let path = format!("/{number}");
        origin.file(&path, File::seeded(*number as u64, SIZE_BYTES));
        work(&origin, &path, *lie);
    });
}

#[test]
fn one_wrong_answer_to_a_resume_is_survived() {
    with_each_lie(|origin, path, lie| {
        origin.fault(path, On::Nth(1), Fault::Cut(At::Body(CUT_AT), End::Fin));
        origin.fault(path, On::Nth(2), Fault::Range(lie));
        let content = origin.content(path);
        println!("{lie:?}");
        if lie == RangeLie::Gzip {
            // What is encoded although identity was asked for is given up at once.
            return drop(Fetch::new(&origin.url(path)).run_to_error("encoded_body"));
        }
        Fetch::new(&origin.url(path)).run_to(content);
        let log = origin.log_of(path);
        assert_eq!(log[1].first_byte(), log[0].body_sent.min(CUT_AT), "{lie:?}: {log:#?}");
        let etag = File::seeded(content.seed, SIZE_BYTES).strong_etag();
        for row in log.iter().filter(|row| row.range().is_some()) {
            assert_eq!(row.if_range(), Some(etag.as_str()), "{lie:?}");
        }
    });
}

#[test]
fn wrong_answers_to_every_resume_never_make_a_wrong_file() {
    with_each_lie(|origin, path, lie| {
        origin.fault(path, On::Whole, Fault::Cut(At::Body(CUT_AT), End::Fin));
        origin.fault(path, On::Ranged, Fault::Range(lie));
        println!("{lie:?}");
        Fetch::new(&origin.url(path)).patience("1").run_to_right_or_nothing(origin.content(path));
    });
}

#[test]
fn one_partial_answer_that_nobody_asked_for_never_makes_a_wrong_file() {
    with_each_lie(|origin, path, lie| {
        origin.fault(path, On::Nth(1), Fault::Range(lie));
        println!("{lie:?}");
        Fetch::new(&origin.url(path)).patience("1").run_to_right_or_nothing(origin.content(path));
    });
}

#[test]
fn partial_answers_that_nobody_asked_for_never_make_a_wrong_file() {
    with_each_lie(|origin, path, lie| {
        origin.fault(path, On::Every, Fault::Range(lie));
        println!("{lie:?}");
        Fetch::new(&origin.url(path)).patience("1").run_to_right_or_nothing(origin.content(path));
    });
}

#[test]
fn a_part_of_another_version_restarts_the_file() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(CUT_AT), End::Fin));
    origin.fault("/f", On::Nth(2), Fault::Range(RangeLie::OtherVersion));
    Fetch::new(&origin.url("/f")).run_to(content);
}

#[test]
fn right_labels_on_wrong_bytes_are_found_by_the_digest() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    let fetch = Fetch::new(&origin.url("/f")).with(["--sha256", &content.sha256()]);
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(CUT_AT), End::Fin));
    origin.fault("/f", On::Nth(2), Fault::Range(RangeLie::OtherBytes));
    fetch.run_to(content);
    assert_eq!(origin.log().last().unwrap().range(), None, "after a wrong digest the whole is fetched again");
}

#[test]
fn bytes_that_stay_wrong_end_in_digest_mismatch() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Every, Fault::Range(RangeLie::OtherBytes));
    origin.fault(
        "/f",
        On::Every,
        Fault::edit(|_, answer| {
            answer.status = 200;
            answer.remove("content-range");
        }),
    );
    let fetch = Fetch::new(&origin.url("/f")).with(["--sha256", &content.sha256()]);
    fetch.run_to_error("digest_mismatch");
    assert!(origin.log().len() <= 3, "at most three attempts: {:#?}", origin.log());
}

#[test]
fn an_exhausted_range_means_done_only_if_the_size_fits() {
    // The body is there to its last byte, but its end was cut off: the rest of the range is empty.
    for (size_off_by, path) in [(0, "/fits"), (1, "/longer"), (-1, "/shorter")] {
        let origin = Origin::start();
        let file =
            File { framing: crate::origin::Framing::Chunked { chunk_bytes: 10_000 }, ..File::seeded(1, SIZE_BYTES) };
        let content = origin.file(path, file);
        origin.fault(path, On::Nth(1), Fault::Cut(At::Body(SIZE_BYTES), End::Fin));
        origin.fault(path, On::Nth(2), Fault::Range(RangeLie::UnsatisfiableOffBy(size_off_by)));
        Fetch::new(&origin.url(path)).run_to(content);
        assert_eq!(origin.log().len(), if size_off_by == 0 { 2 } else { 3 }, "{path}: {:#?}", origin.log());
    }
}

#[test]
fn an_origin_that_answers_no_range_at_all_is_given_up() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Ranged, Fault::status(416));
    origin.fault("/f", On::Whole, Fault::Cut(At::Body(CUT_AT), End::Fin));
    let fetch = Fetch::new(&origin.url("/f")).patience("1");
    let finished = fetch.run().expect_code(JOB_FAILED);
    fetch.assert_unpublished();
    assert!(origin.log().len() < 40, "{finished}");
}
