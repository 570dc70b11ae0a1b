//! What the host's promises cost: `cargo bench --bench host`. Durable creation against single-row commits of SQLite on the same file system,
//! memory with many queued jobs, and the start with them. Figures for people; nothing depends on them.
//!
//! The directory is a temporary one, below TMPDIR: a file system in memory has no cost of syncing, and so no meaning here.

#![expect(clippy::print_stdout, reason = "the figures are what this is for")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

use std::path::Path;
use std::sync::Arc;

use backhaul::clock::Now;
use backhaul::host::{Host, HostConfig};
use backhaul::job::{
    Direction, FileSpec, IdempotencyKey, JobFilter, JobId, JobSpec, LocalName, Properties, RequestHeaders, Sha256,
};
use backhaul::network::Network;
use backhaul::scheduler::Begin;
use tokio::task::JoinSet;

/// Commits that are timed: some seconds on a disk that syncs a few hundred times a second.
const COMMITS: u32 = 500;
/// Creations by one client.
const ALONE: u32 = 500;
/// Clients at once, and creations of each.
const CLIENTS: u32 = 64;
const EACH: u32 = 100;
/// Jobs of which the memory is measured.
const QUEUED: u32 = 10_000;
/// What the process is told that measures the start.
const RESTART: &str = "restart";
/// A page of a list.
const PAGE: usize = 100;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == RESTART) {
        return restart(Path::new(&arguments.next().unwrap()));
    }
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let commits = rate(COMMITS, || commit_rows(&directory.path().join("rows.db")));
    println!("{commits:9.0} /s  commits of one row");
    runtime.block_on(async {
        let state = directory.path().join("state");
        let (host, _) = start(&state).await;
        let alone = timed(ALONE, async { create(&host, ALONE, Key::None).await }).await;
        told("creations by one client", alone, commits);
        let keyed = timed(ALONE, async { create(&host, ALONE, Key::Each(CLIENTS)).await }).await;
        told("creations by one client, each with a key", keyed, commits);
        let host = Arc::new(host);
        for (what, keys) in [("without keys", Keys::None), ("each with a key", Keys::Each)] {
            let together = timed(CLIENTS * EACH, async {
                let mut clients = JoinSet::new();
                for client in 0..CLIENTS {
                    let host = Arc::clone(&host);
                    let key = match keys {
                        Keys::None => Key::None,
                        Keys::Each => Key::Each(client),
                    };
                    clients.spawn(async move { create(&host, EACH, key).await });
                }
                clients.join_all().await;
            });
            told(&format!("creations by {CLIENTS} clients together, {what}"), together.await, commits);
        }
        host.shutdown().await;
    });
    drop(runtime);
    memory(directory.path());
}

fn memory(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let state = directory.join("many");
    runtime.block_on(async {
        let before = resident_mib();
        let (host, _) = start(&state).await;
        let host = Arc::new(host);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let host = Arc::clone(&host);
            clients.spawn(async move { create(&host, QUEUED / CLIENTS, Key::None).await });
        }
        clients.join_all().await;
        println!(
            "{:9.1} MiB more, {:.1} in all, with {} jobs",
            resident_mib() - before,
            resident_mib(),
            host.jobs().len()
        );
        host.shutdown().await;
    });
    // What memory a process needs shows itself only in one that never needed more.
    let again = std::process::Command::new(std::env::current_exe().unwrap()).arg(RESTART).arg(&state).status();
    assert!(again.unwrap().success());
}

/// What the second process does.
fn restart(state: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let before = resident_mib();
        let (host, millis) = start(state).await;
        let (with, jobs) = (resident_mib(), host.list(&JobFilter::default(), None, usize::MAX).jobs.len());
        println!("{millis:9} ms  to start with {jobs} jobs");
        println!("{:9.1} MiB more than before, {with:.1} in all", with - before);
        let begin = Now::read().boot;
        let (mut after, mut pages, mut jobs) = (None, 0, 0);
        loop {
            let page = host.list(&JobFilter::default(), after, PAGE);
            (after, pages, jobs) = (page.next, pages + 1, jobs + page.jobs.len());
            if after.is_none() {
                break;
            }
        }
        println!("{:9} ms  to list all {jobs} in {pages} pages", Now::read().boot.since(begin));
        host.shutdown().await;
    });
}

fn commit_rows(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)")
        .unwrap();
    let mut insert = connection.prepare("INSERT INTO t (n) VALUES (?1)").unwrap();
    for number in 0..COMMITS {
        insert.execute([number]).unwrap();
    }
}

async fn start(state_dir: &Path) -> (Host, u64) {
    let config = HostConfig {
        // Jobs are queued, and nothing runs.
        network: Network { connected: false, ..Network::default() },
        ..HostConfig::new(state_dir)
    };
    let begin = Now::read().boot;
    let host = Host::start(config).await.unwrap();
    (host, Now::read().boot.since(begin))
}

/// Whether a request has a key, and whose it is.
#[derive(Clone, Copy)]
enum Key {
    None,
    Each(u32),
}

#[derive(Clone, Copy)]
enum Keys {
    None,
    Each,
}

async fn create(host: &Host, count: u32, key: Key) {
    for number in 0..count {
        let spec = JobSpec {
            display_name: "a job".into(),
            description: String::new(),
            owner: "uid:1000".into(),
            direction: Direction::Download,
            properties: Properties::default(),
            labels: Vec::new(),
            policies: Vec::new(),
            headers: RequestHeaders::default(),
            headers_write_only: false,
        };
        let files = vec![FileSpec::new(
            format!("http://127.0.0.1:9/files/number-{number}.bin").parse().unwrap(),
            LocalName::new(format!("/nowhere/downloads/{}.bin", JobId::generate()).into()).unwrap(),
        )];
        let once = match key {
            Key::None => None,
            Key::Each(client) => Some(IdempotencyKey { key: format!("{client}-{number}"), request: Sha256([0; 32]) }),
        };
        host.create_once(spec, files, Begin::Resumed, once).await.unwrap();
    }
}

fn rate(count: u32, run: impl FnOnce()) -> f64 {
    let begin = Now::read().boot;
    run();
    per_second(count, Now::read().boot.since(begin))
}

async fn timed(count: u32, run: impl Future<Output = ()>) -> f64 {
    let begin = Now::read().boot;
    run.await;
    per_second(count, Now::read().boot.since(begin))
}

fn per_second(count: u32, millis: u64) -> f64 {
    f64::from(count) * 1000.0 / f64::from(u32::try_from(millis.max(1)).unwrap())
}

fn told(what: &str, rate: f64, commits: f64) {
    println!("{rate:9.0} /s  {what}: {:.0} % of the commits", 100.0 * rate / commits);
}

/// Memory of this process that is in RAM.
fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u32 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    f64::from(pages) * 4096.0 / f64::from(1 << 20)
}
