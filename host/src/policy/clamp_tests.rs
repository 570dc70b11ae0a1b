use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::job::limits::{GUEST_NUMBER_MAX, HEADER_VALUE_BYTES_MAX};
use crate::job::{CostFlags, Priority};
use crate::policy::strategies;

const FLOOR: u64 = 5_000;

fn job() -> JobView {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut job = strategies::job().new_tree(&mut runner).unwrap().current();
    (job.files_total, job.cost_flags, job.minimum_retry_delay) = (3, CostFlags::STANDARD.0, 600_000);
    job
}

fn reason() -> Reason {
    Reason { code: "code".into(), note: "note".into(), memo: None, attributes: Vec::new() }
}

fn with<V>(verdict: V) -> Verdict<V> {
    Verdict { verdict, reason: reason() }
}

fn retried(verdict: RetryVerdict) -> Result<(RetryVerdict, Vec<String>), Unusable> {
    let (job, grants) = (job(), Grants::default());
    let checked = retry(with(verdict), Bounds { retry_floor_ms: FLOOR, job: &job, grants: &grants })?;
    Ok((checked.verdict, checked.clamps))
}

fn admitted(verdict: AdmitVerdict) -> Result<(AdmitVerdict, Vec<String>), Unusable> {
    admit(with(verdict)).map(|checked| (checked.verdict, checked.clamps))
}

fn planned(changes: Vec<Change>, after: u64, grants: &Grants) -> Result<(Plan, Vec<String>), Unusable> {
    let job = job();
    let answer = with(RecoveryVerdict::Resume(Plan { changes, after }));
    let checked = recovery(answer, Bounds { retry_floor_ms: FLOOR, job: &job, grants })?;
    let RecoveryVerdict::Resume(plan) = checked.verdict else { panic!("{:?}", checked.verdict) };
    Ok((plan, checked.clamps))
}

fn changed(change: Change) -> Result<Vec<String>, Unusable> {
    let (plan, clamps) = planned(vec![change.clone()], FLOOR, &Grants::default())?;
    assert!(!clamps.is_empty() || plan.changes == [change]);
    Ok(clamps)
}

#[test]
fn retry_delays_are_clamped_and_the_clamp_is_recorded() {
    for (given, kept) in [(FLOOR, FLOOR), (FLOOR + 1, FLOOR + 1), (DELAY_MS_MAX, DELAY_MS_MAX)] {
        assert_eq!(retried(RetryVerdict::Retry(given)), Ok((RetryVerdict::Retry(kept), vec![])));
    }
    let low = (RetryVerdict::Retry(FLOOR), vec!["retry delay 4999 became 5000".to_owned()]);
    assert_eq!(retried(RetryVerdict::Retry(FLOOR - 1)), Ok(low));
    let (verdict, clamps) = retried(RetryVerdict::Retry(u64::MAX)).unwrap();
    assert_eq!((verdict, clamps.len()), (RetryVerdict::Retry(2_592_000_000), 1));
}

#[test]
fn a_job_that_wants_to_wait_longer_is_not_hurried() {
    let patient = JobView { minimum_retry_delay: DELAY_MS_MAX + 7, ..job() };
    let bounds = Bounds { retry_floor_ms: FLOOR, job: &patient, grants: &Grants::default() };
    let delay = |delay| retry(with(RetryVerdict::Retry(delay)), bounds).unwrap().verdict;
    assert_eq!(delay(DELAY_MS_MAX + 7), RetryVerdict::Retry(DELAY_MS_MAX + 7));
    assert_eq!(delay(DELAY_MS_MAX + 8), RetryVerdict::Retry(DELAY_MS_MAX + 7));
}

#[test]
fn verdicts_without_numbers_pass() {
    assert_eq!(retried(RetryVerdict::Default), Ok((RetryVerdict::Default, vec![])));
    assert_eq!(retried(RetryVerdict::GiveUp), Ok((RetryVerdict::GiveUp, vec![])));
    for verdict in [AdmitVerdict::Default, AdmitVerdict::Allow, AdmitVerdict::Hold(None)] {
        assert_eq!(admitted(verdict.clone()), Ok((verdict, vec![])));
    }
    let (job, grants) = (job(), Grants::default());
    let bounds = Bounds { retry_floor_ms: FLOOR, job: &job, grants: &grants };
    for verdict in
        [RecoveryVerdict::Default, RecoveryVerdict::Leave, RecoveryVerdict::Complete, RecoveryVerdict::Cancel]
    {
        let checked = recovery(with(verdict.clone()), bounds).unwrap();
        assert_eq!((checked.verdict, checked.reason, checked.clamps), (verdict, reason(), vec![]));
    }
}

#[test]
fn rates_and_holds_are_clamped() {
    assert_eq!(
        admitted(AdmitVerdict::AllowAtMost(0)),
        Ok((AdmitVerdict::AllowAtMost(1), vec!["rate 0 became 1".to_owned()]))
    );
    assert_eq!(admitted(AdmitVerdict::AllowAtMost(1)), Ok((AdmitVerdict::AllowAtMost(1), vec![])));
    let (verdict, clamps) = admitted(AdmitVerdict::AllowAtMost(u64::MAX)).unwrap();
    assert_eq!((verdict, clamps.len()), (AdmitVerdict::AllowAtMost(GUEST_NUMBER_MAX), 1));
    let hold = |given| admitted(AdmitVerdict::Hold(Some(given))).unwrap();
    assert_eq!(hold(1_000), (AdmitVerdict::Hold(Some(1_000)), vec![]));
    assert_eq!(hold(900_000), (AdmitVerdict::Hold(Some(900_000)), vec![]));
    assert_eq!(hold(999), (AdmitVerdict::Hold(Some(1_000)), vec!["hold 999 became 1000".to_owned()]));
    assert_eq!(hold(900_001), (AdmitVerdict::Hold(Some(900_000)), vec!["hold 900001 became 900000".to_owned()]));
}

#[test]
fn unknown_extensions_are_rejected_by_name() {
    let name = "x".repeat(100);
    let shown = "x".repeat(64);
    let said = |error: Unusable| assert!(error.ends_with(&format!("unknown name {shown:?}")), "{error}");
    said(retried(RetryVerdict::Other(name.clone(), vec![])).unwrap_err());
    said(admitted(AdmitVerdict::Other(name.clone(), vec![])).unwrap_err());
    said(changed(Change::Other(name.clone(), String::new())).unwrap_err());
    let (job, grants) = (job(), Grants::default());
    let bounds = Bounds { retry_floor_ms: FLOOR, job: &job, grants: &grants };
    said(recovery(with(RecoveryVerdict::Other(name, vec![])), bounds).unwrap_err());
}

#[test]
fn a_reason_is_held_against_every_limit() {
    let at_limit = Reason {
        code: "c".repeat(64),
        note: "n".repeat(500),
        memo: Some(vec![0; 4096]),
        attributes: vec![("k".repeat(64), "v".repeat(1024)); 32],
    };
    let given = |reason: Reason| {
        let answer = Verdict { verdict: RetryVerdict::Default, reason };
        let (job, grants) = (job(), Grants::default());
        let bounds = Bounds { retry_floor_ms: FLOOR, job: &job, grants: &grants };
        let recovered = Verdict { verdict: RecoveryVerdict::Leave, reason: answer.reason.clone() };
        let admitted = Verdict { verdict: AdmitVerdict::Allow, reason: answer.reason.clone() };
        let of_retry = retry(answer, bounds).map(drop);
        assert_eq!(of_retry, recovery(recovered, bounds).map(drop));
        assert_eq!(of_retry, admit(admitted).map(drop));
        of_retry
    };
    assert_eq!(given(at_limit.clone()), Ok(()));
    assert_eq!(given(reason()), Ok(()));
    let refused = |reason: Reason, text: &str| assert_eq!(given(reason), Err(text.to_owned()));
    refused(Reason { code: "c".repeat(65), ..at_limit.clone() }, "its code has 65 bytes; at most 64 are allowed");
    refused(Reason { note: "n".repeat(501), ..at_limit.clone() }, "its note has 501 bytes; at most 500 are allowed");
    refused(
        Reason { memo: Some(vec![0; 4097]), ..at_limit.clone() },
        "its memo has 4097 bytes; at most 4096 are allowed",
    );
    let attributes = vec![(String::new(), String::new()); 33];
    refused(Reason { attributes, ..at_limit.clone() }, "it gives 33 attributes; at most 32 are allowed");
    let attributes = vec![("k".repeat(65), String::new())];
    refused(Reason { attributes, ..at_limit.clone() }, "its attribute name has 65 bytes; at most 64 are allowed");
    let attributes = vec![(String::new(), "v".repeat(1025))];
    refused(Reason { attributes, ..at_limit }, "its attribute has 1025 bytes; at most 1024 are allowed");
}

#[test]
fn only_files_of_the_job_can_be_named() {
    for change in [|file| Change::SetRemoteName(file, "https://mirror.example/a".into()), Change::RestartFile] {
        assert_eq!(changed(change(2)), Ok(vec![]));
        assert_eq!(changed(change(3)), Err("it names the file 3; the job has 3 files, counted from 0".to_owned()));
    }
}

#[test]
fn remote_names_are_those_that_a_client_could_give() {
    for wrong in ["", "/path", "ftp://h/a", "file:///etc/passwd", &format!("http://h/{}", "a".repeat(URL_BYTES_MAX))] {
        for change in
            [Change::SetRemoteName(0, wrong.into()), Change::ReplaceRemotePrefix("http://h".into(), wrong.into())]
        {
            let error = changed(change).unwrap_err();
            assert!(error.starts_with("it gives a remote name that is refused"), "{error}");
        }
    }
    let prefix = |from: String| changed(Change::ReplaceRemotePrefix(from, "http://mirror/".into()));
    assert_eq!(prefix("h".into()), Ok(vec![]));
    assert_eq!(prefix("p".repeat(URL_BYTES_MAX)), Ok(vec![]));
    assert!(prefix(String::new()).is_err());
    assert!(prefix("p".repeat(URL_BYTES_MAX + 1)).is_err());
}

#[test]
fn a_policy_makes_a_job_dearer_only_if_it_was_granted_to() {
    let flags =
        |flags: CostFlags, grants: &Grants| planned(vec![Change::SetCostFlags(flags.0)], FLOOR, grants).map(drop);
    let none = Grants::default();
    assert_eq!(flags(CostFlags::STANDARD, &none), Ok(()));
    assert_eq!(
        flags(CostFlags::NO_SURCHARGE, &none),
        Err("it adds the cost flags 0x8 without being granted widen-cost".into())
    );
    assert_eq!(flags(CostFlags(0x1), &none), Ok(()));
    let granted = Grants { capabilities: vec![Capability::WidenCost], ..Grants::default() };
    assert_eq!(flags(CostFlags::ALWAYS, &granted), Ok(()));
    let other = Grants { capabilities: vec![Capability::SeeQuery], ..Grants::default() };
    assert!(flags(CostFlags::ALWAYS, &other).is_err());
}

#[test]
fn durations_of_changes_are_clamped() {
    assert_eq!(changed(Change::SetMinimumRetryDelay(FLOOR)), Ok(vec![]));
    assert_eq!(changed(Change::SetNoProgressTimeout(0)), Ok(vec![]));
    let both = vec![Change::SetMinimumRetryDelay(0), Change::SetNoProgressTimeout(u64::MAX)];
    let (plan, clamps) = planned(both, 0, &Grants::default()).unwrap();
    assert_eq!(plan.after, FLOOR);
    assert_eq!(plan.changes, [Change::SetMinimumRetryDelay(FLOOR), Change::SetNoProgressTimeout(DURATION_MS_MAX)]);
    assert_eq!(clamps.len(), 3);
    assert_eq!(clamps[0], "resume delay 0 became 5000");
    assert_eq!(clamps[1], "minimum retry delay 0 became 5000");
    let (plan, _) = planned(vec![Change::SetMinimumRetryDelay(u64::MAX)], u64::MAX, &Grants::default()).unwrap();
    assert_eq!((plan.changes, plan.after), (vec![Change::SetMinimumRetryDelay(DURATION_MS_MAX)], DELAY_MS_MAX));
}

#[test]
fn changes_that_are_not_supported_are_rejected_by_name() {
    let value = || "v".repeat(HEADER_VALUE_BYTES_MAX);
    for (change, name) in [
        (Change::RefreshRemoteName(0, "https://mirror.example/a".into()), "refresh-remote-name"),
        (Change::SetHeader("a".into(), value()), "set-header"),
        (Change::RemoveHeader("a".into()), "remove-header"),
        (Change::UseCredential("a".into()), "use-credential"),
        (Change::SetProxy("a".into()), "set-proxy"),
    ] {
        assert_eq!(changed(change), Err(format!("it wants the change {name}, which this host does not support yet")));
    }
    assert_eq!(changed(Change::SetPriority(Priority::Low)), Ok(vec![]));
}

#[test]
fn a_plan_is_taken_whole_or_not_at_all() {
    let good = Change::SetPriority(Priority::High);
    assert!(planned(vec![good.clone(); 64], FLOOR, &Grants::default()).is_ok());
    let error = planned(vec![good.clone(); 65], FLOOR, &Grants::default()).unwrap_err();
    assert_eq!(error, "it wants 65 changes; at most 64 are allowed");
    assert!(planned(vec![good, Change::RestartFile(9)], FLOOR, &Grants::default()).is_err());
}

proptest! {
    #[test]
    fn whatever_passes_is_within_bounds(answer in strategies::recovery_answer(), job in strategies::job(), floor in 0..100_000_u64) {
        let grants = Grants::default();
        if let Ok(checked) = recovery(answer.clone(), Bounds { retry_floor_ms: floor, job: &job, grants: &grants }) {
            prop_assert_eq!(checked.reason, answer.reason);
            if let RecoveryVerdict::Resume(plan) = &checked.verdict {
                prop_assert!((floor..=DELAY_MS_MAX).contains(&plan.after));
                for change in &plan.changes {
                    match change {
                        Change::SetRemoteName(file, url) => {
                            prop_assert!(*file < job.files_total && SafeUrl::parse(url).is_ok());
                        }
                        Change::RestartFile(file) => prop_assert!(*file < job.files_total),
                        Change::SetMinimumRetryDelay(delay) => prop_assert!((floor..=DURATION_MS_MAX).contains(delay)),
                        Change::SetNoProgressTimeout(timeout) => prop_assert!(*timeout <= DURATION_MS_MAX),
                        Change::SetCostFlags(flags) => prop_assert_eq!(flags & !job.cost_flags, 0),
                        Change::ReplaceRemotePrefix(from, to) => prop_assert!(!from.is_empty() && SafeUrl::parse(to).is_ok()),
                        Change::SetPriority(_) => {}
                        other => prop_assert!(false, "{other:?} passed"),
                    }
                }
            }
        }
    }

    #[test]
    fn checking_twice_changes_nothing(answer in strategies::retry_answer(), admission in strategies::admit_answer()) {
        let (job, grants) = (job(), Grants::default());
        let bounds = Bounds { retry_floor_ms: FLOOR, job: &job, grants: &grants };
        if let Ok(checked) = retry(answer, bounds) {
            let again = retry(Verdict { verdict: checked.verdict.clone(), reason: checked.reason.clone() }, bounds).unwrap();
            prop_assert_eq!((again.verdict, again.reason, again.clamps), (checked.verdict, checked.reason, vec![]));
        }
        if let Ok(checked) = admit(admission) {
            let again = admit(Verdict { verdict: checked.verdict.clone(), reason: checked.reason.clone() }).unwrap();
            prop_assert_eq!((again.verdict, again.reason, again.clamps), (checked.verdict, checked.reason, vec![]));
        }
    }
}
