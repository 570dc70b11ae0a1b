//! Many small jobs from their creation to ACKNOWLEDGED: 5,000 of one file each, half of which fail once, with the built-in decisions as
//! native code and as the component `standard`, and the same work done by aria2 over its RPC.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backhaul::clock::Stopwatch;
use serde_json::{Value, json};

use super::aria2::{Aria2, body};
use super::daemon::Daemon;
use super::load::{Peer, exchange, get, request};

const JOBS: usize = 5_000;
/// Of a file: a page, so that the work is that of the jobs.
const FILE_BYTES: usize = 4_096;
/// Clients that create the jobs.
const CLIENTS: usize = 4;
/// Jobs at once, for each of the peers.
const SLOTS: u32 = 64;
/// Seconds from a failure to the next attempt: the shortest that aria2 knows.
const RETRY_DELAY: u32 = 1;
/// Each is measured so often, in turn.
const TURNS: usize = 3;
const POLL: Duration = Duration::from_millis(20);

/// An origin whose files of an even number are answered for with 503 when they are asked for first.
struct Origin {
    address: SocketAddr,
    asked: Arc<[AtomicBool]>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<[AtomicBool]> = (0..JOBS).map(|_| AtomicBool::new(false)).collect();
        let shared = Arc::clone(&asked);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asked = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &asked));
            }
        });
        Self { address, asked }
    }

    fn forget(&self) {
        self.asked.iter().for_each(|asked| asked.store(false, Ordering::Relaxed));
    }

    fn url(&self, job: usize) -> String {
        format!("http://{}/{job}", self.address)
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, asked: &[AtomicBool]) {
    let _delayed = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    let (mut line, mut file) = (String::new(), None);
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(target) = line.strip_prefix("GET /") {
            file = target.split(' ').next().and_then(|number| number.parse::<usize>().ok());
        }
        if line == "\r\n" {
            let Some(file) = file.take() else { return };
            let fails = file.is_multiple_of(2) && !asked[file].swap(true, Ordering::Relaxed);
            if respond(stream, file, fails).is_err() {
                return;
            }
        }
        line.clear();
    }
}

fn respond(mut stream: &TcpStream, file: usize, fails: bool) -> std::io::Result<()> {
    if fails {
        return stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {FILE_BYTES}\r\nETag: \"{file}\"\r\n\r\n");
    stream.write_all(&[head.as_bytes(), &[b'x'; FILE_BYTES]].concat())
}

pub(crate) fn run(directory: &Path) {
    let origin = Origin::start();
    let mut measured: [Vec<f64>; 3] = Default::default();
    for turn in 0..TURNS {
        let names = ["native", "component", "aria2"];
        for (peer, name) in names.into_iter().enumerate() {
            let place = directory.join(format!("{turn}-{name}"));
            std::fs::create_dir_all(place.join("out")).unwrap();
            origin.forget();
            let seconds = match name {
                "aria2" => aria2(&place, &origin),
                "component" => Some(backhaul(&place, &origin, "[[policies]]\nsource = \"standard\"\n")),
                _ => Some(backhaul(&place, &origin, "")),
            };
            measured[peer].extend(seconds);
        }
    }
    let [native, component, aria2] = measured.map(median);
    println!(
        "{native:9.2} s    {JOBS} jobs of one file to ACKNOWLEDGED, half of them after a failure, decided natively"
    );
    let ratio = component / native;
    println!("{component:9.2} s    the same, decided by `standard` as a component: {ratio:.3}; at most 1.05 is wanted");
    if aria2.is_finite() {
        println!("{aria2:9.2} s    the same work by aria2 over its RPC: {:.2} of it for us", native / aria2);
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn backhaul(directory: &Path, origin: &Origin, policies: &str) -> f64 {
    let config = format!("[scheduler]\nretry_floor = {RETRY_DELAY}\nbackground_slots = {SLOTS}\n{policies}");
    let file = directory.join("config.toml");
    std::fs::write(&file, config).unwrap();
    let daemon = Daemon::configured(directory, Some(&file));
    let out = directory.join("out");
    let create = |job: usize| {
        let file = json!({ "remote_name": origin.url(job), "local_name": out.join(job.to_string()) });
        let job = json!({ "type": "download", "files": [file], "minimum_retry_delay": RETRY_DELAY, "auto_complete": true, "resume": true });
        request("POST", "/v1/jobs", &job.to_string())
    };
    let begun = Stopwatch::start();
    send_all(&daemon.peer, create, 201);
    // Final jobs are not listed.
    wait(&daemon.peer, &get("/v1/jobs?limit=1"), |page| page["jobs"].as_array().is_some_and(Vec::is_empty));
    let seconds = begun.elapsed().as_secs_f64();
    assert_all_there(&out);
    seconds
}

/// None if it is not installed.
fn aria2(directory: &Path, origin: &Origin) -> Option<f64> {
    let slots = format!("--max-concurrent-downloads={SLOTS}");
    let delay = format!("--retry-wait={RETRY_DELAY}");
    let out = directory.join("out");
    let aria2 = Aria2::with(&out, &[&slots, &delay, "--max-tries=0"])?;
    let add = |job: usize| {
        let parameters = format!(r#"["{}"],{{"out":"{job}"}}"#, origin.url(job));
        request("POST", "/jsonrpc", &body("aria2.addUri", &parameters))
    };
    let begun = Stopwatch::start();
    send_all(&aria2.peer, add, 200);
    let ask = request("POST", "/jsonrpc", &body("aria2.getGlobalStat", ""));
    wait(&aria2.peer, &ask, |answer| ["numActive", "numWaiting"].iter().all(|count| answer["result"][count] == "0"));
    let seconds = begun.elapsed().as_secs_f64();
    assert_all_there(&out);
    Some(seconds)
}

/// A request for each job, by some clients at once.
fn send_all(peer: &Peer, request: impl Fn(usize) -> String + Sync, wanted: u16) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let request = &request;
            scope.spawn(move || {
                let mut stream = peer.connect().unwrap();
                for job in (client..JOBS).step_by(CLIENTS) {
                    let (status, answer) = exchange(&mut *stream, &request(job));
                    assert_eq!(status, wanted, "{answer}");
                }
            });
        }
    });
}

fn wait(peer: &Peer, request: &str, is_done: impl Fn(&Value) -> bool) {
    let mut stream = peer.connect().unwrap();
    loop {
        let (_, answer) = exchange(&mut *stream, request);
        if is_done(&serde_json::from_str(&answer).unwrap()) {
            return;
        }
        std::thread::sleep(POLL);
    }
}

fn assert_all_there(out: &Path) {
    let whole = |entry: &std::fs::DirEntry| entry.metadata().unwrap().len() == FILE_BYTES as u64;
    let files = std::fs::read_dir(out).unwrap().map(Result::unwrap).filter(whole).count();
    assert_eq!(files, JOBS, "a file is missing, or there is one too many");
}
