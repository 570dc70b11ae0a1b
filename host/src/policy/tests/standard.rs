//! The embedded `standard` against the native default.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::prebuilt;
use super::*;
use crate::policy::strategies;

fn with_standard() -> &'static Policies {
    POLICIES.load(&PolicySource::Embedded("standard".into()), String::new(), Grants::default()).unwrap();
    &POLICIES
}

/// The component's row, and the native one.
fn rows(question: &Question) -> (DecisionRow, DecisionRow) {
    let policies = with_standard();
    let mut asked = policies.answer_blocking(&ask(question.clone(), &["standard"]), Box::new(Facts::default()));
    let mut native = policies.answer_blocking(&ask(question.clone(), &[]), Box::new(Facts::default()));
    assert_eq!(asked.faults, []);
    (asked.decisions.remove(0), native.decisions.remove(0))
}

fn equally_answered(question: &Question) -> Result<(), TestCaseError> {
    let (component, native) = rows(question);
    prop_assert_eq!(component.outcome, Outcome::Answered);
    prop_assert_eq!(component.answer, native.answer);
    Ok(())
}

#[test]
fn the_component_answers_10_000_contexts_as_the_native_default_does() {
    let mut runner = TestRunner::new(Config { cases: 3_334, failure_persistence: None, ..Config::default() });
    runner.run(&strategies::retry_context(), |context| equally_answered(&of_retry(context))).unwrap();
    runner.run(&strategies::admit_context(), |context| equally_answered(&of_admit(context))).unwrap();
    runner.run(&strategies::recovery_context(), |context| equally_answered(&of_recovery(context))).unwrap();
}

#[test]
fn it_describes_itself_and_its_hooks() {
    let loaded = with_standard().loaded().into_iter().find(|loaded| loaded.name == name("standard")).unwrap();
    assert_eq!(loaded.hooks, [Hook::Retry, Hook::NetworkCost, Hook::Recovery]);
    assert_eq!(loaded.digest, prebuilt::find("standard").unwrap().origin.component);
    assert_eq!(loaded.descriptor.name, "standard");
    assert_eq!(loaded.not_granted, []);
}
