//! No space: for the data, for the store. A wait that ends by itself, never a wrong file, never a lost job.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::fetch::{DONE, Fetch, INTERRUPTED};
use crate::origin::{Fault, File, Framing, Gate, On, Origin, SOON};
use crate::rig::{Running, Tmpfs, assert_published, names_in, skip};

const MIB: u64 = 1 << 20;

/// How long a job may take to notice that there is space again.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);

/// A fetch whose target lies on a tmpfs of so many bytes.
fn on_small_disk(url: &str, size_bytes: u64) -> Result<(Fetch, Tmpfs), String> {
    let fetch = Fetch::new(url);
    let tmpfs = Tmpfs::mount(&fetch.scratch.file("out"), size_bytes)?;
    Ok((fetch, tmpfs))
}

fn wait_disk_full(running: &Running) {
    running.wait_stdout("disk_full", SOON, |line| line.contains("disk_full"));
}

#[test]
fn a_file_that_does_not_fit_waits_for_space() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 2 * MIB));
    let (fetch, tmpfs) = match on_small_disk(&origin.url("/f"), 3 * MIB) {
        Ok(mounted) => mounted,
        Err(why) => skip!("{why}"),
    };
    let filler = tmpfs.path().join("filler");
    fs::write(&filler, vec![0; usize::try_from(2 * MIB).unwrap()]).unwrap();
    let running = fetch.command().start();
    wait_disk_full(&running);
    running.wait_stdout("how much space is needed", SOON, |line| line.contains("waits until 2097152 bytes are free"));
    fetch.assert_unpublished();
    fs::remove_file(&filler).unwrap();
    running.finish(NOTICE_LIMIT).expect_code(DONE);
    assert_published(&fetch.out, content);
    assert_eq!(names_in(tmpfs.path()), ["f"]);
    assert!(origin.log().len() <= 4, "a wait is no busy loop: {:#?}", origin.log());
}

#[test]
fn a_file_of_unknown_size_that_does_not_fit_waits_for_space() {
    let origin = Origin::start();
    let content =
        origin.file("/f", File { framing: Framing::Chunked { chunk_bytes: 100_000 }, ..File::seeded(1, 4 * MIB) });
    let (fetch, tmpfs) = match on_small_disk(&origin.url("/f"), 3 * MIB) {
        Ok(mounted) => mounted,
        Err(why) => skip!("{why}"),
    };
    let running = fetch.command().start();
    wait_disk_full(&running);
    fetch.assert_unpublished();
    tmpfs.resize(8 * MIB);
    running.finish(NOTICE_LIMIT).expect_code(DONE);
    assert_published(&fetch.out, content);
}

#[test]
fn a_disk_that_is_full_again_and_again_is_outlasted() {
    let origin = Origin::start();
    let content =
        origin.file("/f", File { framing: Framing::Chunked { chunk_bytes: 100_000 }, ..File::seeded(1, 6 * MIB) });
    let (fetch, tmpfs) = match on_small_disk(&origin.url("/f"), 2 * MIB) {
        Ok(mounted) => mounted,
        Err(why) => skip!("{why}"),
    };
    // Ctrl-C in the middle of the wait, more space, and the same command again.
    for size_mib in [4, 8] {
        let running = fetch.command().start();
        wait_disk_full(&running);
        running.signal(Signal::INT);
        running.finish(SOON).expect_code(INTERRUPTED);
        fetch.assert_unpublished();
        tmpfs.resize(size_mib * MIB);
    }
    fetch.run().expect_code(DONE);
    assert_published(&fetch.out, content);
}

#[test]
fn a_store_without_space_is_a_clear_error_and_loses_nothing() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, MIB));
    let fetch = Fetch::new(&origin.url("/f"));
    let tmpfs = match Tmpfs::mount(&fetch.state_dir(), MIB) {
        Ok(tmpfs) => tmpfs,
        Err(why) => skip!("{why}"),
    };
    tmpfs.fill();
    let finished = fetch.run();
    assert!(finished.code.is_some_and(|code| code != DONE), "{finished}");
    assert!(finished.output().contains(&fetch.state_dir()), "the error names the store: {finished}");
    fetch.assert_unpublished();
    tmpfs.resize(64 * MIB);
    fetch.run_to(content);
}

#[test]
fn a_store_that_fills_up_in_the_middle_loses_nothing() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 24 * MIB));
    let fetch = Fetch::new(&origin.url("/f"));
    let tmpfs = match Tmpfs::mount(&fetch.state_dir(), 2 * MIB) {
        Ok(tmpfs) => tmpfs,
        Err(why) => skip!("{why}"),
    };
    let gate = Gate::shut();
    origin.fault("/f", On::Nth(1), Fault::HoldBody(MIB, gate.clone()));
    let running = fetch.command().start();
    gate.wait_reached(1, SOON);
    tmpfs.fill();
    gate.open();
    origin.wait("the end of the body", SOON, |rows| rows[0].end.is_some());
    tmpfs.resize(64 * MIB);
    let finished = running.finish(Duration::from_secs(60));
    if finished.code != Some(DONE) {
        fetch.assert_unpublished();
        fetch.run().expect_code(DONE);
    }
    assert_published(&fetch.out, content);
}
