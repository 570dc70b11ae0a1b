//! Stores of older versions.

use rusqlite::Connection;
use rusqlite_migration::M;

use super::*;
use crate::store::Found;
use crate::store::schema::Schema;

/// What this program knows, and one version more.
fn next_schema() -> Schema {
    Schema::of(vec![
        M::up(include_str!("../sql/0001_initial.sql")),
        M::up(include_str!("../sql/0002_host_api.sql")),
        M::up(include_str!("../sql/0003_job_model.sql")),
        M::up("CREATE TABLE added (number INTEGER NOT NULL) STRICT"),
    ])
}

#[test]
fn an_older_store_is_copied_and_then_migrated() {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, some_files(3))).unwrap();
    let Fixture { directory, store } = fixture;
    let id = store.id();
    drop(store);
    // Of a copy that a crash cut short.
    std::fs::write(directory.path().join("backup-v3.db.new"), "half").unwrap();

    let open = || Store::open_with_schema(directory.path(), OpenMode::Existing, None, &next_schema()).unwrap();
    let opened = open();
    let backup = directory.path().canonicalize().unwrap().join("backup-v3.db");
    assert_eq!(opened.found, Found::Older { from: 3, backup: backup.clone() });
    assert_eq!(opened.store.id(), id);
    assert_eq!(opened.store.reader().unwrap().jobs_not_final().unwrap(), std::slice::from_ref(&job));
    drop(opened);
    assert_eq!(open().found, Found::Store);

    // The older program leaves the newer store alone, and takes the copy.
    let error = Store::open(directory.path(), OpenMode::Existing).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3, .. }), "{error}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(backup, elsewhere.path().join("store.db")).unwrap();
    let opened = Store::open(elsewhere.path(), OpenMode::Existing).unwrap();
    assert_eq!(opened.store.reader().unwrap().jobs_not_final().unwrap(), [job]);
}

#[test]
fn a_migration_that_fails_leaves_the_older_store() {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, some_files(3))).unwrap();
    let Fixture { directory, store } = fixture;
    drop(store);
    let schema = Schema::of(vec![
        M::up(include_str!("../sql/0001_initial.sql")),
        M::up(include_str!("../sql/0002_host_api.sql")),
        M::up(include_str!("../sql/0003_job_model.sql")),
        M::up("DELETE FROM file; CREATE TABLE job (number INTEGER NOT NULL) STRICT"),
    ]);
    let error = Store::open_with_schema(directory.path(), OpenMode::Existing, None, &schema).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Io { operation: "migrate", .. }), "{error:?}");
    let store = open(directory.path());
    assert_eq!(store.reader().unwrap().counts().unwrap().files, 3);
}

#[test]
fn every_setting_of_a_connection_reads_back() {
    let fixture = Fixture::new();
    let connection = Connection::open(fixture.directory.path().join("store.db")).unwrap();
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    // Those that are of the file, not of the connection. The others are read back when it is opened, or it is not.
    assert_eq!(pragma("application_id"), 0x4248_554C);
    assert_eq!(pragma("user_version"), 3);
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
