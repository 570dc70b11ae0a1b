//! Durations and times as they stand in JSON.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::UnixMillis;

/// A duration in seconds, with fractions down to a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = f64, minimum = 0, maximum = 315360000, example = 600)]
pub struct Seconds(pub f64);

impl Seconds {
    /// From milliseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "durations are at most ten years, far below 2^53 ms")]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis as f64 / 1000.0)
    }

    /// In milliseconds, rounded; none if it is negative, not a number, or beyond what a duration may be.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
    pub fn to_millis(self) -> Option<u64> {
        const MILLIS_MAX: f64 = crate::job::limits::DURATION_MS_MAX as f64;
        let millis = (self.0 * 1000.0).round();
        (0.0..=MILLIS_MAX).contains(&millis).then_some(millis as u64)
    }
}

impl Serialize for Seconds {
    /// Whole seconds as a whole number: 600, not 600.0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            whole if whole.fract() == 0.0 && (0.0..=9e15).contains(&whole) => serializer.serialize_u64(whole as u64),
            fraction => serializer.serialize_f64(fraction),
        }
    }
}

/// A time: RFC 3339 in UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-20T13:34:53.123Z")]
pub struct Time(pub UnixMillis);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock beyond what a calendar can name is shown as the last time that it can.
        let millis = i64::try_from(self.0.0).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        write!(f, "{time:.3}")
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = text.parse::<Timestamp>()?.as_millisecond();
        Ok(Self(UnixMillis(u64::try_from(millis).unwrap_or(0))))
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_has_milliseconds_and_is_utc() {
        assert_eq!(Time(UnixMillis(1_763_645_693_120)).to_string(), "2025-11-20T13:34:53.120Z");
        assert_eq!(Time(UnixMillis(0)).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time(UnixMillis(u64::MAX)).to_string(), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn durations_out_of_range_are_none() {
        for wrong in [-0.001, f64::NAN, f64::INFINITY, 315_360_001.0] {
            assert_eq!(Seconds(wrong).to_millis(), None, "{wrong}");
        }
        assert_eq!(Seconds(0.2).to_millis(), Some(200));
    }

    proptest! {
        #[test]
        fn durations_keep_their_milliseconds(millis in 0..=crate::job::limits::DURATION_MS_MAX) {
            prop_assert_eq!(Seconds::from_millis(millis).to_millis(), Some(millis));
        }

        #[test]
        fn times_are_read_as_they_are_written(millis in 0..253_402_000_000_000_u64) {
            let time = Time(UnixMillis(millis));
            prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }
    }
}
