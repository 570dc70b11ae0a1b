//! The client against a peer that breaks the protocol to order. The real daemon is in the end-to-end tests.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::*;
use crate::api::wire::NewJob;
use crate::job::{JobId, JobState};

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// A peer that answers the first connection with the first text, the second with the second, and closes each.
struct Peer {
    _directory: TempDir,
    socket: PathBuf,
    /// The requests, once all texts were used.
    served: JoinHandle<Vec<String>>,
}

impl Peer {
    fn saying(answers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let answers: Vec<String> = answers.into_iter().map(Into::into).collect();
        #[expect(clippy::disallowed_methods, reason = "the test keeps the handle and awaits it")]
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(request(&mut stream).await);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        Self { _directory: directory, socket, served }
    }

    fn client(&self) -> Client {
        Client::unix(&self.socket).unwrap()
    }

    async fn requests(self) -> Vec<String> {
        self.served.await.unwrap()
    }
}

/// Head and body of a request.
async fn request(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if read == 0 || body.len() >= length {
                return text;
            }
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(of, _)| of.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\netag: \"1\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn state(name: &str) -> String {
    answer("200 OK", "application/json", &format!(r#"{{"state":"{name}","waiting_on":null}}"#))
}

/// A server-sent event of the journal.
fn event(number: u64) -> String {
    format!(
        "event: job_created\nid: {number}\ndata: {{\"number\":{number},\"at\":\"2026-01-01T00:00:00Z\",\"job\":null,\"kind\":\"job_created\"}}\n\n"
    )
}

/// After which event each of the connections was asked to begin.
fn last_event_ids(requests: &[String]) -> Vec<&str> {
    requests.iter().map(|request| field(request, "last-event-id").unwrap()).collect()
}

async fn numbers(stream: &mut EventStream, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match stream.next().await.unwrap().unwrap() {
            StreamItem::Event(event) => numbers.push(event.number),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_named_with_its_socket() {
    let client = Client::unix("/nonexistent/b.sock").unwrap();
    let error = client.network().await.unwrap_err();
    assert!(matches!(error, ClientError::CannotConnect { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/b.sock: No such file"), "{error}");
}

#[tokio::test]
async fn a_creation_under_a_broken_connection_is_repeated_with_its_key() {
    let refusal = r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"no","code":"invalid_state"}"#;
    let cut = "HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{";
    let stopping = refusal.replace("409", "503").replace("invalid_state", "stopping");
    let problem = |status, body| answer(status, "application/problem+json", body);
    let peer =
        Peer::saying(["", cut, &problem("503 Service Unavailable", &stopping), &problem("409 Conflict", refusal)]);
    let error = peer.client().create(&NewJob::download()).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("invalid_state"), Some(409)));
    let requests = peer.requests().await;
    let keys: Vec<_> = requests.iter().map(|request| field(request, "idempotency-key").unwrap()).collect();
    assert!(keys[0].len() == 36 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(
        requests[2].starts_with("POST /v1/jobs HTTP/1.1\r\n")
            && requests[2].ends_with(&requests[0][requests[0].len() - 20..])
    );
}

#[tokio::test]
async fn headers_are_set_as_a_whole_and_so_may_be_repeated() {
    let view = r#"{"headers":{"x-api-key":null},"write_only":true}"#;
    let peer = Peer::saying([String::new(), answer("200 OK", "application/json", view)]);
    let (job, headers) = (JobId::generate(), [("X-Api-Key".to_owned(), "a".to_owned())].into());
    let set = peer.client().set_headers(job, headers).await.unwrap();
    assert_eq!((set.headers.get("x-api-key"), set.write_only), (Some(&None), true));
    for request in peer.requests().await {
        assert!(request.starts_with(&format!("PUT /v1/jobs/{job}/headers HTTP/1.1\r\n")), "{request}");
        assert!(request.ends_with(r#"{"headers":{"X-Api-Key":"a"}}"#), "{request}");
    }
}

#[tokio::test]
async fn what_must_not_be_repeated_is_told_as_broken() {
    let peer = Peer::saying([""]);
    let error = peer.client().complete(JobId::generate()).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    assert!(error.to_string().contains("/complete"), "{error}");
    assert_eq!(peer.requests().await.len(), 1);
}

#[tokio::test]
async fn answers_of_somebody_else_are_unexpected() {
    let wrong = [
        answer("404 Not Found", "text/html", "<h1>no</h1>"),
        answer("200 OK", "application/json", "[]"),
        answer("200 OK", "application/json", r#"{"state":"queued","waiting_on":null}"#).replace("etag", "x-tag"),
    ];
    let peer = Peer::saying(wrong);
    for _ in 0..3 {
        let error = peer.client().state(JobId::generate()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unexpected { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_wait_is_held_by_the_daemon_and_ends_with_the_state() {
    let unchanged = "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\nconnection: close\r\n\r\n".to_owned();
    let peer = Peer::saying([state("queued"), unchanged, state("transferring"), state("transferred")]);
    let job = JobId::generate();
    let end = peer.client().wait(job, Duration::from_secs(30), |state| state == JobState::Transferred).await.unwrap();
    assert_eq!(end.state, JobState::Transferred);
    let requests = peer.requests().await;
    assert!(field(&requests[0], "prefer").is_none());
    for held in &requests[1..] {
        assert_eq!(field(held, "if-none-match"), Some("\"1\""));
        let seconds: u64 = field(held, "prefer").unwrap().strip_prefix("wait=").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{held}");
    }
}

#[tokio::test]
async fn each_event_comes_once_over_broken_connections() {
    // Cut in the middle of an event, in the middle of a head, and after events that were there before.
    let half = event(3);
    let peer = Peer::saying([
        format!("{EVENTS}: hello\n\n{}{}{}", event(1), event(2), &half[..half.len() / 2]),
        "HTTP/1.1 200".to_owned(),
        String::new(),
        format!("{EVENTS}{}{}{}", event(1), event(2), event(3)),
        format!("{EVENTS}{}", event(7)),
    ]);
    let mut stream = peer.client().events(EventFilter::default(), EventStart::After(0)).await.unwrap();
    assert_eq!(numbers(&mut stream, 4).await, [1, 2, 3, 7]);
    assert_eq!(stream.last_number(), 7);
    assert_eq!(last_event_ids(&peer.requests().await), ["0", "2", "2", "2", "3"]);
}

#[tokio::test]
async fn a_stream_from_now_on_misses_nothing_although_it_breaks_before_its_first_event() {
    let page = answer("200 OK", "application/json", r#"{"events":[],"last_number":9,"missed_until":null}"#);
    let peer = Peer::saying([page, EVENTS.to_owned(), format!("{EVENTS}{}", event(10))]);
    let mut stream = peer.client().events(EventFilter::default(), EventStart::Now).await.unwrap();
    assert_eq!(numbers(&mut stream, 1).await, [10]);
    assert_eq!(last_event_ids(&peer.requests().await[1..]), ["9"; 2]);
}

#[tokio::test]
async fn what_was_missed_and_what_is_ephemeral_is_told() {
    let job = JobId::generate();
    let progress = format!(
        "event: progress\ndata: {{\"job\":\"{job}\",\"state\":\"transferring\",\"bytes_total\":null,\"bytes_transferred\":5,\"files_total\":1,\"files_transferred\":0}}\n\n"
    );
    let missed = "event: missed\ndata: {\"missed_until\":40}\n\n";
    let later = "event: of_a_later_version\ndata: {\"number\":41,\"kind\":\"of_a_later_version\"}\nid: 41\n\n";
    let text = format!("{EVENTS}{missed}{}{progress}{later}{}", event(40), event(42));
    let peer = Peer::saying([text]);
    let filter = EventFilter { progress: Some(Duration::from_millis(250)), ..EventFilter::of_job(job) };
    let mut stream = peer.client().events(filter, EventStart::After(3)).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamItem::Missed { until: 40 });
    let StreamItem::Progress(progress) = stream.next().await.unwrap().unwrap() else { panic!("progress expected") };
    assert_eq!((progress.job, progress.progress.bytes_transferred), (job, 5));
    assert_eq!(numbers(&mut stream, 1).await, [42]);
    let requests = peer.requests().await;
    assert!(requests[0].starts_with(&format!("GET /v1/events?job={job}&progress=250 HTTP/1.1\r\n")), "{requests:?}");
}

#[tokio::test]
async fn what_retention_has_taken_is_told_with_the_number_after_which_it_goes_on() {
    let missed = "event: missed\ndata: {\"missed_until\":40}\n\n";
    let peer = Peer::saying([
        // It breaks before anything follows.
        format!("{EVENTS}{missed}"),
        format!("{EVENTS}{}{}", event(41), event(42)),
        // What was told once is not told again.
        format!("{EVENTS}{missed}{}", event(43)),
    ]);
    let mut stream = peer.client().events(EventFilter::default(), EventStart::After(3)).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamItem::Missed { until: 40 });
    assert_eq!(stream.last_number(), 40, "an application that is killed now goes on after what is gone");
    assert_eq!(numbers(&mut stream, 3).await, [41, 42, 43]);
    assert_eq!(last_event_ids(&peer.requests().await), ["3", "40", "42"]);
}

#[tokio::test]
async fn a_reader_that_is_cut_off_is_told_where_and_goes_on_from_there() {
    let cut_off = |after: &str| format!("event: cut_off\ndata: {{\"resume_after\":{after}}}\n\n");
    let peer = Peer::saying([
        // Number 6 was looked at and not wanted: it need not be looked at again.
        format!("{EVENTS}{}{}", event(5), cut_off("6")),
        // A reader that had seen nothing goes on where it was.
        format!("{EVENTS}{}", cut_off("null")),
        format!("{EVENTS}{}{}", event(7), event(8)),
    ]);
    let mut stream = peer.client().events(EventFilter::default(), EventStart::After(4)).await.unwrap();
    assert_eq!(numbers(&mut stream, 1).await, [5]);
    for _ in 0..2 {
        assert_eq!(stream.next().await.unwrap().unwrap(), StreamItem::CutOff { resume_after: 6 });
        assert_eq!(stream.last_number(), 6);
    }
    assert_eq!(numbers(&mut stream, 2).await, [7, 8]);
    assert_eq!(last_event_ids(&peer.requests().await), ["4", "6", "6"]);
}

#[tokio::test]
async fn progress_is_asked_for_at_a_pace_at_each_jobs_own_or_not_at_all() {
    let paces = [(None, "progress=0"), (Some(Duration::ZERO), ""), (Some(Duration::from_secs(1)), "progress=1000")];
    for (progress, asked) in paces {
        let peer = Peer::saying([format!("{EVENTS}{}", event(1))]);
        let filter = EventFilter { progress, ..EventFilter::default() };
        let mut stream = peer.client().events(filter, EventStart::After(0)).await.unwrap();
        assert_eq!(numbers(&mut stream, 1).await, [1]);
        let request = peer.requests().await.remove(0);
        let target = request.split(' ').nth(1).unwrap();
        assert_eq!(target.trim_start_matches("/v1/events").trim_start_matches('?'), asked);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_first_error() {
    let endless = format!("{EVENTS}data: {}", "x".repeat(2 << 20));
    let nonsense = format!("{EVENTS}data: {{\n\n");
    for text in [endless, nonsense] {
        let peer = Peer::saying([text]);
        let mut stream = peer.client().events(EventFilter::default(), EventStart::After(0)).await.unwrap();
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Unexpected { .. }), "{error:?}");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_stream_gives_up_after_its_patience() {
    let peer = Peer::saying([format!("{EVENTS}{}", event(1))]);
    let stream = peer.client().events(EventFilter::default(), EventStart::After(0)).await.unwrap();
    let mut stream = stream.patience(Duration::ZERO);
    assert_eq!(numbers(&mut stream, 1).await, [1]);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
}
