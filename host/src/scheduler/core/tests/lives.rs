//! The usual lives of a job: created, resumed, run, suspended, transferred.

use super::harness::{World, checkpoint, defaults, fatal, file_done, file_spec, job_id, properties, spec, transient};
use crate::job::{JobState, Properties, SafeUrl};
use crate::scheduler::{
    Answer, Begin, Command, CommandError, Effect, FileChange, Reply, Report, SchedulerConfig, StopReason, Write,
};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

#[test]
fn a_job_runs_from_creation_to_acknowledged() {
    let mut world = world();
    let job = world.create(1, 1, properties());
    assert_eq!(world.state(job), JobState::Suspended);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
    let started = world.started();
    assert_eq!((started.len(), started[0].attempt.0, started[0].parallel_files), (1, 1, 1));
    world.report(job, Report::Connected);
    assert_eq!(world.state(job), JobState::Transferring);
    world.report(job, checkpoint(0, 60));
    assert_eq!(world.record(job).bytes_transferred, 60);
    assert_eq!(world.record(job).bytes_total(), Some(100));
    world.report(job, checkpoint(60, 80));
    assert_eq!((world.record(job).bytes_transferred, world.record(job).bytes_sized), (80, 100));
    world.report(
        job,
        Report::FileFinished {
            progress: super::harness::progress(0, 100, Some(100)),
            new_bytes: 20,
            durable_before: 80,
            integrity: crate::job::Integrity::LengthOnly,
            sized_before: true,
        },
    );
    world.report(job, Report::Finished);
    let record = world.record(job);
    assert_eq!((record.state, record.files_transferred, record.bytes_transferred), (JobState::Transferred, 1, 100));
    assert_eq!((record.files_sized, record.bytes_sized, record.progress_bytes), (1, 100, 100));
    world.take_effects();
    assert_eq!(world.command(Command::Complete(job)), None);
    assert!(matches!(world.take_effects()[..], [Effect::Publish { .. }]));
    world.report(job, Report::Published { files_published: 1, error: None, lost: vec![] });
    assert_eq!(world.state(job), JobState::Acknowledged);
    assert!(world.store.files[&(job, 0)].published);
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Ok(Reply::Completed { partial: false, .. }))));
    assert!(matches!(world.take_effects()[..], [Effect::Forget(_)]));
    assert_eq!(
        world.states(job),
        [JobState::Queued, JobState::Connecting, JobState::Transferring, JobState::Transferred, JobState::Acknowledged]
    );
    assert_eq!(world.journal(job), ["job_created", "file_transferred", "job_transferred", "acknowledged"]);
}

#[test]
fn a_job_that_completes_by_itself_needs_no_client() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { auto_complete: true, ..properties() });
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert!(world.take_effects().iter().any(|effect| matches!(effect, Effect::Publish { .. })));
    world.report(job, Report::Published { files_published: 1, error: None, lost: vec![] });
    assert_eq!(world.state(job), JobState::Acknowledged);
}

#[test]
fn a_job_without_files_is_not_resumed() {
    let mut world = world();
    let job = world.create(1, 0, properties());
    assert_eq!(world.command(Command::Resume(job)), Some(Err(CommandError::Empty(job))));
    world.command(Command::AddFiles { job, files: vec![file_spec("http://origin/a")] }).unwrap().unwrap();
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn jobs_that_do_not_exist_are_not_found() {
    let mut world = world();
    let job = job_id(9);
    for command in [Command::Resume(job), Command::Suspend(job), Command::Complete(job), Command::Cancel(job)] {
        assert_eq!(world.command(command), Some(Err(CommandError::NotFound(job))));
    }
    world.create(9, 1, properties());
    let again =
        Command::Create { job, spec: Box::new(spec(properties())), files: vec![], begin: Begin::Suspended, once: None };
    assert!(matches!(world.command(again), Some(Err(CommandError::Store(_)))));
}

#[test]
fn a_suspended_jobs_worker_may_still_save_what_it_has() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Connected);
    world.take_effects();
    world.command(Command::Suspend(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Suspended);
    let effects = world.take_effects();
    assert!(matches!(effects[..], [Effect::StopWorker { reason: StopReason::Suspended, .. }]), "{effects:?}");
    world.report(job, checkpoint(0, 50));
    assert_eq!(world.record(job).bytes_transferred, 50);
    world.report(job, Report::Stopped);
    world.report(job, checkpoint(50, 60));
    assert_eq!(world.record(job).bytes_transferred, 50, "a report after the end is ignored");
    assert_eq!(world.state(job), JobState::Suspended);
}

#[test]
fn a_resumed_job_waits_for_its_former_worker() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.take_effects();
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Queued);
    assert!(world.started().is_empty());
    world.report(job, Report::Stopped);
    assert_eq!(world.started().len(), 1);
    assert_eq!(world.record(job).attempt.0, 2);
    world.report_of(job, 1, fatal());
    assert_eq!(world.state(job), JobState::Connecting, "a report of an earlier attempt is ignored");
}

#[test]
fn a_worker_that_ends_while_its_job_is_suspended_leaves_nothing_to_do() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Suspended);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Transferred);
    assert_eq!(world.journal(job), ["job_created", "file_transferred", "job_transferred"]);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Transferred);
    assert_eq!(world.journal(job).len(), 3);
}

#[test]
fn a_worker_that_ends_just_after_a_resume_finishes_the_job() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Transferred);
}

#[test]
fn a_worker_that_is_stopped_after_the_last_file_leaves_nothing_to_wait_for() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.launch(2, 1, properties());
    world.take_effects();
    world.pass(60_000);
    assert!(world.was_stopped(job), "its slice is over");
    world.report(job, file_done(0));
    world.report(job, Report::Stopped);
    assert_eq!(world.state(job), JobState::Transferred);
}

#[test]
fn a_last_file_that_ends_as_the_network_is_lost_ends_the_job() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.network(super::harness::offline());
    world.report(job, file_done(0));
    world.report(job, Report::Stopped);
    assert_eq!(world.state(job), JobState::Transferred);
    assert_eq!(world.journal(job), ["job_created", "file_transferred", "job_transferred"]);
}

#[test]
fn a_job_is_transferred_once_however_often_it_is_suspended_afterwards() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    let transferred_at = world.record(job).transferred_at;
    world.pass(1_000);
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Transferred);
    assert_eq!(world.record(job).transferred_at, transferred_at);
    let told = |world: &World| world.journal(job).iter().filter(|name| *name == "job_transferred").count();
    assert_eq!(told(&world), 1);
    world.command(Command::AddFiles { job, files: vec![file_spec("http://origin/b")] }).unwrap().unwrap();
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.command(Command::Resume(job)).unwrap().unwrap();
    world.command(Command::Suspend(job)).unwrap().unwrap();
    world.report(job, file_done(1));
    world.report(job, Report::Finished);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!((world.state(job), told(&world)), (JobState::Transferred, 2), "there was something new to transfer");
}

#[test]
fn a_final_job_that_is_forgotten_is_named_as_changed() {
    let mut world = World::new(SchedulerConfig { final_jobs_kept: 1, ..SchedulerConfig::default() });
    for number in 1..=2 {
        let job = world.create(number, 0, properties());
        world.command(Command::Cancel(job));
        world.report(job, Report::PartsDeleted { files_left: 0 });
    }
    assert!(world.core.job(&job_id(1)).is_none() && world.core.job(&job_id(2)).is_some());
    assert!(world.core.changed().any(|changed| *changed == job_id(1)));
}

#[test]
fn files_added_while_a_job_runs_are_fetched_before_it_is_transferred() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.command(Command::AddFiles { job, files: vec![file_spec("http://origin/b")] }).unwrap().unwrap();
    world.report(job, file_done(0));
    world.started();
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Connecting);
    assert_eq!(world.started()[0].attempt.0, 2);
    world.report(job, file_done(1));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Transferred);
}

#[test]
fn files_added_to_a_transferred_job_wait_for_resume() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    world.command(Command::AddFiles { job, files: vec![file_spec("http://origin/b")] }).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Transferred);
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn a_worker_that_ends_with_files_left_is_an_error_that_is_seen() {
    let mut world = world();
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Error);
    assert!(world.record(job).error.as_ref().unwrap().description.contains("1 of 2 files"));
}

#[test]
fn a_restarted_file_gives_up_its_bytes_but_no_progress() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, checkpoint(0, 60));
    world.report(
        job,
        Report::FileRestarted {
            file: crate::job::FileIndex(0),
            reason: crate::job::RestartReason::RemoteFileChanged,
            bytes_discarded: 60,
            bytes_total_before: Some(100),
        },
    );
    let record = world.record(job);
    assert_eq!((record.bytes_transferred, record.files_sized, record.progress_bytes), (0, 0, 60));
    assert_eq!(world.store.files[&(job, 0)].restarts, 1);
    world.report(job, checkpoint(0, 10));
    assert_eq!(world.record(job).bytes_transferred, 10);
}

#[test]
fn a_file_gets_another_remote_name_if_there_is_such_a_file() {
    let mut world = world();
    let job = world.create(1, 1, properties());
    let remote_name = SafeUrl::parse("http://elsewhere/a").unwrap();
    let command =
        |file| Command::SetRemoteName { job, file: crate::job::FileIndex(file), remote_name: remote_name.clone() };
    assert!(matches!(world.command(command(1)), Some(Err(CommandError::FileNotFound { .. }))));
    world.command(command(0)).unwrap().unwrap();
    assert_eq!(world.store.files[&(job, 0)].remote_name.as_ref(), Some(&remote_name));
}

#[test]
fn what_is_running_at_a_crash_is_queued_again() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Connected);
    world.report(job, checkpoint(0, 30));
    world.restart(SchedulerConfig::default());
    assert_eq!(world.state(job), JobState::Connecting);
    assert_eq!((world.record(job).attempt.0, world.record(job).bytes_transferred), (2, 30));
}

#[test]
fn a_job_whose_last_file_was_stored_before_a_crash_is_transferred() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { auto_complete: true, ..properties() });
    world.report(job, file_done(0));
    world.restart(SchedulerConfig::default());
    assert_eq!(world.state(job), JobState::Transferred);
    assert!(world.take_effects().iter().any(|effect| matches!(effect, Effect::Publish { .. })));
}

#[test]
fn answers_to_older_questions_are_ignored() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    let old = world.asks[0].clone();
    world.report(job, transient());
    let answer = defaults(&old);
    assert!(matches!(answer, Answer::Admit(_)));
    let step =
        world.core.handle(world.now, crate::scheduler::Input::Answer { job, generation: old.generation, answer });
    assert_eq!(step, crate::scheduler::Step::default());
}

#[test]
fn no_secret_of_a_remote_name_reaches_a_question_or_the_journal() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, fatal());
    assert!(world.asks.len() >= 3);
    for ask in &world.asks {
        assert!(!format!("{:?}", ask.question).contains("secret"));
    }
    assert!(!format!("{:?}", world.store.journal).contains("secret"));
    let steps = world.core.handle(
        world.now,
        crate::scheduler::Input::Command {
            request: crate::scheduler::RequestId(99),
            command: Command::SetRemoteName {
                job,
                file: crate::job::FileIndex(0),
                remote_name: SafeUrl::parse("http://elsewhere/?secret").unwrap(),
            },
        },
    );
    let stored = steps.writes.iter().any(|write| {
        matches!(write, Write::UpdateFile { change: FileChange::RemoteName(url), .. } if url.expose().query() == Some("secret"))
    });
    assert!(stored, "the store keeps the whole");
}
