//! The runtime with real components.

mod chains;
mod guests;
mod hostile;
mod loading;
mod mirrors;
mod rebuilt;
mod standard;
mod zoo;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use self::guests::{Guest, guest};
use super::contract::{AdmitContext, AdmitVerdict, FailureClass, Hook, RecoveryContext, RetryContext, RetryVerdict};
use super::*;
use crate::job::{CostFlags, DecisionId, FileIndex, FileSummary, JobId, SafeUrl};
use crate::scheduler::{Admission, AdmitAnswer, Answer, Ask, Question, RecoverAnswer, Recovery, RetryAnswer};

/// One engine for the tests that need no configuration of their own.
static POLICIES: LazyLock<Policies> = LazyLock::new(|| Policies::start(config()).unwrap());

fn config() -> PolicyConfig {
    PolicyConfig { retry_floor_ms: 200, time_zone: Some(jiff::tz::TimeZone::UTC), ..PolicyConfig::default() }
}

fn name(name: &str) -> PolicyName {
    PolicyName(name.into())
}

fn ask(question: Question, policies: &[&str]) -> Ask {
    let policies = policies.iter().map(|policy| name(policy)).collect();
    Ask { job: JobId::generate(), generation: 1, decision: DecisionId("job-1".into()), policies, question }
}

fn of_retry(context: RetryContext) -> Question {
    Question::Retry(Box::new(context))
}

fn of_admit(context: AdmitContext) -> Question {
    Question::Admit(Box::new(context))
}

fn of_recovery(context: RecoveryContext) -> Question {
    Question::Recover(Box::new(context))
}

/// A name that no other test uses.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("guest-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn bytes(name: &str, component: Vec<u8>) -> PolicySource {
    PolicySource::Bytes { name: name.into(), component }
}

/// Loads a guest under a name of its own.
fn loaded(policies: &Policies, guest: &Guest) -> String {
    let name = fresh_name();
    policies.load(&bytes(&name, guest.component()), String::new(), Grants::default()).unwrap();
    name
}

fn sample<S: Strategy>(strategy: S) -> S::Value {
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

/// A transient failure of a job with three files. The native default retries after ten minutes.
fn retry_context() -> RetryContext {
    let mut context = sample(strategies::retry_context());
    let job = &mut context.call.job;
    (job.files_total, job.minimum_retry_delay, job.no_progress_timeout) = (3, 600_000, 1_209_600_000);
    job.cost_flags = CostFlags::ALWAYS.0;
    (context.failure.class, context.failure.retry_after) = (FailureClass::Transient, None);
    context.no_progress_left = 1_209_600_000;
    context.call.now_at = 1_795_000_000_000;
    context.failure.origin = None;
    context.failure.file = None;
    context.call.file =
        Some(contract::FileView { remote_name: "https://origin.example/a".into(), ..sample(strategies::file()) });
    context
}

/// The native default lets the job run.
fn admit_context() -> AdmitContext {
    let RetryContext { mut call, .. } = retry_context();
    (call.network.connected, call.network.interfaces, call.network.route) = (true, Vec::new(), None);
    AdmitContext { call, ..sample(strategies::admit_context()) }
}

/// The native default leaves the job in error.
fn recovery_context() -> RecoveryContext {
    let RetryContext { call, failure, history, .. } = retry_context();
    RecoveryContext { call, failure, recoveries: 0, last_recovery_at: None, history }
}

fn retry_after(answered: &Answered) -> Option<u64> {
    match &answered.answer {
        Answer::Retry(RetryAnswer { retry_after_ms, .. }) => *retry_after_ms,
        other => panic!("{other:?}"),
    }
}

fn admission(answered: &Answered) -> Admission {
    match &answered.answer {
        Answer::Admit(AdmitAnswer { admission, .. }) => *admission,
        other => panic!("{other:?}"),
    }
}

fn recovered(answered: &Answered) -> Recovery {
    match &answered.answer {
        Answer::Recover(RecoverAnswer { recovery, .. }) => recovery.clone(),
        other => panic!("{other:?}"),
    }
}

fn because(answered: &Answered) -> &crate::scheduler::Because {
    match &answered.answer {
        Answer::Retry(RetryAnswer { because, .. })
        | Answer::Admit(AdmitAnswer { because, .. })
        | Answer::Recover(RecoverAnswer { because, .. }) => because,
    }
}

/// Who has a row, and where the verdict that was applied came from.
fn sources(answered: &Answered) -> Vec<(&str, Source)> {
    answered.decisions.iter().map(|row| (row.policy.0.as_str(), row.source)).collect()
}

fn fault(row: &DecisionRow) -> (Fault, &str) {
    match &row.outcome {
        Outcome::Fault { fault, detail } => (*fault, detail),
        other => panic!("{other:?}"),
    }
}

/// A job of three files that remembers one memo.
#[derive(Debug, Clone, Default)]
struct Facts {
    memo: Vec<u8>,
}

impl JobFacts for Facts {
    fn memo(&mut self, _policy: &PolicyName, _hook: Hook) -> Vec<u8> {
        self.memo.clone()
    }

    fn files(&mut self, first: u32, count: u32) -> Vec<contract::FileView> {
        let file = |index| contract::FileView {
            index,
            remote_name: format!("https://user:secret@origin.example/{index}?secret"),
            local_name: format!("/tmp/{index}"),
            bytes_total: None,
            bytes_transferred: 0,
            done: false,
            restarts: 0,
        };
        (first..3.min(first.saturating_add(count))).map(file).collect()
    }

    fn summary(&mut self, index: FileIndex) -> Option<FileSummary> {
        let remote_name = SafeUrl::parse("https://origin.example/a").unwrap();
        let local_name = "/tmp/a".into();
        let summary =
            FileSummary { index, remote_name, local_name, bytes_total: None, durable: 7, finished: false, restarts: 0 };
        Some(summary)
    }
}
