//! What a chain came to: who decided, and everything that is to be stored with it.

use std::sync::Arc;

use super::chain::{Turn, Winner};
use super::clamp::Checked;
use super::contract::{Verdict, limits};
use super::hooked::Hooked;
use super::record::{self, Question};
use super::registry::Member;
use super::{BUILT_IN, DecisionRow, Fault, Memo, Source};
use crate::clock::Stopwatch;
use crate::job::{DecisionId, PolicyName};
use crate::scheduler::{Answer, Because};

/// The answer to a question, with everything that is to be stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// For the core.
    pub answer: Answer,
    /// For the decision log, in the order of the chain.
    pub decisions: Vec<DecisionRow>,
    /// For the same transaction.
    pub memos: Vec<Memo>,
    /// For the journal.
    pub faults: Vec<FaultReport>,
}

/// A policy failed to answer properly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultReport {
    /// Who.
    pub policy: PolicyName,
    /// The question.
    pub decision: Option<DecisionId>,
    /// What kind.
    pub fault: Fault,
    /// For people, redacted, and what it has cost the policy.
    pub detail: String,
}

/// A question whose policies have been asked.
pub(super) struct Tally<C: Hooked> {
    pub(super) turns: Vec<Turn<C::Verdict>>,
    pub(super) built_in: Checked<C::Verdict>,
    /// As it came, before the checks.
    pub(super) built_in_answer: Verdict<C::Verdict>,
    /// As the last policy was given it. Shared with its row.
    pub(super) context: Arc<C>,
    /// Rows, and the turn that each belongs to.
    pub(super) rows: Vec<(usize, DecisionRow)>,
    pub(super) memos: Vec<Memo>,
    pub(super) faults: Vec<FaultReport>,
    /// Why policies were not asked.
    pub(super) notes: Vec<String>,
    pub(super) question: Question,
    pub(super) stopwatch: Stopwatch,
}

/// Copies the context only if a row shares it that was given another memo.
pub(super) fn set_memo<C: Hooked>(context: &mut Arc<C>, memo: Vec<u8>) {
    if context.call().memo != memo {
        Arc::make_mut(context).call_mut().memo = memo;
    }
}

impl<C: Hooked> Tally<C> {
    /// Something for the journal.
    pub(super) fn report(&mut self, policy: &PolicyName, fault: Fault, detail: String) {
        let decision = Some(self.question.decision.clone());
        self.faults.push(FaultReport { policy: policy.clone(), decision, fault, detail });
    }

    /// Marks who decided, and makes the answer.
    pub(super) fn finish(
        self,
        winner: Winner,
        members: &[Member],
        answer: impl FnOnce(C::Verdict, Because) -> Answer,
    ) -> Answered {
        let Self { turns, built_in, built_in_answer, mut context, mut rows, memos, faults, notes, question, stopwatch } =
            self;
        let mut native_row = |answer: &Verdict<C::Verdict>, clamps: &[String]| {
            // Each policy has its own memo, the native default none.
            set_memo(&mut context, Vec::new());
            let position = members.len();
            let mut row = question.built_in_row(position_number(position));
            row.answer = Some(record::json(answer));
            row.input = Arc::clone(&context).recorded();
            row.clamps = clamps.to_vec();
            row.log.clone_from(&notes);
            row.duration_us = microseconds(stopwatch);
            (position, row)
        };
        let of_policy = match winner {
            Winner::Policy(position) => turns
                .into_iter()
                .nth(position)
                .map(|turn| (position, turn))
                .filter(|(_, turn)| turn.checked().is_some()),
            Winner::BuiltIn => None,
        };
        let (policy, checked) = match of_policy {
            Some((position, Turn::Said(checked))) => {
                let of_turn = rows.iter_mut().filter(|(of_turn, _)| *of_turn == position);
                of_turn.for_each(|(_, row)| row.source = Source::Policy);
                (members[position].name.clone(), checked)
            }
            Some((position, Turn::StoodIn(checked))) => {
                let answer = Verdict { verdict: checked.verdict.clone(), reason: checked.reason.clone() };
                rows.push(native_row(&answer, &[]));
                (members[position].name.clone(), checked)
            }
            Some((_, Turn::NothingSaid)) | None => {
                rows.push(native_row(&built_in_answer, &built_in.clamps));
                (PolicyName(BUILT_IN.into()), built_in)
            }
        };
        let because = Because {
            policy,
            code: record::shown(&checked.reason.code, limits::CODE_BYTES_MAX),
            note: record::shown(&checked.reason.note, limits::NOTE_BYTES_MAX),
        };
        let decisions = rows.into_iter().map(|(_, row)| row).collect();
        Answered { answer: answer(checked.verdict, because), decisions, memos, faults }
    }
}

pub(super) fn microseconds(stopwatch: Stopwatch) -> u64 {
    u64::try_from(stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn position_number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
