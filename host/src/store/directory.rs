//! The directory that a store lies in.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::OpenMode;
use super::error::StoreError;

/// Readable by their owner only: remote names and headers may be credentials.
const DIRECTORY_MODE: u32 = 0o700;

/// Makes sure that the directory exists and is on a local disk, and says its real path.
pub(super) fn prepare(directory: &Path, mode: OpenMode) -> Result<PathBuf, StoreError> {
    if mode == OpenMode::CreateIfMissing && !directory.exists() {
        let created = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
        created.map_err(|error| StoreError::io("create the directory", directory, error))?;
        if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync(parent)?;
        }
    }
    let real = match directory.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Missing { path: directory.to_owned() });
        }
        Err(error) => return Err(StoreError::io("find the directory", directory, error)),
    };
    let metadata = real.metadata().map_err(|error| StoreError::io("look at the directory", &real, error))?;
    if !metadata.is_dir() {
        return Err(StoreError::io("use as a directory", &real, std::io::ErrorKind::NotADirectory.into()));
    }
    let file_system =
        rustix::fs::statfs(&real).map_err(|error| StoreError::io("look at the file system of", &real, error.into()))?;
    match network_file_system(file_system.f_type.cast_unsigned()) {
        Some(kind) => Err(StoreError::NetworkFileSystem { path: real, kind }),
        None => Ok(real),
    }
}

/// Makes the entries of a directory durable. SQLite does this too, but takes no notice if it fails.
pub(super) fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| StoreError::io("make durable the directory", directory, error))
}

/// Bytes that this user may still write below a path; none if that cannot be said.
pub(super) fn available(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The file systems whose locks or shared mappings another machine does not see: magic numbers of linux/magic.h and of the file systems'
/// own sources. FUSE is not among them: most of what it serves is local, and it does not say.
fn network_file_system(magic: u64) -> Option<&'static str> {
    // statfs gives a word whose upper half is the sign on some machines.
    match magic & 0xFFFF_FFFF {
        0x6969 => Some("nfs"),
        0x517B => Some("smb"),
        0xFF53_4D42 => Some("cifs"),
        0xFE53_4D42 => Some("smb2"),
        0x0102_1997 => Some("9p"),
        0x00C3_6400 => Some("ceph"),
        0x5346_414F => Some("afs"),
        0x6B41_4653 => Some("kafs"),
        0x7375_7245 => Some("coda"),
        0x564C => Some("ncp"),
        0x0BD0_0BD0 => Some("lustre"),
        0x4750_4653 => Some("gpfs"),
        0x0116_1970 => Some("gfs2"),
        0x7461_636F => Some("ocfs2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_magic_numbers() {
        assert_eq!(network_file_system(0x6969), Some("nfs"));
        assert_eq!(network_file_system(0xFF53_4D42), Some("cifs"));
        assert_eq!(network_file_system(0xFFFF_FFFF_FF53_4D42), Some("cifs"));
        for local in [0xEF53, 0x0102_1994, 0x5846_5342, 0x9123_683E, 0x794C_7630] {
            assert_eq!(network_file_system(local), None);
        }
    }

    #[test]
    fn a_directory_is_created_for_its_owner_only_and_only_if_asked() {
        use std::os::unix::fs::PermissionsExt as _;
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("a/b");
        assert!(matches!(prepare(&inner, OpenMode::Existing), Err(StoreError::Missing { .. })));
        let real = prepare(&inner, OpenMode::CreateIfMissing).unwrap();
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(inner.join("file"), "").unwrap();
        assert!(matches!(prepare(&inner.join("file"), OpenMode::CreateIfMissing), Err(StoreError::Io { .. })));
    }
}
