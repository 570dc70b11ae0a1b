//! What the jobs of each owner may do on this machine: where their files lie, whose these are, and what they may connect to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::egress::{EgressConfig, EgressRules};
use super::roots::{Reach, Root, RootTemplate};
use super::subject::Subject;
use super::users::{self, NoSuchName};

/// How many users a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One: whoever it runs as.
    #[default]
    Single,
    /// Several: each sees its own jobs, and has roots.
    Multi,
}

/// `[access]`, `[[subjects]]` and `[egress]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessConfig {
    /// How many users are served.
    pub mode: Mode,
    /// The group whose members may connect, by name or number.
    pub socket_group: Option<String>,
    /// Users who may do everything, by name or number, beside root and the host's own.
    pub administrators: Vec<String>,
    /// The roots of subjects that have no entry of their own.
    pub default_roots: Vec<RootTemplate>,
    /// `[[subjects]]`.
    pub subjects: Vec<SubjectConfig>,
    /// `[egress]`.
    pub egress: EgressConfig,
}

/// What an operator says of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectConfig {
    /// Which.
    pub subject: Subject,
    /// Below which its files lie.
    pub roots: Vec<RootTemplate>,
    /// Whose its files are, where the host runs as root and it is no user itself.
    pub uid: Option<u32>,
    /// Their group; else the user's own.
    pub gid: Option<u32>,
}

/// Why multi-user mode cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Nobody but the host's own user could connect.
    #[error("several users need access.socket_group: the group whose members may connect")]
    NoGroup,
    /// A name that nobody has.
    #[error("access.{key}: {source}")]
    Name {
        /// The setting.
        key: &'static str,
        /// Which name.
        source: NoSuchName,
    },
    /// The kernel cannot open a file below a directory and nowhere else.
    #[error(
        "this kernel has no openat2 (Linux 5.6): without it, files cannot be kept below the roots of their subjects; use mode = \"single\", without subjects"
    )]
    NoOpenat2,
}

/// Whose the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOwner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What the jobs of one owner may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Where their files lie.
    pub reach: Reach,
    /// Whose the files are; none: the host's own.
    pub file_owner: Option<FileOwner>,
    /// They may connect where tokens' jobs may, no further.
    pub class: EgressClass,
}

/// Which rules of egress hold. Connections of one class are never used for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EgressClass {
    /// Those of users of the machine.
    Users,
    /// Those of tokens.
    Tokens,
}

impl Tenant {
    /// The one user of a single-user host.
    pub const OWNER_OF_ALL: Self = Self { reach: Reach::Everywhere, file_owner: None, class: EgressClass::Users };
}

/// Every owner's tenancy.
#[derive(Debug, Clone, Default)]
pub struct Tenants {
    mode: Mode,
    default_roots: Vec<(RootTemplate, Option<PathBuf>)>,
    subjects: HashMap<Subject, Entry>,
    egress: EgressConfig,
    /// The host is root: it can, and has to, give files away.
    gives_files_away: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    roots: Vec<Root>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Tenants {
    /// From what the operator says, for a host that runs as this user. Roots that are reached over symbolic links are taken for where
    /// they lead now: later links are not followed.
    #[must_use]
    pub fn new(config: &AccessConfig, host_uid: u32) -> Self {
        let resolved = |SubjectConfig { subject, roots, uid, gid }: &SubjectConfig| {
            let roots = roots.iter().filter_map(|root| root.of(subject));
            let roots = roots.map(|root| Root { real: real(&root.named), ..root }).collect();
            (subject.clone(), Entry { roots, uid: *uid, gid: *gid })
        };
        Self {
            mode: config.mode,
            default_roots: config.default_roots.iter().map(|root| (root.clone(), base_of(root))).collect(),
            subjects: config.subjects.iter().map(resolved).collect(),
            egress: config.egress.clone(),
            gives_files_away: config.mode == Mode::Multi && host_uid == 0,
        }
    }

    /// How many users are served.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The rules of a class.
    #[must_use]
    pub fn egress(&self, class: EgressClass) -> EgressRules {
        match class {
            EgressClass::Users => EgressRules::of_users(&self.egress),
            EgressClass::Tokens => EgressRules::of_tokens(&self.egress),
        }
    }

    /// The class of an owner.
    #[must_use]
    pub fn class_of(&self, owner: &str) -> EgressClass {
        match (self.mode, owner.parse::<Subject>().ok()) {
            (Mode::Single, None) | (_, Some(Subject::User(_))) => EgressClass::Users,
            (Mode::Multi, None) | (_, Some(Subject::Token(_))) => EgressClass::Tokens,
        }
    }

    /// What the jobs of an owner may do. May read /etc/passwd.
    #[must_use]
    pub fn of(&self, owner: &str) -> Arc<Tenant> {
        let subject = owner.parse::<Subject>().ok();
        Arc::new(match (self.mode, subject) {
            // The program that embeds a single-user host may name owners as it likes.
            (Mode::Single, None | Some(Subject::User(_))) => Tenant::OWNER_OF_ALL,
            (Mode::Multi, None) => {
                Tenant { reach: Reach::Below(Vec::new()), file_owner: None, class: EgressClass::Tokens }
            }
            (_, Some(subject)) => self.of_subject(&subject),
        })
    }

    fn of_subject(&self, subject: &Subject) -> Tenant {
        let entry = self.subjects.get(subject);
        let roots = match entry {
            Some(entry) => entry.roots.clone(),
            None => self
                .default_roots
                .iter()
                .filter_map(|(template, base)| default_root(template, base.as_deref(), subject))
                .collect(),
        };
        let (own_uid, class) = match subject {
            Subject::User(uid) => (Some(*uid), EgressClass::Users),
            Subject::Token(_) => (None, EgressClass::Tokens),
        };
        let uid = entry.and_then(|entry| entry.uid).or(own_uid).filter(|_| self.gives_files_away);
        let gid = entry.and_then(|entry| entry.gid);
        let file_owner =
            uid.map(|uid| FileOwner { uid, gid: gid.or_else(|| users::group_of_user(uid)).unwrap_or(uid) });
        Tenant { reach: Reach::Below(roots), file_owner, class }
    }
}

/// Where a directory is, once links are followed; itself if it is not there.
fn real(named: &Path) -> PathBuf {
    std::fs::canonicalize(named).unwrap_or_else(|_| named.to_owned())
}

/// The operator's part of a root for each user, where links are followed: what is below may be in the hands of users.
fn base_of(template: &RootTemplate) -> Option<PathBuf> {
    template.fixed_part().map(|fixed| real(&fixed))
}

fn default_root(template: &RootTemplate, base: Option<&Path>, subject: &Subject) -> Option<Root> {
    let root = template.of(subject)?;
    let real = match (template.fixed_part(), base) {
        (Some(fixed), Some(base)) => {
            let rest = root.named.strip_prefix(&fixed).ok()?;
            if rest.as_os_str().is_empty() { base.to_owned() } else { base.join(rest) }
        }
        _ => root.named.clone(),
    };
    Some(Root { real, ..root })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::job::LocalName;

    fn template(text: &str) -> RootTemplate {
        RootTemplate::new(text).unwrap()
    }

    fn subject(text: &str, roots: &[&str]) -> SubjectConfig {
        SubjectConfig {
            subject: text.parse().unwrap(),
            roots: roots.iter().map(|root| template(root)).collect(),
            uid: None,
            gid: None,
        }
    }

    #[test]
    fn the_class_of_an_owner_is_that_of_its_jobs() {
        for mode in [Mode::Single, Mode::Multi] {
            let tenants = Tenants::new(&AccessConfig { mode, ..AccessConfig::default() }, 0);
            for owner in ["uid:0", "uid:1000", "token:ci", "embedded application", ""] {
                assert_eq!(tenants.class_of(owner), tenants.of(owner).class, "{mode:?} {owner:?}");
            }
        }
    }

    #[test]
    fn one_user_may_everything_and_tokens_have_roots_all_the_same() {
        let config = AccessConfig { subjects: vec![subject("token:ci", &["/srv/ci"])], ..AccessConfig::default() };
        let tenants = Tenants::new(&config, 0);
        for owner in ["uid:0", "uid:1000", "embedded application"] {
            assert_eq!(*tenants.of(owner), Tenant::OWNER_OF_ALL, "{owner}");
        }
        let name = |text: &str| LocalName::new(text.into()).unwrap();
        let ci = tenants.of("token:ci");
        assert!(ci.reach.allows(&name("/srv/ci/a")) && !ci.reach.allows(&name("/srv/a")));
        assert_eq!((ci.class, ci.file_owner), (EgressClass::Tokens, None));
        assert!(!tenants.of("token:other").reach.allows(&name("/srv/ci/a")));
    }

    #[test]
    fn of_several_users_each_has_its_roots_and_its_files() {
        let own = SubjectConfig { uid: Some(42), gid: Some(43), ..subject("token:ci", &["/srv/ci"]) };
        let config = AccessConfig {
            mode: Mode::Multi,
            default_roots: vec![template("/srv/users/{uid}")],
            subjects: vec![own, subject("uid:7", &["/srv/seven"])],
            ..AccessConfig::default()
        };
        let tenants = Tenants::new(&config, 0);
        let roots = |owner: &str| tenants.of(owner).reach.to_string();
        assert_eq!(roots("uid:1000"), "below /srv/users/1000");
        assert_eq!(roots("uid:7"), "below /srv/seven");
        assert!(roots("token:other").starts_with("nowhere") && roots("somebody").starts_with("nowhere"));
        assert_eq!(tenants.of("token:ci").file_owner, Some(FileOwner { uid: 42, gid: 43 }));
        // A user that nobody knows has a group of the same number.
        assert_eq!(tenants.of("uid:4000000").file_owner, Some(FileOwner { uid: 4_000_000, gid: 4_000_000 }));
        assert_eq!(Tenants::new(&config, 1000).of("uid:7").file_owner, None, "only root can give files away");
    }

    #[test]
    fn links_of_the_operator_are_followed_once_and_no_others() {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = scratch.path().canonicalize().unwrap();
        std::fs::create_dir(scratch.join("disk")).unwrap();
        symlink(scratch.join("disk"), scratch.join("srv")).unwrap();
        let named = scratch.join("srv");
        let config = AccessConfig {
            mode: Mode::Multi,
            default_roots: vec![template(named.join("{uid}").to_str().unwrap())],
            subjects: vec![subject("uid:7", &[named.to_str().unwrap()])],
            ..AccessConfig::default()
        };
        let tenants = Tenants::new(&config, 1000);
        let Reach::Below(seven) = &tenants.of("uid:7").reach else { panic!("everywhere") };
        assert_eq!(seven[0], Root { named: named.clone(), real: scratch.join("disk") });
        let Reach::Below(eight) = &tenants.of("uid:8").reach else { panic!("everywhere") };
        assert_eq!(eight[0], Root { named: named.join("8"), real: scratch.join("disk/8") });
    }
}
