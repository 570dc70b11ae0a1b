//! What a change does to a file's record. Pure.

use crate::job::{FileIndex, FileRecord, FileSpec, Integrity, Validation};
use crate::scheduler::{FileChange, FileProgress, Redirection};

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
        ranges: spec.ranges,
        validation: Validation::Unset,
        headers_withheld: false,
    }
}

/// Applies a change as [`FileChange`] describes it.
pub(super) fn apply(file: &mut FileRecord, change: FileChange) {
    match change {
        FileChange::Progress(progress) => advance(file, progress),
        FileChange::Finished { progress, integrity } => {
            advance(file, progress);
            let version = file.version.get_or_insert_default();
            if file.ranges.is_empty() {
                // Whoever was told no size knows it now.
                version.bytes_total.get_or_insert(file.durable);
            }
            file.finished = true;
            file.integrity = integrity;
            file.validation = Validation::Unset;
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
            file.validation = Validation::Unset;
        }
        FileChange::Validated(verdict) => file.validation = verdict.into(),
        FileChange::RemoteName(remote_name) => {
            file.repointed = file.version.is_some();
            // At another origin the job has no headers any more that could be withheld.
            file.headers_withheld &= remote_name.origin() == file.remote_name.origin();
            file.remote_name = remote_name;
        }
    }
}

/// Redirects have led a file from one name to another. Whether that is still its name; if not, it is as before.
pub(super) fn redirect(file: &mut FileRecord, redirection: &Redirection) -> bool {
    let is_it = file.remote_name == redirection.from;
    if is_it {
        file.remote_name = redirection.to.clone();
        // Once withheld, for good: a later redirect within the new origin does not make them its own.
        file.headers_withheld |= redirection.headers_withheld;
    }
    is_it
}

fn advance(file: &mut FileRecord, progress: FileProgress) {
    let FileProgress { file: _, remote_name, durable, mut version, bytes_total: _, part, hash_state } = progress;
    // A size that is not known any more does not take back one that was counted: only a restart does.
    version.bytes_total = version.bytes_total.or(file.version.as_ref().and_then(|known| known.bytes_total));
    file.durable = durable;
    file.high_water = file.high_water.max(durable);
    file.version = Some(version);
    file.part = part;
    file.hash_state = hash_state;
    // A running transfer goes on with the name that it began with: its checkpoints say nothing of the one that the file got meanwhile.
    file.repointed = file.remote_name != *remote_name;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::arbitrary::{file_record, file_version, integrity, part_identity, safe_url};

    fn file_progress() -> impl Strategy<Value = FileProgress> {
        let fields = (
            any::<u32>(),
            safe_url(),
            any::<u64>(),
            file_version(),
            proptest::option::of(part_identity()),
            any::<[u8; 4]>(),
        );
        fields.prop_map(|(file, remote_name, durable, version, part, state)| FileProgress {
            file: FileIndex(file),
            remote_name: remote_name.into(),
            durable,
            bytes_total: version.bytes_total,
            version,
            part,
            hash_state: Some(state.to_vec()),
        })
    }

    proptest! {
        #[test]
        fn a_checkpoint_takes_over_what_it_says(before in file_record(), progress in file_progress()) {
            let mut after = before.clone();
            apply(&mut after, FileChange::Progress(progress.clone()));
            prop_assert_eq!(after.durable, progress.durable);
            prop_assert_eq!(after.high_water, before.high_water.max(progress.durable));
            prop_assert_eq!(after.part, progress.part);
            prop_assert_eq!(&after.hash_state, &progress.hash_state);
            prop_assert_eq!(after.repointed, before.remote_name != *progress.remote_name);
            let known = before.version.as_ref().and_then(|version| version.bytes_total);
            let version = after.version.clone().unwrap();
            prop_assert_eq!(version.bytes_total, progress.version.bytes_total.or(known));
            prop_assert_eq!(version.etag, progress.version.etag);
            let rest = |file: FileRecord| (file.index, file.remote_name, file.local_name, file.digest, file.restarts, file.finished);
            prop_assert_eq!(rest(after), rest(before));
        }

        #[test]
        fn bytes_of_a_former_remote_name_are_never_taken_for_those_of_the_present_one(
            before in file_record(), [first, later] in [file_progress(), file_progress()], url in safe_url(), restarted: bool,
        ) {
            prop_assume!(url != before.remote_name);
            let former = before.remote_name.clone();
            let mut file = before;
            apply(&mut file, FileChange::Progress(FileProgress { remote_name: former.clone().into(), ..first }));
            prop_assert!(!file.repointed);
            apply(&mut file, FileChange::RemoteName(url.clone()));
            // The transfer under the former name goes on.
            if restarted {
                apply(&mut file, FileChange::Restarted);
            }
            apply(&mut file, FileChange::Progress(FileProgress { remote_name: former.into(), ..later.clone() }));
            prop_assert!(file.repointed);
            // The next attempt has found that the new name serves the same.
            apply(&mut file, FileChange::Progress(FileProgress { remote_name: url.into(), ..later }));
            prop_assert!(!file.repointed);
        }

        #[test]
        fn a_finished_file_has_a_size(before in file_record(), progress in file_progress(), integrity in integrity()) {
            let mut after = before;
            apply(&mut after, FileChange::Finished { progress: progress.clone(), integrity });
            prop_assert!(after.finished);
            prop_assert_eq!(after.integrity, integrity);
            let version = after.version.unwrap();
            prop_assert!(version.bytes_total.is_some() || !after.ranges.is_empty());
        }

        #[test]
        fn a_restarted_file_is_as_new_but_for_the_count_and_where_it_is_fetched_from(before in file_record()) {
            let mut after = before.clone();
            apply(&mut after, FileChange::Restarted);
            let FileRecord { remote_name, local_name, digest, ranges, .. } = before;
            let spec = FileSpec { remote_name, local_name, digest, ranges };
            let (restarts, headers_withheld) = (before.restarts.saturating_add(1), before.headers_withheld);
            let new = FileRecord { restarts, headers_withheld, ..planned(before.index, spec) };
            prop_assert_eq!(after, new);
        }

        #[test]
        fn another_remote_name_is_noted_where_there_are_bytes_of_the_former(before in file_record(), url in safe_url()) {
            let mut after = before.clone();
            apply(&mut after, FileChange::RemoteName(url.clone()));
            prop_assert_eq!(after.repointed, before.version.is_some());
            let same_origin = url.origin() == before.remote_name.origin();
            prop_assert_eq!(after.headers_withheld, before.headers_withheld && same_origin);
            let FileRecord { repointed, headers_withheld, remote_name, .. } = before.clone();
            prop_assert_eq!(FileRecord { repointed, headers_withheld, remote_name, ..after }, before);
        }

        #[test]
        fn a_redirect_changes_the_name_that_was_asked_and_nothing_else(
            before in file_record(), url in safe_url(), other in safe_url(), away: bool, progress in file_progress(),
        ) {
            let mut after = before.clone();
            let asked = before.remote_name.clone();
            let (from, to) = (asked.clone(), url.clone());
            let redirection = Redirection { file: before.index, from, to, headers_withheld: away };
            prop_assert!(redirect(&mut after, &redirection));
            let headers_withheld = before.headers_withheld || away;
            prop_assert_eq!(&after, &FileRecord { remote_name: url.clone(), headers_withheld, ..before.clone() });
            // Bytes from there are the file's, not those of another name.
            apply(&mut after, FileChange::Progress(FileProgress { remote_name: url.clone().into(), ..progress }));
            prop_assert!(!after.repointed);
            // A client was faster.
            prop_assume!(other != asked);
            let mut pointed = before;
            apply(&mut pointed, FileChange::RemoteName(other));
            let same = pointed.clone();
            prop_assert!(!redirect(&mut pointed, &redirection));
            prop_assert_eq!(pointed, same);
        }
    }
}
