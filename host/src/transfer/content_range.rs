//! The Content-Range field (RFC 9110 section 14.4). Ranges are half-open in here; inclusive ends exist in the text only.

use std::ops::Range;

/// A Content-Range field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes FIRST-LAST/TOTAL`: which bytes the body holds. Never empty, and within the total if that is known.
    Satisfied { range: Range<u64>, total: Option<u64> },
    /// `bytes */TOTAL`: what a 416 carries.
    Unsatisfied { total: Option<u64> },
}

impl ContentRange {
    /// Reads a field's value; none if it is malformed or contradicts itself.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = rest.split_once('/')?;
        let total = if total == "*" { None } else { Some(digits(total)?) };
        if range == "*" {
            return Some(Self::Unsatisfied { total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (digits(first)?, digits(last)?);
        let end = last.checked_add(1)?;
        if last < first || total.is_some_and(|total| total < end) {
            return None;
        }
        Some(Self::Satisfied { range: first..end, total })
    }
}

/// A number of ASCII digits only; `u64::from_str` would take a sign.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The Range field that asks for the bytes from `start` on, up to `end` if there is one.
pub(crate) fn range_field(start: u64, end: Option<u64>) -> String {
    match end.and_then(|end| end.checked_sub(1)) {
        Some(last) => format!("bytes={start}-{last}"),
        None => format!("bytes={start}-"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_half_open_inside() {
        let satisfied = |range, total| Some(ContentRange::Satisfied { range, total });
        assert_eq!(ContentRange::parse("bytes 0-0/1"), satisfied(0..1, Some(1)));
        assert_eq!(ContentRange::parse("bytes 5-9/10"), satisfied(5..10, Some(10)));
        assert_eq!(ContentRange::parse(" BYTES 5-9/* "), satisfied(5..10, None));
        assert_eq!(ContentRange::parse("bytes */10"), Some(ContentRange::Unsatisfied { total: Some(10) }));
        assert_eq!(ContentRange::parse("bytes */*"), Some(ContentRange::Unsatisfied { total: None }));
        assert_eq!(range_field(7, None), "bytes=7-");
        assert_eq!(range_field(7, Some(8)), "bytes=7-7");
    }

    #[test]
    fn what_is_malformed_or_contradicts_itself_is_refused() {
        for text in [
            "",
            "bytes",
            "bytes 0-9",
            "0-9/10",
            "items 0-9/10",
            "bytes=0-9/10",
            "bytes 9-5/10",
            "bytes 0-10/10",
            "bytes 0-9/9",
            "bytes -5/10",
            "bytes 5-/10",
            "bytes +0-9/10",
            "bytes 0-+9/10",
            "bytes 0-9/+10",
            "bytes 0-9/",
            "bytes 0 - 9/10",
            "bytes 0-9/10, bytes 0-9/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-9/18446744073709551616",
            "bytes ²-9/10",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_never_as_an_empty_range(text in ".{0,40}") {
            if let Some(ContentRange::Satisfied { range, total }) = ContentRange::parse(&text) {
                prop_assert!(range.start < range.end);
                prop_assert!(total.is_none_or(|total| range.end <= total));
            }
        }

        #[test]
        fn a_range_reads_back_as_it_was_written(start in 0u64..1 << 60, length in 1u64..1 << 60, tail in 0u64..1 << 60) {
            let (end, total) = (start + length, start + length + tail);
            let read = ContentRange::parse(&format!("bytes {start}-{}/{total}", end - 1));
            prop_assert_eq!(read, Some(ContentRange::Satisfied { range: start..end, total: Some(total) }));
        }
    }
}
