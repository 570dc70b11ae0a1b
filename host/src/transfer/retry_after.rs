//! The Retry-After field (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

use super::content_range::digits;
use crate::clock::UnixMillis;

/// Milliseconds: the longest wait that an origin can ask for, a day. Longer ones, and numbers beyond any range, are cut to it:
/// an origin must not be able to put a job to sleep for years.
pub(crate) const RETRY_AFTER_MS_MAX: u64 = 86_400_000;

/// Milliseconds to wait from now on, or none where the field is neither delta-seconds nor a date.
///
/// A date is taken relative to the response's own Date, if it has one: the origin's clock may be wrong, but it is the same clock.
pub(crate) fn retry_after_ms(value: &str, date: Option<&str>, now: UnixMillis) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = digits(value).unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1000).min(RETRY_AFTER_MS_MAX));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let from = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let from = from.unwrap_or_else(|| SystemTime::UNIX_EPOCH + Duration::from_millis(now.0));
    let wait = until.duration_since(from).unwrap_or(Duration::ZERO);
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T12:00:00Z.
    const NOW: UnixMillis = UnixMillis(1_795_176_000_000);
    const DAY: u64 = RETRY_AFTER_MS_MAX;

    #[test]
    fn every_form_of_the_field() {
        let same = Some("Fri, 20 Nov 2026 12:00:00 GMT");
        let year_behind = Some("Thu, 20 Nov 2025 12:00:00 GMT");
        let table: [(&str, Option<&str>, Option<u64>); 25] = [
            ("0", None, Some(0)),
            ("1", None, Some(1000)),
            ("120", same, Some(120_000)),
            (" 5 ", None, Some(5000)),
            ("007", None, Some(7000)),
            ("86400", None, Some(DAY)),
            ("86401", None, Some(DAY)),
            ("99999999999999999999999999", None, Some(DAY)),
            ("18446744073709551615", None, Some(DAY)),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("1e20", None, None),
            ("²", None, None),
            ("٣", None, None),
            ("", None, None),
            ("soon", None, None),
            ("5 seconds", None, None),
            ("5, 6", None, None),
            ("Fri, 20 Nov 2026 12:00:30 GMT", None, Some(30_000)),
            ("Fri, 20 Nov 2026 12:00:30 GMT", Some("not a date"), Some(30_000)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", same, Some(0)),
            ("Thu, 20 Nov 2025 12:00:10 GMT", year_behind, Some(10_000)),
            ("Fri, 20 Nov 2099 12:00:00 GMT", same, Some(DAY)),
            ("2026-11-20T12:00:30Z", same, None),
        ];
        for (value, date, expected) in table {
            assert_eq!(retry_after_ms(value, date, NOW), expected, "{value:?} at {date:?}");
        }
    }
}
