//! The runtime with real components.

mod mirrors;
mod rebuilt;
mod standard;

use std::sync::LazyLock;

use super::contract::{AdmitContext, Hook, RecoveryContext, RetryContext};
use super::*;
use crate::job::{DecisionId, FileIndex, FileSummary, JobId, SafeUrl};
use crate::scheduler::{Ask, Question};

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
