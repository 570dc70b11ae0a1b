//! What was acknowledged is there, whatever fails and whenever the process is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::store::{CommitFault, FailCommit};

/// Commits tried with a fault at each of them in turn.
const COMMITS: u64 = 8;

fn failing(directory: &Path, at: u64, fault: CommitFault) -> Store {
    let fail = FailCommit(Arc::new(move |commit| (commit == at).then_some(fault)));
    Store::open_failing(directory, OpenMode::CreateIfMissing, Some(fail)).unwrap().store
}

#[test]
fn whichever_commit_fails_nothing_acknowledged_is_lost_and_nothing_else_is_there() {
    for fault in [CommitFault::Full, CommitFault::Io] {
        for failing_commit in 1..=COMMITS {
            let directory = tempfile::tempdir().unwrap();
            let store = failing(directory.path(), failing_commit, fault);
            let mut acknowledged = Vec::new();
            for number in 1..=COMMITS {
                let job = a_job();
                let mut writes = insert(&job, some_files(3));
                writes.push(finished(job.id, 1));
                match wait(store.commit(Batch { writes, ..Batch::default() })) {
                    Ok(committed) => acknowledged.push((job, committed.events)),
                    Err(error) => {
                        assert_eq!(number, failing_commit);
                        assert_eq!(matches!(error, StoreError::Full { .. }), fault == CommitFault::Full, "{error}");
                    }
                }
            }
            drop(store);

            let store = open(directory.path());
            let reader = store.reader().unwrap();
            let jobs: Vec<_> = acknowledged.iter().map(|(job, _)| job.clone()).collect();
            assert_eq!(reader.jobs_not_final().unwrap(), jobs);
            let events: Vec<_> = acknowledged.into_iter().flat_map(|(_, events)| events).collect();
            assert_eq!(reader.events(0, 100, None).unwrap(), events);
            assert!(events.iter().map(|(number, _)| *number).eq(1..COMMITS));
            for job in jobs {
                assert_eq!(reader.files(job.id, FileIndex(0), 9).unwrap().len(), 3);
                assert_eq!(reader.finished_unpublished_files(job.id, None, 9).unwrap().len(), 1);
            }
        }
    }
}

/// The directory in which [`the_victim`] works; without it that test has nothing to do.
const VICTIM_DIRECTORY: &str = "BACKHAUL_TEST_VICTIM_DIRECTORY";

/// Run in a process of its own by the test below: commits until it is killed, and says what was acknowledged.
#[test]
fn the_victim() {
    let Some(directory) = std::env::var_os(VICTIM_DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    loop {
        let job = a_job();
        let writes = insert(&job, some_files(20));
        wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
        println!("acknowledged {}", job.id);
    }
}

#[test]
fn whenever_it_is_killed_what_was_acknowledged_is_there_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<JobId> = Vec::new();
    for round in 0..10 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::the_victim", "--nocapture"])
            .env(VICTIM_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut lines =
            lines.filter_map(|line| line.strip_prefix("acknowledged ").map(|id| id.parse::<JobId>().unwrap()));
        // From at once to some dozens of commits: enough for checkpoints of the log.
        acknowledged.extend(lines.by_ref().take(round * 7));
        let in_use = Store::open(directory.path(), OpenMode::Existing);
        if round > 0 {
            assert!(
                matches!(in_use, Err(StoreError::InUse { pid: Some(pid), .. }) if pid == victim.id()),
                "{in_use:?}"
            );
        }
        drop(in_use);
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it said before it was killed counts as well.
        acknowledged.extend(lines);

        let store = open(directory.path());
        let reader = store.reader().unwrap();
        let jobs = reader.jobs_not_final().unwrap();
        assert!(acknowledged.iter().all(|id| jobs.iter().any(|job| job.id == *id)));
        // Whole: a job without its files or its event would be half a commit.
        let counts = reader.counts().unwrap();
        assert_eq!((counts.files, counts.events), (counts.jobs * 20, counts.jobs));
        assert!(
            counts.jobs - acknowledged.len() as u64 <= round as u64 + 1,
            "one a round at most was not acknowledged"
        );
    }
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    for leftover in ["store.db.new", "store.db.new-wal", "store.db.new-shm", "store.db.new-journal"] {
        std::fs::write(directory.path().join(leftover), "half of something").unwrap();
    }
    let store = open(directory.path());
    assert_eq!(store.reader().unwrap().jobs_not_final().unwrap(), []);
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".new")), "{names:?}");
}
