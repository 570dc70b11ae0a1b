//! Complete and cancel.

use super::harness::{World, checkpoint, error, file_done, properties};
use crate::job::{ErrorCode, FailureClass, FileIndex, FileSummary, Intent, JobState, Properties, SafeUrl};
use crate::scheduler::{Command, CommandError, Effect, Overwrite, Reply, Report, SchedulerConfig, StopReason};

fn world() -> World {
    World::new(SchedulerConfig::default())
}

fn lost(index: u32) -> FileSummary {
    FileSummary {
        index: FileIndex(index),
        remote_name: SafeUrl::parse("http://origin/a").unwrap(),
        local_name: "/tmp/file".into(),
        bytes_total: Some(100),
        durable: 100,
        finished: true,
        restarts: 0,
    }
}

const PUBLISHED: Report = Report::Published { files_published: 1, error: None, lost: vec![] };

#[test]
fn completing_a_running_job_stops_it_and_keeps_what_is_finished() {
    let mut world = world();
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    world.take_effects();
    assert_eq!(world.command(Command::Complete(job)), None);
    assert_eq!(world.record(job).intent, Some(Intent::Complete));
    assert!(matches!(world.take_effects()[..], [Effect::StopWorker { reason: StopReason::Ended, .. }]));
    world.report(job, Report::Stopped);
    assert!(matches!(world.take_effects()[..], [Effect::Publish { overwrite: Overwrite::Refuse, .. }]));
    world.report(job, PUBLISHED);
    assert!(matches!(world.take_effects()[..], [Effect::DeleteParts { .. }]), "the rest is discarded");
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert_eq!(world.state(job), JobState::Acknowledged);
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Ok(Reply::Completed { partial: true, .. }))));
}

#[test]
fn completing_a_job_without_a_finished_file_is_partial() {
    for files in [0, 1] {
        let mut world = world();
        let job = world.create(1, files, properties());
        world.command(Command::Complete(job));
        assert!(matches!(world.take_effects()[..], [Effect::DeleteParts { .. }]));
        world.report(job, Report::PartsDeleted { files_left: 0 });
        assert_eq!(world.state(job), JobState::Acknowledged);
        let last = world.last_request();
        assert!(matches!(world.reply_to(last), Some(Ok(Reply::Completed { partial: true, .. }))));
    }
}

#[test]
fn a_cancelled_job_says_what_it_left_behind() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.take_effects();
    assert_eq!(world.command(Command::Cancel(job)), None);
    assert!(matches!(world.take_effects()[..], [Effect::StopWorker { .. }]));
    world.report(job, checkpoint(0, 10));
    world.report(job, Report::Stopped);
    assert!(matches!(world.take_effects()[..], [Effect::DeleteParts { .. }]));
    world.report(job, Report::PartsDeleted { files_left: 2 });
    assert_eq!(world.state(job), JobState::Cancelled);
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Ok(Reply::Cancelled { files_left: 2, .. }))));
}

#[test]
fn final_jobs_refuse_every_change() {
    let mut world = world();
    let job = world.create(1, 1, properties());
    world.command(Command::Cancel(job));
    world.report(job, Report::PartsDeleted { files_left: 0 });
    let remote_name = SafeUrl::parse("http://origin/a").unwrap();
    for command in [
        Command::Resume(job),
        Command::Suspend(job),
        Command::Complete(job),
        Command::Cancel(job),
        Command::AddFiles { job, files: vec![] },
        Command::SetRemoteName { job, file: FileIndex(0), remote_name },
    ] {
        assert!(matches!(world.command(command), Some(Err(CommandError::InvalidState(_)))));
    }
}

#[test]
fn a_failed_publication_leaves_the_job_as_it_was() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    world.command(Command::Complete(job));
    let error = error(ErrorCode::LocalFileExists, FailureClass::Fatal);
    world.report(job, Report::Published { files_published: 0, error: Some(error.clone()), lost: vec![] });
    assert_eq!((world.state(job), world.record(job).intent), (JobState::Transferred, None));
    let last = world.last_request();
    assert_eq!(world.reply_to(last), Some(Err(CommandError::Publication(error))));
    assert_eq!(world.journal(job).last().unwrap(), "publication_failed");
    world.command(Command::Complete(job));
    world.report(job, PUBLISHED);
    assert_eq!(world.state(job), JobState::Acknowledged);
}

#[test]
fn a_running_job_that_could_not_be_completed_goes_on() {
    let mut world = world();
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    world.command(Command::Complete(job));
    world.report(job, Report::Stopped);
    let error = error(ErrorCode::LocalFileExists, FailureClass::Fatal);
    world.report(job, Report::Published { files_published: 0, error: Some(error), lost: vec![] });
    assert_eq!((world.state(job), world.record(job).attempt.0), (JobState::Connecting, 2));
}

#[test]
fn lost_files_are_fetched_again_after_resume() {
    let mut world = world();
    let job = world.launch(1, 2, properties());
    world.report(job, file_done(0));
    world.report(job, file_done(1));
    world.report(job, Report::Finished);
    world.command(Command::Complete(job));
    world.report(job, Report::Published { files_published: 1, error: None, lost: vec![lost(1)] });
    let record = world.record(job);
    assert_eq!((record.state, record.files_transferred, record.bytes_transferred), (JobState::Transferred, 1, 100));
    assert!(!world.store.files[&(job, 1)].finished);
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Err(CommandError::Publication(_)))));
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
    world.report(job, file_done(1));
    world.report(job, Report::Finished);
    assert_eq!(world.record(job).bytes_transferred, 200);
}

#[test]
fn a_job_that_completes_by_itself_fetches_again_what_was_lost() {
    let mut world = world();
    let job = world.launch(1, 1, Properties { auto_complete: true, ..properties() });
    for _ in 0..8 {
        world.report(job, file_done(0));
        world.report(job, Report::Finished);
        world.report(job, Report::Published { files_published: 0, error: None, lost: vec![lost(0)] });
        assert_eq!(world.state(job), JobState::Connecting);
    }
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    world.report(job, Report::Published { files_published: 0, error: None, lost: vec![lost(0)] });
    assert_eq!(world.state(job), JobState::Transferred, "not for ever");
}

#[test]
fn an_intent_is_taken_up_by_the_next_start() {
    for intent in [Intent::Complete, Intent::Cancel] {
        let mut world = world();
        let job = world.launch(1, 1, properties());
        world.report(job, file_done(0));
        world.command(match intent {
            Intent::Complete => Command::Complete(job),
            Intent::Cancel => Command::Cancel(job),
        });
        world.restart(SchedulerConfig::default());
        let effects = world.take_effects();
        match intent {
            Intent::Complete => {
                assert!(matches!(effects[..], [Effect::Publish { .. }]));
                world.report(job, PUBLISHED);
                assert_eq!(world.state(job), JobState::Acknowledged);
            }
            Intent::Cancel => {
                assert!(matches!(effects[..], [Effect::DeleteParts { .. }]));
                world.report(job, Report::PartsDeleted { files_left: 0 });
                assert_eq!(world.state(job), JobState::Cancelled);
            }
        }
    }
}

#[test]
fn everyone_who_asks_for_the_same_end_is_told_of_it() {
    let mut world = world();
    let job = world.launch(1, 1, properties());
    assert_eq!(world.command(Command::Cancel(job)), None);
    assert_eq!(world.command(Command::Cancel(job)), None);
    let second = world.last_request();
    assert!(matches!(world.command(Command::Complete(job)), Some(Err(CommandError::InvalidState(_)))));
    assert!(matches!(world.command(Command::Resume(job)), Some(Err(CommandError::InvalidState(_)))));
    world.report(job, Report::Stopped);
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert!(matches!(world.reply_to(second), Some(Ok(Reply::Cancelled { .. }))));
    assert!(matches!(world.reply_to(crate::scheduler::RequestId(second.0 - 1)), Some(Ok(Reply::Cancelled { .. }))));
}

#[test]
fn an_ending_whose_task_fails_as_a_whole_ends_all_the_same() {
    let fault = || {
        let failure = super::harness::failure(ErrorCode::Interrupted, FailureClass::Transient);
        Report::Failed(Box::new(failure))
    };
    let mut world = world();
    let job = world.launch(1, 1, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    world.command(Command::Complete(job));
    world.report(job, fault());
    assert_eq!(world.state(job), JobState::Transferred);
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Err(CommandError::Publication(_)))));
    world.command(Command::Cancel(job));
    world.report(job, fault());
    let last = world.last_request();
    assert!(matches!(world.reply_to(last), Some(Ok(Reply::Cancelled { files_left: 1, .. }))));
}

#[test]
fn final_jobs_are_forgotten_in_the_end() {
    let mut world = World::new(SchedulerConfig { final_jobs_kept: 2, ..SchedulerConfig::default() });
    for number in 1..=3 {
        let job = world.create(number, 0, properties());
        world.command(Command::Cancel(job));
        world.report(job, Report::PartsDeleted { files_left: 0 });
    }
    assert_eq!(world.core.jobs().count(), 2);
    assert_eq!(world.core.job(&super::harness::job_id(1)), None);
}

#[test]
fn a_client_that_completes_in_vain_was_there() {
    const TIMEOUT_MS: u64 = 100_000;
    let mut world = World::new(SchedulerConfig { inactivity_timeout_ms: TIMEOUT_MS, ..SchedulerConfig::default() });
    let job = world.launch(1, 1, properties());
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    world.pass(TIMEOUT_MS - 1);
    assert_eq!(world.command(Command::Complete(job)), None);
    let error = error(ErrorCode::LocalFileExists, FailureClass::Fatal);
    world.report(job, Report::Published { files_published: 0, error: Some(error), lost: vec![] });
    world.pass(TIMEOUT_MS - 1);
    assert_eq!((world.state(job), world.record(job).intent), (JobState::Transferred, None));
    world.pass(1);
    assert_eq!(world.record(job).intent, Some(Intent::Cancel));
}
