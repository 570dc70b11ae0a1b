//! What an ordinary user sees: files come, go on where they were, and are whole.

use std::sync::Arc;

use super::origin::{Origin, Reply, Then, cut, proper};
use super::rig::{Rig, Wanted, content, failed_with, new_bytes, wanted};
use crate::job::{ErrorCode, Integrity};
use crate::scheduler::Report;
use crate::transfer::digest::Hasher;

const ETAG: &str = "\"v1\"";

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_size_come_whole() {
    let sizes = [0, 1, 4096, 65_535, 65_536, 65_537, 1 << 20, (5 << 20) + 3];
    let bodies: Arc<Vec<Vec<u8>>> = Arc::new(sizes.iter().map(|size| content(*size, *size as u64)).collect());
    let served = Arc::clone(&bodies);
    let origin = Origin::start(move |request| {
        let index: usize = request.path()[1..].parse().unwrap();
        proper(request, &served[index], ETAG)
    });
    let files = (0..sizes.len()).map(|index| wanted(origin.url(&format!("/{index}")), &format!("f{index}")));
    let mut rig = Rig::new(files.collect()).await;
    rig.parallel_files = 3;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    for (index, body) in bodies.iter().enumerate() {
        let row = rig.file(index as u32);
        assert!(row.finished && row.integrity == Integrity::LengthOnly, "{row:?}");
        assert!(std::fs::read(rig.part(index as u32)).unwrap() == *body);
        assert_eq!((row.durable, row.high_water), (body.len() as u64, body.len() as u64));
    }
    assert_eq!(new_bytes(&reports), bodies.iter().map(|body| body.len() as u64).sum::<u64>());
    assert_eq!(reports.iter().filter(|report| **report == Report::Connected).count(), 1);
    assert_eq!(rig.progress.snapshot().files_finished, sizes.len() as u64);
    assert!(rig.progress.snapshot().active.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_transfer_goes_on_where_it_was() {
    for then in [Then::Close, Then::Reset] {
        let body = Arc::new(content(3 << 20, 7));
        let served = Arc::clone(&body);
        let origin = Origin::start(move |request| {
            let reply = proper(request, &served, ETAG);
            if request.number < 2 { cut(reply, 1 << 20, then) } else { reply }
        });
        let mut hasher = Hasher::new();
        hasher.update(&body);
        let digest = Some(hasher.finish());
        let mut rig = Rig::new(vec![Wanted { digest, ..wanted(origin.url("/f"), "f") }]).await;
        let mut fetched = 0;
        for _ in 0..2 {
            let reports = rig.attempt().await;
            assert_eq!(failed_with(&reports), ErrorCode::ConnectionClosed);
            fetched += new_bytes(&reports);
            assert_eq!(rig.file(0).durable, fetched);
        }
        if then == Then::Close {
            assert_eq!(fetched, 2 << 20);
        }
        let reports = rig.attempt().await;
        assert_eq!(reports.last(), Some(&Report::Finished));
        assert_eq!(fetched + new_bytes(&reports), 3 << 20);
        assert!(std::fs::read(rig.part(0)).unwrap() == *body);
        assert_eq!(rig.file(0).integrity, Integrity::ClientDigest);
        let requests = origin.requests();
        assert_eq!(requests[2].offset(), Some(fetched as usize));
        assert_eq!(requests[2].field("if-range"), Some(ETAG));
        assert_eq!(requests[0].field("accept-encoding"), Some("identity"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_fails_with_its_status() {
    let origin = Origin::start(|_| Reply {
        bytes: b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        then: Then::KeepOpen,
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f?secret"), "f")]).await;
    let reports = rig.attempt().await;
    let failure = super::rig::failed(&reports);
    assert_eq!((failure.error.code, failure.error.http_status), (ErrorCode::Http, Some(404)));
    assert_eq!(failure.body_excerpt.as_deref(), Some("gone"));
    assert!(!failure.error.description.contains("secret"), "{}", failure.error.description);
}
