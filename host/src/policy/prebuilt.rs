//! The components that the host embeds, so that policies work where nobody can build one.
//!
//! `guest-policy/build` makes them and writes the manifest; a test fails when their sources have changed since.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::job::Sha256;

/// A component that comes with the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prebuilt {
    /// The policy's name.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
    /// How it came about.
    pub origin: Entry,
}

/// How a component came about: one entry of `guest-policy/prebuilt/manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The policy's name; the component is `NAME.wasm` beside the manifest.
    pub name: String,
    /// Digest of the component.
    pub component: Sha256,
    /// Digest of what it was built from, see [`super::build::source_digest`].
    pub source: Sha256,
    /// What built it.
    pub toolchain: String,
}

macro_rules! embedded {
    ($($name:literal),+) => {
        /// Name and component.
        const COMPONENTS: &[(&str, &[u8])] = &[$((
            $name,
            include_bytes!(concat!("../../../guest-policy/prebuilt/", $name, ".wasm")),
        )),+];
    };
}

embedded!("mirrors", "standard");

static PREBUILT: LazyLock<Vec<Prebuilt>> = LazyLock::new(|| {
    let manifest = include_str!("../../../guest-policy/prebuilt/manifest.json");
    let entries: Vec<Entry> = serde_json::from_str(manifest).expect("the embedded manifest is checked by a test");
    let prebuilt = |origin: Entry| {
        let (name, component) = *COMPONENTS.iter().find(|(name, _)| *name == origin.name)?;
        Some(Prebuilt { name, component, origin })
    };
    entries.into_iter().filter_map(prebuilt).collect()
});

/// The names of all embedded components, whether the manifest knows them or not.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMPONENTS.iter().map(|(name, _)| *name)
}

/// All embedded components.
#[must_use]
pub fn all() -> &'static [Prebuilt] {
    &PREBUILT
}

/// The embedded component of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Prebuilt> {
    PREBUILT.iter().find(|prebuilt| prebuilt.name == name)
}

#[cfg(test)]
mod tests {
    use super::{all, find, names};
    use crate::policy::build::digest_of;

    #[test]
    fn each_component_is_the_one_in_the_manifest() {
        assert!(all().iter().map(|prebuilt| prebuilt.name).eq(names()));
        for prebuilt in all() {
            assert_eq!(digest_of(prebuilt.component), prebuilt.origin.component, "{}", prebuilt.name);
            assert_eq!(find(prebuilt.name), Some(prebuilt));
        }
        assert_eq!(find("absent"), None);
    }
}
