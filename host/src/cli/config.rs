//! `backhaul config show`: every setting, as a file that could be used.

use serde_json::json;

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::get::failure_line;
use super::printer::Printer;
use super::serve::{ConfigFormat, ConfigShowArguments, configuration};
use crate::config::{Config, Form, SETTINGS, Setting, TEXTS, TextSetting, policy_table};

pub(crate) fn show(arguments: &ConfigShowArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let config = configuration(arguments.config.as_deref()).inspect_err(|failure| {
        if arguments.output == ConfigFormat::Json {
            printer.json(&failure_line(failure));
        }
    })?;
    match arguments.output {
        ConfigFormat::Text => printer.result(text(&config)),
        ConfigFormat::Json => {
            SETTINGS.iter().for_each(|setting| printer.json(&as_json(setting, &config)));
            TEXTS.iter().for_each(|setting| printer.json(&text_as_json(setting, &config)));
            for (position, policy) in config.policies.iter().enumerate() {
                let (key, source) = (format!("policies[{position}]"), config.file.as_deref());
                printer.json(&json!({ "key": key, "value": policy_table(policy), "source": source }));
            }
        }
    }
    Ok(ExitCode::Success)
}

fn text(config: &Config) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            text.push_str(&texts(section, config));
            section = setting.section;
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{section}]\n"));
        }
        let (value, default) = (setting.value(&config.settings), setting.default());
        let source = setting_source(setting, config);
        let (unit, limits) = (setting.unit(), setting.limits());
        text.push_str(&format!(
            "# {}\n# unit: {unit}; default: {default}; allowed: {limits}; from: {source}\n",
            setting.reason
        ));
        text.push_str(&format!("{} = {value}\n", setting.key));
    }
    text.push_str(&texts(section, config));
    let mut sections: Vec<&str> = TEXTS.iter().map(|setting| setting.section).collect();
    sections.dedup();
    for section in sections.into_iter().filter(|section| SETTINGS.iter().all(|setting| setting.section != *section)) {
        text.push_str(&format!("\n[{section}]\n{}", texts(section, config)));
    }
    for policy in &config.policies {
        text.push_str(&format!("\n[[policies]]\n{}", policy_table(policy)));
    }
    text.push_str(&format!("\n# subjects: {}", config.access.subjects.len()));
    text
}

/// The settings of a section that are texts. One that is not set is a comment.
fn texts(section: &str, config: &Config) -> String {
    let of_section = TEXTS.iter().filter(|setting| setting.section == section);
    let lines = of_section.map(|setting| {
        let TextSetting { key, example, reason, .. } = setting;
        let source = source(&setting.name(), config);
        let value = match setting.show(config) {
            Some(value) => format!("{key} = {value}"),
            None => format!("# {key} = {example}"),
        };
        format!("# {reason}\n# example: {example}; from: {source}\n{value}\n")
    });
    lines.collect()
}

fn text_as_json(setting: &TextSetting, config: &Config) -> serde_json::Value {
    let texts = (setting.get)(config);
    let value = match setting.form {
        Form::Text => json!(texts.first()),
        Form::List => json!(texts),
    };
    let source = source(&setting.name(), config);
    json!({ "key": setting.name(), "value": value, "unit": "text", "source": source, "reason": setting.reason })
}

fn as_json(setting: &Setting, config: &Config) -> serde_json::Value {
    let bare = |value: String| value.trim_matches('"').to_owned();
    let (minimum, maximum) = setting.range().unzip();
    json!({
        "key": setting.name(),
        "value": bare(setting.value(&config.settings)),
        "unit": setting.unit(),
        "default": bare(setting.default()),
        "minimum": minimum.map(bare),
        "maximum": maximum.map(bare),
        "allowed": setting.limits(),
        "source": setting_source(setting, config),
        "reason": setting.reason,
    })
}

/// Where a value of a setting comes from, which may be the preset.
fn setting_source(setting: &Setting, config: &Config) -> String {
    let is_other = setting.value(&config.settings) != setting.default();
    if setting.is_of_preset() && is_other && !config.given.contains(&setting.name()) {
        return "limits.preset".into();
    }
    source(&setting.name(), config)
}

/// Where a value comes from.
fn source(name: &str, config: &Config) -> String {
    match &config.file {
        Some(file) if config.given.contains(name) => file.display().to_string(),
        _ => "default".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let policies = "[[policies]]\nsource = \"mirrors\"\nscope = \"jobs_that_name_it\"\nsettings = { mirrors = [\"http://a/\"] }\n\
                        [[policies]]\nsource = \"own.wasm\"\ngrants = [\"see-query\"]\nmemory = \"16MiB\"\n";
        let settings = "[scheduler]\ntime_slice = 2.5\n[policy]\ntime_zone = \"Europe/Berlin\"\n\
                        [access]\nadministrators = [\"a\\\"b\"]\n[api]\nlisten = \"[::1]:7447\"\n";
        std::fs::write(&file, format!("{settings}{policies}")).unwrap();
        let config = Config::read(&file).unwrap();
        let shown = text(&config);
        assert!(shown.contains("time_slice = 2.5\n") && shown.contains("time_zone = \"Europe/Berlin\"\n"), "{shown}");
        assert!(shown.contains(&format!("from: {}", file.display())), "{shown}");
        assert!(shown.contains("[limits]\n# The limits that"), "{shown}");
        std::fs::write(&file, &shown).unwrap();
        let again = Config::read(&file).unwrap();
        assert_eq!((again.access.clone(), again.tcp.clone()), (config.access.clone(), config.tcp.clone()));
        let shown_texts = TEXTS.iter().filter(|setting| setting.show(&config).is_some()).count();
        assert_eq!(again.given.len(), SETTINGS.len() + shown_texts);
        assert_eq!(again.policies.len(), 2);
        assert_eq!(format!("{:?}", again.policies), format!("{:?}", config.policies));
        for setting in SETTINGS {
            assert_eq!(setting.value(&again.settings), setting.value(&config.settings), "{}", setting.name());
        }
    }

    #[test]
    fn a_limit_says_whether_it_comes_from_the_preset() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, "[limits]\npreset = \"bits\"\njobs = 7\n").unwrap();
        let shown = text(&Config::read(&file).unwrap());
        let setting = |key: &str| {
            let lines: Vec<_> = shown.lines().collect();
            let at = lines.iter().position(|line| line.starts_with(&format!("{key} = "))).unwrap();
            format!("{} {}", lines[at - 1], lines[at])
        };
        let of_preset = setting("files_per_job");
        assert!(of_preset.contains("from: limits.preset") && of_preset.ends_with("files_per_job = 200"), "{of_preset}");
        let given = setting("jobs");
        assert!(given.contains(&format!("from: {}", file.display())) && given.ends_with("jobs = 7"), "{given}");
        assert!(given.contains("unit: jobs; default: 100000; allowed: 1 to 1000000"), "{given}");
    }
}
