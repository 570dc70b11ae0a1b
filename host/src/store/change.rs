//! What a change does to a file's record. Pure.

use crate::job::{FileIndex, FileRecord, FileSpec, Integrity};
use crate::scheduler::{FileChange, FileProgress};

/// A file that was just added.
pub(super) fn planned(index: FileIndex, spec: FileSpec) -> FileRecord {
    FileRecord {
        index,
        remote_name: spec.remote_name,
        local_name: spec.local_name,
        digest: spec.digest,
        version: None,
        durable: 0,
        high_water: 0,
        hash_state: None,
        restarts: 0,
        repointed: false,
        part: None,
        finished: false,
        published: false,
        integrity: Integrity::default(),
    }
}

/// Applies a change as [`FileChange`] describes it.
pub(super) fn apply(file: &mut FileRecord, change: FileChange) {
    match change {
        FileChange::Progress(progress) => advance(file, progress),
        FileChange::Finished { progress, integrity } => {
            advance(file, progress);
            file.finished = true;
            file.integrity = integrity;
        }
        FileChange::Restarted => {
            file.version = None;
            file.durable = 0;
            file.high_water = 0;
            file.hash_state = None;
            file.restarts = file.restarts.saturating_add(1);
            file.repointed = false;
            file.part = None;
            file.finished = false;
            file.published = false;
            file.integrity = Integrity::default();
        }
        FileChange::RemoteName(remote_name) => {
            file.repointed = file.version.is_some();
            file.remote_name = remote_name;
        }
    }
}

fn advance(file: &mut FileRecord, progress: FileProgress) {
    let FileProgress { file: _, durable, version, part, hash_state } = progress;
    file.durable = durable;
    file.high_water = file.high_water.max(durable);
    file.version = Some(version);
    file.part = part;
    file.hash_state = hash_state;
    file.repointed = false;
}
