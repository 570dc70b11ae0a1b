//! `faults.toml` against the tests of this binary: a row that names a test which is gone proves nothing.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;

use crate::origin::SOON;
use crate::rig::Running;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    number: u32,
    title: String,
    tests: Vec<String>,
}

fn catalogue() -> Catalogue {
    toml::from_str(include_str!("../faults.toml")).unwrap()
}

/// The names of all tests in this binary, as its own harness lists them.
fn tests_here() -> BTreeSet<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--list", "--format", "terse"]);
    let listed = Running::start(command).finish(SOON).expect_code(0);
    listed.stdout.iter().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn every_named_test_is_in_this_binary() {
    let here = tests_here();
    assert!(here.contains("cases::catalogue::every_named_test_is_in_this_binary"), "{here:?}");
    for row in catalogue().row {
        for test in &row.tests {
            assert!(here.contains(test), "row {} ({}) names {test}, which is no test", row.number, row.title);
        }
    }
}

#[test]
fn every_row_has_a_title_and_a_test() {
    let rows = catalogue().row;
    assert!(rows.is_sorted_by(|a, b| a.number < b.number));
    for row in rows {
        assert!(!row.title.is_empty() && !row.tests.is_empty(), "row {} is empty", row.number);
    }
}
