//! The origin against raw sockets, and against curl: what a test orders is what is on the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::rig::skip;

/// Sends one request and reads until the connection ends. The error that ended it, if one did.
fn ask(origin: &Origin, target: &str, headers: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut socket = TcpStream::connect(origin.address()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    write!(socket, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    let error = socket.read_to_end(&mut answer).err().map(|error| error.kind());
    (answer, error)
}

fn split(answer: &[u8]) -> (String, &[u8]) {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head") + 4;
    (String::from_utf8(answer[..at].to_vec()).unwrap(), &answer[at..])
}

fn curl_is_here() -> bool {
    Command::new("curl").arg("--version").output().is_ok()
}

fn curl(arguments: &[&str]) -> (Option<i32>, Vec<u8>) {
    let output = Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn a_file_is_served_with_its_validators_and_in_ranges() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 1000));
    let (answer, _) = ask(&origin, "/f", "");
    let (head, body) = split(&answer);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in ["ETag: \"1-3e8\"", "Content-Length: 1000", "Accept-Ranges: bytes", "Last-Modified: "] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(body, content.all());

    let (answer, _) = ask(&origin, "/f", "Range: bytes=100-199\r\n");
    let (head, body) = split(&answer);
    assert!(head.contains("HTTP/1.1 206") && head.contains("Content-Range: bytes 100-199/1000"), "{head}");
    assert_eq!(body, content.bytes(100..200));
    assert!(split(&ask(&origin, "/f", "Range: bytes=1000-\r\n").0).0.contains("416"), "beyond the end");
    assert!(split(&ask(&origin, "/none", "").0).0.contains("404"), "no such path");
}

#[test]
fn the_access_log_says_what_was_asked_and_sent() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 5000));
    ask(&origin, "/f?x=1", "Range: bytes=10-\r\nIf-Range: \"1-1388\"\r\n");
    ask(&origin, "/f", "");
    let rows = origin.log_of("/f");
    let asked: Vec<_> = rows.iter().map(|row| (row.sequence, row.nth, row.connection, row.first_byte())).collect();
    assert_eq!(asked, [(0, 1, 0, 10), (1, 2, 1, 0)]);
    assert_eq!(rows[0].request.target, "/f?x=1");
    assert_eq!((rows[0].range(), rows[0].if_range()), (Some("bytes=10-"), Some("\"1-1388\"")));
    assert_eq!((rows[0].status, rows[0].body_sent, rows[0].end), (Some(206), 4990, Some(Ended::AsMeant)));
    assert_eq!((rows[1].status, rows[1].body_sent), (Some(200), 5000));
    assert_eq!(origin.body_sent(), 9990);
}

#[test]
fn a_cut_at_every_byte_leaves_that_many_bytes() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 20));
    let whole = ask(&origin, "/f", "").0;
    for (n, end) in (0..whole.len() as u64).flat_map(|n| [(n, End::Fin), (n, End::Orderly)]) {
        for (name, at) in [("answer", At::Answer(n)), ("wire", At::Wire(n))] {
            let path = format!("/{name}-{n}-{end:?}");
            origin.file(&path, File::seeded(1, 20));
            origin.fault(&path, On::Every, Fault::Cut(at, end));
            let (answer, error) = ask(&origin, &path, "");
            assert_eq!((answer.as_slice(), error), (&whole[..usize::try_from(n).unwrap()], None), "{path}");
        }
    }
}

#[test]
fn a_reset_is_a_reset() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 20));
    origin.fault("/f", On::Every, Fault::Cut(At::Answer(5), End::Reset));
    assert_eq!(ask(&origin, "/f", "").1, Some(ErrorKind::ConnectionReset));
    origin.accepting(Accepting::End(End::Reset));
    let mut socket = TcpStream::connect(origin.address()).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn faults_meet_the_requests_they_are_meant_for() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 20));
    origin.fault("/f", On::Nth(2), Fault::retry_after(503, "7"));
    origin.fault("/f", On::From(4), Fault::status(410));
    origin.fault("/f", On::Ranged, Fault::Range(RangeLie::NoContentRange));
    origin.file_from("/f", 3, File::seeded(2, 30));
    let mut statuses = Vec::new();
    for headers in ["", "", "Range: bytes=1-\r\n", ""] {
        statuses.push(split(&ask(&origin, "/f", headers).0).0.lines().next().unwrap().to_owned());
    }
    assert_eq!(
        statuses,
        ["HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable", "HTTP/1.1 206 Partial Content", "HTTP/1.1 410 Gone"]
    );
    let sizes: Vec<_> = origin.log().iter().map(|row| row.body_sent).collect();
    assert_eq!((sizes[0], sizes[2]), (20, 29));
}

#[test]
fn headers_can_be_wrong_in_any_way() {
    let origin = Origin::start();
    for (path, fault, line) in [
        ("/two", Fault::ContentLength(vec!["10".into(), "20".into()]), "Content-Length: 10\r\nContent-Length: 20\r\n"),
        ("/negative", Fault::ContentLength(vec!["-1".into()]), "Content-Length: -1\r\n"),
        ("/none", Fault::ContentLength(Vec::new()), "Connection: close\r\n"),
        ("/flood", Fault::HeaderFlood { count: 300, value_bytes: 1000 }, "X-Flood-299: xxx"),
        (
            "/interim",
            Fault::Interim { status: 103, count: 2 },
            "HTTP/1.1 103 Wait\r\nX-Interim: yes\r\n\r\nHTTP/1.1 200",
        ),
        ("/added", Fault::Add("ETag", "\"second\"".into()), "ETag: \"second\"\r\n"),
    ] {
        origin.file(path, File::seeded(1, 20));
        origin.fault(path, On::Every, fault);
        let answer = String::from_utf8_lossy(&ask(&origin, path, "").0).into_owned();
        assert!(answer.contains(line), "{path}: {answer}");
    }
}

#[test]
fn every_range_lie_is_told_as_meant() {
    let origin = Origin::start();
    let content = Content::new(1, 100);
    let rest = content.bytes(40..100);
    let beyond = Content::new(1, 110).bytes(40..110);
    let gzip = gzip::gzip(&rest);
    let (v2, whole) = (Content::new(1 ^ 0xFFFF, 100).bytes(40..100), content.all());
    let honest = Some("bytes 40-99/100");
    for (lie, status, content_range, body) in [
        (RangeLie::NoContentRange, 206, None, rest.clone()),
        (RangeLie::Garbled("bytes all"), 206, Some("bytes all"), rest.clone()),
        (RangeLie::Early(10), 206, Some("bytes 30-99/100"), content.bytes(30..100)),
        (RangeLie::Late(10), 206, Some("bytes 50-99/100"), content.bytes(50..100)),
        (RangeLie::EndsEarly(10), 206, Some("bytes 40-89/100"), content.bytes(40..90)),
        (RangeLie::EndsBeyondTotal(10), 206, Some("bytes 40-109/100"), beyond),
        (RangeLie::SaysLess(10), 206, Some("bytes 40-89/100"), rest.clone()),
        (RangeLie::SaysMore(10), 206, honest, content.bytes(40..90)),
        (RangeLie::TotalOffBy(1), 206, Some("bytes 40-99/101"), rest.clone()),
        (RangeLie::TotalUnknown, 206, Some("bytes 40-99/*"), rest.clone()),
        (RangeLie::Reversed, 206, Some("bytes 99-40/100"), rest.clone()),
        (RangeLie::TwoContentRanges, 206, honest, rest.clone()),
        (RangeLie::OtherUnit, 206, Some("items 40-99/100"), rest.clone()),
        (RangeLie::OtherVersion, 206, honest, v2.clone()),
        (RangeLie::WeakEtag, 206, honest, rest.clone()),
        (RangeLie::NoEtag, 206, honest, rest.clone()),
        (RangeLie::Gzip, 206, honest, gzip),
        (RangeLie::OtherBytes, 206, honest, v2),
        (RangeLie::WholeAs200, 200, None, whole.clone()),
        (RangeLie::WholeAs200WithContentRange, 200, honest, whole),
        (RangeLie::PartAs200WithContentRange, 200, honest, rest.clone()),
        (RangeLie::Unsatisfiable, 416, Some("bytes */100"), Vec::new()),
        (RangeLie::UnsatisfiableOffBy(-1), 416, Some("bytes */99"), Vec::new()),
        (RangeLie::UnsatisfiableWithoutSize, 416, None, Vec::new()),
    ] {
        let path = format!("/{}", format!("{lie:?}").replace(' ', "-"));
        origin.file(&path, File::seeded(1, 100));
        origin.fault(&path, On::Every, Fault::Range(lie));
        let answer = ask(&origin, &path, "Range: bytes=40-\r\n").0;
        let (head, sent) = split(&answer);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{lie:?}: {head}");
        assert_eq!(head.lines().find_map(|line| line.strip_prefix("Content-Range: ")), content_range, "{lie:?}");
        assert!(status == 416 || sent == body, "{lie:?}: wrong bytes");
    }
}

#[test]
fn a_held_answer_waits_for_the_test() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 2000));
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldBody(500, gate.clone()));
    let client = std::thread::scope(|scope| {
        let client = scope.spawn(|| ask(&origin, "/f", ""));
        gate.wait_reached(1, SOON);
        let rows = origin.wait("half a body", SOON, |rows| rows.iter().any(|row| row.body_sent == 500));
        assert_eq!(rows[0].end, None);
        gate.open();
        client.join().unwrap()
    });
    assert_eq!(split(&client.0).1, content.all());
}

#[test]
fn a_client_that_leaves_a_held_answer_is_noticed() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 2000));
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldHead(gate.clone()));
    let mut socket = TcpStream::connect(origin.address()).unwrap();
    write!(socket, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    gate.wait_reached(1, SOON);
    drop(socket);
    origin.wait("a client gone", SOON, |rows| rows[0].end == Some(Ended::ClientGone));
}

#[test]
fn the_pace_is_kept_over_all_connections() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 100_000));
    origin.throttle(Some(1_000_000));
    let begin = tokio::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask(&origin, "/f", ""));
        }
    });
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(350), "400 kB at 1 MB/s took {took:?}");
}

#[test]
fn curl_gets_the_bytes_however_they_are_framed() {
    if !curl_is_here() {
        skip!("curl is not installed");
    }
    let origin = Origin::start();
    let tls = Origin::start_tls(Certificate::Good);
    for (number, framing) in
        [Framing::Length, Framing::Chunked { chunk_bytes: 1000 }, Framing::Close].into_iter().enumerate()
    {
        for (encoding, option) in [(Encoding::Identity, "--raw"), (Encoding::Gzip, "--compressed")] {
            let path = format!("/{number}-{encoding:?}");
            let file = File { framing, encoding, ..File::seeded(9, 200_001) };
            let content = origin.file(&path, file.clone());
            tls.file(&path, file);
            let option = if encoding == Encoding::Identity { "-s" } else { option };
            for url in [origin.url(&path), tls.url(&path)] {
                let (code, bytes) = curl(&["-k", option, &url]);
                assert_eq!(code, Some(0), "{url}");
                assert!(bytes == content.all(), "{url} as {framing:?}, {encoding:?}");
            }
        }
    }
}

#[test]
fn curl_finds_truncations_and_follows_chains() {
    const PARTIAL_FILE: i32 = 18;
    if !curl_is_here() {
        skip!("curl is not installed");
    }
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(9, 50_000));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(30_000), End::Fin));
    assert_eq!(curl(&[&origin.url("/f")]), (Some(PARTIAL_FILE), content.bytes(0..30_000)));
    let first = origin.redirect_chain(5, "/f");
    assert_eq!(curl(&["-L", &origin.url(&first)]), (Some(0), content.all()));
    assert_eq!(curl(&["-C", "49990", &origin.url("/f")]), (Some(0), content.bytes(49_990..50_000)));
}

#[test]
fn certificates_are_good_or_bad_as_ordered() {
    const BAD_CERTIFICATE: i32 = 60;
    if !curl_is_here() {
        skip!("curl is not installed");
    }
    for (certificate, code) in
        [(Certificate::Good, 0), (Certificate::Expired, BAD_CERTIFICATE), (Certificate::OtherName, BAD_CERTIFICATE)]
    {
        let origin = Origin::start_tls(certificate);
        origin.file("/f", File::seeded(9, 10));
        let authority = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(authority.path(), origin.authority_pem()).unwrap();
        let authority = authority.path().to_str().unwrap();
        assert_eq!(curl(&["--cacert", authority, &origin.url("/f")]).0, Some(code), "{certificate:?}");
    }
}

#[test]
fn a_cut_below_tls_breaks_the_record() {
    const RECEIVE_ERROR: i32 = 56;
    if !curl_is_here() {
        skip!("curl is not installed");
    }
    let origin = Origin::start_tls(Certificate::Good);
    origin.file("/f", File::seeded(9, 10_000));
    origin.fault("/f", On::Every, Fault::Cut(At::Wire(5000), End::Fin));
    let (code, bytes) = curl(&["-k", &origin.url("/f")]);
    assert!(matches!(code, Some(RECEIVE_ERROR | 18)), "{code:?}");
    assert!(bytes.len() < 10_000);
}
