//! What a component imports and exports, read before anything of it is compiled.

use wasmparser::{Parser, Payload};

use super::Fault;
use super::call::Failed;
use super::contract::Hook;

/// The package of the contract.
const PACKAGE: &str = "backhaul:policy/";
/// The version of the WIT that this host was built from; stands in decision rows.
pub const CONTRACT_VERSION: &str = "0.1.0";
/// What components of other versions are told. While it is 0, the minor number decides (semver).
const SPOKEN: &str = "0.1";

/// Names longer than this are not repeated in full.
const NAME_BYTES_MAX: usize = 200;
/// Offending imports that are named.
const NAMED_MAX: usize = 3;

/// The interfaces of a component by name, for example `backhaul:policy/host@0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Scan {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

/// Reads imports and exports.
pub(super) fn scan(bytes: &[u8]) -> Result<Scan, Failed> {
    if Parser::is_core_wasm(bytes) {
        let what = "it is a core WebAssembly module; `backhaul policy build DIR` makes a component of a policy's crate";
        return Err((Fault::NotAComponent, what.into()));
    }
    if !Parser::is_component(bytes) {
        let what = "it is no WebAssembly component; `backhaul policy build DIR` makes one of a policy's crate";
        return Err((Fault::NotAComponent, what.into()));
    }
    let broken = |error: wasmparser::BinaryReaderError| {
        (Fault::NotAComponent, format!("it is damaged, or of an unknown version of WebAssembly: {error}"))
    };
    let mut scan = Scan::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    scan.imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    scan.exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(scan)
}

/// How an import or export stands to the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// An interface of the contract, in a version that this host speaks.
    Spoken(&'a str),
    /// An interface of the contract in another version.
    OtherVersion(&'a str),
    /// Something else.
    Foreign,
}

/// How a name stands to the contract.
pub(super) fn standing(name: &str) -> Standing<'_> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Standing::Foreign };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    match version.strip_prefix(SPOKEN).and_then(|rest| rest.strip_prefix('.')) {
        Some(patch) if patch.parse::<u64>().is_ok() => Standing::Spoken(interface),
        _ => Standing::OtherVersion(version),
    }
}

impl Scan {
    /// Refuses any import but the host interface and its types.
    pub(super) fn check_imports(&self) -> Result<(), Failed> {
        let mut forbidden = Vec::new();
        for name in &self.imports {
            match standing(name) {
                Standing::Spoken("host" | "types") => {}
                Standing::OtherVersion(version) => return Err(other_version(version)),
                Standing::Spoken(_) | Standing::Foreign => forbidden.push(super::fit::clipped(name, NAME_BYTES_MAX)),
            }
        }
        if forbidden.is_empty() {
            return Ok(());
        }
        let more = match forbidden.len().checked_sub(NAMED_MAX) {
            Some(more @ 1..) => format!(" and {more} more"),
            _ => String::new(),
        };
        forbidden.truncate(NAMED_MAX);
        let hint = match forbidden.iter().any(|name| name.starts_with("wasi:")) {
            true => {
                "; a policy has no clock, no randomness and no files of its own: build it for wasm32-unknown-unknown, without WASI"
            }
            false => "",
        };
        let names = forbidden.join(", ");
        Err((
            Fault::ForbiddenImport,
            format!("it imports {names}{more}; a policy imports {PACKAGE}host and nothing else{hint}"),
        ))
    }

    /// The hooks that it exports. Refuses what is no policy, or one of another version.
    pub(super) fn hooks(&self) -> Result<Vec<Hook>, Failed> {
        let spoken = |wanted: &str| self.exports.iter().any(|name| standing(name) == Standing::Spoken(wanted));
        let mut all = [Hook::Retry, Hook::NetworkCost, Hook::Recovery].into_iter();
        if spoken("meta") {
            return Ok(all.filter(|hook| spoken(hook.name())).collect());
        }
        let version = self.exports.iter().find_map(|name| match standing(name) {
            Standing::OtherVersion(version) => Some(version),
            _ => None,
        });
        Err(match version {
            Some(version) => other_version(version),
            None if all.any(|hook| spoken(hook.name())) => {
                (Fault::WrongShape, format!("it does not export {PACKAGE}meta, by which a policy says what it is"))
            }
            None => (Fault::WrongShape, format!("it is a component, but no policy: it exports nothing of {PACKAGE}")),
        })
    }
}

/// For people who must find out which of two things to move.
pub(super) fn other_version(version: &str) -> Failed {
    let version = match version {
        "" => String::new(),
        version => format!("@{}", super::fit::clipped(version, NAME_BYTES_MAX)),
    };
    let what = format!(
        "your component targets backhaul:policy{version}, this host speaks {SPOKEN}; build it again with the SDK of this host's version"
    );
    (Fault::WrongShape, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_wit() {
        let wit = include_str!("../../../wit/policy.wit");
        assert!(wit.starts_with(&format!("package backhaul:policy@{CONTRACT_VERSION};")));
        assert!(CONTRACT_VERSION.starts_with(&format!("{SPOKEN}.")));
    }

    #[test]
    fn versions_are_compatible_within_a_minor_number() {
        assert_eq!(standing("backhaul:policy/host@0.1.0"), Standing::Spoken("host"));
        assert_eq!(standing("backhaul:policy/network-cost@0.1.17"), Standing::Spoken("network-cost"));
        for (name, version) in [
            ("backhaul:policy/host@0.2.0", "0.2.0"),
            ("backhaul:policy/host@1.0.0", "1.0.0"),
            ("backhaul:policy/host@0.10.0", "0.10.0"),
            ("backhaul:policy/host@0.1.0-rc.1", "0.1.0-rc.1"),
            ("backhaul:policy/host", ""),
        ] {
            assert_eq!(standing(name), Standing::OtherVersion(version));
        }
        for name in ["backhaul:policy", "backhaul:policies/host@0.1.0", "wasi:cli/environment@0.2.3", ""] {
            assert_eq!(standing(name), Standing::Foreign);
        }
    }

    fn with(imports: &[&str], exports: &[&str]) -> Scan {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scan { imports: owned(imports), exports: owned(exports) }
    }

    #[test]
    fn forbidden_imports_are_named() {
        assert_eq!(with(&["backhaul:policy/host@0.1.0", "backhaul:policy/types@0.1.9"], &[]).check_imports(), Ok(()));
        let names = ["wasi:cli/a@0.2.0", "wasi:io/b@0.2.0", "x:y/z", "wasi:random/c@0.2.0"];
        let (fault, text) = with(&names, &[]).check_imports().unwrap_err();
        assert_eq!(fault, Fault::ForbiddenImport);
        assert!(text.starts_with("it imports wasi:cli/a@0.2.0, wasi:io/b@0.2.0, x:y/z and 1 more;"), "{text}");
        assert!(text.ends_with("without WASI"), "{text}");
        let (_, text) = with(&["x:y/z", "backhaul:policy/meta@0.1.0", "a"], &[]).check_imports().unwrap_err();
        assert!(
            text.starts_with("it imports x:y/z, backhaul:policy/meta@0.1.0, a;") && !text.contains("WASI"),
            "{text}"
        );
    }

    #[test]
    fn another_version_is_told_from_this_one() {
        let text = "your component targets backhaul:policy@2.0.0, this host speaks 0.1; build it again with the SDK of this host's version";
        let expected = (Fault::WrongShape, text.to_owned());
        assert_eq!(with(&["backhaul:policy/host@2.0.0"], &[]).check_imports(), Err(expected.clone()));
        assert_eq!(with(&[], &["backhaul:policy/meta@2.0.0"]).hooks(), Err(expected));
    }

    #[test]
    fn hooks_are_found_among_the_exports() {
        let exports =
            ["backhaul:policy/meta@0.1.0", "backhaul:policy/recovery@0.1.3", "init", "backhaul:policy/retry@0.2.0"];
        assert_eq!(with(&[], &exports).hooks(), Ok(vec![Hook::Recovery]));
        assert!(with(&[], &["backhaul:policy/retry@0.1.0"]).hooks().unwrap_err().1.contains("meta"));
        assert!(with(&[], &["wasi:http/handler@0.2.0"]).hooks().unwrap_err().1.contains("no policy"));
    }

    #[test]
    fn what_is_no_component_says_what_to_do() {
        for bytes in [&b""[..], b"garbage", b"\0asm", b"\0asm\x01\0\0\0"] {
            let (fault, text) = scan(bytes).unwrap_err();
            assert!(fault == Fault::NotAComponent && text.contains("backhaul policy build"), "{text}");
        }
        let (fault, text) = scan(b"\0asm\x0d\0\x01\0\xff\xff\xff").unwrap_err();
        assert!(fault == Fault::NotAComponent && text.contains("damaged"), "{text}");
    }
}
