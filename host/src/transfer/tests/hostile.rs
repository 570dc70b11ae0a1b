//! Answers and meddling that are made to get wrong bytes in, or secrets out.

use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::origin::{Origin, Reply, Request, Then, cut, head, proper};
use super::rig::{Rig, Wanted, content, failed, failed_with, wanted};
use crate::job::{ErrorCode, FailureClass, Integrity};
use crate::scheduler::Report;
use crate::transfer::digest::Hasher;

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

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_were_altered_between_attempts_do_not_pass_for_verified() {
    let body = Arc::new(content(SIZE, 1));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| {
        let reply = proper(request, &served, ETAG);
        if request.number == 0 { cut(reply, SIZE / 2, Then::Close) } else { reply }
    });
    let mut hasher = Hasher::new();
    hasher.update(&body);
    let digest = Some(hasher.finish());
    let mut rig = Rig::new(vec![Wanted { digest, ..wanted(origin.url("/f"), "f") }]).await;
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::ConnectionClosed);
    assert_eq!(rig.file(0).durable, SIZE as u64 / 2);
    let part = std::fs::OpenOptions::new().write(true).open(rig.part(0)).unwrap();
    part.write_all_at(&[!body[1000]], 1000).unwrap();
    // The clock of a file system may tick no faster than this test runs.
    part.set_modified(part.metadata().unwrap().modified().unwrap() + Duration::from_secs(1)).unwrap();
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
    assert_eq!(rig.file(0).restarts, 1);
}

const SECRET: [(&str, &str); 1] = [("X-Api-Key", "secret")];

#[tokio::test(flavor = "multi_thread")]
async fn headers_do_not_go_along_to_another_origin_that_a_file_was_pointed_at() {
    let body = content(100, 1);
    let served = body.clone();
    let mirror = Origin::start(move |request| proper(request, &served, ETAG));
    let missing = Reply { bytes: head("404 Not Found", &[("Content-Length", "0")]), then: Then::KeepOpen };
    let home = Origin::start(move |request| match request.path() {
        "/gone" => missing.clone(),
        _ => proper(request, &body, ETAG),
    });
    // Another path of the same origin gets what the first one got.
    let mut rig = Rig::with_headers(vec![wanted(home.url("/gone"), "f")], &SECRET).await;
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::Http);
    rig.repoint(0, &home.url("/f")).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert!(home.requests().iter().all(|request| request.field("x-api-key") == Some("secret")));

    let mut rig = Rig::with_headers(vec![wanted(home.url("/gone"), "f")], &SECRET).await;
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::Http);
    rig.repoint(0, &mirror.url("/f")).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert!(!mirror.requests()[0].head.contains("secret"), "{}", mirror.requests()[0].head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_pointed_elsewhere_while_its_job_runs_takes_no_headers_along() {
    let mirror = Origin::start(|request| proper(request, b"x", ETAG));
    let ((asked, is_asked), (go_on, may_go_on)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let gate = Mutex::new((asked, may_go_on));
    let home = Origin::start(move |request: &Request| {
        if request.number == 0 {
            let (asked, may_go_on) = &*gate.lock().unwrap();
            asked.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
        proper(request, b"x", ETAG)
    });
    // More than one page: the last file is read from the store after the attempt has begun.
    let last = 299;
    let files = (0..=last).map(|index| wanted(home.url(&format!("/{index}")), &format!("f{index}")));
    let mut rig = Rig::with_headers(files.collect(), &SECRET).await;
    let pointer = rig.pointer();
    let moved = async {
        tokio::task::spawn_blocking(move || is_asked.recv().unwrap()).await.unwrap();
        pointer.repoint(last, &mirror.url("/f")).await;
        go_on.send(()).unwrap();
    };
    let (reports, ()) = tokio::join!(rig.attempt(), moved);
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert!(!mirror.requests()[0].head.contains("secret"), "{}", mirror.requests()[0].head);
}
