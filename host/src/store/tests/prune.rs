//! What is no longer kept.

use super::*;
use crate::job::{IdempotencyKey, JobFilter, Sha256};
use crate::store::{PruneLimits, Pruned};

const KEEP_ALL: PruneLimits =
    PruneLimits { jobs_before: UnixMillis(0), events_before: UnixMillis(0), events_max: u64::MAX };

/// Calls until nothing is left to do. Returns the jobs that are gone, and how many calls and events it took.
fn prune(store: &Store, limits: PruneLimits) -> (Vec<JobId>, u32, u64) {
    let (mut jobs, mut calls, mut events) = (Vec::new(), 0, 0);
    loop {
        let Pruned { jobs: gone, events: removed, more } = wait(store.prune(limits)).unwrap();
        jobs.extend(gone);
        events += removed;
        calls += 1;
        if !more {
            return (jobs, calls, events);
        }
    }
}

fn of_state(state: JobState, modified_at: u64) -> JobRecord {
    JobRecord { state, modified_at: UnixMillis(modified_at), ..a_job() }
}

#[test]
fn final_jobs_go_with_all_that_was_theirs_when_they_are_old_enough() {
    let fixture = Fixture::new();
    let key = |number: u8| IdempotencyKey { key: number.to_string(), request: Sha256([number; 32]) };
    let old = of_state(JobState::Acknowledged, 10);
    let young = of_state(JobState::Cancelled, 20);
    let running = of_state(JobState::Queued, 10);
    for (number, job) in (0..).zip([&old, &young, &running]) {
        let mut writes = insert(job, some_files(3));
        writes.push(Write::RememberKey { job: job.id, owner: job.owner.clone(), key: key(number) });
        writes.push(response(job.id, 1, 200));
        fixture.commit(writes).unwrap();
    }
    assert_eq!(prune(&fixture.store, KEEP_ALL).0, []);
    let limits = PruneLimits { jobs_before: UnixMillis(15), ..KEEP_ALL };
    assert_eq!(prune(&fixture.store, limits), (vec![old.id], 1, 0));
    let reader = fixture.store.reader().unwrap();
    let counts = reader.counts().unwrap();
    assert_eq!((counts.jobs, counts.files, counts.events), (2, 6, 3), "events are kept as long as other events");
    let status = |job, file| reader.response(job, FileIndex(file)).unwrap().map(|response| response.status);
    assert_eq!((status(old.id, 1), status(young.id, 1), status(young.id, 0)), (None, Some(200), None));
    assert_eq!(reader.job_of_key(&old.owner, "0").unwrap(), None);
    assert_eq!(reader.job_of_key(&young.owner, "1").unwrap(), Some((young.id, Sha256([1; 32]))));
    let listed = reader.final_jobs(&JobFilter::default(), None, 9).unwrap();
    assert_eq!((listed.jobs, listed.next), (vec![young], None));
}

#[test]
fn a_job_of_many_files_goes_in_steps_and_is_sound_in_between() {
    let fixture = Fixture::new();
    let files = 1_200;
    let job = JobRecord { files_total: files, ..of_state(JobState::Cancelled, 10) };
    let mut writes = insert(&job, some_files(files));
    writes.push(journal(job.id, EventKind::StateChanged { from: JobState::Suspended, to: JobState::Cancelled }));
    writes.push(journal(job.id, EventKind::Cancelled { files_left: 0 }));
    fixture.commit(writes).unwrap();
    let limits = PruneLimits { jobs_before: UnixMillis(15), ..KEEP_ALL };
    let first = wait(fixture.store.prune(limits)).unwrap();
    assert_eq!((first.jobs, first.more), (vec![], true));
    let left = fixture.store.reader().unwrap().counts().unwrap().files;
    assert!((1..1_200).contains(&left), "{left}");
    // Somebody pulls the plug.
    let Fixture { directory, store } = fixture;
    wait(store.close()).unwrap();
    let report = crate::store::check(directory.path()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let store = open(directory.path());
    let (jobs, calls, _) = prune(&store, limits);
    assert_eq!(jobs, [job.id]);
    assert!(calls >= 2);
    assert_eq!(store.reader().unwrap().counts().unwrap().files, 0);
    wait(store.close()).unwrap();
    let report = crate::store::check(directory.path()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn old_events_go_first_to_last_and_no_number_is_given_again() {
    let fixture = Fixture::new();
    let event = |at| {
        let kind = EventKind::NetworkChanged { connected: true, note: String::new() };
        Write::Journal(Event { at: UnixMillis(at), job: None, kind })
    };
    // The clock was set back for a while: what is young holds what comes after it, so that there is no gap.
    let times = (0..1_000).map(|number| if number == 700 { 9_999 } else { number });
    fixture.commit(times.map(event).collect()).unwrap();
    let numbers = |store: &Store| {
        let reader = store.reader().unwrap();
        (reader.first_event_number().unwrap(), reader.last_event_number().unwrap())
    };
    let (_, calls, events) = prune(&fixture.store, PruneLimits { events_before: UnixMillis(900), ..KEEP_ALL });
    assert_eq!((events, numbers(&fixture.store)), (700, (701, 1_000)));
    assert!(calls >= 2, "a few rows at a time");
    let (_, _, events) = prune(&fixture.store, PruneLimits { events_max: 100, ..KEEP_ALL });
    assert_eq!((events, numbers(&fixture.store)), (200, (901, 1_000)));
    let (_, _, events) = prune(&fixture.store, PruneLimits { events_max: 0, ..KEEP_ALL });
    assert_eq!((events, numbers(&fixture.store)), (100, (1_001, 1_000)));
    let Fixture { directory, store } = fixture;
    wait(store.close()).unwrap();
    let report = crate::store::check(directory.path()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let store = open(directory.path());
    let committed = wait(store.commit(Batch { writes: vec![event(1)], ..Batch::default() })).unwrap();
    assert_eq!(committed.events[0].0, 1_001);
}

#[test]
fn events_are_shown_by_job_kind_and_label_in_pages_that_move_on() {
    use crate::job::EventFilter;
    let fixture = Fixture::new();
    let label = ("team".to_owned(), "edge".to_owned());
    let jobs = [JobRecord { labels: vec![label.clone()], ..a_job() }, a_job()];
    for job in &jobs {
        fixture.commit(insert(job, Vec::new())).unwrap();
    }
    let transferred = |number: usize| journal(jobs[number % 2].id, EventKind::JobTransferred);
    fixture.commit((0..1_000).map(transferred).collect()).unwrap();
    let reader = fixture.store.reader().unwrap();
    let count = |filter: &EventFilter| {
        let (mut after, mut shown) = (0, 0);
        loop {
            let page = reader.events_filtered(after, 7, filter).unwrap();
            assert!(page.events.len() <= 7 && page.events.iter().all(|(number, _)| *number > after));
            if page.last_number == after {
                return shown;
            }
            (after, shown) = (page.last_number, shown + page.events.len());
        }
    };
    assert_eq!(count(&EventFilter::default()), 1_002);
    assert_eq!(count(&EventFilter { job: Some(jobs[0].id), ..EventFilter::default() }), 501);
    assert_eq!(count(&EventFilter { kinds: vec!["job_created".into()], ..EventFilter::default() }), 2);
    assert_eq!(count(&EventFilter { labels: vec![label], ..EventFilter::default() }), 501);
    assert_eq!(
        reader.last_events(jobs[1].id, 2).unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [1_000, 1_002]
    );
}

#[test]
fn what_is_read_at_once_is_of_one_moment() {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, Vec::new())).unwrap();
    let reader = fixture.store.reader().unwrap();
    let read = |reader: &crate::store::Reader| Ok((reader.first_event_number()?, reader.events(0, 9, None)?.len()));
    let before = read(&reader).unwrap();
    let (first, second) = reader
        .at_once(|reader| {
            let first = read(reader)?;
            // All events go, and a new one comes, while this reader looks on.
            prune(&fixture.store, PruneLimits { events_max: 0, ..KEEP_ALL });
            fixture.commit(vec![journal(job.id, EventKind::JobTransferred)]).unwrap();
            Ok((first, read(reader)?))
        })
        .unwrap();
    assert_eq!((first, second), (before, before));
    assert_eq!(read(&reader).unwrap(), (before.1 as u64 + 1, 1), "the next moment");
}
