//! Jobs that change hands, and tokens on the command line.

use serde_json::json;

use crate::origin::{File, Origin};
use crate::rig::callers::{User, can_be_others, daemon_of_several, open_up};
use crate::rig::{Daemon, assert_published, skip};

#[test]
fn a_job_that_is_taken_goes_on_for_its_new_owner_without_what_it_was_given() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(7, 300_000));
    let roots = tempfile::tempdir().unwrap();
    open_up(roots.path());
    let root = |name: &str| roots.path().join(name).display().to_string();
    for name in ["shared", "own"] {
        std::fs::create_dir(root(name)).unwrap();
    }
    let subject = |uid: u32, names: &[&str]| {
        let roots = json!(names.iter().map(|name| root(name)).collect::<Vec<_>>());
        format!("[[subjects]]\nname = \"uid:{uid}\"\nroots = {roots}\n")
    };
    let sections = format!("{}{}", subject(41_001, &["shared", "own"]), subject(41_003, &["shared"]));
    let daemon = daemon_of_several("administrators = [\"41003\"]\n", &sections);
    let (anna, admin) = (User(41_001), User(41_003));
    let new = |name: &str| {
        let with_password = origin.url("/f").replace("://", "://anna:word@");
        let file = json!({ "remote_name": with_password, "local_name": root(name) });
        json!({ "type": "download", "files": [file], "headers": { "X-Api-Key": "anna's own" } })
    };
    let key = ["Idempotency-Key: anna"];
    let job = anna.call_with(&daemon, "POST", "/v1/jobs", &key, Some(&new("shared/f"))).created();
    let take = format!("{job}/take-ownership");
    assert_eq!(anna.call(&daemon, "POST", &take, None).problem(), (403, "access_denied".into()));
    let taken = admin.call(&daemon, "POST", &take, None);
    assert_eq!((taken.status, &taken.json()["owner"]), (200, &json!("uid:41003")));
    // It is gone for its former owner, whose repeated request makes another one.
    assert_eq!(anna.call(&daemon, "GET", &job, None).problem(), (404, "not_found".into()));
    let again = anna.call_with(&daemon, "POST", "/v1/jobs", &key, Some(&new("shared/f"))).created();
    assert_ne!(again, job);
    admin.call(&daemon, "POST", &format!("{job}/resume"), None);
    daemon.wait_state(&job, "transferred");
    let completed = admin.call(&daemon, "POST", &format!("{job}/complete"), None);
    assert_eq!(completed.json()["partial"], false, "{completed:?}");
    assert_published(root("shared/f"), content);
    let asked = origin.log_of("/f");
    assert!(!asked.is_empty());
    for field in ["x-api-key", "authorization"] {
        assert!(asked.iter().all(|access| access.request.header(field).is_none()), "{asked:?}");
    }
    let story = admin.call(&daemon, "GET", &format!("{job}/why"), None).json();
    let told = story["events"].as_array().unwrap().iter().find(|event| event["kind"] == "ownership_taken");
    assert_eq!(told.map(|event| (&event["from"], &event["to"])), Some((&json!("uid:41001"), &json!("uid:41003"))));
    assert_eq!(admin.call(&daemon, "POST", &take, None).problem(), (409, "invalid_state".into()));
    // Where the new owner may not write, nothing changes.
    let job = anna.call(&daemon, "POST", "/v1/jobs", Some(&new("own/f"))).created();
    let refused = admin.call(&daemon, "POST", &format!("{job}/take-ownership"), None);
    assert_eq!(refused.problem(), (409, "new_owner_no_file_access".into()));
    assert_eq!(refused.json()["number"], "0x80200016");
    assert_eq!(anna.call(&daemon, "GET", &job, None).json()["owner"], "uid:41001");
}

#[test]
fn a_job_that_runs_goes_on_from_its_checkpoint_without_the_headers_of_its_former_owner() {
    if !can_be_others() {
        skip!("users cannot be made up: root, setpriv and curl are needed");
    }
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(9, 4_000_000));
    let root = tempfile::tempdir().unwrap();
    open_up(root.path());
    let target = root.path().join("f").display().to_string();
    let access = format!("administrators = [\"41003\"]\ndefault_roots = [{:?}]\n", root.path().display().to_string());
    let daemon = daemon_of_several(&access, "");
    let (anna, admin) = (User(41_001), User(41_003));
    origin.throttle(Some(1_000_000));
    let file = json!({ "remote_name": origin.url("/f"), "local_name": target });
    let new = json!({ "type": "download", "files": [file], "resume": true, "headers": { "X-Api-Key": "anna's own" } });
    let job = anna.call(&daemon, "POST", "/v1/jobs", Some(&new)).created();
    daemon.wait_progress(&job, 500_000);
    assert_eq!(admin.call(&daemon, "POST", &format!("{job}/take-ownership"), None).status, 200);
    origin.throttle(None);
    daemon.wait_state(&job, "transferred");
    let asked = origin.log_of("/f");
    let keys: Vec<_> = asked.iter().map(|access| access.request.header("x-api-key").is_some()).collect();
    assert_eq!(keys, [true, false], "{asked:?}");
    let range = asked[1].request.header("range").expect("it goes on from where it was");
    assert!(range.starts_with("bytes=") && range != "bytes=0-", "{range}");
    assert_eq!(admin.call(&daemon, "POST", &format!("{job}/complete"), None).status, 200);
    assert_published(&target, content);
}

#[test]
fn a_token_is_made_listed_and_revoked_and_shown_once() {
    let mut daemon = Daemon::start();
    let made = daemon.run(["token", "create", "--name", "ci", "--scope", "read,jobs", "--expires", "90d"]);
    let token = made.stdout[0].clone();
    assert!(token.starts_with("backhaul_") && token.len() == 9 + 64, "{made}");
    let listed = daemon.run(["token", "list"]);
    assert!(listed.stdout[0].starts_with("ci\tread,jobs\t"), "{listed}");
    daemon.command(["token", "create", "--name", "ci", "--scope", "read"]).run().expect_code(77);
    for wrong in ["A", "", "a/b"] {
        daemon.command(["token", "create", "--name", wrong, "--scope", "read"]).run().expect_code(2);
    }
    daemon.command(["token", "create", "--name", "x", "--scope", "write"]).run().expect_code(2);
    let refused = daemon.post("/v1/tokens", &json!({ "name": "B", "scopes": [], "expires_in": -1 }));
    assert_eq!(refused.fields(), ["/name", "/scopes", "/expires_in"]);
    let again = daemon.json(["token", "create", "--name", "other", "--scope", "admin"]);
    assert_eq!(
        (&again["name"], &again["expires_at"], &again["expired"]),
        (&json!("other"), &json!(null), &json!(false))
    );
    // Nothing that is kept or told has it.
    let ended = daemon.end(rustix::process::Signal::TERM);
    assert!(!ended.output().contains(&token), "the log has it");
    let state = daemon.scratch.file("state");
    for name in crate::rig::names_in(&state) {
        let bytes = std::fs::read(format!("{state}/{name}")).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{name} has it");
    }
    daemon.begin();
    assert!(!daemon.run(["token", "list", "--json"]).output().contains(&token));
    daemon.run(["token", "revoke", "ci"]);
    daemon.command(["token", "revoke", "ci"]).run().expect_code(66);
    assert_eq!(daemon.run(["token", "list"]).stdout.len(), 1);
}
