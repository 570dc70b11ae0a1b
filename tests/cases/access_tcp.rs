//! The API over TCP: which requests come through, TLS, and the command line.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::rig::Daemon;
use crate::rig::callers::{Heard, Tcp};

const LISTEN: &str =
    "[api]\nlisten = \"127.0.0.1:0\"\nhost_names = [\"backhaul.example\"]\norigins = [\"https://console.example\"]\n";

fn token(daemon: &Daemon, name: &str, scope: &str) -> String {
    let made = daemon.post("/v1/tokens", &json!({ "name": name, "scopes": [scope] })).json();
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_request_is_for_this_host_and_from_no_strange_page() {
    let daemon = Daemon::configured(LISTEN);
    let (tcp, token) = (Tcp::of(&daemon), token(&daemon, "ci", "read"));
    let port = tcp.port().to_owned();
    let own = |text: &str| text.replace("PORT", &port);
    // Fields of Host, fields of Origin, status.
    let rows: [(&[&str], &[&str], u16); 34] = [
        (&["localhost"], &[], 200),
        (&["localhost:PORT"], &[], 200),
        (&["LOCALHOST:PORT"], &[], 200),
        (&["127.0.0.1:PORT"], &[], 200),
        (&["[::1]:PORT"], &[], 200),
        (&["backhaul.example"], &[], 200),
        (&["BackHaul.Example:443"], &[], 200),
        (&[], &[], 400),
        (&["localhost", "localhost"], &[], 400),
        (&["localhost", "evil.example"], &[], 400),
        (&[""], &[], 403),
        (&["evil.example"], &[], 403),
        (&["evil.example:PORT"], &[], 403),
        (&["localhost.evil.example"], &[], 403),
        (&["evil-localhost"], &[], 403),
        (&["127.0.0.1.evil.example"], &[], 403),
        (&["127.0.0.2"], &[], 403),
        (&["0.0.0.0:PORT"], &[], 403),
        (&["[::ffff:127.0.0.1]:PORT"], &[], 403),
        (&["2130706433"], &[], 403),
        (&["user@localhost"], &[], 403),
        (&["localhost:port"], &[], 403),
        (&["localhost."], &[], 403),
        (&["localhost"], &["http://localhost:PORT"], 200),
        (&["localhost"], &["http://127.0.0.1:PORT"], 200),
        (&["localhost"], &["https://console.example"], 200),
        (&["localhost"], &["https://localhost:PORT"], 403),
        (&["localhost"], &["http://localhost"], 403),
        (&["localhost"], &["null"], 403),
        (&["localhost"], &["http://evil.example"], 403),
        (&["localhost"], &["https://console.example.evil.example"], 403),
        (&["localhost"], &["https://console.example", "http://evil.example"], 403),
        // That both name the same says nothing: whoever leads a name here controls both.
        (&["evil.example:PORT"], &["http://evil.example:PORT"], 403),
        (&["evil.example"], &["https://console.example"], 403),
    ];
    for (hosts, origins, status) in rows {
        let fields = hosts.iter().map(|host| format!("Host: {}\r\n", own(host)));
        let fields = fields.chain(origins.iter().map(|origin| format!("Origin: {}\r\n", own(origin))));
        let fields: String = fields.collect();
        let heard = tcp.raw(&format!(
            "GET /v1/jobs HTTP/1.1\r\n{fields}Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!(heard.status, status, "{hosts:?} {origins:?}: {heard:?}");
        assert!(!heard.head.to_lowercase().contains("access-control-"), "no page is let in by a field: {heard:?}");
        assert!(!heard.body.contains("evil"), "nothing is reflected: {heard:?}");
    }
    let absolute = "GET http://evil.example/v1/jobs HTTP/1.1\r\nHost: localhost\r\n";
    let heard = tcp.raw(&format!("{absolute}Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"));
    assert_eq!(heard.problem(), (403, "host_not_allowed".into()));
    // Before anything is told of a body, it has to be JSON.
    let post = |kind: &str| {
        tcp.raw(&format!("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"))
    };
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; application/json"]
    {
        assert_eq!(post(kind).problem(), (415, "unsupported_media_type".into()), "{kind}");
    }
    assert_eq!(post("application/json").problem(), (403, "access_denied".into()), "a token that reads makes no job");
}

#[test]
fn tokens_that_are_worth_nothing_are_told_apart_from_nothing_and_their_number_is_bounded() {
    let mut daemon = Daemon::configured(LISTEN);
    let (tcp, good) = (Tcp::of(&daemon), token(&daemon, "ci", "read"));
    let guess = format!("backhaul_{}", "5ec2e7".repeat(10));
    let ask = |field: &str| -> Heard {
        tcp.raw(&format!("GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n"))
    };
    for field in [
        "",
        "Authorization: Basic Zzp6\r\n",
        "Authorization: Bearer\r\n",
        &format!("Authorization: Bearer {guess}\r\n"),
    ] {
        let heard = ask(field);
        assert_eq!(heard.problem(), (401, "unauthorized".into()), "{field}");
        assert!(
            heard.head.to_lowercase().contains("www-authenticate: bearer")
                && heard.head.to_lowercase().contains("connection: close")
        );
    }
    let statuses: Vec<_> = (0..40).map(|_| ask(&format!("Authorization: Bearer {guess}\r\n"))).collect();
    let bounded = statuses.iter().find(|heard| heard.status == 429).expect("they are bounded");
    assert_eq!(bounded.problem().1, "too_many_failures");
    assert!(bounded.head.to_lowercase().contains("retry-after: "), "{bounded:?}");
    // Whoever has a token is served all the same: one user of a machine locks out no other.
    assert_eq!(tcp.call(&good, "GET", "/v1/jobs", None).status, 200);
    // Nor does one make a way in by the socket's shortcut.
    assert!(matches!(
        tcp.call("x", "GET", "/v1/jobs/01912345-6789-7abc-8def-0123456789ab/state", None).status,
        401 | 429
    ));
    let output = daemon.end(rustix::process::Signal::TERM).output();
    assert!(output.contains("a request over TCP had no valid token") && !output.contains("5ec2e7"), "{output}");
    assert!(output.matches("had no valid token").count() <= 25, "the log is bounded");
}

#[test]
fn off_loopback_there_is_a_certificate_or_no_daemon() {
    let daemon = Daemon::start();
    let state = daemon.scratch.file("other");
    let serve = |words: &[&str]| {
        let socket = format!("{}.b", daemon.socket());
        let all = ["serve", "--allow-root", "--state-dir", &state, "--socket", &socket];
        crate::rig::Backhaul::new().args(all.iter().chain(words).copied()).run()
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7447"] {
        let refused = serve(&["--listen", address]).expect_code(2);
        assert!(refused.output().contains("api.tls_certificate and api.tls_key"), "{refused}");
    }
    let config = daemon.scratch.write("half.toml", b"[api]\nlisten = \"127.0.0.1:0\"\ntls_key = \"k\"\n");
    let refused = serve(&["--config", &config]).expect_code(2);
    assert!(refused.output().contains("belong together"), "{refused}");
    let config =
        daemon.scratch.write("none.toml", b"[api]\nlisten = \"0.0.0.0:0\"\ntls_key = \"k\"\ntls_certificate = \"c\"\n");
    let refused = serve(&["--config", &config]).expect_code(2);
    assert!(refused.output().contains("api.tls_certificate ") && refused.output().contains("/c: "), "{refused}");
    assert!(!std::path::Path::new(&state).exists(), "nothing was begun");
}

#[test]
fn over_tls_the_command_line_does_what_it_does_over_the_socket() {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "a daemon");
    let certificate = leaf.signed_by(&key, &issuer).unwrap().pem();
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = files.path().join(name).display().to_string();
        std::fs::write(&path, content).unwrap();
        path
    };
    let (certificate, key) = (file("tls.pem", &certificate), file("tls.key", &key.serialize_pem()));
    let root = files.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::configured(&format!(
        "[api]\nlisten = \"127.0.0.1:0\"\ntls_certificate = {certificate:?}\ntls_key = {key:?}\n\
         [[subjects]]\nname = \"token:ci\"\nroots = [{:?}]\n",
        root.display().to_string()
    ));
    let secret = token(&daemon, "ci", "jobs");
    let token_file = file("token", &format!("{secret}\n"));
    let authority = file("authority.pem", &trusted);
    let url = format!("https://localhost:{}", Tcp::of(&daemon).port());
    let command = |words: &[&str]| {
        let command =
            crate::rig::Backhaul::new().env("SSL_CERT_FILE", &authority).env("BACKHAUL_TOKEN_FILE", &token_file);
        command.args(words.iter().copied()).args(["--url", &url]).run()
    };
    let target = root.join("f").display().to_string();
    let created = command(&["job", "create", "https://origin.invalid/f", "-o", &target]).expect_code(0);
    let id = created.stdout[0].clone();
    let shown = command(&["job", "show", &id, "--json"]).expect_code(0).json().remove(0);
    assert_eq!((&shown["owner"], &shown["state"]), (&json!("token:ci"), &json!("suspended")));
    let events = command(&["events", "--json"]).expect_code(0).json();
    assert!(events.iter().any(|event| event["kind"] == "job_created"), "{events:?}");
    let refused = command(&["token", "list"]).expect_code(77);
    assert!(refused.output().contains("needs the scope admin"), "{refused}");
    let refused = command(&["job", "create", "https://origin.invalid/f", "-o", "/etc/f"]).expect_code(77);
    assert!(refused.output().contains("access_denied, 0x80070005"), "{refused}");
    command(&["job", "cancel", &id]).expect_code(0);
    // Nobody is spoken to whose certificate is not trusted, and no token goes where it could be read.
    let strange = crate::rig::Backhaul::new().args(["job", "list", "--url", &url, "--token-file", &token_file]).run();
    assert_eq!(strange.expect_code(69).stdout.len(), 0);
    let plain = crate::rig::Backhaul::new().args([
        "job",
        "list",
        "--url",
        "http://backhaul.example",
        "--token-file",
        &token_file,
    ]);
    assert!(plain.run().expect_code(2).output().contains("https:// only"));
    let without = crate::rig::Backhaul::new().args(["job", "list", "--url", &url]).run().expect_code(2);
    assert!(without.output().contains("BACKHAUL_TOKEN_FILE"), "{without}");
    let curl = std::process::Command::new("curl")
        .args([
            "-sS",
            "--cacert",
            &authority,
            "-H",
            &format!("Authorization: Bearer {secret}"),
            &format!("{url}/v1/network"),
        ])
        .output();
    if let Ok(output) = curl {
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["connected"], true);
    }
}
