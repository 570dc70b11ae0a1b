//! What lies on the disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{FETCHED_AGAIN, Findings};
use crate::job::{FileRecord, Intent, JobRecord, PartIdentity, StoreId, part_file_name};

/// Compares the row of a file with its part file, or with what was made of it.
pub(super) fn look(store: StoreId, job: &JobRecord, file: &FileRecord, subject: &str, findings: &mut Findings) {
    // Its files are being deleted.
    if job.intent == Some(Intent::Cancel) {
        return;
    }
    let part = file.local_name.directory().join(part_file_name(store, job.id, file.index));
    let local = file.local_name.as_path();
    match (file.finished, file.published) {
        // What is not finished is deleted when the job is completed.
        (false, _) if file.durable == 0 || job.intent == Some(Intent::Complete) => {}
        (false, _) => match Found::at(&part) {
            Found::File { identity, bytes } if Some(identity) == file.part && bytes >= file.durable => {}
            found => {
                let wanted = format!("at least {} bytes", file.durable);
                findings.add(subject, found.instead_of(&part, &wanted, file.part), FETCHED_AGAIN);
            }
        },
        // A publication that was cut short, or failed at a later file, has renamed some part files already.
        (true, false) => {
            let is_it = |found: &Found| matches!(found, Found::File { identity, bytes } if Some(*identity) == file.part && *bytes == file.durable);
            let found = Found::at(&part);
            // A file without a byte may have no part file.
            let needs_none = file.durable == 0 && file.part.is_none();
            if !needs_none && !is_it(&found) && !is_it(&Found::at(local)) {
                let wanted = format!("{} bytes", file.durable);
                findings.add(subject, found.instead_of(&part, &wanted, file.part), FETCHED_AGAIN);
            }
        }
        // What became of it since is not the store's.
        (true, true) => match Found::at(local) {
            Found::File { identity, bytes } if Some(identity) == file.part && bytes != file.durable => {
                let problem = format!(
                    "it was published as {} with {} bytes, which has {bytes} now",
                    local.display(),
                    file.durable
                );
                findings.add(subject, problem, CHANGED_SINCE);
            }
            Found::File { .. } => {}
            found => findings.add(subject, format!("it was published as {}, {found}", local.display()), CHANGED_SINCE),
        },
    }
}

/// What to do about a published file that somebody changed.
const CHANGED_SINCE: &str = "nothing, if it was moved or changed on purpose; else fetch it by a new job";

/// What lies somewhere.
#[derive(Debug)]
enum Found {
    File { identity: PartIdentity, bytes: u64 },
    Other,
    Nothing,
    Unreadable(std::io::Error),
}

impl Found {
    fn at(path: &Path) -> Self {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {
                let identity = PartIdentity { device: found.dev(), inode: found.ino() };
                Self::File { identity, bytes: found.len() }
            }
            Ok(_) => Self::Other,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::Nothing,
            Err(error) => Self::Unreadable(error),
        }
    }

    fn instead_of(&self, part: &Path, wanted: &str, identity: Option<PartIdentity>) -> String {
        let part = part.display();
        match self {
            Self::File { identity: found, .. } if Some(*found) != identity => {
                format!("its part file {part} is not the one that was written: it was exchanged or copied")
            }
            Self::File { bytes, .. } => format!("its part file {part} has {bytes} bytes where {wanted} should be"),
            other => format!("its part file {part} should have {wanted}, {other}"),
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { .. } => f.write_str("and there is a file"),
            Self::Other => f.write_str("and something else lies there"),
            Self::Nothing => f.write_str("and is not there"),
            Self::Unreadable(error) => write!(f, "and cannot be looked at: {error}"),
        }
    }
}
