//! Several policies, one verdict: the pure part.
//!
//! The operator's policies come first, then the job's. For retry and recovery the first that has something to say decides. For network cost
//! all are asked, and the most restrictive holds, the built-in default among them: a job can make itself dearer, never cheaper.

use super::clamp::Checked;
use super::contract::{AdmitVerdict, Change, Plan, RecoveryVerdict, RetryVerdict};
use crate::job::{FileIndex, FileSummary};
use crate::scheduler::{Admission, Recovery};

/// What a policy's turn came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn<V> {
    /// `default`, or it could not decide, or it failed and the built-in default stands in.
    NothingSaid,
    /// Its own verdict.
    Said(Checked<V>),
    /// What stands in for it, as the hook's `on_fault` says.
    StoodIn(Checked<V>),
}

impl<V> Turn<V> {
    pub(super) const fn checked(&self) -> Option<&Checked<V>> {
        match self {
            Self::NothingSaid => None,
            Self::Said(checked) | Self::StoodIn(checked) => Some(checked),
        }
    }
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Winner {
    /// The policy of this position in the chain.
    Policy(usize),
    /// The built-in default.
    BuiltIn,
}

/// Whether a verdict leaves the matter to the next in the chain.
pub(super) trait Verdicts {
    /// It is `default`.
    fn is_default(&self) -> bool;
}

impl Verdicts for RetryVerdict {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl Verdicts for AdmitVerdict {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl Verdicts for RecoveryVerdict {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

/// The first that has something to say.
pub(super) fn first_to_decide<V>(turns: &[Turn<V>]) -> Winner {
    let first = turns.iter().position(|turn| turn.checked().is_some());
    first.map_or(Winner::BuiltIn, Winner::Policy)
}

/// The most restrictive admission, and who wants it: of equals the first, the built-in default last.
pub(super) fn most_restrictive(turns: &[Turn<AdmitVerdict>], built_in: &AdmitVerdict) -> (Admission, Winner) {
    let said = turns.iter().enumerate().filter_map(|(position, turn)| {
        let admission = admission(&turn.checked()?.verdict)?;
        Some((admission, Winner::Policy(position)))
    });
    let of_host = (admission(built_in).unwrap_or(Admission::Allow), Winner::BuiltIn);
    let (strictest, winner) = said.chain([of_host]).reduce(stricter).expect("the built-in default is among them");
    if !matches!(strictest, Admission::Hold(_)) {
        return (strictest, winner);
    }
    // Whoever wants to look again first is asked first: the others are then asked as well, and hold on.
    let all = turns.iter().filter_map(|turn| turn.checked().map(|checked| &checked.verdict)).chain([built_in]);
    let soonest = all.filter_map(|verdict| if let AdmitVerdict::Hold(time) = verdict { *time } else { None }).min();
    (Admission::Hold(soonest), winner)
}

fn admission(verdict: &AdmitVerdict) -> Option<Admission> {
    match verdict {
        AdmitVerdict::Allow => Some(Admission::Allow),
        AdmitVerdict::AllowAtMost(rate) => Some(Admission::AllowAtMost(*rate)),
        AdmitVerdict::Hold(time) => Some(Admission::Hold(*time)),
        AdmitVerdict::Default | AdmitVerdict::Other(..) => None,
    }
}

fn stricter(one: (Admission, Winner), other: (Admission, Winner)) -> (Admission, Winner) {
    let is_stricter = match (&other.0, &one.0) {
        (Admission::Hold(_), Admission::Hold(_)) => false,
        (Admission::Hold(_), _) => true,
        (Admission::AllowAtMost(new), Admission::AllowAtMost(old)) => new < old,
        (Admission::AllowAtMost(_), Admission::Allow) => true,
        (Admission::AllowAtMost(_), Admission::Hold(_)) | (Admission::Allow, _) => false,
    };
    if is_stricter { other } else { one }
}

/// Milliseconds until the next attempt, or none: recovery is asked.
pub(super) const fn retry_after(verdict: &RetryVerdict) -> Option<u64> {
    match verdict {
        RetryVerdict::Retry(delay) => Some(*delay),
        // The built-in default says `default` of fatal errors only; `other` never passes the checks.
        RetryVerdict::GiveUp | RetryVerdict::Default | RetryVerdict::Other(..) => None,
    }
}

/// What becomes of the job in error. `summary` tells a file as the store has it.
pub(super) fn recovery(
    verdict: RecoveryVerdict,
    mut summary: impl FnMut(FileIndex) -> Option<FileSummary>,
) -> Recovery {
    match verdict {
        RecoveryVerdict::Resume(Plan { changes, after }) => {
            let restarted = changes.iter().filter_map(|change| match change {
                Change::RestartFile(file) => Some(FileIndex(*file)),
                _ => None,
            });
            let files = restarted.filter_map(&mut summary).collect();
            Recovery::Resume { changes, after_ms: after, files }
        }
        RecoveryVerdict::Complete => Recovery::Complete,
        RecoveryVerdict::Cancel => Recovery::Cancel,
        RecoveryVerdict::Leave | RecoveryVerdict::Default | RecoveryVerdict::Other(..) => Recovery::Leave,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::SafeUrl;
    use crate::policy::contract::Reason;
    use crate::policy::strategies;

    fn said<V>(verdict: V) -> Turn<V> {
        Turn::Said(Checked { verdict, reason: Reason::default(), clamps: vec![] })
    }

    fn stood_in<V>(verdict: V) -> Turn<V> {
        Turn::StoodIn(Checked { verdict, reason: Reason::default(), clamps: vec![] })
    }

    #[test]
    fn the_first_that_has_something_to_say_decides() {
        let give_up = || said(RetryVerdict::GiveUp);
        assert_eq!(first_to_decide::<RetryVerdict>(&[]), Winner::BuiltIn);
        assert_eq!(first_to_decide::<RetryVerdict>(&[Turn::NothingSaid]), Winner::BuiltIn);
        assert_eq!(first_to_decide(&[Turn::NothingSaid, give_up(), give_up()]), Winner::Policy(1));
        assert_eq!(first_to_decide(&[stood_in(RetryVerdict::GiveUp), give_up()]), Winner::Policy(0));
    }

    #[test]
    fn the_most_restrictive_admission_holds() {
        use AdmitVerdict::{Allow, AllowAtMost, Hold};
        let of = |turns: &[Turn<AdmitVerdict>], built_in: AdmitVerdict| most_restrictive(turns, &built_in);
        assert_eq!(of(&[], Allow), (Admission::Allow, Winner::BuiltIn));
        assert_eq!(of(&[said(Allow)], Allow), (Admission::Allow, Winner::Policy(0)));
        assert_eq!(of(&[said(Allow)], Hold(None)), (Admission::Hold(None), Winner::BuiltIn));
        assert_eq!(of(&[Turn::NothingSaid], AllowAtMost(5)), (Admission::AllowAtMost(5), Winner::BuiltIn));
        let limits = [said(Allow), said(AllowAtMost(9)), said(AllowAtMost(3)), said(AllowAtMost(3))];
        assert_eq!(of(&limits, Allow), (Admission::AllowAtMost(3), Winner::Policy(2)));
        assert_eq!(
            of(&[said(AllowAtMost(9)), stood_in(Hold(None))], Allow),
            (Admission::Hold(None), Winner::Policy(1))
        );
    }

    #[test]
    fn whoever_looks_again_first_sets_the_time() {
        use AdmitVerdict::{Allow, Hold};
        let holds = [said(Hold(None)), said(Hold(Some(7_000))), said(Hold(Some(9_000)))];
        assert_eq!(most_restrictive(&holds, &Allow), (Admission::Hold(Some(7_000)), Winner::Policy(0)));
        assert_eq!(
            most_restrictive(&holds[..1], &Hold(Some(5_000))),
            (Admission::Hold(Some(5_000)), Winner::Policy(0))
        );
    }

    #[test]
    fn verdicts_become_what_the_core_applies() {
        assert_eq!(retry_after(&RetryVerdict::Retry(5)), Some(5));
        assert_eq!(retry_after(&RetryVerdict::GiveUp), None);
        assert_eq!(retry_after(&RetryVerdict::Default), None);
        let of = |verdict| recovery(verdict, |_| None);
        assert_eq!(of(RecoveryVerdict::Complete), Recovery::Complete);
        assert_eq!(of(RecoveryVerdict::Cancel), Recovery::Cancel);
        assert_eq!(of(RecoveryVerdict::Leave), Recovery::Leave);
        assert_eq!(of(RecoveryVerdict::Default), Recovery::Leave);
    }

    #[test]
    fn a_plan_comes_with_the_files_that_it_begins_again() {
        let file = |index| FileSummary {
            index,
            remote_name: SafeUrl::parse("http://h/a").unwrap(),
            local_name: "a".into(),
            bytes_total: None,
            durable: 7,
            finished: false,
            restarts: 0,
        };
        let changes = vec![Change::RestartFile(3), Change::SetCostFlags(1), Change::RestartFile(1)];
        let plan = RecoveryVerdict::Resume(Plan { changes: changes.clone(), after: 5 });
        let files = vec![file(FileIndex(3)), file(FileIndex(1))];
        assert_eq!(recovery(plan, |index| Some(file(index))), Recovery::Resume { changes, after_ms: 5, files });
    }

    #[test]
    fn only_default_leaves_the_matter_to_the_next() {
        assert!(RetryVerdict::Default.is_default() && !RetryVerdict::GiveUp.is_default());
        assert!(AdmitVerdict::Default.is_default() && !AdmitVerdict::Allow.is_default());
        assert!(RecoveryVerdict::Default.is_default() && !RecoveryVerdict::Leave.is_default());
    }

    fn rank(admission: Admission) -> (u8, u64) {
        match admission {
            Admission::Allow => (2, 0),
            Admission::AllowAtMost(rate) => (1, rate),
            Admission::Hold(_) => (0, 0),
        }
    }

    proptest! {
        #[test]
        fn no_policy_makes_a_job_cheaper(
            verdicts in proptest::collection::vec(strategies::admit_verdict(), 0..5), built_in in strategies::admit_verdict(), one_more in strategies::admit_verdict(),
        ) {
            let mut turns: Vec<_> = verdicts.into_iter().map(said).collect();
            let (before, _) = most_restrictive(&turns, &built_in);
            prop_assert!(rank(before) <= rank(admission(&built_in).unwrap_or(Admission::Allow)));
            turns.push(said(one_more));
            let (after, _) = most_restrictive(&turns, &built_in);
            prop_assert!(rank(after) <= rank(before));
        }

        #[test]
        fn the_winner_wants_what_holds(verdicts in proptest::collection::vec(strategies::admit_verdict(), 0..5), built_in in strategies::admit_verdict()) {
            let turns: Vec<_> = verdicts.into_iter().map(said).collect();
            let (holds, winner) = most_restrictive(&turns, &built_in);
            let wanted = match winner {
                Winner::Policy(position) => admission(&turns[position].checked().unwrap().verdict).unwrap(),
                Winner::BuiltIn => admission(&built_in).unwrap_or(Admission::Allow),
            };
            prop_assert_eq!(rank(holds), rank(wanted));
        }
    }
}
