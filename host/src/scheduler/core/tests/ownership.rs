//! Jobs that change hands.

use super::harness::{World, job_id, properties, spec};
use crate::job::{EventKind, IdempotencyKey, JobState, Sha256};
use crate::scheduler::{
    Begin, Command, CommandError, Effect, Input, Limits, Report, RequestId, SchedulerConfig, StopReason, Write,
};

fn take(world: &mut World, job: crate::job::JobId, owner: &str) -> Result<(), CommandError> {
    world.command(Command::TakeOwnership { job, owner: owner.into() }).unwrap().map(drop)
}

#[test]
fn a_job_that_is_taken_loses_what_its_former_owner_gave_it() {
    let mut world = World::new(SchedulerConfig::default());
    let key = IdempotencyKey { key: "k".into(), request: Sha256([0; 32]) };
    let job = job_id(1);
    let create = Command::Create {
        job,
        spec: Box::new(spec(properties())),
        files: vec![],
        begin: Begin::Suspended,
        once: Some(key),
    };
    world.command(create);
    let command = Command::TakeOwnership { job, owner: "uid:7".into() };
    let step = world.core.handle(world.now, Input::Command { request: RequestId(99), command });
    step.writes.iter().for_each(|write| world.store.write(write));
    assert!(step.writes.contains(&Write::ForgetOwner(job)));
    assert_eq!(world.record(job).owner, "uid:7");
    assert!(world.store.keys.is_empty(), "a repeated request of the former owner finds nothing");
    let told = world.store.journal.last().unwrap().1.clone();
    assert_eq!(told, EventKind::OwnershipTaken { from: "uid:0".into(), to: "uid:7".into() });
    let events = world.store.journal.len();
    take(&mut world, job, "uid:7").unwrap();
    assert_eq!(world.store.journal.len(), events, "it is that one's already");
}

#[test]
fn jobs_are_counted_for_whom_they_belong_to() {
    let limits = Limits { jobs_per_owner: 1, ..Limits::default() };
    let mut world = World::new(SchedulerConfig { limits, ..SchedulerConfig::default() });
    let job = world.create(1, 1, properties());
    let create = |number| Command::Create {
        job: job_id(number),
        spec: Box::new(spec(properties())),
        files: vec![],
        begin: Begin::Suspended,
        once: None,
    };
    assert!(matches!(world.command(create(2)), Some(Err(CommandError::Limit(_)))));
    take(&mut world, job, "uid:7").unwrap();
    assert!(world.command(create(3)).unwrap().is_ok());
    // Whoever takes jobs over may have more than others may create.
    take(&mut world, job_id(3), "uid:7").unwrap();
    assert!(world.command(create(4)).unwrap().is_ok());
}

#[test]
fn a_job_that_runs_begins_again_for_its_new_owner() {
    let mut world = World::new(SchedulerConfig::default());
    let job = world.launch(1, 1, properties());
    world.take_effects();
    take(&mut world, job, "uid:7").unwrap();
    let effects = world.take_effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::StopWorker { reason: StopReason::GateShut, .. })));
    world.report(job, Report::Stopped);
    let started = world.take_effects().into_iter().find_map(|effect| match effect {
        Effect::StartWorker(assignment) => Some(assignment),
        _ => None,
    });
    assert_eq!(started.unwrap().owner, "uid:7");
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn nobody_takes_a_job_that_is_over_or_about_to_be() {
    let mut world = World::new(SchedulerConfig::default());
    let job = world.launch(1, 1, properties());
    world.command(Command::Cancel(job));
    assert!(matches!(take(&mut world, job, "uid:7"), Err(CommandError::InvalidState(_))));
    assert_eq!(world.record(job).owner, "uid:0");
    assert_eq!(take(&mut world, job_id(9), "uid:7"), Err(CommandError::NotFound(job_id(9))));
}
