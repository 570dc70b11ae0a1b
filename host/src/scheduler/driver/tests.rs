//! The driver with a real store, real workers and a real origin: what a failed commit may and may not do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::job::{FileSpec, IdempotencyKey, JobChanges, JobSpec, JobState, LocalName, Properties, SafeUrl, Sha256};
use crate::policy::PolicyConfig;
use crate::scheduler::Begin;
use crate::store::{CommitFault, FailCommit, OpenMode};
use crate::transfer::TransferSettings;

/// Far more than a run takes, a pause of the degraded mode included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Two files: one that fits into one read, one that takes several.
const CONTENTS: [usize; 2] = [5, 300_000];

/// Serves each path `/<size>` as so many bytes, with a strong ETag, and of `/stall/<size>` only the first half until the client leaves.
/// Its thread ends with the process.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let request = lines.next().unwrap_or_default();
                // Connections may be opened and never used.
                let Some(target) = request.split(' ').nth(1) else { return };
                let range = lines.by_ref().take_while(|line| !line.is_empty()).find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("range: bytes=")
                        .map(|range| range.trim_end_matches('-').to_owned())
                });
                let size: usize = target.rsplit('/').next().unwrap().parse().unwrap();
                let stalls = target.starts_with("/stall/");
                let start: usize = range.as_deref().map_or(0, |start| start.parse().unwrap());
                let status = match range {
                    Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{size}", size - 1),
                    None => "200 OK".to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"1\"\r\nConnection: close\r\n\r\n",
                    size - start
                );
                let end = if stalls { size / 2 } else { size };
                // A client that has left needs no answer.
                let _left =
                    (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&content(size)[start..end]));
                if stalls {
                    let _until_it_leaves = lines.next();
                }
            });
        }
    });
    address
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

struct Rig {
    driver: Driver,
    events_rx: broadcast::Receiver<Arc<NumberedEvent>>,
    published: Arc<Published>,
}

async fn start(state: &Path, fail_commit: Option<FailCommit>) -> Rig {
    let parts = parts(state, fail_commit);
    let (events_rx, published) = (parts.events_tx.subscribe(), Arc::clone(&parts.published));
    Rig { driver: Driver::start(parts).await.unwrap(), events_rx, published }
}

fn parts(state: &Path, fail_commit: Option<FailCommit>) -> DriverParts {
    let opened = Store::open_failing(state, OpenMode::CreateIfMissing, fail_commit).unwrap();
    let transfer = TransferContext::new(TransferSettings::default(), opened.store.reader().unwrap()).unwrap();
    DriverParts {
        config: SchedulerConfig::for_one_job(),
        store: opened.store,
        policies: Policies::start(PolicyConfig::default()).unwrap(),
        transfer: Arc::new(transfer),
        network: Network::default(),
        network_tx: watch::Sender::new(NetworkStatus { network: Network::default(), overridden: false }),
        events_tx: broadcast::Sender::new(1024),
        degraded_tx: watch::Sender::new(None),
        published: Arc::new(Published::new()),
        retention: RetentionConfig::default(),
    }
}

fn job(origin: SocketAddr, target: &Path) -> Command {
    job_of(origin, target, &CONTENTS.map(|size| size.to_string()))
}

/// A job of the files at these paths of the origin.
fn job_of(origin: SocketAddr, target: &Path, paths: &[String]) -> Command {
    let file = |path: &String| FileSpec {
        remote_name: SafeUrl::parse(&format!("http://{origin}/{path}")).unwrap(),
        local_name: LocalName::new(target.join(path.rsplit('/').next().unwrap())).unwrap(),
        digest: None::<Sha256>,
        ranges: Vec::new(),
    };
    let files = paths.iter().map(file).collect();
    let spec = JobSpec {
        display_name: "test".into(),
        description: String::new(),
        owner: "uid:0".into(),
        direction: crate::job::Direction::Download,
        properties: Properties { auto_complete: true, ..Properties::default() },
        labels: Vec::new(),
        policies: Vec::new(),
        headers: crate::job::RequestHeaders::default(),
        headers_write_only: false,
    };
    let (job, begin) = (JobId::generate(), Begin::Suspended);
    let once = Some(IdempotencyKey { key: job.to_string(), request: Sha256([1; 32]) });
    Command::Create { job, spec: Box::new(spec), files, begin, once }
}

/// Says it again until it is acknowledged, as a client does that was told that the store is full.
async fn insist(driver: &Driver, command: &Command) -> Reply {
    loop {
        match driver.command(command.clone()).await {
            Ok(reply) => return reply,
            Err(CommandError::Store(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs one job to its end; the n-th commit of the run fails. Returns how many commits were made.
async fn run_with_failing_commit(origin: SocketAddr, fails: u64, fault: CommitFault) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let commits = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&commits);
    let fail = FailCommit(Arc::new(move |commit| {
        counter.store(commit, Ordering::Relaxed);
        (commit == fails).then_some(fault)
    }));
    let Rig { driver, mut events_rx, published } = start(&state, Some(fail)).await;
    let command = job(origin, directory.path());
    let Command::Create { job: id, .. } = command else { unreachable!() };
    insist(&driver, &command).await;
    assert!(published.get(id).is_some(), "commit {fails}: an acknowledged job is known");
    let label = ("team".to_owned(), "edge".to_owned());
    let changes = JobChanges { labels: Some(vec![label.clone()]), ..JobChanges::default() };
    insist(&driver, &Command::Modify { job: id, changes: Box::new(changes), expected: None }).await;
    // The names stay what they are: the path is normalised.
    let (from, to) = (format!("http://{origin}/"), format!("http://{origin}/./"));
    let replaced = insist(&driver, &Command::ReplaceRemotePrefix { job: id, from, to }).await;
    assert!(matches!(replaced, Reply::PrefixReplaced { files_changed: 2, .. }), "commit {fails}: {replaced:?}");
    insist(&driver, &Command::Resume(id)).await;
    loop {
        let event = timeout(PATIENCE, events_rx.recv()).await.expect("the job ends").unwrap();
        if matches!(event.event.kind, EventKind::Acknowledged { files_published: 2, partial: false }) {
            let state = published.get(id).map(|job| job.state);
            assert_eq!(state, Some(JobState::Acknowledged), "commit {fails}: an event overtakes what it tells of");
            break;
        }
    }
    driver.shutdown().await;
    for size in CONTENTS {
        assert_eq!(std::fs::read(directory.path().join(size.to_string())).unwrap(), content(size), "commit {fails}");
    }
    let store = Store::open(&state, OpenMode::Existing).unwrap().store;
    let reader = store.reader().unwrap();
    let record = reader.job(id).unwrap().unwrap();
    assert_eq!((record.state, record.labels), (JobState::Acknowledged, vec![label]), "commit {fails}");
    let known = reader.job_of_key("uid:0", &id.to_string()).unwrap();
    assert_eq!(known, Some((id, Sha256([1; 32]))), "commit {fails}: the key is stored with its job");
    let events = reader.events(0, 1_000, None).unwrap();
    let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "commit {fails}: the journal has no gap");
    let ends = events.iter().filter(|(_, event)| matches!(event.kind, EventKind::Acknowledged { .. })).count();
    assert_eq!(ends, 1, "commit {fails}");
    commits.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whichever_commit_fails() {
    let origin = origin();
    let commits = run_with_failing_commit(origin, 0, CommitFault::Full).await;
    assert!(commits >= 5, "create, resume, start, finish, publish are commits of their own, not {commits}");
    // Batches differ from run to run, so some more than one run has.
    let mut runs = JoinSet::new();
    for fails in 1..=commits + 5 {
        for fault in [CommitFault::Full, CommitFault::Io] {
            runs.spawn(async move { run_with_failing_commit(origin, fails, fault).await });
        }
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

#[tokio::test]
async fn timers_are_looked_at_however_busy_the_host_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut parts = parts(&directory.path().join("state"), None);
    parts.config.time_slice_ms = 0;
    let mut running = Running::new(parts);
    let command = job_of(origin(), directory.path(), &["stall/300000".into()]);
    let Command::Create { job: id, .. } = command else { unreachable!() };
    let commands = [command, Command::Resume(id)].map(|command| Input::Command { request: RequestId(0), command });
    running.process([Input::LoadingDone].into_iter().chain(commands).collect()).await.unwrap();
    assert!(running.core.next_deadline().is_some_and(|due| due <= Now::read().boot), "its slice is over");
    let (incoming_tx, mut incoming_rx) = mpsc::channel(1);
    let (reply_tx, _reply_rx) = oneshot::channel();
    let command = Box::new(Command::Suspend(JobId::generate()));
    incoming_tx.send(Incoming::Command { command, caller: Caller { reply_tx, _turn: None } }).await.unwrap();
    let inputs = running.gather(&mut incoming_rx).await;
    assert!(inputs.contains(&Input::Tick), "{inputs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_was_stopped_goes_on_with_the_same_job() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let command = job(origin(), directory.path());
    let Command::Create { job: id, .. } = command else { unreachable!() };
    let rig = start(&state, None).await;
    insist(&rig.driver, &command).await;
    rig.driver.shutdown().await;
    let Rig { driver, mut events_rx, .. } = start(&state, None).await;
    insist(&driver, &Command::Resume(id)).await;
    loop {
        let event = timeout(PATIENCE, events_rx.recv()).await.expect("the job ends").unwrap();
        if matches!(event.event.kind, EventKind::Acknowledged { .. }) {
            break;
        }
    }
    driver.shutdown().await;
    assert_eq!(std::fs::read(directory.path().join("5")).unwrap(), content(5));
}

/// Runs a job of which one file ends and another one never does; at the n-th commit the host is told to stop, and the commit fails.
async fn stop_with_failing_commit(origin: SocketAddr, fails: u64) {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let incoming: Arc<OnceLock<mpsc::Sender<Incoming>>> = Arc::default();
    let to_driver = Arc::clone(&incoming);
    let fail = FailCommit(Arc::new(move |commit| {
        (commit == fails).then(|| {
            if let Some(incoming_tx) = to_driver.get() {
                incoming_tx.try_send(Incoming::Shutdown).unwrap();
            }
            CommitFault::Io
        })
    }));
    let Rig { driver, .. } = start(&state, Some(fail)).await;
    incoming.set(driver.incoming_tx.clone()).unwrap();
    let command = job_of(origin, directory.path(), &["5".into(), "stall/300000".into()]);
    let Command::Create { job: id, .. } = command else { unreachable!() };
    let create = driver.command(command).await;
    // Either may be refused: the host is stopping by then.
    let _refused = driver.command(Command::Resume(id)).await;
    // The driver has ended by itself if the commit was reached, and ends now otherwise.
    let ended = timeout(Duration::from_secs(2), async {
        while !driver.task.lock().unwrap().as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await
        }
    });
    let _ended = ended.await;
    driver.shutdown().await;
    let store = Store::open(&state, OpenMode::Existing).unwrap().store;
    let reader = store.reader().unwrap();
    let Some(record) = reader.job(id).unwrap() else {
        assert!(create.is_err(), "commit {fails}: an acknowledged job is lost");
        return;
    };
    let files = reader.files(id, crate::job::FileIndex(0), 10).unwrap();
    let finished = files.iter().filter(|file| file.finished).count();
    assert_eq!(record.files_transferred as usize, finished, "commit {fails}: the header is ahead of the files");
    assert_eq!(record.bytes_transferred, files.iter().map(|file| file.durable).sum::<u64>(), "commit {fails}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_after_a_failed_commit_stores_nothing_that_builds_on_it() {
    let origin = origin();
    let mut runs = JoinSet::new();
    for fails in 1..=10 {
        runs.spawn(async move { stop_with_failing_commit(origin, fails).await });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_wake_for_changes_only() {
    let directory = tempfile::tempdir().unwrap();
    let Rig { driver, published, .. } = start(&directory.path().join("state"), None).await;
    let mut changes = published.changes();
    let command = job(origin(), directory.path());
    driver.command(command).await.unwrap();
    timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
    let unknown = Command::Suspend(JobId::generate());
    assert!(matches!(driver.command(unknown).await, Err(CommandError::NotFound(_))));
    driver.shutdown().await;
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_change_of_the_network_is_published_for_all_who_wait() {
    let directory = tempfile::tempdir().unwrap();
    let mut parts = parts(&directory.path().join("state"), None);
    parts.network.connected = false;
    let mut running = Running::new(parts);
    running.load().await.unwrap();
    let jobs = 100;
    let mut inputs = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..jobs {
        let command = job_of(([127, 0, 0, 1], 9).into(), directory.path(), &["5".into()]);
        let Command::Create { job, .. } = command else { unreachable!() };
        let commands = [command, Command::Resume(job)].map(|command| Input::Command { request: RequestId(0), command });
        ids.push(job);
        inputs.extend(commands);
    }
    running.process(inputs).await.unwrap();
    let published = Arc::clone(&running.parts.published);
    let without_network = || {
        let of = |id: &JobId| published.get(*id).unwrap().state == JobState::TransientError;
        ids.iter().filter(|id| of(id)).count()
    };
    assert_eq!(without_network(), jobs);
    let last = *ids.last().unwrap();
    let waiting = published.changed(last, published.get(last).unwrap().revision);
    let mut waiting = Box::pin(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    running.process(vec![Input::NetworkChanged(Network::default())]).await.unwrap();
    assert_eq!(without_network(), 0);
    assert!(waiting.as_mut().now_or_never().is_some(), "whoever waits for a job is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_host_cannot_store_anything_is_reported_to_wait_for_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    let fail = FailCommit(Arc::new(move |_| switch.load(Ordering::Relaxed).then_some(CommitFault::Full)));
    let Rig { driver, events_rx: _, published } = start(&directory.path().join("state"), Some(fail)).await;
    let running = job_of(origin(), directory.path(), &["stall/300000".into()]);
    let Command::Create { job: id, .. } = running else { unreachable!() };
    driver.command(running).await.unwrap();
    driver.command(Command::Resume(id)).await.unwrap();
    let suspended = job_of(origin(), directory.path(), &["7".into()]);
    let Command::Create { job: other, .. } = suspended else { unreachable!() };
    driver.command(suspended).await.unwrap();
    let reported = |id: JobId| {
        let job = published.get(id).unwrap();
        (job.state, job.waiting_on.as_ref().map(|waiting| (waiting.code, waiting.error)))
    };
    let mut changes = published.changes();
    timeout(PATIENCE, changes.wait_for(|_| reported(id).0 == JobState::Transferring)).await.unwrap().unwrap();
    broken.store(true, Ordering::Relaxed);
    driver.command(job_of(origin(), directory.path(), &["8".into()])).await.unwrap_err();
    let waits = Some(("store", Some(crate::job::ErrorCode::DiskFull)));
    assert_eq!(reported(id), (JobState::TransientError, waits));
    assert_eq!(reported(other), (JobState::Suspended, None));
    broken.store(false, Ordering::Relaxed);
    timeout(PATIENCE, changes.wait_for(|_| reported(id).0 == JobState::Transferring)).await.unwrap().unwrap();
    driver.shutdown().await;
}
