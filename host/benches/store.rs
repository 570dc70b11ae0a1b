//! What the store's transactions cost: `cargo bench --bench store`. Figures for people; nothing depends on them.

#![expect(clippy::print_stdout, reason = "the figures are what this is for")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

use backhaul::clock::{Now, UnixMillis};
use backhaul::job::{
    AttemptNumber, Direction, Event, EventKind, FileIndex, FileSpec, FileVersion, Integrity, JobId, JobRecord,
    JobState, LocalName, PartIdentity, Properties, RequestHeaders,
};
use backhaul::scheduler::{FileChange, FileProgress, Replacement, Write};
use backhaul::store::{Batch, Committed, OpenMode, Store};

/// Files of the large job.
const MANY: u32 = 100_000;
/// Files of the job whose files finish, and how many finish in one batch.
const FEW: u32 = 5_000;
const AT_ONCE: u32 = 100;
/// Batches of one change.
const SINGLE: u32 = 1_000;

struct Bench {
    runtime: tokio::runtime::Runtime,
    store: Store,
}

impl Bench {
    fn commit(&self, writes: Vec<Write>) -> Committed {
        self.runtime.block_on(self.store.commit(Batch { writes, ..Batch::default() })).unwrap()
    }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap().store;
    let bench = Bench { runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(), store };

    let large = a_job(MANY);
    let writes = insert(&large);
    time("a file added, 100,000 in one batch", MANY, || drop(bench.commit(writes)));
    time("a remote name's prefix replaced, 100,000 in one batch", MANY, || {
        let (from, to) = ("http://127.0.0.1:8080/".into(), "http://127.0.0.1:8081/".into());
        drop(bench.commit(vec![Write::ReplaceRemotePrefix {
            job: large.id,
            from,
            to,
            replacement: Replacement::Usable,
        }]));
    });

    let mut job = a_job(FEW);
    bench.commit(insert(&job));
    let batches: Vec<_> = (0..FEW).step_by(AT_ONCE as usize).map(|first| finish(&mut job, first)).collect();
    time("a file finished (file, job and event), 100 in a batch", FEW, || {
        for writes in batches {
            bench.commit(writes);
        }
    });
    time("a file marked as published, 5,000 in one batch", FEW, || {
        drop(bench.commit(vec![Write::MarkPublished(job.id)]));
    });
    time("a batch of one header", SINGLE, || {
        for _ in 0..SINGLE {
            bench.commit(vec![Write::UpdateJob(Box::new(job.clone()))]);
        }
    });
    let reader = bench.store.reader().unwrap();
    time("a file read, in pages of 256", MANY, || {
        for first in (0..MANY).step_by(256) {
            reader.files(large.id, FileIndex(first), 256).unwrap();
        }
    });
    drop(reader);
    bench.runtime.block_on(bench.store.clone().close()).unwrap();
    time("a store of 105,000 files opened", 1, || drop(Store::open(directory.path(), OpenMode::Existing).unwrap()));
}

fn time(what: &str, count: u32, run: impl FnOnce()) {
    let begin = Now::read().boot;
    run();
    let millis = u32::try_from(Now::read().boot.since(begin)).unwrap();
    println!("{:9.1} us  {what}", f64::from(millis) * 1000.0 / f64::from(count));
}

fn a_job(files_total: u32) -> JobRecord {
    JobRecord {
        id: JobId::generate(),
        owner: "uid:1000".into(),
        display_name: "a job".into(),
        description: String::new(),
        direction: Direction::Download,
        state: JobState::Transferring,
        properties: Properties::default(),
        labels: Vec::new(),
        policies: Vec::new(),
        created_at: UnixMillis(1),
        modified_at: UnixMillis(1),
        started_at: None,
        transferred_at: None,
        last_progress_at: None,
        files_total,
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
        attempt: AttemptNumber(1),
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

fn insert(job: &JobRecord) -> Vec<Write> {
    let file = |i| FileSpec {
        remote_name: format!("http://127.0.0.1:8080/files/number-{i}.bin").parse().unwrap(),
        local_name: LocalName::new(format!("/nowhere/downloads/number-{i}.bin").into()).unwrap(),
        digest: None,
        ranges: Vec::new(),
    };
    vec![
        Write::InsertJob { job: Box::new(job.clone()), headers: RequestHeaders::default() },
        Write::InsertFiles { job: job.id, first: FileIndex(0), files: (0..job.files_total).map(file).collect() },
    ]
}

/// What the driver writes for a hundred files that finished.
fn finish(job: &mut JobRecord, first: u32) -> Vec<Write> {
    let mut writes = Vec::new();
    for file in (first..first + AT_ONCE).map(FileIndex) {
        let version = FileVersion { etag: Some("\"v1\"".into()), bytes_total: Some(4096), ..FileVersion::default() };
        let part = Some(PartIdentity { device: 1, inode: u64::from(file.0) });
        let remote_name = Box::new(format!("http://127.0.0.1:8080/files/number-{}.bin", file.0).parse().unwrap());
        let progress =
            FileProgress { file, remote_name, durable: 4096, version, bytes_total: Some(4096), part, hash_state: None };
        let integrity = Integrity::LengthOnly;
        job.files_transferred += 1;
        job.bytes_transferred += 4096;
        writes.push(Write::UpdateFile { job: job.id, file, change: FileChange::Finished { progress, integrity } });
        writes.push(Write::UpdateJob(Box::new(job.clone())));
        let kind = EventKind::FileTransferred { file, bytes: 4096, integrity };
        writes.push(Write::Journal(Event { at: UnixMillis(2), job: Some(job.id), kind }));
    }
    writes
}
