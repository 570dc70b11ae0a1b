//! Gates: no network, its cost, and what policies hold.

use super::harness::{World, because, checkpoint, defaults, failure, offline, properties, transient};
use crate::job::{CostFlags, CostState, ErrorCode, FailureClass, JobState, Properties};
use crate::network::{Interface, Network};
use crate::policy::contract::Cause;
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Ask, Effect, Input, Question, Report, SchedulerConfig, StopReason,
};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

fn costing(cost: CostState) -> Network {
    Network { interfaces: vec![Interface { name: "wlan0".into(), cost, ..Interface::default() }], ..Network::default() }
}

fn admit(admission: Admission) -> impl FnMut(&Ask) -> Answer {
    move |ask| match &ask.question {
        Question::Admit(_) => Answer::Admit(AdmitAnswer { admission, because: because("thrift") }),
        _ => defaults(ask),
    }
}

/// Holds unless the present cost is unrestricted.
fn by_cost(ask: &Ask) -> Answer {
    let Question::Admit(context) = &ask.question else { return defaults(ask) };
    let free = context.call.network.interfaces.iter().all(|interface| interface.cost == CostState::Unrestricted);
    let admission = if free { Admission::Allow } else { Admission::Hold(None) };
    Answer::Admit(AdmitAnswer { admission, because: because("built-in") })
}

fn causes(world: &World) -> Vec<Cause> {
    let cause = |ask: &Ask| match &ask.question {
        Question::Admit(context) => Some(context.cause),
        _ => None,
    };
    world.asks.iter().filter_map(cause).collect()
}

#[test]
fn a_lost_network_stops_what_runs_and_leaves_what_waits_untouched() {
    let mut world = world();
    let running = world.launch(1, 1, properties());
    let queued = world.launch(2, 1, properties());
    world.take_effects();
    let stored = world.store.jobs[&queued].clone();
    world.network(offline());
    assert_eq!(world.state(running), JobState::TransientError);
    assert_eq!(world.record(running).error.as_ref().unwrap().code, ErrorCode::NetworkDisconnected);
    assert_eq!((world.record(running).error_count, world.record(running).retry), (0, None));
    assert!(matches!(world.take_effects()[..], [Effect::StopWorker { reason: StopReason::GateShut, .. }]));
    assert_eq!(world.store.jobs[&queued], stored);
    assert_eq!(world.reported(queued), (JobState::TransientError, Some("network")));
    assert_eq!(world.reported(running), (JobState::TransientError, Some("network")));
    world.report(running, checkpoint(0, 10));
    world.report(running, Report::Failed(Box::new(failure(ErrorCode::ConnectionClosed, FailureClass::Transient))));
    assert_eq!(world.record(running).error_count, 0, "the worker was being stopped");
    assert_eq!(world.record(running).bytes_transferred, 10);
    world.pass(3_600_000);
    assert_eq!(world.state(running), JobState::TransientError);
    world.network(Network::default());
    assert_eq!((world.state(running), world.state(queued)), (JobState::Queued, JobState::Connecting));
}

#[test]
fn a_network_that_comes_back_ends_every_wait_for_a_retry() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, transient());
    world.network(offline());
    assert_eq!(world.reported(job), (JobState::TransientError, Some("network")));
    world.network(Network::default());
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn the_time_without_a_network_does_not_use_up_the_timeout() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { no_progress_timeout_ms: 25_000, ..properties() });
    world.report(job, transient());
    world.pass(4_000);
    world.network(offline());
    world.pass(3_600_000);
    world.network(Network::default());
    world.report(job, transient());
    assert_eq!((world.state(job), world.record(job).no_progress_ms), (JobState::TransientError, 4_000));
}

#[test]
fn a_change_of_cost_asks_about_running_jobs_and_shuts_their_gate() {
    let mut world = world();
    world.policies = Box::new(by_cost);
    let flags = Properties { cost_flags: CostFlags::UNRESTRICTED, ..properties() };
    let job = world.launch(1, 1, flags.clone());
    let queued = world.launch(2, 1, flags);
    world.take_effects();
    world.network(costing(CostState::UsageBased));
    assert_eq!(world.state(job), JobState::TransientError);
    assert_eq!(world.record(job).error.as_ref().unwrap().code, ErrorCode::BlockedByCostTransferPolicy);
    assert_eq!(world.reported(job), (JobState::TransientError, Some("network_cost")));
    assert!(world.was_stopped(job));
    world.report(job, Report::Stopped);
    assert_eq!(world.state(queued), JobState::Queued);
    assert_eq!(world.reported(queued), (JobState::TransientError, Some("network_cost")));
    world.network(costing(CostState::Unrestricted));
    assert_eq!((world.state(job), world.state(queued)), (JobState::Connecting, JobState::Queued));
    assert_eq!(world.reported(queued), (JobState::Queued, Some("turn")), "the hold was about another network");
    assert_eq!(causes(&world), [Cause::Start, Cause::NetworkChanged, Cause::Start, Cause::NetworkChanged]);
    assert_eq!((world.record(job).error_count, world.record(queued).error_count), (0, 0));
}

#[test]
fn a_job_whose_gate_opens_again_before_its_worker_has_stopped_is_queued() {
    let mut world = world();
    world.policies = Box::new(by_cost);
    let job = world.launch(1, 1, Properties { cost_flags: CostFlags::UNRESTRICTED, ..properties() });
    world.network(costing(CostState::UsageBased));
    assert_eq!(world.reported(job), (JobState::TransientError, Some("network_cost")));
    world.network(costing(CostState::Unrestricted));
    assert_eq!(world.reported(job), (JobState::Queued, Some("turn")));
    world.report(job, Report::Stopped);
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_held_job_is_asked_about_again_after_its_time() {
    for (millis, wait) in [(Some(30_000), 30_000), (None, 900_000), (Some(u64::MAX), 900_000), (Some(0), 1_000)] {
        let mut world = world();
        world.policies = Box::new(admit(Admission::Hold(millis)));
        let job = world.launch(1, 1, properties());
        assert_eq!(world.state(job), JobState::Queued);
        assert_eq!(world.reported(job), (JobState::TransientError, Some("policy_hold")));
        let waiting = world.core.reported_state(&job).unwrap().1.unwrap();
        assert_eq!(waiting.policy.unwrap().0, "thrift");
        assert_eq!(waiting.until.is_some(), millis.is_some());
        world.pass(wait - 1);
        assert_eq!(world.asks.len(), 1);
        world.policies = Box::new(defaults);
        world.pass(1);
        assert_eq!(causes(&world), [Cause::Start, Cause::LookAgain]);
        assert_eq!(world.state(job), JobState::Connecting);
        let Question::Admit(context) = &world.asks[1].question else { panic!("another question") };
        assert_eq!(context.held_since, Some(world.now.wall.0 - wait));
    }
}

#[test]
fn a_held_job_lets_the_next_one_pass() {
    let mut world = world();
    world.policies = Box::new(|ask| match &ask.question {
        Question::Admit(context) if context.call.job.id.ends_with('1') => admit(Admission::Hold(None))(ask),
        _ => defaults(ask),
    });
    let held = world.launch(1, 1, properties());
    let other = world.launch(2, 1, properties());
    assert_eq!((world.state(held), world.state(other)), (JobState::Queued, JobState::Connecting));
}

#[test]
fn a_ceiling_is_given_to_the_worker_and_changed_while_it_runs() {
    let mut world = world();
    world.policies = Box::new(admit(Admission::AllowAtMost(1_000)));
    let job = world.launch(1, 1, properties());
    assert_eq!(world.started()[0].bytes_per_second, Some(1_000));
    world.network(costing(CostState::NearCap));
    assert!(world.take_effects().is_empty(), "the same ceiling is no news");
    world.policies = Box::new(admit(Admission::AllowAtMost(500)));
    world.network(costing(CostState::OvercapThrottled));
    assert_eq!(world.take_effects(), [Effect::LimitWorker { job, bytes_per_second: Some(500) }]);
    world.policies = Box::new(defaults);
    world.network(costing(CostState::Unrestricted));
    assert_eq!(world.take_effects(), [Effect::LimitWorker { job, bytes_per_second: None }]);
    assert_eq!(world.journal(job).iter().filter(|kind| *kind == "decision_applied").count(), 2);
}

#[test]
fn a_change_asks_about_so_many_running_jobs_a_step_and_no_more() {
    let config = SchedulerConfig { foreground_slots: 10, admit_batch: 4, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let foreground = Properties { priority: crate::job::Priority::Foreground, ..properties() };
    for number in 0..10 {
        world.launch(number, 1, foreground.clone());
    }
    world.asks.clear();
    world.network(costing(CostState::NearCap));
    assert_eq!(world.asks.len(), 4);
    assert_eq!(world.core.next_deadline(), Some(world.now.boot));
    world.pass(0);
    assert_eq!(world.asks.len(), 10);
}

#[test]
fn a_step_asks_about_so_many_waiting_jobs_and_no_more() {
    let config = SchedulerConfig { admit_batch: 4, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    world.network(offline());
    for number in 0..10 {
        world.launch(number, 1, properties());
    }
    world.policies = Box::new(admit(Admission::Hold(None)));
    world.network(Network::default());
    assert_eq!(world.asks.len(), 4);
    world.pass(0);
    assert_eq!(world.asks.len(), 10);
    let deadline = world.core.next_deadline().unwrap();
    assert!(deadline > world.now.boot, "nothing is left to do");
}

#[test]
fn a_host_that_senses_no_network_lets_a_job_without_one_try_again() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Failed(Box::new(failure(ErrorCode::NetworkDisconnected, FailureClass::Transient))));
    assert_eq!(world.reported(job), (JobState::TransientError, Some("network")));
    assert_eq!(world.record(job).error_count, 0);
    world.pass(15_000);
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn an_answer_about_a_network_that_is_gone_is_asked_for_again() {
    let mut world = world();
    world.network(offline());
    let job = world.launch(1, 1, properties());
    let now = world.now;
    let step = world.core.handle(now, Input::NetworkChanged(Network::default()));
    let ask = step.asks[0].clone();
    let step = world.core.handle(now, Input::NetworkChanged(costing(CostState::NearCap)));
    assert!(step.asks.is_empty());
    let answer = defaults(&ask);
    let step = world.core.handle(now, Input::Answer { job, generation: ask.generation, answer });
    assert_eq!(step.asks.len(), 1);
    assert!(step.effects.is_empty());
}

#[test]
fn a_batch_of_inputs_asks_no_more_than_one_input_and_the_rest_follows() {
    let mut world = World::new(SchedulerConfig { admit_batch: 4, ..SchedulerConfig::default() });
    world.policies = Box::new(admit(Admission::Hold(None)));
    let jobs: Vec<_> = (1..=20).map(|number| world.launch(number, 1, properties())).collect();
    world.asks.clear();
    world.core.begin_batch();
    world.feed_more(Input::NetworkChanged(costing(CostState::NearCap)));
    for job in &jobs {
        world.feed_more(Input::Space { job: *job, bytes_available: 1 });
    }
    assert_eq!(world.asks.len(), 4);
    world.pass(0);
    assert_eq!(world.asks.len(), jobs.len());
}

#[test]
fn a_gap_in_the_same_network_asks_nobody_again() {
    let mut world = world();
    world.policies = Box::new(admit(Admission::Hold(None)));
    let job = world.launch(1, 1, properties());
    assert_eq!(world.asks.len(), 1);
    world.network(offline());
    assert_eq!(world.reported(job), (JobState::TransientError, Some("network")));
    world.network(Network::default());
    assert_eq!(world.reported(job), (JobState::TransientError, Some("policy_hold")));
    assert_eq!(world.asks.len(), 1, "the answer was about this network");
    world.network(offline());
    world.policies = Box::new(defaults);
    world.network(costing(CostState::NearCap));
    assert_eq!(world.state(job), JobState::Connecting, "this one is another");
}

#[test]
fn of_all_that_a_network_ends_the_wait_of_only_what_can_be_of_use_gets_a_seat() {
    let config = SchedulerConfig { admit_batch: 4, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let mut jobs = Vec::new();
    for number in 1..=20 {
        let job = world.launch(number, 1, Properties { no_progress_timeout_ms: 60_000, ..properties() });
        world.report(job, Report::Failed(Box::new(failure(ErrorCode::NetworkDisconnected, FailureClass::Transient))));
        jobs.push(job);
    }
    world.network(offline());
    let seated = |world: &World| jobs.iter().filter(|job| world.state(**job) != JobState::TransientError).count();
    assert_eq!(seated(&world), 0);
    world.network(Network::default());
    world.pass(0);
    assert!((2..=5).contains(&seated(&world)), "one runs, and at most four are ready: {}", seated(&world));
    let queued = |job: &&crate::job::JobId| world.reported(**job) == (JobState::Queued, Some("turn"));
    assert_eq!(jobs.iter().filter(queued).count(), jobs.len() - 1);
    // They wait for their turn as all others do: no time runs out.
    world.pass(10_000);
    let mut done = 0;
    let running = |world: &World| world.core.jobs().find(|job| job.state.is_running()).map(|job| job.id);
    while let Some(job) = running(&world) {
        world.report(job, super::harness::file_done(0));
        world.report(job, Report::Finished);
        done += 1;
    }
    assert_eq!(done, jobs.len());
}

#[test]
fn time_in_line_after_the_network_came_back_is_not_counted() {
    let config = SchedulerConfig { admit_batch: 1, ..SchedulerConfig::default() };
    let mut world = World::new(config);
    let patient = Properties { minimum_retry_delay_ms: 50_000, no_progress_timeout_ms: 60_000, ..properties() };
    let jobs: Vec<_> = (1..=3).map(|number| world.launch(number, 1, patient.clone())).collect();
    for job in &jobs {
        world.report(*job, transient());
    }
    world.pass(10_000);
    world.network(offline());
    world.network(Network::default());
    let last = jobs[2];
    assert_eq!((world.state(last), world.reported(last).0), (JobState::TransientError, JobState::Queued));
    world.pass(30_000);
    assert_eq!(world.state(last), JobState::TransientError);
    world.command(crate::scheduler::Command::Suspend(last)).unwrap().unwrap();
    assert_eq!(world.record(last).no_progress_ms, 10_000);
}
