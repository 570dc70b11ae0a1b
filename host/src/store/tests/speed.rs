//! How long it takes. The bounds are far above what is usual, so that a busy machine passes; the figures are printed.

use super::*;
use crate::clock::Now;

/// Microseconds each, of `count` things that `run` does.
fn microseconds_each(what: &str, count: u64, run: impl FnOnce()) -> u64 {
    let begin = Now::read();
    run();
    let each = Now::read().boot.since(begin.boot) * 1000 / count;
    println!("{what}: {each} us each");
    each
}

#[test]
fn a_hundred_thousand_files_are_added_in_one_batch() {
    let fixture = Fixture::new();
    let job = a_job();
    let writes = insert(&job, some_files(100_000));
    let each = microseconds_each("adding 100,000 files", 100_000, || drop(fixture.commit(writes).unwrap()));
    assert!(each < 100);
    let each = microseconds_each("replacing 100,000 prefixes", 100_000, || {
        let (from, to) = ("http://127.0.0.1:8080/".into(), "http://127.0.0.1:8081/".into());
        let committed = fixture.commit(vec![Write::ReplaceRemotePrefix { job: job.id, from, to }]).unwrap();
        assert_eq!(committed.replaced[0].files, 100_000);
    });
    assert!(each < 100);
}

#[test]
fn five_thousand_files_finish_in_batches_of_a_hundred() {
    let fixture = Fixture::new();
    let mut job = a_job();
    fixture.commit(insert(&job, some_files(5000))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let each = microseconds_each("finishing 5,000 files", 5000, || {
        for first in (0..5000).step_by(100) {
            let mut writes = Vec::new();
            for file in first..first + 100 {
                job.files_transferred += 1;
                writes.push(finished(job.id, file));
                writes.push(Write::UpdateJob(Box::new(job.clone())));
                let integrity = Integrity::LengthOnly;
                let kind = EventKind::FileTransferred { file: FileIndex(file), bytes: 4096, integrity };
                writes.push(journal(job.id, kind));
            }
            runtime.block_on(fixture.store.commit(Batch { writes, ..Batch::default() })).unwrap();
        }
    });
    assert!(each < 1000);
    let each = microseconds_each("marking 5,000 files as published", 5000, || {
        fixture.commit(vec![Write::MarkPublished(job.id)]).unwrap();
    });
    assert!(each < 100);
}
