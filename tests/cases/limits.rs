//! How many jobs, files and ranges the daemon takes, and how long a job may do nothing.

use serde_json::{Value, json};

use crate::rig::{Answer, Daemon};

fn files(count: usize) -> Vec<Value> {
    let file =
        |number: usize| json!({ "remote_name": "http://127.0.0.1:1/f", "local_name": format!("/nowhere/{number}") });
    (0..count).map(file).collect()
}

#[track_caller]
fn refused(answer: &Answer, code: &str, number: &str, names: &str) {
    assert_eq!(answer.problem(), (409, code.to_owned()));
    let problem = answer.json();
    assert_eq!(problem["number"], number);
    assert!(problem["detail"].as_str().unwrap().contains(names), "{problem}");
}

#[test]
fn the_preset_bits_has_bits_own_limits() {
    let mut daemon = Daemon::configured("[limits]\npreset = \"bits\"\n");
    let new = json!({ "type": "download" });
    let too_many_files =
        |answer: &Answer| refused(answer, "too_many_files_in_job", "0x80200051", "limits.files_per_job");
    too_many_files(&daemon.post("/v1/jobs", &json!({ "type": "download", "files": files(201) })));
    let job = daemon.create(&json!({ "type": "download", "files": files(199) }));
    too_many_files(&daemon.post(&format!("{job}/files"), &json!({ "files": files(2) })));
    assert_eq!(daemon.post(&format!("{job}/files"), &json!({ "files": files(1) })).status, 200);
    assert_eq!(daemon.get(&job).json()["progress"]["files_total"], 200);
    let ranged = |count: u64| {
        let mut file = files(1).remove(0);
        file["ranges"] = (0..count).map(|part| json!({ "offset": 1_000 * part, "length": 500 })).collect();
        json!({ "type": "download", "files": [file] })
    };
    let answer = daemon.post("/v1/jobs", &ranged(501));
    refused(&answer, "too_many_ranges_in_file", "0x80200052", "limits.ranges_per_file");
    let with_ranges = daemon.create(&ranged(500));
    assert_eq!(daemon.get(&format!("{with_ranges}/files/0")).json()["ranges"].as_array().unwrap().len(), 500);
    for _ in 2..60 {
        daemon.create(&new);
    }
    let too_many_jobs =
        |answer: &Answer| refused(answer, "too_many_jobs_per_user", "0x80200049", "limits.jobs_per_owner");
    too_many_jobs(&daemon.post("/v1/jobs", &new));
    // Only jobs that are not at their end count, after a restart as well.
    daemon.call("POST", &format!("{job}/cancel"), &[], None);
    daemon.create(&new);
    too_many_jobs(&daemon.post("/v1/jobs", &new));
    daemon.end(rustix::process::Signal::KILL);
    daemon.begin();
    too_many_jobs(&daemon.post("/v1/jobs", &new));
    daemon.call("POST", &format!("{with_ranges}/complete"), &[], None);
    daemon.create(&new);
    too_many_jobs(&daemon.post("/v1/jobs", &new));
}

#[test]
fn a_number_that_is_set_wins_over_the_preset() {
    let daemon = Daemon::configured("[limits]\njobs = 2\njobs_per_owner = 100\npreset = \"bits\"\n");
    let new = json!({ "type": "download" });
    let first = daemon.create(&new);
    daemon.create(&new);
    refused(&daemon.post("/v1/jobs", &new), "too_many_jobs_per_machine", "0x80200050", "limits.jobs");
    daemon.call("POST", &format!("{first}/cancel"), &[], None);
    daemon.create(&new);
    let words = ["config", "show", "-o", "json", "--config", &daemon.scratch.file("config.toml")];
    let shown = daemon.command(words).run().expect_code(0);
    let setting = |key: &str| {
        let lines = shown.json();
        lines.into_iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("no {key}: {shown}"))
    };
    let value = |key: &str| (setting(key)["value"].clone(), setting(key)["source"].as_str().unwrap().to_owned());
    assert_eq!(value("limits.files_per_job"), (json!("200"), "limits.preset".to_owned()));
    assert_eq!(value("limits.jobs_per_owner"), (json!("100"), daemon.scratch.file("config.toml")));
    assert_eq!(value("scheduler.inactivity_timeout"), (json!("7776000"), "default".to_owned()));
}

#[test]
fn a_job_that_does_nothing_for_too_long_is_cancelled_and_says_so() {
    let daemon = Daemon::configured("[scheduler]\ninactivity_timeout = 1\n");
    let stream = daemon.connect().follow("/v1/events?after=0&progress=0", None);
    let job = daemon.create(&json!({ "type": "download", "files": files(1) }));
    let id = job.rsplit('/').next().unwrap();
    let mut names = Vec::new();
    for event in stream {
        if event.name == "job_inactive" {
            assert_eq!((&event.data["job"], &event.data["inactive_seconds"]), (&json!(id), &json!(1)), "{event:?}");
        }
        names.push(event.name);
        if names.last().is_some_and(|name| name == "cancelled") {
            break;
        }
    }
    assert_eq!(names.iter().filter(|name| *name == "job_inactive").count(), 1, "{names:?}");
    assert_eq!(daemon.get(&job).json()["state"], "cancelled");
    let only = daemon.get("/v1/events?kind=job_inactive").json();
    assert_eq!(only["events"].as_array().unwrap().len(), 1, "{only}");
    let why = daemon.run(["job", "why", id]).output();
    assert!(why.contains("cancelled by the inactivity timeout"), "{why}");
}
