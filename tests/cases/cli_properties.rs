//! The other properties of BITS on the command line.

use serde_json::{Value, json};

use super::fetch::{DONE, USAGE};
use crate::origin::{File, Origin};
use crate::rig::{Backhaul, Daemon};

/// The daemon refused.
const REFUSED: i32 = 77;

fn create(daemon: &Daemon, words: &[&str]) -> String {
    let finished = daemon.run(["job", "create"].into_iter().chain(words.iter().copied()));
    finished.stdout[0].clone()
}

#[test]
fn every_property_is_set_at_creation_or_later_and_shown() {
    let daemon = Daemon::start();
    let words = [
        "--description=for the tests",
        "--notify=job-error,file-transferred",
        "--minimum-notification-interval=1.5s",
        "--dynamic-content",
        "--high-performance",
        "--maximum-download-size=2GiB",
        "--redirects=report",
        "--redirects-to-http",
    ];
    let wanted = json!({
        "description": "for the tests", "notify_flags": ["job_error", "file_transferred"],
        "minimum_notification_interval": 1.5, "dynamic_content": true, "high_performance": true,
        "maximum_download_size": 2_147_483_648_u64, "redirects": "report", "redirects_to_http": true,
    });
    let created = create(&daemon, &words);
    let changed = create(&daemon, &[]);
    daemon.run(["job", "set", &changed].into_iter().chain(words));
    for job in [&created, &changed] {
        let shown = daemon.json(["job", "show", job]);
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(shown[name], *value, "{name}");
        }
    }
    let text = daemon.run(["job", "show", &created]).stdout.join("\n");
    for line in [
        "description\tfor the tests",
        "notify\tjob-error,file-transferred",
        "minimum notification interval\t1.5 s",
        "dynamic content\tyes",
        "high performance\tyes",
        "maximum download size\t2.0 GiB",
        "redirects\treport",
        "redirects to http\tyes",
        "headers write-only\tno",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    daemon.run(["job", "set", &created, "--dynamic-content=no", "--notify=disable", "--redirects=disallow"]);
    let shown = daemon.json(["job", "show", &created]);
    assert_eq!((&shown["dynamic_content"], &shown["redirects"]), (&json!(false), &json!("disallow")));
    let refused = daemon.command(["job", "set", &created, "--maximum-download-size", "0"]).run().expect_code(REFUSED);
    assert!(refused.output().contains("max_download_size_invalid_value"), "{refused}");
    for wrong in [
        "--notify=everything",
        "--maximum-download-size=2G",
        "--redirects=follow",
        "--minimum-notification-interval=-1",
    ] {
        let finished = daemon.command(["job", "set", &created, wrong]).run().expect_code(USAGE);
        assert!(finished.output().contains(wrong.split('=').next().unwrap()), "{finished}");
    }
}

#[test]
fn headers_come_from_the_command_line_or_a_file_and_replace_those_before() {
    let daemon = Daemon::start();
    daemon.scratch.write("out/token", b"X-Api-Key: a-secret\n\nX-Tenant: 7\n");
    let job = create(&daemon, &["-H", "@token", "--header", "Accept: text/plain"]);
    let headers = |job: &str| daemon.json(["job", "headers", job])["headers"].clone();
    assert_eq!(headers(&job), json!({ "accept": "text/plain", "x-api-key": "a-secret", "x-tenant": "7" }));
    assert_eq!(
        daemon.run(["job", "headers", &job]).stdout,
        ["accept\ttext/plain", "x-api-key\ta-secret", "x-tenant\t7"]
    );
    let table = daemon.run(["job", "headers", &job, "-o", "table"]).output();
    assert!(table.contains("NAME") && table.contains("a-secret"), "{table}");
    daemon.run(["job", "set", &job, "-H", "X-Other: 1", "--headers-write-only"]);
    assert_eq!(headers(&job), json!({ "x-other": null }));
    assert_eq!(daemon.run(["job", "headers", &job]).stdout, ["x-other\t"]);
    let table = daemon.run(["job", "headers", &job, "-o", "table"]).output();
    assert!(table.contains("(write-only)"), "{table}");
    daemon.run(["job", "set", &job, "--no-headers"]);
    assert_eq!(headers(&job), json!({}));
    for wrong in [["-H", "Range: a-secret"], ["-H", "a-secret"], ["-H", "@missing"]] {
        for words in [["job", "set", &job], ["job", "create", "http://h/a"]] {
            let finished = daemon.command(words.into_iter().chain(wrong)).run().expect_code(USAGE);
            assert!(finished.output().contains("-H") && !finished.output().contains("a-secret"), "{finished}");
        }
    }
    let twice = daemon.command(["job", "set", &job, "-H", "X-A: 1", "-H", "x-a: 2"]).run().expect_code(USAGE);
    assert!(twice.output().contains("x-a is given twice"), "{twice}");
}

/// A file that is pointed at another origin loses the job's headers: those of the same command are for the new one.
#[test]
fn headers_are_set_after_another_remote_name() {
    let daemon = Daemon::start();
    let job = create(&daemon, &["http://127.0.0.1:1/f", "-d", ".", "-H", "X-Api-Key: old"]);
    let elsewhere = "http://127.0.0.2:1/f";
    daemon.run(["job", "set", &job, "--file", "0", "--remote-name", elsewhere, "-H", "X-Api-Key: new"]);
    assert_eq!(daemon.json(["job", "headers", &job])["headers"], json!({ "x-api-key": "new" }));
}

#[test]
fn parts_of_a_single_file_are_given_by_offset_and_length() {
    let daemon = Daemon::start();
    let ranges = |job: &str| daemon.json(["job", "files", job])["ranges"].clone();
    let url = "http://127.0.0.1:1/f";
    let job = create(&daemon, &[url, "-d", ".", "--range", "1KiB+10", "--range", "0+1"]);
    let two: Value = json!([{ "offset": 1_024, "length": 10 }, { "offset": 0, "length": 1 }]);
    assert_eq!(ranges(&job), two);
    let added = create(&daemon, &[]);
    daemon.run(["job", "add-file", &added, url, "-d", ".", "--range", "5+"]);
    assert_eq!(ranges(&added), json!([{ "offset": 5, "length": null }]));
    for (words, why) in [
        (vec![url, "http://127.0.0.1:1/g", "-d", ".", "--range", "0+1"], "single URL"),
        (vec!["--range", "0+1"], "nothing to fetch"),
        (vec![url, "-d", ".", "--range", "0-511"], "OFFSET+LENGTH"),
    ] {
        let finished = daemon.command(["job", "create"].into_iter().chain(words)).run().expect_code(USAGE);
        assert!(finished.output().contains(why), "{finished}");
    }
    let overlapping = ["job", "create", url, "-d", ".", "--range", "0+5", "--range", "4+1"];
    let finished = daemon.command(overlapping).run().expect_code(REFUSED);
    assert!(finished.output().contains("overlapping_ranges"), "{finished}");
}

#[test]
fn get_takes_the_properties_that_concern_one_command() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, 1_000));
    let scratch = crate::rig::Scratch::new();
    let get = |words: &[&str]| {
        let url = origin.url("/f");
        let get = Backhaul::new().args(["get", &url, "--state-dir", "state"]).args(words.iter().copied());
        get.current_dir(&scratch.file("")).run()
    };
    let ok = ["--maximum-download-size", "1MiB", "--redirects", "report", "--redirects-to-http"];
    get(&ok).expect_code(DONE);
    for (wrong, why) in [
        (["--maximum-download-size", "0"], "maximum_download_size must be at least 1"),
        (["--maximum-download-size", "1.5MiB"], "a size is a number of bytes"),
        (["--redirects", "follow"], "--redirects"),
    ] {
        let finished = get(&wrong).expect_code(USAGE);
        assert!(finished.output().contains(why), "{finished}");
    }
}
