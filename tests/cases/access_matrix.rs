//! Every operation of the document, by every kind of caller: what its scopes open, and that jobs of others are not there.

use serde_json::{Value, json};

use crate::rig::callers::{Heard, Tcp, User, can_be_others, daemon_of_several};
use crate::rig::{Daemon, skip};

/// Which scopes open an operation: r read, j jobs, p policies, a admin. One that is not here has no rule, and fails the tests.
#[rustfmt::skip]
const OPENED_BY: [(&str, &str); 42] = [
    ("healthz", "rjpa"), ("readyz", "rjpa"), ("openapi", "rjpa"), ("metrics", "rja"), ("get_events", "rja"),
    ("list_jobs", "rja"), ("create_job", "ja"), ("get_job", "rja"), ("change_job", "ja"), ("cancel_job", "ja"),
    ("complete_job", "ja"), ("list_decisions", "rja"), ("get_job_error", "rja"), ("list_files", "rja"), ("add_files", "ja"),
    ("get_file", "rja"), ("change_file", "ja"), ("get_response_headers", "rja"), ("get_job_progress", "rja"), ("replace_remote_prefix", "ja"),
    ("resume_job", "ja"), ("get_job_state", "rja"), ("suspend_job", "ja"), ("take_ownership", "a"), ("get_job_why", "rja"),
    ("get_network", "rja"), ("set_network_override", "a"), ("delete_network_override", "a"), ("list_policies", "rjpa"),
    ("list_tokens", "a"), ("create_token", "a"), ("revoke_token", "a"), ("get_headers", "ja"), ("set_headers", "ja"),
    ("list_webhooks", "rja"), ("create_webhook", "ja"), ("get_webhook", "rja"), ("change_webhook", "ja"), ("remove_webhook", "ja"),
    ("test_webhook", "ja"), ("list_deliveries", "rja"), ("resend_delivery", "ja"),
];

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    path: String,
    opened_by: &'static str,
}

impl Operation {
    fn is_of_job(&self) -> bool {
        self.path.contains("/jobs/{id}")
    }

    /// Its path, for a job.
    fn on(&self, job: &str) -> String {
        self.path
            .replace("/v1/jobs/{id}", job)
            .replace("{id}", NO_WEBHOOK)
            .replace("{n}", "0")
            .replace("{name}", "nobody")
    }

    /// A body that has its shape, where it wants one.
    fn body(&self) -> Option<Value> {
        Some(match self.id.as_str() {
            "create_job" => json!({ "type": "download" }),
            "change_job" => json!({ "display_name": "changed" }),
            "add_files" => {
                json!({ "files": [{ "remote_name": "http://127.0.0.1:1/g", "local_name": "/srv/shared/g" }] })
            }
            "change_file" => json!({ "remote_name": "http://127.0.0.1:1/other" }),
            "replace_remote_prefix" => json!({ "from": "http://127.0.0.1:1/", "to": "http://127.0.0.1:2/" }),
            "set_network_override" => json!({ "connected": true }),
            "set_headers" => json!({ "headers": { "X-Key": "1" } }),
            "create_webhook" => new_webhook(),
            "change_webhook" => json!({ "enabled": false }),
            "create_token" => json!({ "name": "made", "scopes": [] }),
            _ => return None,
        })
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let rule = OPENED_BY.iter().find(|(name, _)| *name == id);
            let (_, opened_by) = rule.unwrap_or_else(|| panic!("{method} {path} has no rule here"));
            operations.push(Operation { id: id.into(), method: method.to_uppercase(), path: path.clone(), opened_by });
        }
    }
    assert_eq!(operations.len(), OPENED_BY.len());
    operations
}

fn daemon() -> Daemon {
    let access = "administrators = [\"41003\"]\ndefault_roots = [\"/srv/shared\"]\n";
    daemon_of_several(access, "[api]\nlisten = \"127.0.0.1:0\"\n")
}

fn new_job() -> Value {
    let file = json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": "/srv/shared/f" });
    json!({ "type": "download", "files": [file] })
}

fn new_webhook() -> Value {
    json!({ "url": "http://127.0.0.1:1/hook", "enabled": false })
}

/// A webhook that nobody has. Those of others have a test of their own.
const NO_WEBHOOK: &str = "01912345-6789-7abc-8def-0123456789ab";

/// What a job that is there may lack all the same: an error, and the answer of an origin.
const LACKING: [&str; 2] = ["get_job_error", "get_response_headers"];

/// A job that nobody has.
const NO_JOB: &str = "/v1/jobs/01912345-6789-7abc-8def-0123456789ab";

/// What is heard of a job of somebody else is what is heard of none, but for the id.
#[track_caller]
fn assert_not_there(heard: &Heard, of_none: &Heard, job: &str, what: &str) {
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    assert_eq!((heard.problem(), of_none.problem()), ((404, "not_found".into()), (404, "not_found".into())), "{what}");
    assert_eq!(heard.body.replace(&id(job), "ID"), of_none.body.replace(&id(NO_JOB), "ID"), "{what}");
}

/// Calls every operation, on jobs of its own and of others. `make` makes a job of the caller's, if it may.
#[track_caller]
fn check(
    operations: &[Operation],
    scopes: &str,
    call: &dyn Fn(&str, &str, Option<&Value>) -> Heard,
    make: Option<&dyn Fn() -> String>,
    of_others: &dyn Fn() -> String,
) {
    let sees_all = scopes.contains('a');
    for operation in operations {
        let Operation { id, method, opened_by, .. } = operation;
        let what = format!("{id} with {scopes}");
        let is_open = scopes.chars().any(|scope| opened_by.contains(scope));
        let body = operation.body();
        let heard = |job: &str| call(method, &operation.on(job), body.as_ref());
        if !is_open {
            for job in [of_others(), NO_JOB.into()] {
                assert_eq!(heard(&job).problem(), (403, "access_denied".into()), "{what}");
            }
            continue;
        }
        let job = of_others();
        let of_others = heard(&job);
        if !operation.is_of_job() {
            assert!(!matches!(of_others.status, 401 | 403 | 500..), "{what}: {of_others:?}");
            continue;
        }
        if sees_all {
            assert!(!matches!(of_others.status, 401 | 403 | 500..), "{what}: {of_others:?}");
            assert!(of_others.status != 404 || LACKING.contains(&id.as_str()), "{what}: {of_others:?}");
        } else {
            assert_not_there(&of_others, &heard(NO_JOB), &job, &what);
        }
        if let Some(make) = make {
            let own = heard(&make());
            assert!(!matches!(own.status, 401 | 403 | 500..), "{what}: {own:?}");
            assert!(own.status != 404 || LACKING.contains(&id.as_str()), "{what}: {own:?}");
        }
    }
}

#[test]
fn scopes_open_what_they_are_for_and_jobs_of_others_are_not_there() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let daemon = daemon();
    let tcp = Tcp::of(&daemon);
    let operations = operations(&daemon.get("/openapi.json").json());
    let of_user = |uid: u32| User(uid).call(&daemon, "POST", "/v1/jobs", Some(&new_job())).created();
    for (scope, letter) in [("read", "r"), ("jobs", "j"), ("policies", "p"), ("admin", "a")] {
        let made = daemon.post("/v1/tokens", &json!({ "name": scope, "scopes": [scope] })).json();
        let token = made["secret"].as_str().unwrap().to_owned();
        let call = |method: &str, target: &str, body: Option<&Value>| tcp.call(&token, method, target, body);
        let make = || call("POST", "/v1/jobs", Some(&new_job())).created();
        let make: Option<&dyn Fn() -> String> = if matches!(letter, "j" | "a") { Some(&make) } else { None };
        check(&operations, letter, &call, make, &|| of_user(41_001));
    }
    // Without a token, nothing is opened, and nobody is told what is there.
    for operation in &operations {
        let heard = tcp.call("guessed", &operation.method, &operation.on(NO_JOB), operation.body().as_ref());
        assert!(matches!(heard.status, 401 | 429), "{}: {heard:?}", operation.id);
        assert!(heard.status == 429 || heard.head.to_lowercase().contains("www-authenticate: bearer"), "{heard:?}");
    }
}

#[test]
fn users_have_their_own_jobs_and_administrators_everybodys() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let daemon = daemon();
    let operations = operations(&daemon.get("/openapi.json").json());
    let of = |uid: u32| move |daemon: &Daemon| User(uid).call(daemon, "POST", "/v1/jobs", Some(&new_job())).created();
    for (uid, scopes, other) in [(41_001, "rj", 41_002), (41_002, "rj", 41_001), (41_003, "rjpa", 41_001)] {
        let call = |method: &str, target: &str, body: Option<&Value>| User(uid).call(&daemon, method, target, body);
        check(&operations, scopes, &call, Some(&|| of(uid)(&daemon)), &|| of(other)(&daemon));
    }
}

#[test]
fn lists_events_and_numbers_are_of_ones_own() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let daemon = daemon();
    let tcp = Tcp::of(&daemon);
    let made = daemon.post("/v1/tokens", &json!({ "name": "jobs", "scopes": ["jobs"] })).json();
    let token = made["secret"].as_str().unwrap();
    let (anna, bert) = (User(41_001), User(41_002));
    let of_anna = anna.call(&daemon, "POST", "/v1/jobs", Some(&new_job())).created();
    let of_bert: Vec<_> = (0..3).map(|_| bert.call(&daemon, "POST", "/v1/jobs", Some(&new_job())).created()).collect();
    bert.call(&daemon, "POST", &format!("{}/cancel", of_bert[0]), None);
    daemon.call("PUT", "/v1/network/override", &[], Some(&json!({ "connected": false })));
    let of_token = tcp.call(token, "POST", "/v1/jobs", Some(&new_job())).created();
    let path = |job: &Value| format!("/v1/jobs/{}", job.as_str().unwrap());
    type Ask<'a> = &'a dyn Fn(&str) -> Heard;
    let by_anna: Ask<'_> = &|target| anna.call(&daemon, "GET", target, None);
    let by_token: Ask<'_> = &|target| tcp.call(token, "GET", target, None);
    for (ask, own) in [(by_anna, &of_anna), (by_token, &of_token)] {
        let all = "state=suspended&state=cancelled&state=acknowledged&state=queued&state=transient_error";
        for target in ["/v1/jobs".to_owned(), format!("/v1/jobs?{all}")] {
            let jobs = ask(&target).json()["jobs"].as_array().unwrap().clone();
            assert_eq!(
                jobs.iter().map(|job| path(&job["id"])).collect::<Vec<_>>(),
                std::slice::from_ref(own),
                "{target}"
            );
        }
        let events = ask("/v1/events?limit=1000").json()["events"].as_array().unwrap().clone();
        assert!(!events.is_empty() && events.iter().all(|event| path(&event["job"]) == *own), "{events:?}");
        let id = of_bert[1].rsplit('/').next().unwrap();
        assert_eq!(ask(&format!("/v1/events?job={id}")).json()["events"], json!([]));
        let metrics = ask("/metrics").body;
        assert!(metrics.contains("backhaul_jobs{state=\"suspended\"} 1\n"), "{metrics}");
        assert!(metrics.contains("backhaul_files 1\n") && !metrics.contains("api_requests"), "{metrics}");
    }
    let all = daemon.get("/v1/jobs").json()["jobs"].as_array().unwrap().len();
    assert_eq!(all, 4, "an administrator sees those of all");
    assert!(String::from_utf8_lossy(&daemon.get("/metrics").body).contains("api_requests"));
    // The stream: what comes later as well, and nothing of others in between.
    let mut lines = tcp.follow(token);
    let mut seen = Vec::new();
    let mut next = |until: &str| {
        for line in lines.by_ref() {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).unwrap();
            seen.push(path(&event["job"]));
            if event["kind"] == until {
                return;
            }
        }
        panic!("the stream has ended before {until}");
    };
    next("job_created");
    anna.call(&daemon, "POST", &format!("{of_anna}/cancel"), None);
    tcp.call(token, "POST", &format!("{of_token}/cancel"), None);
    next("cancelled");
    assert!(seen.iter().all(|job| *job == of_token), "{seen:?}");
    // Keys of requests are their owner's own.
    let key = ["Idempotency-Key: same"];
    let jobs = [anna, bert].map(|user| user.call_with(&daemon, "POST", "/v1/jobs", &key, Some(&new_job())).created());
    assert_ne!(jobs[0], jobs[1]);
    // One that is taken back, or over, opens nothing any more; its stream ends.
    assert_eq!(daemon.call("DELETE", "/v1/tokens/jobs", &[], None).status, 204);
    assert_eq!(tcp.call(token, "GET", "/v1/jobs", None).status, 401);
    anna.call(&daemon, "POST", "/v1/jobs", Some(&new_job()));
    assert!(lines.all(|line| !line.contains("job")), "it ends without a word of what came after");
}
