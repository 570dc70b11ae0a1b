//! Times for guests and for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::contract::LocalTime;
use crate::clock::UnixMillis;

/// The time in the host's zone, as guests are told it.
pub(super) fn local(at: UnixMillis, zone: &TimeZone) -> LocalTime {
    let timestamp = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let Some(timestamp) = timestamp else { return LocalTime::default() };
    let zoned = timestamp.to_zoned(zone.clone());
    let unsigned = |value: i8| u8::try_from(value).unwrap_or(0);
    LocalTime {
        year: i32::from(zoned.year()),
        month: unsigned(zoned.month()),
        day: unsigned(zoned.day()),
        weekday: unsigned(zoned.weekday().to_monday_one_offset()),
        hour: unsigned(zoned.hour()),
        minute: unsigned(zoned.minute()),
        second: unsigned(zoned.second()),
        utc_offset_minutes: zoned.offset().seconds() / 60,
        zone: zone.iana_name().unwrap_or_default().to_owned(),
    }
}

/// For people.
pub(super) fn shown(at: UnixMillis) -> String {
    let timestamp = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    timestamp.map_or_else(|| at.0.to_string(), |timestamp| format!("{timestamp:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_that_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-07-05 was a Sunday.
        let time = local(UnixMillis(1_783_288_799_000), &zone);
        let expected = LocalTime {
            year: 2026,
            month: 7,
            day: 5,
            weekday: 7,
            hour: 23,
            minute: 59,
            second: 59,
            utc_offset_minutes: 120,
            zone: "Europe/Berlin".into(),
        };
        assert_eq!(time, expected);
        assert_eq!(local(UnixMillis(u64::MAX), &zone), LocalTime::default());
        assert_eq!(local(UnixMillis(0), &TimeZone::UTC).zone, "UTC");
    }

    #[test]
    fn times_are_shown_in_seconds() {
        assert_eq!(shown(UnixMillis(1_783_288_799_999)), "2026-07-05T21:59:59Z");
    }
}
