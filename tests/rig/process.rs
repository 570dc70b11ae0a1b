//! A process under test: its lines as they come, signals, peak memory, and an end within a limit.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

/// No run of the binary in these tests needs longer, on a slow and busy machine either.
const RUN_LIMIT: Duration = Duration::from_secs(90);

/// How often the peak memory is read; what a process adds in its last moments is missed.
const MEMORY_INTERVAL: Duration = Duration::from_millis(10);

/// A command line of `backhaul`, in an environment that holds nothing of the caller's: no proxies, no settings.
#[derive(Debug)]
pub(crate) struct Backhaul(Command);

/// A process that runs; killed if it is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct Running {
    line: String,
    pid: Pid,
    pidfd: OwnedFd,
    begin: Instant,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    exit: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    threads: Vec<JoinHandle<()>>,
    peak_memory_kib: u64,
}

#[derive(Debug)]
pub(crate) struct Finished {
    line: String,
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    pub(crate) elapsed: Duration,
    /// Peak resident size.
    pub(crate) peak_memory_kib: u64,
}

impl Backhaul {
    pub(crate) fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backhaul"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        Self(command)
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn current_dir(mut self, dir: &str) -> Self {
        self.0.current_dir(dir);
        self
    }

    pub(crate) fn start(self) -> Running {
        Running::start(self.0)
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Finished {
        self.start().finish(RUN_LIMIT)
    }
}

impl Running {
    /// Starts any command, its output caught.
    pub(crate) fn start(mut command: Command) -> Self {
        let line = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let (stdout, stderr) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        let readers =
            [read_lines(child.stdout.take().unwrap(), &stdout), read_lines(child.stderr.take().unwrap(), &stderr)];
        let (exit_tx, exit) = sync_channel(1);
        let waiter = std::thread::spawn(move || exit_tx.send(child.wait().unwrap()).unwrap_or_default());
        let threads = readers.into_iter().chain([waiter]).collect();
        Self {
            line,
            pid,
            pidfd,
            begin: Instant::now(),
            stdout,
            stderr,
            exit,
            status: None,
            threads,
            peak_memory_kib: 0,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal; none is sent if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).ok();
    }

    /// Blocks until a line of its standard output is what is looked for, and returns it.
    #[track_caller]
    pub(crate) fn wait_stdout(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.stdout.wait(limit, wanted).unwrap_or_else(|| self.fail(what, limit))
    }

    /// The same for standard error.
    #[track_caller]
    pub(crate) fn wait_stderr(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.stderr.wait(limit, wanted).unwrap_or_else(|| self.fail(what, limit))
    }

    /// The same, or none if the line does not come.
    pub(crate) fn try_wait_stderr(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.stderr.wait(limit, wanted)
    }

    #[track_caller]
    fn fail(&self, what: &str, limit: Duration) -> ! {
        panic!(
            "no {what} within {limit:?} from {}\nstdout:\n{}\nstderr:\n{}",
            self.line,
            self.stdout.all().join("\n"),
            self.stderr.all().join("\n")
        )
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub(crate) fn kill(self) -> Finished {
        self.signal(Signal::KILL);
        self.finish(RUN_LIMIT)
    }

    /// Kills it after so long, unless it has ended by then; what it ended with, if it has.
    pub(crate) fn kill_after(mut self, moment: Duration) -> Option<Finished> {
        let ended = self.ended_within(moment);
        let finished = self.kill();
        ended.map(|_| finished)
    }

    /// Blocks until something holds that only a look can tell.
    ///
    /// # Panics
    ///
    /// After the limit, or if the process ends before.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, limit: Duration, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + limit;
        while !holds() {
            if self.ended_within(MEMORY_INTERVAL).is_some() || Instant::now() > deadline {
                self.fail(what, limit);
            }
        }
    }

    fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.peak_memory_kib = self.peak_memory_kib.max(peak_memory_kib(self.pid()).unwrap_or(0));
        if self.status.is_none() {
            match self.exit.recv_timeout(limit) {
                Ok(status) => self.status = Some(status),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the waiter sends before it ends"),
            }
        }
        self.status
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// After the limit, with what it has said; it is killed then.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.ended_within(MEMORY_INTERVAL) {
                Some(status) => break status,
                None if Instant::now() > deadline => self.fail("end", limit),
                None => {}
            }
        };
        let elapsed = self.begin.elapsed();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        Finished {
            line: self.line.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
            elapsed,
            peak_memory_kib: self.peak_memory_kib,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        for thread in self.threads.drain(..) {
            // A second panic would hide the first.
            thread.join().ok();
        }
    }
}

impl Finished {
    /// Asserts the exit code, and shows everything if it is another one.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "exit code {code} expected: {self}");
        self
    }

    /// The lines of its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let parse =
            |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}: {self}"));
        self.stdout.iter().map(parse).collect()
    }

    /// Everything it has said.
    pub(crate) fn output(&self) -> String {
        format!("{}\n{}", self.stdout.join("\n"), self.stderr.join("\n"))
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        writeln!(f, "ended with code {:?}, signal {:?} after {:?}", self.code, self.signal, self.elapsed)?;
        writeln!(f, "stdout:\n{}", self.stdout.join("\n"))?;
        writeln!(f, "stderr:\n{}", self.stderr.join("\n"))
    }
}

/// Lines of an output, as far as they have come.
#[derive(Debug, Default)]
struct Lines {
    state: Mutex<LinesState>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn all(&self) -> Vec<String> {
        self.state.lock().unwrap().lines.clone()
    }

    fn wait(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let find = |state: &LinesState| state.lines.iter().find(|line| wanted(line)).cloned();
        let state = self.state.lock().unwrap();
        let (state, _) =
            self.change.wait_timeout_while(state, limit, |state| !state.ended && find(state).is_none()).unwrap();
        find(&state)
    }
}

fn read_lines(pipe: impl Read + Send + 'static, lines: &Arc<Lines>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            lines.state.lock().unwrap().lines.push(text);
            lines.change.notify_all();
            line.clear();
        }
        lines.state.lock().unwrap().ended = true;
        lines.change.notify_all();
    })
}

fn peak_memory_kib(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
