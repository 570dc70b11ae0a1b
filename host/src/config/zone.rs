//! Time zones, as they are written in the file and shown.

use jiff::tz::{self, TimeZone};
use toml::Value;

use super::parse::nearest;

/// Stands for the zone of the machine.
const SYSTEM: &str = "system";

/// What is allowed, in words.
pub(super) const ALLOWED: &str =
    "\"system\" for the machine's, or a name of the IANA database such as \"Europe/Berlin\"";

/// Reads a value of the file; none is the machine's zone.
pub(super) fn read(value: &Value) -> Result<Option<TimeZone>, String> {
    let Value::String(name) = value else {
        return Err(format!("{value} is no name of a time zone; allowed are {ALLOWED}"));
    };
    if name == SYSTEM {
        return Ok(None);
    }
    // The database has a name for a zone that is not known, too.
    match TimeZone::get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(Some(zone)),
        _ => Err(refusal(value, name)),
    }
}

fn refusal(value: &Value, name: &str) -> String {
    let names: Vec<_> = tz::db().available().collect();
    match nearest(name, names.iter().map(|known| known.as_str())) {
        _ if names.is_empty() => {
            format!(
                "{value} cannot be looked up: this machine has no time zone database; install tzdata, or use \"{SYSTEM}\""
            )
        }
        Some(nearest) => format!("{value} is no time zone that this machine knows; did you mean \"{nearest}\"?"),
        None => format!("{value} is no time zone that this machine knows; allowed are {ALLOWED}"),
    }
}

/// A zone as it could stand in the file.
pub(super) fn show(zone: Option<&TimeZone>) -> String {
    format!("\"{}\"", zone.and_then(TimeZone::iana_name).unwrap_or(SYSTEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Option<TimeZone>, String> {
        read(&Value::String(text.to_owned()))
    }

    #[test]
    fn a_zone_is_read_by_its_name_and_shown_under_it() {
        let zone = read_text("Europe/Berlin").unwrap().unwrap();
        assert_eq!(show(Some(&zone)), "\"Europe/Berlin\"");
        assert_eq!(read_text("UTC").unwrap(), Some(TimeZone::UTC));
        assert_eq!(show(read_text("system").unwrap().as_ref()), "\"system\"");
    }

    #[test]
    fn what_is_no_zone_is_refused_with_the_nearest_one_or_an_example() {
        let refused = |text: &str| read_text(text).unwrap_err();
        assert!(refused("Europe/Berln").ends_with("did you mean \"Europe/Berlin\"?"), "{}", refused("Europe/Berln"));
        for nonsense in ["", "\u{1f552}", "Etc/Unknown", "../../etc/passwd"] {
            let refusal = refused(nonsense);
            assert!(refusal.contains("is no time zone that this machine knows"), "{refusal}");
        }
        assert!(refused("\u{1f552}").ends_with(ALLOWED));
        assert!(
            read(&Value::Integer(2)).unwrap_err().starts_with("2 is no name of a time zone; allowed are \"system\"")
        );
    }
}
