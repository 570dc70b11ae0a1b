//! SIGKILL at random moments: the same command again goes on, and the file is right in the end.

use std::time::Duration;

use super::fetch::{DONE, Fetch, draw};
use crate::origin::{File, Origin};
use crate::rig::assert_published;

const MIB: u64 = 1 << 20;
const SIZE_BYTES: u64 = 256 * MIB;
const BYTES_PER_SECOND: u64 = 64 * MIB;
/// What may be fetched again for each kill: bytes since the last checkpoint, and what was on its way.
const AGAIN_BYTES_MAX: u64 = 16 * MIB + 16 * MIB;

/// How many processes are killed; more where a longer run is wanted.
fn kills() -> u64 {
    std::env::var("BACKHAUL_KILLS").map_or(20, |kills| kills.parse().expect("BACKHAUL_KILLS is a number"))
}

#[test]
fn every_kill_at_a_random_moment_is_survived() {
    let (kills, mut killed) = (kills(), 0);
    let mut round = 0;
    while killed < kills {
        round += 1;
        killed += one_file(round, killed, kills);
    }
    println!("{killed} kills over {round} files");
}

/// Fetches one file, killing until the file is there or the kills are used up. Returns the number of kills.
fn one_file(round: u64, before: u64, kills: u64) -> u64 {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(round, SIZE_BYTES));
    origin.throttle(Some(BYTES_PER_SECOND));
    let fetch = Fetch::new(&origin.url("/f")).with(["--sha256", &content.sha256()]);
    let (mut killed, mut done) = (0, false);
    while !done && before + killed < kills {
        let moment = Duration::from_millis(draw(77, before + killed, 900));
        if let Some(finished) = fetch.command().start().kill_after(moment) {
            finished.expect_code(DONE);
            done = true;
            continue;
        }
        killed += 1;
        if std::fs::exists(&fetch.out).unwrap() {
            assert_published(&fetch.out, content);
            // Without a store nothing was left to do but to exit: the kill came too late to be one.
            done = fetch.stores().is_empty();
        }
        fetch.check_stores();
    }
    if !done {
        fetch.run().expect_code(DONE);
    }
    assert_published(&fetch.out, content);
    fetch.assert_alone(&["f"]);
    let (sent, bound) = (origin.body_sent(), SIZE_BYTES + killed * AGAIN_BYTES_MAX);
    println!("{} MiB sent for {killed} kills, {} MiB allowed", sent / MIB, bound / MIB);
    assert!(sent <= bound, "{sent} bytes sent, {bound} allowed after {killed} kills");
    killed
}
