//! Files get their local names, once, whole, and nobody else's file is harmed.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::origin::{Origin, Reply, Then, head, proper};
use super::rig::{Rig, content, wanted};
use crate::job::{ErrorCode, FileIndex};
use crate::scheduler::{Overwrite, Report};

/// A rig whose files are all finished and have their index as content.
async fn finished(count: usize) -> Rig {
    let origin = Origin::start(|request| proper(request, request.path().as_bytes(), "\"v1\""));
    let files = (0..count).map(|index| wanted(origin.url(&format!("/{index}")), &format!("f{index}")));
    let mut rig = Rig::new(files.collect()).await;
    assert_eq!(rig.attempt().await.last(), Some(&Report::Finished));
    rig
}

async fn publish(rig: &mut Rig, overwrite: Overwrite) -> (u32, Option<ErrorCode>, Vec<FileIndex>) {
    let job = rig.job;
    match rig.context().publish(job, overwrite).await {
        Report::Published { files_published, error, lost } => {
            (files_published, error.map(|error| error.code), lost.iter().map(|file| file.index).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_publication_can_be_done_again() {
    let mut rig = finished(3).await;
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (3, None, vec![]));
    for index in 0..3 {
        assert_eq!(std::fs::read_to_string(rig.out().join(format!("f{index}"))).unwrap(), format!("/{index}"));
        assert!(!rig.part(index).exists());
    }
    // The store does not know of it yet, as after a crash.
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (3, None, vec![]));
}

#[tokio::test]
async fn an_existing_file_stays_unless_overwriting_is_asked_for() {
    let mut rig = finished(3).await;
    let taken = rig.out().join("f1");
    std::fs::write(&taken, "mine").unwrap();
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (1, Some(ErrorCode::LocalFileExists), vec![]));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
    assert_eq!(publish(&mut rig, Overwrite::Replace).await, (3, None, vec![]));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "/1");
}

#[tokio::test]
async fn a_link_or_a_directory_is_never_replaced() {
    let mut rig = finished(2).await;
    let elsewhere = rig.scratch().join("elsewhere");
    std::fs::write(&elsewhere, "theirs").unwrap();
    let name = rig.out().join("f0");
    symlink(&elsewhere, &name).unwrap();
    assert_eq!(publish(&mut rig, Overwrite::Replace).await, (0, Some(ErrorCode::LocalNameUnusable), vec![]));
    std::fs::remove_file(&name).unwrap();
    std::fs::create_dir(&name).unwrap();
    assert_eq!(publish(&mut rig, Overwrite::Replace).await, (0, Some(ErrorCode::LocalNameUnusable), vec![]));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "theirs");
    std::fs::remove_dir(&name).unwrap();
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (2, None, vec![]));
}

#[tokio::test]
async fn a_part_file_that_is_lost_exchanged_or_cut_is_not_published() {
    let mut rig = finished(4).await;
    std::fs::remove_file(rig.part(0)).unwrap();
    // Beside the other, so that it has another inode for certain.
    std::fs::write(rig.out().join("other"), "/1").unwrap();
    std::fs::rename(rig.out().join("other"), rig.part(1)).unwrap();
    std::fs::write(rig.part(2), "/").unwrap();
    let lost = vec![FileIndex(0), FileIndex(1), FileIndex(2)];
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (1, None, lost));
    assert!(rig.out().join("f3").exists() && !rig.out().join("f1").exists());
}

#[tokio::test]
async fn mode_and_age_are_those_of_a_downloaded_file() {
    let origin = Origin::start(|_| {
        let mut bytes = head("200 OK", &[("Content-Length", "1"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        bytes.push(b'x');
        Reply { bytes, then: Then::KeepOpen }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.attempt().await;
    assert_eq!(std::fs::metadata(rig.part(0)).unwrap().permissions().mode() & 0o777, 0o600);
    publish(&mut rig, Overwrite::Refuse).await;
    let plain = rig.scratch().join("plain");
    std::fs::write(&plain, "").unwrap();
    let (file, plain) = (std::fs::metadata(rig.out().join("f")).unwrap(), std::fs::metadata(plain).unwrap());
    assert_eq!(file.permissions(), plain.permissions());
    assert_eq!(file.mtime(), 784_111_777);
}

#[tokio::test]
async fn names_of_255_bytes_work() {
    let origin = Origin::start(|request| proper(request, &content(10, 1), "\"v1\""));
    let name = "n".repeat(255);
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), &name)]).await;
    rig.attempt().await;
    assert_eq!(publish(&mut rig, Overwrite::Refuse).await, (1, None, vec![]));
    assert!(rig.out().join(name).exists());
}

#[tokio::test]
async fn deleting_part_files_can_be_done_again() {
    let mut rig = finished(3).await;
    let context = rig.context();
    for _ in 0..2 {
        assert_eq!(context.delete_parts(rig.job).await, Report::PartsDeleted { files_left: 0 });
        assert_eq!(std::fs::read_dir(rig.out()).unwrap().count(), 0);
    }
    std::fs::remove_dir(rig.out()).unwrap();
    assert_eq!(context.delete_parts(rig.job).await, Report::PartsDeleted { files_left: 0 });
}

#[tokio::test]
async fn free_space_is_that_of_the_first_unfinished_file() {
    let mut rig = Rig::new(vec![wanted("http://127.0.0.1:1/f".into(), "f")]).await;
    let space = rig.context().free_space(rig.job).await;
    assert!(space.is_some_and(|space| space > 0 && space < u64::MAX));
    let mut other = Rig::new(vec![wanted("http://127.0.0.1:1/f".into(), "f")]).await;
    std::fs::remove_dir(other.out()).unwrap();
    assert_eq!(other.context().free_space(other.job).await, Some(u64::MAX), "it cannot be found out");
}
