//! Values with units, as they are written in the file and shown.

use toml::Value;

/// What a setting is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds, with fractions down to a millisecond. Kept in milliseconds.
    Seconds,
    /// Bytes: a number, or a text such as "16MiB".
    Bytes,
    /// Bytes per second, written as bytes are.
    BytesPerSecond,
    /// A number of things.
    Count(&'static str),
    /// One of some words; kept as its position among them.
    Word(&'static [&'static str]),
}

/// Powers of 1,024 by their letters.
const PREFIXES: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Unit {
    /// The word beside a value.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes per second",
            Self::Count(what) => what,
            Self::Word(_) => "word",
        }
    }

    /// Reads a value of the file.
    pub(super) fn read(self, value: &Value) -> Result<u64, String> {
        let read = match (self, value) {
            (Self::Seconds, Value::Integer(seconds)) => {
                u64::try_from(*seconds).ok().and_then(|seconds| seconds.checked_mul(1000))
            }
            (Self::Seconds, Value::Float(seconds)) => millis(*seconds),
            (Self::Bytes | Self::BytesPerSecond, Value::String(text)) => bytes(text),
            (Self::Bytes | Self::BytesPerSecond | Self::Count(_), Value::Integer(number)) => {
                u64::try_from(*number).ok()
            }
            (Self::Word(words), Value::String(text)) => {
                words.iter().position(|word| word == text).and_then(|position| position.try_into().ok())
            }
            _ => None,
        };
        read.ok_or_else(|| format!("{value} is no {}", self.form()))
    }

    fn form(self) -> &'static str {
        match self {
            Self::Seconds => "number of seconds",
            Self::Bytes => "number of bytes; write a number, or a text such as \"16MiB\"",
            Self::BytesPerSecond => "number of bytes per second; write a number, or a text such as \"1MiB\"",
            Self::Count(_) => "whole number",
            Self::Word(_) => "word that is known here",
        }
    }

    /// A value as it could stand in the file.
    #[must_use]
    pub(super) fn show(self, value: u64) -> String {
        match self {
            Self::Seconds if value.is_multiple_of(1000) => (value / 1000).to_string(),
            Self::Seconds => format!("{}.{:03}", value / 1000, value % 1000).trim_end_matches('0').to_owned(),
            Self::Bytes | Self::BytesPerSecond => {
                let exact =
                    PREFIXES.iter().find(|(_, shift)| *shift > 0 && value > 0 && value.is_multiple_of(1 << shift));
                exact.map_or_else(|| value.to_string(), |(name, shift)| format!("\"{}{name}\"", value >> shift))
            }
            Self::Count(_) => value.to_string(),
            Self::Word(words) => {
                let word = usize::try_from(value).ok().and_then(|position| words.get(position));
                format!("\"{}\"", word.copied().unwrap_or_default())
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn millis(seconds: f64) -> Option<u64> {
    /// A thousand years: far beyond every limit, and exact in a double.
    const MILLIS_MAX: f64 = 3.2e13;
    let millis = (seconds * 1000.0).round();
    (0.0..=MILLIS_MAX).contains(&millis).then_some(millis as u64)
}

fn bytes(text: &str) -> Option<u64> {
    let (number, shift) = PREFIXES.iter().find_map(|(name, shift)| Some((text.strip_suffix(name)?, *shift)))?;
    number.trim_end().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(value in 0..1_u64 << 40, seconds in 0..10_000_000_000_u64) {
            for (unit, value) in [(Unit::Seconds, seconds), (Unit::Bytes, value), (Unit::Bytes, value << 10), (Unit::Count("x"), value)] {
                let text = format!("x = {}", unit.show(value));
                let table: toml::Table = text.parse().unwrap();
                prop_assert_eq!(unit.read(&table["x"]), Ok(value), "{}", text);
            }
        }
    }

    #[test]
    fn other_types_and_signs_are_refused() {
        let read = |unit: Unit, text: &str| unit.read(&format!("x = {text}").parse::<toml::Table>().unwrap()["x"]);
        assert_eq!(read(Unit::Bytes, "\"16 MiB\""), Ok(16 << 20));
        for (unit, text) in [
            (Unit::Seconds, "-1"),
            (Unit::Seconds, "\"60\""),
            (Unit::Seconds, "nan"),
            (Unit::Bytes, "1.5"),
            (Unit::Bytes, "\"MiB\""),
            (Unit::Bytes, "\"99999999999TiB\""),
            (Unit::Count("jobs"), "true"),
        ] {
            assert!(read(unit, text).is_err(), "{text}");
        }
    }
}
