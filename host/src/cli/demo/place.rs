//! Where the demo puts its things: a directory that is kept, or one that goes with the run.

use std::io;
use std::path::{Path, PathBuf};

use crate::job::{LocalName, LocalNameError};

/// A file and a state of its own for each seed, in one directory.
#[derive(Debug)]
pub(super) struct Place {
    pub local_name: LocalName,
    pub state_dir: PathBuf,
    /// Removed, with everything in it, when this is dropped.
    temporary: Option<tempfile::TempDir>,
}

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error("failed to make the directory {}: {source}", .path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error(transparent)]
    LocalName(#[from] LocalNameError),
}

impl Place {
    /// Makes the directory, or a temporary one.
    pub(super) fn make(keep: Option<&Path>, file_name: &str) -> Result<Self, PlaceError> {
        let temporary = match keep {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("backhaul-demo-").tempdir())
                .transpose()
                .map_err(|source| PlaceError::Make { path: std::env::temp_dir(), source })?,
        };
        let path = keep.or_else(|| temporary.as_ref().map(tempfile::TempDir::path)).expect("either is given");
        // Local names are absolute and have no `..`.
        let directory = std::fs::create_dir_all(path)
            .and_then(|()| path.canonicalize())
            .map_err(|source| PlaceError::Make { path: path.to_owned(), source })?;
        let local_name = LocalName::new(directory.join(file_name))?;
        Ok(Self { local_name, state_dir: directory.join(format!("{file_name}.state")), temporary })
    }

    /// Whether it outlives the run.
    pub(super) const fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// Whether an earlier run was here.
    pub(super) fn has_state(&self) -> bool {
        self.state_dir.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_place_goes_and_a_kept_one_stays() {
        let temporary = Place::make(None, "demo-1.bin").unwrap();
        let directory = temporary.local_name.directory().to_owned();
        assert!(directory.is_dir() && !temporary.is_kept() && !temporary.has_state());
        drop(temporary);
        assert!(!directory.exists());

        let parent = tempfile::TempDir::new().unwrap();
        let kept = Place::make(Some(&parent.path().join("a/b")), "demo-1.bin").unwrap();
        let directory = kept.local_name.directory().to_owned();
        drop(kept);
        assert!(directory.is_dir());
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let error = Place::make(Some(Path::new("/dev/null/x")), "demo-1.bin").unwrap_err();
        assert!(error.to_string().contains("/dev/null/x"), "{error}");
    }
}
