//! What clients change of a job, and where that takes effect.

use std::sync::Arc;

use super::harness::{World, checkpoint, file_done, file_spec, job_id, offline, properties, spec, transient};
use crate::job::{CostFlags, ErrorCode, FileIndex, JobChanges, JobId, JobRecord, JobState, Priority, Properties};
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Begin, Command, CommandError, Effect, Question, Reply, Report, SchedulerConfig,
    Write,
};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

fn modify(world: &mut World, job: JobId, changes: JobChanges) -> Result<JobRecord, CommandError> {
    let command = Command::Modify { job, changes: Box::new(changes), expected: None };
    world.command(command).unwrap().map(|reply| *reply.into_job())
}

fn level(priority: Priority) -> JobChanges {
    JobChanges { priority: Some(priority), ..JobChanges::default() }
}

#[test]
fn a_job_that_is_created_resumed_runs_and_an_empty_one_is_not_created() {
    let mut world = world();
    let create = |number, files| Command::Create {
        job: job_id(number),
        spec: Box::new(spec(properties())),
        files,
        begin: Begin::Resumed,
        once: None,
    };
    assert_eq!(world.command(create(1, vec![])), Some(Err(CommandError::Empty(job_id(1)))));
    assert!(world.store.jobs.is_empty() && world.store.journal.is_empty());
    let reply = world.command(create(1, vec![file_spec("http://origin/a")])).unwrap().unwrap();
    // As of the reply it is in line; the slot that was free comes after it, in the same step.
    assert_eq!(reply.into_job().state, JobState::Queued);
    assert_eq!(world.states(job_id(1)), [JobState::Queued, JobState::Connecting]);
    assert_eq!(world.started().len(), 1);
}

#[test]
fn what_is_changed_is_told_once_and_what_stays_is_not() {
    let mut world = world();
    let job = world.create(1, 1, properties());
    let labels = Some(vec![("team".to_owned(), "edge".to_owned())]);
    let changes =
        JobChanges { display_name: Some("b".into()), overwrite: Some(false), labels, ..JobChanges::default() };
    let record = modify(&mut world, job, changes.clone()).unwrap();
    assert_eq!((record.display_name.as_str(), record.labels.len()), ("b", 1));
    let told = world.store.journal.last().unwrap().1.clone();
    let fields = vec!["display_name".to_owned(), "labels".to_owned()];
    assert_eq!(told, crate::job::EventKind::JobModified { fields });
    let events = world.store.journal.len();
    modify(&mut world, job, changes).unwrap();
    assert_eq!(world.store.journal.len(), events, "nothing changed");
    let wrong = JobChanges { parallel_files: Some(0), ..JobChanges::default() };
    assert!(matches!(modify(&mut world, job, wrong), Err(CommandError::Change(_))));
}

#[test]
fn a_job_that_has_changed_meanwhile_stays_as_it_is() {
    let mut world = world();
    let job = world.create(1, 1, properties());
    let seen = Arc::new(world.record(job).clone());
    let modify = |name: &str| Command::Modify {
        job,
        changes: Box::new(JobChanges { display_name: Some(name.into()), ..JobChanges::default() }),
        expected: Some(Arc::clone(&seen)),
    };
    assert!(world.command(modify("first")).unwrap().is_ok());
    assert_eq!(world.command(modify("second")), Some(Err(CommandError::Changed(job))));
    assert_eq!(world.record(job).display_name, "first");
}

#[test]
fn a_job_is_changed_until_it_is_final() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.command(Command::Cancel(job));
    assert!(matches!(modify(&mut world, job, level(Priority::Low)), Err(CommandError::InvalidState(_))));
    world.report(job, Report::Stopped);
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert_eq!(world.state(job), JobState::Cancelled);
    assert!(matches!(modify(&mut world, job, level(Priority::Low)), Err(CommandError::InvalidState(_))));
}

#[test]
fn another_level_moves_a_waiting_job_and_takes_the_slot_of_a_lower_one() {
    let mut world = world();
    let [first, second, third] = [1, 2, 3].map(|number| world.launch(number, 1, properties()));
    modify(&mut world, third, level(Priority::High)).unwrap();
    world.started();
    world.report(first, Report::Stopped);
    assert_eq!((world.state(first), world.state(third)), (JobState::Queued, JobState::Connecting));
    // The running one falls behind: whoever is of a higher level takes over.
    modify(&mut world, third, level(Priority::Low)).unwrap();
    assert!(world.was_stopped(third));
    world.report(third, Report::Stopped);
    assert_eq!((world.state(first), world.state(second)), (JobState::Connecting, JobState::Queued));
}

#[test]
fn a_running_job_takes_its_slot_along_to_the_foreground_if_there_is_one() {
    let mut world = World::new(SchedulerConfig { foreground_slots: 1, ..SchedulerConfig::default() });
    let [running, waiting] = [1, 2].map(|number| world.launch(number, 1, properties()));
    modify(&mut world, running, level(Priority::Foreground)).unwrap();
    assert_eq!((world.state(running), world.state(waiting)), (JobState::Connecting, JobState::Connecting));
    world.take_effects();
    // No slot is left there: the other one makes way, and waits.
    modify(&mut world, waiting, level(Priority::Foreground)).unwrap();
    assert!(world.was_stopped(waiting));
    world.report(waiting, Report::Stopped);
    assert_eq!(world.state(waiting), JobState::Queued);
}

#[test]
fn another_retry_delay_moves_the_end_of_the_wait() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, transient());
    assert_eq!(world.reported(job), (JobState::TransientError, Some("retry_delay")));
    world.pass(4_000);
    let delay = |millis| JobChanges { minimum_retry_delay_ms: Some(millis), ..JobChanges::default() };
    modify(&mut world, job, delay(60_000)).unwrap();
    world.pass(55_000);
    assert_eq!(world.state(job), JobState::TransientError);
    world.pass(1_000);
    assert_eq!(world.state(job), JobState::Connecting);
    world.report(job, transient());
    world.pass(7_000);
    modify(&mut world, job, delay(6_000)).unwrap();
    world.pass(0);
    assert_eq!(world.state(job), JobState::Connecting, "its new delay is over");
}

#[test]
fn shorter_limits_of_time_count_at_once() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { minimum_retry_delay_ms: 60_000, ..properties() });
    world.report(job, transient());
    world.pass(20_000);
    let changes = JobChanges { no_progress_timeout_ms: Some(10_000), ..JobChanges::default() };
    modify(&mut world, job, changes).unwrap();
    world.pass(0);
    assert_eq!(world.state(job), JobState::Error);
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.report(job, Report::Connected);
    world.pass(30_000);
    let changes = JobChanges { maximum_download_time_ms: Some(20_000), ..JobChanges::default() };
    modify(&mut world, job, changes).unwrap();
    world.pass(0);
    assert_eq!(world.state(job), JobState::Error);
    assert_eq!(world.record(job).error.as_ref().unwrap().code, ErrorCode::MaxdownloadTimeout);
}

#[test]
fn cost_flags_are_asked_about_at_once() {
    let mut world = world();
    world.policies = Box::new(|ask| match &ask.question {
        Question::Admit(context) => {
            let free = context.call.job.cost_flags & 1 != 0;
            let admission = if free { Admission::Allow } else { Admission::Hold(None) };
            Answer::Admit(AdmitAnswer { admission, because: super::harness::because("cost") })
        }
        _ => super::harness::defaults(ask),
    });
    let flags = |flags| JobChanges { cost_flags: Some(CostFlags(flags)), ..JobChanges::default() };
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Connected);
    world.take_effects();
    modify(&mut world, job, flags(0x40)).unwrap();
    world.pass(0);
    assert!(world.was_stopped(job));
    world.report(job, Report::Stopped);
    assert_eq!(world.reported(job).0, JobState::TransientError);
    modify(&mut world, job, flags(0x41)).unwrap();
    world.pass(0);
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_transferred_job_that_is_to_complete_by_itself_does() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, checkpoint(0, 60));
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Transferred);
    world.take_effects();
    modify(&mut world, job, JobChanges { auto_complete: Some(true), ..JobChanges::default() }).unwrap();
    assert!(world.take_effects().iter().any(|effect| matches!(effect, Effect::Publish { .. })));
    world.report(job, Report::Published { files_published: 1, error: None, lost: vec![] });
    assert_eq!(world.state(job), JobState::Acknowledged);
}

#[test]
fn prefixes_are_replaced_in_all_names_or_in_none() {
    let mut world = world();
    world.network(offline());
    let job = world.launch(1, 3, properties());
    let replace = |from: &str, to: &str| Command::ReplaceRemotePrefix { job, from: from.into(), to: to.into() };
    let changed = |reply: Option<Result<Reply, CommandError>>| match reply {
        Some(Ok(Reply::PrefixReplaced { files_changed, .. })) => files_changed,
        other => panic!("{other:?}"),
    };
    assert_eq!(changed(world.command(replace("http://origin/", "https://mirror/"))), 3);
    let name = |world: &World, file| world.store.files[&(job, file)].remote_name.clone().unwrap();
    assert_eq!(name(&world, 2).expose().as_str(), "https://mirror/2?secret");
    assert_eq!(world.journal(job), ["job_created", "job_modified"]);
    let error = CommandError::RemotePrefix { job, file: FileIndex(0) };
    assert_eq!(world.command(replace("https://mirror/", "ftp://mirror/")), Some(Err(error)));
    assert_eq!(name(&world, 0).expose().as_str(), "https://mirror/0?secret");
    assert_eq!(changed(world.command(replace("http://nowhere/", "http://mirror/"))), 0);
    assert_eq!(world.journal(job), ["job_created", "job_modified"], "nothing else was changed");
    assert!(matches!(world.command(replace("", "http://mirror/")), Some(Err(CommandError::Change(_)))));
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    let before = world.record(job).clone();
    world.pass(1_000);
    let changes = JobChanges { dynamic_content: Some(true), ..JobChanges::default() };
    assert!(matches!(modify(&mut world, job, changes), Err(CommandError::Change(_))));
    let to_nowhere = Command::ReplaceRemotePrefix { job, from: "http://origin/".into(), to: "ftp://origin/".into() };
    assert!(matches!(world.command(to_nowhere), Some(Err(CommandError::RemotePrefix { .. }))));
    assert_eq!(world.record(job), &before);
    // What changes nothing was done all the same: the client is there.
    let elsewhere = Command::ReplaceRemotePrefix { job, from: "http://nobody/".into(), to: "http://a/".into() };
    assert!(world.command(elsewhere).unwrap().is_ok());
    assert_eq!(world.record(job).active_at, world.now.wall);
}

#[test]
fn a_key_is_stored_with_its_job() {
    let mut world = world();
    let key = crate::job::IdempotencyKey { key: "k".into(), request: crate::job::Sha256([1; 32]) };
    let job = job_id(1);
    let create = Command::Create {
        job,
        spec: Box::new(spec(properties())),
        files: vec![],
        begin: Begin::Suspended,
        once: Some(key.clone()),
    };
    let step = world.core.handle(
        world.now,
        crate::scheduler::Input::Command { request: crate::scheduler::RequestId(9), command: create },
    );
    assert!(step.writes.contains(&Write::RememberKey { job, owner: "uid:0".into(), key }));
}
