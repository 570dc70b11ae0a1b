//! `strace`, attached to a process under test: it records its system calls, or makes one of them fail or be the last.

use std::collections::BTreeMap;
use std::process::Command;

use rustix::process::Signal;

use super::Running;
use crate::origin::SOON;

/// A running `strace`. It lets the process go when it is dropped.
#[derive(Debug)]
pub(crate) struct Strace(Running);

impl Strace {
    /// Attaches to all threads of a process, with expressions as `-e` takes them; none if this user may not do that here.
    pub(crate) fn attach(pid: i32, expressions: &[&str], log: &str) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--attach", &pid.to_string(), "--output", log]);
        for expression in expressions {
            command.args(["-e", expression]);
        }
        let running = Running::start(command);
        running.try_wait_stderr(SOON, |line| line.contains(" attached"))?;
        Some(Self(running))
    }

    /// Detaches, and returns the most calls of each kind that one thread made.
    pub(crate) fn finish(self, log: &str) -> BTreeMap<String, usize> {
        self.0.signal(Signal::INT);
        self.0.finish(SOON);
        let mut calls: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            // `PID name(arguments) = result`; the end of a call that was told in two lines begins with `<...`.
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
            if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                *calls.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((name, _), count) in calls {
            let most: &mut usize = most.entry(name).or_default();
            *most = count.max(*most);
        }
        most
    }
}
