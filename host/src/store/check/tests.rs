//! A sound store is clean; each kind of disagreement is found and named.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::access::{Scopes, TokenDigest, TokenRecord};
use crate::clock::UnixMillis;
use crate::job::{
    Event, EventKind, FileIndex, FileResponse, FileSpec, FileVerdict, FileVersion, Integrity, Intent, JobId, JobRecord,
    JobState, LocalName, PartIdentity, RequestHeaders, part_file_name,
};
use crate::notify::tests::a_webhook;
use crate::notify::{Delivery, DeliveryState, NotifyWrite};
use crate::scheduler::{FileChange, FileProgress, Write};
use crate::store::tests::{a_job, wait};
use crate::store::{Batch, Store};

/// A store with a job of four files: one with 10 of 20 bytes, one finished, one not begun, one finished and without a byte.
struct Sound {
    outer: TempDir,
    job: JobRecord,
    store: StoreId,
}

impl Sound {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("files")).unwrap();
        let store = Store::open(&outer.path().join("state"), OpenMode::CreateIfMissing).unwrap().store;
        let job = JobRecord {
            state: JobState::Queued,
            files_total: 4,
            files_transferred: 2,
            files_sized: 3,
            bytes_sized: 50,
            bytes_transferred: 40,
            progress_bytes: 45,
            ..a_job()
        };
        let sound = Self { outer, store: store.id(), job };
        let specs = (0..4).map(|file| FileSpec {
            remote_name: "http://127.0.0.1/x".parse().unwrap(),
            local_name: LocalName::new(sound.local(file)).unwrap(),
            digest: None,
            ranges: Vec::new(),
        });
        let id = sound.job.id;
        let suspended = JobRecord { state: JobState::Suspended, files_total: 4, ..a_job() };
        let mut writes = vec![
            Write::InsertJob { job: Box::new(JobRecord { id, ..suspended }), headers: RequestHeaders::default() },
            Write::InsertFiles { job: id, first: FileIndex(0), files: specs.collect() },
            journal(id, EventKind::JobCreated),
            state(id, JobState::Suspended, JobState::Queued),
            Write::UpdateJob(Box::new(sound.job.clone())),
            Write::Response { job: id, file: FileIndex(1), response: Box::new(response()) },
            // Events of other jobs and of the host change nothing.
            Write::Journal(Event {
                at: UnixMillis(1),
                job: None,
                kind: EventKind::NetworkChanged { connected: true, note: String::new() },
            }),
        ];
        writes.push(sound.update(0, 10, 20, FileChange::Progress));
        for (file, bytes) in [(1, 30), (3, 0)] {
            let finish = |progress| FileChange::Finished { progress, integrity: Integrity::LengthOnly };
            writes.push(sound.update(file, bytes, bytes, finish));
            writes.push(transferred(id, file, bytes));
        }
        wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
        wait(store.close()).unwrap();
        sound
    }

    fn state_directory(&self) -> PathBuf {
        self.outer.path().join("state")
    }

    fn local(&self, file: u32) -> PathBuf {
        self.outer.path().join(format!("files/{file}"))
    }

    fn part(&self, file: u32) -> PathBuf {
        self.outer.path().join("files").join(part_file_name(self.store, self.job.id, FileIndex(file)))
    }

    /// Makes the part file, and the write that tells of it.
    fn update(&self, file: u32, durable: u64, size: u64, change: impl FnOnce(FileProgress) -> FileChange) -> Write {
        let part = File::create(self.part(file)).unwrap();
        part.set_len(durable).unwrap();
        let metadata = part.metadata().unwrap();
        let version = FileVersion { etag: Some("\"v\"".into()), bytes_total: Some(size), ..FileVersion::default() };
        let part = Some(PartIdentity { device: metadata.dev(), inode: metadata.ino() });
        let (file, remote_name) = (FileIndex(file), Box::new("http://127.0.0.1/x".parse().unwrap()));
        let progress =
            FileProgress { file, remote_name, durable, version, bytes_total: Some(size), part, hash_state: None };
        Write::UpdateFile { job: self.job.id, file, change: change(progress) }
    }

    fn write(&self, writes: Vec<Write>) {
        let store = Store::open(&self.state_directory(), OpenMode::Existing).unwrap().store;
        wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
        wait(store.close()).unwrap();
    }

    fn sql(&self, sql: &str) {
        let connection = Connection::open(self.state_directory().join("store.db")).unwrap();
        connection.execute_batch("PRAGMA ignore_check_constraints = 1").unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn check(&self) -> CheckReport {
        check(&self.state_directory()).unwrap()
    }
}

/// Without the restart that belongs to it.
fn invalid(job: JobId, file: u32) -> Write {
    Write::UpdateFile { job, file: FileIndex(file), change: FileChange::Validated(FileVerdict::Invalid) }
}

fn response() -> FileResponse {
    FileResponse { at: UnixMillis(2), status: 200, fields: Vec::new(), truncated: false }
}

fn journal(job: JobId, kind: EventKind) -> Write {
    Write::Journal(Event { at: UnixMillis(2), job: Some(job), kind })
}

fn state(job: JobId, from: JobState, to: JobState) -> Write {
    journal(job, EventKind::StateChanged { from, to })
}

fn transferred(job: JobId, file: u32, bytes: u64) -> Write {
    journal(job, EventKind::FileTransferred { file: FileIndex(file), bytes, integrity: Integrity::LengthOnly })
}

#[test]
fn a_sound_store_is_clean_and_stays_as_it_is() {
    let sound = Sound::new();
    let database = sound.state_directory().join("store.db");
    let before = fs::read(&database).unwrap();
    let report = sound.check();
    assert_eq!(report.findings, []);
    assert!(report.is_clean());
    assert_eq!(report.store, sound.store);
    assert_eq!(report.counts, Counts { jobs: 1, files: 4, events: 5, decisions: 0 });
    assert_eq!(fs::read(&database).unwrap(), before);
    assert!(!database.with_extension("db-wal").exists());
}

#[test]
fn the_log_of_a_killed_process_is_read_and_left() {
    let sound = Sound::new();
    let store = Store::open(&sound.state_directory(), OpenMode::Existing).unwrap().store;
    let job = JobRecord { files_total: 5, ..sound.job.clone() };
    let writes = vec![Write::UpdateJob(Box::new(job))];
    wait(store.commit(Batch { writes, ..Batch::default() })).unwrap();
    let killed = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(sound.state_directory().join(name), killed.path().join(name)).unwrap();
    }
    let log = fs::read(killed.path().join("store.db-wal")).unwrap();
    let report = check(killed.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].problem.contains("files_total 5"), "{report:?}");
    assert_eq!(fs::read(killed.path().join("store.db-wal")).unwrap(), log);
    assert!(!killed.path().join("store.db-shm").exists());
}

#[test]
fn webhooks_are_looked_at_and_their_secrets_are_in_no_finding() {
    let sound = Sound::new();
    let webhook = a_webhook();
    let delivery = Delivery {
        webhook: webhook.id,
        number: 3,
        event: Event { at: UnixMillis(1), job: Some(sound.job.id), kind: EventKind::JobTransferred },
        state: DeliveryState::Failed,
        attempts: 1,
        due_at: UnixMillis(1),
        delay_ms: 1,
        attempted_at: Some(UnixMillis(1)),
        status: None,
        detail: None,
    };
    let writes =
        vec![NotifyWrite::Insert { webhook: Box::new(webhook), cursor: 5 }, NotifyWrite::Put(Box::new(delivery))];
    let store = Store::open(&sound.state_directory(), OpenMode::Existing).unwrap().store;
    wait(store.notify(writes)).unwrap();
    wait(store.close()).unwrap();
    assert_eq!(sound.check().findings, []);
    for (sql, undo, named) in [
        (
            "UPDATE webhook SET url = 'https://x/?word'",
            "UPDATE webhook SET url = 'https://user:word@receiver.example/events?signed'",
            "table webhook, id",
        ),
        ("UPDATE webhook_cursor SET number = 6", "UPDATE webhook_cursor SET number = 5", "table webhook_cursor"),
        (
            "UPDATE webhook_delivery SET attempts = 2",
            "UPDATE webhook_delivery SET attempts = 1",
            "table webhook_delivery",
        ),
        ("DELETE FROM webhook_cursor", "", "it has no cursor"),
    ] {
        sound.sql(sql);
        let findings = sound.check().findings;
        assert_eq!(findings.len(), 1, "{sql}: {findings:?}");
        let text = format!("{:?}", findings[0]);
        assert!(text.contains(named), "{sql}: {text}");
        assert!(!text.contains("word") && !text.contains("[7, 7"), "{text}");
        sound.sql(undo);
    }
}

#[test]
fn a_store_in_use_and_one_that_is_not_there_are_said_to_be() {
    let sound = Sound::new();
    let _store = Store::open(&sound.state_directory(), OpenMode::Existing).unwrap();
    assert!(matches!(check(&sound.state_directory()), Err(StoreError::InUse { .. })));
    assert!(matches!(check(&sound.outer.path().join("files")), Err(StoreError::Missing { .. })));
}

/// Each change of a sound store with a part of what is found then: one finding, or the one named first.
#[test]
fn every_disagreement_is_found() {
    type Change = fn(&Sound);
    let cases: &[(Change, &str, &str)] = &[
        (|s| fs::remove_file(s.part(0)).unwrap(), "file 0", "is not there"),
        (|s| set_len(&s.part(0), 9), "file 0", "has 9 bytes where at least 10 bytes should be"),
        (|s| exchange(&s.part(0)), "file 0", "exchanged or copied"),
        (|s| replace_by_directory(&s.part(0)), "file 0", "something else lies there"),
        (|s| fs::remove_file(s.part(1)).unwrap(), "file 1", "is not there"),
        (|s| set_len(&s.part(1), 31), "file 1", "has 31 bytes where 30 bytes should be"),
        (|s| s.write(vec![Write::MarkPublished(s.job.id)]), "file 1", "it was published as"),
        (|s| s.write(vec![header(s, |job| job.files_total = 5)]), "job", "files_total 5, and its files make 4"),
        (|s| s.write(vec![header(s, |job| job.files_transferred = 1)]), "job", "files_transferred 1"),
        (|s| s.write(vec![header(s, |job| job.files_sized = 4)]), "job", "files_sized 4"),
        (|s| s.write(vec![header(s, |job| job.bytes_sized = 51)]), "job", "bytes_sized 51"),
        (|s| s.write(vec![header(s, |job| job.bytes_transferred = 41)]), "job", "bytes_transferred 41"),
        (|s| s.write(vec![header(s, |job| job.progress_bytes = 39)]), "job", "progress_bytes 39"),
        (|s| s.write(vec![header(s, |job| job.state = JobState::Suspended)]), "job", "its events end with queued"),
        (
            |s| s.write(vec![state(s.job.id, JobState::Error, JobState::Queued)]),
            "event 6",
            "from error, which it was not",
        ),
        (|s| s.write(change_state(s, JobState::Error)), "job", "has no error"),
        (|s| s.write(change_state(s, JobState::Transferred)), "job", "says that it is transferred"),
        (|s| s.write(change_state(s, JobState::Cancelled)), "job", "that it was cancelled"),
        (|s| s.write(vec![journal(s.job.id, acknowledged())]), "job", "that it was completed"),
        (|s| s.write(vec![transferred(s.job.id, 1, 30)]), "file 1", "it is finished, and 2 events"),
        (|s| s.write(vec![transferred(s.job.id, 0, 30)]), "file 0", "it is not finished, and 1 events"),
        (|s| s.sql("DELETE FROM event WHERE number = 4"), "event 5", "the one before it is 3"),
        (|s| s.sql("UPDATE event SET at = 7 WHERE number = 4"), "event 4", "column checksum"),
        (|s| s.sql("UPDATE job SET attempt = attempt + 1"), "database", "table job, id"),
        (|s| s.sql("UPDATE file_response SET headers = replace(headers, '200', '404')"), "job", "table file_response"),
        (|s| s.write(vec![invalid(s.job.id, 1)]), "file 1", "a client has found it invalid"),
        (|s| s.sql("UPDATE file SET durable = 9 WHERE file_index = 0"), "job", "table file, job_id"),
        (|s| s.sql("UPDATE file SET stage = 3 WHERE file_index = 0"), "job", "table file, job_id"),
    ];
    for (change, subject, problem) in cases {
        let sound = Sound::new();
        change(&sound);
        let report = sound.check();
        let found = |finding: &Finding| finding.subject.contains(subject) && finding.problem.contains(problem);
        assert!(report.findings.iter().any(found), "{subject}: {problem}: {report:#?}");
        assert!(report.findings.iter().all(|finding| !finding.advice.is_empty()));
    }
}

#[test]
fn what_was_begun_and_not_finished_is_no_disagreement() {
    // Files that were renamed before the publication was known to be through.
    let sound = Sound::new();
    fs::rename(sound.part(1), sound.local(1)).unwrap();
    assert_eq!(sound.check().findings, []);
    // The parts of what is not finished are deleted at completion, and all of them at cancelling.
    sound.write(vec![header(&sound, |job| job.intent = Some(Intent::Complete))]);
    fs::remove_file(sound.part(0)).unwrap();
    assert_eq!(sound.check().findings, []);
    sound.write(vec![header(&sound, |job| job.intent = Some(Intent::Cancel))]);
    fs::remove_file(sound.local(1)).unwrap();
    assert_eq!(sound.check().findings, []);
    // More bytes than are known to be durable are cut off at the next start.
    let sound = Sound::new();
    set_len(&sound.part(0), 11);
    assert_eq!(sound.check().findings, []);
}

#[test]
fn a_token_whose_scopes_were_changed_is_found() {
    let sound = Sound::new();
    let token = TokenRecord {
        name: "ci".parse().unwrap(),
        scopes: Scopes::from_bits(1).unwrap(),
        digest: TokenDigest([3; 32]),
        created_at: UnixMillis(1),
        expires_at: None,
    };
    sound.write(vec![Write::InsertToken(token)]);
    assert_eq!(sound.check().findings, []);
    let connection = Connection::open(sound.state_directory().join("store.db")).unwrap();
    connection.execute("UPDATE token SET scopes = 8", []).unwrap();
    drop(connection);
    let findings = sound.check().findings;
    assert!(findings.len() == 1 && findings[0].subject == "a token", "{findings:?}");
    let store = Store::open(&sound.state_directory(), OpenMode::Existing).unwrap().store;
    assert!(store.reader().unwrap().tokens().is_err(), "what it allows is not known");
}

#[test]
fn findings_beyond_a_limit_are_counted() {
    let mut findings = Findings::default();
    for _ in 0..FINDINGS_MAX + 2 {
        findings.add("subject", "problem", REPORT);
    }
    assert_eq!((findings.kept.len(), findings.more), (FINDINGS_MAX, 2));
}

fn header(sound: &Sound, change: impl FnOnce(&mut JobRecord)) -> Write {
    let mut job = sound.job.clone();
    change(&mut job);
    Write::UpdateJob(Box::new(job))
}

fn change_state(sound: &Sound, to: JobState) -> Vec<Write> {
    vec![state(sound.job.id, sound.job.state, to), header(sound, |job| job.state = to)]
}

const fn acknowledged() -> EventKind {
    EventKind::Acknowledged { files_published: 0, partial: false }
}

fn set_len(path: &Path, bytes: u64) {
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn exchange(path: &Path) {
    let other = path.with_extension("other");
    fs::copy(path, &other).unwrap();
    fs::rename(other, path).unwrap();
}

fn replace_by_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}
