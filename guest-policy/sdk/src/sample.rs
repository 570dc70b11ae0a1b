//! Plausible contexts to start native unit tests from: a running download of one file from `https://origin.example/pub/file.bin`.

use crate::types::{
    Call, CostFlags, CostState, Direction, Failure, FailureClass, FailureContext, FileView, HostView, InterfaceKind,
    InterfaceView, JobView, LocalTime, NetworkView, Phase, Priority,
};
use crate::{network_cost, recovery, retry};

const NOW: u64 = 1_795_000_000_000;
const FILE_BYTES: u64 = 64 << 20;

/// A file that is a quarter there.
#[must_use]
pub fn file() -> FileView {
    FileView {
        index: 0,
        remote_name: "https://origin.example/pub/file.bin".to_owned(),
        local_name: "file.bin".to_owned(),
        bytes_total: Some(FILE_BYTES),
        bytes_transferred: FILE_BYTES / 4,
        done: false,
        restarts: 0,
    }
}

/// A job with BITS's defaults that runs under every cost but roaming.
#[must_use]
pub fn job() -> JobView {
    JobView {
        id: "01935a3e-0000-7000-8000-000000000001".to_owned(),
        owner: "1000".to_owned(),
        display_name: "sample".to_owned(),
        direction: Direction::Download,
        priority: Priority::Normal,
        labels: Vec::new(),
        files_total: 1,
        files_transferred: 0,
        bytes_total: Some(FILE_BYTES),
        bytes_transferred: FILE_BYTES / 4,
        cost_flags: CostFlags::all() & !CostFlags::ROAMING,
        error_count: 1,
        recoveries: 0,
        created_at: NOW - 60_000,
        started_at: Some(NOW - 50_000),
        last_progress_at: Some(NOW - 1_000),
        active_time: 49_000,
        deadline_at: None,
        minimum_retry_delay: 600_000,
        no_progress_timeout: 1_209_600_000,
        maximum_download_time: 7_776_000_000,
        attributes: Vec::new(),
    }
}

/// Connected by an ethernet interface that costs nothing.
#[must_use]
pub fn network() -> NetworkView {
    NetworkView {
        connected: true,
        interfaces: vec![InterfaceView {
            name: "eth0".to_owned(),
            kind: InterfaceKind::Ethernet,
            cost: CostState::Unrestricted,
            roaming: false,
            congested: false,
            attributes: Vec::new(),
        }],
        route: Some(0),
        on_battery: false,
        battery_saver: false,
        battery_percent: None,
        budgets: Vec::new(),
        attributes: Vec::new(),
    }
}

/// A call about [`job()`] and [`file()`] on [`network()`].
#[must_use]
pub fn call() -> Call {
    Call {
        decision_id: "01935a3e-0000-7000-8000-000000000002".to_owned(),
        now_at: NOW,
        local_time: LocalTime {
            year: 2026,
            month: 11,
            day: 18,
            weekday: 3,
            hour: 11,
            minute: 6,
            second: 40,
            utc_offset_minutes: 0,
            zone: "Etc/UTC".to_owned(),
        },
        seed: 42,
        memo: Vec::new(),
        job: job(),
        file: Some(file()),
        network: network(),
        host: HostView { running: 1, queued: 0, running_foreground: 0, bytes_per_second: 0 },
        attributes: Vec::new(),
    }
}

/// The connection closed while the body of [`file()`] was read.
#[must_use]
pub fn failure() -> Failure {
    Failure {
        at: NOW,
        code: "connection_closed".to_owned(),
        number: 0x8020_002e,
        context: FailureContext::Transport,
        phase: Phase::Body,
        class: FailureClass::Transient,
        http_status: None,
        message: "the connection was closed".to_owned(),
        retry_after: None,
        file: Some(file()),
        final_url: None,
        origin: None,
        response_headers: Vec::new(),
        body_excerpt: None,
        new_bytes: 1 << 20,
        duration: 4_000,
        attributes: Vec::new(),
    }
}

/// What `on-failure` is asked after the first [`failure()`].
#[must_use]
pub fn retry() -> retry::Context {
    retry::Context {
        call: call(),
        failure: failure(),
        built_in: retry::Verdict::Retry(600_000),
        failures_in_row: 1,
        since_progress: 1_000,
        no_progress_left: 1_209_599_000,
        history: Vec::new(),
    }
}

/// What `admit` is asked before the first attempt.
#[must_use]
pub fn network_cost() -> network_cost::Context {
    network_cost::Context {
        call: call(),
        cause: network_cost::Cause::Start,
        running: false,
        built_in: network_cost::Verdict::Allow,
        held_since: None,
    }
}

/// What `on-error` is asked when the server answers 404 for [`file()`].
#[must_use]
pub fn recovery() -> recovery::Context {
    let mut failure = failure();
    failure.code = "http".to_owned();
    failure.number = 0x8019_0194;
    failure.context = FailureContext::RemoteFile;
    failure.phase = Phase::Response;
    failure.class = FailureClass::Fatal;
    failure.http_status = Some(404);
    failure.message = "the server answered 404".to_owned();
    recovery::Context { call: call(), failure, recoveries: 0, last_recovery_at: None, history: Vec::new() }
}
