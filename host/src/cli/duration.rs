//! Durations as people write them: `5`, `1.5s`, `500ms`, `2m`, `3h`, `7d`.

use std::time::Duration;

use crate::job::limits::DURATION_MS_MAX;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// Not of the form.
    #[error(
        "a duration is a number of seconds, or a number with ms, s, m, h or d, for example 5, 1.5s, 500ms, 2m, 3h, 7d"
    )]
    Form,
    /// Over [`DURATION_MS_MAX`].
    #[error("a duration is at most ten years (3650d)")]
    TooLong,
}

/// Milliseconds of each unit.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Digits after the point that are looked at: a millisecond of a day needs no more.
const FRACTION_DIGITS_MAX: usize = 9;

/// Reads a duration; parts of a millisecond are rounded up, so that what is not 0 does not become 0.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "" => 1000,
        _ => UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Form)?.1,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && !fraction.contains('.') => (whole, fraction),
        Some(_) => return Err(DurationError::Form),
        None => (number, ""),
    };
    if whole.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return Err(DurationError::Form);
    }
    // Only digits are left, so that the one way to fail is a number that is too large.
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).expect("at most nine"));
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| DurationError::Form)? };
    let fraction_ms = (fraction * unit_ms).div_ceil(scale);
    let millis = whole.checked_mul(unit_ms).and_then(|millis| millis.checked_add(fraction_ms));
    match millis {
        Some(millis) if millis <= DURATION_MS_MAX => Ok(Duration::from_millis(millis)),
        _ => Err(DurationError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Result<u128, DurationError> {
        parse(text).map(|duration| duration.as_millis())
    }

    #[test]
    fn seconds_and_all_units_are_read() {
        let cases = [("0", 0), ("5", 5000), ("1.5", 1500), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000)];
        for (text, expected) in cases {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        assert_eq!(millis("3h"), Ok(10_800_000));
        assert_eq!(millis("7d"), Ok(604_800_000));
        assert_eq!(millis("0.5d"), Ok(43_200_000));
        assert_eq!(millis("3650d"), Ok(u128::from(DURATION_MS_MAX)));
    }

    #[test]
    fn a_part_of_a_millisecond_does_not_become_nothing() {
        assert_eq!(millis("0.0001"), Ok(1));
        assert_eq!(millis("0.2ms"), Ok(1));
        assert_eq!(millis("0.000"), Ok(0));
    }

    #[test]
    fn anything_else_is_refused() {
        let texts = [
            "",
            " 5",
            "5 ",
            "5 s",
            "s",
            ".5",
            "5.",
            "1.2.3",
            "-1",
            "+1",
            "1e3",
            "1w",
            "1S",
            "1m30s",
            "inf",
            "NaN",
            "²",
            "0x10",
            "1,5",
            "1.0123456789",
        ];
        for text in texts {
            assert_eq!(parse(text), Err(DurationError::Form), "{text:?}");
        }
        for text in ["3651d", "99999999999999999999", "18446744073709551615d", "315360000.001"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whole_milliseconds_read_back(given in 0..=DURATION_MS_MAX) {
            prop_assert_eq!(millis(&format!("{given}ms")), Ok(u128::from(given)));
            prop_assert_eq!(millis(&format!("{}.{:03}", given / 1000, given % 1000)), Ok(u128::from(given)));
        }

        #[test]
        fn no_text_panics_or_exceeds_the_limit(text in "[0-9.a-z²]{0,40}") {
            if let Ok(duration) = parse(&text) {
                prop_assert!(duration.as_millis() <= u128::from(DURATION_MS_MAX));
            }
        }
    }
}
