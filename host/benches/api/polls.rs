//! How many polls a second are answered: `GET /v1/jobs/{id}/state` over kept connections of the unix socket, beside aria2's `tellStatus`.
//!
//! wrk cannot speak to unix sockets. So our load asks both, wrk asks aria2 as well, and both ask a peer over TCP that answers without
//! looking, which shows what the loads themselves cost. The ratio is to the better of aria2's figures.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use super::aria2::{Aria2, status_request, wrk};
use super::daemon::{A_JOB, Daemon};
use super::load::{Peer, Until, get, rate};
use super::{RUNS, best, print_rate};

/// Kept connections, as many as the goal names.
const CONNECTIONS: usize = 32;
const SECONDS: u64 = 3;
const LONG: Until = Until::Elapsed(Duration::from_secs(SECONDS));

pub(crate) fn run(directory: &Path) {
    check_load(directory);
    let aria2 = Aria2::start(directory).map(|aria2| (aria2.status_of_one(), aria2));
    let daemon = Daemon::start(directory);
    daemon.disconnect();
    let job = daemon.create(A_JOB);
    let [state, progress] = ["state", "progress"].map(|part| get(&format!("/v1/jobs/{job}/{part}")));
    let ask = |peer: &Peer, request: &str| rate(peer, request, CONNECTIONS, LONG);
    let [state, progress, by_load, by_wrk] = best(RUNS, || {
        let ours = [&state, &progress].map(|request| ask(&daemon.peer, request));
        let theirs = aria2.as_ref().map_or([0.0; 2], |(body, aria2)| {
            let by_wrk = wrk(aria2.address, CONNECTIONS, SECONDS, Some(body), directory);
            [ask(&aria2.peer, &status_request(body)), by_wrk.unwrap_or(0.0)]
        });
        [ours[0], ours[1], theirs[0], theirs[1]]
    });
    print_rate(progress, "progress over the unix socket");
    print_rate(state, "state over the unix socket");
    if aria2.is_some() {
        print_rate(by_load, "aria2 tellStatus over TCP, by our load");
        print_rate(by_wrk, "aria2 tellStatus over TCP, by wrk");
        println!("{:9.2}     state to the better tellStatus; at least 1 is wanted", state / by_load.max(by_wrk));
    }
}

/// What the loads cost, with a peer that answers without looking.
fn check_load(directory: &Path) {
    let socket = directory.join("trivial.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    // Both threads end with the process: a listener that waits has no other end.
    std::thread::spawn(move || unix.incoming().flatten().for_each(answer_without_looking));
    std::thread::spawn(move || {
        tcp.incoming().flatten().for_each(|stream| {
            stream.set_nodelay(true).unwrap();
            answer_without_looking(stream);
        });
    });
    let ask = get("/v1/jobs/00000000-0000-7000-8000-000000000000/state");
    let peers = [Peer::Unix(socket), Peer::Tcp(address)];
    let [over_unix, over_tcp, by_wrk] = best(RUNS, || {
        let [over_unix, over_tcp] = peers.each_ref().map(|peer| rate(peer, &ask, CONNECTIONS, LONG));
        [over_unix, over_tcp, wrk(address, CONNECTIONS, SECONDS, None, directory).unwrap_or(0.0)]
    });
    print_rate(over_unix, "a peer that does not look over the unix socket, by our load");
    print_rate(over_tcp, "a peer that does not look over TCP, by our load");
    if by_wrk > 0.0 {
        print_rate(by_wrk, "a peer that does not look over TCP, by wrk");
    } else {
        println!("  wrk is not installed: its figures are left out");
    }
}

/// Writes an answer of the usual length for each read.
fn answer_without_looking(mut stream: impl Read + Write + Send + 'static) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"00000000000000000000000000000000\"\r\n\
        content-length: 39\r\ndate: Fri, 20 Nov 2026 14:40:11 GMT\r\n\r\n{\"state\":\"suspended\",\"waiting_on\":null}";
    std::thread::spawn(move || {
        let mut request = [0; 1_024];
        while stream.read(&mut request).is_ok_and(|length| length > 0) && stream.write_all(ANSWER).is_ok() {}
    });
}
