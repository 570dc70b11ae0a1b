//! `[[subjects]]`: below which directories the files of each subject lie.

use toml::{Table, Value};

use super::parse::Wrong;
use crate::access::{RootTemplate, Subject, SubjectConfig};

const KEYS: [&str; 4] = ["name", "roots", "uid", "gid"];

pub(super) fn read(value: &Value, wrong: &mut Wrong) -> Vec<SubjectConfig> {
    let Value::Array(entries) = value else {
        wrong.add("subjects", "is a list: write a line [[subjects]] before each subject");
        return Vec::new();
    };
    let mut subjects: Vec<SubjectConfig> = Vec::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        let name = format!("subjects[{position}]");
        let Value::Table(entry) = entry else {
            wrong.add(name, "is a table: write a line [[subjects]] before it");
            continue;
        };
        let Some(subject) = subject(&name, entry, wrong) else { continue };
        if subjects.iter().any(|other| other.subject == subject.subject) {
            wrong.add(format!("{name}.name"), format!("{} has an entry already", subject.subject));
        }
        subjects.push(subject);
    }
    subjects
}

fn subject(name: &str, entry: &Table, wrong: &mut Wrong) -> Option<SubjectConfig> {
    for key in entry.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        wrong.unknown(name, key, KEYS.into_iter());
    }
    let subject = match entry.get("name").and_then(Value::as_str).map(str::parse::<Subject>) {
        Some(Ok(subject)) => Some(subject),
        Some(Err(error)) => {
            wrong.add(format!("{name}.name"), error.to_string());
            None
        }
        None => {
            wrong.add(format!("{name}.name"), "is missing: \"uid:1000\" for a user, \"token:ci\" for a token");
            None
        }
    };
    let roots = roots(name, entry.get("roots"), wrong);
    let mut number = |key: &str| match entry.get(key)?.as_integer().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Some(number),
        None => {
            wrong.add(format!("{name}.{key}"), "is the number of a user or group");
            None
        }
    };
    let (uid, gid) = (number("uid"), number("gid"));
    Some(SubjectConfig { subject: subject?, roots, uid, gid })
}

fn roots(name: &str, value: Option<&Value>, wrong: &mut Wrong) -> Vec<RootTemplate> {
    let key = || format!("{name}.roots");
    let Some(Value::Array(texts)) = value else {
        wrong.add(key(), "is a list of directories, for example [\"/srv/ci\"]");
        return Vec::new();
    };
    let mut roots = Vec::new();
    for text in texts {
        match RootTemplate::new(text.as_str().unwrap_or_default()) {
            Ok(root) if root.is_of_each_user() => wrong.add(key(), "{uid} stands in access.default_roots only"),
            Ok(root) => roots.push(root),
            Err(error) => wrong.add(key(), error.to_string()),
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::ConfigError;
    use super::super::parse::parse;
    use crate::access::{Mode, RootTemplate};

    #[test]
    fn subjects_and_the_settings_around_them_are_read() {
        let text = "[access]\nmode = \"multi\"\nsocket_group = \"staff\"\nadministrators = [\"root\", 1000]\ndefault_roots = [\"/srv/{uid}\"]\n\
            [egress]\nallow = [\"10.0.0.0/8\"]\n[api]\nlisten = \"127.0.0.1:7447\"\nheartbeat = 5\ntls_key = \"key.pem\"\ntls_certificate = \"c.pem\"\n\
            [[subjects]]\nname = \"token:ci\"\nroots = [\"/srv/ci\"]\nuid = 12\n[[subjects]]\nname = \"uid:7\"\nroots = []\n";
        let config = parse(text, Path::new("/etc/backhaul/config.toml")).unwrap();
        let access = &config.access;
        assert_eq!((access.mode, access.socket_group.as_deref()), (Mode::Multi, Some("staff")));
        assert_eq!(access.subjects[0].roots, [RootTemplate::new("/srv/ci").unwrap()]);
        assert_eq!((access.subjects[0].uid, access.subjects[0].gid, access.subjects.len()), (Some(12), None, 2));
        assert_eq!(access.administrators, ["root", "1000"]);
        assert_eq!(access.egress.allow[0].to_string(), "10.0.0.0/8");
        assert_eq!(config.tcp.listen.unwrap().port(), 7447);
        assert_eq!(config.tcp.tls_key.as_deref(), Some(Path::new("/etc/backhaul/key.pem")));
        assert!(config.given.contains("access.mode") && config.given.contains("api.heartbeat"));
    }

    #[test]
    fn each_mistake_is_told() {
        let text = "[access]\nmode = \"many\"\ndefault_roots = [\"srv\"]\nsocket_grup = \"x\"\nadministrators = [true]\n\
            [egress]\ndeny = [\"10.0.0.0/99\"]\n[api]\nlisten = \"7447\"\norigins = [\"console\"]\nhost_names = [\"http://x\"]\n\
            [[subjects]]\nname = \"ci\"\nroots = \"/srv\"\n[[subjects]]\nname = \"uid:1\"\nroots = [\"/{uid}\", \"x\"]\ngid = -1\nrots = []\n\
            [[subjects]]\nname = \"uid:1\"\nroots = []\n";
        let Err(ConfigError::Wrong { wrong, .. }) = parse(text, Path::new("c.toml")) else { panic!("accepted") };
        let keys: Vec<_> = wrong.iter().map(|wrong| wrong.key.as_str()).collect();
        for key in [
            "access.mode",
            "access.default_roots",
            "access.socket_grup",
            "access.administrators",
            "egress.deny",
            "api.listen",
            "api.origins",
            "api.host_names",
            "subjects[0].name",
            "subjects[0].roots",
            "subjects[1].roots",
            "subjects[1].gid",
            "subjects[1].rots",
            "subjects[2].name",
        ] {
            assert!(keys.contains(&key), "{key}: {keys:?}");
        }
        let problem = &wrong.iter().find(|wrong| wrong.key == "access.socket_grup").unwrap().problem;
        assert!(problem.ends_with("did you mean socket_group?"), "{problem}");
    }
}
