use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const CONTENT: Content = Content::new(7);

/// Sends one request as it is and reads until the origin closes: the head as text, and the body.
async fn ask(url: &SafeUrl, method: &str, fields: &str) -> (String, Vec<u8>) {
    let address = url.expose().socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = url.expose().path();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let head_end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let body = response.split_off(head_end);
    (String::from_utf8(response).unwrap().to_lowercase(), body)
}

/// The record of a response that is over for the client: the server may be about to write it.
async fn record(origin: &Origin, position: usize) -> RequestRecord {
    loop {
        if let Some(record) = origin.requests_from(position).into_iter().next() {
            return record;
        }
        tokio::task::yield_now().await;
    }
}

fn piece(offset: u64, length: usize) -> Vec<u8> {
    let mut piece = vec![0; length];
    CONTENT.fill(offset, &mut piece);
    piece
}

#[tokio::test]
async fn a_part_comes_with_its_place_and_the_validators_of_the_file() {
    let origin = Origin::start(CONTENT).await.unwrap();
    for url in [origin.url(), origin.mirror_url()] {
        let (head, body) = ask(url, "GET", "Range: bytes=1001-2000\r\n").await;
        assert!(head.starts_with("http/1.1 206 "), "{head}");
        assert!(head.contains("content-range: bytes 1001-2000/67108864\r\n"), "{head}");
        assert!(head.contains("content-length: 1000\r\n"), "{head}");
        assert!(head.contains("etag: \"demo-7-4000000\"\r\n"), "{head}");
        assert!(head.contains("last-modified: thu, 01 jan 2026 00:00:00 gmt\r\n"), "{head}");
        assert_eq!(body, piece(1001, 1000));
    }
}

#[tokio::test]
async fn the_access_log_has_what_was_asked_and_sent() {
    let origin = Origin::start(CONTENT).await.unwrap();
    let fields = format!("Range: bytes=0-99\r\nIf-Range: {}\r\n", CONTENT.etag());
    ask(origin.url(), "GET", &fields).await;
    let logged = record(&origin, 0).await;
    assert_eq!(logged.number, 1);
    assert_eq!(logged.address, origin.url().to_string());
    assert_eq!((logged.range.as_deref(), logged.if_range), (Some("bytes=0-99"), Some(CONTENT.etag())));
    assert_eq!((logged.status, logged.bytes_sent, logged.end), (206, 100, End::Complete));
    assert_eq!(origin.bytes_sent(), 100);
}

#[tokio::test]
async fn a_cut_ends_the_connection_at_its_offset() {
    let origin = Origin::start(CONTENT).await.unwrap();
    let [cut, _] = CONTENT.cuts();
    let (head, body) = ask(origin.url(), "GET", &format!("Range: bytes={}-\r\n", cut - 100_000)).await;
    assert!(head.contains(&format!("content-length: {}\r\n", SIZE - cut + 100_000)), "{head}");
    assert_eq!(body, piece(cut - 100_000, 100_000));
    let logged = record(&origin, 0).await;
    assert_eq!((logged.bytes_sent, logged.end), (100_000, End::Cut));
}

#[tokio::test]
async fn after_the_cuts_it_refuses_once_and_then_sends_away() {
    let origin = Origin::start(CONTENT).await.unwrap();
    let [_, cut] = CONTENT.cuts();
    let range = format!("Range: bytes={cut}-\r\n");
    let (head, _) = ask(origin.url(), "GET", &range).await;
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
    for _ in 0..2 {
        let (head, _) = ask(origin.url(), "GET", &range).await;
        assert!(head.starts_with("http/1.1 404 "), "{head}");
        let link = format!("link: <{}>; rel=\"duplicate\"\r\n", origin.mirror_url());
        assert!(head.contains(&link), "{head}");
    }
    let (head, body) = ask(origin.mirror_url(), "GET", &format!("Range: bytes={}-\r\n", SIZE - 10)).await;
    assert!(head.starts_with("http/1.1 206 "), "{head}");
    assert_eq!(body, piece(SIZE - 10, 10));
}

#[tokio::test]
async fn looking_changes_nothing() {
    let origin = Origin::start(CONTENT).await.unwrap();
    let (head, body) = ask(origin.url(), "HEAD", "").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-length: 67108864\r\n"), "{head}");
    assert!(body.is_empty());
    let (head, _) = ask(origin.url(), "GET", &format!("Range: bytes={SIZE}-\r\n")).await;
    assert!(head.starts_with("http/1.1 416 ") && head.contains("content-range: bytes */67108864\r\n"), "{head}");
    let (head, _) = ask(origin.url(), "DELETE", "").await;
    assert!(head.starts_with("http/1.1 405 "), "{head}");
    let elsewhere = SafeUrl::parse(&origin.url().to_string().replace("/files/", "/")).unwrap();
    assert!(ask(&elsewhere, "GET", "").await.0.starts_with("http/1.1 404 "));
    let (head, body) = ask(origin.url(), "GET", "Range: bytes=0-0\r\n").await;
    assert!(head.starts_with("http/1.1 206 "), "{head}");
    assert_eq!(body, piece(0, 1));
}

#[tokio::test]
async fn a_client_that_goes_away_is_logged_with_what_it_was_sent() {
    let origin = Origin::start(CONTENT).await.unwrap();
    let address = origin.mirror_url().expose().socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = origin.mirror_url().expose().path();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    drop(stream);
    let logged = record(&origin, 0).await;
    assert_eq!((logged.status, logged.end), (200, End::Aborted));
    assert!(logged.bytes_sent >= 1000 && logged.bytes_sent < SIZE);
}
