//! What a decision costs: the hook with a fresh instance, the whole host side included (fit, convert, call, check, row).
//!
//! `cargo bench --bench policy`. Ends with exit code 1 if a median of the embedded `standard` is over its bound.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::process::ExitCode;
use std::time::Duration;

use backhaul::clock::Stopwatch;
use backhaul::job::{DecisionId, ErrorContext, FailureClass, JobId, Phase, PolicyName};
use backhaul::policy::contract::{
    AdmitContext, AdmitVerdict, AttemptView, Call, Cause, FailureView, FileView, HostView, InterfaceView, JobView,
    LocalTime, NetworkView, OriginView, RecoveryContext, RetryContext, RetryVerdict,
};
use backhaul::policy::{Grants, NoFacts, Policies, PolicyConfig, PolicySource};
use backhaul::scheduler::{Ask, Question};

/// The bound on the median of `standard`.
const BOUND: Duration = Duration::from_micros(50);
const ROUNDS: usize = 20_000;
/// Rounds that are not counted: the pool's pages are touched, the caches filled.
const WARM_UP: usize = 2_000;

/// The failing file lies below the first of them.
const MIRRORS: &str = r#"{"mirrors": ["https://origin.example/pub/", "https://mirror.example/pub/"]}"#;

const NOW: u64 = 1_795_000_000_000;

fn url(number: u64) -> String {
    format!("https://origin.example/pub/releases/2026/11/backhaul-{number}.tar.zst")
}

fn file() -> FileView {
    FileView {
        index: 0,
        remote_name: url(0),
        local_name: "/srv/mirror/pub/backhaul-0.tar.zst".into(),
        bytes_total: Some(64 << 20),
        bytes_transferred: 16 << 20,
        done: false,
        restarts: 0,
    }
}

fn job() -> JobView {
    JobView {
        id: JobId::generate().to_string(),
        owner: "uid:1000".into(),
        display_name: "nightly mirror of the releases".into(),
        direction: backhaul::job::Direction::Download,
        priority: backhaul::job::Priority::Normal,
        labels: vec![("team".into(), "infrastructure".into()), ("window".into(), "night".into())],
        files_total: 3,
        files_transferred: 1,
        bytes_total: Some(192 << 20),
        bytes_transferred: 80 << 20,
        cost_flags: 0x8000_007f,
        error_count: 5,
        recoveries: 0,
        created_at: NOW - 3_600_000,
        started_at: Some(NOW - 3_500_000),
        last_progress_at: Some(NOW - 1_000),
        active_time: 49_000,
        deadline_at: None,
        minimum_retry_delay: 600_000,
        no_progress_timeout: 1_209_600_000,
        maximum_download_time: 7_776_000_000,
        attributes: Vec::new(),
    }
}

/// A context as a host under way has it: five attempts, two interfaces, response headers.
fn context() -> RetryContext {
    let attempt = |number| AttemptView {
        started_at: NOW - 100_000 * number,
        ended_at: NOW - 90_000 * number,
        remote_name: url(number),
        new_bytes: 1 << 20,
        code: "connection_closed".into(),
        http_status: None,
    };
    let interface = |name: &str| InterfaceView {
        name: name.into(),
        kind: backhaul::network::InterfaceKind::Ethernet,
        cost: backhaul::job::CostState::Unrestricted,
        roaming: false,
        congested: false,
        attributes: Vec::new(),
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let failure = FailureView {
        at: NOW,
        code: "http".into(),
        number: 0x8019_01f7,
        context: ErrorContext::RemoteFile,
        phase: Phase::Response,
        class: FailureClass::Transient,
        http_status: Some(503),
        message: "the origin answered 503 Service Unavailable".into(),
        retry_after: Some(120_000),
        file: Some(file()),
        final_url: Some(url(0)),
        origin: Some(OriginView {
            origin: "https://origin.example".into(),
            running: 1,
            failures_in_row: 2,
            last_success_at: Some(NOW - 5_000),
            not_before_at: Some(NOW + 120_000),
        }),
        response_headers: vec![
            header("server", "nginx"),
            header("date", "Wed, 18 Nov 2026 11:06:40 GMT"),
            header("content-type", "text/html"),
            header("retry-after", "120"),
        ],
        body_excerpt: Some("<html><body><h1>503 Service Unavailable</h1></body></html>".into()),
        new_bytes: 1 << 20,
        duration: 4_000,
        attributes: Vec::new(),
    };
    let call = Call {
        decision_id: "0193e8a0-0000-7000-8000-000000000001-7".into(),
        now_at: NOW,
        local_time: LocalTime::default(),
        seed: 42,
        memo: Vec::new(),
        job: job(),
        file: Some(file()),
        network: NetworkView {
            connected: true,
            interfaces: vec![interface("eth0"), interface("wlan0")],
            route: Some(0),
            on_battery: false,
            battery_saver: false,
            battery_percent: None,
            budgets: Vec::new(),
            attributes: Vec::new(),
        },
        host: HostView { running: 3, queued: 250, running_foreground: 1, bytes_per_second: 12_000_000 },
        attributes: Vec::new(),
    };
    RetryContext {
        call,
        failure,
        built_in: RetryVerdict::Default,
        failures_in_row: 2,
        since_progress: 1_000,
        no_progress_left: 1_209_599_000,
        history: (1..=5).map(attempt).collect(),
    }
}

/// The questions of the three hooks.
fn questions() -> [(&'static str, Question); 3] {
    let RetryContext { call, failure, history, .. } = context();
    let admit = AdmitContext {
        call: call.clone(),
        cause: Cause::Start,
        running: false,
        built_in: AdmitVerdict::Default,
        held_since: None,
    };
    let failure = FailureView { class: FailureClass::Fatal, http_status: Some(404), retry_after: None, ..failure };
    let recovery = RecoveryContext { call, failure, recoveries: 0, last_recovery_at: None, history };
    [
        ("retry", Question::Retry(Box::new(context()))),
        ("network-cost", Question::Admit(Box::new(admit))),
        ("recovery", Question::Recover(Box::new(recovery))),
    ]
}

fn ask(policies: &[&str], question: Question) -> Ask {
    Ask {
        job: JobId::generate(),
        generation: 1,
        decision: DecisionId("0193e8a0-0000-7000-8000-000000000001-7".into()),
        policies: policies.iter().map(|name| PolicyName((*name).into())).collect(),
        question,
    }
}

/// Runs it, prints its figures, and gives the median.
fn measured(what: &str, mut run: impl FnMut()) -> Duration {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let stopwatch = Stopwatch::start();
        run();
        let time = stopwatch.elapsed();
        if round >= WARM_UP {
            times.push(time);
        }
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1e6;
    println!("{what:<46} median {:>7.1} µs   p90 {:>7.1}   p99 {:>7.1}", at(500), at(900), at(990));
    times[times.len() / 2]
}

fn main() -> ExitCode {
    let policies = Policies::start(PolicyConfig::default()).expect("the runtime starts");
    for (name, settings) in [("standard", ""), ("mirrors", MIRRORS)] {
        let stopwatch = Stopwatch::start();
        let source = PolicySource::Embedded(name.into());
        policies.load(&source, settings.to_owned(), Grants::default()).expect("the embedded policy loads");
        let what = format!("load {name} (compile, try, describe)");
        println!("{what:<46} {:.1} ms", stopwatch.elapsed().as_secs_f64() * 1e3);
    }
    let mut slowest = Duration::ZERO;
    for (hook, question) in questions() {
        for policy in ["built-in", "standard", "mirrors"] {
            let names: &[&str] = if policy == "built-in" { &[] } else { &[policy] };
            let ask = ask(names, question.clone());
            let answered = policies.answer_blocking(&ask, Box::new(NoFacts));
            // A policy without this hook is not asked.
            if answered.decisions[0].policy.0 != policy {
                continue;
            }
            let median = measured(&format!("{policy}, {hook}"), || {
                drop(policies.answer_blocking(&ask, Box::new(NoFacts)));
            });
            if policy == "standard" {
                slowest = slowest.max(median);
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    let component = ask(&["standard"], Question::Retry(Box::new(context())));
    measured("standard, retry, on the policy thread", || {
        drop(runtime.block_on(policies.answer(component.clone(), Box::new(NoFacts))));
    });
    let one = policies.answer_blocking(&component, Box::new(NoFacts)).decisions.remove(0);
    measured("its decision row as JSON, on the store's thread", || drop(serde_json::to_string(&one)));
    println!("fuel {}, peak memory {} KiB", one.fuel, one.peak_memory >> 10);
    if slowest > BOUND {
        println!("FAILED: a median of standard is over {} µs", BOUND.as_micros());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
