use backhaul_policy::types::{CostFlags, Direction, FailureClass, Phase};
use backhaul_policy::{Hook, Policy, host, recovery, retry, sample};

use super::Mirrors;

const A: &str = "https://origin.example/pub/";
const B: &str = "https://b.example/";
const C: &str = "http://c.example:8080/x/";

fn set(settings: &str) {
    let settings = settings.replace('A', A).replace('B', B).replace('C', C);
    assert_eq!(Mirrors::validate_settings(&settings), Ok(()));
    host::set_settings(&settings);
}

fn problems(settings: &str) -> String {
    Mirrors::validate_settings(settings).expect_err(settings).join("; ")
}

/// A job under recovery, as the host would lead it on.
struct Job {
    context: recovery::Context,
}

impl Job {
    fn new() -> Self {
        Self { context: sample::recovery() }
    }

    fn url(&self) -> &str {
        &self.context.failure.file.as_ref().expect("a file").remote_name
    }

    /// Asks, applies what comes back, and returns the reason's code.
    fn fails(&mut self) -> String {
        let answer = Mirrors::on_error(&self.context).expect("an answer");
        if let Some(memo) = answer.reason.memo {
            self.context.call.memo = memo;
        }
        if let recovery::Verdict::Resume(plan) = answer.verdict {
            let [recovery::Change::ReplaceRemotePrefix((from, to))] = plan.changes.as_slice() else {
                panic!("{:?}", plan.changes);
            };
            let file = self.context.failure.file.as_mut().expect("a file");
            let rest = file.remote_name.strip_prefix(from.as_str()).expect("the prefix is that of the file");
            file.remote_name = format!("{to}{rest}");
        } else {
            assert_eq!(answer.verdict, recovery::Verdict::Default);
        }
        answer.reason.code
    }

    fn progresses(&mut self) {
        let at = &mut self.context.call.job.last_progress_at;
        *at = at.map(|at| at + 1_000);
    }

    fn fails_over_to(&mut self, prefix: &str) {
        assert_eq!(self.fails(), "next_mirror");
        assert_eq!(self.url(), format!("{prefix}file.bin"));
    }
}

#[test]
fn a_missing_file_is_fetched_from_the_next_mirror() {
    set(r#"{"mirrors": ["A", "B"], "after_seconds": 1.5}"#);
    let answer = Mirrors::on_error(&sample::recovery()).expect("an answer");
    let changes = vec![recovery::Change::ReplaceRemotePrefix((A.to_owned(), B.to_owned()))];
    assert_eq!(answer.verdict, recovery::Verdict::Resume(recovery::Plan { changes, after: 1_500 }));
    assert_eq!(answer.reason.code, "next_mirror");
    assert_eq!(answer.reason.note, format!("HTTP 404 at {A}: goes on at {B}"));
}

#[test]
fn each_mirror_is_tried_once_between_progress() {
    set(r#"{"mirrors": ["A", "B", "C"]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    job.fails_over_to(C);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn the_list_goes_round_from_where_the_file_is() {
    set(r#"{"mirrors": ["B", "A", "C"]}"#);
    let mut job = Job::new();
    job.fails_over_to(C);
    job.fails_over_to(B);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn progress_begins_a_new_round() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    job.progresses();
    job.fails_over_to(A);
    job.progresses();
    job.fails_over_to(B);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn a_job_that_its_owner_resumes_starts_a_new_round() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    assert_eq!(job.fails(), "mirrors_exhausted");
    job.fails_over_to(A);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn other_files_go_straight_to_the_mirror_that_was_chosen_last() {
    set(r#"{"mirrors": ["A", "B", "C"]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    job.fails_over_to(C);
    job.progresses();
    // A file that was added later, under the first address.
    job.context.failure.file.as_mut().expect("a file").remote_name = format!("{A}file.bin");
    job.fails_over_to(C);
    job.fails_over_to(B);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn what_is_remembered_under_other_settings_does_not_count() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    set(r#"{"mirrors": ["A", "B", "C"]}"#);
    job.fails_over_to(C);
    job.fails_over_to(A);
}

#[test]
fn a_foreign_memo_does_no_harm() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    for memo in [vec![0xff], b"tried=9.9 x 0.\nchosen=7.7".to_vec(), vec![b'='; 4_096]] {
        let mut job = Job::new();
        job.context.call.memo = memo;
        job.fails_over_to(B);
    }
}

#[test]
fn lists_of_mirrors_are_kept_apart() {
    set(r#"{"mirrors": [["C", "https://d.example/"], ["A", "B"]]}"#);
    let mut job = Job::new();
    job.fails_over_to(B);
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn with_the_scope_file_only_the_failed_file_moves() {
    set(r#"{"mirrors": ["A", "B"], "scope": "file"}"#);
    let mut context = sample::recovery();
    context.failure.file.as_mut().expect("a file").remote_name = format!("{A}file.bin?token=secret");
    let answer = Mirrors::on_error(&context).expect("an answer");
    let changes = vec![recovery::Change::ReplaceRemotePrefix((format!("{A}file.bin"), format!("{B}file.bin")))];
    assert_eq!(answer.verdict, recovery::Verdict::Resume(recovery::Plan { changes, after: 0 }));
}

#[test]
fn only_what_another_mirror_may_cure_is_covered() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let asked = |code: &str, http_status| {
        let mut job = Job::new();
        code.clone_into(&mut job.context.failure.code);
        job.context.failure.http_status = http_status;
        job.fails()
    };
    for status in [403, 404, 408, 410, 421, 425, 429, 451, 500, 503, 599] {
        assert_eq!(asked("http", Some(status)), "next_mirror", "{status}");
    }
    for status in [301, 400, 401, 407, 416] {
        assert_eq!(asked("http", Some(status)), "not_covered", "{status}");
    }
    for code in ["connect_failure", "digest_mismatch", "tls_failure", "too_slow", "remote_file_changed"] {
        assert_eq!(asked(code, None), "next_mirror", "{code}");
    }
    for code in ["local_io", "disk_full", "local_file_exists", "maxdownload_timeout", "http"] {
        assert_eq!(asked(code, None), "not_covered", "{code}");
    }
    set(r#"{"mirrors": ["A", "B"], "on": [401, "404", "local_io"]}"#);
    assert_eq!(asked("http", Some(401)), "next_mirror");
    assert_eq!(asked("http", Some(404)), "next_mirror");
    assert_eq!(asked("local_io", None), "next_mirror");
    assert_eq!(asked("http", Some(503)), "not_covered");
}

#[test]
fn what_has_no_mirror_is_left_alone() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let mut job = Job::new();
    job.context.failure.file.as_mut().expect("a file").remote_name = "https://origin.example/public?pub/".to_owned();
    assert_eq!(job.fails(), "no_mirror");
    let mut job = Job::new();
    job.context.failure.file = None;
    assert_eq!(job.fails(), "no_file");
    let mut job = Job::new();
    job.context.call.job.direction = Direction::Upload;
    assert_eq!(job.fails(), "not_a_download");
}

fn retry(failures_in_row: u32) -> (retry::Verdict, String) {
    let context = retry::Context { failures_in_row, ..sample::retry() };
    let answer = Mirrors::on_failure(&context).expect("an answer");
    (answer.verdict, answer.reason.code)
}

#[test]
fn a_mirror_that_keeps_failing_is_given_up_until_each_had_its_turn() {
    set(r#"{"mirrors": ["A", "B", "C"], "failures": 2}"#);
    let given_up: Vec<u32> = (0..20).filter(|count| retry(*count).0 == retry::Verdict::GiveUp).collect();
    assert_eq!(given_up, [2, 4]);
    assert_eq!(retry(1), (retry::Verdict::Default, "patience".to_owned()));
    assert_eq!(retry(2), (retry::Verdict::GiveUp, "next_mirror".to_owned()));
    assert_eq!(retry(6), (retry::Verdict::Default, "mirrors_exhausted".to_owned()));
}

#[test]
fn retries_go_on_where_the_mirror_was_changed_too_often() {
    set(r#"{"mirrors": ["A", "B"], "failures": 1}"#);
    let mut context = sample::retry();
    let mut asked_after = |seconds: u64| {
        context.call.now_at += seconds * 1_000;
        let answer = Mirrors::on_failure(&context).expect("an answer");
        if let Some(memo) = answer.reason.memo {
            context.call.memo = memo;
        }
        answer.reason.code
    };
    for _ in 0..4 {
        assert_eq!(asked_after(1), "next_mirror");
    }
    assert_eq!(asked_after(1), "changed_too_often");
    assert_eq!(asked_after(120), "next_mirror");
    assert_eq!(asked_after(0), "changed_too_often");
    for _ in 0..4 {
        assert_eq!(asked_after(7 * 86_400), "next_mirror", "the allowance grows again");
    }
    context.call.now_at += 7 * 86_400_000;
    context.call.job.recoveries = 50;
    assert_eq!(Mirrors::on_failure(&context).expect("an answer").reason.code, "changed_too_often");
}

#[test]
fn retries_elsewhere_are_not_given_up() {
    set(r#"{"mirrors": ["B", "C"], "failures": 1}"#);
    assert_eq!(retry(1), (retry::Verdict::Default, "no_mirror".to_owned()));
    set(r#"{"mirrors": ["A", "B"], "failures": 1, "on": [404]}"#);
    assert_eq!(retry(1), (retry::Verdict::Default, "not_covered".to_owned()));
    set(r#"{"mirrors": ["A", "B"], "failures": 1}"#);
    let mut context = sample::retry();
    context.failure.class = FailureClass::Fatal;
    assert_eq!(Mirrors::on_failure(&context).expect("an answer").verdict, retry::Verdict::Default);
}

#[test]
fn answers_do_not_depend_on_what_they_need_not() {
    set(r#"{"mirrors": ["A", "B"]}"#);
    let mut context = sample::recovery();
    let answer = Mirrors::on_error(&context);
    context.call.seed = 7;
    context.call.now_at += 1;
    context.call.job.cost_flags = CostFlags::empty();
    context.failure.phase = Phase::Unknown;
    assert_eq!(Mirrors::on_error(&context), answer);
}

#[test]
fn settings_are_refused_by_name() {
    assert_eq!(problems(""), "`mirrors` is missing: a list of at least two URL prefixes that hold the same files");
    assert_eq!(problems("[]"), "settings must be a JSON object");
    for mirrors in ["[]", r#"["https://a/"]"#, "1", r#""https://a/""#] {
        assert_eq!(
            problems(&format!(r#"{{"mirrors": {mirrors}}}"#)),
            "`mirrors` must be a list of 2 to 16 URL prefixes"
        );
    }
    let second = |prefix: &str| problems(&format!(r#"{{"mirrors": ["https://a/", "{prefix}"]}}"#));
    for (prefix, why) in [
        ("ftp://b/", "must begin with http:// or https://"),
        ("HTTPS://b/", "must begin with http:// or https://"),
        ("https://b", "must end with `/`, so that it matches whole names only"),
        ("https://b/?x/", "must be a plain URL: no spaces, no query, no fragment, other characters percent-encoded"),
        ("https://b/ü/", "must be a plain URL: no spaces, no query, no fragment, other characters percent-encoded"),
        ("https:///", "must name a server"),
        ("https://user:word@b/", "must hold no user name or password: grant a credential instead"),
        ("https://B/", "must have the server's name in lower case"),
        ("https://b:443/", "must leave out the default port"),
        ("http://b:80/", "must leave out the default port"),
        ("https://b/../", "must hold no `.` or `..` as a part of its path"),
    ] {
        assert_eq!(second(prefix), format!("`mirrors[1]` {why}"), "{prefix}");
    }
    assert_eq!(
        second("https://a/b/"),
        "`mirrors`: https://a/b/ begins with https://a/: no prefix may begin with another"
    );
    assert_eq!(second("https://a/"), "`mirrors`: https://a/ begins with https://a/: no prefix may begin with another");
    assert_eq!(
        problems(r#"{"mirrors": [["https://a/", 1], "https://b/"]}"#),
        "`mirrors[0][1]` must be a URL prefix in quotes; `mirrors[1]` must be a list of 2 to 16 URL prefixes"
    );
    let other = |rest: &str| problems(&format!(r#"{{"mirrors": ["https://a/", "https://b/"], {rest}}}"#));
    assert_eq!(other(r#""failures": 0"#), "`failures` must be a whole number from 1 to 1000");
    assert_eq!(other(r#""scope": "all""#), "`scope` must be \"job\" or \"file\"");
    assert_eq!(
        other(r#""after_seconds": -1"#),
        "`after_seconds` must be a number from 0 to 86400, with at most three decimal places"
    );
    assert_eq!(
        other(r#""mirror": 1"#),
        "`mirror` is unknown, allowed are: mirrors, on, failures, scope, after_seconds"
    );
    assert_eq!(other(r#""on": []"#), "`on` must be a list of 1 to 64 HTTP statuses and error codes");
    for on in ["200", "\"6xx\"", "\"Connect\"", "true", "\"\""] {
        assert!(other(&format!(r#""on": [404, {on}]"#)).starts_with("`on[1]` must be an HTTP status"), "{on}");
    }
}

#[test]
fn the_largest_settings_keep_within_the_contract() {
    let list: Vec<String> = (0..16).map(|n| format!("\"https://{n:x}.example/{}/\"", "x".repeat(1_000))).collect();
    let settings = format!(r#"{{"mirrors": [{}]}}"#, list.join(","));
    host::set_settings(&settings);
    let mut job = Job::new();
    job.context.failure.file.as_mut().expect("a file").remote_name =
        format!("https://0.example/{}/file.bin", "x".repeat(1_000));
    for _ in 1..16 {
        let answer = Mirrors::on_error(&job.context).expect("an answer");
        assert!(answer.reason.note.len() <= 500 && answer.reason.memo.is_some_and(|memo| memo.len() <= 4_096));
        assert_eq!(job.fails(), "next_mirror");
    }
    assert_eq!(job.fails(), "mirrors_exhausted");
}

#[test]
fn the_description_says_what_it_does() {
    let descriptor = Mirrors::describe();
    assert_eq!(
        (descriptor.name.as_str(), descriptor.hooks.as_slice()),
        ("mirrors", [Hook::Retry, Hook::Recovery].as_slice())
    );
    assert!(backhaul_policy::json::Value::parse(&descriptor.settings_schema).is_ok());
    assert!(descriptor.capabilities.is_empty());
}
