//! Makes decision rows: what went in, what came out, redacted.

use serde::Serialize;
use serde_json::Value;

use super::contract::{Hook, Verdict, limits};
use super::redact::{self, Removed};
use super::scan::CONTRACT_VERSION;
use super::{BUILT_IN, DecisionRow, Outcome, RecordedInput, Source};
use crate::clock::UnixMillis;
use crate::job::{DecisionId, JobId, PolicyName};

/// Elements of a list in an answer that was rejected: it may have been rejected for its length.
const REJECTED_ELEMENTS_MAX: usize = 64;
/// Bytes of a text in such an answer.
const REJECTED_TEXT_BYTES_MAX: usize = 256;

/// What the rows of one question share.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) decision: DecisionId,
    pub(super) job: JobId,
    pub(super) at: UnixMillis,
    pub(super) hook: Hook,
}

impl Question {
    /// A row for a policy, with nothing in it yet.
    pub(super) fn row(&self, position: u32, policy: &PolicyName, outcome: Outcome) -> DecisionRow {
        DecisionRow {
            decision: self.decision.clone(),
            position,
            job: self.job,
            at: self.at,
            hook: self.hook,
            policy: policy.clone(),
            component: None,
            settings: None,
            wit: CONTRACT_VERSION.to_owned(),
            engine: super::ENGINE_VERSION.to_owned(),
            input: RecordedInput::default(),
            files_read: Vec::new(),
            answer: None,
            clamps: Vec::new(),
            source: Source::PassedOver,
            outcome,
            fuel: 0,
            peak_memory: 0,
            duration_us: 0,
            log: Vec::new(),
            redacted: false,
        }
    }

    /// A row for the native default, which decided.
    pub(super) fn built_in_row(&self, position: u32) -> DecisionRow {
        let mut row = self.row(position, &PolicyName(BUILT_IN.into()), Outcome::Answered);
        row.engine = concat!("native ", env!("CARGO_PKG_VERSION")).to_owned();
        row.source = Source::BuiltIn;
        row
    }
}

/// How much of an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it: it is within the limits.
    Whole,
    /// The begin of everything: it was rejected.
    Begin,
}

/// A value as JSON. Keys are texts and numbers are finite, so there always is one.
pub(super) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("plain data with text keys always has a JSON form")
}

/// An answer as JSON, redacted.
pub(super) fn answer<V: Serialize>(answer: &Verdict<V>, keep: Keep) -> (Value, Removed) {
    let mut value = json(answer);
    let removed = walk(&mut value, keep);
    (value, removed)
}

/// What was kept of an answer that was rejected thereafter.
pub(super) fn begin_of(mut answer: Value) -> Value {
    let _was_redacted_before = walk(&mut answer, Keep::Begin);
    answer
}

fn walk(value: &mut Value, keep: Keep) -> Removed {
    match value {
        Value::String(text) => {
            let removed = redact::in_place(text);
            if keep == Keep::Begin {
                text.truncate(text.floor_char_boundary(REJECTED_TEXT_BYTES_MAX));
            }
            removed
        }
        Value::Array(list) => {
            if keep == Keep::Begin {
                list.truncate(REJECTED_ELEMENTS_MAX);
            }
            let named = match list.as_mut_slice() {
                [Value::String(name), Value::String(value)] => redact::named(name, value),
                _ => Removed::Nothing,
            };
            list.iter_mut().map(|element| walk(element, keep)).fold(named, Removed::or)
        }
        Value::Object(members) => {
            let mut removed = Removed::Nothing;
            for (key, value) in members {
                let of_value = match (key.as_str(), value) {
                    // The value of a header may be a credential under any name.
                    ("set_header", Value::Array(pair)) if pair.len() == 2 => {
                        pair[1] = Value::String("***".into());
                        walk(&mut pair[0], keep).or(Removed::Something)
                    }
                    (_, value) => walk(value, keep),
                };
                removed = removed.or(of_value);
            }
            removed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Removed::Nothing,
    }
}

/// For the journal and for people: on one line and within the contract, whatever a guest made of it.
pub(super) fn shown(text: &str, bytes_max: usize) -> String {
    super::fit::clipped(&redact::line(text), bytes_max).to_owned()
}

/// A detail of a fault.
pub(super) fn detail(text: &str) -> String {
    shown(text, limits::MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::contract::{Change, Plan, Reason, RecoveryVerdict};

    fn resumed(changes: Vec<Change>) -> Verdict<RecoveryVerdict> {
        let reason = Reason { note: "see https://h/a?SECRET".into(), ..Reason::default() };
        Verdict { verdict: RecoveryVerdict::Resume(Plan { changes, after: 0 }), reason }
    }

    #[test]
    fn secrets_in_answers_are_not_kept() {
        let changes = vec![
            Change::SetRemoteName(0, "https://u:SECRET@h/a?sig=SECRET".into()),
            Change::SetHeader("X-Anything".into(), "SECRET".into()),
            Change::ReplaceRemotePrefix("http://h/?SECRET".into(), "http://i/".into()),
            Change::Other("token".into(), "SECRET".into()),
        ];
        let (value, removed) = answer(&resumed(changes), Keep::Whole);
        assert_eq!(removed, Removed::Something);
        assert!(!value.to_string().contains("SECRET"), "{value}");
        assert_eq!(value["verdict"]["resume"]["changes"][0]["set_remote_name"][1], "https://h/a");
    }

    #[test]
    fn an_answer_without_secrets_is_kept_as_it_is() {
        let mut given = resumed(vec![Change::RestartFile(3)]);
        given.reason.note = "x".repeat(500);
        let (value, removed) = answer(&given, Keep::Whole);
        assert_eq!((removed, serde_json::from_value(value).ok()), (Removed::Nothing, Some(given)));
    }

    #[test]
    fn only_the_begin_of_a_rejected_answer_is_kept() {
        let mut given = resumed(vec![Change::RestartFile(1); 1000]);
        given.reason.note = "é".repeat(100_000);
        given.reason.memo = Some(vec![0; 100_000]);
        let (value, _) = answer(&given, Keep::Begin);
        assert!(value.to_string().len() < 10_000);
    }
}
