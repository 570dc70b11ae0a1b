//! Webhooks of several users: each has its own, reaches with them what its jobs reach, and is told of nothing that it has lost.

use serde_json::{Value, json};

use crate::rig::callers::{Heard, Tcp, User, can_be_others, daemon_of_several};
use crate::rig::{Daemon, Receiver, Reply, skip};

const ANNA: User = User(41_001);
const BERT: User = User(41_002);
const ADMIN: User = User(41_003);
const NO_WEBHOOK: &str = "01912345-6789-7abc-8def-0123456789ab";

fn daemon(sections: &str) -> Daemon {
    let access = "administrators = [\"41003\"]\ndefault_roots = [\"/srv/shared\"]\n";
    daemon_of_several(access, sections)
}

/// Adds a webhook, and returns its path.
#[track_caller]
fn add(user: User, daemon: &Daemon, url: &str, kinds: &[&str]) -> String {
    let heard = user.call(daemon, "POST", "/v1/webhooks", Some(&json!({ "url": url, "kinds": kinds })));
    assert_eq!(heard.status, 201, "{heard:?}");
    format!("/v1/webhooks/{}", heard.json()["id"].as_str().unwrap())
}

#[track_caller]
fn owners(heard: &Heard) -> Vec<String> {
    let webhooks = heard.json()["webhooks"].as_array().unwrap().clone();
    webhooks.iter().map(|webhook| webhook["owner"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_has_its_own_webhooks_and_administrators_see_all() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let daemon = daemon("");
    let receiver = Receiver::start();
    let of_anna = add(ANNA, &daemon, &receiver.url("/anna"), &["job_created"]);
    let of_bert = add(BERT, &daemon, &receiver.url("/bert"), &["job_created"]);
    let list = |user: User| owners(&user.call(&daemon, "GET", "/v1/webhooks", None));
    assert_eq!((list(ANNA), list(BERT)), (vec!["uid:41001".to_owned()], vec!["uid:41002".to_owned()]));
    assert_eq!(list(ADMIN), ["uid:41001", "uid:41002"]);
    let patch = json!({ "enabled": true });
    let operations: [(&str, &str, Option<&Value>); 6] = [
        ("GET", "", None),
        ("PATCH", "", Some(&patch)),
        ("GET", "/deliveries", None),
        ("POST", "/deliveries/1/resend", None),
        ("POST", "/test", None),
        ("DELETE", "", None),
    ];
    let none = format!("/v1/webhooks/{NO_WEBHOOK}");
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for (method, rest, body) in operations {
        let of_others = BERT.call(&daemon, method, &format!("{of_anna}{rest}"), body);
        let of_none = BERT.call(&daemon, method, &format!("{none}{rest}"), body);
        assert_eq!(of_others.problem(), (404, "webhook_not_found".into()), "{method} {rest}");
        assert_eq!(of_others.body.replace(&id(&of_anna), NO_WEBHOOK), of_none.body, "{method} {rest}");
    }
    assert!(receiver.posted().is_empty(), "nobody was told anything by somebody else's webhook");
    // Each is told of its own jobs.
    ANNA.call(&daemon, "POST", "/v1/jobs", Some(&json!({ "type": "download" }))).created();
    BERT.call(&daemon, "POST", "/v1/jobs", Some(&json!({ "type": "download" }))).created();
    let mut paths: Vec<_> = receiver.wait_count(2).into_iter().map(|one| one.path).collect();
    paths.sort();
    assert_eq!(paths, ["/anna", "/bert"]);
    assert_eq!(ADMIN.call(&daemon, "DELETE", &of_bert, None).status, 204);
    assert_eq!(list(BERT), [""; 0]);
}

#[test]
fn webhooks_of_tokens_reach_what_tokens_jobs_reach() {
    let receiver = Receiver::start();
    let url = receiver.url("/hook");
    let open = Daemon::configured("[api]\nlisten = \"127.0.0.1:0\"\n[egress]\nallow = [\"127.0.0.0/8\", \"::1\"]\n");
    let closed = Daemon::configured("[api]\nlisten = \"127.0.0.1:0\"\n");
    let token = |daemon: &Daemon| {
        let made = daemon.post("/v1/tokens", &json!({ "name": "ci", "scopes": ["jobs"] })).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let add = |daemon: &Daemon, url: &str| {
        Tcp::of(daemon).call(&token(daemon), "POST", "/v1/webhooks", Some(&json!({ "url": url })))
    };
    assert_eq!(add(&open, &url).status, 201);
    // An address is refused at once, and a name where it leads there.
    let refused = add(&closed, &url);
    assert_eq!(refused.problem(), (422, "invalid_field".into()), "{refused:?}");
    assert!(refused.body.contains("[egress]"), "{refused:?}");
    assert_eq!(closed.call("DELETE", "/v1/tokens/ci", &[], None).status, 204);
    let by_name = format!("http://localhost:{}/hook", receiver.port());
    let made = add(&closed, &by_name);
    assert_eq!(made.status, 201, "{made:?}");
    let test = format!("/v1/webhooks/{}/test", made.json()["id"].as_str().unwrap());
    let tested = closed.call("POST", &test, &[], None).json();
    assert_eq!(tested["delivered"], false, "{tested}");
    assert!(tested["problem"].as_str().unwrap().contains("may not go to"), "{tested}");
    assert!(receiver.posted().is_empty());
}

#[test]
fn who_has_lost_a_job_is_told_nothing_more_of_it() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let daemon = daemon("[webhooks]\nretry_first = 3600\n");
    let (of_former, of_new) = (Receiver::answering(|_, _| Reply::Status(500)), Receiver::start());
    let kinds = ["job_created", "ownership_taken", "cancelled"];
    let path = add(ANNA, &daemon, &of_former.url("/"), &kinds);
    let new = json!({ "type": "download" });
    let [taken, kept] = [0, 1].map(|_| ANNA.call(&daemon, "POST", "/v1/jobs", Some(&new)).created());
    let deliveries = || {
        let pending = ANNA.call(&daemon, "GET", &format!("{path}/deliveries?state=pending"), None).json();
        let of = |delivery: &Value| format!("/v1/jobs/{}", delivery["event"]["job"].as_str().unwrap());
        pending["deliveries"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    of_former.wait_count(1);
    let begin = tokio::time::Instant::now();
    while deliveries().len() < 2 {
        assert!(begin.elapsed() < std::time::Duration::from_secs(60), "both wait: {:?}", deliveries());
    }
    add(ADMIN, &daemon, &of_new.url("/"), &kinds);
    assert_eq!(ADMIN.call(&daemon, "POST", &format!("{taken}/take-ownership"), None).status, 200);
    assert_eq!(of_new.wait_count(1)[0].kind(), "ownership_taken");
    assert_eq!(deliveries(), [kept]);
    assert_eq!(ADMIN.call(&daemon, "POST", &format!("{taken}/cancel"), None).status, 200);
    assert_eq!(of_new.wait_count(2)[1].kind(), "cancelled");
    let job = taken.rsplit('/').next().unwrap();
    let told = of_former.posted();
    let of_job: Vec<_> = told.iter().filter(|one| one.json()["data"]["job"] == job).map(|one| one.kind()).collect();
    assert!(of_job.iter().all(|kind| kind == "job_created"), "{of_job:?}");
}
