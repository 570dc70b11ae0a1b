//! A store of each version that was released, read by this program.
//!
//! `golden/v<N>.db` was written by the program of version N. A new one is made with `BACKHAUL_WRITE_GOLDEN=1`, before the release of a new
//! version; one that was released is never written again.

use super::*;
use crate::access::{Scopes, TokenDigest, TokenRecord};
use crate::job::{
    AttemptSummary, DecisionId, ErrorCode, ErrorContext, FailureClass, FileRange, FileRecord, IdempotencyKey, Intent,
    JobError, NotifyFlags, PolicyName, Properties, Redirects, RestartReason, RetryWait,
};
use crate::network::Network;
use crate::notify::{Delivery, DeliveryState, NotifyWrite, tests as notify};
use crate::policy::contract::Hook;
use crate::policy::{DecisionRow, Fault, Memo, Outcome, Source};
use crate::store::schema::Schema;
use crate::store::{Reader, StoredWebhook};

const GOLDEN: &[(u32, &[u8])] =
    &[(1, include_bytes!("golden/v1.db")), (2, include_bytes!("golden/v2.db")), (3, include_bytes!("golden/v3.db"))];

fn id(number: u128) -> JobId {
    JobId(uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number))
}

fn error() -> JobError {
    JobError {
        code: ErrorCode::Http,
        context: ErrorContext::RemoteFile,
        class: FailureClass::Transient,
        http_status: Some(503),
        file: Some(FileIndex(1)),
        description: "the origin http://127.0.0.1:8080 answered 503".into(),
    }
}

/// A job in every state, the first with everything that a job can have.
fn jobs() -> Vec<JobRecord> {
    let of_state = |(number, state): (u128, JobState)| JobRecord { id: id(number), state, ..a_job() };
    let mut jobs: Vec<_> = (0..).zip(JobState::ALL).map(of_state).collect();
    let attempt = AttemptSummary {
        started_at: UnixMillis(20),
        ended_at: UnixMillis(30),
        remote_name: "http://127.0.0.1:8080/files/number-1.bin".into(),
        new_bytes: 1 << 40,
        code: ErrorCode::ConnectionClosed,
        class: FailureClass::Transient,
        http_status: None,
    };
    jobs[0] = JobRecord {
        labels: vec![("team".into(), "\"edge\" \u{e9}".into())],
        policies: vec![PolicyName("mirrors".into())],
        started_at: Some(UnixMillis(10)),
        transferred_at: Some(UnixMillis(11)),
        last_progress_at: Some(UnixMillis(u64::MAX)),
        files_total: 4,
        files_transferred: 2,
        bytes_sized: u64::MAX,
        files_sized: 3,
        bytes_transferred: 9000,
        progress_bytes: 9001,
        error: Some(error()),
        error_count: 3,
        failures_in_row: 2,
        recoveries: 1,
        last_recovery_at: Some(UnixMillis(12)),
        attempt: AttemptNumber(u32::MAX),
        decisions: 5,
        history: vec![attempt],
        retry: Some(RetryWait { due_at: UnixMillis(99), delay_ms: 600_000 }),
        no_progress_ms: 13,
        active_ms: 14,
        intent: Some(Intent::Complete),
        ..jobs[0].clone()
    };
    jobs
}

fn decision() -> DecisionRow {
    DecisionRow {
        decision: DecisionId(format!("{}-1", id(0))),
        position: 0,
        job: id(0),
        at: UnixMillis(40),
        hook: Hook::Retry,
        policy: PolicyName("standard".into()),
        component: Some(crate::job::Sha256([7; 32])),
        settings: None,
        wit: "0.1.0".into(),
        engine: "48".into(),
        input: serde_json::json!({ "call": { "seed": 1 } }).into(),
        files_read: Vec::new(),
        answer: None,
        clamps: vec!["delay raised to 5 s".into()],
        source: Source::BuiltIn,
        outcome: Outcome::Fault { fault: Fault::Trap, detail: "unreachable".into() },
        fuel: 1,
        peak_memory: 2,
        duration_us: 3,
        log: vec!["a line".into()],
        redacted: true,
    }
}

/// With what there was not in version 2, and a file of ranges.
fn job_of_version_3() -> JobRecord {
    let properties = Properties {
        notify_flags: NotifyFlags::FILE_TRANSFERRED,
        minimum_notification_interval_ms: 0,
        dynamic_content: true,
        high_performance: true,
        maximum_download_size: Some(u64::MAX),
        redirects: Redirects::Disallow,
        redirects_to_http: true,
        ..Properties::default()
    };
    JobRecord {
        id: id(100),
        description: "of version 3".into(),
        properties,
        files_total: 1,
        resumed: true,
        headers_write_only: true,
        active_at: UnixMillis(77),
        ..a_job()
    }
}

fn ranges() -> Vec<FileRange> {
    vec![FileRange { offset: 7, length: Some(3) }, FileRange { offset: 100, length: None }]
}

fn key() -> IdempotencyKey {
    IdempotencyKey { key: "a key".into(), request: crate::job::Sha256([8; 32]) }
}

fn network() -> Network {
    Network { connected: false, battery_percent: Some(50), ..Network::default() }
}

fn token() -> TokenRecord {
    TokenRecord {
        name: "ci".parse().unwrap(),
        scopes: Scopes::from_bits(5).unwrap(),
        digest: TokenDigest([3; 32]),
        created_at: UnixMillis(60),
        expires_at: Some(UnixMillis(u64::MAX)),
    }
}

/// What the golden stores hold.
fn content() -> Batch {
    let headers = RequestHeaders(vec![("X-Api-Key".into(), "of the golden store".into())]);
    let insert = |job| Write::InsertJob { job: Box::new(job), headers: headers.clone() };
    let mut writes: Vec<_> = jobs().into_iter().map(insert).collect();
    writes.push(insert(job_of_version_3()));
    let of_ranges = FileSpec { ranges: ranges(), ..some_files(1).remove(0) };
    writes.push(Write::InsertFiles { job: id(100), first: FileIndex(0), files: vec![of_ranges] });
    let mut files = some_files(4);
    files[0].digest = Some(crate::job::Sha256([9; 32]));
    let first = id(0);
    let restarted =
        EventKind::FileRestarted { file: FileIndex(3), reason: RestartReason::RemoteFileChanged, bytes_discarded: 7 };
    writes.extend([
        Write::InsertFiles { job: first, first: FileIndex(0), files },
        finished(first, 1),
        Write::MarkPublished(first),
        finished(first, 2),
        Write::UpdateFile {
            job: first,
            file: FileIndex(0),
            change: FileChange::Progress(FileProgress { hash_state: Some(vec![1; 104]), ..progress(0, 808) }),
        },
        Write::UpdateFile {
            job: first,
            file: FileIndex(0),
            change: FileChange::RemoteName("http://user:word@127.0.0.1/a?signed".parse().unwrap()),
        },
        // The change of origin has dropped them.
        Write::ReplaceHeaders { job: first, headers: headers.clone() },
        Write::UpdateFile { job: first, file: FileIndex(3), change: FileChange::Restarted },
        Write::RememberKey { job: first, owner: "uid:1000".into(), key: key() },
        Write::InsertToken(token()),
        Write::NetworkOverride(Some(network())),
        journal(first, EventKind::JobCreated),
        journal(first, EventKind::StateChanged { from: JobState::Suspended, to: JobState::Queued }),
        journal(first, restarted),
        journal(first, EventKind::AttemptFailed { error: error() }),
        Write::Journal(Event {
            at: UnixMillis(50),
            job: None,
            kind: EventKind::NetworkChanged { connected: false, note: "unplugged".into() },
        }),
    ]);
    let memo = Memo { job: first, policy: PolicyName("mirrors".into()), hook: Hook::Recovery, bytes: vec![0, 255] };
    Batch { writes, decisions: vec![decision()], memos: vec![memo], ..Batch::default() }
}

/// A webhook that was told of the first event, one delivery that waits and one that has failed.
fn webhooks() -> Vec<NotifyWrite> {
    let webhook = notify::a_webhook();
    let put = |delivery| NotifyWrite::Put(Box::new(delivery));
    let failed = Delivery {
        number: 1,
        state: DeliveryState::Failed,
        attempts: 10,
        attempted_at: Some(UnixMillis(60)),
        status: Some(503),
        detail: Some("the receiver answered 503".into()),
        ..waiting()
    };
    vec![NotifyWrite::Insert { webhook: Box::new(webhook), cursor: 2 }, put(waiting()), put(failed)]
}

fn waiting() -> Delivery {
    Delivery {
        webhook: notify::a_webhook().id,
        number: 2,
        event: Event { at: UnixMillis(50), job: Some(id(0)), kind: EventKind::JobTransferred },
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: UnixMillis(70),
        delay_ms: 5_000,
        attempted_at: None,
        status: None,
        detail: None,
    }
}

/// Everything that a reader can read.
fn everything(reader: &Reader) -> impl PartialEq + std::fmt::Debug + use<> {
    let jobs: Vec<_> = jobs().iter().map(|job| reader.job(job.id).unwrap()).collect();
    let files: Vec<FileRecord> = reader.files(id(0), FileIndex(0), 99).unwrap();
    let memo = reader.memo(id(0), &PolicyName("mirrors".into()), Hook::Recovery).unwrap();
    let headers: Vec<_> = jobs.iter().flatten().map(|job| reader.headers(job.id).unwrap().0).collect();
    let (events, decisions) = (reader.events(0, 99, None).unwrap(), reader.decisions(id(0), 0, 99).unwrap());
    (jobs, files, events, decisions, memo, headers)
}

#[test]
fn stores_of_every_version_are_read() {
    let fixture = Fixture::new();
    wait(fixture.store.commit(content())).unwrap();
    let wanted = everything(&fixture.store.reader().unwrap());
    for (version, bytes) in GOLDEN {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("store.db"), bytes).unwrap();
        let store = Store::open(directory.path(), OpenMode::Existing).unwrap().store;
        let reader = store.reader().unwrap();
        assert_eq!(everything(&reader), wanted, "version {version}");
        // What there was not in version 1.
        let since = *version >= 2;
        let known = reader.job_of_key("uid:1000", "a key").unwrap();
        assert_eq!(known, since.then_some((id(0), key().request)), "version {version}");
        assert_eq!(reader.network_override().unwrap(), since.then(network), "version {version}");
        // What there was not in version 2.
        let since = *version >= 3;
        assert_eq!(reader.job(id(100)).unwrap(), since.then(job_of_version_3), "version {version}");
        assert_eq!(reader.tokens().unwrap(), since.then(token).into_iter().collect::<Vec<_>>(), "version {version}");
        let of_ranges = reader.file(id(100), FileIndex(0)).unwrap().map(|file| file.ranges);
        assert_eq!(of_ranges, since.then(ranges), "version {version}");
        let webhook = StoredWebhook { webhook: notify::a_webhook(), cursor: 2, failed: 1 };
        assert_eq!(reader.webhooks().unwrap(), Vec::from_iter(since.then_some(webhook)), "version {version}");
        let found = reader.delivery(notify::a_webhook().id, 2).unwrap();
        assert_eq!(found, since.then(waiting), "version {version}");
    }
}

#[test]
fn the_newest_version_has_a_golden_store() {
    let version = Schema::current().version();
    if std::env::var_os("BACKHAUL_WRITE_GOLDEN").is_some() {
        let fixture = Fixture::new();
        wait(fixture.store.commit(content())).unwrap();
        wait(fixture.store.notify(webhooks())).unwrap();
        wait(fixture.store.close()).unwrap();
        let to = format!("{}/src/store/tests/golden/v{version}.db", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(fixture.directory.path().join("store.db"), to).unwrap();
    }
    assert_eq!(GOLDEN.last().unwrap().0, version);
}
