//! The request headers of a job: set, sent, and where they are write-only, shown nowhere.

use serde_json::{Value, json};

use crate::origin::{Fault, File, On, Origin, SOON};
use crate::rig::{Answer, Backhaul, Daemon};

/// The value of a header that nobody may see.
pub(crate) const SECRET: &str = "canary-5f0c9e";

fn put(daemon: &Daemon, job: &str, headers: &Value) -> Answer {
    daemon.call("PUT", &format!("{job}/headers"), &[], Some(&json!({ "headers": headers })))
}

#[test]
fn headers_are_set_as_a_whole_and_sent_from_the_next_attempt_on() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 10_000));
    origin.fault("/f", On::Nth(1), Fault::status(403));
    let daemon = Daemon::start();
    let file = json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f") });
    let job =
        daemon.create(&json!({ "type": "download", "files": [file], "headers": { "X-Api-Key": "one", "X-Old": "1" } }));
    let headers = format!("{job}/headers");
    let first = daemon.get(&headers);
    assert_eq!(first.json(), json!({ "headers": { "x-api-key": "one", "x-old": "1" }, "write_only": false }));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    daemon.wait_state(&job, "error");
    let changed = put(&daemon, &job, &json!({ "X-API-KEY": " two " }));
    assert_eq!(
        (changed.status, changed.json()),
        (200, json!({ "headers": { "x-api-key": "two" }, "write_only": false }))
    );
    assert_eq!(daemon.get(&headers).json(), changed.json());
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    daemon.wait_state(&job, "transferred");
    let sent =
        |name: &str| -> Vec<_> { origin.log().iter().map(|row| row.request.header(name).map(str::to_owned)).collect() };
    assert_eq!(sent("x-api-key"), [Some("one".to_owned()), Some("two".to_owned())]);
    assert_eq!(sent("x-old"), [Some("1".to_owned()), None]);
    let none = json!({ "headers": {}, "write_only": false });
    assert_eq!(put(&daemon, &job, &json!({})).json(), none);
    assert_eq!(put(&daemon, &job, &json!({ "x-api-key": "three" })).status, 200);
    // They live as long as the job.
    daemon.call("POST", &format!("{job}/complete"), &[], None);
    assert_eq!(put(&daemon, &job, &json!({ "x-api-key": "four" })).problem(), (409, "invalid_state".into()));
    assert_eq!(daemon.get(&headers).json(), none);
    let nobody = "/v1/jobs/01900000-0000-7000-8000-000000000000";
    assert_eq!(put(&daemon, nobody, &json!({})).problem(), (404, "not_found".into()));
    assert_eq!(daemon.get(&format!("{nobody}/headers")).problem(), (404, "not_found".into()));
}

#[test]
fn wrong_headers_are_refused_by_name_and_never_by_value() {
    let daemon = Daemon::start();
    let job = daemon.create(&json!({ "type": "download", "headers": { "x-kept": "1" } }));
    let long = format!("{SECRET}{}", "v".repeat(8 << 10));
    let many: Value =
        (0..101).map(|number| (format!("x-{number}"), json!(SECRET))).collect::<serde_json::Map<_, _>>().into();
    let large: Value =
        (0..3).map(|number| (format!("x-{number}"), json!(long[..6_000]))).collect::<serde_json::Map<_, _>>().into();
    let invalid = "invalid_field";
    let wrong = [
        (json!({ "Range": SECRET }), "/headers/Range", invalid),
        (json!({ "accept-encoding": SECRET }), "/headers/accept-encoding", invalid),
        (json!({ "host": SECRET }), "/headers/host", invalid),
        (json!({ "x a": SECRET }), "/headers/x a", invalid),
        (json!({ "x/a~": SECRET }), "/headers/x~1a~0", invalid),
        (json!({ "": SECRET }), "/headers/", invalid),
        (json!({ "x-a": format!("{SECRET}\r\nRange: bytes=0-") }), "/headers/x-a", invalid),
        (json!({ "x-a": format!("{SECRET}ä") }), "/headers/x-a", invalid),
        (json!({ "x-a": SECRET, "X-A": SECRET }), "/headers/x-a", invalid),
        (json!({ "x-a": 50_990_115 }), "/headers/x-a", invalid),
        (json!({ "x-a": [SECRET] }), "/headers/x-a", invalid),
        (json!(SECRET), "/headers", invalid),
        (json!({ "x-a": long }), "/headers/x-a", "string_too_long"),
        (json!({ "x".repeat(257): SECRET }), "/headers/xxx", "string_too_long"),
        (large, "/headers", "string_too_long"),
        (many, "/headers", invalid),
    ];
    for (headers, field, code) in wrong {
        let at_creation = daemon.post("/v1/jobs", &json!({ "type": "download", "headers": headers }));
        for answer in [put(&daemon, &job, &headers), at_creation] {
            assert_eq!(answer.problem(), (422, code.to_owned()), "{field}");
            assert!(answer.fields()[0].starts_with(field), "{field}: {answer:?}");
            let text = String::from_utf8(answer.body).unwrap();
            assert!(!text.contains(SECRET) && !text.contains("50990115") && text.len() < 1_000, "{text}");
        }
    }
    assert_eq!(daemon.get(&format!("{job}/headers")).json()["headers"], json!({ "x-kept": "1" }));
    assert_eq!(daemon.get("/v1/jobs").json()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn write_only_headers_are_sent_and_cannot_be_read_anywhere() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 10_000));
    origin.fault("/f", On::Nth(1), Fault::status(503));
    origin.fault("/f", On::Nth(2), Fault::status(404));
    let mut daemon = Daemon::start();
    daemon.end(rustix::process::Signal::TERM);
    let serve = |daemon: &Daemon| {
        let running = daemon.serve().env("BACKHAUL_LOG", "trace").start();
        running.wait_stderr("serving", SOON, |line| line.contains(" serving "));
        running
    };
    let running = serve(&daemon);
    let file = json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f") });
    let job = daemon.create(&json!({
        "type": "download", "files": [file], "headers": { "authorization": "to be replaced" }, "minimum_retry_delay": 0.01,
    }));
    let id = job.rsplit('/').next().unwrap();
    let (path, hidden) =
        (format!("{job}/headers"), json!({ "headers": { "authorization": null }, "write_only": true }));
    assert_eq!(daemon.get(&path).json()["headers"]["authorization"], "to be replaced");
    assert_eq!(daemon.call("PATCH", &job, &[], Some(&json!({ "headers_write_only": true }))).status, 200);
    assert_eq!(daemon.get(&path).json(), hidden);
    // They can be written still, and that is all.
    let mut told = vec![put(&daemon, &job, &json!({ "Authorization": SECRET }))];
    assert_eq!(told[0].json(), hidden);
    let back = daemon.call("PATCH", &job, &[], Some(&json!({ "headers_write_only": false })));
    assert_eq!(back.problem(), (422, "invalid_field".into()));
    told.push(daemon.call("POST", &format!("{job}/resume"), &[], None));
    daemon.wait_state(&job, "error");
    let everything = |daemon: &Daemon| -> Vec<Answer> {
        let below = ["", "/headers", "/state", "/progress", "/error", "/why", "/files", "/files/0", "/decisions"];
        let targets = below.map(|below| format!("{job}{below}"));
        let others = ["/v1/jobs", "/v1/events?limit=1000", "/metrics", "/openapi.json"].map(str::to_owned);
        targets.iter().chain(&others).map(|target| daemon.get(target)).collect()
    };
    told.extend(everything(&daemon));
    let last = daemon.get("/v1/events?limit=1000").json()["last_number"].as_u64().unwrap();
    let events: Vec<_> =
        daemon.connect().follow("/v1/events?after=0&progress=0", None).take(last.try_into().unwrap()).collect();
    let mut texts = vec![format!("{events:?}")];
    for words in [["job", "show", id], ["job", "headers", id], ["job", "why", id], ["job", "files", id]] {
        for format in ["tsv", "table", "json"] {
            texts.push(daemon.command(words).args(["-o", format]).run().expect_code(0).output());
        }
    }
    let sent: Vec<_> = origin.log().iter().map(|row| row.request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [Some(SECRET.to_owned()), Some(SECRET.to_owned())]);
    texts.push(running.kill().output());
    // There is no way back over a restart either.
    let running = serve(&daemon);
    assert_eq!(daemon.get(&path).json(), hidden);
    told.extend(everything(&daemon));
    running.signal(rustix::process::Signal::TERM);
    texts.push(running.finish(SOON).output());
    for more in [&[][..], &["--json"]] {
        let check = Backhaul::new().args(["store", "check", &daemon.scratch.file("state")]).args(more.iter().copied());
        texts.push(check.run().expect_code(0).output());
    }
    for answer in &told {
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains(SECRET) && !text.contains("to be replaced"), "{answer:?}: {text}");
    }
    for text in texts {
        assert!(!text.contains(SECRET) && !text.contains("to be replaced"), "{text}");
    }
}
