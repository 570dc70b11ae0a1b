use super::*;
use crate::cli::demo::content::{Content, SIZE};
use crate::job::{
    AttemptNumber, AttemptSummary, DecisionId, Direction, ErrorCode, ErrorContext, FailureClass, JobId, Properties,
};

const SEED: u64 = 1;

fn right() -> Report {
    let digest = Sha256([1; 32]);
    Report {
        seed: SEED,
        state: JobState::Acknowledged,
        error: None,
        file: Some("/kept/demo-1.bin".into()),
        sha256: Some(digest),
        sha256_expected: digest,
        bytes_total: SIZE,
        bytes_durable_before: 0,
        bytes_sent: SIZE + 100,
        bytes_sent_max: SIZE + 200,
        attempts: Vec::new(),
        decisions: Vec::new(),
    }
}

#[test]
fn a_right_file_at_a_fair_price_is_a_success() {
    assert_eq!(right().problems(), Vec::<String>::new());
    assert_eq!(right().exit_code(), ExitCode::Success);
}

#[test]
fn wrong_bytes_fail_although_the_job_is_acknowledged() {
    let report = Report { sha256: Some(Sha256([2; 32])), ..right() };
    assert_eq!(report.problems().len(), 1);
    assert_eq!(report.exit_code(), ExitCode::Failed);
    assert!(report.summary().iter().any(|line| line.contains("WRONG")));
}

#[test]
fn too_many_bytes_sent_fail() {
    let report = Report { bytes_sent: SIZE + 201, ..right() };
    assert_eq!(report.problems().len(), 1);
    assert_eq!(report.exit_code(), ExitCode::Failed);
    assert_eq!(Report { bytes_sent: SIZE + 200, ..right() }.exit_code(), ExitCode::Success);
}

#[test]
fn a_job_in_error_fails_with_its_own_words() {
    let error = JobError {
        code: ErrorCode::Http,
        context: ErrorContext::RemoteFile,
        class: FailureClass::Fatal,
        http_status: Some(404),
        file: None,
        description: "http://h/f answered 404".into(),
    };
    let report = Report { state: JobState::Error, error: Some(error), file: None, sha256: None, ..right() };
    assert_eq!(report.problems(), ["the job ended in ERROR (0x80190194): http://h/f answered 404"]);
    assert_eq!(report.exit_code(), ExitCode::Failed);
}

#[test]
fn a_policy_that_ends_the_job_early_leaves_it_incomplete() {
    let cancelled = Report { state: JobState::Cancelled, file: None, sha256: None, ..right() };
    assert_eq!(cancelled.exit_code(), ExitCode::Incomplete);
    let completed = Report { file: None, sha256: None, ..right() };
    assert_eq!(completed.exit_code(), ExitCode::Incomplete);
}

fn record(state: JobState, progress_bytes: u64, failures: &[(u64, ErrorCode)]) -> JobRecord {
    let summary = |&(new_bytes, code): &(u64, ErrorCode)| AttemptSummary {
        started_at: UnixMillis(0),
        ended_at: UnixMillis(0),
        remote_name: "http://h/f".into(),
        new_bytes,
        code,
        class: FailureClass::Transient,
        http_status: None,
    };
    JobRecord {
        id: JobId::generate(),
        owner: String::new(),
        display_name: String::new(),
        description: String::new(),
        direction: Direction::Download,
        state,
        properties: Properties::default(),
        labels: Vec::new(),
        policies: Vec::new(),
        created_at: UnixMillis(0),
        modified_at: UnixMillis(0),
        started_at: None,
        transferred_at: None,
        last_progress_at: None,
        files_total: 1,
        files_transferred: 0,
        bytes_sized: 0,
        files_sized: 0,
        bytes_transferred: 0,
        progress_bytes,
        error: None,
        error_count: u32::try_from(failures.len()).unwrap(),
        failures_in_row: 0,
        recoveries: 0,
        last_recovery_at: None,
        attempt: AttemptNumber(0),
        decisions: 0,
        history: failures.iter().map(summary).collect(),
        retry: None,
        no_progress_ms: 0,
        active_ms: 0,
        intent: None,
        resumed: false,
        headers_write_only: false,
        active_at: UnixMillis(0),
    }
}

#[test]
fn the_attempts_of_a_run_are_those_after_its_begin() {
    let failures = [(10, ErrorCode::ConnectionClosed), (5, ErrorCode::TooSlow), (0, ErrorCode::Http)];
    let before = record(JobState::Queued, 10, &failures[..1]);
    let after = record(JobState::Acknowledged, 40, &failures);
    let attempts = attempts_between(&before, &after, "http://mirror/f");
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.new_bytes, attempt.end.as_str())).collect();
    assert_eq!(told, [(5, "too_slow"), (0, "http"), (25, "finished")]);
    assert_eq!(attempts[2].remote_name, "http://mirror/f");
    assert_eq!(attempts_between(&before, &record(JobState::Error, 15, &failures[..2]), "").len(), 1);
    assert_eq!(attempts_between(&after, &after, ""), []);
}

#[tokio::test]
async fn a_run_with_nothing_left_to_do_has_no_tables() {
    let origin = Origin::start(Content::new(SEED)).await.unwrap();
    let lines = right().lines(&origin, &[], UnixMillis(0));
    assert!(lines.iter().skip(1).all(|line| line.starts_with("  ")), "{lines:#?}");
}

#[tokio::test]
async fn the_tables_fit_a_terminal_and_name_the_two_addresses() {
    let origin = Origin::start(Content::new(SEED)).await.unwrap();
    let request = |number, url: &crate::job::SafeUrl| RequestRecord {
        number,
        at: UnixMillis(0),
        method: "GET".into(),
        address: url.to_string(),
        range: Some("bytes=37607978-".into()),
        if_range: Some(Content::new(SEED).etag()),
        status: 206,
        bytes_sent: 20 << 20,
        end: End::Cut,
    };
    let requests = [request(1, origin.url()), request(2, origin.mirror_url())];
    let decision = EventKind::DecisionApplied {
        decision: DecisionId("d".into()),
        hook: "recovery".into(),
        policy: PolicyName("mirrors".into()),
        verdict: "resume after 0 s".into(),
        code: "next_mirror".into(),
        note: String::new(),
    };
    let decisions = Decision::from_event(UnixMillis(1500), &decision).into_iter().collect();
    let attempt =
        Attempt { remote_name: origin.url().to_string(), new_bytes: 1, end: "http".into(), http_status: Some(503) };
    let report = Report { decisions, attempts: vec![attempt], ..right() };
    let lines = report.lines(&origin, &requests, UnixMillis(0));
    assert!(lines.iter().all(|line| line.len() <= super::super::text::COLUMNS), "{lines:#?}");
    let text = lines.join("\n");
    for wanted in ["1  origin", "2  mirror", "bytes=37607978-", "http 503", "1.5 s  mirrors", "right one for seed 1"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}
