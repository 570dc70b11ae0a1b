//! The embedded components against ones that were just built from their sources: whatever compiler made them, they decide alike.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::{build, prebuilt};
use super::*;
use crate::policy::strategies;

/// Of each hook.
const CASES: u32 = 500;

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() })
}

fn settings_of(name: &str) -> String {
    match name {
        "mirrors" => super::mirrors::SETTINGS.to_owned(),
        _ => r#"{"backoff_factor": 1.7, "maximum_delay_seconds": 90000, "jitter": 0.3}"#.to_owned(),
    }
}

#[test]
fn rebuilt_components_decide_as_the_embedded_ones_do() {
    // Where there is no toolchain, the end-to-end test that builds them is skipped, and says why.
    let Ok(toolchain) = build::Toolchain::find() else { return };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let policies = Policies::start(config()).unwrap();
    for name in prebuilt::names() {
        let request = build::BuildRequest::new(repository.join("guest-policy").join(name));
        let request = request.target_dir(repository.join("target/guests")).locked().quiet();
        let component = request.build(&toolchain).unwrap_or_else(|e| panic!("{e}")).component;
        let rebuilt = format!("{name}-rebuilt");
        let source = PolicySource::Bytes { name: rebuilt.clone(), component };
        policies.load(&source, settings_of(name), Grants::default()).unwrap();
        policies.load(&PolicySource::Embedded(name.to_owned()), settings_of(name), Grants::default()).unwrap();
        let answer = |question: &Question, policy: &str| {
            let answered = policies.answer_blocking(&ask(question.clone(), &[policy]), Box::new(Facts::default()));
            answered.decisions.into_iter().next().and_then(|row| row.answer)
        };
        let alike = |question: Question| {
            let embedded = answer(&question, name);
            prop_assert!(embedded.is_some() || name != "standard", "it offers every hook");
            prop_assert_eq!(answer(&question, &rebuilt), embedded);
            Ok(())
        };
        runner().run(&strategies::retry_context(), |context| alike(of_retry(context))).unwrap();
        runner().run(&strategies::admit_context(), |context| alike(of_admit(context))).unwrap();
        runner().run(&strategies::recovery_context(), |context| alike(of_recovery(context))).unwrap();
    }
}
