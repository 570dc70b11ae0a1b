//! Guests that misbehave, in real downloads: each is known by its fault in the journal and in its decision row, the job goes on by the
//! fallback, and the file arrives. What can be no policy is refused before anything is done.

use std::path::Path;

use backhaul::job::JobId;
use backhaul::policy::contract::RetryVerdict;
use backhaul::policy::{BUILT_IN, DecisionRow, Fault, Outcome, Source};
use backhaul::store::{OpenMode, Store};
use rustix::process::Signal;
use serde_json::Value;

use super::fetch::{Fetch, INTERRUPTED, for_each_at_once};
use crate::origin::{Fault as OfOrigin, File, Gate, On, Origin, SOON};
use crate::rig::Finished;
use crate::rig::guest::{Guest, Hook, guest, hostile};

/// A policy cannot be loaded; documented.
const POLICY_UNUSABLE: i32 = 78;
const SIZE_BYTES: u64 = 3000;
/// What a call may take beyond its own 50 ms, on a machine that does much else.
const CALL_US_MAX: u64 = 50_000 + 1_000_000;

/// `get` under this component, which is loaded as `hostile`.
fn under(component: &[u8], url: &str) -> Fetch {
    let fetch = Fetch::new(url);
    let policy = fetch.scratch.write("hostile.wasm", component);
    fetch.with(["--policy", &policy])
}

/// The decision log of the job that a run left behind.
fn decisions(fetch: &Fetch, finished: &Finished) -> Vec<DecisionRow> {
    let stores = fetch.stores();
    let [store] = &stores[..] else { panic!("one store expected, {stores:?} found: {finished}") };
    let job: JobId = serde_json::from_value(finished.json()[0]["id"].clone()).unwrap();
    let opened = Store::open(Path::new(store), OpenMode::Existing).unwrap();
    let decisions = opened.store.reader().unwrap().decisions(job, 0, 10_000).unwrap();
    decisions.into_iter().map(|(_, row)| row).collect()
}

/// The fault that the policy's row of this hook tells, with everything that must hold beside it: event and row say the same, the native
/// default decided, and the call was not long.
#[track_caller]
fn fault_of(hook: Hook, rows: &[DecisionRow], finished: &Finished) -> Fault {
    let asked = rows.iter().position(|row| row.hook == hook && row.policy.0 == "hostile");
    let asked = asked.unwrap_or_else(|| panic!("no row of the policy in {rows:#?}"));
    let (row, next) = (&rows[asked], &rows[asked + 1]);
    let Outcome::Fault { fault, detail } = &row.outcome else { panic!("no fault in {row:#?}") };
    assert_eq!(row.source, Source::PassedOver);
    assert!(row.component.is_some() && row.duration_us < CALL_US_MAX, "{row:#?}");
    assert_eq!((&next.decision, next.policy.0.as_str(), next.source), (&row.decision, BUILT_IN, Source::BuiltIn));

    let lines = finished.json();
    let events: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "policy_fault").collect();
    let event = events.iter().find(|event| event["decision"] == row.decision.to_string());
    let event = event.unwrap_or_else(|| panic!("no event of the fault: {finished}"));
    assert!(!fault.is_strike() || events.len() == 1, "after a strike it is not asked again: {finished}");
    assert_eq!((&event["policy"], &event["fault"]), (&Value::from("hostile"), &Value::from(fault.code())));
    assert!(event["note"].as_str().unwrap().starts_with(detail.as_str()), "{event} tells {detail}");
    let applied = lines.iter().find(|line| line["decision"] == event["decision"] && line["kind"] == "decision_applied");
    assert_eq!(applied.map(|line| &line["policy"]), Some(&Value::from(BUILT_IN)), "{finished}");
    *fault
}

#[test]
fn a_retry_that_a_guest_fails_to_decide_is_decided_by_the_fallback_and_the_file_arrives() {
    let origin = Origin::start();
    let all = hostile::that_fail_to_retry();
    for_each_at_once(&all, |(what, guest, faults)| {
        println!("{what}");
        let path = format!("/{what}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        // The first attempt is to be repeated; the second leaves the job in ERROR, with its store.
        origin.fault(&path, On::Nth(1), OfOrigin::status(503));
        origin.fault(&path, On::Nth(2), OfOrigin::status(404));
        let fetch = under(&guest.component(), &origin.url(&path));
        let finished = fetch.run_to_status(404);
        assert_eq!(origin.log_of(&path).len(), 2, "{what}: the fallback retries: {finished}");
        let fault = fault_of(Hook::Retry, &decisions(&fetch, &finished), &finished);
        assert!(faults.contains(&fault), "{what}: {fault:?}: {finished}");
        fetch.run_to(content);
        fetch.check_stores();
    });
}

#[test]
fn a_plan_that_cannot_be_followed_leaves_the_job_in_error_until_it_is_resumed() {
    let origin = Origin::start();
    for_each_at_once(&hostile::that_fail_to_recover(), |(what, guest)| {
        println!("{what}");
        let path = format!("/{what}");
        let content = origin.file(&path, File::seeded(1, SIZE_BYTES));
        origin.fault(&path, On::Nth(1), OfOrigin::status(404));
        let fetch = under(&guest.component(), &origin.url(&path));
        let finished = fetch.run_to_status(404);
        let rows = decisions(&fetch, &finished);
        assert_eq!(fault_of(Hook::Recovery, &rows, &finished), Fault::InvalidAnswer, "{what}: {finished}");
        assert!(!format!("{rows:?}{finished}").contains("SECRET"), "{what}: {finished}");
        fetch.run_to(content);
    });
}

#[test]
fn numbers_out_of_range_are_clamped_and_the_file_arrives() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), OfOrigin::status(503));
    let gate = Gate::shut();
    origin.fault("/f", On::Nth(2), OfOrigin::HoldHead(gate.clone()));
    let hasty = guest().only(&[Hook::Retry]).retry(RetryVerdict::Retry(0));
    let fetch = under(&hasty.component(), &origin.url("/f"));
    let running = fetch.command().start();
    gate.wait_reached(1, SOON);
    running.signal(Signal::INT);
    let finished = running.finish(SOON).expect_code(INTERRUPTED);
    let rows = decisions(&fetch, &finished);
    let row = rows.iter().find(|row| row.policy.0 == "hostile").unwrap();
    assert_eq!((&row.outcome, row.source), (&Outcome::Answered, Source::Policy));
    assert_eq!(row.clamps, ["retry delay 0 became 200"]);
    assert!(!finished.output().contains("policy_fault"), "{finished}");
    fetch.run_to(content);
}

#[test]
fn a_guest_that_needs_more_memory_than_others_works_once_it_is_granted() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::Nth(1), OfOrigin::status(503));
    let heavy = Guest { pages: 33, ..guest().only(&[Hook::Retry]) }.retry(RetryVerdict::Retry(300));
    let fetch = under(&heavy.component(), &origin.url("/f"));
    let refused = fetch.run().expect_code(POLICY_UNUSABLE);
    assert!(refused.output().contains("needs 2112 KiB of memory") && refused.output().contains("--grant memory="));
    let finished = fetch.with(["--grant", "memory=4MiB"]).run_to(content);
    let decided = finished.json().into_iter().find(|line| line["kind"] == "decision_applied");
    assert_eq!(decided.unwrap()["policy"], "hostile", "{finished}");
}

#[test]
fn the_next_policy_decides_where_one_fails() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::UpTo(2), OfOrigin::status(503));
    let fetch = under(&hostile::recursing().only(&[Hook::Retry]).component(), &origin.url("/f"));
    let finished = fetch.with(["--policy", "standard"]).run_to(content);
    let lines = finished.json();
    let faults: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "policy_fault").collect();
    assert_eq!(faults.len(), 1, "after its strike it is not asked again: {finished}");
    assert_eq!((&faults[0]["policy"], &faults[0]["fault"]), (&"hostile".into(), &"stack_overflow".into()));
    let retries = lines.iter().filter(|line| line["kind"] == "decision_applied" && line["hook"] == "retry");
    assert_eq!(retries.map(|line| &line["policy"]).collect::<Vec<_>>(), ["standard", "standard"], "{finished}");
}

#[test]
fn a_guest_that_cannot_say_what_the_network_costs_holds_the_job_which_says_so() {
    for (hostile, fault) in [
        (hostile::growing(), Fault::MemoryLimit),
        (guest().on_call("unreachable"), Fault::Trap),
        (hostile::talking(), Fault::TimedOut),
    ] {
        let origin = Origin::start();
        origin.file("/f", File::seeded(1, SIZE_BYTES));
        let fetch = under(&hostile.only(&[Hook::NetworkCost]).component(), &origin.url("/f"));
        let running = fetch.command().start();
        let line = running.wait_stdout("reason to wait", SOON, |line| line.contains("\"waiting_on\":{"));
        let waiting = serde_json::from_str::<Value>(&line).unwrap()["waiting_on"].take();
        assert_eq!(waiting["policy"], "hostile", "{line}");
        running.signal(Signal::INT);
        let finished = running.finish(SOON).expect_code(INTERRUPTED);
        assert_eq!(origin.log().len(), 0, "nothing is spent on an unknown network: {finished}");
        let rows = decisions(&fetch, &finished);
        let row = rows.iter().find(|row| row.policy.0 == "hostile").unwrap();
        assert!(matches!(&row.outcome, Outcome::Fault { fault: found, .. } if *found == fault), "{row:#?}");
        assert!(finished.output().contains(&format!("\"fault\":\"{}\"", fault.code())), "{finished}");
    }
}

#[test]
fn what_can_be_no_policy_is_refused_by_its_fault_before_anything_is_done() {
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    for_each_at_once(&hostile::that_are_refused(), |(what, component, fault)| {
        println!("{what}");
        let fetch = under(component, &origin.url("/f"));
        let finished = fetch.run().expect_code(POLICY_UNUSABLE);
        let message = finished.json().pop().unwrap()["message"].take();
        let expected = format!("the policy hostile was refused ({})", fault.code());
        assert!(message.as_str().unwrap().contains(&expected), "{what}: {finished}");
        fetch.assert_alone(&[]);
    });
    assert_eq!(origin.log().len(), 0, "nothing is fetched");
}
