//! Origins that misbehave, and origins that are exchanged for others.

use std::sync::Arc;
use std::time::Duration;

use super::origin::{Origin, Reply, Then, cut, head, proper};
use super::rig::{Rig, Wanted, content, failed, failed_with, wanted};
use crate::job::{ErrorCode, Phase, RestartReason, Sha256};
use crate::scheduler::Report;
use crate::transfer::digest::Hasher;

const ETAG: &str = "\"v1\"";

fn digest(bytes: &[u8]) -> Option<Sha256> {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    Some(hasher.finish())
}

fn restarts(reports: &[Report]) -> Vec<RestartReason> {
    let reasons = reports.iter().filter_map(|report| match report {
        Report::FileRestarted { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

/// A file of 200,000 bytes whose first answer is cut after 100,000, with a rig that has these.
async fn half(etag: &'static str, with_digest: bool) -> (Arc<Vec<u8>>, Rig) {
    let body = Arc::new(content(200_000, 1));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| cut(proper(request, &served, etag), 100_000, Then::Close));
    let digest = if with_digest { digest(&body) } else { None };
    let mut rig = Rig::new(vec![Wanted { digest, ..wanted(origin.url("/f"), "f") }]).await;
    let reports = rig.attempt().await;
    assert_eq!(failed_with(&reports), ErrorCode::ConnectionClosed);
    assert_eq!(rig.file(0).durable, 100_000);
    (body, rig)
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_before_and_within_a_body_ends_the_attempt() {
    for (sent, phase) in [(0, Phase::Response), (100_000, Phase::Body)] {
        let body = content(200_000, 1);
        let origin = Origin::start(move |request| {
            let mut reply = cut(proper(request, &body, ETAG), sent, Then::Stall);
            if sent == 0 {
                reply.bytes.clear();
            }
            reply
        });
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        rig.settings.first_byte_timeout = Duration::from_millis(200);
        rig.settings.idle_timeout = Duration::from_millis(200);
        let reports = rig.attempt().await;
        assert_eq!((failed_with(&reports), failed(&reports).phase), (ErrorCode::TooSlow, phase));
        assert_eq!(rig.file(0).durable, sent as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_with_the_same_bytes_goes_on_if_a_digest_says_so() {
    let (body, mut rig) = half(ETAG, true).await;
    let served = Arc::clone(&body);
    let mirror = Origin::start(move |request| proper(request, &served, "\"other\""));
    rig.repoint(0, &mirror.url("/f")).await;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert_eq!(restarts(&reports), []);
    assert_eq!(mirror.requests()[0].offset(), Some(100_000));
    assert_eq!(mirror.requests()[0].field("if-range"), None);
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_without_a_digest_begins_anew() {
    let (body, mut rig) = half(ETAG, false).await;
    let served = Arc::clone(&body);
    let mirror = Origin::start(move |request| proper(request, &served, "\"other\""));
    rig.repoint(0, &mirror.url("/f")).await;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert_eq!(restarts(&reports), [RestartReason::Repointed]);
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
    assert!(!rig.file(0).repointed);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_another_file_at_another_origin_are_fetched_again_from_the_begin() {
    let (body, mut rig) = half(ETAG, true).await;
    let (served, mut other) = (Arc::clone(&body), content(200_000, 2));
    other[100_000..].reverse();
    let mirror = Origin::start(move |request| {
        // The first answer is of another file of the same size.
        proper(request, if request.number == 0 { &other } else { &served }, "\"other\"")
    });
    rig.repoint(0, &mirror.url("/f")).await;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    assert_eq!(restarts(&reports), [RestartReason::DigestMismatch]);
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_never_match_the_digest_are_an_error_after_two_restarts() {
    for size in [1000, 200_000] {
        let body = content(size, 1);
        let origin = Origin::start(move |request| proper(request, &body, ETAG));
        let digest = digest(b"something else");
        let mut rig = Rig::new(vec![Wanted { digest, ..wanted(origin.url("/f"), "f") }]).await;
        let reports = rig.attempt().await;
        assert_eq!(failed_with(&reports), ErrorCode::DigestMismatch);
        assert_eq!(restarts(&reports), [RestartReason::DigestMismatch; 2]);
        assert_eq!(origin.requests().len(), 3);
        assert!(!rig.file(0).finished);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_at_every_cut_is_given_up_in_the_end() {
    let body = content(200_000, 1);
    let origin = Origin::start(move |request| {
        let etag = format!("\"v{}\"", request.number);
        cut(proper(request, &body, &etag), 100_000, Then::Close)
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(failed_with(&rig.attempt().await));
    }
    assert_eq!(codes[..6], [ErrorCode::ConnectionClosed; 6]);
    assert_eq!(codes[6], ErrorCode::RemoteFileChanged);
    assert_eq!(rig.file(0).restarts, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_without_the_secrets_of_the_job() {
    let body = content(100, 1);
    let target = Origin::start(move |request| proper(request, &body, ETAG));
    let to = target.url("/f");
    let origin = Origin::start(move |request| {
        let location = if request.path() == "/a" { "/b" } else { &to };
        let bytes = head("302 Found", &[("Location", location), ("Content-Length", "0")]);
        Reply { bytes, then: Then::KeepOpen }
    });
    let url = origin.url("/a").replace("http://", "http://user:secret@");
    let mut rig = Rig::with_headers(vec![wanted(url, "f")], &[("X-Api-Key", "secret"), ("Range", "bytes=1-")]).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert_eq!(origin.requests().len(), 2);
    for request in origin.requests() {
        assert_eq!(request.field("x-api-key"), Some("secret"));
        assert_eq!(request.field("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
        assert_eq!(request.field("range"), None);
    }
    assert!(!target.requests()[0].head.contains("secret"), "{}", target.requests()[0].head);
}
