//! Sizes as people write them: `65536`, `64KiB`, `16MiB`, `2GiB`, `1TiB`.

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// Not of the form.
    #[error("a size is a number of bytes, or a number with KiB, MiB, GiB or TiB, for example 65536, 16MiB, 2GiB")]
    Form,
    /// Over 2^64 - 1.
    #[error("a size is below 16777216TiB")]
    TooLarge,
}

/// Powers of 1,024 by their letters.
const UNITS: [(&str, u32); 6] = [("", 0), ("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Reads a size, in bytes.
pub(crate) fn parse(text: &str) -> Result<u64, SizeError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SizeError::Form)?;
    if number.is_empty() {
        return Err(SizeError::Form);
    }
    // Only digits are left, so that the one way to fail is a number that is too large.
    let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
    number.checked_mul(1 << shift).ok_or(SizeError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_units_or_are_bytes() {
        let sizes = [("0", 0), ("65536", 65_536), ("7B", 7), ("64KiB", 64 << 10), ("2GiB", 2 << 30), ("1TiB", 1 << 40)];
        for (text, bytes) in sizes {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
        for text in ["18446744073709551616", "16777216TiB", "99999999999999999999KiB"] {
            assert_eq!(parse(text), Err(SizeError::TooLarge), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5GiB", "1 MiB", "1kB", "1mib", "x"] {
            assert_eq!(parse(text), Err(SizeError::Form), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
