//! Random sequences against the invariants. `PROPTEST_CASES` makes them more than a normal run's.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::simulation::{Operation, Simulation, Trust};

/// Sequences of a normal run: some seconds.
const CASES: u32 = 2_000;

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    Config { cases, failure_persistence: None, ..Config::default() }
}

fn trusted() -> impl Strategy<Value = Operation> {
    let job = any::<u8>;
    prop_oneof![
        6 => (0_u8..4).prop_map(|files| Operation::Create { files }),
        16 => (job(), any::<u8>()).prop_map(|(job, what)| Operation::Command { job, what }),
        60 => (job(), any::<u8>()).prop_map(|(job, what)| Operation::Work { job, what }),
        8 => job().prop_map(|job| Operation::Chore { job }),
        3 => (job(), 0_u64..300).prop_map(|(job, bytes)| Operation::Space { job, bytes }),
        3 => any::<u8>().prop_map(|what| Operation::Network { what }),
        14 => prop_oneof![
            6 => 0_u64..100,
            6 => 0_u64..15_000,
            3 => 0_u64..200_000,
            1 => 0_u64..20_000_000,
        ].prop_map(|millis| Operation::Pass { millis }),
        1 => prop_oneof![-2_000_000_000_i64..2_000_000_000, -20_000_000_000_i64..20_000_000_000]
            .prop_map(|by| Operation::SetClock { by }),
        2 => Just(Operation::Restart),
        1 => (job(), any::<u8>()).prop_map(|(job, what)| Operation::LoseCommit { job, what }),
        1 => Just(Operation::Drain),
    ]
}

fn anything() -> impl Strategy<Value = Operation> {
    let job = any::<u8>;
    prop_oneof![
        6 => trusted(),
        2 => (job(), any::<u8>(), any::<u8>()).prop_map(|(job, attempt, what)| Operation::Absurd { job, attempt, what }),
        3 => Just(Operation::Answer),
    ]
}

fn sequence(operation: impl Strategy<Value = Operation>) -> impl Strategy<Value = Vec<(Operation, u64)>> {
    prop::collection::vec((operation, any::<u64>()), 1..150)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn honest_workers_and_random_policies_break_no_account(operations in sequence(trusted()), slots in 1_u32..4) {
        let mut simulation = Simulation::new(Trust::Full, slots);
        simulation.run(&operations);
        simulation.finish();
        simulation.replay();
    }

    #[test]
    fn absurd_reports_and_late_answers_break_no_invariant(operations in sequence(anything()), slots in 1_u32..4) {
        let mut simulation = Simulation::new(Trust::None, slots);
        simulation.run(&operations);
        simulation.replay();
    }
}
