//! A directory for one test: gone when it passes, kept and named when it fails.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::origin::{Content, hex};

#[derive(Debug)]
pub(crate) struct Scratch {
    /// Taken when the directory is to be kept.
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        // Beside the build: on a real disk, where /tmp is often a tmpfs.
        let dir = TempDir::with_prefix_in("test-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { path: dir.path().to_owned(), dir: Some(dir) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path within, as a string for a command line.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path.join(name).into_os_string().into_string().unwrap()
    }

    /// Makes a directory within, and returns its path.
    pub(crate) fn dir(&self, name: &str) -> String {
        fs::create_dir_all(self.path.join(name)).unwrap();
        self.file(name)
    }

    /// Writes a file within, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.path.join(name), content).unwrap();
        self.file(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let dir = self.dir.take().expect("only drop takes the directory");
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", dir.keep().display());
        } else if let Err(error) = dir.close() {
            panic!("failed to remove the scratch directory {}: {error}", self.path.display());
        }
    }
}

/// SHA-256 of a file on disk, in lower-case hex.
pub(crate) fn sha256_of(path: impl AsRef<Path>) -> String {
    let mut file = fs::File::open(path).unwrap();
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block).unwrap();
        if read == 0 {
            return hex(&hash.finalize());
        }
        hash.update(&block[..read]);
    }
}

/// Asserts that a file is there and holds that content, wholly.
#[track_caller]
pub(crate) fn assert_published(path: impl AsRef<Path>, content: Content) {
    let path = path.as_ref();
    let metadata =
        fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{} is not there: {error}", path.display()));
    assert!(metadata.is_file(), "{} is no regular file", path.display());
    assert_eq!(metadata.len(), content.size_bytes, "size of {}", path.display());
    assert_eq!(sha256_of(path), content.sha256(), "digest of {}", path.display());
}

/// Asserts that nothing at all has that name.
#[track_caller]
pub(crate) fn assert_absent(path: impl AsRef<Path>) {
    let path = path.as_ref();
    assert!(fs::symlink_metadata(path).is_err(), "{} should not be there", path.display());
}

/// The names in a directory, sorted, part files included.
pub(crate) fn names_in(dir: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
