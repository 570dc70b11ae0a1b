//! `[[policies]]`: which components are loaded, with which settings, for which jobs, and what they may.

use std::path::Path;

use toml::{Table, Value};

use super::parse::Wrong;
use super::quantity::Unit;
use crate::host::{PolicyScope, PolicyToLoad};
use crate::policy::contract::limits::SETTINGS_BYTES_MAX;
use crate::policy::{Capability, Grants, PolicySource};

const KEYS: [&str; 5] = ["source", "settings", "scope", "grants", "memory"];

pub(super) fn read(value: &Value, directory: &Path, wrong: &mut Wrong) -> Vec<PolicyToLoad> {
    let Value::Array(entries) = value else {
        wrong.add("policies", "is a list: write a line [[policies]] before each policy");
        return Vec::new();
    };
    let mut policies = Vec::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        let name = format!("policies[{position}]");
        match entry {
            Value::Table(entry) => policies.extend(policy(&name, entry, directory, wrong)),
            _ => wrong.add(name, "is a table: write a line [[policies]] before it"),
        }
    }
    policies
}

fn policy(name: &str, entry: &Table, directory: &Path, wrong: &mut Wrong) -> Option<PolicyToLoad> {
    for key in entry.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        wrong.unknown(name, key, KEYS.into_iter());
    }
    let source = match entry.get("source") {
        Some(Value::String(source)) => Some(source_of(source, directory)),
        Some(_) => {
            wrong.add(format!("{name}.source"), "is a text: the file of a component, or the name of an embedded one");
            None
        }
        None => {
            wrong.add(format!("{name}.source"), "is missing: the file of a component, or the name of an embedded one");
            None
        }
    };
    let scope = match entry.get("scope").map(Value::as_str) {
        None => PolicyScope::AllJobs,
        Some(Some(name)) if name == PolicyScope::AllJobs.name() => PolicyScope::AllJobs,
        Some(Some(name)) if name == PolicyScope::JobsThatNameIt.name() => PolicyScope::JobsThatNameIt,
        Some(_) => {
            wrong.add(format!("{name}.scope"), "is \"all_jobs\" or \"jobs_that_name_it\"");
            PolicyScope::AllJobs
        }
    };
    let settings = settings(name, entry.get("settings"), wrong);
    let capabilities = capabilities(name, entry.get("grants"), wrong);
    let memory_bytes = match entry.get("memory").map(|memory| Unit::Bytes.read(memory)) {
        None => Grants::MEMORY_BYTES_DEFAULT,
        Some(Ok(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX),
        Some(Err(problem)) => {
            wrong.add(format!("{name}.memory"), problem);
            Grants::MEMORY_BYTES_DEFAULT
        }
    };
    let grants = Grants { capabilities, memory_bytes };
    source.map(|source| PolicyToLoad { source, settings, grants, scope })
}

/// A policy as it is written in a file, where what has its default is left out.
pub(crate) fn table(policy: &PolicyToLoad) -> Table {
    let PolicyToLoad { source, settings, grants: Grants { capabilities, memory_bytes }, scope } = policy;
    let source = match source {
        PolicySource::Embedded(name) | PolicySource::Bytes { name, .. } => name.clone(),
        PolicySource::File(path) => path.display().to_string(),
    };
    let mut table = Table::from_iter([("source".to_owned(), Value::from(source))]);
    let mut add = |key: &str, value: Value| drop(table.insert(key.to_owned(), value));
    add("scope", scope.name().into());
    if !settings.is_empty() {
        add("settings", settings.as_str().into());
    }
    if !capabilities.is_empty() {
        add("grants", capabilities.iter().map(|capability| capability.name()).collect::<Vec<_>>().into());
    }
    if *memory_bytes != Grants::MEMORY_BYTES_DEFAULT {
        add("memory", i64::try_from(*memory_bytes).unwrap_or(i64::MAX).into());
    }
    table
}

/// A name without a slash and an extension is an embedded one's, as on the command line.
fn source_of(source: &str, directory: &Path) -> PolicySource {
    if source.contains('/') || Path::new(source).extension().is_some() {
        PolicySource::File(directory.join(source))
    } else {
        PolicySource::Embedded(source.to_owned())
    }
}

/// The settings as the policy is given them: a JSON object. In the file they are a table, or that text.
fn settings(name: &str, value: Option<&Value>, wrong: &mut Wrong) -> String {
    let text = match value {
        None => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(table @ Value::Table(_)) => serde_json::to_string(table)
            .expect("a table of TOML has text keys and finite numbers, or null for those that JSON lacks"),
        Some(_) => {
            wrong.add(format!("{name}.settings"), "is a table, or a JSON object as text");
            return String::new();
        }
    };
    if text.len() > SETTINGS_BYTES_MAX {
        wrong.add(
            format!("{name}.settings"),
            format!("has {} bytes; at most {SETTINGS_BYTES_MAX} are allowed", text.len()),
        );
    }
    text
}

fn capabilities(name: &str, value: Option<&Value>, wrong: &mut Wrong) -> Vec<Capability> {
    let Some(value) = value else { return Vec::new() };
    let Value::Array(names) = value else {
        wrong.add(format!("{name}.grants"), "is a list, for example [\"see-query\"]");
        return Vec::new();
    };
    let mut capabilities = Vec::new();
    for capability in names {
        match capability.as_str().unwrap_or_default().parse::<Capability>() {
            Ok(capability) => capabilities.push(capability),
            Err(error) => wrong.add(format!("{name}.grants"), error.to_string()),
        }
    }
    capabilities
}

#[cfg(test)]
mod tests {
    use super::super::ConfigError;
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn policies_are_read_with_all_that_they_have() {
        let text = "[[policies]]\nsource = \"mirrors\"\nscope = \"jobs_that_name_it\"\nsettings = { mirrors = [\"http://a/\"] }\n\
                    [[policies]]\nsource = \"own.wasm\"\ngrants = [\"see-query\"]\nmemory = \"16MiB\"\nsettings = '{\"a\":1}'\n";
        let policies = parse(text, Path::new("/etc/backhaul/config.toml")).unwrap().policies;
        assert!(matches!(&policies[0].source, PolicySource::Embedded(name) if name == "mirrors"));
        assert_eq!(
            (policies[0].scope, policies[0].settings.as_str()),
            (PolicyScope::JobsThatNameIt, r#"{"mirrors":["http://a/"]}"#)
        );
        assert!(matches!(&policies[1].source, PolicySource::File(path) if path == Path::new("/etc/backhaul/own.wasm")));
        assert_eq!((policies[1].grants.memory_bytes, policies[1].grants.has(Capability::SeeQuery)), (16 << 20, true));
        assert_eq!((policies[1].scope, policies[1].settings.as_str()), (PolicyScope::AllJobs, r#"{"a":1}"#));
    }

    #[test]
    fn each_mistake_is_told() {
        let text =
            "[[policies]]\nscop = \"x\"\ngrants = [\"see_query\", 1]\nmemory = true\nsettings = 1\nscope = \"some\"\n";
        let Err(ConfigError::Wrong { wrong, .. }) = parse(text, Path::new("c.toml")) else { panic!("accepted") };
        let keys: Vec<_> = wrong.iter().map(|wrong| wrong.key.as_str()).collect();
        for key in ["scop", "source", "grants", "memory", "settings", "scope"] {
            assert!(keys.contains(&format!("policies[0].{key}").as_str()), "{key}: {keys:?}");
        }
    }
}
