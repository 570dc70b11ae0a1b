//! What follows a failed attempt.

use super::harness::{World, because, checkpoint, defaults, failure, fatal, file_done, properties, transient};
use crate::job::{
    ErrorCode, EventKind, FailureClass, FileIndex, FileSummary, JobId, JobState, Priority, Properties, SafeUrl,
};
use crate::policy::contract::Change;
use crate::scheduler::{
    Answer, Ask, Command, Effect, Input, Question, RecoverAnswer, Recovery, Report, RetryAnswer, SchedulerConfig, Write,
};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

fn recover_by(recovery: Recovery) -> impl FnMut(&Ask) -> Answer {
    move |ask| match &ask.question {
        Question::Recover(_) => {
            Answer::Recover(RecoverAnswer { recovery: recovery.clone(), because: because("mirrors") })
        }
        _ => defaults(ask),
    }
}

fn resume(changes: Vec<Change>, after_ms: u64) -> Recovery {
    Recovery::Resume { changes, after_ms, files: vec![] }
}

fn code(world: &World, job: JobId) -> ErrorCode {
    world.record(job).error.as_ref().unwrap().code
}

#[test]
fn a_transient_error_is_tried_again_after_the_jobs_delay() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, transient());
    let record = world.record(job);
    assert_eq!(record.state, JobState::TransientError);
    assert_eq!((record.error_count, record.failures_in_row, record.history.len()), (1, 1, 1));
    assert_eq!(record.retry.unwrap().delay_ms, 10_000);
    assert_eq!(record.history[0].remote_name, "http://origin/a?...");
    assert_eq!(world.reported(job), (JobState::TransientError, Some("retry_delay")));
    world.pass(9_999);
    assert_eq!(world.state(job), JobState::TransientError);
    world.pass(1);
    assert_eq!(world.state(job), JobState::Connecting);
    assert_eq!(code(&world, job), ErrorCode::ConnectionClosed, "the error stays until bytes move");
    world.report(job, Report::Connected);
    assert_eq!(world.record(job).error, None);
    assert_eq!(world.journal(job), ["job_created", "attempt_failed", "decision_applied"]);
}

#[test]
fn progress_ends_the_row_of_failures_but_not_the_count() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, transient());
    world.pass(10_000);
    world.report(job, checkpoint(0, 10));
    assert_eq!((world.record(job).failures_in_row, world.record(job).error_count), (0, 1));
    world.report(job, transient());
    assert_eq!((world.record(job).failures_in_row, world.record(job).error_count), (1, 2));
}

#[test]
fn no_retry_comes_before_the_floor_or_the_origins_time() {
    let mut world = world();
    world.policies = Box::new(|ask| match &ask.question {
        Question::Retry(_) => Answer::Retry(RetryAnswer { retry_after_ms: Some(0), because: because("eager") }),
        _ => defaults(ask),
    });
    let job = world.launch(1, 1, properties());
    world.report(job, transient());
    assert_eq!(world.record(job).retry.unwrap().delay_ms, 5_000);
    world.pass(5_000);
    let mut busy = failure(ErrorCode::Http, FailureClass::Transient);
    busy.error.http_status = Some(503);
    busy.retry_after_ms = Some(30_000);
    world.report(job, Report::Failed(Box::new(busy)));
    assert_eq!(world.record(job).retry.unwrap().delay_ms, 30_000);
    // Another job of the same origin waits as well; it is no error of its own.
    let other = world.launch(2, 1, properties());
    assert_eq!(world.reported(other), (JobState::Queued, Some("origin")));
    world.pass(30_000);
    assert!([job, other].into_iter().any(|job| world.state(job) == JobState::Connecting));
}

#[test]
fn an_origin_cannot_ask_for_more_than_a_day() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    let mut busy = failure(ErrorCode::Http, FailureClass::Transient);
    busy.retry_after_ms = Some(u64::MAX);
    world.report(job, Report::Failed(Box::new(busy)));
    assert_eq!(world.record(job).retry.unwrap().delay_ms, 86_400_000);
}

#[test]
fn a_fatal_error_is_an_error_unless_a_policy_repairs_it() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, fatal());
    assert_eq!(world.state(job), JobState::Error);
    assert_eq!(world.record(job).error_count, 1);
    assert_eq!(
        world.journal(job),
        ["job_created", "attempt_failed", "decision_applied", "decision_applied", "job_error"]
    );
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_repaired_job_is_never_seen_in_error() {
    let mut world = world();
    let change = Change::SetRemoteName(0, "http://user:pw@mirror/a?token".into());
    world.policies = Box::new(recover_by(resume(vec![change], 0)));
    let job = world.launch(1, 1, properties());
    world.take_effects();
    world.report(job, fatal());
    assert_eq!(world.state(job), JobState::Connecting);
    assert_eq!(world.states(job), [JobState::Queued, JobState::Connecting, JobState::Queued, JobState::Connecting]);
    let record = world.record(job);
    assert_eq!((record.recoveries, record.error_count, record.attempt.0), (1, 1, 2));
    assert_eq!(record.last_recovery_at, Some(world.now.wall));
    let url = world.store.files[&(job, 0)].remote_name.as_ref().unwrap();
    assert_eq!(url.expose().as_str(), "http://user:pw@mirror/a?token");
    assert_eq!(world.journal(job).last().unwrap(), "recovered");
    let recovered = world.store.journal.iter().find_map(|(_, kind)| match kind {
        EventKind::Recovered { policy, changes } => Some((policy.0.clone(), changes.clone())),
        _ => None,
    });
    assert_eq!(recovered, Some(("mirrors".into(), vec!["set_remote_name of file 0 to http://mirror/a?...".into()])));
}

#[test]
fn a_repaired_job_waits_as_long_as_the_plan_says() {
    let mut world = world();
    let changes = vec![
        Change::SetPriority(Priority::High),
        Change::SetMinimumRetryDelay(7_000),
        Change::SetNoProgressTimeout(70_000),
        Change::SetCostFlags(1),
    ];
    world.policies = Box::new(recover_by(resume(changes, 2_500)));
    let job = world.launch(1, 1, properties());
    world.report(job, fatal());
    assert_eq!(world.state(job), JobState::TransientError);
    let properties = &world.record(job).properties;
    assert_eq!((properties.priority, properties.minimum_retry_delay_ms), (Priority::High, 7_000));
    assert_eq!((properties.no_progress_timeout_ms, properties.cost_flags.0), (70_000, 1));
    world.pass(2_499);
    assert_eq!(world.state(job), JobState::TransientError);
    world.pass(1);
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_plan_is_carried_out_whole_or_not_at_all() {
    for bad in [
        Change::SetRemoteName(1, "http://mirror/a".into()),
        Change::SetRemoteName(0, "ftp://mirror/a".into()),
        Change::SetHeader("a".into(), "b".into()),
        Change::RestartFile(0),
        Change::SetNoProgressTimeout(u64::MAX),
        Change::ReplaceRemotePrefix(String::new(), "http://mirror".into()),
    ] {
        let mut world = world();
        let good = Change::SetPriority(Priority::Low);
        let rename = Change::SetRemoteName(0, "http://mirror/a".into());
        world.policies = Box::new(recover_by(resume(vec![good, rename, bad], 0)));
        let job = world.launch(1, 1, properties());
        let before = world.store.files.clone();
        world.report(job, fatal());
        assert_eq!(world.state(job), JobState::Error);
        assert_eq!((world.record(job).recoveries, world.record(job).properties.priority), (0, Priority::Normal));
        assert_eq!(world.store.files, before);
    }
}

#[test]
fn a_file_that_a_plan_restarts_gives_up_its_bytes() {
    let mut world = world();
    world.policies = Box::new(recover_by(resume(vec![Change::RestartFile(0), Change::RestartFile(0)], 0)));
    let job = world.launch(1, 2, properties());
    world.report(job, checkpoint(0, 40));
    world.report(job, fatal());
    let record = world.record(job);
    assert_eq!((record.bytes_transferred, record.files_sized, record.progress_bytes), (0, 0, 40));
    assert_eq!(world.store.files[&(job, 0)].restarts, 1);
    // One that this attempt did not touch comes with the answer.
    let looked_up = FileSummary {
        index: FileIndex(1),
        remote_name: SafeUrl::parse("http://origin/1").unwrap(),
        local_name: "/tmp/file".into(),
        bytes_total: Some(100),
        durable: 100,
        finished: true,
        restarts: 0,
    };
    world.report(job, file_done(1));
    world.report(job, transient());
    world.pass(10_000);
    let recovery = Recovery::Resume { changes: vec![Change::RestartFile(1)], after_ms: 0, files: vec![looked_up] };
    world.policies = Box::new(recover_by(recovery));
    world.report(job, fatal());
    assert_eq!((world.record(job).files_transferred, world.record(job).bytes_transferred), (0, 0));
}

#[test]
fn a_size_that_only_a_failure_names_is_not_taken_back() {
    let mut world = world();
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    let summary = FileSummary {
        index: FileIndex(1),
        remote_name: SafeUrl::parse("http://origin/1").unwrap(),
        local_name: "/tmp/file".into(),
        bytes_total: None,
        durable: 0,
        finished: false,
        restarts: 0,
    };
    let recovery =
        Recovery::Resume { changes: vec![Change::RestartFile(1)], after_ms: 0, files: vec![summary.clone()] };
    world.policies = Box::new(recover_by(recovery));
    // The origin has said the size, and closed before a byte of it was durable.
    let mut failure = failure(ErrorCode::Http, FailureClass::Fatal);
    failure.file = Some(Box::new(FileSummary { bytes_total: Some(70), ..summary }));
    world.report(job, Report::Failed(Box::new(failure)));
    let record = world.record(job);
    assert_eq!((record.recoveries, record.files_sized, record.bytes_sized), (1, 1, 100));
}

#[test]
fn a_prefix_is_replaced_by_a_set_statement() {
    let mut world = world();
    let change = Change::ReplaceRemotePrefix("http://origin/".into(), "http://mirror/".into());
    world.policies = Box::new(recover_by(resume(vec![change], 0)));
    let job = world.launch(1, 1, properties());
    let attempt = world.record(job).attempt;
    let step = world.core.handle(world.now, Input::Report { job, attempt, report: fatal() });
    let mut asks = step.asks;
    let mut writes = step.writes;
    while let Some(ask) = asks.pop() {
        let answer = (world.policies)(&ask);
        let step = world.core.handle(world.now, Input::Answer { job, generation: ask.generation, answer });
        asks.extend(step.asks);
        writes.extend(step.writes);
    }
    assert!(writes.iter().any(|write| matches!(write, Write::ReplaceRemotePrefix { .. })));
}

#[test]
fn repairs_are_bounded_by_a_bucket() {
    let config = SchedulerConfig { recovery_burst: 3, recoveries_per_job: 5, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    world.policies = Box::new(recover_by(resume(vec![], 0)));
    let job = world.launch(1, 1, properties());
    for _ in 0..3 {
        world.report(job, fatal());
        assert_eq!(world.state(job), JobState::Connecting);
    }
    world.report(job, fatal());
    assert_eq!(world.state(job), JobState::Error);
    world.pass(600_000);
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.report(job, fatal());
    world.report(job, fatal());
    assert_eq!((world.state(job), world.record(job).recoveries), (JobState::Connecting, 5));
    world.pass(600_000);
    world.report(job, fatal());
    assert_eq!(world.state(job), JobState::Error, "a job has so many repairs in its life");
}

#[test]
fn a_job_has_eight_repairs_at_once_and_one_a_minute_after_that() {
    const MINUTE_MS: u64 = 60_000;
    assert_eq!(SchedulerConfig::default().recoveries_per_job, 100);
    let mut world = World::new(SchedulerConfig::default());
    world.policies = Box::new(recover_by(resume(vec![], 0)));
    let job = world.launch(1, 1, properties());
    let repaired = |world: &mut World| {
        world.report(job, fatal());
        let repaired = world.state(job) == JobState::Connecting;
        if !repaired {
            assert_eq!(world.state(job), JobState::Error);
            world.command(Command::Resume(job)).unwrap().unwrap();
        }
        repaired
    };
    assert!((0..8).all(|_| repaired(&mut world)));
    assert!(!repaired(&mut world));
    world.pass(MINUTE_MS - 1);
    assert!(!repaired(&mut world), "a minute is not over");
    world.pass(1);
    assert!(repaired(&mut world) && !repaired(&mut world), "one more, and no other");
    world.pass(100 * MINUTE_MS);
    assert!((0..8).all(|_| repaired(&mut world)));
    assert!(!repaired(&mut world), "it holds no more than eight");
}

#[test]
fn a_policy_may_end_a_job_instead_of_leaving_it_in_error() {
    for (recovery, state) in [(Recovery::Complete, JobState::Acknowledged), (Recovery::Cancel, JobState::Cancelled)] {
        let mut world = world();
        world.policies = Box::new(recover_by(recovery));
        let job = world.launch(1, 2, properties());
        world.report(job, file_done(0));
        world.report(job, fatal());
        world.report(job, Report::Published { files_published: 1, error: None, lost: vec![] });
        world.report(job, Report::PartsDeleted { files_left: 0 });
        assert_eq!(world.state(job), state);
        assert!(!world.states(job).contains(&JobState::Error));
    }
}

#[test]
fn a_job_that_a_policy_cannot_complete_is_in_error_after_all() {
    let mut world = world();
    world.policies = Box::new(recover_by(Recovery::Complete));
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    world.report(job, fatal());
    let error = super::harness::error(ErrorCode::LocalFileExists, FailureClass::Fatal);
    world.report(job, Report::Published { files_published: 0, error: Some(error), lost: vec![] });
    assert_eq!((world.state(job), code(&world, job)), (JobState::Error, ErrorCode::Http));
}

#[test]
fn a_timeout_of_zero_makes_every_error_fatal() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 0, ..properties() });
    world.report(job, transient());
    assert_eq!(world.state(job), JobState::Error);
    assert!(!world.states(job).contains(&JobState::TransientError));
}

#[test]
fn a_delay_that_outlasts_the_timeout_means_no_retry() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 9_999, ..properties() });
    world.report(job, transient());
    assert_eq!(world.state(job), JobState::Error);
}

#[test]
fn a_job_without_progress_ends_in_error_with_its_last_error() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 25_000, ..properties() });
    world.pass(6_000);
    world.report(job, transient());
    world.pass(10_000);
    assert_eq!(world.state(job), JobState::Connecting);
    world.report(job, transient());
    world.pass(8_999);
    assert_eq!(world.state(job), JobState::TransientError);
    world.pass(1);
    assert_eq!((world.state(job), code(&world, job)), (JobState::Error, ErrorCode::ConnectionClosed));
    assert_eq!(world.record(job).error_count, 2, "the timeout is no failure of its own");
    // Whoever resumes it gives it its time again.
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.report(job, transient());
    assert_eq!(world.state(job), JobState::TransientError);
}

#[test]
fn an_expired_timeout_counts_at_the_next_failure_and_not_before() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 25_000, ..properties() });
    world.report(job, Report::Connected);
    world.pass(30_000);
    assert_eq!(world.state(job), JobState::Transferring);
    world.report(job, transient());
    assert_eq!(world.state(job), JobState::Error);
}

#[test]
fn progress_and_standing_still_do_not_use_up_the_timeout() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 25_000, ..properties() });
    world.pass(20_000);
    world.report(job, checkpoint(0, 10));
    assert_eq!(world.record(job).no_progress_ms, 0);
    world.pass(5_000);
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.report(job, Report::Stopped);
    world.pass(100_000);
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.report(job, transient());
    assert_eq!((world.state(job), world.record(job).no_progress_ms), (JobState::TransientError, 5_000));
}

#[test]
fn a_maximum_download_time_counts_running_only_and_stops_the_worker() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { maximum_download_time_ms: 20_000, ..properties() });
    world.pass(15_000);
    world.report(job, transient());
    world.pass(10_000);
    assert_eq!(world.record(job).active_ms, 15_000);
    world.take_effects();
    world.pass(4_999);
    assert_eq!(world.state(job), JobState::Connecting);
    world.pass(1);
    assert_eq!((world.state(job), code(&world, job)), (JobState::Error, ErrorCode::MaxdownloadTimeout));
    assert!(world.was_stopped(job));
    world.report(job, checkpoint(0, 10));
    assert_eq!(world.record(job).bytes_transferred, 10, "what it had is kept");
    world.report(job, Report::Stopped);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!((world.state(job), world.record(job).active_ms), (JobState::Connecting, 0));
}

#[test]
fn a_wait_for_a_retry_survives_a_restart_and_a_clock_that_was_set() {
    let config = SchedulerConfig::default;
    for (set_clock, left) in [(4_000_i64, 6_000), (-1_000_000, 10_000), (60_000, 0)] {
        let mut world = world();
        let job = world.launch(1, 1, properties());
        world.report(job, transient());
        world.now.wall.0 = world.now.wall.0.saturating_add_signed(set_clock);
        world.restart(config());
        if left > 0 {
            world.pass(left - 1);
            assert_eq!(world.state(job), JobState::TransientError, "{set_clock}");
        }
        world.pass(1);
        assert_eq!(world.state(job), JobState::Connecting, "{set_clock}");
    }
}

#[test]
fn a_full_disk_is_a_gate_that_opens_when_there_is_space() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, checkpoint(0, 40));
    world.take_effects();
    world.report(job, Report::Failed(Box::new(failure(ErrorCode::DiskFull, FailureClass::Transient))));
    assert_eq!((world.record(job).error_count, world.record(job).failures_in_row), (0, 0));
    assert_eq!(world.reported(job), (JobState::TransientError, Some("disk_full")));
    assert!(!world.asks.iter().any(|ask| matches!(ask.question, Question::Retry(_))), "no policy is asked");
    world.pass(5_000);
    assert!(world.take_effects().contains(&Effect::ProbeSpace(job)));
    world.feed(Input::Space { job, bytes_available: 59 });
    assert_eq!(world.state(job), JobState::TransientError);
    world.pass(5_000);
    assert!(world.take_effects().contains(&Effect::ProbeSpace(job)));
    world.restart(SchedulerConfig::default());
    assert_eq!(world.reported(job), (JobState::TransientError, Some("disk_full")));
    world.feed(Input::Space { job, bytes_available: 60 });
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_try_in_vain_waits_for_more_space_or_a_minute() {
    let mut world = world();
    let full = || Report::Failed(Box::new(failure(ErrorCode::DiskFull, FailureClass::Transient)));
    let job = world.launch(1, 1, properties());
    world.report(job, full());
    world.feed(Input::Space { job, bytes_available: 2 << 20 });
    assert_eq!(world.state(job), JobState::Connecting);
    world.report(job, full());
    world.feed(Input::Space { job, bytes_available: 2 << 20 });
    assert_eq!(world.state(job), JobState::TransientError);
    world.feed(Input::Space { job, bytes_available: 3 << 20 });
    assert_eq!(world.state(job), JobState::Connecting);
    world.report(job, full());
    world.pass(60_000);
    world.feed(Input::Space { job, bytes_available: 3 << 20 });
    assert_eq!(world.state(job), JobState::Connecting, "a quota may have been raised meanwhile");
    world.report(job, checkpoint(0, 10));
    world.report(job, full());
    world.feed(Input::Space { job, bytes_available: 2 << 20 });
    assert_eq!(world.state(job), JobState::Connecting, "it was not in vain");
}

#[test]
fn a_worker_that_stops_untold_has_failed() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Stopped);
    assert_eq!((world.state(job), code(&world, job)), (JobState::TransientError, ErrorCode::Interrupted));
}

#[test]
fn a_worker_that_is_made_to_stop_has_not_failed() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.feed(Input::Drain);
    world.report(job, Report::Failed(Box::new(failure(ErrorCode::Interrupted, FailureClass::Transient))));
    assert_eq!((world.state(job), world.record(job).error_count), (JobState::Queued, 0));
}

#[test]
fn the_history_keeps_the_last_sixteen_attempts() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    for _ in 0..20 {
        world.report(job, transient());
        world.pass(10_000);
    }
    assert_eq!(world.record(job).history.len(), 16);
    let Some(Question::Retry(context)) =
        world.asks.iter().rev().map(|ask| &ask.question).find(|question| matches!(question, Question::Retry(_)))
    else {
        panic!("no policy was asked");
    };
    assert_eq!((context.history.len(), context.failures_in_row), (16, 20));
    assert_eq!(context.failure.origin.as_ref().unwrap().failures_in_row, 20);
}
