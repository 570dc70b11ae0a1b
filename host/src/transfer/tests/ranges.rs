//! Files of ranges, and what the properties of a job ask of its transfers, over the wire.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::origin::{Origin, Reply, Then, cut, head, proper};
use super::rig::{Rig, Wanted, content, failed, failed_with, new_bytes, unrestrained, wanted};
use crate::job::{ErrorCode, FailureClass, FileRange, Integrity, RestartReason};
use crate::scheduler::{Report, StopReason, Terms};
use crate::transfer::Control;
use crate::transfer::digest::Hasher;

const ETAG: &str = "\"v1\"";
const SIZE: usize = 300_000;

const fn range(offset: u64, length: u64) -> FileRange {
    FileRange { offset, length: Some(length) }
}

const TO_THE_END: FileRange = FileRange { offset: 200_000, length: None };

fn of_ranges(url: String, ranges: &[FileRange]) -> Wanted {
    Wanted { ranges: ranges.to_vec(), ..wanted(url, "f") }
}

fn concatenated(content: &[u8], ranges: &[FileRange]) -> Vec<u8> {
    let part = |range: &FileRange| {
        let start = usize::try_from(range.offset).unwrap();
        let end = range.length.map_or(content.len(), |length| start + usize::try_from(length).unwrap());
        content[start..end].to_vec()
    };
    ranges.iter().flat_map(part).collect()
}

fn is_checkpoint(report: &Report) -> bool {
    matches!(report, Report::Checkpoint { .. })
}

fn restarts(reports: &[Report]) -> Vec<RestartReason> {
    let reason = |report: &Report| match report {
        Report::FileRestarted { reason, .. } => Some(*reason),
        _ => None,
    };
    reports.iter().filter_map(reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_ranges_is_its_ranges_in_the_order_given() {
    let body = Arc::new(content(SIZE, 3));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| proper(request, &served, ETAG));
    let ranges = [range(100, 100), TO_THE_END, range(1000, 70_000), range(200, 1)];
    let whole = concatenated(&body, &ranges);
    let mut hasher = Hasher::new();
    hasher.update(&whole);
    let digest = Some(hasher.finish());
    let mut rig = Rig::new(vec![Wanted { digest, ..of_ranges(origin.url("/f"), &ranges) }]).await;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert!(std::fs::read(rig.part(0)).unwrap() == whole);
    let row = rig.file(0);
    assert_eq!((row.bytes_total(), row.durable), (Some(whole.len() as u64), whole.len() as u64));
    assert_eq!(row.version.unwrap().bytes_total, Some(SIZE as u64));
    assert_eq!(row.integrity, Integrity::ClientDigest);
    assert_eq!(new_bytes(&reports), whole.len() as u64);
    // Not a sync for each range, nor a word about each.
    assert_eq!(reports.iter().filter(|report| is_checkpoint(report)).count(), 0);
    let asked: Vec<_> = origin.requests().iter().map(|request| request.field("range").unwrap().to_owned()).collect();
    assert_eq!(asked, ["bytes=100-199", "bytes=200000-", "bytes=1000-70999", "bytes=200-200"]);
    let conditions: Vec<_> =
        origin.requests().iter().map(|request| request.field("if-range").map(str::to_owned)).collect();
    assert_eq!(conditions, [None, Some(ETAG.to_owned()), Some(ETAG.to_owned()), Some(ETAG.to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_anywhere_in_the_ranges_is_resumed_there() {
    let body = Arc::new(content(SIZE, 5));
    let ranges = [range(5_000, 3_000), range(0, 4_000), TO_THE_END];
    let whole = concatenated(&body, &ranges);
    for cut_at in [1, 2_999, 3_000, 3_001, 7_000, 50_000, whole.len() - 1] {
        let served = Arc::clone(&body);
        let origin = Origin::start(move |request| {
            let reply = proper(request, &served, ETAG);
            let range = request.range(SIZE).unwrap();
            // Where the local file has the byte at which the connection breaks.
            let before = [3_000, 4_000].iter().scan(0, |sum, length| {
                *sum += length;
                Some(*sum)
            });
            let local = match range.start {
                start if start >= 200_000 => before.last().unwrap() + (start - 200_000),
                start if start >= 5_000 => start - 5_000,
                start => 3_000 + start,
            };
            let is_here = (local..local + range.len()).contains(&cut_at) && request.number < 3;
            if is_here { cut(reply, cut_at - local, Then::Close) } else { reply }
        });
        let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &ranges)]).await;
        let reports = rig.attempt().await;
        assert_eq!(failed_with(&reports), ErrorCode::ConnectionClosed, "{cut_at}");
        assert_eq!(rig.file(0).durable, cut_at as u64);
        let mut fetched = new_bytes(&reports);
        let mut attempts = 1;
        loop {
            let reports = rig.attempt().await;
            fetched += new_bytes(&reports);
            attempts += 1;
            if reports.last() == Some(&Report::Finished) {
                break;
            }
            assert!(attempts < 5, "{reports:?}");
        }
        // Nothing was fetched twice.
        assert_eq!(fetched, whole.len() as u64);
        assert!(std::fs::read(rig.part(0)).unwrap() == whole, "{cut_at}");
        assert_eq!(rig.file(0).restarts, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_in_the_middle_begins_the_file_again() {
    let bodies = [content(SIZE, 1), content(SIZE, 2)];
    let ranges = [range(0, 1_000), range(2_000, 1_000), range(4_000, 1_000)];
    let wanted_bytes = concatenated(&bodies[1], &ranges);
    let origin = Origin::start(move |request| match request.number {
        0..=1 => proper(request, &bodies[0], ETAG),
        _ => proper(request, &bodies[1], "\"v2\""),
    });
    let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &ranges)]).await;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert_eq!(restarts(&reports), [RestartReason::RemoteFileChanged]);
    assert!(std::fs::read(rig.part(0)).unwrap() == wanted_bytes);
    assert_eq!(origin.requests().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_without_ranges_fails_at_once_and_the_whole_is_not_fetched() {
    let origin = Origin::start(|_| {
        let bytes = head("200 OK", &[("Content-Length", &SIZE.to_string()), ("ETag", ETAG)]);
        Reply { bytes, then: Then::Stall }
    });
    let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &[range(0, 10)])]).await;
    let reports = rig.attempt().await;
    let error = &failed(&reports).error;
    assert_eq!((error.code, error.class), (ErrorCode::InsufficientRangeSupport, FailureClass::Fatal));
    assert_eq!((rig.file(0).durable, rig.progress.snapshot().received), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_without_a_strong_validator_need_a_digest() {
    let body = Arc::new(content(SIZE, 1));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| proper(request, &served, "W/\"weak\""));
    let ranges = [range(0, 10), range(20, 10)];
    let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &ranges)]).await;
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::InsufficientRangeSupport);
    assert_eq!(origin.requests().len(), 1);
    let mut hasher = Hasher::new();
    hasher.update(&concatenated(&body, &ranges));
    let digest = Some(hasher.finish());
    let mut rig = Rig::new(vec![Wanted { digest, ..of_ranges(origin.url("/f"), &ranges) }]).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &ranges[..1])]).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_beyond_the_file_is_an_error_of_its_own() {
    let origin = Origin::start(|request| proper(request, &content(1_000, 1), ETAG));
    for ranges in [
        vec![range(1_000, 1)],
        vec![range(0, 10), range(990, 11)],
        vec![range(0, 10), FileRange { offset: 1_000, length: None }],
    ] {
        let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &ranges)]).await;
        let reports = rig.attempt().await;
        let error = &failed(&reports).error;
        assert_eq!((error.code, error.class), (ErrorCode::InvalidRange, FailureClass::Fatal), "{ranges:?}");
        assert_eq!(rig.file(0).restarts, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamic_content_is_asked_for_whole_and_kept_never() {
    let origin = Origin::start(|request| {
        let size = 100_000 + request.number;
        let reply = proper(request, &content(size, request.number as u64), ETAG);
        if request.number < 2 { cut(reply, 90_000, Then::Close) } else { reply }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.terms = Terms { dynamic_content: true, ..Terms::default() };
    rig.settings.checkpoint_bytes = 1_000;
    for _ in 0..2 {
        let reports = rig.attempt().await;
        assert_eq!(failed_with(&reports), ErrorCode::ConnectionClosed);
        assert!(!reports.iter().any(is_checkpoint), "{reports:?}");
        assert_eq!((rig.file(0).durable, rig.file(0).restarts), (0, 0));
        assert!(!rig.part(0).exists(), "what nobody goes on with takes no space");
    }
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert!(std::fs::read(rig.part(0)).unwrap() == content(100_002, 2));
    assert!(origin.requests().iter().all(|request| request.field("range").is_none()));
    // Ranges and dynamic content do not go together, wherever they came from.
    let mut rig = Rig::new(vec![of_ranges(origin.url("/f"), &[range(0, 1)])]).await;
    rig.terms = Terms { dynamic_content: true, ..Terms::default() };
    let reports = rig.attempt().await;
    assert_eq!(failed_with(&reports), ErrorCode::UnsupportedJobConfiguration);
    assert_eq!(failed(&reports).error.class, FailureClass::Fatal);
}

#[tokio::test(flavor = "multi_thread")]
async fn high_performance_reports_nothing_while_bytes_move_and_what_is_there_when_they_stop() {
    let origin = Origin::start(|request| {
        let reply = proper(request, &content(SIZE, 1), ETAG);
        if request.number == 0 { cut(reply, SIZE / 2, Then::Stall) } else { reply }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.terms = Terms { high_performance: true, ..Terms::default() };
    rig.settings.checkpoint_bytes = 1_000;
    rig.settings.checkpoint_interval = Duration::from_millis(1);
    rig.settings.idle_timeout = Duration::from_millis(300);
    let (control, controls) = watch::channel(unrestrained());
    let mut checkpoints = 0;
    let reports = rig.attempt_under(controls, |report| checkpoints += u32::from(is_checkpoint(report))).await;
    assert_eq!(failed_with(&reports), ErrorCode::TooSlow);
    // One, at the end.
    assert_eq!((checkpoints, rig.file(0).durable), (1, SIZE as u64 / 2));
    control.send_replace(Control { stop: Some(StopReason::Suspended), ..unrestrained() });
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert!(!reports.iter().any(is_checkpoint));
    assert!(std::fs::read(rig.part(0)).unwrap() == content(SIZE, 1));
}

/// A file of so many bytes, with its length or chunk by chunk.
fn sized(bytes: usize, is_chunked: bool) -> Reply {
    let body = content(bytes, 1);
    let mut reply = if is_chunked {
        let mut reply = head("200 OK", &[("Transfer-Encoding", "chunked"), ("ETag", ETAG)]);
        reply.extend(format!("{bytes:x}\r\n").into_bytes());
        reply
    } else {
        head("200 OK", &[("Content-Length", &bytes.to_string()), ("ETag", ETAG)])
    };
    reply.extend(body);
    if is_chunked {
        reply.extend(b"\r\n0\r\n\r\n");
    }
    Reply { bytes: reply, then: Then::KeepOpen }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_have_as_many_bytes_as_allowed_and_not_one_more() {
    for is_chunked in [false, true] {
        for size in [1_000, 100_000] {
            let origin = Origin::start(move |_| sized(size, is_chunked));
            for (allowed, fits) in [(2 * size as u64, true), (2 * size as u64 - 1, false)] {
                let mut rig = Rig::new(vec![wanted(origin.url("/a"), "a"), wanted(origin.url("/b"), "b")]).await;
                rig.terms = Terms { maximum_download_size: Some(allowed), ..Terms::default() };
                let reports = rig.attempt().await;
                if fits {
                    assert_eq!(reports.last(), Some(&Report::Finished), "{is_chunked} {size}");
                    continue;
                }
                let error = &failed(&reports).error;
                assert_eq!(
                    (error.code, error.class, error.file.map(|file| file.0)),
                    (ErrorCode::MaxDownloadSizeLimitReached, FailureClass::Fatal, Some(1))
                );
                assert!(rig.file(0).finished && !rig.file(1).finished);
                assert!(rig.file(0).durable + rig.file(1).durable <= allowed);
                // A size that was said is refused before a byte is taken.
                assert!(is_chunked || rig.file(1).durable == 0);
                // It is no better the next time.
                assert_eq!(failed_with(&rig.attempt().await), ErrorCode::MaxDownloadSizeLimitReached);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_file_that_begins_again_are_not_counted_twice() {
    let origin = Origin::start(|request| {
        let etag = if request.number == 0 { ETAG } else { "\"v2\"" };
        let reply = proper(request, &content(SIZE, request.number.min(1) as u64), etag);
        if request.number == 0 { cut(reply, SIZE - 1, Then::Close) } else { reply }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.terms = Terms { maximum_download_size: Some(SIZE as u64), ..Terms::default() };
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::ConnectionClosed);
    assert_eq!(rig.file(0).durable, SIZE as u64 - 1);
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert_eq!(restarts(&reports), [RestartReason::RemoteFileChanged]);
}
