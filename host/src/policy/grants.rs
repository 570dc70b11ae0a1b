//! What an operator grants a policy beyond what every policy has.

use std::str::FromStr;

use super::contract::limits;
use super::engine::MEMORY_BYTES_MAX;

/// Something that a policy may be allowed to do. It asks for it in its descriptor, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// See the queries of remote names, which may be credentials.
    SeeQuery,
    /// Add cost flags to a job, so that it may run where it costs more than its owner allowed.
    WidenCost,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SeeQuery, Self::WidenCost];

    /// The name in a descriptor and in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeeQuery => "see-query",
            Self::WidenCost => "widen-cost",
        }
    }
}

/// A name that is no capability's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no capability {0:?}; there are: see-query, widen-cost")]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|capability| capability.name() == name);
        known.ok_or_else(|| UnknownCapability(super::fit::clipped(name, limits::ATTRIBUTE_KEY_BYTES_MAX).to_owned()))
    }
}

/// What an operator grants one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Beyond what every policy may.
    pub capabilities: Vec<Capability>,
    /// Bytes of memory that a call may use: one page of WebAssembly to 64 MiB.
    pub memory_bytes: usize,
}

impl Grants {
    /// What every policy has: in a pointer chase over 2 MiB the fuel lasts for a tenth of a second, over 16 MiB for a whole one.
    pub const MEMORY_BYTES_DEFAULT: usize = 2 << 20;

    /// Whether a capability is granted.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// What is out of bounds, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.memory_bytes {
            65_536..=MEMORY_BYTES_MAX => Ok(()),
            other => Err(format!("{other} bytes of memory; 64 KiB to 64 MiB can be granted")),
        }
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self { capabilities: Vec::new(), memory_bytes: Self::MEMORY_BYTES_DEFAULT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_found_by_their_names() {
        for capability in Capability::ALL {
            assert_eq!(capability.name().parse(), Ok(capability));
            let UnknownCapability(_) = "see_query".parse::<Capability>().unwrap_err();
            assert!(UnknownCapability(String::new()).to_string().contains(capability.name()));
        }
    }

    #[test]
    fn memory_is_granted_within_bounds() {
        let grants = |memory_bytes| Grants { memory_bytes, ..Grants::default() }.check();
        assert_eq!(Grants::default().check(), Ok(()));
        assert_eq!((grants(64 << 10), grants(64 << 20)), (Ok(()), Ok(())));
        assert!(grants((64 << 10) - 1).is_err() && grants((64 << 20) + 1).is_err());
    }
}
