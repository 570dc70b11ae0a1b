//! What one host costs with 100,000 queued jobs and a million files, half of the jobs held by a policy: `cargo bench --bench scheduler`.
//! Figures for people; nothing depends on them. `BACKHAUL_BENCH_STATE` names a directory whose store is kept and used again: making it
//! takes a minute.

#![expect(clippy::print_stdout, reason = "the figures are what this is for")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backhaul::clock::{BootMillis, Now};
use backhaul::host::{Host, HostConfig};
use backhaul::job::{
    CostFlags, CostState, FileSpec, JobFilter, JobId, JobSpec, JobState, LocalName, PolicyName, Properties,
};
use backhaul::network::{Interface, Network};
use backhaul::scheduler::{
    Admission, AdmitAnswer, Answer, Because, Begin, Command, Core, Effect, Input, Limits, Question, RecoverAnswer,
    Recovery, Report, RetryAnswer, SchedulerConfig,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;
use tokio::time::Instant;

const JOBS: u32 = 100_000;
const FILES_EACH: u32 = 10;
/// Clients that make them.
const CLIENTS: u32 = 100;
/// What the process is told that measures.
const MEASURE: &str = "measure";
/// Pages of a list that are timed, and jobs of each.
const PAGES: usize = 2_000;
const PAGE: usize = 100;
/// Slots that come free.
const SLOTS: u32 = 5_000;
/// Time after which everything that a change of the network brings with it is over.
const SETTLED: Duration = Duration::from_secs(5);

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [first, state, origin] = words.as_slice()
        && first == MEASURE
    {
        return runtime().block_on(measure(Path::new(state), origin));
    }
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BACKHAUL_BENCH_STATE").map(std::path::PathBuf::from);
    let state = kept.unwrap_or_else(|| temporary.path().join("state"));
    // Takes connections, and answers none: the one job that runs keeps its slot.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    if !state.exists() {
        let begin = Instant::now();
        runtime().block_on(fill(&state));
        println!("{:9.1} s   to make {JOBS} jobs with {FILES_EACH} files each", begin.elapsed().as_secs_f64());
    }
    // What memory a process needs shows itself only in one that never needed more.
    let arguments = [MEASURE.as_ref(), state.as_os_str(), origin.as_ref()];
    let measured = std::process::Command::new(std::env::current_exe().unwrap()).args(arguments).status();
    assert!(measured.unwrap().success());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn offline() -> Network {
    Network { connected: false, ..Network::default() }
}

/// One on which jobs that want a free network are held.
fn dear() -> Network {
    let interface = Interface { name: "wwan0".into(), cost: CostState::UsageBased, ..Interface::default() };
    Network { interfaces: vec![interface], ..Network::default() }
}

async fn start(state: &Path, network: Network) -> Host {
    let limits = Limits { jobs: JOBS + 10, jobs_per_owner: JOBS + 10, ..Limits::default() };
    let scheduler = SchedulerConfig { limits, ..SchedulerConfig::default() };
    Host::start(HostConfig { network, scheduler, ..HostConfig::new(state) }).await.unwrap()
}

async fn fill(state: &Path) {
    let host = Arc::new(start(state, offline()).await);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let host = Arc::clone(&host);
        clients.spawn(async move {
            for number in 0..JOBS / CLIENTS {
                let held = number.is_multiple_of(2);
                create(&host, client, number, if held { CostFlags::UNRESTRICTED } else { CostFlags::ALWAYS }).await;
            }
        });
    }
    clients.join_all().await;
    host.shutdown().await;
}

async fn create(host: &Host, client: u32, number: u32, cost_flags: CostFlags) {
    let file = |file: u32| {
        let url = format!("http://127.0.0.1:9/files/{client}/number-{number}/{file}.bin").parse().unwrap();
        FileSpec::new(url, LocalName::new(format!("/nowhere/{client}/{number}/{file}.bin").into()).unwrap())
    };
    let properties = Properties { cost_flags, ..Properties::default() };
    let owner = format!("uid:{}", 1000 + client % 10);
    let spec = JobSpec { display_name: "a job".into(), properties, ..JobSpec::download(owner) };
    host.create_once(spec, (0..FILES_EACH).map(file).collect(), Begin::Resumed, None).await.unwrap();
}

async fn measure(state: &Path, origin: &str) {
    let (begin, cpu, before) = (Instant::now(), cpu_ms(), resident_mib());
    let host = start(state, offline()).await;
    let first = host.list(&JobFilter::default(), None, PAGE).jobs;
    let (took, cpu) = (begin.elapsed().as_secs_f64(), (cpu_ms() - cpu) / 1e3);
    println!("{took:9.2} s   from the start to the first answer, {cpu:.2} s of CPU time");
    let resident = resident_mib();
    println!(
        "{resident:9.1} MiB resident, {:.0} bytes a job",
        (resident - before) * f64::from(1 << 20) / f64::from(JOBS)
    );
    lists(&host, first[0].record.id);
    // One that takes the slot, and keeps it.
    let url = format!("{origin}/silent").parse().unwrap();
    let spec = JobSpec {
        properties: Properties { priority: backhaul::job::Priority::High, ..Properties::default() },
        ..JobSpec::download("uid:1")
    };
    let file = FileSpec::new(url, LocalName::new(state.join("never")).unwrap());
    let silent = host.create_once(spec, vec![file], Begin::Resumed, None).await.unwrap().job.id;
    host.set_network(dear()).await;
    wait(&host, silent, JobState::Connecting).await;
    link(&host, first[0].record.id).await;
    println!("{:9.1} MiB resident after it", resident_mib());
    // None of the others gets its slot: the store can be used again.
    host.set_network_override(Some(offline())).await.unwrap();
    host.command(Command::Cancel(silent)).await.unwrap();
    host.set_network(offline()).await;
    host.set_network_override(None).await.unwrap();
    host.shutdown().await;
    drop(host);
    slots(state).await;
}

fn lists(host: &Host, first: JobId) {
    let mut times = Vec::new();
    let mut after = Some(first);
    while times.len() < PAGES {
        let begin = Instant::now();
        let page = host.list(&JobFilter::default(), after, PAGE);
        times.push(begin.elapsed());
        after = page.next;
    }
    told("a page of a list", times);
    let filter = JobFilter { states: vec![JobState::Transferred], ..JobFilter::default() };
    let begin = Instant::now();
    assert!(host.list(&filter, None, PAGE).jobs.is_empty());
    println!("{:9.2} ms  for a list that no job matches", begin.elapsed().as_secs_f64() * 1e3);
}

/// The network goes and comes back.
async fn link(host: &Host, job: JobId) {
    tokio::time::sleep(SETTLED).await;
    let idle = cpu_ms();
    tokio::time::sleep(SETTLED).await;
    println!("{:9.1} ms  of CPU time in {SETTLED:?} without anything", cpu_ms() - idle);
    for (what, network) in [("down", offline()), ("up", dear())] {
        let (before, begin) = (cpu_ms(), Instant::now());
        host.set_network_override(Some(network)).await.unwrap();
        let answered = begin.elapsed();
        let state = host.job(job).unwrap().state;
        tokio::time::sleep(SETTLED).await;
        let spent = cpu_ms() - before;
        println!(
            "{spent:9.1} ms  of CPU time for a link that goes {what}; said after {:.1} ms, and then a job is {}",
            answered.as_secs_f64() * 1e3,
            state.name()
        );
    }
}

async fn wait(host: &Host, job: JobId, wanted: JobState) {
    let mut changes = host.changes();
    while host.job(job).unwrap().state != wanted {
        changes.changed().await.unwrap();
    }
}

/// The core alone, with the store's jobs: how long it takes from the end of a worker to the start of the next.
async fn slots(state: &Path) {
    let host = start(state, offline()).await;
    let records = host.read(|reader| reader.jobs_not_final()).await.unwrap();
    host.shutdown().await;
    drop(host);
    let before = resident_mib();
    let mut world = World { core: Core::new(SchedulerConfig::default(), 1), now: Now::read(), running: None };
    world.feed(Input::NetworkChanged(dear()));
    let begin = Instant::now();
    for record in records {
        world.feed(Input::Loaded(Box::new(record)));
    }
    world.feed(Input::LoadingDone);
    println!("{:9.1} ms  for the core to load them", begin.elapsed().as_secs_f64() * 1e3);
    println!("{:9.1} MiB more or less with the core alone", resident_mib() - before);
    while world.core.next_deadline().is_some_and(|due| due <= world.now.boot) {
        world.feed(Input::Tick);
    }
    let (mut times, mut worst_asks) = (Vec::new(), 0);
    for _ in 0..SLOTS {
        let (job, attempt) = world.running.take().unwrap();
        world.now.boot = BootMillis(world.now.boot.0 + 10);
        let begin = Instant::now();
        let report = Report::Failed(Box::new(failure(world.now)));
        let mut asks = world.feed(Input::Report { job, attempt, report });
        while world.running.is_none() {
            asks += world.feed(Input::Tick);
        }
        times.push(begin.elapsed());
        worst_asks = worst_asks.max(asks);
    }
    println!("{worst_asks:9}     questions at most between them");
    told("from a slot that comes free to the next worker, in the core", times);
}

/// A core without a disk, whose policy holds what wants a free network.
struct World {
    core: Core,
    now: Now,
    running: Option<(JobId, backhaul::job::AttemptNumber)>,
}

impl World {
    /// An input with all answers. Returns how many there were.
    fn feed(&mut self, input: Input) -> usize {
        self.core.begin_batch();
        let (mut inputs, mut asks) = (vec![input], 0);
        while let Some(input) = inputs.pop() {
            let step = self.core.handle(self.now, input);
            asks += step.asks.len();
            inputs.extend(step.asks.into_iter().map(|ask| Input::Answer {
                job: ask.job,
                generation: ask.generation,
                answer: answer(&ask.question),
            }));
            for effect in step.effects {
                if let Effect::StartWorker(assignment) = effect {
                    self.running = Some((assignment.job, assignment.attempt));
                }
            }
        }
        asks
    }
}

fn answer(question: &Question) -> Answer {
    let because = Because { policy: PolicyName("thrift".into()), code: "cost".into(), note: String::new() };
    match question {
        Question::Admit(context) => {
            let allowed = context.call.job.cost_flags & CostFlags::of(CostState::UsageBased).0 != 0;
            let admission = if allowed { Admission::Allow } else { Admission::Hold(None) };
            Answer::Admit(AdmitAnswer { admission, because })
        }
        Question::Retry(_) => Answer::Retry(RetryAnswer { retry_after_ms: Some(600_000), because }),
        Question::Recover(_) => Answer::Recover(RecoverAnswer { recovery: Recovery::Leave, because }),
    }
}

fn failure(now: Now) -> backhaul::job::Failure {
    use backhaul::job::{ErrorCode, ErrorContext, Failure, FailureClass, JobError, Phase};
    let error = JobError {
        code: ErrorCode::ConnectionClosed,
        context: ErrorContext::Transport,
        class: FailureClass::Transient,
        http_status: None,
        file: None,
        description: "the connection was closed".into(),
    };
    Failure {
        error,
        phase: Phase::Body,
        at: now.wall,
        retry_after_ms: None,
        remote_name: None,
        final_url: None,
        file: None,
        origin: None,
        response_headers: Vec::new(),
        body_excerpt: None,
    }
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{:9.3} ms  p99 {what} (median {:.3}, most {:.3})", at(0.99), at(0.5), at(1.0));
}

/// Milliseconds of CPU time that this process has used.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Memory of this process that is in RAM.
fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u32 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    f64::from(pages) * 4096.0 / f64::from(1 << 20)
}
