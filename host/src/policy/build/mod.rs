//! Turns the crate of a policy into a component: finds a Rust that can compile to WebAssembly, runs cargo, and encodes the module.
//!
//! Used by `backhaul policy build`, by the tests, and to refresh the components that the host embeds. The same sources and toolchain give
//! the same bytes, wherever the sources lie: paths are remapped, and flags of the surrounding environment do not reach the compiler.
//! Nothing is written outside cargo's target directory, so a crash leaves nothing to repair.

mod cargo;
mod encode;
mod error;
mod sources;
mod toolchain;

use std::path::{Path, PathBuf};

use sha2::Digest as _;

pub use self::encode::encode;
pub use self::error::BuildError;
pub use self::sources::source_digest;
pub use self::toolchain::{StdLibrary, Toolchain};
use crate::job::Sha256;

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    guest: PathBuf,
    target_dir: Option<PathBuf>,
    lock_file: LockFile,
    messages: Messages,
}

/// Whether cargo may change the guest's lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockFile {
    Updated,
    Kept,
}

/// Where cargo's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Messages {
    PassedOn,
    Collected,
}

impl BuildRequest {
    /// Builds the crate in the directory `guest`, passing cargo's messages on to standard error.
    #[must_use]
    pub fn new(guest: impl Into<PathBuf>) -> Self {
        Self { guest: guest.into(), target_dir: None, lock_file: LockFile::Updated, messages: Messages::PassedOn }
    }

    /// Builds in this directory instead of the one cargo would choose.
    #[must_use]
    pub fn target_dir(mut self, dir: impl AsRef<Path>) -> Self {
        // Cargo runs in the guest's directory. An empty path is the only one that cannot be made absolute.
        self.target_dir = std::path::absolute(dir).ok();
        self
    }

    /// Fails instead of changing the lock file.
    #[must_use]
    pub fn locked(mut self) -> Self {
        self.lock_file = LockFile::Kept;
        self
    }

    /// Keeps cargo's messages for [`BuildError::CargoFailed`] instead of passing them on.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.messages = Messages::Collected;
        self
    }

    /// The directory of the crate.
    #[must_use]
    pub fn guest(&self) -> &Path {
        &self.guest
    }

    /// Says whether there is a crate to build, before anybody looks for what builds it.
    ///
    /// # Errors
    /// [`BuildError::NotACrate`].
    pub fn check(&self) -> Result<(), BuildError> {
        cargo::manifest(self).map(drop)
    }

    /// Builds with the given toolchain. Blocks for up to [`BUILD_MINUTES_MAX`] minutes: the first build with a toolchain of Debian compiles the
    /// standard library.
    ///
    /// # Errors
    /// What stands in the way; see [`BuildError`].
    pub fn build(&self, toolchain: &Toolchain) -> Result<Built, BuildError> {
        let module = cargo::module(self, toolchain)?;
        let component = encode(&module)?;
        let digest = digest_of(&component);
        Ok(Built { component, digest, toolchain: toolchain.to_string() })
    }
}

/// Minutes that a build may take. A cold one took 2 minutes on two cores; the rest is for small boards.
pub const BUILD_MINUTES_MAX: u64 = 30;

/// A component, fresh from the compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The component's bytes.
    pub component: Vec<u8>,
    /// Their digest.
    pub digest: Sha256,
    /// What built it, for people and for the manifest.
    pub toolchain: String,
}

/// The digest by which a component is known.
pub(crate) fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod testing {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Writes a script that can be run at once. Another process writes it: a descriptor of ours could be in the hands of a test that is just
    /// starting a program, and a file that is open for writing cannot be run.
    pub(super) fn executable(path: &Path, script: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(path).stdin(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }
}
