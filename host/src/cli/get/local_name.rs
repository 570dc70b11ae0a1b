//! Where fetched files go: names from URLs, names from lists, and the directories that they lie in.
//!
//! A name that is taken from a URL or from a list was written by somebody else: it stays below the directory that the user chose,
//! links in between included. Names that the user gives with `-o` may lead anywhere that the user may write.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

use crate::job::{LocalName, LocalNameError, SafeUrl};

/// Why a file cannot be given a place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The URL ends in a slash, or in what is no UTF-8 text.
    #[error("the URL {url} has no last segment that can name a file; {way_out}", way_out = NAME_IT)]
    NoName {
        /// Redacted.
        url: String,
    },
    /// The last segment decodes to what no file may be called.
    #[error("the URL {url} would name the file {name:?}, which is refused: {why}; {way_out}", way_out = NAME_IT)]
    UnsafeName {
        /// Redacted.
        url: String,
        /// What it decodes to.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name of a list that leads elsewhere.
    #[error("the local name {name:?} is refused: it must be relative, without `..`, and stay below {base:?}")]
    Escapes {
        /// As it is in the list.
        name: String,
        /// The directory of all names.
        base: PathBuf,
    },
    /// The name itself.
    #[error(transparent)]
    LocalName(#[from] LocalNameError),
    /// The path names a directory.
    #[error("{path:?} is a directory; give the name of a file, or the directory with -d")]
    IsDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A part of the path is no directory.
    #[error("{path:?} is no directory")]
    NotADirectory {
        /// Which.
        path: PathBuf,
    },
    /// The directory of `-o`.
    #[error("the directory {path:?} does not exist; create it first")]
    NoDirectory {
        /// Which.
        path: PathBuf,
    },
    /// The directory cannot be written to.
    #[error("the directory {path:?} cannot be written to: {source}")]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system could not be asked.
    #[error("failed to look at {path:?}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

const NAME_IT: &str = "name it with -o FILE, or in a list";

/// The name that a URL gives to its file.
pub(crate) fn from_url(url: &SafeUrl) -> Result<String, PlaceError> {
    let name = url.last_segment().ok_or_else(|| PlaceError::NoName { url: url.to_string() })?;
    let why = match name.as_str() {
        "" => Some("it is empty"),
        "." | ".." => Some("it is a directory"),
        name if name.contains('/') => Some("it has a slash"),
        name if name.contains('\0') => Some("it has a NUL byte"),
        _ => None,
    };
    match why {
        Some(why) => Err(PlaceError::UnsafeName { url: url.to_string(), name, why }),
        None => Ok(name),
    }
}

/// The directory below which all names of a command lie: `-d`, or the working directory.
#[derive(Debug)]
pub(crate) struct Base {
    /// As the user wrote it, for messages.
    shown: PathBuf,
    /// Without links, so that the engine, which follows none, can open it.
    real: PathBuf,
    /// Directories that were looked at, with their real paths: lists have many files in few of them.
    seen: BTreeMap<PathBuf, PathBuf>,
}

impl Base {
    /// Looks at a directory. It need not exist: the nearest one that does must be writable then.
    pub(crate) fn new(working_directory: &Path, given: Option<&Path>) -> Result<Self, PlaceError> {
        let shown = given.unwrap_or(Path::new(".")).to_path_buf();
        let real = real_directory(&working_directory.join(&shown))?;
        Ok(Self { shown, real, seen: BTreeMap::new() })
    }

    /// The place of a name below the directory.
    pub(crate) fn place(&mut self, name: &str) -> Result<LocalName, PlaceError> {
        let escapes = || PlaceError::Escapes { name: name.to_owned(), base: self.shown.clone() };
        let relative = Path::new(name);
        let goes_down = |component| matches!(component, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !relative.components().all(goes_down) {
            return Err(escapes());
        }
        // Checked before the file system is asked: a NUL byte or a name of 300 bytes has its own error.
        let local_name = LocalName::new(self.real.join(relative))?;
        let directory = local_name.directory().to_path_buf();
        let real = match self.seen.get(&directory) {
            Some(real) => real.clone(),
            None => {
                let real = real_directory(&directory)?;
                if !real.starts_with(&self.real) {
                    return Err(escapes());
                }
                self.seen.insert(directory, real.clone());
                real
            }
        };
        checked(real.join(local_name.file_name()))
    }
}

/// The place of a file that the user names.
pub(crate) fn place_output(working_directory: &Path, given: &Path) -> Result<LocalName, PlaceError> {
    let path = working_directory.join(given);
    let is_directory = || PlaceError::IsDirectory { path: given.to_path_buf() };
    let bytes = given.as_os_str().as_encoded_bytes();
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(is_directory());
    }
    let (Some(directory), Some(file_name)) = (path.parent(), path.file_name()) else { return Err(is_directory()) };
    // What cannot be a path at all is told as such, and not as a directory that is missing.
    LocalName::new(Path::new("/").join(file_name))?;
    let real = match directory.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PlaceError::NoDirectory { path: directory.to_path_buf() });
        }
        Err(error) => return Err(of_io(directory, error)),
    };
    must_be_writable(&real)?;
    checked(real.join(file_name))
}

/// The directory without links; missing parts at its end are taken as they are, to be created later.
fn real_directory(path: &Path) -> Result<PathBuf, PlaceError> {
    let mut existing = path;
    let mut missing = Vec::new();
    let real = loop {
        match existing.canonicalize() {
            Ok(real) => break real,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !existing.is_symlink() => {
                // `..` below what does not exist has no meaning yet.
                let name = existing.file_name().ok_or_else(|| of_io(existing, error))?;
                missing.push(name);
                existing = existing.parent().expect("a path with a file name has a parent");
            }
            Err(error) => return Err(of_io(existing, error)),
        }
    };
    must_be_writable(&real)?;
    Ok(missing.into_iter().rev().fold(real, |path, name| path.join(name)))
}

fn must_be_writable(directory: &Path) -> Result<(), PlaceError> {
    if !directory.is_dir() {
        return Err(PlaceError::NotADirectory { path: directory.to_path_buf() });
    }
    access(directory, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| PlaceError::NotWritable { path: directory.to_path_buf(), source: error.into() })
}

fn checked(path: PathBuf) -> Result<LocalName, PlaceError> {
    if path.is_dir() { Err(PlaceError::IsDirectory { path }) } else { Ok(LocalName::new(path)?) }
}

fn of_io(path: &Path, source: io::Error) -> PlaceError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotADirectory => PlaceError::NotADirectory { path },
        _ => PlaceError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn url(text: &str) -> SafeUrl {
        SafeUrl::parse(text).unwrap()
    }

    fn directory() -> (TempDir, PathBuf) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().canonicalize().unwrap();
        (directory, path)
    }

    #[test]
    fn a_url_names_its_file_by_its_last_segment() {
        assert_eq!(from_url(&url("http://h/a/b%20c.iso?x#y")).unwrap(), "b c.iso");
        assert_eq!(from_url(&url("http://h/..hidden")).unwrap(), "..hidden");
        for text in ["http://h", "http://h/a/", "http://h/?q", "http://h/%ff"] {
            assert!(matches!(from_url(&url(text)), Err(PlaceError::NoName { .. })), "{text}");
        }
        for text in ["http://h/a%2fb", "http://h/%2e%2e%2fx", "http://h/%2fetc%2fpasswd", "http://h/a%00b"] {
            let error = from_url(&url(text)).unwrap_err();
            assert!(matches!(error, PlaceError::UnsafeName { .. }), "{text}");
            assert!(error.to_string().ends_with("name it with -o FILE, or in a list"));
        }
        // The parser of URLs resolves these before anybody sees them.
        assert_eq!(from_url(&url("http://h/a/%2e%2e/b")).unwrap(), "b");
    }

    #[test]
    fn names_of_a_list_stay_below_their_directory() {
        let (_guard, root) = directory();
        let base_path = root.join("base");
        fs::create_dir(&base_path).unwrap();
        symlink("/", base_path.join("out")).unwrap();
        symlink(".", base_path.join("in")).unwrap();
        symlink("nowhere", base_path.join("broken")).unwrap();
        let mut base = Base::new(&root, Some(Path::new("base"))).unwrap();
        assert_eq!(base.place("a").unwrap().as_path(), base_path.join("a"));
        assert_eq!(base.place("./new/dir/a b").unwrap().as_path(), base_path.join("new/dir/a b"));
        assert_eq!(base.place("in/a").unwrap().as_path(), base_path.join("a"));
        for name in ["/etc/passwd", "../a", "a/../../b", "a/..", "..", "", "out/a", "out/etc/a"] {
            assert!(matches!(base.place(name), Err(PlaceError::Escapes { .. })), "{name}: {:?}", base.place(name));
        }
        assert!(matches!(base.place("broken/a"), Err(PlaceError::Io { .. })));
        for name in ["a/", "."] {
            assert!(matches!(base.place(name), Err(PlaceError::LocalName(LocalNameError::NoFileName(_)))), "{name}");
        }
        assert!(matches!(base.place("in"), Err(PlaceError::IsDirectory { .. })));
        assert!(matches!(base.place("a\0b"), Err(PlaceError::LocalName(LocalNameError::NulByte(_)))));
        assert!(base.place(&"n".repeat(255)).is_ok());
        assert!(base.place(&"n".repeat(256)).is_err());
        fs::write(base_path.join("file"), "").unwrap();
        assert!(matches!(base.place("file/a"), Err(PlaceError::NotADirectory { .. })));
    }

    #[test]
    fn an_output_may_lie_anywhere_that_exists() {
        let (_guard, root) = directory();
        fs::create_dir(root.join("sub")).unwrap();
        let working = root.join("sub");
        assert_eq!(place_output(&working, Path::new("../a")).unwrap().as_path(), root.join("a"));
        assert_eq!(place_output(&working, &root.join("b")).unwrap().as_path(), root.join("b"));
        for given in ["..", "/", ".", "../sub", "new/", "./."] {
            let result = place_output(&working, Path::new(given));
            assert!(matches!(result, Err(PlaceError::IsDirectory { .. })), "{given}: {result:?}");
        }
        let missing = place_output(&working, Path::new("missing/a"));
        assert!(matches!(missing, Err(PlaceError::NoDirectory { .. })));
        fs::write(root.join("file"), "").unwrap();
        assert!(matches!(place_output(&root, Path::new("file/a")), Err(PlaceError::NotADirectory { .. })));
    }

    #[test]
    fn a_missing_base_hangs_below_the_nearest_directory() {
        let (_guard, root) = directory();
        symlink(".", root.join("link")).unwrap();
        let mut base = Base::new(&root, Some(Path::new("link/x/y"))).unwrap();
        assert_eq!(base.place("a").unwrap().as_path(), root.join("x/y/a"));
        assert!(Base::new(&root, Some(Path::new("x/../y"))).is_err());
        fs::write(root.join("file"), "").unwrap();
        assert!(matches!(Base::new(&root, Some(Path::new("file"))), Err(PlaceError::NotADirectory { .. })));
    }

    proptest! {
        #[test]
        fn no_url_names_a_file_elsewhere(path in "(%2e|%2f|%5c|%00|%|/|\\.|\\\\|[a-z]|\\PC){0,20}") {
            let name = SafeUrl::parse(&format!("http://h/{path}")).ok().and_then(|url| from_url(&url).ok());
            if let Some(name) = name {
                let mut components = Path::new(&name).components();
                prop_assert!(matches!(components.next(), Some(Component::Normal(_))));
                prop_assert!(components.next().is_none());
                prop_assert!(!name.contains('\0'));
            }
        }

        #[test]
        fn no_name_of_a_list_leads_out(name in "(\\.\\.|/|\\.|a|b|\\PC){0,12}") {
            let (_guard, root) = directory();
            let mut base = Base::new(&root, None).unwrap();
            if let Ok(place) = base.place(&name) {
                prop_assert!(place.as_path().starts_with(&root) && place.as_path() != root);
            }
        }
    }
}
