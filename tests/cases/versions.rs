//! Files that change while they are fetched, and validators that do not help to see it.

use std::fs;

use super::fetch::{DONE, Fetch, JOB_FAILED, RESUMABLE_BYTES, draw, for_each_at_once, restarts};
use crate::origin::{At, End, Etag, Fault, File, Gate, On, Origin, Ranges, SOON};
use crate::rig::assert_published;

const SIZE_BYTES: u64 = RESUMABLE_BYTES;

/// Cuts the first answer somewhere, and has the second version there from the second request on.
fn swapped(first: &File, second: &File, seed: u64, reason: &str, check: impl Fn(&Origin, &str) + Sync) {
    let origin = Origin::start();
    let numbers: Vec<u64> = (0..12).collect();
    for_each_at_once(&numbers, |&number| {
        let path = format!("/{number}");
        origin.file(&path, first.clone());
        origin.file_from(&path, 2, second.clone());
        origin.fault(&path, On::Nth(1), Fault::Cut(At::Body(draw(seed, number, SIZE_BYTES)), End::Fin));
        let finished = Fetch::new(&origin.url(&path)).run_to(second.content);
        assert_eq!(restarts(&finished), [reason], "{finished}");
        check(&origin, &path);
    });
}

#[test]
fn a_file_that_changed_is_wholly_the_new_version() {
    let first = File::seeded(1, SIZE_BYTES);
    swapped(&first, &File::seeded(2, SIZE_BYTES), 11, "remote_file_changed", |origin, path| {
        let log = origin.log_of(path);
        assert_eq!(log[1].if_range(), Some(first.strong_etag().as_str()));
        assert_eq!(log[1].first_byte(), log[0].body_sent, "all that came is durable");
        assert_eq!(log.len(), 2, "the whole comes with the first resume: {log:#?}");
    });
}

#[test]
fn a_file_that_changed_its_size_is_wholly_the_new_version() {
    swapped(&File::seeded(1, SIZE_BYTES), &File::seeded(2, SIZE_BYTES / 2), 12, "remote_file_changed", |_, _| {});
    swapped(&File::seeded(1, SIZE_BYTES), &File::seeded(2, SIZE_BYTES * 2), 13, "remote_file_changed", |_, _| {});
}

#[test]
fn an_origin_that_ignores_if_range_cannot_mix_versions() {
    let blind = |seed| File { ranges: Ranges::ServedBlindly, ..File::seeded(seed, SIZE_BYTES) };
    swapped(&blind(1), &blind(2), 14, "remote_file_changed", |_, _| {});
}

#[test]
fn a_weak_etag_is_never_sent_in_if_range() {
    let weak = |seed| File { etag: Etag::Weak, last_modified: None, ..File::seeded(seed, SIZE_BYTES) };
    swapped(&weak(1), &weak(2), 15, "no_validator", |origin, path| {
        assert!(origin.log_of(path).iter().all(|row| row.if_range().is_none_or(|value| !value.starts_with("W/"))));
    });
}

#[test]
fn without_a_validator_a_cut_file_begins_again() {
    let none = |seed| File::seeded(seed, SIZE_BYTES).without_validators();
    swapped(&none(1), &none(2), 16, "no_validator", |origin, path| {
        assert!(origin.log_of(path).iter().all(|row| row.range().is_none()), "{:#?}", origin.log_of(path));
    });
}

#[test]
fn a_strong_date_is_a_validator() {
    let origin = Origin::start();
    let file = File { etag: Etag::None, ..File::seeded(1, SIZE_BYTES) };
    let content = origin.file("/f", file);
    origin.fault("/f", On::Every, Fault::Set("Date", "Fri, 01 Mar 2019 00:00:00 GMT".into()));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(120_000), End::Fin));
    Fetch::new(&origin.url("/f")).run_to(content);
    assert_eq!(origin.log()[1].if_range(), Some(crate::origin::OLD_DATE));
}

#[test]
fn a_date_as_young_as_the_answer_is_no_validator() {
    let origin = Origin::start();
    let file = File { etag: Etag::None, ..File::seeded(1, SIZE_BYTES) };
    let content = origin.file("/f", file);
    origin.fault("/f", On::Every, Fault::Set("Date", crate::origin::OLD_DATE.into()));
    origin.fault("/f", On::Nth(1), Fault::Cut(At::Body(120_000), End::Fin));
    Fetch::new(&origin.url("/f")).run_to(content);
    assert_eq!(origin.log()[1].range(), None);
}

#[test]
fn an_etag_of_each_node_does_not_prevent_the_end() {
    let origin = Origin::start();
    let content = origin.file("/f", File { etag: Etag::PerRequest, ..File::seeded(1, SIZE_BYTES) });
    origin.fault("/f", On::UpTo(3), Fault::Cut(At::Body(120_000), End::Fin));
    Fetch::new(&origin.url("/f")).run_to(content);
}

#[test]
fn a_file_that_changes_at_every_request_ends_in_an_error() {
    let origin = Origin::start();
    for nth in 1..=40 {
        origin.file_from("/f", nth, File::seeded(nth, SIZE_BYTES));
    }
    origin.fault("/f", On::Every, Fault::Cut(At::Body(120_000), End::Fin));
    Fetch::new(&origin.url("/f")).run_to_error("remote_file_changed");
    assert!(origin.log().len() <= 12, "{:#?}", origin.log());
}

#[test]
fn only_the_file_that_changed_is_fetched_again() {
    let origin = Origin::start();
    let (stays, old, new) = (File::seeded(1, SIZE_BYTES), File::seeded(2, SIZE_BYTES), File::seeded(3, SIZE_BYTES));
    origin.file("/stays", stays.clone());
    origin.file("/changes", old);
    origin.file_from("/changes", 2, new.clone());
    for path in ["/stays", "/changes"] {
        origin.fault(path, On::Nth(1), Fault::Cut(At::Body(120_000), End::Fin));
    }
    let fetch =
        Fetch::listed([("/stays", "stays"), ("/changes", "changes")].map(|(path, name)| (origin.url(path), name)));
    fetch.run().expect_code(DONE);
    assert_published(fetch.scratch.file("out/stays"), stays.content);
    assert_published(fetch.scratch.file("out/changes"), new.content);
    let again: Vec<_> = origin.log_of("/stays").iter().map(|row| row.first_byte()).collect();
    assert_eq!(again, [0, 120_000], "the file that stays goes on where it was");
}

#[test]
fn nothing_has_the_local_name_before_the_end() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldBody(SIZE_BYTES - 1, gate.clone()));
    let fetch = Fetch::new(&origin.url("/f"));
    let running = fetch.command().start();
    gate.wait_reached(1, SOON);
    fetch.assert_unpublished();
    gate.open();
    running.finish(SOON).expect_code(DONE);
    assert_published(&fetch.out, content);
}

#[test]
fn an_old_file_stays_until_the_new_one_is_whole() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    origin.fault("/f", On::UpTo(1), Fault::status(404));
    let fetch = Fetch::new(&origin.url("/f")).with(["--overwrite"]);
    fs::write(&fetch.out, b"old").unwrap();
    fetch.run().expect_code(JOB_FAILED);
    assert_eq!(fs::read(&fetch.out).unwrap(), b"old");
    fetch.run().expect_code(DONE);
    assert_published(&fetch.out, content);
}
