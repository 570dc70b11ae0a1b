//! Cost flags as they stand in JSON.

use crate::job::CostFlags;

/// BITS's presets by name.
const PRESETS: [(&str, CostFlags); 5] = [
    ("always", CostFlags::ALWAYS),
    ("not_roaming", CostFlags::NOT_ROAMING),
    ("no_surcharge", CostFlags::NO_SURCHARGE),
    ("standard", CostFlags::STANDARD),
    ("unrestricted", CostFlags::UNRESTRICTED),
];

/// The seven costs. A set without any of them would hold its job for ever.
const COSTS: u32 = 0x7F;

/// Why a text is no set of cost flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be always, not_roaming, no_surcharge, standard, unrestricted, or BITS's bits in lower-case hexadecimal with at least one \
     cost, for example 0x80000021"
)]
pub struct CostFlagsError;

/// Reads a preset or bits.
///
/// # Errors
/// If it is neither, has an unknown bit, or has no cost.
pub fn parse_cost_flags(text: &str) -> Result<CostFlags, CostFlagsError> {
    if let Some((_, flags)) = PRESETS.iter().find(|(name, _)| *name == text) {
        return Ok(*flags);
    }
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = text.strip_prefix("0x").filter(|digits| matches!(digits.len(), 2 | 8) && digits.bytes().all(is_digit));
    let bits = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(CostFlagsError)?;
    if bits & !CostFlags::ALWAYS.0 != 0 || bits & COSTS == 0 { Err(CostFlagsError) } else { Ok(CostFlags(bits)) }
}

/// The name of a preset, or the bits.
#[must_use]
pub fn cost_flags_text(flags: CostFlags) -> String {
    let preset = PRESETS.iter().find(|(_, preset)| *preset == flags);
    preset.map_or_else(|| format!("0x{:08x}", flags.0), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_names_bits_and_sets_without_a_cost_are_refused() {
        for wrong in [
            "",
            "Always",
            "not-roaming",
            "0x",
            "0x00",
            "0x80",
            "0x80000000",
            "0x80000080",
            "0x100",
            "0xGG",
            "0x00000100",
            "0xFF",
        ] {
            assert_eq!(parse_cost_flags(wrong), Err(CostFlagsError), "{wrong}");
        }
        assert_eq!(parse_cost_flags("0x21"), Ok(CostFlags(0x21)));
        assert_eq!(parse_cost_flags("standard"), Ok(CostFlags::STANDARD));
    }

    proptest! {
        #[test]
        fn flags_are_read_as_they_are_written(bits in 1..=0xFF_u32, congestion in proptest::bool::ANY) {
            let flags = CostFlags(bits | if congestion { CostFlags::IGNORE_CONGESTION.0 } else { 0 });
            let read = parse_cost_flags(&cost_flags_text(flags));
            prop_assert_eq!(read, if bits & COSTS == 0 { Err(CostFlagsError) } else { Ok(flags) });
        }
    }
}
