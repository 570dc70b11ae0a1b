use backhaul_policy_support::json::Value;

/// The settings as a JSON Schema.
pub const SETTINGS_SCHEMA: &str = include_str!("settings.schema.json");

/// How the retry delay differs from BITS's. The default does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// In thousandths, 1000 to 10,000.
    pub(crate) backoff_factor: u64,
    pub(crate) maximum_delay_ms: u64,
    /// In thousandths, 0 to 1000.
    pub(crate) jitter: u64,
}

impl Default for Settings {
    fn default() -> Self {
        // Six hours: long enough to leave a dead server alone, short enough to notice within a working day that it is back.
        Self { backoff_factor: 1_000, maximum_delay_ms: 6 * 60 * 60 * 1_000, jitter: 0 }
    }
}

impl Settings {
    /// Reads the JSON object that an operator wrote. An empty text is an empty object.
    ///
    /// # Errors
    /// One text per problem, each naming the setting and what is allowed.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut settings = Self::default();
        if text.trim().is_empty() {
            return Ok(settings);
        }
        let value = Value::parse(text).map_err(|e| vec![format!("settings are {e}")])?;
        let Some(members) = value.as_object() else {
            return Err(vec!["settings must be a JSON object".to_owned()]);
        };
        let mut problems = Vec::new();
        for (name, value) in members {
            let (slot, allowed, range) = match name.as_str() {
                "backoff_factor" => (&mut settings.backoff_factor, "a number from 1 to 10", 1_000..=10_000),
                "maximum_delay_seconds" => {
                    (&mut settings.maximum_delay_ms, "a number from 1 to 31536000 (a year)", 1_000..=31_536_000_000)
                }
                "jitter" => (&mut settings.jitter, "a number from 0 to 1", 0..=1_000),
                _ => {
                    problems.push(format!(
                        "`{name}` is unknown, allowed are: backoff_factor, maximum_delay_seconds, jitter"
                    ));
                    continue;
                }
            };
            match value.as_thousandths().filter(|thousandths| range.contains(thousandths)) {
                Some(thousandths) => *slot = thousandths,
                None => problems.push(format!("`{name}` must be {allowed}, with at most three decimal places")),
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS_SCHEMA, Settings};
    use backhaul_policy_support::json::Value;

    #[test]
    fn nothing_set_is_the_default() {
        for text in ["", "  ", "{}", " { } "] {
            assert_eq!(Settings::parse(text), Ok(Settings::default()), "{text:?}");
        }
    }

    #[test]
    fn every_setting_is_read() {
        let text = r#"{"backoff_factor": 1.5, "maximum_delay_seconds": 3600, "jitter": 0.25}"#;
        let expected = Settings { backoff_factor: 1_500, maximum_delay_ms: 3_600_000, jitter: 250 };
        assert_eq!(Settings::parse(text), Ok(expected));
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_allowed() {
        let problem = |text: &str| Settings::parse(text).expect_err(text).join("; ");
        let factor = "`backoff_factor` must be a number from 1 to 10, with at most three decimal places";
        for value in ["0.999", "10.001", "-1", "\"2\"", "null", "1.2345", "1e1"] {
            assert_eq!(problem(&format!(r#"{{"backoff_factor": {value}}}"#)), factor);
        }
        assert_eq!(
            problem(r#"{"jitter": 1.5, "backof_factor": 2}"#),
            "`jitter` must be a number from 0 to 1, with at most three decimal places; \
             `backof_factor` is unknown, allowed are: backoff_factor, maximum_delay_seconds, jitter"
        );
        assert_eq!(
            problem(r#"{"maximum_delay_seconds": 0}"#),
            "`maximum_delay_seconds` must be a number from 1 to 31536000 (a year), with at most three decimal places"
        );
        assert_eq!(problem("[]"), "settings must be a JSON object");
        assert_eq!(problem("{"), "settings are not valid JSON: expected a name in quotes at byte 1");
    }

    #[test]
    fn the_schema_names_the_settings_that_are_read() {
        let schema = Value::parse(SETTINGS_SCHEMA).expect("the schema is JSON");
        let properties = schema.get("properties").and_then(Value::as_object).expect("properties");
        for (name, property) in properties {
            let Some(Value::Number(default)) = property.get("default") else { panic!("{name} has a default") };
            let text = format!(r#"{{"{name}": {default}}}"#);
            assert_eq!(Settings::parse(&text), Ok(Settings::default()), "{text}");
        }
        assert_eq!(properties.len(), 3);
    }
}
