//! How many jobs, files and ranges there may be, and how long a job may do nothing.

use super::harness::{World, checkpoint, file_spec, job_id, properties, spec, transient};
use crate::job::{EventKind, FileIndex, FileRange, FileSpec, JobChanges, JobId, JobState, RequestHeaders, SafeUrl};
use crate::scheduler::{Begin, Command, CommandError, LimitReached, Limits, Report, SchedulerConfig};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn config(limits: Limits) -> SchedulerConfig {
    SchedulerConfig { limits, ..SchedulerConfig::default() }
}

fn create(world: &mut World, number: u128, owner: &str, files: Vec<FileSpec>) -> Result<JobId, CommandError> {
    let job = job_id(number);
    let spec = Box::new(crate::job::JobSpec { owner: owner.into(), ..spec(properties()) });
    let command = Command::Create { job, spec, files, begin: Begin::Suspended, once: None };
    world.command(command).unwrap().map(|_| job)
}

fn cancel(world: &mut World, job: JobId) {
    world.command(Command::Cancel(job));
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert_eq!(world.state(job), JobState::Cancelled);
}

fn files(count: usize) -> Vec<FileSpec> {
    (0..count).map(|file| file_spec(&format!("http://origin/{file}"))).collect()
}

#[test]
fn limits_count_the_jobs_that_are_not_final_and_are_right_again_after_a_restart() {
    let limits = Limits { jobs_per_owner: 2, jobs: 3, ..Limits::BITS };
    let mut world = World::new(config(limits));
    let of_owner = Err(CommandError::Limit(LimitReached::JobsPerOwner(2)));
    let of_all = Err(CommandError::Limit(LimitReached::Jobs(3)));
    let first = create(&mut world, 1, "uid:1", vec![]).unwrap();
    create(&mut world, 2, "uid:1", files(1)).unwrap();
    let before = world.store.clone();
    assert_eq!(create(&mut world, 3, "uid:1", vec![]), of_owner);
    assert_eq!((&world.store.jobs, &world.store.journal), (&before.jobs, &before.journal), "a refusal leaves no trace");
    create(&mut world, 4, "uid:2", vec![]).unwrap();
    assert_eq!(create(&mut world, 5, "uid:3", vec![]), of_all);
    // A final job makes room, once it is final.
    cancel(&mut world, first);
    create(&mut world, 6, "uid:1", vec![]).unwrap();
    assert_eq!(create(&mut world, 7, "uid:1", vec![]), of_owner);
    world.restart(config(limits));
    assert_eq!(create(&mut world, 8, "uid:1", vec![]), of_owner);
    assert_eq!(create(&mut world, 9, "uid:2", vec![]), of_all);
    cancel(&mut world, job_id(6));
    create(&mut world, 10, "uid:1", vec![]).unwrap();
    assert_eq!(create(&mut world, 11, "uid:4", vec![]), of_all);
}

#[test]
fn lowered_limits_refuse_new_jobs_and_leave_those_that_are_there() {
    let mut world = World::new(config(Limits::default()));
    let jobs = [1, 2, 3].map(|number| create(&mut world, number, "uid:1", files(3)).unwrap());
    world.restart(config(Limits { jobs_per_owner: 1, files_per_job: 2, ..Limits::BITS }));
    assert_eq!(create(&mut world, 4, "uid:1", vec![]), Err(LimitReached::JobsPerOwner(1).into()));
    for job in jobs {
        assert_eq!(world.state(job), JobState::Suspended);
        let more = Command::AddFiles { job, files: files(1) };
        assert_eq!(world.command(more), Some(Err(LimitReached::FilesPerJob(2).into())));
    }
    world.command(Command::Resume(jobs[0])).unwrap().unwrap();
    assert_eq!(world.state(jobs[0]), JobState::Connecting);
}

#[test]
fn files_and_ranges_have_their_limits_at_creation_and_later() {
    let mut world = World::new(config(Limits { files_per_job: 3, ranges_per_file: 2, ..Limits::BITS }));
    assert_eq!(create(&mut world, 1, "uid:1", files(4)), Err(LimitReached::FilesPerJob(3).into()));
    let job = create(&mut world, 1, "uid:1", files(2)).unwrap();
    let add = |world: &mut World, files| world.command(Command::AddFiles { job, files }).unwrap().map(|_| ());
    assert_eq!(add(&mut world, files(2)), Err(LimitReached::FilesPerJob(3).into()));
    let ranged = |count: u64| {
        let ranges = (0..count).map(|part| FileRange { offset: 10 * part, length: Some(5) }).collect();
        vec![FileSpec { ranges, ..file_spec("http://origin/a") }]
    };
    assert_eq!(add(&mut world, ranged(3)), Err(LimitReached::RangesPerFile(2).into()));
    assert_eq!(create(&mut world, 2, "uid:1", ranged(3)), Err(LimitReached::RangesPerFile(2).into()));
    assert_eq!(world.record(job).files_total, 2, "all or none");
    add(&mut world, ranged(2)).unwrap();
    assert_eq!(add(&mut world, files(1)), Err(LimitReached::FilesPerJob(3).into()));
}

fn inactive_after(hours: u64) -> SchedulerConfig {
    SchedulerConfig { inactivity_timeout_ms: hours * HOUR_MS, ..SchedulerConfig::default() }
}

/// How long the job was inactive when it was cancelled for that; none if it was not.
fn inactive_seconds(world: &World, id: JobId) -> Option<u64> {
    world.store.journal.iter().find_map(|(job, kind)| match kind {
        EventKind::JobInactive { inactive_seconds } if *job == Some(id) => Some(*inactive_seconds),
        _ => None,
    })
}

#[test]
fn a_job_that_nobody_touches_is_cancelled_and_says_so_first() {
    let mut world = World::new(inactive_after(2));
    let job = world.create(1, 1, properties());
    world.pass(2 * HOUR_MS - 1);
    assert_eq!(inactive_seconds(&world, job), None);
    world.pass(1);
    assert_eq!(inactive_seconds(&world, job), Some(7_200));
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert_eq!(world.state(job), JobState::Cancelled);
    assert_eq!(world.journal(job), ["job_created", "job_inactive", "cancelled"]);
    // The next job has the room, and a time of its own.
    let next = world.create(2, 1, properties());
    world.pass(HOUR_MS);
    assert_eq!(inactive_seconds(&world, next), None);
}

#[test]
fn whatever_a_client_does_counts_as_activity_and_what_is_refused_does_not() {
    let mut world = World::new(inactive_after(2));
    let job = world.create(1, 1, properties());
    let changes = |changes| Command::Modify { job, changes: Box::new(changes), expected: None };
    let rename = JobChanges { display_name: Some("another".into()), ..JobChanges::default() };
    let commands = [
        changes(rename),
        // Even one that changes nothing.
        changes(JobChanges::default()),
        Command::AddFiles { job, files: files(1) },
        Command::SetHeaders { job, headers: RequestHeaders::default() },
        Command::SetRemoteName { job, file: FileIndex(0), remote_name: SafeUrl::parse("http://origin/b").unwrap() },
        Command::ReplaceRemotePrefix { job, from: "http://origin/".into(), to: "http://other/".into() },
        Command::Suspend(job),
    ];
    for command in commands {
        world.pass(2 * HOUR_MS - 2);
        world.command(command.clone());
        assert_eq!(world.record(job).active_at, world.now.wall, "{command:?}");
        world.pass(1);
        assert_eq!(inactive_seconds(&world, job), None, "{command:?}");
    }
    world.pass(HOUR_MS);
    let before = world.record(job).clone();
    let wrong = JobChanges { parallel_files: Some(0), display_name: Some("wrong".into()), ..JobChanges::default() };
    assert!(world.command(changes(wrong)).unwrap().is_err());
    let absent = Command::SetRemoteName { job, file: FileIndex(9), remote_name: SafeUrl::parse("http://o/").unwrap() };
    assert!(world.command(absent).unwrap().is_err());
    assert_eq!(*world.record(job), before, "a refusal leaves no trace");
    world.pass(HOUR_MS);
    assert_eq!(inactive_seconds(&world, job), Some(7_200));
}

#[test]
fn progress_counts_as_activity_and_retries_do_not() {
    let mut world = World::new(inactive_after(2));
    let job = world.launch(1, 1, properties());
    for (before, durable) in [(0, 10), (10, 20), (20, 30)] {
        world.pass(2 * HOUR_MS - 1);
        world.report(job, Report::Connected);
        world.report(job, checkpoint(before, durable));
    }
    assert_eq!(inactive_seconds(&world, job), None);
    // Bytes that were there before are no progress, nor is an attempt.
    world.pass(HOUR_MS);
    world.report(job, checkpoint(30, 30));
    world.report(job, transient());
    world.pass(HOUR_MS / 2);
    assert_eq!(world.state(job), JobState::Connecting, "it is tried again");
    world.report(job, transient());
    world.pass(HOUR_MS / 2 - 1);
    assert_eq!(inactive_seconds(&world, job), None);
    world.pass(1);
    assert_eq!(inactive_seconds(&world, job), Some(7_200));
}

#[test]
fn a_running_job_without_progress_is_stopped_and_cancelled() {
    let mut world = World::new(inactive_after(2));
    let job = world.launch(1, 1, properties());
    world.report(job, Report::Connected);
    world.take_effects();
    world.pass(2 * HOUR_MS);
    assert!(world.was_stopped(job));
    assert_eq!(inactive_seconds(&world, job), Some(7_200));
    world.report(job, Report::Stopped);
    world.report(job, Report::PartsDeleted { files_left: 0 });
    assert_eq!(world.state(job), JobState::Cancelled);
}

#[test]
fn a_clock_that_is_set_changes_nothing() {
    for (forward, back) in [(1_000 * DAY_MS, 0), (0, DAY_MS / 4)] {
        let mut world = World::new(inactive_after(2));
        let job = world.create(1, 1, properties());
        world.pass(HOUR_MS);
        world.now.wall.0 = world.now.wall.0 + forward - back;
        world.feed(crate::scheduler::Input::Tick);
        world.pass(HOUR_MS - 1);
        assert_eq!(inactive_seconds(&world, job), None, "{forward} {back}");
        world.pass(1);
        assert_eq!(inactive_seconds(&world, job), Some(7_200), "{forward} {back}");
    }
}

#[test]
fn after_a_restart_the_time_goes_on_but_a_grace_is_left() {
    let mut world = World::new(inactive_after(10 * 24));
    let job = world.create(1, 1, properties());
    // It goes on over a restart where more than the grace is left.
    world.pass(5 * DAY_MS);
    world.restart(inactive_after(10 * 24));
    world.pass(5 * DAY_MS - 1);
    assert_eq!(inactive_seconds(&world, job), None);
    // Over time by far, as it seems: the clock may have been wrong while nobody ran.
    world.now.wall.0 += 1_000 * DAY_MS;
    world.restart(inactive_after(10 * 24));
    world.pass(DAY_MS - 1);
    assert_eq!(inactive_seconds(&world, job), None);
    world.pass(1);
    assert_eq!(inactive_seconds(&world, job), Some((1_000 + 10 + 1) * 86_400 - 1));
    // Whoever came within the grace has kept the job.
    let kept = world.create(2, 1, properties());
    world.pass(9 * DAY_MS);
    world.now.wall.0 += 1_000 * DAY_MS;
    world.restart(inactive_after(10 * 24));
    world.pass(DAY_MS - 1);
    world.command(Command::Suspend(kept)).unwrap().unwrap();
    world.pass(10 * DAY_MS - 1);
    assert_eq!(inactive_seconds(&world, kept), None);
    world.pass(1);
    assert_eq!(inactive_seconds(&world, kept), Some(864_000));
    // A clock that was set back counts as no time at all.
    let future = world.create(3, 1, properties());
    world.now.wall.0 -= 100 * DAY_MS;
    world.restart(inactive_after(10 * 24));
    world.pass(10 * DAY_MS - 1);
    assert_eq!(inactive_seconds(&world, future), None);
    world.pass(1);
    assert_eq!(inactive_seconds(&world, future), Some(864_000));
}
