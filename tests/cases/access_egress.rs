//! Jobs of tokens do not reach what only this machine reaches; users' jobs do.

use serde_json::{Value, json};

use crate::origin::{File, Origin};
use crate::rig::Daemon;
use crate::rig::callers::Tcp;

const LISTEN: &str = "[scheduler]\nretry_floor = 0.001\n[api]\nlisten = \"127.0.0.1:0\"\n";

/// A daemon with a token whose files may lie in `out`.
fn daemon(egress: &str) -> (Daemon, Tcp, String) {
    let root = tempfile::tempdir().unwrap().keep();
    let daemon = Daemon::configured(&format!(
        "{LISTEN}{egress}[[subjects]]\nname = \"token:ci\"\nroots = [{:?}]\n",
        root.display().to_string()
    ));
    let made = daemon.post("/v1/tokens", &json!({ "name": "ci", "scopes": ["jobs"] })).json();
    let tcp = Tcp::of(&daemon);
    (daemon, tcp, made["secret"].as_str().unwrap().to_owned())
}

fn root_of(daemon: &Daemon) -> String {
    let config = std::fs::read_to_string(daemon.scratch.file("config.toml")).unwrap();
    config.split("roots = [\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// A job of the token for this URL, to its end.
fn fetch(daemon: &Daemon, tcp: &Tcp, token: &str, url: &str) -> Value {
    let local_name = format!("{}/{}", root_of(daemon), daemon.get("/v1/events").json()["last_number"]);
    let file = json!({ "remote_name": url, "local_name": local_name });
    let body = json!({ "type": "download", "files": [file], "resume": true });
    let job = tcp.call(token, "POST", "/v1/jobs", Some(&body)).created();
    let mut tag = String::from("\"none\"");
    loop {
        let fields = [("If-None-Match", tag.as_str()), ("Prefer", "wait=30")];
        let answer = daemon.call("GET", &format!("{job}/state"), &fields, None);
        assert_eq!(answer.status, 200, "{url}: {answer:?}");
        match answer.json()["state"].as_str().unwrap() {
            "error" => return daemon.get(&format!("{job}/error")).json(),
            "transferred" => return Value::Null,
            _ => tag = answer.header("etag").unwrap().to_owned(),
        }
    }
}

#[track_caller]
fn assert_denied(error: &Value, host: &str) {
    assert_eq!((&error["code"], &error["number"]), (&json!("access_denied"), &json!("0x80070005")), "{error}");
    assert!(error["description"].as_str().unwrap().contains(&format!("connect to {host},")), "{error}");
}

#[test]
fn no_spelling_or_name_of_this_machine_is_reached_by_a_token() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 10_000));
    let port = origin.address().port();
    let (daemon, tcp, token) = daemon("");
    // A user's job is served, and leaves a connection that a token's must not be given.
    let target = daemon.out("f");
    let file = json!({ "remote_name": origin.url("/f"), "local_name": target });
    let job = daemon.create(&json!({ "type": "download", "files": [file], "resume": true }));
    daemon.wait_state(&job, "transferred");
    let before = origin.log().len();
    for (host, shown) in [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        ("[::1]", "[::1]"),
        // Names are judged by where they lead, when they are connected to: whatever they led to before.
        ("localhost", "localhost"),
    ] {
        assert_denied(&fetch(&daemon, &tcp, &token, &format!("http://{host}:{port}/f")), shown);
    }
    assert_eq!(origin.log().len(), before, "nothing of it has reached the origin");
}

#[test]
fn a_redirect_to_what_is_kept_from_tokens_is_not_followed() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 10_000));
    let port = origin.address().port();
    let (daemon, tcp, token) = daemon("[egress]\nallow = [\"127.0.0.1\"]\n");
    assert_eq!(fetch(&daemon, &tcp, &token, &origin.url("/f")), Value::Null, "what the operator allows is reached");
    for (path, location, shown) in [
        ("/a", "http://127.0.0.2/latest/meta-data".to_owned(), "127.0.0.2"),
        ("/b", "http://169.254.169.254/latest/meta-data".to_owned(), "169.254.169.254"),
        ("/c", format!("http://[::1]:{port}/f"), "[::1]"),
        ("/d", "//2852039166/latest".to_owned(), "169.254.169.254"),
    ] {
        origin.redirect(path, 302, &location);
        assert_denied(&fetch(&daemon, &tcp, &token, &origin.url(path)), shown);
    }
    // Of a name, the addresses that are allowed are left.
    assert_eq!(fetch(&daemon, &tcp, &token, &format!("http://localhost:{port}/f")), Value::Null);
}

#[test]
fn what_the_operator_denies_is_denied_to_users_too() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 10_000));
    let (daemon, tcp, token) = daemon("[egress]\nallow = [\"127.0.0.0/8\"]\ndeny = [\"127.0.0.1\"]\n");
    assert_denied(&fetch(&daemon, &tcp, &token, &origin.url("/f")), "127.0.0.1");
    let file = json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f") });
    let job = daemon.create(&json!({ "type": "download", "files": [file], "resume": true }));
    daemon.wait_state(&job, "error");
    assert_denied(&daemon.get(&format!("{job}/error")).json(), "127.0.0.1");
    assert!(origin.log().is_empty());
}
