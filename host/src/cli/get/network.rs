//! The network and the cost flags as they are given on the command line.

use crate::job::{CostFlags, CostState};
use crate::network::{Interface, Network};

/// The cost states by their names here.
const COSTS: [(&str, CostState); 8] = [
    ("unrestricted", CostState::Unrestricted),
    ("capped", CostState::CappedUsageUnknown),
    ("capped-usage-unknown", CostState::CappedUsageUnknown),
    ("below-cap", CostState::BelowCap),
    ("near-cap", CostState::NearCap),
    ("overcap-charged", CostState::OvercapCharged),
    ("overcap-throttled", CostState::OvercapThrottled),
    ("usage-based", CostState::UsageBased),
];

/// BITS's presets by their names here.
const PRESETS: [(&str, CostFlags); 5] = [
    ("always", CostFlags::ALWAYS),
    ("not-roaming", CostFlags::NOT_ROAMING),
    ("no-surcharge", CostFlags::NO_SURCHARGE),
    ("standard", CostFlags::STANDARD),
    ("unrestricted", CostFlags::UNRESTRICTED),
];

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// A word that is not known.
    #[error(
        "{0:?} is none of: offline; unrestricted, capped, below-cap, near-cap, overcap-charged, overcap-throttled, usage-based; \
         roaming, congested (joined by commas, for example near-cap,roaming)"
    )]
    Word(String),
    /// Two costs, a word twice, or `offline` with others.
    #[error(
        "{0:?} contradicts or repeats a word before it: give offline alone, or one cost and then roaming and congested"
    )]
    Contradiction(String),
}

/// Reads `offline`, or a cost with `roaming` and `congested`, joined by commas. Without a cost it is unrestricted.
pub(crate) fn parse_network(text: &str) -> Result<Network, NetworkError> {
    if text == "offline" {
        return Ok(Network { connected: false, interfaces: Vec::new(), route: None, ..Network::default() });
    }
    let mut cost = None;
    let mut interface = Interface { name: "network".into(), ..Interface::default() };
    for word in text.split(',') {
        let named = COSTS.iter().find(|(name, _)| *name == word).map(|(_, state)| *state);
        let is_new = match (word, named) {
            (_, Some(state)) => cost.replace(state).is_none(),
            ("roaming", None) => !std::mem::replace(&mut interface.roaming, true),
            ("congested", None) => !std::mem::replace(&mut interface.congested, true),
            ("offline", None) => false,
            _ => return Err(NetworkError::Word(word.chars().take(80).collect())),
        };
        if !is_new {
            return Err(NetworkError::Contradiction(word.to_owned()));
        }
    }
    interface.cost = cost.unwrap_or_default();
    Ok(Network { interfaces: vec![interface], ..Network::default() })
}

/// Why a text is no set of cost flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cost flags are always, not-roaming, no-surcharge, standard, unrestricted, or BITS's bits as hexadecimal digits below \
     0x800000ff with at least one cost, for example 0x80000021"
)]
pub(crate) struct CostFlagsError;

/// Reads a preset or a mask.
pub(crate) fn parse_cost_flags(text: &str) -> Result<CostFlags, CostFlagsError> {
    /// The seven costs.
    const COST_BITS: u32 = 0x7f;
    if let Some((_, flags)) = PRESETS.iter().find(|(name, _)| *name == text) {
        return Ok(*flags);
    }
    let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mask = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(CostFlagsError)?;
    // A mask without a cost would hold the job for ever, one with an unknown bit is a mistake.
    if mask & !CostFlags::ALWAYS.0 != 0 || mask & COST_BITS == 0 {
        return Err(CostFlagsError);
    }
    Ok(CostFlags(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(text: &str) -> Interface {
        parse_network(text).unwrap().interfaces.remove(0)
    }

    #[test]
    fn a_cost_roaming_and_congestion_are_read_in_any_order() {
        assert_eq!(interface("unrestricted").cost, CostState::Unrestricted);
        assert_eq!(interface("capped").cost, CostState::CappedUsageUnknown);
        let given = interface("roaming,near-cap,congested");
        assert_eq!((given.cost, given.roaming, given.congested), (CostState::NearCap, true, true));
        assert_eq!(interface("roaming").cost, CostState::Unrestricted);
        let offline = parse_network("offline").unwrap();
        assert!(!offline.connected && offline.interfaces.is_empty());
    }

    #[test]
    fn other_words_and_contradictions_are_refused() {
        for text in ["", "free", "near-cap,", "near-cap roaming", "Roaming"] {
            assert!(matches!(parse_network(text), Err(NetworkError::Word(_))), "{text}");
        }
        for text in ["near-cap,capped", "roaming,roaming", "offline,roaming", "roaming,offline"] {
            assert!(
                matches!(parse_network(text), Err(NetworkError::Contradiction(_))),
                "{text}: {:?}",
                parse_network(text)
            );
        }
    }

    #[test]
    fn cost_flags_are_a_preset_or_a_mask() {
        assert_eq!(parse_cost_flags("always"), Ok(CostFlags::ALWAYS));
        assert_eq!(parse_cost_flags("0x80000021"), Ok(CostFlags::UNRESTRICTED));
        assert_eq!(parse_cost_flags("0x1"), Ok(CostFlags(1)));
        for text in ["", "0x", "0x0", "0x80", "0x80000000", "0x40000001", "1", "0x+1", "0x1ffffffff", "Always"] {
            assert_eq!(parse_cost_flags(text), Err(CostFlagsError), "{text}");
        }
    }
}
