//! Webhooks: what happens arrives at receivers, signed, in order, at least once, whatever they answer and whoever is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::fetch::{DONE, JOB_FAILED, USAGE};
use crate::origin::{Fault, File, On, Origin};
use crate::rig::{Daemon, Posted, Receiver, Reply};

/// Retries come soon: after 1 ms, 60 ms, 360 ms, 1.44 s, 3.6 s.
const QUICK: &str = "[scheduler]\nretry_floor = 0.001\n[webhooks]\nretry_first = 0.001\ntimeout = 2\n";
/// A failed attempt is the last.
const ONE_ATTEMPT: &str = "[scheduler]\nretry_floor = 0.001\n[webhooks]\nattempts_max = 1\n";

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy10aGF0LW5vYm9keS1zZWVz";
const NOT_FOUND: i32 = 66;

/// A webhook, and its path.
#[track_caller]
fn add(daemon: &Daemon, url: &str, more: Value) -> (Value, String) {
    let mut body = json!({ "url": url });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = daemon.post("/v1/webhooks", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    (answer.json(), answer.header("location").unwrap().to_owned())
}

/// Creates a job and cancels it: two events, `job_created` and `cancelled`, among others. Returns its id.
#[track_caller]
fn cancelled_job(daemon: &Daemon, more: Value) -> String {
    let mut body = json!({ "type": "download" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let job = daemon.create(&body);
    assert_eq!(daemon.call("POST", &format!("{job}/cancel"), &[], None).status, 200);
    job.rsplit('/').next().unwrap().to_owned()
}

/// Looks at a webhook until it is as it should be. What is looked at changes by itself; there is no event to wait for.
#[track_caller]
fn wait_webhook(daemon: &Daemon, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let begin = tokio::time::Instant::now();
    let mut connection = daemon.connect();
    loop {
        let webhook = connection.call("GET", path, &[], None).json();
        if is_wanted(&webhook) {
            return webhook;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not become so: {webhook}");
    }
}

fn jobs_of(posted: &[Posted]) -> Vec<String> {
    posted.iter().map(|one| one.json()["data"]["job"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_jobs_events_arrive_signed_and_in_order_and_are_those_of_the_journal() {
    let (receiver, origin, daemon) = (Receiver::start(), Origin::start(), Daemon::start());
    let kinds = ["file_transferred", "job_transferred", "acknowledged"];
    let (created, path) = add(&daemon, &receiver.url("/hook"), json!({ "kinds": kinds }));
    let secret = created["secret"].as_str().unwrap();
    let files: Vec<_> = (0..5)
        .map(|number| {
            let name = format!("/f{number}");
            origin.file(&name, File::seeded(number, 10_000));
            json!({ "remote_name": origin.url(&name), "local_name": daemon.out(&name[1..]) })
        })
        .collect();
    let flags = ["job_transferred", "job_error", "file_transferred"];
    let job = daemon.create(&json!({ "type": "download", "files": files, "resume": true, "notify_flags": flags }));
    daemon.wait_state(&job, "transferred");
    daemon.call("POST", &format!("{job}/complete"), &[], None);
    let posted = receiver.wait_count(7);
    let told: Vec<_> = posted.iter().map(Posted::kind).collect();
    assert_eq!(told[..5], ["file_transferred"; 5]);
    assert_eq!(told[5..], ["job_transferred", "acknowledged"]);
    let journal = daemon.get("/v1/events?after=0&limit=1000").json();
    for one in &posted {
        assert!(one.is_signed(secret), "{one:?}");
        assert_eq!((one.path.as_str(), one.header("content-type")), ("/hook", "application/json"));
        let body = one.json();
        let events = journal["events"].as_array().unwrap();
        let event = events.iter().find(|event| event["number"] == body["data"]["number"]).unwrap();
        assert_eq!((&body["data"], &body["timestamp"]), (event, &event["at"]));
        let store = one.id().strip_prefix("evt_").and_then(|rest| rest.strip_suffix(&format!("_{}", one.number())));
        assert_eq!(store.map(str::len), Some(8), "{}", one.id());
    }
    let shown = wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0);
    assert!(shown["delivered_at"].is_string() && shown["failed"] == 0, "{shown}");
    let metrics = String::from_utf8(daemon.get("/metrics").body).unwrap();
    assert!(metrics.contains("backhaul_webhook_deliveries_total 7\n"), "{metrics}");
    // By default nobody is told of each file.
    let job = daemon.create(&json!({ "type": "download", "files": [files[0]], "overwrite": true, "resume": true }));
    daemon.wait_state(&job, "transferred");
    assert_eq!(receiver.wait_count(8)[7].kind(), "job_transferred");
}

#[test]
fn a_delivery_is_repeated_with_its_id_until_it_arrives() {
    let receiver = Receiver::answering(|_, before| match before {
        0 => Reply::Status(500),
        1 => Reply::Close,
        2 => Reply::With(503, "Retry-After: 0\r\n".into()),
        _ => Reply::Status(200),
    });
    let daemon = Daemon::configured(QUICK);
    let (_, path) = add(&daemon, &receiver.url("/"), json!({ "secret": SECRET }));
    let first = cancelled_job(&daemon, json!({}));
    let posted = receiver.wait_count(4);
    assert!(posted.iter().all(|one| one.id() == posted[0].id() && one.json() == posted[0].json()), "{posted:?}");
    assert!(posted.iter().all(|one| one.is_signed(SECRET)));
    assert_eq!(jobs_of(&posted[..1]), [first]);
    wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0 && webhook["failed"] == 0);
}

#[test]
fn one_job_that_waits_holds_up_no_other_and_is_told_in_order() {
    let daemon = Daemon::configured(QUICK);
    let receiver = Receiver::start();
    let kinds = json!({ "kinds": ["job_created", "cancelled"] });
    let (_, path) = add(&daemon, &receiver.url("/"), kinds);
    let first = daemon.create(&json!({ "type": "download" }));
    let id = first.rsplit('/').next().unwrap().to_owned();
    receiver.wait_count(1);
    // From now on nothing of the first job gets through, and of others everything.
    let held_up = id.clone();
    receiver.answer(move |one, _| match one.json()["data"]["job"] == held_up.as_str() {
        true => Reply::Status(500),
        false => Reply::Status(200),
    });
    daemon.call("POST", &format!("{first}/cancel"), &[], None);
    let others: Vec<_> = (0..10).map(|_| cancelled_job(&daemon, json!({}))).collect();
    let of = |posted: &[Posted], job: &str| -> Vec<String> {
        posted.iter().filter(|one| one.json()["data"]["job"] == job).map(Posted::kind).collect()
    };
    let posted = receiver.wait(|posted| others.iter().all(|job| of(posted, job).len() == 2));
    for job in &others {
        assert_eq!(of(&posted, job), ["job_created", "cancelled"]);
    }
    let pending = daemon.get(&format!("{path}/deliveries?state=pending")).json();
    assert_eq!(pending["deliveries"].as_array().unwrap().len(), 1, "{pending}");
    assert_eq!(
        (&pending["deliveries"][0]["event"]["job"], &pending["deliveries"][0]["status"]),
        (&json!(id), &json!(500))
    );
    receiver.answer(|_, _| Reply::Status(200));
    wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0);
}

#[test]
fn a_receiver_that_wants_no_more_is_disabled_until_somebody_enables_it() {
    let daemon = Daemon::configured(QUICK);
    let receiver = Receiver::answering(|_, _| Reply::Status(410));
    let (_, path) = add(&daemon, &receiver.url("/"), json!({}));
    let first = cancelled_job(&daemon, json!({}));
    let disabled = wait_webhook(&daemon, &path, |webhook| webhook["enabled"] == false);
    assert!(disabled["disabled_because"].as_str().unwrap().contains("410"), "{disabled}");
    let second = cancelled_job(&daemon, json!({}));
    let failed = daemon.get(&format!("{path}/deliveries")).json();
    let number = failed["deliveries"][0]["event"]["number"].clone();
    assert_eq!(
        (&failed["deliveries"][0]["status"], &failed["deliveries"][0]["state"]),
        (&json!(410), &json!("failed"))
    );
    receiver.answer(|_, _| Reply::Status(200));
    let enabled = daemon.call("PATCH", &path, &[], Some(&json!({ "enabled": true }))).json();
    assert_eq!((&enabled["enabled"], &enabled["disabled_because"]), (&json!(true), &Value::Null));
    // What happened meanwhile comes by itself; what had failed, on demand.
    assert_eq!(jobs_of(&receiver.wait_count(2)[1..]), [second]);
    let resent = daemon.call("POST", &format!("{path}/deliveries/{number}/resend"), &[], None);
    assert_eq!((resent.status, &resent.json()["state"]), (200, &json!("pending")));
    assert_eq!(jobs_of(&receiver.wait_count(3)[2..]), [first]);
    wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0 && webhook["failed"] == 0);
    let again = daemon.call("POST", &format!("{path}/deliveries/{number}/resend"), &[], None);
    assert_eq!(again.problem(), (404, "delivery_not_found".into()));
}

#[test]
fn a_slow_receiver_holds_up_neither_a_fast_one_nor_the_jobs() {
    let (slow, fast) = (Receiver::answering(|_, _| Reply::Silence), Receiver::start());
    let daemon = Daemon::configured("[webhooks]\ntimeout = 1\nretry_first = 3600\n");
    let (_, path) = add(&daemon, &slow.url("/"), json!({}));
    add(&daemon, &fast.url("/"), json!({}));
    let jobs: Vec<_> = (0..20).map(|_| cancelled_job(&daemon, json!({}))).collect();
    let mut told = jobs_of(&fast.wait_count(20));
    told.sort_unstable();
    assert_eq!(told, jobs);
    assert!(slow.posted().len() < 20, "the fast one waited for the slow one");
    let begin = tokio::time::Instant::now();
    let problem = loop {
        let page = daemon.get(&format!("{path}/deliveries?state=pending&limit=1")).json();
        if let Some(problem) = page["deliveries"][0]["problem"].as_str() {
            break problem.to_owned();
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{page}");
    };
    assert_eq!(problem, "no answer within 1 s");
}

#[test]
fn no_more_deliveries_of_an_owner_are_under_way_than_are_allowed() {
    // How many are at a receiver at this moment, and how many were at most.
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let receivers = [(); 3].map(|()| {
        let counts = Arc::clone(&counts);
        Receiver::answering(move |_, _| {
            let (now, most) = &*counts;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Long enough for another one to come, if it were on its way.
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Reply::Status(200)
        })
    });
    let daemon = Daemon::configured("[webhooks]\nconcurrent_per_owner = 2\n");
    for receiver in &receivers {
        add(&daemon, &receiver.url("/"), json!({}));
    }
    for _ in 0..10 {
        cancelled_job(&daemon, json!({}));
    }
    receivers.iter().for_each(|receiver| drop(receiver.wait_count(10)));
    assert_eq!(counts.1.load(Ordering::SeqCst), 2);
}

#[test]
fn nothing_is_lost_when_the_daemon_is_killed_and_repetitions_have_the_same_id() {
    let receiver = Receiver::answering(|_, _| Reply::Silence);
    let mut daemon = Daemon::configured(QUICK);
    let (_, path) = add(&daemon, &receiver.url("/"), json!({ "secret": SECRET }));
    let first = cancelled_job(&daemon, json!({}));
    // It has arrived; that is recorded nowhere.
    let id = receiver.wait_count(1)[0].id().to_owned();
    daemon.end(rustix::process::Signal::KILL);
    receiver.answer(|_, _| Reply::Close);
    daemon.begin();
    let posted = receiver.wait_count(2);
    assert_eq!((posted[1].id(), posted[1].json()), (id.as_str(), posted[0].json()));
    // The receiver is down: what happens meanwhile outlives a kill as well.
    let second = cancelled_job(&daemon, json!({}));
    receiver.wait(|posted| jobs_of(posted).contains(&second));
    daemon.end(rustix::process::Signal::KILL);
    let before = receiver.posted().len();
    receiver.answer(|_, _| Reply::Status(200));
    daemon.begin();
    let third = cancelled_job(&daemon, json!({}));
    let all = [first, second, third];
    let posted = receiver.wait(|posted| all.iter().all(|job| jobs_of(&posted[before..]).contains(job)));
    assert!(posted.iter().all(|one| one.is_signed(SECRET)));
    wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0 && webhook["failed"] == 0);
    // What is recorded is not repeated.
    let after = receiver.posted().len();
    daemon.end(rustix::process::Signal::TERM);
    daemon.begin();
    let fourth = cancelled_job(&daemon, json!({}));
    let posted = receiver.wait_count(after + 1);
    assert_eq!(jobs_of(&posted[after..]), [fourth]);
    daemon.end(rustix::process::Signal::TERM);
    daemon.command(["store", "check", &daemon.scratch.file("state")]).run().expect_code(DONE);
}

#[test]
fn more_than_is_held_in_memory_waits_in_the_journal_while_a_receiver_is_down() {
    const JOBS: usize = 300;
    const HELD_MAX: u64 = 256;
    let receiver = Receiver::answering(|_, _| Reply::Close);
    let mut daemon = Daemon::configured(QUICK);
    let (_, path) = add(&daemon, &receiver.url("/"), json!({}));
    let jobs: BTreeSet<_> = (0..JOBS).map(|_| cancelled_job(&daemon, json!({}))).collect();
    let waits = wait_webhook(&daemon, &path, |webhook| webhook["pending"].as_u64() >= Some(HELD_MAX));
    assert_eq!(waits["pending"], HELD_MAX);
    daemon.end(rustix::process::Signal::KILL);
    let before = receiver.posted().len();
    receiver.answer(|_, _| Reply::Status(200));
    daemon.begin();
    let told = |posted: &[Posted]| -> BTreeSet<_> { jobs_of(&posted[before..]).into_iter().collect() };
    receiver.wait(|posted| told(posted).len() == JOBS);
    assert_eq!(told(&receiver.posted()), jobs);
    wait_webhook(&daemon, &path, |webhook| webhook["pending"] == 0 && webhook["failed"] == 0);
}

#[test]
fn what_retention_removes_before_it_is_told_is_counted_and_passed_over() {
    let receiver = Receiver::start();
    let daemon = Daemon::configured("[retention]\nevents_max = 1000\ninterval = 1\n");
    let (_, path) = add(&daemon, &receiver.url("/"), json!({ "enabled": false }));
    cancelled_job(&daemon, json!({}));
    let mut connection = daemon.connect();
    for _ in 0..1_200 {
        assert_eq!(connection.call("POST", "/v1/jobs", &[], Some(&json!({ "type": "download" }))).status, 201);
    }
    // Retention looks each second; until then everything is there.
    let begin = tokio::time::Instant::now();
    while connection.call("GET", "/v1/events?after=0&limit=1", &[], None).json()["missed_until"] != 203 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the events are not removed");
    }
    daemon.call("PATCH", &path, &[], Some(&json!({ "enabled": true })));
    let last = cancelled_job(&daemon, json!({}));
    assert_eq!(jobs_of(&receiver.wait_count(1)), [last]);
    let metrics = String::from_utf8(daemon.get("/metrics").body).unwrap();
    let missed = metrics.lines().find_map(|line| line.strip_prefix("backhaul_webhook_events_missed_total "));
    assert!(missed.is_some_and(|missed| missed.parse::<u64>().unwrap() >= 203), "{metrics}");
}

#[test]
fn flags_labels_and_kinds_say_what_is_told() {
    let (origin, receiver, daemon) = (Origin::start(), Receiver::start(), Daemon::start());
    origin.file("/gone", File::seeded(1, 10));
    origin.fault("/gone", On::Every, Fault::status(404));
    let kinds = json!({ "kinds": ["cancelled", "job_error", "state_changed"], "labels": { "team": "edge" } });
    add(&daemon, &receiver.url("/"), kinds);
    let edge = json!({ "team": "edge" });
    cancelled_job(&daemon, json!({ "labels": { "team": "core" } }));
    cancelled_job(&daemon, json!({ "labels": edge, "notify_flags": ["disable", "job_error", "job_transferred"] }));
    let file = json!({ "remote_name": origin.url("/gone"), "local_name": daemon.out("f") });
    let fails = |flags: Value| {
        let job = daemon.create(
            &json!({ "type": "download", "files": [file], "labels": edge, "notify_flags": flags, "resume": true }),
        );
        daemon.wait_state(&job, "error");
        job
    };
    fails(json!(["job_transferred"]));
    let told = fails(json!(["job_error"]));
    let last = cancelled_job(&daemon, json!({ "labels": edge, "notify_flags": [] }));
    let posted = receiver.wait_count(2);
    let told: Vec<_> = [told.rsplit('/').next().unwrap().to_owned(), last].into();
    let mut jobs = jobs_of(&posted);
    jobs.sort_unstable();
    assert_eq!(jobs, told, "one that asks for errors, and one whose end no flag is about");
    let mut kinds: Vec<_> = posted.iter().map(Posted::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["cancelled", "job_error"]);
    assert_eq!(posted.len(), 2);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start();
    let location = format!("Location: {}\r\n", elsewhere.url("/stolen"));
    let receiver = Receiver::answering(move |_, _| Reply::With(307, location.clone()));
    let daemon = Daemon::configured(ONE_ATTEMPT);
    let (_, path) = add(&daemon, &receiver.url("/"), json!({}));
    cancelled_job(&daemon, json!({}));
    wait_webhook(&daemon, &path, |webhook| webhook["failed"] == 1);
    let failed = daemon.get(&format!("{path}/deliveries")).json();
    let problem = failed["deliveries"][0]["problem"].as_str().unwrap();
    assert_eq!(problem, "the receiver answered 307; redirects are not followed");
    assert!(elsewhere.posted().is_empty());
}

#[test]
fn a_test_says_what_the_receiver_says() {
    let (receiver, daemon) = (Receiver::start(), Daemon::start());
    let (_, path) = add(&daemon, &receiver.url("/"), json!({ "secret": SECRET, "enabled": false }));
    let test = || daemon.call("POST", &format!("{path}/test"), &[], None).json();
    let tested = test();
    assert_eq!(
        (&tested["delivered"], &tested["status"], &tested["problem"]),
        (&json!(true), &json!(204), &Value::Null)
    );
    let posted = receiver.wait_count(1);
    assert!(posted[0].is_signed(SECRET) && posted[0].kind() == "test" && posted[0].id().starts_with("test_"));
    receiver.answer(|_, _| Reply::Status(403));
    let tested = test();
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(false), &json!(403)));
    let url = receiver.url("/");
    drop(receiver);
    let tested = test();
    let problem = tested["problem"].as_str().unwrap();
    assert!(problem.contains("no connection") && !problem.contains(&url), "{tested}");
}

#[test]
fn wrong_requests_are_refused_with_their_fields() {
    let daemon = Daemon::configured("[webhooks]\nper_owner_max = 2\n");
    let refused = |body: Value| {
        let answer = daemon.post("/v1/webhooks", &body);
        assert_eq!(answer.status, 422, "{answer:?}");
        answer.fields()
    };
    assert_eq!(refused(json!({ "url": "http://receiver.example/" })), ["/url"]);
    assert_eq!(refused(json!({ "url": "ftp://receiver.example/" })), ["/url"]);
    assert_eq!(refused(json!({ "url": format!("https://x/{}", "a".repeat(9000)) })), ["/url"]);
    let wrong = json!({ "url": "https://x/", "kinds": ["job_error", "jobs"], "secret": "whsec_c2hvcnQ=", "labels": { "": "x" } });
    assert_eq!(refused(wrong), ["/secret", "/kinds/1", "/labels/"]);
    assert_eq!(refused(json!({ "url": "https://x/", "kinds": [] })), ["/kinds"]);
    assert_eq!(refused(json!({ "url": "https://x/", "event": "x" })), ["/event"]);
    let (_, path) = add(&daemon, "https://receiver.example/a", json!({ "enabled": false }));
    add(&daemon, "http://localhost:1/", json!({ "enabled": false }));
    let third = daemon.post("/v1/webhooks", &json!({ "url": "https://receiver.example/" }));
    assert_eq!(third.problem(), (409, "too_many_webhooks".into()));
    let patch = daemon.call("PATCH", &path, &[], Some(&json!({ "url": "http://receiver.example/" })));
    assert_eq!((patch.status, patch.fields()), (422, vec!["/url".into()]));
    assert_eq!(daemon.call("DELETE", &path, &[], None).status, 204);
    for (method, below) in
        [("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries"), ("POST", "/deliveries/1/resend")]
    {
        let answer = daemon.call(method, &format!("{path}{below}"), &[], None);
        assert_eq!(answer.problem(), (404, "webhook_not_found".into()), "{method} {below}");
    }
    let none = daemon.get("/v1/webhooks/x");
    assert_eq!(none.problem(), (404, "webhook_not_found".into()));
    assert_eq!(daemon.get("/v1/webhooks").json()["webhooks"].as_array().unwrap().len(), 1);
}

#[test]
fn secrets_are_told_once_and_never_again() {
    let receiver = Receiver::answering(|_, before| if before % 2 == 0 { Reply::Status(500) } else { Reply::Close });
    let mut daemon = Daemon::configured("[webhooks]\nattempts_max = 2\nretry_first = 0.001\n");
    daemon.end(rustix::process::Signal::TERM);
    daemon.begin_with(daemon.serve().env("BACKHAUL_LOG", "trace"));
    let url = format!("http://canary-user:canary-word@127.0.0.1:{}/hook?canary-query=1", receiver.port());
    let (created, path) = add(&daemon, &url, json!({ "secret": SECRET, "kinds": ["cancelled", "job_created"] }));
    assert_eq!(created["secret"], SECRET);
    assert_eq!(created["url"], format!("http://127.0.0.1:{}/hook?...", receiver.port()));
    cancelled_job(&daemon, json!({}));
    wait_webhook(&daemon, &path, |webhook| webhook["failed"] == 2);
    daemon.call("POST", &format!("{path}/test"), &[], None);
    assert_eq!(receiver.posted()[0].path, "/hook?canary-query=1", "the receiver is told under the whole URL");
    assert!(receiver.posted()[0].header("authorization").starts_with("Basic "));
    let mut seen = String::new();
    for target in [
        path.as_str(),
        "/v1/webhooks",
        &format!("{path}/deliveries"),
        &format!("{path}/deliveries?state=pending"),
        "/v1/events?after=0&limit=1000",
        "/metrics",
    ] {
        seen.push_str(&String::from_utf8(daemon.get(target).body).unwrap());
    }
    let id = path.rsplit('/').next().unwrap();
    for words in [vec!["webhook", "list"], vec!["webhook", "show", id], vec!["webhook", "failed", id]] {
        seen.push_str(&daemon.run(words.clone()).output());
        seen.push_str(&daemon.run(words.into_iter().chain(["--json"])).output());
    }
    let log = daemon.end(rustix::process::Signal::TERM);
    assert!(log.output().contains("a delivery has failed"), "{log}");
    seen.push_str(&log.output());
    let check = daemon.command(["store", "check", &daemon.scratch.file("state")]).run().expect_code(DONE);
    seen.push_str(&check.output());
    let key = &SECRET["whsec_".len()..];
    let plain = "secret-of-the-tests-that-nobody-sees";
    for canary in [key, plain, "canary-user", "canary-word", "canary-query"] {
        assert!(!seen.contains(canary), "{canary} was told");
    }
}

#[test]
fn the_command_line_does_all_of_it() {
    let receiver = Receiver::start();
    let daemon = Daemon::configured(ONE_ATTEMPT);
    let url = receiver.url("/hook");
    let added = daemon.json(["webhook", "add", &url, "--kind", "cancelled", "--label", "team=edge"]);
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"), "{added}");
    let id = added["id"].as_str().unwrap().to_owned();
    let end = &id[id.len() - 8..];
    std::fs::write(daemon.out("secret"), format!("{SECRET}\n")).unwrap();
    let mine = daemon.run(["webhook", "add", &url, "--secret-file", "secret"]);
    assert!(!mine.output().contains(&SECRET[6..]), "who gave it has it: {mine}");
    std::fs::write(daemon.out("secret"), "no secret").unwrap();
    daemon.command(["webhook", "add", &url, "--secret-file", "secret"]).run().expect_code(USAGE);
    let listed = daemon.run(["webhook", "list"]).stdout;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], format!("{id}\tyes\t0\t0\tcancelled\t{url}"));
    assert_eq!(daemon.json(["webhook", "show", end])["labels"], json!({ "team": "edge" }));
    daemon.command(["webhook", "test", end]).run().expect_code(DONE);
    receiver.answer(|_, _| Reply::Status(500));
    let tested = daemon.command(["webhook", "test", end]).run().expect_code(JOB_FAILED);
    assert!(tested.output().contains("the receiver answered 500"), "{tested}");
    let job = cancelled_job(&daemon, json!({ "labels": { "team": "edge" } }));
    wait_webhook(&daemon, &format!("/v1/webhooks/{id}"), |webhook| webhook["failed"] == 1);
    let failed = daemon.run(["webhook", "failed", end]).stdout;
    let fields: Vec<_> = failed[0].split('\t').collect();
    assert_eq!(
        (fields[2], fields[3], fields[4], fields[6], fields[7]),
        ("cancelled", job.as_str(), "1", "500", "the receiver answered 500")
    );
    receiver.answer(|_, _| Reply::Status(200));
    let before = receiver.posted().len();
    daemon.run(["webhook", "resend", end, fields[0]]);
    assert_eq!(receiver.wait_count(before + 1)[before].kind(), "cancelled");
    let set = daemon.json(["webhook", "set", end, "--disable", "--receiver", &receiver.url("/other")]);
    assert_eq!((&set["enabled"], &set["url"]), (&json!(false), &json!(receiver.url("/other"))));
    daemon.run(["webhook", "remove", end]);
    daemon.command(["webhook", "show", end]).run().expect_code(NOT_FOUND);
    assert_eq!(daemon.run(["webhook", "list"]).stdout.len(), 1);
}
