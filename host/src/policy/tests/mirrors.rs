//! The embedded `mirrors`. Its logic is tested natively in its crate; here it is the component that answers.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::job::{Direction, FailureClass};
use crate::policy::contract::{Change, FileView};
use crate::policy::strategies;
use crate::scheduler::{Answer, Recovery};

pub(super) const SETTINGS: &str = r#"{"mirrors": ["https://a.example/pub/", "https://b.example/"], "failures": 2}"#;

fn with_mirrors() -> Policies {
    let policies = Policies::start(config()).unwrap();
    policies.load(&PolicySource::Embedded("mirrors".into()), SETTINGS.to_owned(), Grants::default()).unwrap();
    policies
}

fn drawn<T>(strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

fn file_below(prefix: &str) -> Option<FileView> {
    let file = drawn(strategies::file());
    Some(FileView { remote_name: format!("{prefix}x/file.bin?..."), ..file })
}

/// The file is gone below the prefix.
fn gone(prefix: &str) -> RecoveryContext {
    let mut context = drawn(strategies::recovery_context());
    context.call.job.direction = Direction::Download;
    context.failure.file = file_below(prefix);
    context.failure.http_status = Some(404);
    context
}

/// What it decides, the reason's code, and what it remembers.
fn asked(policies: &Policies, question: Question, memo: Vec<u8>) -> (Answer, String, Vec<u8>) {
    let mut answered = policies.answer_blocking(&ask(question, &["mirrors"]), Box::new(Facts { memo }));
    assert_eq!(answered.faults, []);
    let row = answered.decisions.remove(0);
    assert_eq!(row.outcome, Outcome::Answered);
    let code = row.answer.unwrap()["reason"]["code"].as_str().unwrap().to_owned();
    (answered.answer, code, answered.memos.pop().map(|memo| memo.bytes).unwrap_or_default())
}

#[test]
fn a_missing_file_is_fetched_from_the_next_mirror_until_all_were_tried() {
    let policies = with_mirrors();
    let (answer, code, memo) = asked(&policies, of_recovery(gone("https://a.example/pub/")), Vec::new());
    let Answer::Recover(answer) = answer else { panic!("{answer:?}") };
    let Recovery::Resume { changes, .. } = answer.recovery else { panic!("{:?}", answer.recovery) };
    assert_eq!(changes, [Change::ReplaceRemotePrefix("https://a.example/pub/".into(), "https://b.example/".into())]);
    assert_eq!(code, "next_mirror");

    let (answer, code, _) = asked(&policies, of_recovery(gone("https://b.example/")), memo);
    let Answer::Recover(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.recovery, code.as_str()), (Recovery::Leave, "mirrors_exhausted"));
}

#[test]
fn a_mirror_that_keeps_failing_is_given_up() {
    let policies = with_mirrors();
    let mut context = drawn(strategies::retry_context());
    context.call.job.direction = Direction::Download;
    context.call.job.recoveries = 0;
    context.failure.class = FailureClass::Transient;
    context.failure.http_status = Some(503);
    context.failure.file = file_below("https://a.example/pub/");
    context.failures_in_row = 2;
    let (answer, code, _) = asked(&policies, of_retry(context), Vec::new());
    let Answer::Retry(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.retry_after_ms, code.as_str()), (None, "next_mirror"));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let policies = Policies::start(config()).unwrap();
    let load = |settings: &str| {
        let source = PolicySource::Embedded("mirrors".into());
        policies.load(&source, settings.to_owned(), Grants::default()).unwrap_err().to_string()
    };
    assert!(load("").contains("`mirrors` is missing"), "{}", load(""));
    let error = load(r#"{"mirrors": ["https://a.example/", "b"]}"#);
    assert!(error.contains("`mirrors[1]` must begin with http:// or https://"), "{error}");
}

#[test]
fn no_context_makes_it_fail() {
    let policies = with_mirrors();
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let memo = proptest::collection::vec(any::<u8>(), 0..64);
    runner
        .run(&(strategies::recovery_context(), memo), |(context, memo)| {
            asked(&policies, of_recovery(context), memo);
            Ok(())
        })
        .unwrap();
    runner
        .run(&strategies::retry_context(), |context| {
            asked(&policies, of_retry(context), Vec::new());
            Ok(())
        })
        .unwrap();
}
