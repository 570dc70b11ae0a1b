//! Which store a command works on: a directory named by a digest of what is fetched, so that the same command finds its own again.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::job::FileSpec;

/// Why there is no place for the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither XDG_STATE_HOME nor HOME is set to an absolute path; say with --state-dir DIR where the state may lie")]
pub(crate) struct NoStateHome;

/// What a command's stores lie below.
pub(crate) fn parent(xdg_state_home: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, NoStateHome> {
    // Relative values are to be ignored, says the XDG base directory specification.
    let absolute = |value: Option<OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute(xdg_state_home).or_else(|| absolute(home).map(|home| home.join(".local/state")));
    Ok(state_home.ok_or(NoStateHome)?.join("backhaul/get"))
}

/// The directory of the command that fetches these files, in this order, to these places.
pub(crate) fn state_dir(parent: &Path, files: &[FileSpec]) -> PathBuf {
    parent.join(key(files))
}

/// 32 hexadecimal digits over URLs, local names and digests. Whatever else a command says may change from one run to the next.
fn key(files: &[FileSpec]) -> String {
    /// Changes when the meaning of a stored job does, so that a new version does not take up an old one.
    const GENERATION: &[u8] = b"backhaul get 1";
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(GENERATION);
    for file in files {
        field(file.remote_name.expose().as_str().as_bytes());
        field(file.local_name.as_path().as_os_str().as_bytes());
        field(file.digest.as_ref().map_or(&[][..], |digest| &digest.0));
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{LocalName, SafeUrl};

    fn file((url, name, digest): (String, String, Option<u8>)) -> FileSpec {
        FileSpec {
            remote_name: SafeUrl::parse(&format!("http://h/{url}")).unwrap(),
            local_name: LocalName::new(PathBuf::from(format!("/d/{name}"))).unwrap(),
            digest: digest.map(|byte| crate::job::Sha256([byte; 32])),
            ranges: Vec::new(),
        }
    }

    fn files() -> impl Strategy<Value = Vec<(String, String, Option<u8>)>> {
        proptest::collection::vec(("[ab?]{0,3}", "[ab]{1,3}", proptest::option::of(0..2_u8)), 0..4)
    }

    proptest! {
        #[test]
        fn equal_commands_and_only_they_share_a_store(one in files(), other in files()) {
            let key_of = |files: &[(String, String, Option<u8>)]| key(&files.iter().cloned().map(file).collect::<Vec<_>>());
            prop_assert_eq!(one == other, key_of(&one) == key_of(&other));
            prop_assert_eq!(key_of(&one).len(), 32);
        }
    }

    #[test]
    fn the_state_home_is_the_one_of_the_specification() {
        let of = |xdg: Option<&str>, home: Option<&str>| parent(xdg.map(Into::into), home.map(Into::into));
        assert_eq!(of(Some("/s"), Some("/h")), Ok(PathBuf::from("/s/backhaul/get")));
        for xdg in [None, Some(""), Some("relative")] {
            assert_eq!(of(xdg, Some("/h")), Ok(PathBuf::from("/h/.local/state/backhaul/get")));
        }
        assert_eq!(of(None, None), Err(NoStateHome));
        assert_eq!(of(None, Some("relative")), Err(NoStateHome));
    }
}
