//! What a client says of a finished file, in every state that a job can have then.

use super::harness::{World, checkpoint, fatal, file_done, progress, properties, transient};
use crate::job::{
    ErrorCode, ErrorContext, EventKind, FileIndex, FileVerdict, JobId, JobState, Properties, RestartReason,
};
use crate::scheduler::{Command, CommandError, Effect, Report, SchedulerConfig, StopReason};

const FIRST: FileIndex = FileIndex(0);

fn validate(world: &mut World, job: JobId, file: u32, verdict: FileVerdict) -> Result<JobState, CommandError> {
    let command = Command::Validate { job, file: FileIndex(file), verdict };
    world.command(command).expect("it is answered at once").map(|reply| reply.into_job().state)
}

fn invalidate(world: &mut World, job: JobId, file: u32) -> Result<JobState, CommandError> {
    validate(world, job, file, FileVerdict::Invalid)
}

/// Two files, of which the first is finished and the second runs.
fn half_done(world: &mut World) -> JobId {
    let job = world.launch(1, 2, properties());
    world.report(job, Report::Connected);
    world.report(job, file_done(0));
    let second = Report::Checkpoint {
        progress: progress(1, 40, Some(100)),
        new_bytes: 40,
        durable_before: 0,
        bytes_total_before: None,
    };
    world.report(job, second);
    job
}

fn is_invalid(world: &World, job: JobId) {
    let record = world.record(job);
    let error = record.error.as_ref().unwrap();
    assert_eq!((record.state, error.code), (JobState::Error, ErrorCode::ValidationFailed));
    assert_eq!((error.context, error.file), (ErrorContext::RemoteFile, Some(FIRST)));
    assert!(record.retry.is_none() && record.transferred_at.is_none());
    let file = &world.store.files[&(job, 0)];
    assert_eq!((file.finished, file.durable, file.restarts), (false, 0, 1));
    assert_eq!(file.verdict, Some(FileVerdict::Invalid));
    assert!(world.store.journal.iter().any(|(_, kind)| matches!(
        kind,
        EventKind::FileRestarted { file: FIRST, reason: RestartReason::ValidationFailed, bytes_discarded: 100 }
    )));
    assert_eq!(world.journal(job).last().unwrap(), "job_error");
}

#[test]
fn a_file_that_is_not_transferred_cannot_be_validated() {
    let mut world = World::new(SchedulerConfig::default());
    let job = world.launch(1, 2, properties());
    world.report(job, Report::Connected);
    world.report(job, checkpoint(0, 50));
    for verdict in [FileVerdict::Valid, FileVerdict::Invalid] {
        assert_eq!(validate(&mut world, job, 0, verdict), Err(CommandError::Pending { job, file: FIRST }));
    }
    let missing = FileIndex(2);
    assert_eq!(invalidate(&mut world, job, 2), Err(CommandError::FileNotFound { job, file: missing }));
    assert_eq!(world.state(job), JobState::Transferring);
}

#[test]
fn an_invalid_file_stops_the_others_and_is_fetched_again_after_resume() {
    let mut world = World::new(SchedulerConfig::default());
    let job = half_done(&mut world);
    world.take_effects();
    assert_eq!(invalidate(&mut world, job, 0), Ok(JobState::Error));
    is_invalid(&world, job);
    let record = world.record(job);
    assert_eq!((record.files_transferred, record.bytes_transferred), (0, 40));
    assert_eq!((record.files_sized, record.bytes_sized, record.progress_bytes), (1, 100, 140));
    let stop = Effect::StopWorker { job, attempt: record.attempt, reason: StopReason::GateShut };
    assert!(world.take_effects().contains(&stop));
    // What the other file made durable meanwhile counts.
    let late = Report::Checkpoint {
        progress: progress(1, 60, Some(100)),
        new_bytes: 20,
        durable_before: 40,
        bytes_total_before: Some(100),
    };
    world.report(job, late);
    world.report(job, Report::Stopped);
    assert_eq!((world.state(job), world.record(job).bytes_transferred), (JobState::Error, 60));
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.started().len(), 1);
    world.report(job, Report::Connected);
    world.report(job, file_done(0));
    let second = Report::FileFinished {
        progress: progress(1, 100, Some(100)),
        new_bytes: 40,
        durable_before: 60,
        integrity: crate::job::Integrity::LengthOnly,
        sized_before: true,
    };
    world.report(job, second);
    world.report(job, Report::Finished);
    let record = world.record(job);
    assert_eq!((record.state, record.files_transferred, record.bytes_transferred), (JobState::Transferred, 2, 200));
    assert_eq!(world.journal(job).last().unwrap(), "job_transferred");
}

#[test]
fn a_worker_that_is_done_just_then_does_not_undo_it() {
    for last in [Report::Finished, Report::Stopped, transient(), fatal()] {
        let mut world = World::new(SchedulerConfig::default());
        let job = half_done(&mut world);
        invalidate(&mut world, job, 0).unwrap();
        world.report(job, last);
        assert_eq!(world.state(job), JobState::Error);
        assert_eq!(world.record(job).error.as_ref().unwrap().code, ErrorCode::ValidationFailed);
    }
}

#[test]
fn a_transferred_job_goes_into_error() {
    let mut world = World::new(SchedulerConfig::default());
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Connected);
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert_eq!(world.state(job), JobState::Transferred);
    assert_eq!(validate(&mut world, job, 0, FileVerdict::Valid), Ok(JobState::Transferred));
    assert_eq!(world.store.files[&(job, 0)].verdict, Some(FileVerdict::Valid));
    assert_eq!(invalidate(&mut world, job, 0), Ok(JobState::Error));
    is_invalid(&world, job);
    // The same again: there is nothing finished any more.
    assert_eq!(invalidate(&mut world, job, 0), Err(CommandError::Pending { job, file: FIRST }));
    world.command(Command::Resume(job)).unwrap().unwrap();
    assert_eq!(world.state(job), JobState::Connecting);
}

#[test]
fn waiting_suspended_and_failed_jobs_go_into_error_as_well() {
    let waits: [fn(&mut World, JobId); 4] = [
        |world, job| {
            world.command(Command::Suspend(job)).unwrap().unwrap();
            world.report(job, Report::Stopped);
        },
        |world, job| world.report(job, transient()),
        |world, job| world.report(job, fatal()),
        |world, job| {
            world.network(super::harness::offline());
            world.report(job, Report::Stopped);
        },
    ];
    for wait in waits {
        let mut world = World::new(SchedulerConfig::default());
        let job = half_done(&mut world);
        wait(&mut world, job);
        let before = world.state(job);
        assert_eq!(invalidate(&mut world, job, 0), Ok(JobState::Error), "{before:?}");
        is_invalid(&world, job);
        // Neither time nor network brings it back.
        world.network(crate::network::Network::default());
        world.pass(10_000_000);
        assert_eq!(world.state(job), JobState::Error);
    }
}

#[test]
fn a_job_that_ends_is_not_validated_any_more() {
    let mut world = World::new(SchedulerConfig::default());
    let job = world.launch(1, 1, Properties { auto_complete: true, ..properties() });
    world.report(job, Report::Connected);
    world.report(job, file_done(0));
    world.report(job, Report::Finished);
    assert!(world.record(job).intent.is_some());
    for verdict in [FileVerdict::Valid, FileVerdict::Invalid] {
        assert!(matches!(validate(&mut world, job, 0, verdict), Err(CommandError::InvalidState(_))));
    }
}
