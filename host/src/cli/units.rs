//! Numbers with units, for people.

/// Bytes in binary units.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len() - 1).find(|unit| count >> (10 * (unit + 1)) == 0).unwrap_or(UNITS.len() - 1);
    if unit == 0 {
        return format!("{count} B");
    }
    // Tenths, rounded down: what is shown as 64.0 MiB is there.
    let tenths = (u128::from(count) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A duration in at most two units; tenths of a second below ten seconds.
pub(crate) fn millis(millis: u64) -> String {
    let seconds = millis / 1000;
    let two = |one: u64, name: &str, other: u64, other_name: &str| match other {
        0 => format!("{one} {name}"),
        _ => format!("{one} {name} {other} {other_name}"),
    };
    match seconds {
        0..10 if millis.is_multiple_of(1000) => format!("{seconds} s"),
        0..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// The time until something, by the second: rounded up, so that it ends at 1 s and not at 0 s.
pub(crate) fn countdown(left: u64) -> String {
    millis(left.div_ceil(1000) * 1000)
}

/// `1 file`, `2 files`.
pub(crate) fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_tenths_and_never_rounded_up() {
        let shown = [0, 1023, 1024, 1 << 20, (64 << 20) - 1, 64 << 20, 5 << 30, 3 << 40].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "63.9 MiB", "64.0 MiB", "5.0 GiB", "3.0 TiB"]);
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let shown = [0, 50, 1500, 9999, 10_999, 60_000, 61_500, 3_600_000, 5_430_000, 90_000_000].map(millis);
        let expected = ["0 s", "0.0 s", "1.5 s", "9.9 s", "10 s", "1 min", "1 min 1 s", "1 h", "1 h 30 min", "1 d 1 h"];
        assert_eq!(shown, expected);
        assert_eq!([0, 1, 1000, 1001].map(countdown), ["0 s", "1 s", "1 s", "2 s"]);
    }
}
