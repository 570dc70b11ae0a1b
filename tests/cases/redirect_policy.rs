//! What a job wants to become of redirects: followed, followed and reported, or refused.

use serde_json::{Value, json};

use crate::origin::{Certificate, Fault, File, On, Origin};
use crate::rig::Daemon;

const MIB: u64 = 1 << 20;

fn new(daemon: &Daemon, url: &str, more: &Value) -> Value {
    let file = json!({ "remote_name": url, "local_name": daemon.out("f") });
    let mut job = json!({ "type": "download", "resume": true, "files": [file], "headers": { "X-Api-Key": "CANARY" } });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// How often the journal says that the remote name was changed.
fn renamed(daemon: &Daemon, job: &str) -> usize {
    let id = job.rsplit('/').next().unwrap();
    let events = daemon.get(&format!("/v1/events?after=0&job={id}")).json();
    let events = events["events"].as_array().unwrap().clone();
    events.iter().filter(|event| event["fields"] == json!(["remote_name"])).count()
}

#[test]
fn a_reported_redirect_is_the_remote_name_from_then_on() {
    let (home, away) = (Origin::start(), Origin::start());
    away.file("/there", File::seeded(1, MIB));
    away.fault("/there", On::Nth(1), Fault::Cut(crate::origin::At::Body(MIB / 2), crate::origin::End::Fin));
    home.redirect("/f", 302, &away.url("/there"));
    let daemon = Daemon::start();
    let job =
        daemon.create(&new(&daemon, &home.url("/f"), &json!({ "redirects": "report", "minimum_retry_delay": 0 })));
    daemon.wait_state(&job, "transferred");
    let file = daemon.get(&format!("{job}/files/0")).json();
    assert_eq!((&file["remote_name"], &file["restarts"]), (&json!(away.url("/there")), &json!(0)));
    assert_eq!(renamed(&daemon, &job), 1);
    // The second attempt asks there, and goes on where the first was.
    assert_eq!(home.log().len(), 1);
    let log = away.log();
    assert!(log.len() == 2 && log[1].first_byte() > 0, "{log:#?}");
    assert!(log.iter().all(|row| row.request.header("x-api-key").is_none()), "the headers are for home: {log:#?}");
    assert_eq!(home.log()[0].request.header("x-api-key"), Some("CANARY"));
}

#[test]
fn an_allowed_redirect_leaves_the_remote_name() {
    let (home, daemon) = (Origin::start(), Daemon::start());
    home.file("/there", File::seeded(1, MIB));
    home.redirect("/f", 302, "/there");
    let job = daemon.create(&new(&daemon, &home.url("/f"), &json!({})));
    daemon.wait_state(&job, "transferred");
    assert_eq!(daemon.get(&format!("{job}/files/0")).json()["remote_name"], home.url("/f"));
    assert_eq!(renamed(&daemon, &job), 0);
}

#[test]
fn a_disallowed_redirect_is_an_error_with_its_status_and_says_where_it_would_have_led() {
    let (home, daemon) = (Origin::start(), Daemon::start());
    home.file("/there", File::seeded(1, MIB));
    home.redirect("/f", 307, "/there");
    let job = daemon.create(&new(&daemon, &home.url("/f"), &json!({ "redirects": "disallow" })));
    daemon.wait_state(&job, "error");
    let error = daemon.get(&format!("{job}/error")).json();
    assert_eq!(
        (&error["code"], &error["http_status"], &error["number"]),
        (&json!("http"), &json!(307), &json!("0x80190133"))
    );
    assert_eq!(daemon.get(&format!("{job}/files/0")).json()["remote_name"], home.url("/there"));
    assert_eq!((renamed(&daemon, &job), home.log().len()), (1, 1));
    // Who agrees with that goes on.
    assert_eq!(daemon.post(&format!("{job}/resume"), &json!({})).status, 200);
    daemon.wait_state(&job, "transferred");
    assert_eq!(home.log()[1].request.header("x-api-key"), Some("CANARY"));
}

#[test]
fn from_https_to_http_only_where_the_job_says_so() {
    let (secure, plain) = (Origin::start_tls(Certificate::Good), Origin::start());
    plain.file("/there", File::seeded(1, MIB));
    secure.redirect("/f", 302, &plain.url("/there"));
    let daemon = Daemon::start().trusting(&secure);
    let refused = daemon.create(&new(&daemon, &secure.url("/f"), &json!({})));
    daemon.wait_state(&refused, "error");
    assert_eq!(daemon.get(&format!("{refused}/error")).json()["code"], "redirect_refused");
    assert!(plain.log().is_empty());
    let allowed = daemon.create(&new(&daemon, &secure.url("/f"), &json!({ "redirects_to_http": true })));
    daemon.wait_state(&allowed, "transferred");
    assert!(plain.log()[0].request.header("x-api-key").is_none(), "nothing secret goes in the clear");
}
