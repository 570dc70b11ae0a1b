//! Loading: from bytes to a guest that has been tried. A policy that fails here is that policy's error.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256 as Hasher};
use wasmtime::component::InstancePre;

use super::bindings::{meta, network_cost, recovery, retry};
use super::call::{Budget, Called, Failed, Guest};
use super::compile::Compiler;
use super::contract::{Descriptor, Hook, limits};
use super::engine::PolicyEngine;
use super::error::PolicyError;
use super::grants::{Capability, Grants};
use super::guest_state::{GuestState, NoFacts, Settings, Sight};
use super::scan::{self, Scan};
use super::{Fault, fit, prebuilt, redact};
use crate::job::{PolicyName, Sha256};

/// Bytes of a component. One of Python has 18 MiB.
pub const COMPONENT_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a name, also of a policy's version.
const NAME_BYTES_MAX: usize = 64;
/// Capabilities that a policy may ask for: more than there are.
const CAPABILITIES_MAX: usize = 16;
/// Problems with its settings that are repeated.
const PROBLEMS_MAX: usize = 16;

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// One that the host brings, by name.
    Embedded(String),
    /// A file of the operator's.
    File(std::path::PathBuf),
    /// Bytes that are at hand already, with the name to be used.
    Bytes {
        /// The name.
        name: String,
        /// The component.
        component: Vec<u8>,
    },
}

impl PolicySource {
    /// The name under which it is loaded: that of the embedded one, or of the file without its extension.
    pub(super) fn name(&self) -> Result<PolicyName, PolicyError> {
        let name = match self {
            Self::Embedded(name) | Self::Bytes { name, .. } => name.clone(),
            Self::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let problem = match name.as_str() {
            "" => Some("it is empty"),
            super::BUILT_IN => Some("it is that of the built-in default"),
            name if name.len() > NAME_BYTES_MAX => Some("it has more than 64 bytes"),
            name if name.chars().any(char::is_control) => Some("it contains control characters"),
            _ => None,
        };
        match problem {
            Some(problem) => Err(PolicyError::Name { name: fit::clipped(&name, 200).to_owned(), problem }),
            None => Ok(PolicyName(name)),
        }
    }

    /// The bytes, whatever they are. The bound on their number is that of the load.
    pub(super) fn read(&self) -> Result<Vec<u8>, PolicyError> {
        match self {
            Self::Bytes { component, .. } => Ok(component.clone()),
            Self::File(path) => read_file(path),
            Self::Embedded(name) => match prebuilt::find(name) {
                Some(prebuilt) => Ok(prebuilt.component.to_vec()),
                None => {
                    let known = prebuilt::names().collect::<Vec<_>>().join(", ");
                    Err(PolicyError::NotEmbedded { name: fit::clipped(name, 200).to_owned(), known })
                }
            },
        }
    }
}

/// At most one byte more than a component may have.
fn read_file(path: &Path) -> Result<Vec<u8>, PolicyError> {
    let failed = |reason: String| PolicyError::Read { path: path.to_owned(), reason };
    let of_io = |error: std::io::Error| failed(error.to_string());
    let metadata = std::fs::metadata(path).map_err(of_io)?;
    if metadata.is_dir() {
        return Err(failed(
            "it is a directory; `backhaul policy build DIR` makes a component of a policy's crate".into(),
        ));
    }
    if !metadata.is_file() {
        return Err(failed("it is no ordinary file".into()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(of_io)?;
    file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(of_io)?;
    Ok(bytes)
}

/// What is asked of a load.
pub(super) struct Spec {
    pub(super) name: PolicyName,
    pub(super) bytes: Vec<u8>,
    pub(super) settings: String,
    pub(super) grants: Grants,
    pub(super) fuel: u64,
    pub(super) deadline: Duration,
    pub(super) compile_time_max: Duration,
}

/// A policy that has been tried, and can be asked.
pub(super) struct Policy {
    pub(super) name: PolicyName,
    pub(super) digest: Sha256,
    pub(super) descriptor: Descriptor,
    pub(super) grants: Grants,
    pub(super) guest: Guest,
}

impl Policy {
    /// Whether it says that it has this hook, and exports it.
    pub(super) fn has(&self, hook: Hook) -> bool {
        match hook {
            Hook::Retry => self.guest.retry.is_some(),
            Hook::NetworkCost => self.guest.network_cost.is_some(),
            Hook::Recovery => self.guest.recovery.is_some(),
        }
    }
}

/// The digest under which a component is known.
pub(super) fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256(Hasher::digest(bytes).into())
}

/// Checks the bytes before anything is compiled: their number, what they are, what they import and export.
pub(super) fn examine(bytes: &[u8]) -> Result<Scan, Failed> {
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err((Fault::TooLarge, format!("it has more than {} MiB", COMPONENT_BYTES_MAX >> 20)));
    }
    scan::scan(bytes)
}

/// Compiles and tries a component. Blocks for as long as the compiler takes.
pub(super) fn load(engine: &PolicyEngine, compiler: &mut Compiler, spec: Spec) -> Result<Policy, Failed> {
    let (name, grants) = (spec.name.clone(), spec.grants.clone());
    let Tried { guest, digest, descriptor, .. } = try_out(engine, compiler, spec)?;
    let during = |what: &'static str| move |(fault, detail): Failed| (fault, format!("{what} failed: {detail}"));
    flat(guest.validate_settings(engine, Box::new(NoFacts)), during("validate-settings"))?.map_err(refused)?;
    Ok(Policy { name, digest, descriptor, grants, guest })
}

/// A component that was compiled and tried, and has said what it is. Its settings are not validated yet.
pub(super) struct Tried {
    pub(super) guest: Guest,
    pub(super) digest: Sha256,
    pub(super) descriptor: Descriptor,
    pub(super) scan: Scan,
}

/// All of loading but the settings.
pub(super) fn try_out(engine: &PolicyEngine, compiler: &mut Compiler, spec: Spec) -> Result<Tried, Failed> {
    let scan = examine(&spec.bytes)?;
    scan.check_imports()?;
    let exported = scan.hooks()?;
    let settings = Arc::new(Settings::parse(spec.settings).map_err(|problem| (Fault::SettingsRefused, problem))?);
    let digest = digest_of(&spec.bytes);
    let component = compiler.component(&engine.engine, digest, spec.bytes, spec.compile_time_max)?;
    check_memory(&component, &spec.grants)?;
    let pre = engine.linker.instantiate_pre(&component).map_err(|error| wrong_shape(&format!("{error:#}")))?;
    let sight = if spec.grants.has(Capability::SeeQuery) { Sight::Whole } else { Sight::Redacted };
    let budget = Budget { fuel: spec.fuel, deadline: spec.deadline, memory_bytes: spec.grants.memory_bytes };
    let meta = indices(meta::GuestIndices::new(&pre))?;
    let guest = Guest { pre, meta, retry: None, network_cost: None, recovery: None, settings, sight, budget };

    let during = |what: &'static str| move |(fault, detail): Failed| (fault, format!("{what} failed: {detail}"));
    flat(guest.check_shapes(engine, Box::new(NoFacts)), during("a trial instance"))?.map_err(|e| wrong_shape(&e))?;
    let descriptor = flat(guest.describe(engine, Box::new(NoFacts)), during("describe"))?;
    check_descriptor(&descriptor, &exported)?;
    let guest = with_hooks(guest, &descriptor.hooks)?;
    flat(guest.check_shapes(engine, Box::new(NoFacts)), during("a trial instance"))?.map_err(|e| wrong_shape(&e))?;
    Ok(Tried { guest, digest, descriptor, scan })
}

fn flat<A>(called: Called<A>, explain: impl Fn(Failed) -> Failed) -> Result<A, Failed> {
    called.answer.map_err(explain)
}

fn wrong_shape(error: &str) -> Failed {
    let what = format!(
        "it does not have the shapes of backhaul:policy {}: {}; build it again with the SDK of this host's version",
        scan::CONTRACT_VERSION,
        fit::clipped(error, limits::MESSAGE_BYTES_MAX)
    );
    (Fault::WrongShape, what)
}

fn indices<T>(found: wasmtime::Result<T>) -> Result<T, Failed> {
    found.map_err(|error| wrong_shape(&format!("{error:#}")))
}

fn with_hooks(mut guest: Guest, hooks: &[Hook]) -> Result<Guest, Failed> {
    let pre: &InstancePre<GuestState> = &guest.pre;
    let retry = hooks.contains(&Hook::Retry).then(|| indices(retry::GuestIndices::new(pre))).transpose()?;
    let cost = hooks.contains(&Hook::NetworkCost).then(|| indices(network_cost::GuestIndices::new(pre))).transpose()?;
    let recovery = hooks.contains(&Hook::Recovery).then(|| indices(recovery::GuestIndices::new(pre))).transpose()?;
    (guest.retry, guest.network_cost, guest.recovery) = (retry, cost, recovery);
    Ok(guest)
}

/// A guest that begins beyond its limit would fail at its first call; said here, it says what to do.
fn check_memory(component: &wasmtime::component::Component, grants: &Grants) -> Result<(), Failed> {
    let needed = match component.resources_required() {
        // In pages of 64 KiB, of the largest memory.
        Some(resources) => resources.max_initial_memory_size.unwrap_or(0).saturating_mul(64 << 10),
        None => return Err((Fault::WrongShape, "it imports core modules, which a policy may not".into())),
    };
    if needed > grants.memory_bytes as u64 {
        let what = format!(
            "it needs {} KiB of memory to begin with and is granted {}; grant it more, up to {} MiB (--grant memory=SIZE)",
            needed >> 10,
            grants.memory_bytes >> 10,
            super::engine::MEMORY_BYTES_MAX >> 20
        );
        return Err((Fault::MemoryLimit, what));
    }
    Ok(())
}

/// What a policy says of itself, against the limits, and against what it exports.
fn check_descriptor(descriptor: &Descriptor, exported: &[Hook]) -> Result<(), Failed> {
    let over = |what: &str, bytes: usize, max: usize| -> Result<(), Failed> {
        match bytes > max {
            true => Err((
                Fault::InvalidAnswer,
                format!("its descriptor's {what} has {bytes} bytes; at most {max} are allowed"),
            )),
            false => Ok(()),
        }
    };
    over("name", descriptor.name.len(), NAME_BYTES_MAX)?;
    over("version", descriptor.version.len(), NAME_BYTES_MAX)?;
    over("summary", descriptor.summary.len(), limits::NOTE_BYTES_MAX)?;
    over("settings-schema", descriptor.settings_schema.len(), limits::SETTINGS_BYTES_MAX)?;
    let schema = descriptor.settings_schema.trim();
    if !schema.is_empty()
        && let Err(error) = serde_json::from_str::<serde_json::Value>(schema)
    {
        return Err((Fault::InvalidAnswer, format!("its descriptor's settings-schema is no JSON: {error}")));
    }
    if descriptor.capabilities.len() > CAPABILITIES_MAX {
        return Err((Fault::InvalidAnswer, format!("its descriptor names more than {CAPABILITIES_MAX} capabilities")));
    }
    for name in &descriptor.capabilities {
        name.parse::<Capability>()
            .map_err(|error| (Fault::InvalidAnswer, format!("its descriptor is wrong: {error}")))?;
    }
    let hooks: BTreeSet<Hook> = descriptor.hooks.iter().copied().collect();
    if hooks.is_empty() {
        return Err((Fault::WrongShape, "its descriptor names no hook, so there is nothing to ask it".into()));
    }
    match hooks.iter().find(|hook| !exported.contains(hook)) {
        Some(hook) => {
            Err((Fault::WrongShape, format!("its descriptor names the hook {}, which it does not export", hook.name())))
        }
        None => Ok(()),
    }
}

fn refused(problems: Vec<String>) -> Failed {
    let named =
        problems.iter().take(PROBLEMS_MAX).map(|problem| redact::line(fit::clipped(problem, limits::NOTE_BYTES_MAX)));
    let problems = named.collect::<Vec<_>>().join("; ");
    let what = if problems.is_empty() { "it refuses its settings, and does not say why".into() } else { problems };
    (Fault::SettingsRefused, what)
}
