//! Guests that misbehave: each has its own fault code in its row, the job goes on by the fallback, and the host lives.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;

use super::guests::reason;
use super::hostile::{self, GROW, LOOP};
use super::*;
use crate::policy::contract::{Change, Plan, Reason, RecoveryVerdict, Verdict};

/// What a call may take on a machine that does much else, beyond its own 50 ms.
const SLACK_US: u64 = 500_000;

/// Asks `on-failure`, and checks what holds for every fault: the row tells it, the native default decides, the journal hears of it.
fn faulted(policies: &Policies, guest: &Guest) -> (Fault, String) {
    let name = loaded(policies, guest);
    let answered = policies.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(Facts::default()));
    let row = &answered.decisions[0];
    let (fault, detail) = fault(row);
    assert_eq!(sources(&answered), [(name.as_str(), Source::PassedOver), (BUILT_IN, Source::BuiltIn)]);
    assert_eq!((retry_after(&answered), because(&answered).policy.0.as_str()), (Some(600_000), BUILT_IN));
    assert!(row.duration_us < 50_000 + SLACK_US, "{fault:?} took {} µs", row.duration_us);
    let [report] = &answered.faults[..] else { panic!("{:?}", answered.faults) };
    assert_eq!((report.policy.0.as_str(), report.fault), (name.as_str(), fault));
    assert!(report.detail.starts_with(detail), "{} and {detail}", report.detail);
    assert_eq!(answered.memos, []);
    (fault, detail.to_owned())
}

#[test]
fn each_guest_that_fails_is_known_by_its_fault() {
    for (what, guest, faults) in hostile::that_fail_to_retry() {
        let (fault, detail) = faulted(&POLICIES, &guest);
        assert!(faults.contains(&fault), "{what}: {fault:?}: {detail}");
    }
}

#[test]
fn a_loop_runs_out_of_fuel() {
    let (fault, detail) = faulted(&POLICIES, &guest().on_call(LOOP));
    assert_eq!(fault, Fault::FuelExhausted);
    assert!(detail.contains("10000000"), "{detail}");
}

#[test]
fn a_pointer_chase_with_fuel_to_spare_runs_out_of_time() {
    let policies = Policies::start(PolicyConfig { fuel: u64::MAX >> 1, ..config() }).unwrap();
    let (fault, detail) = faulted(&policies, &hostile::chasing());
    assert_eq!(fault, Fault::TimedOut);
    assert!(detail.contains("50 ms"), "{detail}");
}

#[test]
fn a_guest_that_aborts_for_want_of_memory_is_told_from_one_that_traps() {
    let (fault, detail) = faulted(&POLICIES, &hostile::growing());
    assert_eq!(fault, Fault::MemoryLimit);
    assert!(detail.starts_with("it wanted 2112 KiB of memory and is granted 2048"), "{detail}");
}

#[test]
fn a_guest_that_makes_do_with_the_memory_it_has_is_heard() {
    let name = loaded(&POLICIES, &guest().retry(RetryVerdict::Retry(7_000)).on_call(GROW));
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!(retry_after(&answered), Some(7_000));
    assert_eq!(answered.decisions[0].peak_memory, 2 << 20);
}

#[test]
fn a_trap_is_told_with_the_last_words_of_the_guest() {
    let words = "(call $log (i32.const 3) (i32.const 0) (i32.const 30)) unreachable";
    let items = "(data (i32.const 0) \"panicked: http://h/p?SECRET!!! \")".to_owned();
    let (fault, detail) = faulted(&POLICIES, &Guest { items, ..guest() }.on_call(words));
    assert_eq!(fault, Fault::Trap);
    assert!(detail.contains("unreachable") && detail.ends_with("error: panicked: http://h/p"), "{detail}");
    let (fault, detail) = faulted(&POLICIES, &guest().on_call("(drop (i32.div_u (i32.const 1) (i32.const 0)))"));
    assert!(fault == Fault::Trap && detail.contains("divide by zero"), "{detail}");
    let (fault, detail) = faulted(&POLICIES, &guest().on_call("(drop (i32.load (i32.const -1)))"));
    assert!(fault == Fault::Trap && detail.contains("out of bounds"), "{detail}");
}

#[test]
fn answers_that_cannot_be_read_are_rejected() {
    let unreadable = |answer: &str| {
        let (fault, detail) = faulted(&POLICIES, &guest().on_call(answer));
        assert_eq!(fault, Fault::InvalidAnswer, "{detail}");
        assert!(detail.contains("cannot be read"), "{detail}");
    };
    // A text that lies beyond the memory, an unknown case, no UTF-8, and a pointer that is not aligned.
    unreadable(
        "(i32.store (i32.const 0) (i32.const 1)) (i32.store (i32.const 8) (i32.const -16)) (i32.store (i32.const 12) (i32.const 8)) (return (i32.const 0))",
    );
    unreadable("(i32.store (i32.const 0) (i32.const 7)) (return (i32.const 0))");
    unreadable(
        "(i32.store (i32.const 0) (i32.const 1)) (i32.store (i32.const 8) (i32.const 100)) (i32.store (i32.const 12) (i32.const 1)) (i32.store (i32.const 100) (i32.const 0xff)) (return (i32.const 0))",
    );
    unreadable("(return (i32.const 3))");
}

#[test]
fn an_answer_of_millions_of_references_to_one_text_is_not_copied() {
    // Attributes: as many pairs as fit into memory, each of them the same text of a page.
    let bomb = "(local $at i32) (local.set $at (i32.const 65536))
        (loop $again
          (i32.store (local.get $at) (i32.const 0)) (i32.store offset=4 (local.get $at) (i32.const 65536))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 196608))))
        (i32.store offset=24 (i32.const 128) (i32.const 0))
        (i32.store (i32.const 188) (i32.const 65536)) (i32.store (i32.const 192) (i32.const 8192))
        (return (i32.const 128))";
    let (fault, detail) = faulted(&POLICIES, &guest().on_call(bomb));
    assert_eq!(fault, Fault::InvalidAnswer, "{detail}");
}

#[test]
fn answers_over_a_limit_are_rejected_whole() {
    let rejected = |reason: Reason, what: &str| {
        let retry = Ok(Verdict { verdict: RetryVerdict::Retry(7_000), reason });
        let (fault, detail) = faulted(&POLICIES, &Guest { retry, ..guest() });
        assert!(fault == Fault::InvalidAnswer && detail.contains(what), "{detail}");
    };
    rejected(Reason { note: "n".repeat(501), ..reason("x") }, "note");
    rejected(Reason { code: "c".repeat(65), ..reason("x") }, "code");
    rejected(Reason { memo: Some(vec![1; 4097]), ..reason("x") }, "memo");
    rejected(Reason { attributes: vec![(String::new(), String::new()); 33], ..reason("x") }, "33 attributes");
    let unknown = guest().retry(RetryVerdict::Other("sing".into(), vec![]));
    assert_eq!(
        faulted(&POLICIES, &unknown),
        (Fault::InvalidAnswer, "it gives the verdict `other` with the unknown name \"sing\"".into())
    );
}

#[test]
fn a_rejected_answer_is_kept_in_its_row_without_its_secrets() {
    let changes = vec![Change::SetHeader("Authorization".into(), "SECRET".into())];
    let name = loaded(&POLICIES, &guest().recovery(RecoveryVerdict::Resume(Plan { changes, after: 0 })));
    let answered = POLICIES.answer_blocking(&ask(of_recovery(recovery_context()), &[&name]), Box::new(NoFacts));
    let row = &answered.decisions[0];
    assert_eq!(fault(row).0, Fault::InvalidAnswer);
    assert_eq!(row.answer.as_ref().unwrap()["verdict"]["resume"]["changes"][0]["set_header"][1], "***");
    assert!(row.redacted);
    assert_eq!(recovered(&answered), Recovery::Leave);
}

#[test]
fn plans_that_are_unusable_leave_the_job_in_error() {
    for (what, guest) in hostile::that_fail_to_recover() {
        let name = loaded(&POLICIES, &guest);
        let answered = POLICIES.answer_blocking(&ask(of_recovery(recovery_context()), &[&name]), Box::new(NoFacts));
        let (fault, detail) = fault(&answered.decisions[0]);
        assert_eq!(fault, Fault::InvalidAnswer, "{what}: {detail}");
        assert_eq!(recovered(&answered), Recovery::Leave, "{what}");
        assert_eq!(answered.faults.len(), 1, "{what}");
    }
}

#[test]
fn numbers_out_of_range_are_clamped_and_are_no_fault() {
    let name = loaded(&POLICIES, &guest().retry(RetryVerdict::Retry(0)).admit(AdmitVerdict::Hold(Some(u64::MAX))));
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!((retry_after(&answered), &answered.faults[..]), (Some(200), &[][..]));
    assert_eq!(answered.decisions[0].clamps, ["retry delay 0 became 200"]);
    assert_eq!(answered.decisions[0].answer.as_ref().unwrap()["verdict"]["retry"], 0);
    let answered = POLICIES.answer_blocking(&ask(of_admit(admit_context()), &[&name]), Box::new(NoFacts));
    assert_eq!((admission(&answered), answered.faults.len()), (Admission::Hold(Some(900_000)), 0));
}

#[test]
fn a_guest_that_cannot_decide_is_no_fault() {
    let name = loaded(&POLICIES, &Guest { retry: Err("no idea, see http://h/?SECRET".into()), ..guest() });
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!(answered.decisions[0].outcome, Outcome::Declined("no idea, see http://h/".into()));
    assert_eq!((retry_after(&answered), answered.faults.len()), (Some(600_000), 0));
}

#[test]
fn the_last_lines_of_a_talkative_guest_are_kept() {
    let talk = "(local $left i32) (local.set $left (i32.const 1000))
        (loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 5))
          (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $again (local.get $left)))";
    let items = "(data (i32.const 0) \"blah \")".to_owned();
    let name = loaded(&POLICIES, &Guest { items, ..guest() }.on_call(talk));
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!(answered.decisions[0].log, vec!["info: blah "; 32]);
}

#[test]
fn the_files_that_a_guest_read_are_kept_without_their_secrets() {
    let read = "(call $files (i32.const 1) (i32.const 2) (i32.const 0)) (call $files (i32.const 5) (i32.const 9) (i32.const 0))";
    let name = loaded(&POLICIES, &guest().on_call(read));
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(Facts::default()));
    let [page, beyond] = &answered.decisions[0].files_read[..] else { panic!("{:?}", answered.decisions[0]) };
    assert_eq!((page.first, page.files.len(), beyond.files.len()), (1, 2, 0));
    assert_eq!(page.files[0].remote_name, "https://origin.example/1");
    let flood = guest().on_call("(loop $again (call $files (i32.const 0) (i32.const 1) (i32.const 0)) (br $again))");
    let (fault, detail) = faulted(&POLICIES, &flood);
    assert!(fault == Fault::Trap && detail.contains("64 pages"), "{detail}");
}

#[test]
fn a_table_cannot_grow_beyond_its_limit() {
    let grow = "(loop $again (br_if $again (i32.ne (table.grow (ref.null func) (i32.const 5000)) (i32.const -1))))
                (if (i32.gt_u (table.size) (i32.const 20000)) (then unreachable))";
    let items = "(table 1 funcref)".to_owned();
    let name = loaded(&POLICIES, &Guest { items, ..guest() }.retry(RetryVerdict::Retry(7_000)).on_call(grow));
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!(retry_after(&answered), Some(7_000));
}

#[tokio::test]
async fn the_thread_lives_through_all_of_them() {
    let policies = Policies::start(PolicyConfig { fuel: u64::MAX >> 1, ..config() }).unwrap();
    policies.load(&PolicySource::Embedded("standard".into()), String::new(), Grants::default()).unwrap();
    let bad = [
        guest().on_call(LOOP),
        guest().on_call("unreachable"),
        hostile::recursing(),
        guest().on_call("(return (i32.const 3))"),
    ];
    for guest in &bad {
        let name = loaded(&policies, guest);
        let answered = policies.answer(ask(of_retry(retry_context()), &[&name, "standard"]), Box::new(NoFacts)).await;
        assert_eq!(sources(&answered), [(name.as_str(), Source::PassedOver), ("standard", Source::Policy)]);
        assert_eq!(retry_after(&answered), Some(600_000));
    }
}

/// Counts how often policies are asked, and holds them up meanwhile.
struct Gate {
    asked: Arc<AtomicU32>,
    shut: Arc<Mutex<()>>,
}

impl JobFacts for Gate {
    fn memo(&mut self, _policy: &PolicyName, _hook: Hook) -> Vec<u8> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        drop(self.shut.lock());
        Vec::new()
    }

    fn files(&mut self, _first: u32, _count: u32) -> Vec<contract::FileView> {
        Vec::new()
    }

    fn summary(&mut self, _file: FileIndex) -> Option<FileSummary> {
        None
    }
}

#[test]
fn an_end_waits_for_one_call_and_not_for_those_that_nobody_waits_for() {
    let policies = Policies::start(config()).unwrap();
    let name = loaded(&policies, &hostile::talking());
    let (asked, shut) = (Arc::default(), Arc::default());
    let held = Mutex::lock(&shut).unwrap();
    for _ in 0..50 {
        let gate = Gate { asked: Arc::clone(&asked), shut: Arc::clone(&shut) };
        let answer = policies.answer(ask(of_retry(retry_context()), &[&name]), Box::new(gate));
        assert!(answer.now_or_never().is_none(), "the first one is held up");
    }
    drop(held);
    drop(policies);
    assert!(asked.load(Ordering::SeqCst) <= 1, "{asked:?} calls of 50 were made, for nobody");
}
