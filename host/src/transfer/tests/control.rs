//! Stopping, ceilings, checkpoints, and what is left of a part file between two attempts.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode};
use tokio::sync::watch;

use super::origin::{Origin, Reply, Then, cut, head, proper};
use super::rig::{Rig, content, failed_with, unrestrained, wanted};
use crate::job::{ErrorCode, RestartReason};
use crate::scheduler::{Report, StopReason};
use crate::transfer::Control;

const ETAG: &str = "\"v1\"";
const SIZE: usize = 200_000;

fn stop(reason: StopReason) -> Control {
    Control { stop: Some(reason), ..unrestrained() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_leaves_what_came_durable() {
    for reason in [StopReason::Suspended, StopReason::SlotTaken, StopReason::Draining] {
        let origin = Origin::start(|request| cut(proper(request, &content(SIZE, 1), ETAG), SIZE / 2, Then::Stall));
        let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
        rig.settings.checkpoint_interval = Duration::from_millis(20);
        let (control, controls) = watch::channel(unrestrained());
        let reports = rig.attempt_under(controls, |report| {
            // The first checkpoint is due by time: the origin has stalled.
            if matches!(report, Report::Checkpoint { .. }) {
                control.send_replace(stop(reason));
            }
        });
        assert_eq!(reports.await.last(), Some(&Report::Stopped));
        let durable = rig.file(0).durable;
        assert!(durable > 0 && durable <= SIZE as u64 / 2);
        assert_eq!(std::fs::metadata(rig.part(0)).unwrap().len(), durable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_given_up_only_where_the_transfer_can_be_resumed() {
    let origin = Origin::start(|_| {
        let mut bytes = head("200 OK", &[("Content-Length", &SIZE.to_string())]);
        bytes.extend(content(SIZE, 1));
        Reply { bytes, then: Then::KeepOpen }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.bytes_per_second = Some(1 << 20);
    let (control, controls) = watch::channel(Control { bytes_per_second: Some(1 << 20), ..unrestrained() });
    let reports = rig.attempt_under(controls, |report| {
        if *report == Report::Connected {
            control.send_replace(Control {
                stop: Some(StopReason::SlotTaken),
                bytes_per_second: Some(1 << 20),
                ..unrestrained()
            });
        }
    });
    assert!(reports.await.iter().any(|report| matches!(report, Report::FileFinished { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_driver_is_gone_stops() {
    let origin = Origin::start(|request| cut(proper(request, &content(SIZE, 1), ETAG), SIZE / 2, Then::Stall));
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    let (control, controls) = watch::channel(unrestrained());
    let mut control = Some(control);
    let reports = rig.attempt_under(controls, |report| {
        if *report == Report::Connected {
            control.take();
        }
    });
    assert_eq!(reports.await.last(), Some(&Report::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_holds_and_can_be_lifted_at_once() {
    let origin = Origin::start(|request| proper(request, &content(SIZE, 1), ETAG));
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.bytes_per_second = Some(1);
    let (control, controls) = watch::channel(Control { bytes_per_second: Some(1), ..unrestrained() });
    rig.settings.checkpoint_interval = Duration::from_millis(20);
    let reports = rig.attempt_under(controls, |report| {
        // With a byte a second, only the first bytes have come by then.
        if matches!(report, Report::Checkpoint { .. }) {
            control.send_replace(unrestrained());
        }
    });
    let reports = reports.await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    let held = reports
        .iter()
        .any(|report| matches!(report, Report::Checkpoint { progress, .. } if progress.durable < SIZE as u64));
    assert!(held, "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failing_file_ends_the_attempt_after_the_checkpoints_of_the_others() {
    let origin = Origin::start(|request| match request.path() {
        "/missing" => Reply { bytes: head("404 Not Found", &[("Content-Length", "0")]), then: Then::KeepOpen },
        _ => cut(proper(request, &content(SIZE, 1), ETAG), SIZE / 2, Then::Stall),
    });
    let files = ["/a", "/b", "/missing", "/never"].map(|path| wanted(origin.url(path), &path[1..]));
    let mut rig = Rig::new(files.into()).await;
    rig.parallel_files = 3;
    let reports = rig.attempt().await;
    assert_eq!(failed_with(&reports), ErrorCode::Http);
    let failures = reports.iter().filter(|report| matches!(report, Report::Failed(_) | Report::Stopped)).count();
    assert_eq!(failures, 1);
    for index in 0..2 {
        let durable = rig.file(index).durable;
        assert_eq!(std::fs::metadata(rig.part(index)).map_or(0, |part| part.len()), durable);
    }
    assert!(origin.requests().iter().all(|request| request.path() != "/never"));
    // The next attempt goes on with what each has.
    assert_eq!(failed_with(&rig.attempt().await), ErrorCode::Http);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_come_whole_with_their_digests() {
    let origin = Origin::start(|request| proper(request, request.path().repeat(100).as_bytes(), ETAG));
    let files = (0..700).map(|index| {
        let mut file = wanted(origin.url(&format!("/{index}")), &format!("f{index}"));
        let mut hasher = crate::transfer::digest::Hasher::new();
        hasher.update(format!("/{index}").repeat(100).as_bytes());
        file.digest = Some(hasher.finish());
        file
    });
    let mut rig = Rig::new(files.collect()).await;
    rig.parallel_files = 16;
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished));
    for index in 0..700 {
        assert!(std::fs::read_to_string(rig.part(index)).unwrap() == format!("/{index}").repeat(100));
        assert!(rig.file(index).finished);
    }
}

/// What happens to a part file of 100,000 durable bytes between two attempts.
async fn after(meddle: impl FnOnce(&Rig)) -> (Vec<Report>, Rig, usize) {
    let body = Arc::new(content(SIZE, 1));
    let served = Arc::clone(&body);
    let origin = Origin::start(move |request| {
        let reply = proper(request, &served, ETAG);
        if request.number == 0 { cut(reply, SIZE / 2, Then::Close) } else { reply }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.attempt().await;
    assert_eq!(rig.file(0).durable, SIZE as u64 / 2);
    meddle(&rig);
    let reports = rig.attempt().await;
    assert_eq!(reports.last(), Some(&Report::Finished), "{:?}", reports.last());
    assert!(std::fs::read(rig.part(0)).unwrap() == *body);
    let offset = origin.requests()[1].offset().unwrap_or(0);
    (reports, rig, offset)
}

fn restarted(reports: &[Report]) -> Option<RestartReason> {
    reports.iter().find_map(|report| match report {
        Report::FileRestarted { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_file_that_grew_is_cut_and_one_that_shrank_is_taken_as_it_is() {
    let resize = |size: u64| {
        move |rig: &Rig| {
            std::fs::OpenOptions::new().write(true).open(rig.part(0)).unwrap().set_len(size).unwrap();
        }
    };
    let (reports, _rig, offset) = after(resize(150_000)).await;
    assert_eq!((restarted(&reports), offset), (None, 100_000));
    let (reports, rig, offset) = after(resize(50_000)).await;
    assert_eq!((restarted(&reports), offset), (None, 50_000));
    // What was progress once is no progress when it comes again.
    assert_eq!(super::rig::new_bytes(&reports), 100_000);
    assert_eq!(rig.file(0).high_water, SIZE as u64);
    let before = reports.iter().find_map(|report| match report {
        Report::Checkpoint { progress, durable_before, .. } => Some((progress.durable, *durable_before)),
        _ => None,
    });
    assert_eq!(before, Some((50_000, 100_000)));
    let (reports, _rig, offset) = after(resize(0)).await;
    assert_eq!((restarted(&reports), offset), (Some(RestartReason::PartFileDamaged), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_file_that_is_gone_or_exchanged_begins_again_and_nothing_else_is_touched() {
    let gone = |rig: &Rig| std::fs::remove_file(rig.part(0)).unwrap();
    let (reports, _rig, _) = after(gone).await;
    assert_eq!(restarted(&reports), Some(RestartReason::PartFileDamaged));
    let exchanged = |rig: &Rig| {
        std::fs::write(rig.out().join("other"), content(SIZE / 2, 2)).unwrap();
        std::fs::rename(rig.out().join("other"), rig.part(0)).unwrap();
    };
    let (reports, _rig, _) = after(exchanged).await;
    assert_eq!(restarted(&reports), Some(RestartReason::PartFileDamaged));
    let linked = |rig: &Rig| {
        gone(rig);
        std::fs::write(rig.scratch().join("victim"), content(SIZE, 3)).unwrap();
        symlink(rig.scratch().join("victim"), rig.part(0)).unwrap();
    };
    let (reports, rig, _) = after(linked).await;
    assert_eq!(restarted(&reports), Some(RestartReason::PartFileDamaged));
    assert!(std::fs::read(rig.scratch().join("victim")).unwrap() == content(SIZE, 3));
    let blocked = |rig: &Rig| {
        gone(rig);
        rustix::fs::mknodat(CWD, rig.part(0), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    };
    let (reports, _rig, _) = after(blocked).await;
    assert_eq!(restarted(&reports), Some(RestartReason::PartFileDamaged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_waits_until_it_is_stored() {
    let origin = Origin::start(|request| {
        let etag = format!("\"v{}\"", request.number);
        let reply = proper(request, &content(SIZE, request.number as u64), &etag);
        if request.number == 0 { cut(reply, SIZE / 2, Then::Close) } else { reply }
    });
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    rig.attempt().await;
    let part = rig.part(0);
    let (_control, controls) = watch::channel(unrestrained());
    let mut sizes = Vec::new();
    let reports = rig.attempt_under(controls, |report| {
        if matches!(report, Report::FileRestarted { .. }) {
            sizes.push(std::fs::read(&part).unwrap());
        }
    });
    assert_eq!(reports.await.last(), Some(&Report::Finished));
    // About to be stored, and up to here not a byte of the new version was written.
    assert!(sizes.len() == 1 && sizes[0] == content(SIZE, 0)[..SIZE / 2]);
    assert!(std::fs::read(rig.part(0)).unwrap() == content(SIZE, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_origin_is_asked_before_that_is_granted() {
    let origin = Origin::start(|request| proper(request, &content(SIZE, 1), ETAG));
    let mut rig = Rig::new(vec![wanted(origin.url("/f"), "f")]).await;
    for reason in [StopReason::SlotTaken, StopReason::Suspended] {
        let (control, controls) = watch::channel(Control::default());
        let reports = rig.attempt_under(controls, |report| {
            if matches!(report, Report::OriginChosen(_)) {
                control.send_replace(Control { stop: Some(reason), ..Control::default() });
            }
        });
        assert!(matches!(reports.await[..], [Report::OriginChosen(_), Report::Stopped]));
        assert_eq!(origin.requests().len(), 0);
    }
    let (control, controls) = watch::channel(Control::default());
    let reports = rig.attempt_under(controls, |report| {
        if matches!(report, Report::OriginChosen(_)) {
            control.send_modify(|control| control.origins_granted += 1);
        }
    });
    assert_eq!(reports.await.last(), Some(&Report::Finished));
}
