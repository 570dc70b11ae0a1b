//! Answers and meddling that are made to get wrong bytes in, or secrets out.

use std::sync::Arc;
use std::time::Duration;

use super::origin::{Origin, Reply, Then, head};
use super::rig::{Rig, content, failed, failed_with, wanted};
use crate::job::{ErrorCode, FailureClass, Integrity};
use crate::scheduler::Report;

const ETAG: &str = "\"v1\"";
const SIZE: usize = 200_000;

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_is_longer_than_it_said_is_not_gathered() {
    for fields in [("Content-Range", "bytes 0-9/10"), ("Content-Length", "10")] {
        let origin = Origin::start(move |_| {
            let mut bytes = head("200 OK", &[fields, ("Transfer-Encoding", "chunked")]);
            (0..64).for_each(|_| bytes.extend(chunk(&[b'x'; 128 << 10])));
            Reply { bytes, then: Then::Stall }
        });
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        rig.settings.idle_timeout = Duration::from_secs(1);
        let reports = rig.attempt().await;
        let failure = failed(&reports);
        let expected = (ErrorCode::InvalidServerResponse, FailureClass::Transient);
        assert_eq!((failure.error.code, failure.error.class), expected, "{}", failure.error.description);
        let received = rig.progress.snapshot().received;
        assert!(received < 1 << 20, "{received} bytes were taken in of a file of 10");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_range_is_not_the_end_of_a_file_of_unknown_size() {
    let body = Arc::new(content(SIZE, 1));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| match request.offset() {
        None => {
            let mut bytes = head("200 OK", &[("ETag", ETAG), ("Transfer-Encoding", "chunked")]);
            bytes.extend(chunk(&served[..SIZE / 2]));
            Reply { bytes, then: Then::Close }
        }
        Some(offset) if offset == SIZE => {
            let fields = [("Content-Range", "bytes */200000"), ("ETag", ETAG), ("Content-Length", "0")];
            Reply { bytes: head("416 Range Not Satisfiable", &fields), then: Then::KeepOpen }
        }
        Some(offset) => {
            // Less than was asked for, as an origin may answer, and not a word about the size.
            let part = &served[offset..(offset + 30_000).min(SIZE)];
            let range = format!("bytes {offset}-{}/*", offset + part.len() - 1);
            let length = part.len().to_string();
            let fields = [("Content-Range", &range[..]), ("Content-Length", &length), ("ETag", ETAG)];
            Reply { bytes: [&head("206 Partial Content", &fields)[..], part].concat(), then: Then::KeepOpen }
        }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::ConnectionClosed);
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
    assert_eq!(rig.file(0).restarts, 0);
    assert_eq!(rig.file(0).integrity, Integrity::LengthOnly);
}
