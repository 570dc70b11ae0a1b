//! Levels, slots, slices and origins.

use super::harness::{World, file_done, file_spec, job_id, properties, spec, transient};
use crate::job::{JobId, JobSpec, JobState, Priority, Properties};
use crate::policy::contract::Cause;
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Begin, Command, Effect, Input, Question, Report, SchedulerConfig, StopReason,
};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

fn level(priority: Priority) -> Properties {
    Properties { priority, ..properties() }
}

fn running(world: &World) -> Vec<JobId> {
    world.core.jobs().filter(|job| job.state.is_running()).map(|job| job.id).collect()
}

#[test]
fn one_background_job_runs_beside_all_foreground_jobs() {
    let mut world = world();
    let first = world.launch(1, 1, properties());
    let second = world.launch(2, 1, properties());
    let foreground: Vec<_> = (3..6).map(|number| world.launch(number, 1, level(Priority::Foreground))).collect();
    assert_eq!(running(&world), [vec![first], foreground].concat());
    assert_eq!(world.reported(second), (JobState::Queued, Some("turn")));
}

#[test]
fn a_slice_ends_only_if_another_job_of_the_level_is_ready() {
    let mut world = world();
    let first = world.launch(1, 1, properties());
    world.take_effects();
    world.pass(120_000);
    assert!(!world.was_stopped(first));
    let causes: Vec<_> = world
        .asks
        .iter()
        .filter_map(|ask| match &ask.question {
            Question::Admit(context) => Some((context.cause, context.running)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [(Cause::Start, false), (Cause::Slice, true), (Cause::Slice, true)]);
    let second = world.launch(2, 1, properties());
    world.pass(60_000);
    assert!(world.was_stopped(first));
    assert_eq!(world.state(first), JobState::Connecting, "it keeps its slot until its worker has stopped");
    world.report(first, Report::Stopped);
    assert_eq!((world.state(first), world.state(second)), (JobState::Queued, JobState::Connecting));
    world.pass(60_000);
    world.report(second, Report::Stopped);
    assert_eq!((world.state(first), world.state(second)), (JobState::Connecting, JobState::Queued));
}

#[test]
fn a_higher_level_takes_the_slot_of_a_lower_one() {
    let mut world = world();
    let low = world.launch(1, 1, level(Priority::Low));
    let other = world.launch(2, 1, level(Priority::Low));
    world.take_effects();
    let high = world.launch(3, 1, level(Priority::High));
    assert!(world.was_stopped(low));
    assert_eq!((world.state(high), world.state(low)), (JobState::Queued, JobState::Connecting));
    world.report(low, Report::Stopped);
    assert_eq!((world.state(high), world.state(low)), (JobState::Connecting, JobState::Queued));
    assert_eq!(world.asks.len(), 2, "it was asked about once, before the other one was stopped");
    world.report(high, transient());
    assert_eq!((world.state(low), world.state(other)), (JobState::Connecting, JobState::Queued));
}

#[test]
fn as_many_lower_jobs_make_way_as_higher_ones_need() {
    let mut world = World::new(SchedulerConfig { background_slots: 3, ..SchedulerConfig::default() });
    for number in 1..=3 {
        world.launch(number, 1, level(Priority::Low));
    }
    world.take_effects();
    for number in 4..=5 {
        world.launch(number, 1, level(Priority::Normal));
    }
    let stopped = |effect: &Effect| matches!(effect, Effect::StopWorker { .. });
    assert_eq!(world.take_effects().iter().filter(|effect| stopped(effect)).count(), 2);
    world.launch(6, 1, level(Priority::Low));
    assert!(world.take_effects().is_empty());
    world.report(job_id(3), Report::Stopped);
    world.report(job_id(2), Report::Stopped);
    assert_eq!(running(&world), [1, 4, 5].map(job_id));
}

#[test]
fn a_worker_that_makes_way_can_still_be_told_to_stop_at_once() {
    let stop = |world: &mut World| {
        let reason = |effect| match effect {
            Effect::StopWorker { reason, .. } => Some(reason),
            _ => None,
        };
        world.take_effects().into_iter().filter_map(reason).collect::<Vec<_>>()
    };
    let mut world = world();
    let first = world.launch(1, 1, properties());
    world.launch(2, 1, properties());
    world.pass(60_000);
    assert_eq!(stop(&mut world), [StopReason::SlotTaken]);
    world.pass(60_000);
    assert_eq!(stop(&mut world), []);
    world.network(super::harness::offline());
    assert_eq!(stop(&mut world), [StopReason::GateShut]);
    assert_eq!(world.state(first), JobState::TransientError);
    world.command(Command::Suspend(first)).unwrap().unwrap();
    assert_eq!(stop(&mut world), []);
}

#[test]
fn a_job_that_waits_for_a_retry_holds_no_slot() {
    let mut world = world();
    let first = world.launch(1, 1, properties());
    let second = world.launch(2, 1, properties());
    world.report(first, transient());
    assert_eq!(world.state(second), JobState::Connecting);
    world.pass(10_000);
    assert_eq!(world.state(first), JobState::Queued);
}

#[test]
fn jobs_of_one_level_run_in_the_order_in_which_they_were_resumed() {
    let mut world = world();
    for number in [3, 1, 2] {
        world.launch(number, 1, properties());
    }
    let mut order = Vec::new();
    while let [job] = running(&world)[..] {
        order.push(job);
        world.report(job, super::harness::fatal());
    }
    assert_eq!(order, [3, 1, 2].map(job_id));
}

#[test]
fn an_origin_is_not_given_more_connections_than_allowed() {
    let config = SchedulerConfig { background_slots: 8, connections_per_origin: 6, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let many = Properties { parallel_files: 4, ..properties() };
    let first = world.launch(1, 8, many.clone());
    let second = world.launch(2, 8, many.clone());
    let third = world.launch(3, 8, many);
    let given: Vec<_> = world.started().iter().map(|assignment| assignment.parallel_files).collect();
    assert_eq!(given, [4, 2]);
    assert_eq!(world.reported(third), (JobState::Queued, Some("origin")));
    world.command(Command::Suspend(second)).unwrap().unwrap();
    assert_eq!(world.state(third), JobState::Queued);
    world.report(second, Report::Stopped);
    assert_eq!(world.started().iter().map(|assignment| assignment.parallel_files).collect::<Vec<_>>(), [2]);
    let _ = first;
}

#[test]
fn a_connection_that_a_held_job_does_not_use_goes_to_the_next_one() {
    let config = SchedulerConfig { background_slots: 8, connections_per_origin: 2, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let _long = world.launch(1, 1, properties());
    let second = world.launch(2, 1, properties());
    let held = world.launch(3, 1, properties());
    let fourth = world.launch(4, 1, properties());
    assert_eq!(world.reported(fourth), (JobState::Queued, Some("origin")));
    world.policies = Box::new(move |ask| match &ask.question {
        Question::Admit(_) if ask.job == held => {
            Answer::Admit(AdmitAnswer { admission: Admission::Hold(None), because: super::harness::because("holder") })
        }
        _ => super::harness::defaults(ask),
    });
    world.command(Command::Suspend(second)).unwrap().unwrap();
    world.report(second, Report::Stopped);
    assert_eq!(world.reported(held), (JobState::TransientError, Some("policy_hold")));
    assert_eq!(world.state(fourth), JobState::Connecting);
}

#[test]
fn a_connection_that_nobody_takes_any_more_goes_to_the_next_one() {
    let config = SchedulerConfig { background_slots: 2, connections_per_origin: 2, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let _long = world.launch(1, 1, properties());
    let many = Properties { parallel_files: 2, ..properties() };
    let second = world.launch(2, 1, properties());
    let third = world.launch(3, 1, many.clone());
    let fourth = world.launch(4, 1, many);
    assert_eq!(world.reported(fourth), (JobState::Queued, Some("origin")));
    // Before the connection is free, the slot is meant for another one.
    let high = world.create(5, 0, level(Priority::High));
    let files = vec![super::harness::file_spec("http://elsewhere/")];
    world.command(Command::AddFiles { job: high, files }).unwrap().unwrap();
    world.command(Command::Resume(high)).unwrap().unwrap();
    world.report(second, Report::Stopped);
    assert_eq!(world.state(high), JobState::Connecting);
    world.command(Command::Suspend(third)).unwrap().unwrap();
    world.command(Command::Suspend(second)).unwrap().unwrap();
    world.report(high, super::harness::fatal());
    assert_eq!(world.state(fourth), JobState::Connecting);
}

#[test]
fn connections_follow_the_origin_that_a_worker_chose() {
    let config = SchedulerConfig { background_slots: 8, connections_per_origin: 1, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let first = world.launch(1, 1, properties());
    let second = world.launch(2, 1, properties());
    assert_eq!(world.reported(second), (JobState::Queued, Some("origin")));
    let elsewhere = crate::job::SafeUrl::parse("http://elsewhere/").unwrap().origin();
    world.report(first, Report::OriginChosen(elsewhere));
    assert_eq!(world.state(second), JobState::Connecting);
}

#[test]
fn a_draining_host_stops_its_workers_and_starts_none() {
    let mut world = world();
    let first = world.launch(1, 1, properties());
    let second = world.launch(2, 1, properties());
    world.take_effects();
    world.feed(Input::Drain);
    assert!(matches!(world.take_effects()[..], [Effect::StopWorker { reason: StopReason::Draining, .. }]));
    assert_eq!(world.core.workers(), 1);
    world.report(first, Report::Stopped);
    assert_eq!(world.core.workers(), 0);
    assert_eq!((world.state(first), world.state(second)), (JobState::Queued, JobState::Queued));
    assert!(world.take_effects().is_empty());
    world.restart(SchedulerConfig::default());
    assert_eq!(world.state(first), JobState::Connecting);
}

#[test]
fn seeds_are_those_of_the_core_and_stay_within_what_guests_see() {
    let seeds = |seed| {
        let mut world = World::new(SchedulerConfig::default());
        world.core = crate::scheduler::Core::new(SchedulerConfig::default(), seed);
        world.feed(Input::LoadingDone);
        world.launch(1, 1, properties());
        world.report(job_id(1), transient());
        let seed = |question: &Question| match question {
            Question::Admit(context) => context.call.seed,
            Question::Retry(context) => context.call.seed,
            Question::Recover(context) => context.call.seed,
        };
        world.asks.iter().map(|ask| seed(&ask.question)).collect::<Vec<_>>()
    };
    assert_eq!(seeds(7), seeds(7));
    assert_ne!(seeds(7), seeds(8));
    assert!(seeds(7).iter().all(|seed| *seed < 1 << 53));
    assert_ne!(seeds(7)[0], seeds(7)[1]);
}

#[test]
fn jobs_of_an_earlier_run_of_the_host_share_the_connections_of_an_origin() {
    let config = SchedulerConfig { background_slots: 8, connections_per_origin: 2, ..SchedulerConfig::default() };
    let mut world = World::new(config.clone());
    let jobs: Vec<_> = (1..=5).map(|number| world.launch(number, 1, properties())).collect();
    world.restart(config);
    assert_eq!(running(&world), jobs, "nobody knows yet where their files lie");
    let origin = || Report::OriginChosen(crate::job::SafeUrl::parse("http://origin/").unwrap().origin());
    world.take_effects();
    for job in &jobs {
        world.report(*job, origin());
    }
    let effects = world.take_effects();
    let granted = effects.iter().filter_map(|effect| match effect {
        Effect::GrantOrigin { job, .. } => Some(*job),
        _ => None,
    });
    assert_eq!(granted.collect::<Vec<_>>(), jobs[..2]);
    for job in &jobs[2..] {
        world.report(*job, Report::Stopped);
        assert_eq!(world.reported(*job), (JobState::Queued, Some("origin")));
    }
    for at_once in [2, 2, 2, 2, 1, 0] {
        let running = running(&world);
        assert_eq!(running.len(), at_once);
        running.first().into_iter().for_each(|job| world.report(*job, super::harness::fatal()));
    }
}

#[test]
fn jobs_of_an_earlier_run_of_the_host_wait_for_the_time_that_an_origin_asked_for() {
    let config = SchedulerConfig { background_slots: 8, ..SchedulerConfig::default() };
    let mut world = World::new(config.clone());
    let [first, second] = [1, 2].map(|number| world.launch(number, 1, properties()));
    world.restart(config);
    let mut failure = super::harness::failure(crate::job::ErrorCode::Http, crate::job::FailureClass::Transient);
    failure.retry_after_ms = Some(90_000);
    world.report(first, Report::Failed(Box::new(failure.clone())));
    world.take_effects();
    world.report(second, Report::OriginChosen(failure.origin.unwrap()));
    assert!(world.was_stopped(second));
    world.report(second, Report::Stopped);
    assert_eq!(world.reported(second), (JobState::Queued, Some("origin")));
    world.pass(89_000);
    assert_eq!(world.state(second), JobState::Queued);
    world.pass(1_000);
    assert_eq!(world.state(second), JobState::Connecting);
}

/// A job of an owner, resumed.
fn launch_of(world: &mut World, number: u128, owner: &str) -> JobId {
    let job = job_id(number);
    let files = vec![file_spec(&format!("http://origin/{number}"))];
    let spec = Box::new(JobSpec { owner: owner.into(), ..spec(properties()) });
    world.command(Command::Create { job, spec, files, begin: Begin::Resumed, once: None }).unwrap().unwrap();
    job
}

#[test]
fn an_owner_with_many_jobs_does_not_keep_another_waiting() {
    let mut world = World::new(SchedulerConfig::default());
    let first = launch_of(&mut world, 0, "uid:1");
    for number in 1..200 {
        launch_of(&mut world, number, "uid:1");
    }
    let other = launch_of(&mut world, 1_000, "uid:2");
    let more = launch_of(&mut world, 1_001, "uid:2");
    assert_eq!(world.state(first), JobState::Connecting);
    let mut order = Vec::new();
    let mut running = first;
    for _ in 0..4 {
        world.take_effects();
        world.report(running, file_done(0));
        world.report(running, Report::Finished);
        running = world.started()[0].job;
        order.push(running);
    }
    assert_eq!(order, [other, job_id(1), more, job_id(2)]);
}

#[test]
fn slices_go_round_the_owners() {
    let mut world = World::new(SchedulerConfig::default());
    let (first, second) = (launch_of(&mut world, 1, "uid:1"), launch_of(&mut world, 2, "uid:1"));
    let other = launch_of(&mut world, 3, "uid:2");
    let mut running = first;
    let mut order = Vec::new();
    for _ in 0..5 {
        world.report(running, Report::Connected);
        world.take_effects();
        world.pass(60_000);
        assert!(world.was_stopped(running));
        world.report(running, Report::Stopped);
        running = world.started()[0].job;
        order.push(running);
    }
    assert_eq!(order, [other, second, other, first, other]);
}
