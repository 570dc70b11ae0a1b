//! Durable creation through the API, against single-row commits of SQLite on the same file system.

use std::path::Path;
use std::time::Duration;

use backhaul::clock::Stopwatch;

use super::daemon::{A_JOB, Daemon};
use super::load::{Until, rate, request};
use super::{best, print_rate};

const CLIENTS: usize = 64;
/// As long for commits as for creations, and short and often: who else writes to the disk makes syncs thirty times slower for seconds.
const LONG: Duration = Duration::from_millis(500);
const TURNS: usize = 12;

pub(crate) fn run(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("rows.db")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)")
        .unwrap();
    // A log that grows costs the file system a transaction per sync; after a checkpoint it is written over, as the daemon's soon is.
    connection.execute_batch("INSERT INTO t (n) VALUES (zeroblob(8000000)); PRAGMA wal_checkpoint(RESTART)").unwrap();
    let daemon = Daemon::start(directory);
    daemon.disconnect();
    let create = request("POST", "/v1/jobs", A_JOB);
    let [commits, alone, together] = best(TURNS, || {
        let creations = |clients| rate(&daemon.peer, &create, clients, Until::Elapsed(LONG));
        [commit_rows(&connection), creations(1), creations(CLIENTS)]
    });
    print_rate(commits, "commits of one row");
    print_rate(alone, &format!("creations by one client: {:.0} %, at least 25 is wanted", 100.0 * alone / commits));
    let percent = 100.0 * together / commits;
    print_rate(together, &format!("creations by {CLIENTS} clients together: {percent:.0} %, at least 200 is wanted"));
}

fn commit_rows(connection: &rusqlite::Connection) -> f64 {
    let mut insert = connection.prepare("INSERT INTO t (n) VALUES (?1)").unwrap();
    let begun = Stopwatch::start();
    let mut commits = 0;
    while begun.elapsed() < LONG {
        insert.execute([commits]).unwrap();
        commits += 1;
    }
    f64::from(commits) / begun.elapsed().as_secs_f64()
}
