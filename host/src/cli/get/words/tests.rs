use super::*;
use crate::clock::BootMillis;
use crate::job::{DecisionId, ErrorCode, ErrorContext, FailureClass, LocalName, PolicyName, SafeUrl};

fn file(index: u32) -> FileSpec {
    FileSpec {
        remote_name: SafeUrl::parse(&format!("http://h/{index}")).unwrap(),
        local_name: LocalName::new(PathBuf::from(format!("/work/dir/{index}"))).unwrap(),
        digest: None,
        ranges: Vec::new(),
    }
}

fn names(count: u32) -> Names {
    Names::new(Arc::new((0..count).map(file).collect()), PathBuf::from("/work"))
}

fn unavailable() -> JobError {
    JobError {
        code: ErrorCode::Http,
        context: ErrorContext::RemoteFile,
        class: FailureClass::Transient,
        http_status: Some(503),
        file: Some(FileIndex(1)),
        description: "the origin answered 503 to http://h/1".into(),
    }
}

fn waiting_on(code: &'static str, detail: &str, until: Option<u64>, policy: Option<&str>) -> WaitingOn {
    let policy = policy.map(|name| PolicyName(name.into()));
    WaitingOn { code, detail: detail.into(), until: until.map(UnixMillis), policy, error: None }
}

fn text(kind: &EventKind, detail: Detail) -> Vec<String> {
    told(&mut Story::new(names(2), detail), kind)
}

fn told(story: &mut Story, kind: &EventKind) -> Vec<String> {
    story.tell(kind).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_wait_says_what_failed_who_decided_and_when_it_ends() {
    let mut story = Story::new(names(2), Detail::Trouble);
    let text = |story: &Story, waiting_on, error: Option<JobError>, now| {
        let reading = Progress { waiting_on: Some(waiting_on), error, ..reading() };
        story.waiting(&reading, UnixMillis(now)).unwrap()
    };
    let retry = || waiting_on("retry_delay", "tries again after: something", Some(5000), None);
    assert_eq!(text(&story, retry(), Some(unavailable()), 100), "waiting for retry in 5 s: 503 from http://h/1");
    assert_eq!(text(&story, retry(), None, 0), "waiting for retry in 5 s: tries again after: something");
    let hold = waiting_on("policy_hold", "only after 22:00", Some(90_000), Some("night"));
    let expected = "held by a policy in 1 min 30 s: only after 22:00, policy night";
    assert_eq!(text(&story, hold, Some(unavailable()), 0), expected);
    assert_eq!(text(&story, waiting_on("turn", "in the queue", None, None), None, 0), "waiting for its turn");
    story.tell(&decided("network-cost", "allow"));
    story.tell(&decided("retry", "retry_after"));
    assert_eq!(
        text(&story, retry(), Some(unavailable()), 0),
        "waiting for retry in 5 s: 503 from http://h/1, policy standard: retry_after"
    );
    assert_eq!(story.waiting(&reading(), UnixMillis(0)), None);
}

#[test]
fn a_final_failure_is_told_once() {
    let fatal = || JobError { class: FailureClass::Fatal, http_status: Some(404), ..unavailable() };
    let mut story = Story::new(names(1), Detail::Trouble);
    assert_eq!(told(&mut story, &EventKind::AttemptFailed { error: fatal() }), [""; 0]);
    assert_eq!(told(&mut story, &EventKind::JobError { error: fatal() }), [""; 0]);
    let repaired = EventKind::Recovered { policy: PolicyName("mirrors".into()), changes: vec!["x".into()] };
    assert_eq!(told(&mut story, &repaired), ["policy mirrors repaired the job: x"]);
    assert_eq!(told(&mut story, &EventKind::AttemptFailed { error: fatal() }), [""; 0]);
    let expected =
        ["attempt failed: http 404: the origin answered 503 to http://h/1", "policy mirrors repaired the job: x"];
    assert_eq!(told(&mut story, &repaired), expected);
}

fn decided(hook: &str, code: &str) -> EventKind {
    EventKind::DecisionApplied {
        decision: DecisionId("d".into()),
        hook: hook.into(),
        policy: PolicyName("standard".into()),
        verdict: "retry in 5 s".into(),
        code: code.into(),
        note: "as the\norigin \x1b[2J asked".into(),
    }
}

fn reading() -> Progress {
    Progress {
        state: JobState::Transferring,
        waiting_on: None,
        error: None,
        bytes_transferred: 1 << 20,
        bytes_received: 1 << 20,
        bytes_total: Some(4 << 20),
        files_transferred: 1,
        files_total: 3,
        active: Vec::new(),
    }
}

#[test]
fn trouble_is_told_always_and_the_rest_in_lines_only() {
    let failed = EventKind::AttemptFailed { error: unavailable() };
    let expected = "attempt failed: http 503: dir/1: the origin answered 503 to http://h/1";
    assert_eq!(text(&failed, Detail::Trouble), [expected]);
    let state = EventKind::StateChanged { from: JobState::Queued, to: JobState::Connecting };
    assert_eq!(text(&state, Detail::Trouble), [""; 0]);
    assert_eq!(text(&state, Detail::All), ["connecting"]);
    let file = EventKind::FileTransferred { file: FileIndex(0), bytes: 1 << 20, integrity: Integrity::ClientDigest };
    assert_eq!(text(&file, Detail::All), ["dir/0: whole, 1.0 MiB, verified by its SHA-256"]);
}

#[test]
fn a_decision_names_its_policy_and_reason_on_one_line() {
    let kind = decided("retry", "retry_after");
    let expected = "policy standard: retry in 5 s (retry_after: as the\u{fffd}origin \u{fffd}[2J asked)";
    assert_eq!(text(&kind, Detail::Trouble), [expected]);
}

#[test]
fn progress_tells_what_is_known() {
    let mut rate = Rate::default();
    rate.sample(BootMillis(0), 0);
    rate.sample(BootMillis(1000), 1 << 20);
    let mut reading = reading();
    assert_eq!(progress(&reading, &rate), "25 %, 1.0 MiB of 4.0 MiB, 1 of 3 files, 1.0 MiB/s, 3 s left");
    reading.bytes_total = None;
    assert_eq!(progress(&reading, &Rate::default()), "1.0 MiB, 1 of 3 files");
    reading.bytes_total = Some(0);
    assert_eq!(reading.percent(), Some(100));
}

#[test]
fn names_are_learned_beyond_the_first_ones_and_the_oldest_make_room() {
    let mut names = Names::of_first(vec![file(0)], 1, PathBuf::from("/work"));
    names.recount(9_999);
    assert_eq!((names.count(), names.knows(FileIndex(0)), names.knows(FileIndex(7))), (9_999, true, false));
    names.learn(FileIndex(7), Some(file(7)));
    assert_eq!(names.local(FileIndex(7)), "dir/7");
    // What cannot be named is asked for once, and shown by its number.
    names.learn(FileIndex(8), None);
    assert_eq!((names.knows(FileIndex(8)), names.local(FileIndex(8))), (true, "file 8".to_owned()));
    for number in 100..100 + u32::try_from(LEARNED_MAX).unwrap() {
        names.learn(FileIndex(number), Some(file(number)));
    }
    assert!(!names.knows(FileIndex(7)) && names.knows(FileIndex(100)) && names.knows(FileIndex(0)));
}
