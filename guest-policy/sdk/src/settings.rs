//! Typed access to settings, and their validation.

use std::fmt::Display;
use std::str::FromStr;

use crate::host;
use crate::json::Value;

/// The setting `name`, or `default` where it is not given.
///
/// # Errors
/// A text that names the setting, if its value is no `T`.
pub fn or<T>(name: &str, default: T) -> Result<T, String>
where
    T: FromStr<Err: Display>,
{
    match host::setting(name) {
        Some(text) => text.parse().map_err(|e| format!("`{name}`: {e}, found `{text}`")),
        None => Ok(default),
    }
}

/// Accepts settings whose names are all in `known`: a misspelt setting is then an error instead of silence.
///
/// # Errors
/// What is not JSON, not an object, or not known.
pub fn only(settings: &str, known: &[&str]) -> Result<(), Vec<String>> {
    if settings.trim().is_empty() {
        return Ok(());
    }
    let value = Value::parse(settings).map_err(|e| vec![format!("settings are {e}")])?;
    let Some(members) = value.as_object() else {
        return Err(vec!["settings must be a JSON object".to_owned()]);
    };
    let unknown = members.iter().map(|(name, _)| name).filter(|name| !known.contains(&name.as_str()));
    let problems: Vec<String> = unknown.map(|name| unknown_setting(name, known)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Accepts no setting at all.
pub(crate) fn refuse_all(settings: &str) -> Result<(), Vec<String>> {
    only(settings, &[])
}

fn unknown_setting(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        format!("`{name}` is unknown: this policy has no settings")
    } else {
        format!("`{name}` is unknown, allowed are: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{only, or};

    #[test]
    fn unknown_settings_are_named() {
        assert_eq!(only("", &[]), Ok(()));
        assert_eq!(only(" {} ", &[]), Ok(()));
        assert_eq!(only(r#"{"a": 1}"#, &["a", "b"]), Ok(()));
        assert_eq!(only(r#"{"c": 1}"#, &["a", "b"]), Err(vec!["`c` is unknown, allowed are: a, b".to_owned()]));
        assert_eq!(only(r#"{"c": 1}"#, &[]), Err(vec!["`c` is unknown: this policy has no settings".to_owned()]));
        assert_eq!(only("[]", &[]), Err(vec!["settings must be a JSON object".to_owned()]));
        assert_eq!(
            only("{", &[]),
            Err(vec!["settings are not valid JSON: expected a name in quotes at byte 1".to_owned()])
        );
    }

    #[test]
    fn a_setting_is_read_as_its_type() {
        crate::host::set_settings(r#"{"seconds": 30, "name": "x"}"#);
        assert_eq!(or("seconds", 5_u64), Ok(30));
        assert_eq!(or("absent", 5_u64), Ok(5));
        assert_eq!(or("name", 5_u64), Err("`name`: invalid digit found in string, found `x`".to_owned()));
    }
}
