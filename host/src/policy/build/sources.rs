//! The digest of what a guest of this repository is built from: it tells whether an embedded component is stale.

use std::io;
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use crate::job::Sha256;

/// What every guest is built from, besides its own crate.
const SHARED: [&str; 6] = [
    "guest-policy/Cargo.toml",
    "guest-policy/Cargo.lock",
    "guest-policy/.cargo",
    "guest-policy/sdk",
    "guest-policy/support",
    "wit",
];

/// The digest over path and content of every file that goes into the guest `name`, in the order of their paths.
///
/// # Errors
/// A file below `repository` cannot be read.
pub fn source_digest(repository: &Path, name: &str) -> io::Result<Sha256> {
    let own = format!("guest-policy/{name}");
    let mut files = Vec::new();
    for part in SHARED.iter().copied().chain([own.as_str()]) {
        collect(repository, Path::new(part), &mut files)?;
    }
    files.sort();
    let mut hash = sha2::Sha256::new();
    for file in files {
        let content = std::fs::read(repository.join(&file))?;
        let path = file.to_string_lossy();
        // With the lengths, no two sets of files run together to the same bytes.
        for part in [path.as_bytes(), &content] {
            hash.update(u64::try_from(part.len()).expect("a length fits 64 bits").to_be_bytes());
            hash.update(part);
        }
    }
    Ok(Sha256(hash.finalize().into()))
}

/// Adds the file at `path`, or the files below it, by their paths relative to the repository.
fn collect(repository: &Path, path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if repository.join(path).is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(repository.join(path))? {
        let name = entry?.file_name();
        // What a build or an editor leaves is no source.
        if name != "target" && name != "Cargo.lock" && !name.to_string_lossy().ends_with('~') {
            collect(repository, &path.join(name), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{SHARED, source_digest};
    use std::fs;
    use std::path::Path;

    fn repository(dir: &Path) {
        for part in SHARED.iter().copied().chain(["guest-policy/one/src", "guest-policy/two/src"]) {
            let file = if part.contains("Cargo.") { part.to_owned() } else { format!("{part}/file") };
            let file = dir.join(file);
            fs::create_dir_all(file.parent().expect("below the directory")).expect("created");
            fs::write(file, "content").expect("written");
        }
    }

    #[test]
    fn the_digest_depends_on_the_guest_and_on_what_all_share() {
        let dir = tempfile::tempdir().expect("a directory");
        repository(dir.path());
        let digest = || source_digest(dir.path(), "one").expect("readable");
        let first = digest();
        assert_eq!(digest(), first);
        fs::write(dir.path().join("guest-policy/two/src/file"), "changed").expect("written");
        assert_eq!(digest(), first, "another guest is no source of this one");
        let mut seen = vec![first];
        for changed in [
            "guest-policy/one/src/file",
            "guest-policy/Cargo.toml",
            "guest-policy/Cargo.lock",
            "guest-policy/.cargo/file",
            "guest-policy/sdk/file",
            "guest-policy/support/file",
            "wit/file",
        ] {
            fs::write(dir.path().join(changed), "changed").expect("written");
            assert!(!seen.contains(&digest()), "{changed}");
            seen.push(digest());
        }
        fs::write(dir.path().join("guest-policy/sdk/new"), "").expect("written");
        assert!(!seen.contains(&digest()), "a file more counts");
        seen.push(digest());
        fs::rename(dir.path().join("wit/file"), dir.path().join("wit/other")).expect("renamed");
        assert!(!seen.contains(&digest()), "the name counts");
    }
}
