//! From the text of a file to a configuration. All that is wrong is told at once.

use std::path::Path;

use toml::{Table, Value};

use super::Config;
use super::error::{ConfigError, WrongKey};
use super::preset::apply_preset;
use super::table::SETTINGS;
use super::texts::TEXTS;
use super::{policies, subjects};
use crate::access::Mode;

/// The section of the policies, which is a list.
const POLICIES: &str = "policies";
/// The section of the subjects, which is one as well.
const SUBJECTS: &str = "subjects";

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<WrongKey>);

impl Wrong {
    pub(super) fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(WrongKey { key: key.into(), problem: problem.into() });
    }

    /// A key that nobody knows.
    pub(super) fn unknown<'a>(&mut self, section: &str, key: &str, known: impl Iterator<Item = &'a str> + Clone) {
        let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let problem = match nearest(key, known.clone()) {
            Some(nearest) => format!("is not known; did you mean {nearest}?"),
            None => format!("is not known; there are: {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.add(name, problem);
    }
}

/// The known word that was most likely meant.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, words have little in common.
    const LIKENESS_MIN: f64 = 0.7;
    let likeness = known.map(|word| (strsim::jaro_winkler(given, word), word));
    likeness
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let detail = error.to_string().trim_end().to_owned();
        ConfigError::Syntax { path: path.to_owned(), detail }
    })?;
    let mut config = Config { file: Some(path.to_owned()), ..Config::default() };
    let mut wrong = Wrong::default();
    for (name, value) in &table {
        if name == POLICIES {
            let directory = path.parent().unwrap_or(Path::new(""));
            config.policies = policies::read(value, directory, &mut wrong);
        } else if name == SUBJECTS {
            config.access.subjects = subjects::read(value, &mut wrong);
        } else if !sections().any(|section| section == name) {
            wrong.unknown("", name, sections().chain([POLICIES, SUBJECTS]));
        } else if let Value::Table(section) = value {
            for (key, value) in section {
                set(&mut config, name, key, value, &mut wrong);
            }
        } else {
            wrong.add(name, "is a section: write its settings below a line [section]");
        }
    }
    apply_preset(&mut config.settings, |setting| config.given.contains(&setting.name()));
    check_together(&config, &mut wrong);
    if wrong.0.is_empty() { Ok(config) } else { Err(ConfigError::Wrong { path: path.to_owned(), wrong: wrong.0 }) }
}

fn sections() -> impl Iterator<Item = &'static str> + Clone {
    let mut last = "";
    let texts = TEXTS.iter().map(|setting| setting.section);
    SETTINGS
        .iter()
        .map(|setting| setting.section)
        .chain(texts)
        .filter(move |section| std::mem::replace(&mut last, section) != *section)
}

fn set(config: &mut Config, section: &str, key: &str, value: &Value, wrong: &mut Wrong) {
    let in_section = SETTINGS.iter().filter(|setting| setting.section == section);
    let texts = TEXTS.iter().filter(|setting| setting.section == section);
    if let Some(text) = texts.clone().find(|setting| setting.key == key) {
        let directory = config.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        match text.read(config, value, &directory) {
            Ok(()) => drop(config.given.insert(text.name())),
            Err(problem) => wrong.add(text.name(), problem),
        }
        return;
    }
    let Some(setting) = in_section.clone().find(|setting| setting.key == key) else {
        return wrong.unknown(section, key, in_section.map(|setting| setting.key).chain(texts.map(|text| text.key)));
    };
    match setting.take(value, &mut config.settings) {
        Ok(()) => drop(config.given.insert(setting.name())),
        Err(problem) => wrong.add(setting.name(), problem),
    }
}

/// What each value allows by itself and two of them do not together.
fn check_together(config: &Config, wrong: &mut Wrong) {
    let api = &config.settings.api;
    if api.heartbeat >= api.idle_timeout {
        wrong.add(
            "api.heartbeat",
            "must be shorter than api.idle_timeout: streams on which nothing happens would be ended",
        );
    }
    if config.access.mode == Mode::Multi && config.access.socket_group.is_none() {
        wrong.add("access.socket_group", "is missing: several users need a group whose members may connect");
    }
    if config.tcp.tls_certificate.is_some() != config.tcp.tls_key.is_some() {
        wrong.add("api.tls_certificate", "and api.tls_key belong together: set both, or none");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::AdmitOnFault;
    use crate::scheduler::Limits;

    fn wrong(text: &str) -> Vec<WrongKey> {
        match parse(text, Path::new("/etc/backhaul.toml")) {
            Err(ConfigError::Wrong { wrong, .. }) => wrong,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_the_file_names_is_set_and_the_rest_stays() {
        let text = "[scheduler]\ntime_slice = 1.5\nbackground_slots = 4\n[api]\nbody_bytes_max = \"1MiB\"\n[transfer]\nconnect_timeout = 3\n";
        let config = parse(text, Path::new("/c.toml")).unwrap();
        assert_eq!(config.settings.scheduler.time_slice_ms, 1_500);
        assert_eq!(config.settings.scheduler.background_slots, 4);
        assert_eq!(config.settings.api.body_bytes_max, 1 << 20);
        assert_eq!(config.settings.transfer.connect_timeout, Duration::from_secs(3));
        assert_eq!(config.settings.scheduler.foreground_slots, 64);
        assert_eq!(config.given.len(), 4);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let wrong = wrong("[scheduler]\ntime_slic = 60\n[schedular]\nx = 1\n[transfer]\nzzzz = 1\n");
        let of = |key: &str| &wrong.iter().find(|wrong| wrong.key == key).unwrap().problem;
        assert!(of("scheduler.time_slic").ends_with("did you mean time_slice?"), "{wrong:?}");
        assert!(of("schedular").ends_with("did you mean scheduler?"), "{wrong:?}");
        assert!(of("transfer.zzzz").contains("connect_timeout, "), "{wrong:?}");
    }

    #[test]
    fn every_wrong_value_is_told_with_what_is_allowed() {
        let wrong = wrong(
            "scheduler = 1\n[transfer]\nconnect_timeout = \"soon\"\ncheckpoint_bytes = 1\n[api]\nheartbeat = -1\n",
        );
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(
            wrong.iter().any(|wrong| wrong.problem == "is 1; allowed are \"64KiB\" to \"1GiB\" bytes"),
            "{wrong:?}"
        );
        assert!(
            wrong
                .iter()
                .any(|wrong| wrong.problem.contains("is no number of seconds; allowed are 0.1 to 3600 seconds"))
        );
    }

    #[test]
    fn the_preset_says_what_the_file_does_not_wherever_it_stands() {
        let limits = |text: &str| parse(text, Path::new("/c.toml")).unwrap().settings.scheduler.limits;
        assert_eq!(limits(""), Limits::default());
        assert_eq!(limits("[limits]\npreset = \"generous\"\n"), Limits::default());
        assert_eq!(limits("[limits]\npreset = \"bits\"\n"), Limits::BITS);
        let some = Limits { jobs: 5, files_per_job: 1_000_000, ..Limits::BITS };
        assert_eq!(limits("[limits]\njobs = 5\npreset = \"bits\"\nfiles_per_job = 1000000\n"), some);
        assert_eq!(limits("[limits]\npreset = \"bits\"\nfiles_per_job = 1000000\njobs = 5\n"), some);
        let wrong = wrong("[limits]\npreset = \"bitz\"\njobs = 0\nranges_per_file = 10001\n");
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            wrong.iter().any(|wrong| wrong.problem.ends_with("allowed are \"generous\", \"bits\" word")),
            "{wrong:?}"
        );
    }

    #[test]
    fn the_inactivity_timeout_has_bits_own_limits() {
        let timeout = |value: &str| {
            let text = format!("[scheduler]\ninactivity_timeout = {value}\n");
            parse(&text, Path::new("/c.toml")).map(|config| config.settings.scheduler.inactivity_timeout_ms)
        };
        const DAY_MS: u64 = 86_400_000;
        assert_eq!(parse("", Path::new("/c.toml")).unwrap().settings.scheduler.inactivity_timeout_ms, 90 * DAY_MS);
        assert_eq!(timeout("1").unwrap(), 1_000);
        assert_eq!(timeout("86313600").unwrap(), 999 * DAY_MS);
        assert!(timeout("0.999").is_err() && timeout("86313601").is_err());
    }

    #[test]
    fn words_are_settings_too() {
        let text = "[policy]\non_fault_network_cost = \"last_good\"\n";
        let config = parse(text, Path::new("/c.toml")).unwrap();
        assert_eq!(config.settings.policy.on_fault.network_cost_assigned, AdmitOnFault::LastGood);
        let wrong = wrong("[policy]\non_fault_retry = \"hold\"\n");
        assert!(wrong[0].problem.contains(r#"allowed are "built_in", "last_good""#), "{wrong:?}");
    }

    #[test]
    fn a_time_zone_is_a_setting_and_one_that_is_unknown_is_refused() {
        let config = parse("[policy]\ntime_zone = \"Asia/Kathmandu\"\n", Path::new("/c.toml")).unwrap();
        let zone = config.settings.policy.time_zone.unwrap();
        assert_eq!(zone.iana_name(), Some("Asia/Kathmandu"));
        let wrong = wrong("[policy]\ntime_zone = \"Asia/Katmandoo\"\n");
        assert_eq!(wrong[0].key, "policy.time_zone");
        assert!(wrong[0].problem.contains("is no time zone"), "{wrong:?}");
    }

    #[test]
    fn what_is_no_toml_says_where() {
        let error = parse("[scheduler\n", Path::new("/c.toml")).unwrap_err().to_string();
        assert!(error.starts_with("the configuration /c.toml is no TOML: ") && error.contains("line 1"), "{error}");
    }
}
