//! Several policies, faults and what stands in for them, memos, quarantine.

use super::guests::reason;
use super::*;
use crate::policy::contract::{Change, Plan, Reason, RecoveryVerdict, Verdict};

fn started(config: PolicyConfig) -> Policies {
    Policies::start(config).unwrap()
}

fn asked(policies: &Policies, question: Question, names: &[&str]) -> Answered {
    policies.answer_blocking(&ask(question, names), Box::new(Facts::default()))
}

#[test]
fn the_first_that_does_not_say_default_decides_and_the_rest_are_not_asked() {
    let silent = loaded(&POLICIES, &guest());
    let first = loaded(&POLICIES, &guest().retry(RetryVerdict::Retry(7_000)));
    let second = loaded(&POLICIES, &guest().retry(RetryVerdict::GiveUp));
    let answered = asked(&POLICIES, of_retry(retry_context()), &[&silent, &first, &second]);
    assert_eq!(retry_after(&answered), Some(7_000));
    assert_eq!(sources(&answered), [(silent.as_str(), Source::PassedOver), (first.as_str(), Source::Policy)]);
    assert_eq!(answered.decisions.iter().map(|row| row.position).collect::<Vec<_>>(), [0, 1]);
    let because = because(&answered);
    assert_eq!((because.policy.0.as_str(), because.code.as_str()), (first.as_str(), "of_guest"));
    let answered = asked(&POLICIES, of_retry(retry_context()), &[&silent, &second, &first]);
    assert_eq!(retry_after(&answered), None);
}

#[test]
fn an_operators_policies_come_first_and_nobody_is_asked_twice() {
    let policies = started(config());
    let own = loaded(&policies, &guest().retry(RetryVerdict::GiveUp));
    let assigned = loaded(&policies, &guest().retry(RetryVerdict::Retry(7_000)));
    policies.assign(vec![name(&assigned)]);
    let answered = asked(&policies, of_retry(retry_context()), &[&own, &assigned, &own]);
    assert_eq!((retry_after(&answered), sources(&answered)), (Some(7_000), vec![(assigned.as_str(), Source::Policy)]));
    let answered = asked(&policies, of_admit(admit_context()), &[&own, &assigned, &own]);
    assert_eq!(answered.decisions.len(), 3, "both, and the native default, which decided");
}

#[test]
fn everybody_is_asked_about_the_network_and_the_most_restrictive_holds() {
    let free = loaded(&POLICIES, &guest().admit(AdmitVerdict::Allow));
    let slow = loaded(&POLICIES, &guest().admit(AdmitVerdict::AllowAtMost(1 << 20)));
    let held = loaded(&POLICIES, &guest().admit(AdmitVerdict::Hold(Some(5_000))));
    let answered = asked(&POLICIES, of_admit(admit_context()), &[&free, &slow]);
    assert_eq!(admission(&answered), Admission::AllowAtMost(1 << 20));
    assert_eq!(sources(&answered), [(free.as_str(), Source::PassedOver), (slow.as_str(), Source::Policy)]);
    let answered = asked(&POLICIES, of_admit(admit_context()), &[&held, &free, &slow]);
    assert_eq!((admission(&answered), answered.decisions.len()), (Admission::Hold(Some(5_000)), 3));
    assert_eq!(because(&answered).policy.0, held);
    let mut barred = admit_context();
    barred.call.job.cost_flags = 0;
    let answered = asked(&POLICIES, of_admit(barred), &[&free]);
    assert_eq!(admission(&answered), Admission::Hold(None));
    assert_eq!(sources(&answered), [(free.as_str(), Source::PassedOver), (BUILT_IN, Source::BuiltIn)]);
}

#[test]
fn a_plan_reaches_the_core_with_the_files_it_begins_again() {
    let changes = vec![Change::SetRemoteName(1, "https://mirror.example/a?sig=1".into()), Change::RestartFile(2)];
    let plan = RecoveryVerdict::Resume(Plan { changes: changes.clone(), after: 1_000 });
    let repairer = loaded(&POLICIES, &guest().recovery(plan));
    let answered = asked(&POLICIES, of_recovery(recovery_context()), &[&repairer]);
    let Recovery::Resume { changes: applied, after_ms, files } = recovered(&answered) else { panic!("{answered:?}") };
    assert_eq!((applied, after_ms), (changes, 1_000));
    assert_eq!(files.iter().map(|file| (file.index, file.durable)).collect::<Vec<_>>(), [(FileIndex(2), 7)]);
    let row = &answered.decisions[0];
    let kept = &row.answer.as_ref().unwrap()["verdict"]["resume"]["changes"][0]["set_remote_name"][1];
    assert_eq!((kept.as_str(), row.redacted), (Some("https://mirror.example/a"), true));
}

#[test]
fn memos_go_out_with_the_answer_and_in_with_the_question() {
    let remembering = Reason { memo: Some(b"two".to_vec()), ..reason("x") };
    let retry = Ok(Verdict { verdict: RetryVerdict::Default, reason: remembering });
    let name = loaded(&POLICIES, &Guest { retry, ..guest() });
    let question = ask(of_retry(retry_context()), &[&name]);
    let answered = POLICIES.answer_blocking(&question, Box::new(Facts { memo: b"one".to_vec() }));
    let memo = Memo { job: question.job, policy: super::name(&name), hook: Hook::Retry, bytes: b"two".to_vec() };
    assert_eq!(answered.memos, [memo]);
    let [of_policy, native] = &answered.decisions[..] else { panic!("{answered:?}") };
    assert_eq!(of_policy.input.to_json()["call"]["memo"], serde_json::json!(b"one"));
    assert_eq!(native.input.to_json()["call"]["memo"], serde_json::json!([]), "the native default has none");
}

#[test]
fn a_row_is_what_the_guest_was_given() {
    let name = loaded(&POLICIES, &guest());
    let mut context = retry_context();
    context.failure.message = "at https://u:p@h/?SECRET".into();
    context.call.job.bytes_total = Some(u64::MAX);
    let answered = asked(&POLICIES, of_retry(context), &[&name]);
    let row = &answered.decisions[0];
    let RecordedInput::Retry(given) = &row.input else { panic!("{row:?}") };
    assert_eq!(given.failure.message, "at https://h/");
    assert_eq!(given.call.job.bytes_total, Some((1 << 53) - 1));
    assert_eq!((given.call.local_time.year, given.call.local_time.zone.as_str()), (2026, "UTC"));
    assert_eq!(given.built_in, RetryVerdict::Retry(600_000));
    assert!(!row.redacted, "it can be replayed as it is");
    assert_eq!((row.wit.as_str(), row.engine.as_str()), (CONTRACT_VERSION, ENGINE_VERSION));
    assert!(row.component.is_some() && row.settings.is_none() && row.fuel > 0 && row.peak_memory == 3 << 16);
    let json = serde_json::to_string(row).unwrap();
    assert_eq!(&serde_json::from_str::<DecisionRow>(&json).unwrap(), row);
}

#[test]
fn a_policy_that_was_granted_to_sees_queries_which_are_not_kept() {
    let name = fresh_name();
    let grants = Grants { capabilities: vec![Capability::SeeQuery], ..Grants::default() };
    let mut curious = guest().on_call("(call $files (i32.const 0) (i32.const 1) (i32.const 0))");
    curious.descriptor.capabilities = vec!["see-query".into()];
    POLICIES.load(&bytes(&name, curious.component()), String::new(), grants).unwrap();
    let mut context = retry_context();
    context.failure.final_url = Some("https://h/a?SECRET".into());
    let answered = asked(&POLICIES, of_retry(context), &[&name]);
    let row = &answered.decisions[0];
    assert_eq!((row.redacted, &row.outcome), (true, &Outcome::Answered));
    let json = serde_json::to_string(row).unwrap();
    assert!(!json.contains("SECRET") && !json.contains("secret"), "{json}");
}

#[test]
fn a_policy_that_was_refused_or_never_loaded_is_named_in_its_row() {
    let refused = fresh_name();
    POLICIES.load(&bytes(&refused, b"garbage".to_vec()), String::new(), Grants::default()).unwrap_err();
    let answered = asked(&POLICIES, of_retry(retry_context()), &[&refused, "never-loaded"]);
    assert_eq!(retry_after(&answered), Some(600_000));
    assert_eq!(fault(&answered.decisions[0]).0, Fault::NotAComponent);
    assert_eq!(fault(&answered.decisions[1]), (Fault::InstantiationFailed, "the policy never-loaded is not loaded"));
    assert_eq!(
        answered.faults.iter().map(|report| report.fault).collect::<Vec<_>>(),
        [Fault::NotAComponent, Fault::InstantiationFailed]
    );
    assert_eq!(answered.decisions[0].component, None);
}

#[test]
fn a_fault_of_an_assigned_policy_holds_the_job_and_one_of_its_own_does_not() {
    let policies = started(config());
    let broken = loaded(&policies, &guest().on_call("unreachable"));
    let answered = asked(&policies, of_admit(admit_context()), &[&broken]);
    assert_eq!((admission(&answered), because(&answered).policy.0.as_str()), (Admission::Allow, BUILT_IN));
    policies.assign(vec![name(&broken)]);
    let answered = asked(&policies, of_admit(admit_context()), &[]);
    assert_eq!(admission(&answered), Admission::Hold(None));
    let why = because(&answered);
    assert_eq!((why.policy.0.as_str(), why.code.as_str()), (broken.as_str(), "policy_fault"));
    assert!(why.note.contains("does not answer (trap); the job is held"), "{}", why.note);
    assert_eq!(sources(&answered), [(broken.as_str(), Source::PassedOver), (BUILT_IN, Source::BuiltIn)]);
    // For the other hooks the native default stands in all the same.
    assert_eq!(retry_after(&asked(&policies, of_retry(retry_context()), &[])), Some(600_000));
}

#[test]
fn what_on_fault_says_is_done() {
    let on_fault = OnFaults {
        network_cost_assigned: AdmitOnFault::BuiltIn,
        network_cost_own: AdmitOnFault::Hold,
        ..OnFaults::default()
    };
    let policies = started(PolicyConfig { on_fault, ..config() });
    let broken = loaded(&policies, &guest().on_call("unreachable"));
    assert_eq!(admission(&asked(&policies, of_admit(admit_context()), &[&broken])), Admission::Hold(None));
    policies.assign(vec![name(&broken)]);
    assert_eq!(admission(&asked(&policies, of_admit(admit_context()), &[&broken])), Admission::Allow);
}

/// It answers well until the job has failed often.
const FAILS_LATER: &str =
    "(if (i32.gt_u (i32.load offset=FAILURES (local.get $context)) (i32.const 3)) (then unreachable))";
/// Of `failures-in-row` in the context of `on-failure`: behind `call` (376), `failure` (240) and `built-in` (24).
const FAILURES_AT: usize = 640;

#[tokio::test]
async fn the_last_good_verdict_stands_in_for_the_same_job_only() {
    let on_fault = OnFaults { retry: OnFault::LastGood, ..OnFaults::default() };
    let policies = started(PolicyConfig { on_fault, ..config() });
    let later = FAILS_LATER.replace("FAILURES", &FAILURES_AT.to_string());
    let name = loaded(&policies, &guest().retry(RetryVerdict::Retry(7_000)).on_call(&later));
    let failed = |times| RetryContext { failures_in_row: times, ..retry_context() };
    let one = ask(of_retry(failed(3)), &[&name]);
    let answered = policies.answer(one.clone(), Box::new(NoFacts)).await;
    assert_eq!(sources(&answered), [(name.as_str(), Source::Policy)]);
    let again = Ask { question: of_retry(failed(4)), ..one };
    let answered = policies.answer(again, Box::new(NoFacts)).await;
    assert_eq!((retry_after(&answered), fault(&answered.decisions[0]).0), (Some(7_000), Fault::Trap));
    assert_eq!(sources(&answered), [(name.as_str(), Source::PassedOver), (BUILT_IN, Source::BuiltIn)]);
    assert!(because(&answered).note.contains("its last verdict stands"), "{}", because(&answered).note);
    let answered = policies.answer(ask(of_retry(failed(4)), &[&name]), Box::new(NoFacts)).await;
    assert_eq!(retry_after(&answered), Some(600_000));
}

/// It answers well until a moment: `now-at` stands behind `decision-id` in the context of every hook.
const FAILS_FROM: &str =
    "(if (i64.ge_u (i64.load offset=8 (local.get $context)) (i64.const MOMENT)) (then unreachable))";

#[tokio::test]
async fn the_last_good_verdict_stands_in_for_the_other_hooks_too() {
    let on_fault =
        OnFaults { network_cost_assigned: AdmitOnFault::LastGood, recovery: OnFault::LastGood, ..OnFaults::default() };
    let policies = started(PolicyConfig { on_fault, ..config() });
    let moment = admit_context().call.now_at + 1_000;
    let plan = RecoveryVerdict::Resume(Plan { changes: vec![], after: 2_000 });
    let failing = guest().admit(AdmitVerdict::AllowAtMost(1 << 20)).recovery(plan);
    let name = loaded(&policies, &failing.on_call(&FAILS_FROM.replace("MOMENT", &moment.to_string())));
    policies.assign(vec![super::name(&name)]);
    let admitted =
        |moment| AdmitContext { call: contract::Call { now_at: moment, ..admit_context().call }, ..admit_context() };
    let failed = |moment| {
        let context = recovery_context();
        RecoveryContext { call: contract::Call { now_at: moment, ..context.call.clone() }, ..context }
    };
    let of_job = |ask: &Ask, question| policies.answer(Ask { question, ..ask.clone() }, Box::new(NoFacts));

    let one = ask(of_admit(admitted(moment - 1)), &[]);
    assert_eq!(admission(&of_job(&one, one.question.clone()).await), Admission::AllowAtMost(1 << 20));
    let resumed = recovered(&of_job(&one, of_recovery(failed(moment - 1))).await);
    assert!(matches!(resumed, Recovery::Resume { after_ms: 2_000, .. }), "{resumed:?}");

    let answered = of_job(&one, of_admit(admitted(moment))).await;
    assert_eq!((admission(&answered), fault(&answered.decisions[0]).0), (Admission::AllowAtMost(1 << 20), Fault::Trap));
    // It is set aside for this job by now.
    assert_eq!(recovered(&of_job(&one, of_recovery(failed(moment))).await), resumed);

    let other = ask(of_admit(admitted(moment)), &[]);
    let answered = of_job(&other, other.question.clone()).await;
    assert_eq!(admission(&answered), Admission::Hold(None), "there is no last verdict for that job");
    assert_eq!(recovered(&of_job(&other, of_recovery(failed(moment))).await), Recovery::Leave);
}

#[test]
fn a_policy_that_says_that_it_cannot_decide_is_stood_in_for_without_a_strike() {
    let policies = started(config());
    let unsure = Guest {
        retry: Err("no idea".into()),
        admit: Err("no idea".into()),
        recovery: Err("no idea".into()),
        ..guest()
    };
    let name = loaded(&policies, &unsure);
    let next = loaded(&policies, &guest().retry(RetryVerdict::Retry(7_000)));
    policies.assign(vec![super::name(&name)]);
    let one = ask(of_admit(admit_context()), &[&next]);
    for _ in 0..5 {
        let answered = policies.answer_blocking(&one, Box::new(NoFacts));
        assert_eq!((admission(&answered), &answered.faults[..]), (Admission::Hold(None), &[][..]));
        assert_eq!(answered.decisions[0].outcome, Outcome::Declined("no idea".into()));
        assert!(
            because(&answered).note.contains("does not answer (it cannot decide); the job is held"),
            "{answered:?}"
        );
    }
    assert_eq!(recovered(&asked(&policies, of_recovery(recovery_context()), &[])), Recovery::Leave);
    let answered = asked(&policies, of_retry(retry_context()), &[&next]);
    assert_eq!((retry_after(&answered), sources(&answered)[0].1), (Some(7_000), Source::PassedOver));
    assert!(policies.quarantined(crate::clock::UnixMillis(0)).is_empty());
}

#[test]
fn a_job_loses_a_policy_that_failed_on_it_and_three_jobs_quarantine_it() {
    let policies = started(config());
    let broken = loaded(&policies, &guest().on_call("unreachable"));
    let fine = loaded(&policies, &guest().retry(RetryVerdict::Retry(7_000)));
    let of_origin = |number: u32, minutes: u64| {
        let mut context = retry_context();
        context.call.file.as_mut().unwrap().remote_name = format!("https://origin{number}.example/a");
        context.call.now_at += minutes * 60_000;
        of_retry(context)
    };
    let first = ask(of_origin(1, 0), &[&broken, &fine]);
    let answered = policies.answer_blocking(&first, Box::new(NoFacts));
    assert!(answered.faults[0].detail.contains("set aside for this job until 2026-"), "{:?}", answered.faults);
    let again = Ask { question: of_origin(1, 9), ..first.clone() };
    let answered = policies.answer_blocking(&again, Box::new(NoFacts));
    assert_eq!(sources(&answered), [(fine.as_str(), Source::Policy)]);
    for number in 2..4 {
        assert!(policies.quarantined(crate::clock::UnixMillis(0)).is_empty());
        let answered = asked(&policies, of_origin(number, 0), &[&broken]);
        let whom = if number == 3 { "for all jobs" } else { "for this job" };
        assert!(answered.faults[0].detail.contains(whom), "{:?}", answered.faults);
    }
    let answered = asked(&policies, of_origin(9, 0), &[&broken]);
    assert_eq!(sources(&answered), [(BUILT_IN, Source::BuiltIn)]);
    assert!(
        answered.decisions[0].log[0].contains("was not asked: it is set aside for all jobs until 2026-"),
        "{answered:?}"
    );
    let component = policies.loaded().into_iter().find(|loaded| loaded.name.0 == broken).unwrap().digest;
    policies.release(component);
    assert_eq!(fault(&asked(&policies, of_origin(9, 0), &[&broken]).decisions[0]).0, Fault::Trap);
}

#[tokio::test]
async fn without_policies_the_native_default_answers_at_once() {
    let policies = started(config());
    let answer = policies.answer(ask(of_admit(admit_context()), &[]), Box::new(NoFacts));
    let answered = futures_util::FutureExt::now_or_never(answer).expect("nobody is asked");
    assert_eq!((admission(&answered), sources(&answered)), (Admission::Allow, vec![(BUILT_IN, Source::BuiltIn)]));
    assert!(answered.decisions[0].engine.starts_with("native ") && answered.decisions[0].component.is_none());
    let mut fatal = retry_context();
    fatal.failure.class = FailureClass::Fatal;
    assert_eq!(retry_after(&policies.answer(ask(of_retry(fatal), &[]), Box::new(NoFacts)).await), None);
    assert_eq!(
        recovered(&policies.answer(ask(of_recovery(recovery_context()), &[]), Box::new(NoFacts)).await),
        Recovery::Leave
    );
}

#[tokio::test]
async fn questions_outlive_the_policies_that_were_asked() {
    let policies = started(config());
    let name = loaded(&policies, &guest().retry(RetryVerdict::Retry(7_000)));
    let question = || ask(of_retry(retry_context()), &[&name]);
    let many: Vec<_> = (0..600).map(|_| policies.answer(question(), Box::new(NoFacts))).collect();
    let late = policies.answer(question(), Box::new(NoFacts));
    let answered = futures_util::future::join_all(many).await;
    assert!(answered.iter().all(|answered| retry_after(answered) == Some(7_000)));
    drop(policies.answer(question(), Box::new(NoFacts)));
    drop(policies);
    assert_eq!(retry_after(&late.await), Some(600_000), "nobody is left but the native default");
}
