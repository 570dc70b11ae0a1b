//! The other properties of BITS through the host API: defaults, limits, when they may be set, and that they last.

use serde_json::{Value, json};

use super::headers::SECRET;
use crate::origin::{Fault, File, Gate, On, Origin, SOON};
use crate::rig::{Answer, Daemon};

/// Properties that are not those of a new job; together they are of a job that can run.
fn others() -> Value {
    json!({
        "display_name": "another", "description": "for the tests", "priority": "foreground", "minimum_retry_delay": 7.5,
        "no_progress_timeout": 0, "maximum_download_time": 315_360_000, "parallel_files": 64, "cost_flags": "standard",
        "auto_complete": true, "overwrite": true, "labels": { "team": "edge" },
        "notify_flags": ["job_error", "job_modification", "file_transferred"], "minimum_notification_interval": 12.5,
        "dynamic_content": true, "high_performance": true, "maximum_download_size": u64::MAX, "redirects": "report",
        "redirects_to_http": true, "headers_write_only": true,
    })
}

fn file(name: &str) -> Value {
    json!({ "remote_name": format!("http://127.0.0.1:1/{name}"), "local_name": format!("/nowhere/{name}") })
}

fn patch(daemon: &Daemon, job: &str, change: &Value) -> Answer {
    daemon.call("PATCH", job, &[], Some(change))
}

/// Asserts a refusal with BITS's number, which leaves the job as it is, entity tag and all.
#[track_caller]
fn refused(daemon: &Daemon, job: &str, change: &Value, status: u16, code: &str, number: Option<&str>) -> Answer {
    let before = daemon.get(job);
    let answer = patch(daemon, job, change);
    assert_eq!(answer.problem(), (status, code.to_owned()), "{change}");
    assert_eq!(answer.json()["number"].as_str(), number, "{change}");
    let after = daemon.get(job);
    assert_eq!((after.json(), after.header("etag")), (before.json(), before.header("etag")), "{change}");
    answer
}

#[test]
fn a_new_job_has_bits_own_defaults() {
    let daemon = Daemon::start();
    let job = daemon.get(&daemon.create(&json!({ "type": "download" }))).json();
    let defaults = json!({
        "description": "", "priority": "normal", "minimum_retry_delay": 600, "no_progress_timeout": 1_209_600,
        "maximum_download_time": 7_776_000, "parallel_files": 1, "cost_flags": "always", "auto_complete": false,
        "overwrite": false, "notify_flags": ["job_transferred", "job_error"], "minimum_notification_interval": 0.5,
        "dynamic_content": false, "high_performance": false, "maximum_download_size": null, "redirects": "allow",
        "redirects_to_http": false, "headers_write_only": false, "state": "suspended",
    });
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(job[name], *value, "{name}");
    }
}

#[test]
fn every_property_has_its_limits_and_a_refused_change_changes_nothing() {
    let daemon = Daemon::start();
    let job = daemon.create(&json!({ "type": "download" }));
    let text = |characters: usize| "ä".repeat(characters);
    let all = ["job_transferred", "job_error", "disable", "job_modification", "file_transferred"];
    let allowed = [
        ("display_name", vec![json!(""), json!(text(256))]),
        ("description", vec![json!(""), json!(text(1_024))]),
        ("priority", vec![json!("foreground"), json!("high"), json!("normal"), json!("low")]),
        ("minimum_retry_delay", vec![json!(0), json!(315_360_000)]),
        ("no_progress_timeout", vec![json!(0), json!(315_360_000)]),
        ("maximum_download_time", vec![json!(0), json!(315_360_000)]),
        ("parallel_files", vec![json!(1), json!(64)]),
        ("cost_flags", vec![json!("not_roaming"), json!("unrestricted"), json!("0x80000001")]),
        ("auto_complete", vec![json!(true), json!(false)]),
        ("overwrite", vec![json!(true), json!(false)]),
        ("labels", vec![json!({}), json!({ "n".repeat(64): "v".repeat(1_024) })]),
        ("minimum_notification_interval", vec![json!(0), json!(315_360_000)]),
        ("notify_flags", vec![json!([]), json!(all)]),
        ("maximum_download_size", vec![json!(1), json!(u64::MAX)]),
        ("redirects", vec![json!("allow"), json!("disallow"), json!("report")]),
        ("redirects_to_http", vec![json!(true), json!(false)]),
        ("dynamic_content", vec![json!(true), json!(false)]),
        ("high_performance", vec![json!(true), json!(false)]),
        ("headers_write_only", vec![json!(true)]),
    ];
    for (name, values) in allowed {
        for value in values {
            let changed = patch(&daemon, &job, &json!({ name: value }));
            assert_eq!((changed.status, &changed.json()[name]), (200, &value), "{name}");
        }
        // What is null stays.
        let before = daemon.get(&job).json();
        assert_eq!(patch(&daemon, &job, &json!({ name: null })).json()[name], before[name], "{name}");
    }
    let too_long = ("string_too_long", Some("0x80200021"));
    let size = ("max_download_size_invalid_value", Some("0x80200063"));
    let invalid = ("invalid_field", None);
    let wrong = [
        ("display_name", json!(text(257)), too_long),
        ("description", json!(text(1_025)), too_long),
        ("priority", json!("urgent"), invalid),
        ("minimum_retry_delay", json!(-1), invalid),
        ("no_progress_timeout", json!(315_360_001), invalid),
        ("maximum_download_time", json!("1d"), invalid),
        ("parallel_files", json!(0), invalid),
        ("parallel_files", json!(65), invalid),
        ("cost_flags", json!("cheap"), invalid),
        ("auto_complete", json!("yes"), invalid),
        ("overwrite", json!(0), invalid),
        ("labels", json!({ "n".repeat(65): "v" }), invalid),
        ("labels", json!({ "n": "v".repeat(1_025) }), invalid),
        ("minimum_notification_interval", json!(-0.001), invalid),
        ("minimum_notification_interval", json!(315_360_001), invalid),
        ("notify_flags", json!(["nobody"]), invalid),
        ("notify_flags", json!("job_error"), invalid),
        ("maximum_download_size", json!(0), size),
        ("maximum_download_size", json!(-1), invalid),
        ("maximum_download_size", json!(1.5), invalid),
        ("redirects", json!("follow"), invalid),
        ("redirects_to_http", json!("yes"), invalid),
        ("dynamic_content", json!(1), invalid),
        ("high_performance", json!("true"), invalid),
        ("headers_write_only", json!(false), invalid),
    ];
    for (name, value, (code, number)) in wrong {
        let mut change = json!({ "display_name": "changed", "priority": "high", "parallel_files": 9 });
        change[name] = value.clone();
        let answer = refused(&daemon, &job, &change, 422, code, number);
        assert!(answer.fields()[0].starts_with(&format!("/{name}")), "{name}: {answer:?}");
        // The same at creation, where false is the default and no change.
        if name != "headers_write_only" {
            let refused = daemon.post("/v1/jobs", &json!({ "type": "download", name: value }));
            assert_eq!(refused.problem(), (422, code.to_owned()), "{name}");
        }
    }
    // Where fields are wrong in several ways, none of the codes holds for all.
    let both = json!({ "description": text(1_025), "maximum_download_size": 0 });
    assert_eq!(refused(&daemon, &job, &both, 422, "invalid_field", None).fields().len(), 2);
    assert_eq!(daemon.get("/v1/jobs").json()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn some_properties_can_be_set_only_early() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 100_000));
    let gate = Gate::shut();
    origin.fault("/f", On::Nth(1), Fault::HoldHead(gate.clone()));
    let daemon = Daemon::start();
    let job = daemon.create(&json!({ "type": "download" }));
    let early = json!({ "dynamic_content": false, "maximum_download_size": 200_000, "high_performance": false });
    assert_eq!(patch(&daemon, &job, &early).status, 200);
    let file = json!({ "remote_name": origin.url("/f"), "local_name": daemon.out("f") });
    assert_eq!(daemon.post(&format!("{job}/files"), &json!({ "files": [file] })).status, 200);
    // The same value is refused as well: it is the time that is wrong.
    let after_add_file = ("read_only_property_after_addfile", Some("0x80200061"));
    for value in [true, false] {
        let change = json!({ "priority": "low", "high_performance": value });
        refused(&daemon, &job, &change, 409, after_add_file.0, after_add_file.1);
    }
    assert_eq!(patch(&daemon, &job, &json!({ "maximum_download_size": 150_000 })).status, 200);
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    origin.wait("request", SOON, |log| !log.is_empty());
    let is_early_only = |state: &str| {
        assert_eq!(daemon.get(&format!("{job}/state")).json()["state"], state);
        for change in [json!({ "dynamic_content": false }), json!({ "maximum_download_size": 150_000 })] {
            let number = Some("0x80200062");
            refused(&daemon, &job, &change, 409, "read_only_property_after_resume", number);
        }
        let late = json!({
            "description": state, "notify_flags": [], "minimum_notification_interval": 3, "redirects": "disallow",
            "redirects_to_http": true, "dynamic_content": null, "maximum_download_size": null,
        });
        let changed = patch(&daemon, &job, &late);
        assert_eq!((changed.status, &changed.json()["description"]), (200, &json!(state)), "{changed:?}");
    };
    is_early_only("connecting");
    // Suspended again it was resumed all the same.
    daemon.call("POST", &format!("{job}/suspend"), &[], None);
    is_early_only("suspended");
    gate.open();
    daemon.call("POST", &format!("{job}/resume"), &[], None);
    daemon.wait_state(&job, "transferred");
    is_early_only("transferred");
    daemon.call("POST", &format!("{job}/complete"), &[], None);
    refused(&daemon, &job, &json!({ "description": "late" }), 409, "invalid_state", Some("0x80200002"));
}

#[test]
fn a_job_of_dynamic_content_is_of_the_foreground_and_has_no_ranges() {
    let daemon = Daemon::start();
    let unsupported = |answer: &Answer| {
        assert_eq!(answer.problem(), (409, "unsupported_job_configuration".into()));
        assert_eq!(answer.json()["number"], "0x80200072");
    };
    let new = |more: Value| {
        let mut job = json!({ "type": "download", "dynamic_content": true, "files": [file("a")] });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    unsupported(&daemon.post("/v1/jobs", &new(json!({ "resume": true }))));
    let mut with_ranges = file("b");
    with_ranges["ranges"] = json!([{ "offset": 0, "length": 5 }]);
    unsupported(&daemon.post("/v1/jobs", &new(json!({ "files": [with_ranges] }))));
    assert_eq!(daemon.get("/v1/jobs").json()["jobs"], json!([]), "nothing was created");
    let job = daemon.create(&new(json!({})));
    unsupported(&daemon.post(&format!("{job}/files"), &json!({ "files": [file("c"), with_ranges] })));
    assert_eq!(daemon.get(&job).json()["progress"]["files_total"], 1);
    unsupported(&daemon.call("POST", &format!("{job}/resume"), &[], None));
    assert_eq!(daemon.get(&job).json()["state"], "suspended");
    assert_eq!(patch(&daemon, &job, &json!({ "priority": "foreground" })).status, 200);
    assert_eq!(daemon.call("POST", &format!("{job}/resume"), &[], None).status, 200);
    daemon.call("POST", &format!("{job}/suspend"), &[], None);
    // Nor does it become so with a file that has ranges, whether or not the client says which version it saw.
    let other = daemon.create(&json!({ "type": "download", "files": [file("c"), with_ranges] }));
    let number = Some("0x80200072");
    let change = json!({ "description": "dynamic", "dynamic_content": true });
    refused(&daemon, &other, &change, 409, "unsupported_job_configuration", number);
    let tag = daemon.get(&other).header("etag").unwrap().to_owned();
    unsupported(&daemon.call("PATCH", &other, &[("If-Match", &tag)], Some(&change)));
    let whole = daemon.create(&json!({ "type": "download", "files": [file("d")] }));
    let tag = daemon.get(&whole).header("etag").unwrap().to_owned();
    assert_eq!(daemon.call("PATCH", &whole, &[("If-Match", &tag)], Some(&change)).status, 200);
    assert_eq!(daemon.call("PATCH", &whole, &[("If-Match", &tag)], Some(&change)).problem().0, 412);
    // Once resumed, it stays there.
    let number = Some("0x80200072");
    refused(&daemon, &job, &json!({ "priority": "high" }), 409, "unsupported_job_configuration", number);
}

#[test]
fn every_property_survives_the_death_of_the_daemon() {
    let mut daemon = Daemon::start();
    let mut ranged = file("a");
    ranged["ranges"] =
        json!([{ "offset": 100, "length": 5 }, { "offset": 0, "length": 1 }, { "offset": 7000, "length": null }]);
    let mut new = others();
    new["type"] = json!("download");
    new["headers"] = json!({ "X-Api-Key": SECRET });
    let created = daemon.create(&new);
    let changed = daemon.create(&json!({ "type": "download" }));
    assert_eq!(patch(&daemon, &changed, &others()).status, 200);
    let with_ranges = daemon.create(&json!({ "type": "download", "files": [ranged] }));
    let headers = json!({ "headers": { "x-tenant": "7" } });
    daemon.call("PUT", &format!("{with_ranges}/headers"), &[], Some(&headers));
    let all = |daemon: &Daemon| {
        [&created, &changed, &with_ranges]
            .map(|job| ["", "/headers", "/files"].map(|below| daemon.get(&format!("{job}{below}")).json()))
    };
    let before = all(&daemon);
    for (name, value) in others().as_object().unwrap() {
        assert_eq!((&before[0][0][name], &before[1][0][name]), (value, value), "{name}");
    }
    assert_eq!(before[2][2]["files"][0]["ranges"], ranged["ranges"]);
    assert_eq!(before[2][1], json!({ "headers": { "x-tenant": "7" }, "write_only": false }));
    daemon.end(rustix::process::Signal::KILL);
    daemon.begin();
    assert_eq!(all(&daemon), before);
    // What could be set before can be set now, and what could not cannot.
    assert_eq!(patch(&daemon, &changed, &json!({ "high_performance": false })).status, 200);
    let number = Some("0x80200061");
    let change = json!({ "high_performance": true });
    refused(&daemon, &with_ranges, &change, 409, "read_only_property_after_addfile", number);
}

#[test]
fn ranges_are_refused_with_bits_own_codes() {
    let daemon = Daemon::start();
    let job = daemon.create(&json!({ "type": "download" }));
    let add = |ranges: Value| {
        let mut ranged = file("a");
        ranged["ranges"] = ranges;
        daemon.post(&format!("{job}/files"), &json!({ "files": [ranged] }))
    };
    let wrong = [
        (json!([{ "offset": 0, "length": 0 }]), "invalid_range", "0x8020002B"),
        (json!([{ "offset": u64::MAX }]), "invalid_range", "0x8020002B"),
        (json!([{ "offset": 0 }, { "offset": 5, "length": 1 }]), "overlapping_ranges", "0x8020002C"),
    ];
    for (ranges, code, number) in wrong {
        let answer = add(ranges);
        assert_eq!((answer.problem(), answer.fields()), ((422, code.to_owned()), vec!["/files/0/ranges".to_owned()]));
        assert_eq!(answer.json()["number"], number);
    }
    assert_eq!(add(json!([{ "offset": u64::MAX - 1, "length": 1 }, { "offset": 0, "length": 1 }])).status, 200);
}

#[test]
fn progress_is_told_at_the_pace_of_each_job() {
    let origin = Origin::start();
    origin.throttle(Some(300_000));
    let daemon = Daemon::start();
    let create = |name: &str, interval: f64| {
        origin.file(&format!("/{name}"), File::seeded(1, 600_000));
        let file = json!({ "remote_name": origin.url(&format!("/{name}")), "local_name": daemon.out(name) });
        let job = json!({
            "type": "download", "priority": "foreground", "files": [file], "minimum_notification_interval": interval,
        });
        daemon.create(&job).rsplit('/').next().unwrap().to_owned()
    };
    let [often, seldom] = [create("often", 0.05), create("seldom", 3_600.0)];
    let streams = ["/v1/events", "/v1/events?progress=100"].map(|target| daemon.connect().follow(target, None));
    for job in [&often, &seldom] {
        daemon.call("POST", &format!("/v1/jobs/{job}/resume"), &[], None);
    }
    let [own, of_reader] = streams.map(|stream| {
        let (mut told, mut left) = ([0, 0], 2);
        for event in stream {
            let position = usize::from(event.data["job"] == seldom.as_str());
            told[position] += usize::from(event.name == "progress" && event.data["state"] == "transferring");
            left -= usize::from(event.name == "job_transferred");
            if left == 0 {
                break;
            }
        }
        told
    });
    // While it runs, the one is told once at most.
    assert!(own[0] > 5 && own[1] <= 1, "{own:?}");
    assert!(of_reader[0] > 5 && of_reader[1] > 5, "who names a pace has it for all: {of_reader:?}");
}
