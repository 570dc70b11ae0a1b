//! Stores that cannot be used: locked, foreign, newer, corrupt. A clear error, nothing touched, nothing lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use super::fetch::{DONE, Fetch, INTERRUPTED, JOB_FAILED, draw};
use crate::origin::{Content, Fault, File, Gate, On, Origin, SOON};
use crate::rig::{Finished, assert_published, sha256_of};

const SIZE_BYTES: u64 = 300_000;

/// A job that Ctrl-C has suspended in the middle of its file.
struct Suspended {
    origin: Origin,
    fetch: Fetch,
    content: Content,
}

impl Suspended {
    fn new() -> Self {
        let origin = Origin::start();
        let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
        let gate = Gate::shut();
        origin.fault("/f", On::Nth(1), Fault::HoldBody(100_000, gate.clone()));
        let fetch = Fetch::new(&origin.url("/f"));
        let running = fetch.command().start();
        gate.wait_reached(1, SOON);
        // What the origin has sent is not yet what was received.
        let is_received =
            |line: &str| line.contains(r#""type":"progress""#) && !line.contains(r#""bytes_transferred":0,"#);
        running.wait_stdout("bytes", SOON, is_received);
        running.signal(Signal::INT);
        running.finish(SOON).expect_code(INTERRUPTED);
        Self { origin, fetch, content }
    }

    fn database(&self) -> PathBuf {
        let found = files_below(Path::new(&self.fetch.state_dir()));
        let is_database = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
        found.into_iter().find(is_database).expect("a store is in the state directory")
    }

    /// Runs `get` and `store check` on the store as it is, and asserts that both refuse it and leave it alone.
    #[track_caller]
    fn assert_refused(&self, what: &str) -> Finished {
        let database = self.database_or_replacement();
        let before = sha256_of(&database);
        let requests = self.origin.log().len();
        let finished = self.fetch.run();
        assert!(!matches!(finished.code, None | Some(DONE | JOB_FAILED | 101)), "{what}: {finished}");
        let name = database.parent().unwrap().to_str().unwrap();
        assert!(finished.output().contains(name), "{what}: the error names the store: {finished}");
        assert_eq!(sha256_of(&database), before, "{what}: the store is left as it was: {finished}");
        assert_eq!(self.origin.log().len(), requests, "{what}: nothing is fetched: {finished}");
        self.fetch.assert_unpublished();
        finished
    }

    fn database_or_replacement(&self) -> PathBuf {
        let mut found = files_below(Path::new(&self.fetch.state_dir()));
        found.retain(|path| path.extension().is_some_and(|extension| extension == "db"));
        found.into_iter().next().expect("a store is in the state directory")
    }

    /// The store as it was: the job goes on where it stood.
    fn assert_goes_on(&self) {
        self.fetch.run_to(self.content);
        let log = self.origin.log();
        assert!(log.last().unwrap().first_byte() > 0, "the job goes on where it stood: {log:#?}");
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn ctrl_c_suspends_and_the_same_command_goes_on() {
    Suspended::new().assert_goes_on();
}

#[test]
fn a_second_process_on_one_store_is_turned_away_at_once() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    let gate = Gate::shut();
    origin.fault("/f", On::Every, Fault::HoldBody(100_000, gate.clone()));
    let fetch = Fetch::new(&origin.url("/f"));
    let first = fetch.command().start();
    gate.wait_reached(1, SOON);
    let seconds: Vec<_> = (0..8).map(|_| fetch.command().start()).collect();
    for second in seconds {
        let finished = second.finish(Duration::from_secs(10));
        assert!(!matches!(finished.code, None | Some(DONE | JOB_FAILED | 101)), "{finished}");
        assert!(finished.output().contains(&first.pid().to_string()), "the error names the process: {finished}");
        assert!(finished.elapsed < Duration::from_secs(2), "{finished}");
    }
    gate.open();
    first.finish(SOON).expect_code(DONE);
    assert_published(&fetch.out, content);
    assert_eq!(origin.log().len(), 1);
}

#[test]
fn two_jobs_at_once_do_not_disturb_each_other() {
    let origin = Origin::start();
    let gate = Gate::shut();
    let fetches: Vec<_> = ["/a", "/b"]
        .into_iter()
        .map(|path| {
            let content = origin.file(path, File::seeded(path.len() as u64, SIZE_BYTES));
            origin.fault(path, On::Every, Fault::HoldBody(100_000, gate.clone()));
            let fetch = Fetch::new(&origin.url(path));
            (fetch, content)
        })
        .collect();
    let state = fetches[0].0.state_dir();
    let running: Vec<_> = fetches.iter().map(|(fetch, _)| fetch.command_with_state(&state).start()).collect();
    gate.wait_reached(2, SOON);
    gate.open();
    for (running, (fetch, content)) in running.into_iter().zip(&fetches) {
        running.finish(SOON).expect_code(DONE);
        assert_published(&fetch.out, *content);
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_untouched() {
    let suspended = Suspended::new();
    let database = suspended.database();
    let set = |version: i64| Connection::open(&database).unwrap().pragma_update(None, "user_version", version).unwrap();
    let version: i64 =
        Connection::open(&database).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    set(version + 1);
    let finished = suspended.assert_refused("a newer store");
    assert!(finished.output().contains("newer"), "{finished}");
    set(version);
    suspended.assert_goes_on();
}

#[test]
fn a_store_of_another_program_is_refused_untouched() {
    let suspended = Suspended::new();
    let database = suspended.database();
    let kept = fs::read(&database).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", database.display())).ok();
    }
    fs::write(&database, b"no database at all, but a letter to nobody").unwrap();
    suspended.assert_refused("a text file");
    fs::remove_file(&database).unwrap();
    let foreign = Connection::open(&database).unwrap();
    foreign.execute_batch("PRAGMA application_id = 252006674; CREATE TABLE artifact (id INTEGER);").unwrap();
    drop(foreign);
    suspended.assert_refused("a database of another program");
    fs::write(&database, kept).unwrap();
    suspended.assert_goes_on();
}

#[test]
fn a_damaged_store_is_refused_untouched() {
    let suspended = Suspended::new();
    let database = suspended.database();
    let kept = fs::read(&database).unwrap();
    let size = kept.len() as u64;
    let mut zeroed = kept.clone();
    zeroed[4096.min(kept.len() / 2)..].fill(0);
    let mut head = kept.clone();
    head[16..100].fill(0xFF);
    for (what, bytes) in [
        ("a store cut in half", kept[..kept.len() / 2].to_vec()),
        ("a store cut within its header", kept[..50].to_vec()),
        ("a store whose pages are zero", zeroed),
        ("a store with a broken header", head),
    ] {
        fs::write(&database, bytes).unwrap();
        suspended.assert_refused(what);
    }
    fs::write(&database, &kept).unwrap();
    assert!(size > 0);
    suspended.assert_goes_on();
}

#[test]
fn flipped_bits_never_make_a_panic_or_a_wrong_file() {
    let suspended = Suspended::new();
    let database = suspended.database();
    let kept = fs::read(&database).unwrap();
    for flip in 0..40 {
        let mut bytes = kept.clone();
        let bit = draw(5, flip, kept.len() as u64 * 8);
        bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        fs::write(&database, &bytes).unwrap();
        for finished in suspended.fetch.check_each_store() {
            assert!(finished.code.is_some_and(|code| ![70, 101].contains(&code)), "bit {bit}: {finished}");
        }
    }
}
