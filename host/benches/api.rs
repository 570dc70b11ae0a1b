//! How many polls a second the daemon answers: `GET /v1/jobs/{id}/state` over kept connections of its unix socket.
//!
//! `cargo bench --bench api [-- SOCKET TARGET]`. Without words it starts a daemon of its own with one job. The load is one thread for all
//! connections, without a library between it and the socket; its own cost is measured against a peer that answers without looking.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use backhaul::clock::Stopwatch;

/// Kept connections, as many as the goal names.
const CONNECTIONS: usize = 32;
const DURATION: Duration = Duration::from_secs(5);
/// Threads of the load.
const THREADS: usize = 2;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [socket, target] = words.as_slice() {
        report("given", Path::new(socket), target);
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the sockets");
    let empty = directory.path().join("empty.sock");
    let listener = UnixListener::bind(&empty).expect("a socket for the peer");
    std::thread::spawn(move || answer_without_looking(&listener));
    report("load alone", &empty, "/v1/jobs/00000000-0000-7000-8000-000000000000/state");
    let daemon = Daemon::start(directory.path());
    let created = call(
        &daemon.socket,
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"type\":\"download\"}",
    );
    let location = created.lines().find_map(|line| line.strip_prefix("location: ")).expect("a job was created");
    for part in ["state", "progress"] {
        report(part, &daemon.socket, &format!("{location}/{part}"));
    }
}

struct Daemon {
    child: Child,
    socket: std::path::PathBuf,
}

impl Daemon {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("api.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_backhaul"));
        command
            .args(["serve", "--allow-root", "--state-dir"])
            .arg(directory.join("state"))
            .arg("--socket")
            .arg(&socket);
        let child = command.stderr(Stdio::null()).spawn().expect("the daemon starts");
        let begun = Stopwatch::start();
        while UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the daemon does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, socket }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn call(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the daemon listens");
    stream.write_all(request.as_bytes()).expect("the daemon reads");
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).expect("the daemon answers");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The cost of the load itself: a peer that writes an answer of the usual length for each read.
fn answer_without_looking(listener: &UnixListener) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"00000000000000000000000000000000\"\r\n\
        content-length: 39\r\ndate: Fri, 20 Nov 2026 14:40:11 GMT\r\n\r\n{\"state\":\"suspended\",\"waiting_on\":null}";
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        std::thread::spawn(move || {
            let mut request = [0; 1_024];
            while stream.read(&mut request).is_ok_and(|length| length > 0) && stream.write_all(ANSWER).is_ok() {}
        });
    }
}

fn report(what: &str, socket: &Path, target: &str) {
    let begun = Stopwatch::start();
    let answers: u64 = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| load(socket, target, CONNECTIONS / THREADS))).collect();
        loads.into_iter().map(|load| load.join().expect("the load does not panic")).sum()
    });
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = answers as f64 / seconds;
    println!("{what}: {rate:.0} answers/s over {CONNECTIONS} kept connections, {answers} in {seconds:.1} s");
}

/// One request on each connection at a time: all are written, then all are read, so that the daemon always has some to answer.
fn load(socket: &Path, target: &str, connections: usize) -> u64 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let connect = || UnixStream::connect(socket).expect("the daemon listens");
    let mut streams: Vec<UnixStream> = (0..connections).map(|_| connect()).collect();
    let (mut answer, mut answers) = ([0; 4_096], 0);
    let begun = Stopwatch::start();
    for stream in &mut streams {
        stream.write_all(request.as_bytes()).expect("the daemon reads");
    }
    while begun.elapsed() < DURATION {
        for stream in &mut streams {
            let length = stream.read(&mut answer).expect("the daemon answers");
            assert!(
                answer[..length].starts_with(b"HTTP/1.1 200 ") && answer[..length].ends_with(b"}"),
                "not a whole answer"
            );
            stream.write_all(request.as_bytes()).expect("the daemon reads");
            answers += 1;
        }
    }
    answers
}
