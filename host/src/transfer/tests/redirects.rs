//! What redirects do to a file's remote name, and whom the job's headers reach.

use std::sync::{Arc, OnceLock};

use super::origin::{Origin, Reply, Request, Then, cut, head, proper};
use super::rig::{Pointer, Rig, content, failed, failed_with, wanted};
use crate::job::{ErrorCode, FailureClass, FileIndex, Redirects};
use crate::scheduler::{Report, Terms};

const ETAG: &str = "\"v1\"";
const SIZE: usize = 200_000;
const KEY: &[(&str, &str)] = &[("X-Api-Key", "of-home")];

fn to(location: &str) -> Reply {
    let fields = [("Location", location), ("Content-Length", "0")];
    Reply { bytes: head("302 Found", &fields), then: Then::KeepOpen }
}

fn reporting() -> Terms {
    Terms { redirects: Redirects::Report, ..Terms::default() }
}

fn key(request: &Request) -> Option<&str> {
    request.field("x-api-key")
}

/// Serves the file, and breaks the first answer off in its middle.
fn broken_once() -> impl Fn(&Request) -> Reply + Send + Sync {
    |request| {
        let reply = proper(request, &content(SIZE, 1), ETAG);
        if request.number == 0 { cut(reply, SIZE / 2, Then::Close) } else { reply }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_redirect_becomes_the_remote_name_and_the_bytes_are_kept() {
    let away = Origin::start(broken_once());
    let target = away.url("/there?signed");
    let location = target.clone();
    let home = Origin::start(move |request| match request.path() {
        "/moved" => to(&location),
        _ => proper(request, &content(1_000, 2), ETAG),
    });
    let files = vec![wanted(home.url("/moved"), "a"), wanted(home.url("/stays"), "b")];
    let mut rig = Rig::with_headers(files, KEY).await;
    rig.terms = reporting();
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::ConnectionClosed);
    let row = rig.file(0);
    assert_eq!(row.remote_name.expose().as_str(), target);
    assert!(row.durable > 0 && row.headers_withheld && !row.repointed);
    // The next attempt asks there, and goes on.
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    assert_eq!(rig.file(0).restarts, 0);
    assert!(std::fs::read(rig.part(0)).unwrap() == content(SIZE, 1));
    let requests = away.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].offset().is_some_and(|offset| offset > 0));
    // The headers were not given for that origin; the other file of the job still has them.
    assert!(requests.iter().all(|request| key(request).is_none()));
    assert_eq!(home.requests().iter().map(|request| key(request)).collect::<Vec<_>>(), [Some("of-home"); 2]);
    assert!(rig.file(1).finished && !rig.file(1).headers_withheld);
    assert_eq!(rig.reader.headers(rig.job).unwrap().0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_at_home_keeps_headers_and_userinfo() {
    let home = Origin::start(|request| match request.path() {
        "/moved" => to("/there"),
        _ => {
            let reply = proper(request, &content(SIZE, 1), ETAG);
            if request.number == 1 { cut(reply, SIZE / 2, Then::Close) } else { reply }
        }
    });
    let url = home.url("/moved").replace("http://", "http://user:word@");
    let mut rig = Rig::with_headers(vec![wanted(url, "f")], KEY).await;
    rig.terms = reporting();
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::ConnectionClosed);
    assert!(!rig.file(0).headers_withheld);
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    let requests = home.requests();
    assert_eq!(requests[2].path(), "/there");
    for request in &requests {
        assert_eq!((key(request), request.field("authorization").is_some()), (Some("of-home"), true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_points_the_file_elsewhere_meanwhile_has_the_last_word() {
    let pointer: Arc<OnceLock<(Pointer, String)>> = Arc::default();
    let (pointing, runtime) = (Arc::clone(&pointer), tokio::runtime::Handle::current());
    let home = Origin::start(move |request| match request.path() {
        "/moved" => to("/there"),
        _ => {
            // Before the worker can know where it was led.
            let (pointer, elsewhere) = pointing.get().unwrap();
            runtime.block_on(pointer.repoint(0, elsewhere));
            proper(request, &content(SIZE, 1), ETAG)
        }
    });
    let mut rig = Rig::new(vec![wanted(home.url("/moved"), "f")]).await;
    rig.terms = reporting();
    let elsewhere = home.url("/elsewhere");
    assert!(pointer.set((rig.pointer(), elsewhere.clone())).is_ok());
    let reports = rig.attempt().await;
    assert!(reports.iter().any(|report| matches!(report, Report::Redirected(_))));
    assert_eq!(reports.last(), Some(&Report::Finished));
    let row = rig.file(0);
    assert_eq!((row.remote_name.expose().as_str(), row.repointed), (elsewhere.as_str(), true));
    assert!(rig.reader.events(0, 9, None).unwrap().is_empty(), "nothing was changed that anybody should hear of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_is_allowed_changes_no_name() {
    let home = Origin::start(|request| match request.path() {
        "/moved" => to("/there"),
        _ => proper(request, &content(SIZE, 1), ETAG),
    });
    let mut rig = Rig::new(vec![wanted(home.url("/moved"), "f")]).await;
    let reports = rig.attempt().await;
    assert!(!reports.iter().any(|report| matches!(report, Report::Redirected(_))));
    assert_eq!(rig.file(0).remote_name.expose().as_str(), home.url("/moved"));
    // What the client may read is the head of the answer that counted.
    let response = rig.reader.response(rig.job, FileIndex(0)).unwrap().unwrap();
    assert_eq!(response.status, 200);
    assert!(response.fields.iter().any(|field| field.name == "etag" && field.value.as_deref() == Some(ETAG)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_is_disallowed_is_an_error_with_its_status_and_the_name_follows() {
    for (status, line) in [(301, "301 Moved Permanently"), (307, "307 Temporary Redirect")] {
        let home = Origin::start(move |_| {
            let fields = [("Location", "/there?secret"), ("Content-Length", "0")];
            Reply { bytes: head(line, &fields), then: Then::KeepOpen }
        });
        let mut rig = Rig::new(vec![wanted(home.url("/moved"), "f")]).await;
        rig.terms = Terms { redirects: Redirects::Disallow, ..Terms::default() };
        let reports = rig.attempt().await;
        let error = &failed(&reports).error;
        assert_eq!((error.code, error.class, error.http_status), (ErrorCode::Http, FailureClass::Fatal, Some(status)));
        assert!(!error.description.contains("secret"), "{}", error.description);
        assert_eq!(rig.file(0).remote_name.expose().as_str(), home.url("/there?secret"));
        assert_eq!(home.requests().len(), 1);
        let response = rig.reader.response(rig.job, FileIndex(0)).unwrap().unwrap();
        assert_eq!(response.status, status);
        // A URL may be signed.
        assert!(!format!("{response:?}").contains("secret"));
    }
}
