//! What goes wrong on the wire is told apart by what it is, not by how the client labels it.

use std::net::TcpListener;
use std::time::Duration;

use super::origin::{Garbage, Origin, Reply, Then, head, proper, tls_stranger};
use super::rig::{Rig, failed, wanted};
use crate::job::{ErrorCode, ErrorContext, FailureClass, Phase};
use crate::scheduler::Report;

/// Fetches one file; returns what it failed with.
async fn failure_of(url: String) -> (ErrorCode, Phase, FailureClass) {
    let mut rig = Rig::new(vec![wanted(url, "f")]).await;
    rig.settings.first_byte_timeout = Duration::from_secs(5);
    let reports = rig.attempt().await;
    let failure = failed(&reports);
    assert_eq!(failure.origin.is_some(), failure.error.context != ErrorContext::LocalFile);
    (failure.error.code, failure.phase, failure.error.class)
}

/// An origin that answers everything with these bytes.
async fn failure_with(bytes: Vec<u8>, then: Then) -> (ErrorCode, Phase, FailureClass) {
    let origin = Origin::start(move |_| Reply { bytes: bytes.clone(), then });
    failure_of(origin.url("/f")).await
}

const TRANSIENT: FailureClass = FailureClass::Transient;
const FATAL: FailureClass = FailureClass::Fatal;

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_and_no_name_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = failure_of(format!("http://{free}/f")).await;
    assert_eq!(refused, (ErrorCode::ConnectFailure, Phase::Connect, TRANSIENT));
    // A label that no name can have: no server is asked.
    let unresolved = failure_of(format!("http://{}.invalid/f", "a".repeat(64))).await;
    assert_eq!(unresolved, (ErrorCode::NameNotResolved, Phase::Resolve, TRANSIENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_no_tls_or_shows_a_foreign_certificate_is_refused_for_good() {
    let refused = (ErrorCode::TlsFailure, Phase::Tls, FATAL);
    let plain = Garbage::start(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(failure_of(plain.url("/f")).await, refused);
    let stranger = tls_stranger();
    assert_eq!(failure_of(format!("https://{stranger}/f")).await, refused);
    // One that hangs up in the handshake may be better next time.
    let closing = Garbage::start(b"");
    assert_eq!(failure_of(closing.url("/f")).await, (ErrorCode::ConnectFailure, Phase::Connect, TRANSIENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_early_is_closed_in_its_phase() {
    let ok = head("200 OK", &[("Content-Length", "100")]);
    let with_body = [&ok[..], b"some"].concat();
    let chunked = [&head("200 OK", &[("Transfer-Encoding", "chunked")])[..], b"4\r\nsome\r\n"].concat();
    for then in [Then::Close, Then::Reset] {
        for (bytes, phase) in [
            (Vec::new(), Phase::Response),
            (ok[..20].to_vec(), Phase::Response),
            (with_body.clone(), Phase::Body),
            (chunked.clone(), Phase::Body),
        ] {
            let failure = failure_with(bytes, then).await;
            assert_eq!(failure, (ErrorCode::ConnectionClosed, phase, TRANSIENT), "{then:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_makes_no_sense_is_invalid() {
    let bad_chunk = [&head("200 OK", &[("Transfer-Encoding", "chunked")])[..], b"xyz\r\nsome\r\n"].concat();
    for bytes in [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
        b"HTTP/1.1 nonsense\r\n\r\n".to_vec(),
        head("200 OK", &[("Content-Length", "5"), ("Content-Length", "6")]),
        head("200 OK", &[("Content-Length", "-5")]),
        head("200 OK", &[("Content-Length", "99999999999999999999")]),
        head("204 No Content", &[]),
        head("206 Partial Content", &[("Content-Range", "bytes 0-3/4"), ("Content-Length", "4")]),
        bad_chunk,
    ] {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (code, _, class) = failure_with(bytes, Then::Close).await;
        assert_eq!((code, class), (ErrorCode::InvalidServerResponse, TRANSIENT), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_over_the_limits_are_refused() {
    let many: Vec<(String, String)> = (0..120).map(|number| (format!("X-{number}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let long = "v".repeat(70 << 10);
    let huge = "v".repeat(600 << 10);
    for fields in [many, vec![("X-Long", &long[..])], vec![("X-Huge", &huge[..])]] {
        let failure = failure_with(head("200 OK", &fields), Then::Stall).await;
        assert_eq!(failure, (ErrorCode::ResponseTooLarge, Phase::Response, FATAL));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absurd_size_fails_before_anything_is_written() {
    for (size, code, class) in [
        ("9223372036854775808", ErrorCode::InvalidServerResponse, FATAL),
        ("9007199254740991", ErrorCode::DiskFull, TRANSIENT),
    ] {
        let origin =
            Origin::start(move |_| Reply { bytes: head("200 OK", &[("Content-Length", size)]), then: Then::Stall });
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        let reports = rig.attempt().await;
        assert_eq!((failed(&reports).error.code, failed(&reports).error.class), (code, class));
        assert_eq!(std::fs::read_dir(rig.out()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_origin_asks_for_is_passed_on() {
    for (status, expected) in
        [("503 Service Unavailable", Some(7000)), ("429 Too Many Requests", Some(7000)), ("500 Oops", None)]
    {
        let bytes = head(status, &[("Retry-After", "7"), ("Content-Length", "0")]);
        let origin = Origin::start(move |_| Reply { bytes: bytes.clone(), then: Then::KeepOpen });
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        let reports = rig.attempt().await;
        let failure = failed(&reports);
        assert_eq!((failure.error.class, failure.retry_after_ms), (TRANSIENT, expected));
        assert!(failure.response_headers.contains(&("retry-after".to_owned(), "7".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_names_that_cannot_be_used_fail_before_a_request_is_made() {
    let origin = Origin::start(|request| proper(request, b"x", "\"v1\""));
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    std::fs::create_dir(rig.out().join("f")).unwrap();
    assert_eq!(failed(&rig.attempt().await).error.code, ErrorCode::LocalNameUnusable);
    std::fs::remove_dir(rig.out().join("f")).unwrap();
    std::fs::write(rig.out().join("f"), "mine").unwrap();
    assert_eq!(failed(&rig.attempt().await).error.code, ErrorCode::LocalFileExists);
    std::fs::remove_dir_all(rig.out()).unwrap();
    let reports = rig.attempt().await;
    assert_eq!(failed(&reports).error.code, ErrorCode::LocalNameUnusable);
    assert_eq!(failed(&reports).origin, None);
    assert!(origin.requests().is_empty());
    std::fs::create_dir(rig.out()).unwrap();
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
}
