//! Runs a chain: asks, checks, combines, and records.

use std::collections::HashMap;
use std::sync::Arc;

use super::chain::{self, Turn, Verdicts as _};
use super::clamp::{Bounds, Checked};
use super::component::Policy;
use super::config::{AdmitOnFault, OnFault};
use super::contract::{Hook, Reason, Verdict};
use super::grants::Grants;
use super::guest_state::{JobFacts, Sight};
use super::hooked::{AnyVerdict, Hooked};
use super::quarantine::Standing;
use super::record::{self, Keep, Question};
use super::redact::Removed;
use super::registry::{Entry, Member, Shared};
use super::tally::{Answered, Tally, microseconds, position_number, set_memo};
use super::{Fault, Memo, Outcome, times};
use crate::clock::{Stopwatch, UnixMillis};
use crate::job::{JobId, PolicyName};
use crate::scheduler::{self, AdmitAnswer, Answer, Ask, RecoverAnswer, RetryAnswer};

/// Last verdicts that are remembered for `on_fault = last_good`, some 2 MiB. Beyond that any other is forgotten: the built-in default then
/// stands in for its policy.
const LAST_GOOD_MAX: usize = 10_000;

/// Answers questions. Owned by the policy thread; a second one without policies answers where there is nobody to ask.
pub(super) struct Decider {
    shared: Arc<Shared>,
    last_good: HashMap<(JobId, PolicyName, Hook), AnyVerdict>,
}

/// Whether the chain goes on once somebody has decided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    UntilDecided,
    Everybody,
}

impl Decider {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, last_good: HashMap::new() }
    }

    /// Answers a question.
    pub(super) fn answer(&mut self, ask: &Ask, members: &[Member], facts: Box<dyn JobFacts>) -> Answered {
        match &ask.question {
            scheduler::Question::Retry(context) => {
                let (tally, _) = self.run(ask, context.as_ref().clone(), members, facts, Asking::UntilDecided);
                let winner = chain::first_to_decide(&tally.turns);
                tally.finish(winner, members, |verdict, because| {
                    Answer::Retry(RetryAnswer { retry_after_ms: chain::retry_after(&verdict), because })
                })
            }
            scheduler::Question::Admit(context) => {
                let (tally, _) = self.run(ask, context.as_ref().clone(), members, facts, Asking::Everybody);
                let (admission, winner) = chain::most_restrictive(&tally.turns, &tally.built_in.verdict);
                tally.finish(winner, members, |_, because| Answer::Admit(AdmitAnswer { admission, because }))
            }
            scheduler::Question::Recover(context) => {
                let (tally, mut facts) = self.run(ask, context.as_ref().clone(), members, facts, Asking::UntilDecided);
                let winner = chain::first_to_decide(&tally.turns);
                tally.finish(winner, members, |verdict, because| {
                    let recovery = chain::recovery(verdict, |file| facts.summary(file));
                    Answer::Recover(RecoverAnswer { recovery, because })
                })
            }
        }
    }

    fn run<C: Hooked>(
        &mut self,
        ask: &Ask,
        mut context: C,
        members: &[Member],
        mut facts: Box<dyn JobFacts>,
        asking: Asking,
    ) -> (Tally<C>, Box<dyn JobFacts>) {
        let stopwatch = Stopwatch::start();
        let at = UnixMillis(context.call().now_at);
        context.call_mut().local_time = times::local(at, self.shared.time_zone());
        let whole = members.iter().any(Member::sees_whole).then(|| context.clone());
        context.fit(Sight::Redacted);
        let (built_in_answer, built_in) = self.built_in(&context);
        context.set_built_in(&built_in.verdict);
        let question = Question { decision: ask.decision.clone(), job: ask.job, at, hook: C::HOOK };
        let mut tally = Tally {
            turns: Vec::with_capacity(members.len()),
            context: Arc::new(context),
            built_in,
            built_in_answer,
            rows: Vec::new(),
            memos: Vec::new(),
            faults: Vec::new(),
            notes: Vec::new(),
            question,
            stopwatch,
        };
        for member in members {
            let turn;
            (turn, facts) = self.turn(&mut tally, whole.as_ref(), member, facts);
            let decided = turn.checked().is_some();
            tally.turns.push(turn);
            if decided && asking == Asking::UntilDecided {
                break;
            }
        }
        (tally, facts)
    }

    /// What the native default says, as it came and checked.
    fn built_in<C: Hooked>(&self, context: &C) -> (Verdict<C::Verdict>, Checked<C::Verdict>) {
        let answer = context.built_in();
        let bounds = Bounds {
            retry_floor_ms: self.shared.config.retry_floor_ms,
            job: &context.call().job,
            grants: &Grants::default(),
        };
        // Native code is trusted to keep the contract's limits, and a property test says that it does.
        let checked = context.check(answer.clone(), bounds);
        let checked = checked.unwrap_or_else(|_| Checked {
            verdict: answer.verdict.clone(),
            reason: answer.reason.clone(),
            clamps: vec![],
        });
        (answer, checked)
    }

    /// One policy's turn.
    fn turn<C: Hooked>(
        &mut self,
        tally: &mut Tally<C>,
        whole: Option<&C>,
        member: &Member,
        facts: Box<dyn JobFacts>,
    ) -> (Turn<C::Verdict>, Box<dyn JobFacts>) {
        let position = tally.turns.len();
        let policy = match &member.entry {
            Entry::Ready(policy) if policy.has(C::HOOK) => Arc::clone(policy),
            Entry::Ready(_) => return (Turn::NothingSaid, facts),
            Entry::Refused { fault, detail } => {
                let outcome = Outcome::Fault { fault: *fault, detail: detail.clone() };
                tally.rows.push((position, tally.question.row(position_number(position), &member.name, outcome)));
                tally.report(&member.name, *fault, detail.clone());
                return (self.stand_in::<C>(&tally.question, member, fault.code()), facts);
            }
        };
        let standing = self.shared.quarantine().standing(policy.digest, tally.question.job, tally.question.at);
        let until = match standing {
            Standing::Fit => None,
            Standing::SetAside(until) => Some(("for this job", until)),
            Standing::Quarantined(until) => Some(("for all jobs", until)),
        };
        if let Some((whom, until)) = until {
            tally.notes.push(format!(
                "{} was not asked: it is set aside {whom} until {}",
                member.name,
                times::shown(until)
            ));
            return (self.stand_in::<C>(&tally.question, member, "set aside"), facts);
        }
        let mut facts = facts;
        let stopwatch = Stopwatch::start();
        set_memo(&mut tally.context, facts.memo(&member.name, C::HOOK));
        let context = tally.context.as_ref();
        let for_sight = whole.filter(|_| policy.guest.sight == Sight::Whole).map(|whole| {
            let mut whole = whole.clone();
            whole.fit(Sight::Whole);
            whole.set_built_in(&tally.built_in.verdict);
            whole.call_mut().memo.clone_from(&context.call().memo);
            whole
        });
        let given = for_sight.as_ref().unwrap_or(context);
        let called = given.ask(&policy, member.engine(), facts);
        let bounds = Bounds {
            retry_floor_ms: self.shared.config.retry_floor_ms,
            job: &context.call().job,
            grants: &policy.grants,
        };
        let mut row = tally.question.row(position_number(position), &member.name, Outcome::Answered);
        let mut removed = if for_sight.is_some() { Removed::Something } else { Removed::Nothing };
        let result = match called.answer {
            Err((fault, detail)) => Err(Outcome::Fault { fault, detail: record::detail(&detail) }),
            Ok(Err(text)) => Err(Outcome::Declined(record::detail(&text))),
            Ok(Ok(answer)) => {
                let kept = record::answer(&answer, Keep::Whole);
                let checked = context.check(answer, bounds);
                let (value, of_answer) = match &checked {
                    Ok(_) => kept,
                    Err(_) => (record::begin_of(kept.0), kept.1),
                };
                row.answer = Some(value);
                removed = removed.or(of_answer);
                checked
                    .map_err(|detail| Outcome::Fault { fault: Fault::InvalidAnswer, detail: record::detail(&detail) })
            }
        };
        row.component = Some(policy.digest);
        row.settings = policy.guest.settings.digest;
        row.input = Arc::clone(&tally.context).recorded();
        row.fuel = called.usage.fuel;
        row.peak_memory = called.usage.peak_memory;
        row.log = called.usage.log;
        row.files_read = called.usage.files_read;
        row.redacted = removed == Removed::Something;
        let turn = match result {
            Ok(checked) => {
                row.clamps.clone_from(&checked.clamps);
                self.said(tally, member, checked)
            }
            Err(outcome) => {
                row.outcome = outcome.clone();
                self.failed(tally, member, &policy, outcome)
            }
        };
        row.duration_us = microseconds(stopwatch);
        tally.rows.push((position, row));
        (turn, called.facts)
    }

    /// It answered.
    fn said<C: Hooked>(
        &mut self,
        tally: &mut Tally<C>,
        member: &Member,
        checked: Checked<C::Verdict>,
    ) -> Turn<C::Verdict> {
        if let Some(bytes) = &checked.reason.memo {
            let (job, hook, bytes) = (tally.question.job, C::HOOK, bytes.clone());
            tally.memos.push(Memo { job, policy: member.name.clone(), hook, bytes });
        }
        if self.stand_ins(C::HOOK, member).last_good {
            let key = (tally.question.job, member.name.clone(), C::HOOK);
            if self.last_good.len() >= LAST_GOOD_MAX
                && let Some(any) = self.last_good.keys().find(|other| **other != key).cloned()
            {
                self.last_good.remove(&any);
            }
            self.last_good.insert(key, checked.verdict.clone().into());
        }
        if checked.verdict.is_default() { Turn::NothingSaid } else { Turn::Said(checked) }
    }

    /// It declined, or failed.
    fn failed<C: Hooked>(
        &self,
        tally: &mut Tally<C>,
        member: &Member,
        policy: &Policy,
        outcome: Outcome,
    ) -> Turn<C::Verdict> {
        let (fault, mut detail) = match outcome {
            Outcome::Fault { fault, detail } => (fault, detail),
            // No fault, and nothing is held against it; but who cannot decide has not decided that all is well.
            Outcome::Declined(_) => return self.stand_in::<C>(&tally.question, member, "it cannot decide"),
            Outcome::Answered => return Turn::NothingSaid,
        };
        if fault.is_strike() {
            let (job, at) = (tally.question.job, tally.question.at);
            match self.shared.quarantine().strike(policy.digest, job, &tally.context.origin(), fault, at) {
                Standing::Quarantined(until) => {
                    detail.push_str(&format!("; it is set aside for all jobs until {}", times::shown(until)));
                }
                Standing::SetAside(until) => {
                    detail.push_str(&format!("; it is set aside for this job until {}", times::shown(until)));
                }
                Standing::Fit => {}
            }
        }
        tally.report(&member.name, fault, detail);
        self.stand_in::<C>(&tally.question, member, fault.code())
    }

    /// What stands in for a policy that failed, or is set aside.
    fn stand_in<C: Hooked>(&self, question: &Question, member: &Member, why: &str) -> Turn<C::Verdict> {
        let StandIns { last_good, hold } = self.stand_ins(C::HOOK, member);
        let key = (question.job, member.name.clone(), C::HOOK);
        let last = last_good.then(|| self.last_good.get(&key).and_then(C::recall)).flatten();
        let (verdict, note) = match (last, hold) {
            (Some(verdict), _) if verdict.is_default() => return Turn::NothingSaid,
            (Some(verdict), _) => (verdict, "its last verdict stands, as `on_fault` says"),
            (None, true) => match C::hold() {
                Some(verdict) => (verdict, "the job is held, as `on_fault` says"),
                None => return Turn::NothingSaid,
            },
            (None, false) => return Turn::NothingSaid,
        };
        let note = format!("the policy {} does not answer ({why}); {note}", member.name);
        let reason = Reason { code: "policy_fault".into(), note, ..Reason::default() };
        Turn::StoodIn(Checked { verdict, reason, clamps: vec![] })
    }

    fn stand_ins(&self, hook: Hook, member: &Member) -> StandIns {
        let on_fault = &self.shared.config.on_fault;
        let open = |on_fault: OnFault| StandIns { last_good: on_fault == OnFault::LastGood, hold: false };
        match hook {
            Hook::Retry => open(on_fault.retry),
            Hook::Recovery => open(on_fault.recovery),
            Hook::NetworkCost => {
                let chosen = if member.assigned { on_fault.network_cost_assigned } else { on_fault.network_cost_own };
                match chosen {
                    AdmitOnFault::BuiltIn => StandIns { last_good: false, hold: false },
                    AdmitOnFault::Hold => StandIns { last_good: false, hold: true },
                    AdmitOnFault::LastGood => StandIns { last_good: true, hold: true },
                }
            }
        }
    }
}

/// What may stand in for a policy, in this order.
#[derive(Clone, Copy)]
struct StandIns {
    last_good: bool,
    hold: bool,
}
