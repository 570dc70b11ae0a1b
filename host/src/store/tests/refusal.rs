//! What is no usable store is refused, each kind with its own error, and left as it was to the byte.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::symlink;

use rusqlite::Connection;

use super::*;

/// Every file of a directory with its bytes, but for the lock file, which whoever looks writes its own name into.
fn contents(directory: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_name() != "lock");
    files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap_or_default())).collect()
}

/// Opens what must be refused, in every way that there is, and says why it was.
fn refused(directory: &Path) -> StoreError {
    let before = contents(directory);
    let errors =
        [OpenMode::Existing, OpenMode::CreateIfMissing].map(|mode| Store::open(directory, mode).map(drop).unwrap_err());
    assert_eq!(contents(directory), before, "a refused store was changed");
    let [first, second] = errors;
    assert_eq!(first.to_string(), second.to_string());
    assert!(first.to_string().contains(directory.to_str().unwrap()), "{first}");
    second
}

/// A sound store with some rows, closed.
fn sound() -> TempDir {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, some_files(200))).unwrap();
    fixture.commit((0..200).map(|file| finished(job.id, file)).collect()).unwrap();
    let Fixture { directory, store } = fixture;
    wait(store.close()).unwrap();
    let _ = std::fs::remove_file(directory.path().join("ballast"));
    // Without free pages: what lies in them belongs to nobody, and is no damage.
    Connection::open(database(&directory)).unwrap().execute_batch("VACUUM").unwrap();
    directory
}

fn database(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("store.db")
}

#[test]
fn files_that_are_no_store_are_named_for_what_they_are() {
    let other_database = {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        std::fs::read(path).unwrap()
    };
    let cases: [(&[u8], &str); 5] = [
        (b"", "an empty file"),
        (b"x", "no SQLite database"),
        (&[0xA5; 10_000], "no SQLite database"),
        (&[0; 10_000], "no SQLite database"),
        (&other_database, "a database of another program (application id 0x00000000)"),
    ];
    for (bytes, wanted) in cases {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(database(&directory), bytes).unwrap();
        match refused(directory.path()) {
            StoreError::Foreign { found, .. } => assert_eq!(found, wanted),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn what_is_no_ordinary_file_is_neither_followed_nor_waited_for() {
    let sound = sound();
    type Make = Box<dyn Fn(&Path)>;
    let target = database(&sound);
    let cases: [(Make, &str); 3] = [
        (Box::new(move |path| symlink(&target, path).unwrap()), "a symbolic link"),
        (Box::new(|path| std::fs::create_dir(path).unwrap()), "no ordinary file"),
        (
            Box::new(|path| {
                let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            }),
            "no ordinary file",
        ),
    ];
    for (make, wanted) in cases {
        let directory = tempfile::tempdir().unwrap();
        make(&database(&directory));
        // Not by `refused`: reading a pipe to compare it would wait.
        match Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap_err() {
            StoreError::Foreign { found, .. } => assert_eq!(found, wanted),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_newer_store_is_left_to_the_newer_program() {
    let directory = sound();
    let connection = Connection::open(database(&directory)).unwrap();
    connection.execute_batch("PRAGMA user_version = 7").unwrap();
    connection.close().unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, StoreError::Newer { found: 7, known: 3, .. }), "{error}");
}

#[test]
fn a_newer_store_whose_version_is_only_in_its_log_is_left_too() {
    let directory = sound();
    let connection = Connection::open(database(&directory)).unwrap();
    connection.execute_batch("PRAGMA user_version = 7").unwrap();
    // As after a kill: the log was not brought into the database.
    let killed = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(directory.path().join(name), killed.path().join(name)).unwrap();
    }
    let error = refused(killed.path());
    assert!(matches!(error, StoreError::Newer { found: 7, known: 3, .. }), "{error}");
}

#[test]
fn a_truncated_store_is_damaged_wherever_it_ends() {
    let directory = sound();
    let whole = std::fs::read(database(&directory)).unwrap();
    let pages = whole.len() / 4096;
    let ends = (0..pages).map(|page| page * 4096).chain([1, 15, 16, 99, 100, 101, 5000, whole.len() - 1]);
    for end in ends.filter(|end| *end > 0) {
        std::fs::write(database(&directory), &whole[..end]).unwrap();
        let error = refused(directory.path());
        assert!(matches!(error, StoreError::Damaged { .. }), "{end}: {error}");
    }
}

#[test]
fn a_store_with_a_broken_page_is_damaged() {
    let directory = sound();
    let whole = std::fs::read(database(&directory)).unwrap();
    for page in 1..whole.len() / 4096 {
        let mut broken = whole.clone();
        broken[page * 4096..page * 4096 + 64].fill(0xEE);
        std::fs::write(database(&directory), &broken).unwrap();
        let error = refused(directory.path());
        assert!(matches!(error, StoreError::Damaged { .. }), "{page}: {error}");
    }
}

#[test]
fn a_store_whose_database_is_gone_is_not_replaced_by_a_new_one() {
    let directory = sound();
    std::fs::rename(database(&directory), directory.path().join("store.db-wal")).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn files_of_no_job_are_damage() {
    let directory = sound();
    let connection = Connection::open(database(&directory)).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = 0; DELETE FROM job").unwrap();
    connection.close().unwrap();
    let error = refused(directory.path());
    assert!(error.to_string().contains("200 rows belong to no job"), "{error}");
}

#[test]
fn a_store_in_use_names_who_uses_it_and_stays_as_it_is() {
    let fixture = Fixture::new();
    fixture.commit(insert(&a_job(), some_files(1))).unwrap();
    let error = refused(fixture.directory.path());
    let StoreError::InUse { pid, .. } = error else { panic!("{error}") };
    assert_eq!(pid, Some(std::process::id()));
    // A reader keeps it in use after the last handle.
    let reader = fixture.store.reader().unwrap();
    drop(fixture.store);
    assert!(matches!(Store::open(fixture.directory.path(), OpenMode::Existing), Err(StoreError::InUse { .. })));
    drop(reader);
    Store::open(fixture.directory.path(), OpenMode::Existing).unwrap();
}

#[test]
fn of_many_that_open_a_store_at_once_one_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let all_tried = std::sync::Barrier::new(20);
        let won = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let opened = Store::open(directory.path(), OpenMode::CreateIfMissing);
                    all_tried.wait();
                    match opened {
                        Ok(_) => drop(won.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                        Err(StoreError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
                        Err(other) => panic!("{other}"),
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 1);
    }
}

#[test]
fn no_store_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let error = Store::open(directory.path(), OpenMode::Existing).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    fixture.commit(insert(&a_job(), some_files(1))).unwrap();
    for entry in std::fs::read_dir(fixture.directory.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

/// Bits that change on the disk are noticed at the opening or at the reading, or are where nothing lies. Never is a row read that was not
/// written. One whose key has changed may hide others from a search, as SQLite trusts the order of its keys: `store check` does not.
#[test]
fn no_changed_bit_gives_a_row_that_was_not_written() {
    let directory = sound();
    let path = database(&directory);
    let whole = std::fs::read(&path).unwrap();
    let read = |store: &Store| -> Result<_, StoreError> {
        let reader = store.reader()?;
        let jobs = reader.jobs_not_final()?;
        let files = jobs.iter().map(|job| reader.files(job.id, FileIndex(0), 1000)).collect::<Result<Vec<_>, _>>()?;
        Ok((store.id(), jobs, files))
    };
    let opened = Store::open(directory.path(), OpenMode::Existing).unwrap();
    let written = read(&opened.store).unwrap();
    drop(opened);
    let (mut at_opening, mut at_reading, mut hidden) = (0, 0, 0);
    // A multiplicative generator: every run flips the same bits.
    let mut seed = 0x5DEE_CE66_u64;
    for _ in 0..300 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = usize::try_from(seed >> 16).unwrap() % (whole.len() * 8);
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &flipped).unwrap();
        match Store::open(directory.path(), OpenMode::Existing) {
            Err(_) => at_opening += 1,
            Ok(opened) => match read(&opened.store) {
                Ok(found) if found == written => {}
                Ok((id, jobs, files)) => {
                    let (all_jobs, all_files) = (&written.1, written.2.concat());
                    assert_eq!(id, written.0, "bit {bit}");
                    assert!(jobs.iter().all(|job| all_jobs.contains(job)), "bit {bit}");
                    assert!(files.concat().iter().all(|file| all_files.contains(file)), "bit {bit}");
                    drop(opened);
                    assert!(!crate::store::check(directory.path()).unwrap().is_clean(), "bit {bit}");
                    hidden += 1;
                }
                Err(StoreError::Row { .. } | StoreError::Damaged { .. }) => at_reading += 1,
                Err(other) => panic!("bit {bit}: {other}"),
            },
        }
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.path().join(format!("store.db{suffix}")));
        }
    }
    println!(
        "of 300 changed bits {at_opening} were noticed at the opening, {at_reading} at the reading and {hidden} by the check"
    );
    assert!(at_reading > 0);
}
