//! What a client asks for, checked.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Direction, FileRange, PolicyName, Properties, SafeUrl, Sha256};

/// An absolute, normal path of a file: no `..`, no NUL, a last component that can be a file's name.
///
/// It says where a file shall appear; only `transfer` opens it, relative to its directory and without following links.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalName(PathBuf);

/// Why a text is no local name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalNameError {
    /// Relative.
    #[error("the local name {0:?} is not absolute")]
    NotAbsolute(PathBuf),
    /// It has a component that leads out of where it seems to be.
    #[error("the local name {0:?} contains `..`")]
    ParentComponent(PathBuf),
    /// It ends with a slash, or is the root.
    #[error("the local name {0:?} names no file")]
    NoFileName(PathBuf),
    /// It has a NUL byte, which no file's name can have.
    #[error("the local name {0:?} contains a NUL byte")]
    NulByte(PathBuf),
    /// One component is longer than file systems allow.
    #[error("the local name {path:?} has a component of {bytes} bytes; at most {NAME_BYTES_MAX} are possible")]
    ComponentTooLong {
        /// The whole path.
        path: PathBuf,
        /// Length of the component.
        bytes: usize,
    },
    /// The whole is longer than the system's calls take.
    #[error("the local name has {bytes} bytes; at most {PATH_BYTES_MAX} are possible")]
    PathTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// NAME_MAX of Linux.
const NAME_BYTES_MAX: usize = 255;
/// PATH_MAX of Linux, less the closing NUL.
const PATH_BYTES_MAX: usize = 4095;

impl LocalName {
    /// Checks a path. The file system is not asked.
    pub fn new(path: PathBuf) -> Result<Self, LocalNameError> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() > PATH_BYTES_MAX {
            return Err(LocalNameError::PathTooLong { bytes: bytes.len() });
        }
        if bytes.contains(&0) {
            return Err(LocalNameError::NulByte(path));
        }
        if !path.is_absolute() {
            return Err(LocalNameError::NotAbsolute(path));
        }
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(LocalNameError::ParentComponent(path));
        }
        if let Some(long) = path.components().find(|component| component.as_os_str().len() > NAME_BYTES_MAX) {
            let bytes = long.as_os_str().len();
            return Err(LocalNameError::ComponentTooLong { path, bytes });
        }
        if bytes.ends_with(b"/") || bytes.ends_with(b"/.") || path.file_name().is_none() {
            return Err(LocalNameError::NoFileName(path));
        }
        Ok(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The directory that the file lies in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.0.parent().expect("checked by new: an absolute path with a file name has a parent")
    }

    /// The file's own name.
    #[must_use]
    pub fn file_name(&self) -> &OsStr {
        self.0.file_name().expect("checked by new")
    }
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalName({:?})", self.0)
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// One file of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Where it is fetched from.
    pub remote_name: SafeUrl,
    /// Where it shall appear.
    pub local_name: LocalName,
    /// What its bytes must hash to.
    pub digest: Option<Sha256>,
    /// The parts of the remote file that make up the local one; empty: all of it. See [`super::ranges`].
    pub ranges: Vec<FileRange>,
}

impl FileSpec {
    /// A whole file, of which no digest is known.
    #[must_use]
    pub const fn new(remote_name: SafeUrl, local_name: LocalName) -> Self {
        Self { remote_name, local_name, digest: None, ranges: Vec::new() }
    }
}

/// A job as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// For people; at most [`super::limits::DISPLAY_NAME_CHARS_MAX`] characters.
    pub display_name: String,
    /// For people; at most [`super::limits::DESCRIPTION_CHARS_MAX`] characters.
    pub description: String,
    /// Who owns it: `uid:<number>`, or a token's subject.
    pub owner: String,
    /// Which way the bytes go.
    pub direction: Direction,
    /// Its properties, checked.
    pub properties: Properties,
    /// Key and value pairs of the client, shown to policies.
    pub labels: Vec<(String, String)>,
    /// Policies that the job adds to the operator's, in order.
    pub policies: Vec<PolicyName>,
    /// Request headers, sent to the origin of the file's own remote name only, and dropped once one is pointed at another origin. Secret.
    pub headers: RequestHeaders,
    /// The headers are shown to nobody.
    pub headers_write_only: bool,
}

impl JobSpec {
    /// A download with every property at its default.
    #[must_use]
    pub fn download(owner: impl Into<String>) -> Self {
        Self {
            display_name: String::new(),
            description: String::new(),
            owner: owner.into(),
            direction: Direction::Download,
            properties: Properties::default(),
            labels: Vec::new(),
            policies: Vec::new(),
            headers: RequestHeaders::default(),
            headers_write_only: false,
        }
    }
}

/// Headers that a client sets for the requests of a job. Their values may be credentials: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestHeaders(pub Vec<(String, String)>);

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(path: &str) -> Result<LocalName, LocalNameError> {
        LocalName::new(PathBuf::from(path))
    }

    #[test]
    fn a_local_name_is_absolute_and_goes_down_only() {
        assert!(matches!(local("a/b"), Err(LocalNameError::NotAbsolute(_))));
        assert!(matches!(local("/a/../b"), Err(LocalNameError::ParentComponent(_))));
        assert!(matches!(local("/a/.."), Err(LocalNameError::ParentComponent(_))));
        assert!(matches!(local("/a/b/"), Err(LocalNameError::NoFileName(_))));
        assert!(matches!(local("/a/."), Err(LocalNameError::NoFileName(_))));
        assert!(matches!(local("/"), Err(LocalNameError::NoFileName(_))));
        assert!(matches!(local("/a\0b"), Err(LocalNameError::NulByte(_))));
        assert_eq!(local("/a/b").unwrap().directory(), Path::new("/a"));
    }

    #[test]
    fn names_of_255_bytes_work_and_longer_ones_do_not() {
        assert!(local(&format!("/{}", "n".repeat(255))).is_ok());
        assert!(matches!(local(&format!("/{}", "n".repeat(256))), Err(LocalNameError::ComponentTooLong { .. })));
        assert!(matches!(local(&"/n".repeat(2048)), Err(LocalNameError::PathTooLong { .. })));
    }

    #[test]
    fn headers_are_not_shown() {
        let headers = RequestHeaders(vec![("X-Api-Key".into(), "secret".into())]);
        assert_eq!(format!("{headers:?}"), r#"["X-Api-Key"]"#);
    }
}
