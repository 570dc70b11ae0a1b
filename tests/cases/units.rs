//! The units for systemd, without a systemd that runs: what they say, and that it is understood.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::rig::{Running, Scratch, skip};

const OF_A_USER: &str = include_str!("../../host/systemd/backhaul.service");
const OF_THE_SYSTEM: &str = include_str!("../../host/systemd/system/backhaul.service");

/// `systemd-analyze` reads a few dozen files.
const LIMIT: Duration = Duration::from_secs(60);

/// What a user's manager cannot do without a user namespace, which many systems forbid. The first five drop capabilities: where that
/// is not possible, the service ends with 218/CAPABILITIES before it is begun.
const NOT_FOR_USERS: [&str; 9] = [
    "CapabilityBoundingSet",
    "PrivateDevices",
    "ProtectClock",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "PrivateUsers",
    "ProtectHostname",
    // A file for /tmp would be written to another /tmp.
    "PrivateTmp",
    // It is removed when the unit ends: with the socket of a daemon that was started by hand, which the unit ends for.
    "RuntimeDirectory",
];

/// The values of a directive, in order.
fn values<'a>(unit: &'a str, directive: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(directive)?.strip_prefix('=')).collect()
}

#[test]
fn the_unit_of_a_user_asks_its_manager_for_nothing_that_it_cannot_do() {
    for directive in NOT_FOR_USERS {
        assert_eq!(values(OF_A_USER, directive), [""; 0], "{directive}");
    }
    // The jobs are those of a daemon by hand.
    assert_eq!(values(OF_A_USER, "ExecStart"), ["backhaul serve"]);
    assert_eq!(values(OF_A_USER, "StateDirectory"), [""; 0]);
}

#[test]
fn no_unit_breaks_policies_or_tries_again_what_cannot_help() {
    for unit in [OF_A_USER, OF_THE_SYSTEM] {
        assert_eq!(values(unit, "MemoryDenyWriteExecute"), [""; 0], "policies are compiled");
        assert_eq!(values(unit, "PrivateTmp"), [""; 0], "jobs write where they say, or say that they cannot");
        assert_eq!(values(unit, "RestartPreventExitStatus"), ["2 65 75 76 78"]);
        assert_eq!(values(unit, "Type"), ["notify"]);
        let stop: u64 = values(unit, "TimeoutStopSec")[0].parse().unwrap();
        assert!(stop > 5, "a drain may take 5 s");
    }
}

#[test]
fn systemd_understands_the_units() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success()) {
        skip!("systemd-analyze is not installed");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_backhaul"));
    for (unit, manager) in [(OF_A_USER, "--user"), (OF_THE_SYSTEM, "--system")] {
        let scratch = Scratch::new();
        let here = format!("ExecStart={} ", program.display());
        let file = scratch.write("backhaul.service", unit.replace("ExecStart=backhaul ", &here).as_bytes());
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", manager, &file]).env("XDG_RUNTIME_DIR", scratch.dir("run"));
        let finished = Running::start(verify).finish(LIMIT).expect_code(0);
        assert!(!finished.output().contains("backhaul.service"), "{manager}: {finished}");
    }
}
