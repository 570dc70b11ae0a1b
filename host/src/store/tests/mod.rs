//! Tests of the store as a whole, each on a directory of its own.

mod crash;
mod full_disk;
mod golden;
mod migration;
mod notify;
mod prune;
mod refusal;
mod use_of_it;

use std::path::Path;

use tempfile::TempDir;

use super::{Batch, Committed, OpenMode, Store, StoreError};
use crate::clock::UnixMillis;
use crate::job::{
    AttemptNumber, Direction, Event, EventKind, FileIndex, FileResponse, FileSpec, FileVersion, Integrity, JobId,
    JobRecord, JobState, LocalName, PartIdentity, Properties, RequestHeaders, ResponseField,
};
use crate::scheduler::{FileChange, FileProgress, Write};

/// A store in a new directory.
struct Fixture {
    directory: TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        Self { directory, store }
    }

    fn commit(&self, writes: Vec<Write>) -> Result<Committed, StoreError> {
        wait(self.store.commit(Batch { writes, ..Batch::default() }))
    }
}

fn open(directory: &Path) -> Store {
    Store::open(directory, OpenMode::CreateIfMissing).unwrap().store
}

/// The store needs no runtime: its thread answers.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn a_job() -> JobRecord {
    JobRecord {
        id: JobId::generate(),
        owner: "uid:1000".into(),
        display_name: "a job".into(),
        description: String::new(),
        direction: Direction::Download,
        state: JobState::Suspended,
        properties: Properties::default(),
        labels: Vec::new(),
        policies: Vec::new(),
        created_at: UnixMillis(1),
        modified_at: UnixMillis(1),
        started_at: None,
        transferred_at: None,
        last_progress_at: None,
        files_total: 0,
        files_transferred: 0,
        bytes_sized: 0,
        files_sized: 0,
        bytes_transferred: 0,
        progress_bytes: 0,
        error: None,
        error_count: 0,
        failures_in_row: 0,
        recoveries: 0,
        last_recovery_at: None,
        attempt: AttemptNumber(0),
        decisions: 0,
        history: Vec::new(),
        retry: None,
        no_progress_ms: 0,
        active_ms: 0,
        intent: None,
        resumed: false,
        headers_write_only: false,
        active_at: UnixMillis(1),
    }
}

fn some_files(count: u32) -> Vec<FileSpec> {
    let file = |i| FileSpec {
        remote_name: format!("http://127.0.0.1:8080/files/number-{i}.bin").parse().unwrap(),
        local_name: LocalName::new(format!("/nowhere/downloads/number-{i}.bin").into()).unwrap(),
        digest: None,
        ranges: Vec::new(),
    };
    (0..count).map(file).collect()
}

fn insert(job: &JobRecord, files: Vec<FileSpec>) -> Vec<Write> {
    vec![
        Write::InsertJob { job: Box::new(job.clone()), headers: RequestHeaders::default() },
        Write::InsertFiles { job: job.id, first: FileIndex(0), files },
        journal(job.id, EventKind::JobCreated),
    ]
}

fn journal(job: JobId, kind: EventKind) -> Write {
    Write::Journal(Event { at: UnixMillis(2), job: Some(job), kind })
}

/// The head of an answer of such a status.
fn response(job: JobId, file: u32, status: u16) -> Write {
    let field = |name: &str, value: Option<&str>| ResponseField { name: name.into(), value: value.map(str::to_owned) };
    let fields = vec![field("etag", Some("\"v1\"")), field("set-cookie", None)];
    let response = Box::new(FileResponse { at: UnixMillis(3), status, fields, truncated: false });
    Write::Response { job, file: FileIndex(file), response }
}

fn progress(file: u32, durable: u64) -> FileProgress {
    let version = FileVersion { etag: Some("\"v1\"".into()), bytes_total: Some(4096), ..FileVersion::default() };
    let part = Some(PartIdentity { device: 1, inode: u64::from(file) });
    let remote_name = some_files(file + 1).remove(file as usize).remote_name.into();
    FileProgress {
        file: FileIndex(file),
        remote_name,
        durable,
        version,
        bytes_total: Some(4096),
        part,
        hash_state: None,
    }
}

fn finished(job: JobId, file: u32) -> Write {
    let change = FileChange::Finished { progress: progress(file, 4096), integrity: Integrity::LengthOnly };
    Write::UpdateFile { job, file: FileIndex(file), change }
}
