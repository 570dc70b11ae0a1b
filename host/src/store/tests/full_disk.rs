//! A full disk: nothing half stored, the end of running work still stored, and all well again once there is space.

use super::*;
use crate::store::OnFullDisk;

#[path = "../../../../tests/rig/tmpfs.rs"]
mod tmpfs;

use tmpfs::Tmpfs;

/// Enough for the ballast with its margin.
const DISK_BYTES: u64 = 24 << 20;

/// Says that a test cannot run here, where the test command counts it.
fn skip(test: &str, why: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("BACKHAUL_NO_SKIP").is_none_or(|value| value != "1"), "{test} cannot run here: {why}");
    println!("SKIPPED {test}: {why}");
    if let Some(log) = std::env::var_os("BACKHAUL_SKIP_LOG") {
        let mut log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        log.write_all(format!("SKIPPED {test}: {why}\n").as_bytes()).unwrap();
    }
}

/// Takes all the space that is left.
fn fill(directory: &Path) -> std::path::PathBuf {
    use std::io::Write as _;
    let path = directory.join("something else");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

#[test]
fn on_a_full_disk_work_ends_and_none_begins_until_there_is_space() {
    let outer = tempfile::tempdir().unwrap();
    let disk = match Tmpfs::mount(outer.path().join("disk").to_str().unwrap(), DISK_BYTES) {
        Ok(disk) => disk,
        Err(why) => {
            return skip(
                "store::tests::full_disk::on_a_full_disk_work_ends_and_none_begins_until_there_is_space",
                &why,
            );
        }
    };
    let directory = disk.path().join("state");
    let store = open(&directory);
    let commit = |writes| wait(store.commit(Batch { writes, ..Batch::default() }));
    let job = a_job();
    commit(insert(&job, some_files(10))).unwrap();
    let before = std::fs::metadata(directory.join("ballast")).unwrap().len();

    let filler = fill(disk.path());
    // More than the log has room for.
    let other = a_job();
    let error = commit(insert(&other, some_files(20_000))).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let reader = store.reader().unwrap();
    assert_eq!(reader.job(other.id).unwrap(), None);
    assert_eq!(reader.counts().unwrap().files, 10);

    // The end of what runs is stored, many times over.
    fill(disk.path());
    for file in 0..10 {
        let text = "x".repeat(2000);
        let note = EventKind::NetworkChanged { connected: true, note: text };
        commit(vec![finished(job.id, file), journal(job.id, note)]).unwrap();
        fill(disk.path());
    }
    assert_eq!(reader.finished_unpublished_files(job.id, None, 99).unwrap().len(), 10);

    std::fs::remove_file(filler).unwrap();
    commit(insert(&other, some_files(100))).unwrap();
    assert_eq!(reader.job(other.id).unwrap(), Some(other));
    assert_eq!(std::fs::metadata(directory.join("ballast")).unwrap().len(), before);
    drop(reader);
    wait(store.close()).unwrap();
    assert_eq!(open(&directory).reader().unwrap().counts().unwrap().files, 110);
}

#[test]
fn nobody_can_have_the_ballast_used_up_by_work_that_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let disk = match Tmpfs::mount(outer.path().join("disk").to_str().unwrap(), DISK_BYTES) {
        Ok(disk) => disk,
        Err(why) => {
            return skip("store::tests::full_disk::nobody_can_have_the_ballast_used_up_by_work_that_is_refused", &why);
        }
    };
    let directory = disk.path().join("state");
    let store = open(&directory);
    let job = a_job();
    wait(store.commit(Batch { writes: insert(&job, some_files(1)), ..Batch::default() })).unwrap();
    let ballast = || std::fs::metadata(directory.join("ballast")).unwrap().len();
    let before = ballast();
    let probe = |bytes: usize| {
        let note = EventKind::NetworkChanged { connected: true, note: "x".repeat(bytes) };
        let writes = if bytes == 0 { Vec::new() } else { vec![journal(job.id, note)] };
        wait(store.commit(Batch { writes, on_full_disk: OnFullDisk::Refuse, ..Batch::default() }))
    };
    let filler = fill(disk.path());
    for _ in 0..40 {
        let work = Batch { writes: insert(&a_job(), some_files(20_000)), ..Batch::default() };
        assert!(matches!(wait(store.commit(work)).unwrap_err(), StoreError::Full { .. }));
        fill(disk.path());
        // What follows a refusal: whether there is space again, and the state of all jobs.
        for bytes in [0, 300_000] {
            assert!(matches!(probe(bytes).unwrap_err(), StoreError::Full { .. }));
        }
    }
    assert_eq!(ballast(), before);
    let note = EventKind::NetworkChanged { connected: true, note: "x".repeat(200_000) };
    wait(store.commit(Batch { writes: vec![journal(job.id, note)], ..Batch::default() })).unwrap();
    std::fs::remove_file(filler).unwrap();
    probe(300_000).unwrap();
}

#[test]
fn a_store_cannot_be_created_on_a_full_disk_and_can_once_there_is_space() {
    let outer = tempfile::tempdir().unwrap();
    let disk = match Tmpfs::mount(outer.path().join("disk").to_str().unwrap(), 1 << 20) {
        Ok(disk) => disk,
        Err(why) => {
            return skip(
                "store::tests::full_disk::a_store_cannot_be_created_on_a_full_disk_and_can_once_there_is_space",
                &why,
            );
        }
    };
    let filler = fill(disk.path());
    let error = Store::open(disk.path(), OpenMode::CreateIfMissing).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    std::fs::remove_file(filler).unwrap();
    open(disk.path());
}
