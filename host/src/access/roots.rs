//! Roots: directories below which the files of a subject have to lie. What is said here of a name is said of its text only; the
//! transfer engine opens it so that no link can lead out (see `transfer::directory`).

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::subject::Subject;
use crate::job::LocalName;

/// What stands for the number of a user in a root.
const UID: &str = "{uid}";

/// A root for many users, as it is written: `/srv/backhaul/{uid}`. Only a number can stand in it: names of users can be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootTemplate(PathBuf);

/// Why a text is no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no root: it is the absolute path of a directory, without `..`")]
pub struct RootTemplateError(String);

impl RootTemplate {
    /// Reads one.
    ///
    /// # Errors
    /// If it is no absolute path.
    pub fn new(text: &str) -> Result<Self, RootTemplateError> {
        let path = PathBuf::from(text);
        let is_plain = |component: Component<'_>| matches!(component, Component::RootDir | Component::Normal(_));
        match path.is_absolute() && path.components().all(is_plain) && !text.contains('\0') {
            true => Ok(Self(path)),
            false => Err(RootTemplateError(text.to_owned())),
        }
    }

    /// Whether it is another directory for each user.
    #[must_use]
    pub fn is_of_each_user(&self) -> bool {
        self.0.to_string_lossy().contains(UID)
    }

    /// The directories before the first that differs from user to user: all of them, if none does.
    #[must_use]
    pub(super) fn fixed_part(&self) -> Option<PathBuf> {
        let is_fixed = |component: &Component<'_>| !component.as_os_str().to_string_lossy().contains(UID);
        let fixed: PathBuf = self.0.components().take_while(is_fixed).collect();
        (fixed != Path::new("/")).then_some(fixed)
    }

    /// The root of a subject; none where only a user can have it.
    #[must_use]
    pub fn of(&self, subject: &Subject) -> Option<Root> {
        let named = match (self.is_of_each_user(), subject) {
            (false, _) => self.0.clone(),
            (true, Subject::User(uid)) => self.0.to_string_lossy().replace(UID, &uid.to_string()).into(),
            (true, Subject::Token(_)) => return None,
        };
        Some(Root { named: named.clone(), real: named })
    }
}

impl fmt::Display for RootTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A directory below which files may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What local names begin with.
    pub named: PathBuf,
    /// The same directory, reached over no symbolic link: the operator's links were followed when it was last known to be trusted.
    pub real: PathBuf,
}

/// Where the files of an owner may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere that this process can write.
    Everywhere,
    /// Below one of these; nowhere if there is none.
    Below(Vec<Root>),
}

impl Reach {
    /// The root that a directory lies below, and the way from there. None if it lies below none.
    #[must_use]
    pub fn root_of<'a>(&'a self, directory: &'a Path) -> Option<(&'a Root, &'a Path)> {
        let Self::Below(roots) = self else { return None };
        // The nearest one: of nested roots it has the fewest directories that somebody else may exchange.
        let below = roots.iter().filter_map(|root| Some((root, directory.strip_prefix(&root.named).ok()?)));
        below.min_by_key(|(_, rest)| rest.components().count())
    }

    /// Whether a file may have the name.
    #[must_use]
    pub fn allows(&self, name: &LocalName) -> bool {
        *self == Self::Everywhere || self.root_of(name.directory()).is_some()
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("anywhere"),
            Self::Below(roots) if roots.is_empty() => {
                f.write_str("nowhere: this subject has no roots ([[subjects]] of the configuration)")
            }
            Self::Below(roots) => {
                let roots: Vec<_> = roots.iter().map(|root| root.named.display().to_string()).collect();
                write!(f, "below {}", roots.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(roots: &[&str]) -> Reach {
        let root = |text: &&str| RootTemplate::new(text).unwrap().of(&Subject::User(7)).unwrap();
        Reach::Below(roots.iter().map(root).collect())
    }

    fn name(text: &str) -> LocalName {
        LocalName::new(text.into()).unwrap()
    }

    #[test]
    fn a_name_lies_below_a_root_by_whole_components() {
        let reach = reach(&["/srv/ci", "/data/{uid}/in"]);
        for inside in ["/srv/ci/a", "/srv/ci/b/c", "/srv//ci/./a", "/data/7/in/a"] {
            assert!(reach.allows(&name(inside)), "{inside}");
        }
        for outside in [
            "/srv/ci",
            "/srv/cia",
            "/srv/ci2/a",
            "/srv/a",
            "/etc/passwd",
            "/data/8/in/a",
            "/data/{uid}/in/a",
            "/SRV/ci/a",
        ] {
            assert!(!reach.allows(&name(outside)), "{outside}");
        }
        assert!(Reach::Everywhere.allows(&name("/etc/passwd")));
        assert!(!Reach::Below(Vec::new()).allows(&name("/a")));
    }

    #[test]
    fn the_nearest_root_is_taken() {
        let reach = reach(&["/srv", "/srv/ci"]);
        let (root, rest) = reach.root_of(Path::new("/srv/ci/x")).unwrap();
        assert_eq!((root.named.as_path(), rest), (Path::new("/srv/ci"), Path::new("x")));
    }

    #[test]
    fn roots_are_absolute_and_only_a_users_number_stands_in_them() {
        for wrong in ["", "srv", "./srv", "/srv/../etc", "~/x"] {
            assert!(RootTemplate::new(wrong).is_err(), "{wrong}");
        }
        let each = RootTemplate::new("/srv/{uid}").unwrap();
        assert_eq!(each.of(&Subject::User(12)).unwrap().named, Path::new("/srv/12"));
        assert_eq!(each.of(&"token:ci".parse().unwrap()), None);
    }
}
