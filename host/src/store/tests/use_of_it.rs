//! What is written is read.

use super::*;
use crate::job::IdempotencyKey;
use crate::policy::Memo;
use crate::policy::contract::Hook;
use crate::scheduler::{Redirection, Replacement, RequestId};
use crate::store::{Found, Replaced};

#[test]
fn a_store_is_found_again_with_its_id_and_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let job = a_job();
    let opened = Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap();
    assert_eq!(opened.found, Found::Nothing);
    let id = opened.store.id();
    let writes = insert(&job, some_files(3));
    let committed = wait(opened.store.commit(Batch { writes, ..Batch::default() })).unwrap();
    assert_eq!(committed.events.len(), 1);
    assert_eq!(committed.events[0].0, 1);
    wait(opened.store.close()).unwrap();

    let opened = Store::open(directory.path(), OpenMode::Existing).unwrap();
    assert_eq!(opened.found, Found::Store);
    assert_eq!(opened.store.id(), id);
    let reader = opened.store.reader().unwrap();
    assert_eq!(reader.jobs_not_final().unwrap(), std::slice::from_ref(&job));
    assert_eq!(reader.job(job.id).unwrap(), Some(job.clone()));
    assert_eq!(reader.events(0, 10, Some(job.id)).unwrap(), committed.events);
    assert_eq!(reader.events(1, 10, None).unwrap(), []);
    let files = reader.files(job.id, FileIndex(1), 10).unwrap();
    assert_eq!(files.iter().map(|file| file.index.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(reader.file(job.id, FileIndex(2)).unwrap().as_ref(), files.last());
    assert_eq!(reader.file(job.id, FileIndex(3)).unwrap(), None);
}

#[test]
fn files_are_found_by_how_far_they_are() {
    let fixture = Fixture::new();
    let job = a_job();
    let mut writes = insert(&job, some_files(6));
    writes.extend([1, 2, 4].map(|file| finished(job.id, file)));
    fixture.commit(writes).unwrap();
    let reader = fixture.store.reader().unwrap();
    let indices = |files: Vec<crate::job::FileRecord>| files.iter().map(|file| file.index.0).collect::<Vec<_>>();
    assert_eq!(indices(reader.unfinished_files(job.id, None, 9).unwrap()), [0, 3, 5]);
    assert_eq!(indices(reader.unfinished_files(job.id, Some(FileIndex(0)), 1).unwrap()), [3]);
    assert_eq!(indices(reader.unfinished_files(job.id, Some(FileIndex(u32::MAX)), 1).unwrap()), [0_u32; 0]);
    assert_eq!(indices(reader.finished_unpublished_files(job.id, None, 2).unwrap()), [1, 2]);
    fixture.commit(vec![Write::MarkPublished(job.id)]).unwrap();
    assert_eq!(indices(reader.finished_unpublished_files(job.id, None, 9).unwrap()), [0_u32; 0]);
    let all = reader.files(job.id, FileIndex(0), 9).unwrap();
    assert!(all.iter().all(|file| file.published == file.finished), "{all:?}");
}

#[test]
fn a_file_with_ranges_is_found_among_others() {
    let fixture = Fixture::new();
    let [whole, ranged] = [a_job(), a_job()];
    let mut files = some_files(3);
    fixture.commit(insert(&whole, files.clone())).unwrap();
    files[2].ranges = vec![crate::job::FileRange { offset: 5, length: None }];
    fixture.commit(insert(&ranged, files)).unwrap();
    let reader = fixture.store.reader().unwrap();
    let found = [whole.id, ranged.id, JobId::generate()].map(|job| reader.has_ranges(job).unwrap());
    assert_eq!(found, [false, true, false]);
}

#[test]
fn a_prefix_is_replaced_where_it_stands_and_where_a_remote_name_results() {
    let fixture = Fixture::new();
    let job = a_job();
    let mut files = some_files(2500);
    files[7].remote_name = "http://127.0.0.1:8081/other".parse().unwrap();
    let mut writes = insert(&job, files);
    writes.push(finished(job.id, 3));
    fixture.commit(writes).unwrap();
    let replace = |from: &str, to: &str| {
        let replacement = Replacement::Usable;
        let write = Write::ReplaceRemotePrefix { job: job.id, from: from.into(), to: to.into(), replacement };
        fixture.commit(vec![write]).unwrap().replaced
    };
    let replaced_of = |files, unusable, first: Option<u32>| Replaced {
        job: job.id,
        files,
        unusable,
        first_unusable: first.map(FileIndex),
        request: None,
    };
    let replaced = replace("http://127.0.0.1:8080/files/", "https://mirror.example/f/");
    assert_eq!(replaced, [replaced_of(2499, 0, None)]);
    let reader = fixture.store.reader().unwrap();
    let name = |file| reader.file(job.id, FileIndex(file)).unwrap().unwrap();
    assert_eq!(name(2).remote_name.expose().as_str(), "https://mirror.example/f/number-2.bin");
    assert_eq!((name(2).repointed, name(3).repointed), (false, true));
    assert_eq!(name(7).remote_name.expose().as_str(), "http://127.0.0.1:8081/other");
    assert_eq!(replace("https://mirror", "ftp://mirror"), [replaced_of(0, 2499, Some(0))]);
    assert_eq!(replace("nothing", "else"), [replaced_of(0, 0, None)]);
}

#[test]
fn a_prefix_is_replaced_in_all_names_or_in_none() {
    let fixture = Fixture::new();
    let job = a_job();
    let mut files = some_files(2500);
    // With a longer prefix it would be too long.
    let long = "a".repeat(crate::job::limits::URL_BYTES_MAX - "http://127.0.0.1:8080/".len());
    files[2100].remote_name = format!("http://127.0.0.1:8080/{long}").parse().unwrap();
    fixture.commit(insert(&job, files)).unwrap();
    let event = Event { at: UnixMillis(3), job: Some(job.id), kind: EventKind::JobModified { fields: Vec::new() } };
    let replace = |from: &str, to: &str| {
        let replacement = Replacement::AllOrNone { request: RequestId(7), event: event.clone() };
        let prefix = Write::ReplaceRemotePrefix { job: job.id, from: from.into(), to: to.into(), replacement };
        let committed = fixture.commit(vec![prefix, journal(job.id, EventKind::JobTransferred)]).unwrap();
        (committed.replaced[0], committed.events.into_iter().map(|(number, _)| number).collect::<Vec<_>>())
    };
    let name = |file| fixture.store.reader().unwrap().file(job.id, FileIndex(file)).unwrap().unwrap().remote_name;
    let (refused, numbers) = replace("http://127.0.0.1:8080/", "http://127.0.0.1:8080/longer/");
    assert_eq!((refused.files, refused.first_unusable, numbers), (0, Some(FileIndex(2100)), vec![2]));
    assert_eq!(name(0).expose().path(), "/files/number-0.bin");
    let (replaced, numbers) = replace("http://127.0.0.1:8080/", "http://127.0.0.1/");
    assert_eq!((replaced.files, replaced.first_unusable, numbers), (2500, None, vec![3, 4]));
    assert_eq!(replaced.request, Some(RequestId(7)));
    assert_eq!(name(2499).expose().as_str(), "http://127.0.0.1/files/number-2499.bin");
    let (none, numbers) = replace("http://elsewhere/", "http://127.0.0.1/");
    assert_eq!((none.files, numbers), (0, vec![5]));
}

#[test]
fn a_job_that_changes_hands_loses_what_it_was_given_and_keeps_what_it_has() {
    let fixture = Fixture::new();
    let [job, other] = [a_job(), JobRecord { id: JobId::generate(), ..a_job() }];
    let headers = RequestHeaders(vec![("X-Key".into(), "1".into())]);
    let with_password = |file: FileSpec| FileSpec { remote_name: "http://u:p@127.0.0.1/a?q".parse().unwrap(), ..file };
    // More than are read at once.
    let files: Vec<_> = some_files(1_100).into_iter().map(with_password).collect();
    let key = || IdempotencyKey { key: "k".into(), request: crate::job::Sha256([0; 32]) };
    let mut writes = Vec::new();
    for (job, owner) in [(&job, "uid:1"), (&other, "uid:2")] {
        writes.push(Write::InsertJob { job: Box::new(job.clone()), headers: headers.clone() });
        writes.push(Write::InsertFiles { job: job.id, first: FileIndex(0), files: files.clone() });
        writes.push(Write::RememberKey { job: job.id, owner: owner.into(), key: key() });
    }
    fixture.commit(writes).unwrap();
    fixture.commit(vec![Write::ForgetOwner(job.id)]).unwrap();
    let reader = fixture.store.reader().unwrap();
    let name = |job, file| reader.file(job, FileIndex(file)).unwrap().unwrap().remote_name;
    for file in [0, 999, 1_000, 1_099] {
        assert_eq!(name(job.id, file).expose().as_str(), "http://127.0.0.1/a?q", "{file}");
        assert_eq!(name(other.id, file).expose().as_str(), "http://u:p@127.0.0.1/a?q", "{file}");
    }
    assert_eq!((reader.headers(job.id).unwrap().0.len(), reader.headers(other.id).unwrap()), (0, headers));
    assert_eq!(reader.job_of_key("uid:1", "k").unwrap(), None);
    assert!(reader.job_of_key("uid:2", "k").unwrap().is_some());
}

#[test]
fn memos_and_headers_are_kept_per_job() {
    let fixture = Fixture::new();
    let job = a_job();
    let headers = RequestHeaders(vec![("X-Key".into(), "1".into()), ("Accept".into(), "*/*".into())]);
    let memo = |bytes: &[u8]| Memo {
        job: job.id,
        policy: crate::job::PolicyName("mirrors".into()),
        hook: Hook::Recovery,
        bytes: bytes.to_vec(),
    };
    let writes = vec![Write::InsertJob { job: Box::new(job.clone()), headers: headers.clone() }];
    let batch =
        Batch { writes, decisions: Vec::new(), memos: vec![memo(b"first"), memo(b"second")], ..Batch::default() };
    wait(fixture.store.commit(batch)).unwrap();
    let reader = fixture.store.reader().unwrap();
    assert_eq!(reader.headers(job.id).unwrap(), headers);
    assert_eq!(reader.headers(JobId::generate()).unwrap(), RequestHeaders::default());
    let fewer = RequestHeaders(vec![("X-Key".into(), "2".into())]);
    fixture.commit(vec![Write::ReplaceHeaders { job: job.id, headers: fewer.clone() }]).unwrap();
    assert_eq!(reader.headers(job.id).unwrap(), fewer);
    let policy = crate::job::PolicyName("mirrors".into());
    assert_eq!(reader.memo(job.id, &policy, Hook::Recovery).unwrap().as_deref(), Some(&b"second"[..]));
    assert_eq!(reader.memo(job.id, &policy, Hook::Retry).unwrap(), None);
}

#[test]
fn headers_last_until_a_file_is_pointed_at_another_origin() {
    let fixture = Fixture::new();
    let point = |job, url: &str| Write::UpdateFile {
        job,
        file: FileIndex(0),
        change: FileChange::RemoteName(url.parse().unwrap()),
    };
    let replace = |job, from: &str, to: &str| {
        let replacement = Replacement::Usable;
        Write::ReplaceRemotePrefix { job, from: from.into(), to: to.into(), replacement }
    };
    let headers = RequestHeaders(vec![("X-Key".into(), "secret".into())]);
    let prefix = "http://127.0.0.1:8080/";
    type Move = Box<dyn Fn(JobId) -> Write>;
    let moves: [(Move, bool); 4] = [
        (Box::new(move |job| point(job, "http://127.0.0.1:8080/other")), true),
        (Box::new(move |job| replace(job, prefix, "http://127.0.0.1:8080/other/")), true),
        (Box::new(move |job| point(job, "http://127.0.0.1:8081/files/number-0.bin")), false),
        (Box::new(move |job| replace(job, prefix, "https://127.0.0.1:8080/")), false),
    ];
    for (change, stay) in moves {
        let job = a_job();
        let insert = Write::InsertJob { job: Box::new(job.clone()), headers: headers.clone() };
        let files = Write::InsertFiles { job: job.id, first: FileIndex(0), files: some_files(2) };
        fixture.commit(vec![insert, files]).unwrap();
        fixture.commit(vec![change(job.id)]).unwrap();
        let left = fixture.store.reader().unwrap().headers(job.id).unwrap();
        assert_eq!(left, if stay { headers.clone() } else { RequestHeaders::default() });
    }
}

#[test]
fn a_batch_that_contradicts_the_store_is_refused_whole() {
    let fixture = Fixture::new();
    let (known, unknown) = (a_job(), a_job());
    fixture.commit(insert(&known, some_files(1))).unwrap();
    let bad = [
        Write::UpdateJob(Box::new(unknown.clone())),
        Write::InsertFiles { job: unknown.id, first: FileIndex(0), files: some_files(1) },
        Write::InsertFiles { job: known.id, first: FileIndex(0), files: some_files(1) },
        Write::InsertJob { job: Box::new(known.clone()), headers: RequestHeaders::default() },
        finished(known.id, 1),
    ];
    for write in bad {
        let error = fixture.commit(vec![journal(known.id, EventKind::JobTransferred), write]).unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    }
    // No number of the journal was used up.
    let committed = fixture.commit(vec![journal(known.id, EventKind::JobTransferred)]).unwrap();
    assert_eq!(committed.events[0].0, 2);
}

#[test]
fn a_closed_store_says_so_and_its_directory_is_free() {
    let fixture = Fixture::new();
    let other = fixture.store.clone();
    wait(fixture.store.close()).unwrap();
    assert!(matches!(wait(other.commit(Batch::default())), Err(StoreError::Closed { .. })));
    assert!(matches!(other.reader(), Err(StoreError::Closed { .. })));
    open(fixture.directory.path());
    let names: Vec<_> = std::fs::read_dir(fixture.directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("-wal")), "{names:?}");
}

#[test]
fn the_last_response_of_a_file_stands_and_goes_with_no_other() {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, some_files(2))).unwrap();
    fixture.commit(vec![response(job.id, 0, 503), response(job.id, 1, 404), response(job.id, 0, 206)]).unwrap();
    let reader = fixture.store.reader().unwrap();
    let found = |file| reader.response(job.id, FileIndex(file)).unwrap();
    assert_eq!(found(0).map(|response| response.status), Some(206));
    assert_eq!(found(0).unwrap().fields[1].value, None);
    assert_eq!(found(1).map(|response| response.status), Some(404));
    assert_eq!(found(2), None);
}

#[test]
fn headers_that_are_given_anew_are_for_redirected_files_too() {
    let fixture = Fixture::new();
    let job = a_job();
    fixture.commit(insert(&job, some_files(3))).unwrap();
    let reader = fixture.store.reader().unwrap();
    let name = |file| reader.file(job.id, FileIndex(file)).unwrap().unwrap().remote_name;
    let redirect = |file, to: &str| {
        let kind = EventKind::JobModified { fields: vec!["remote_name".into()] };
        let (file, from, to) = (FileIndex(file), name(file), to.parse().unwrap());
        let redirection = Box::new(Redirection { file, from, to, headers_withheld: true });
        Write::Redirected { job: job.id, redirection, event: Event { at: UnixMillis(1), job: Some(job.id), kind } }
    };
    let headers = reader.headers(job.id).unwrap();
    let (first, again) = (redirect(1, "http://cdn.example/a"), redirect(1, "http://other.example/"));
    let committed = fixture.commit(vec![first, again]).unwrap();
    // The second one comes of a name that the file does not have any more.
    assert_eq!(committed.events.len(), 1);
    let withheld = || (0..3).map(|file| reader.file(job.id, FileIndex(file)).unwrap().unwrap().headers_withheld);
    assert!(withheld().eq([false, true, false]));
    assert_eq!(name(1).expose().as_str(), "http://cdn.example/a");
    assert_eq!(reader.headers(job.id).unwrap(), headers, "the other files have theirs");
    fixture.commit(vec![Write::ReplaceHeaders { job: job.id, headers }]).unwrap();
    assert!(withheld().eq([false, false, false]));
}
