//! What an application gets from the daemon through its socket, beside aria2 where it does the same.
//!
//! `cargo bench --bench api [-- PART]`, PART one of `polls`, `creation`, `events`, `jobs`, `whole`; all without it. Figures for people; nothing
//! depends on them. Needs `aria2c` and `wrk` (Debian: `apt-get install aria2 wrk`); without them their figures are left out, and that is
//! said. Each rate is the best of several, because a machine that does something else as well only makes them worse. The directory is
//! below TMPDIR: a file system in memory has no cost of syncing, and so no meaning for the creations.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

mod aria2;
mod creation;
mod daemon;
mod events;
mod jobs;
mod load;
mod polls;
mod whole;

use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How often a rate is measured.
const RUNS: usize = 3;

/// Measures and prints; the directory is its own.
type Part = fn(&Path);

fn main() {
    // More connections than the usual limit has files. Children inherit it.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let parts: [(&str, Part); 5] = [
        ("polls", polls::run),
        ("creation", creation::run),
        ("events", events::run),
        ("jobs", jobs::run),
        ("whole", whole::run),
    ];
    for (name, run) in parts {
        if words.is_empty() || words.iter().any(|word| word == name) {
            let load = std::fs::read_to_string("/proc/loadavg").unwrap();
            println!("{name} (load of the machine before: {})", load.split(' ').next().unwrap());
            let directory = tempfile::tempdir().unwrap();
            run(directory.path());
        }
    }
}

/// The best of several measurements of each figure, taken in turn, so that what else the machine does meets all of them.
fn best<const FIGURES: usize>(runs: usize, mut measure: impl FnMut() -> [f64; FIGURES]) -> [f64; FIGURES] {
    let mut best = [0.0; FIGURES];
    for _ in 0..runs {
        let measured = measure();
        best.iter_mut().zip(measured).for_each(|(best, measured)| *best = measured.max(*best));
    }
    best
}

fn print_rate(rate: f64, what: &str) {
    println!("{rate:9.0} /s  {what}");
}

/// Prints the median, the 99th percentile and the largest.
fn print_times(mut times: Vec<Duration>, what: &str) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{:9.3} ms  p99, {:.3} median, {:.3} largest: {what}", at(99), at(50), at(100));
}
