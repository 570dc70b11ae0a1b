//! Says what a component is, without settings and without a host: for those who write policies, and those who are to trust one.

use super::compile::Compiler;
use super::component::{self, PolicySource, Spec};
use super::config::PolicyConfig;
use super::contract::{Descriptor, Hook};
use super::engine::{MEMORY_BYTES_MAX, PolicyEngine};
use super::error::PolicyError;
use super::grants::Grants;
use crate::job::{PolicyName, Sha256};

/// What a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The name under which it would be loaded.
    pub name: PolicyName,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: Sha256,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// The hooks that it exports; it is asked for those that its descriptor names.
    pub exported: Vec<Hook>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Bytes of memory that it begins with.
    pub memory_bytes: u64,
}

/// Compiles a component and asks it what it is. Blocks for as long as the compiler takes. It is granted as much memory as can be.
///
/// # Errors
/// As for loading, but for the settings, which are not looked at.
pub fn inspect(source: &PolicySource) -> Result<Inspection, PolicyError> {
    // A directory is refused as one, although `.` has no name either.
    let bytes = source.read()?;
    let name = source.name()?;
    let size = bytes.len() as u64;
    let config = PolicyConfig::default();
    let engine = PolicyEngine::start()?;
    let spec = Spec {
        name: name.clone(),
        bytes,
        settings: String::new(),
        grants: Grants { memory_bytes: MEMORY_BYTES_MAX, ..Grants::default() },
        fuel: config.fuel,
        deadline: config.deadline,
        compile_time_max: config.compile_time_max,
    };
    let refused = |(fault, detail)| PolicyError::Refused { policy: name.clone(), fault, detail };
    let tried = component::try_out(&engine, &mut Compiler::default(), spec).map_err(refused)?;
    let exported = tried.scan.hooks().map_err(refused)?;
    let memory =
        tried.guest.pre.component().resources_required().and_then(|resources| resources.max_initial_memory_size);
    Ok(Inspection {
        name: name.clone(),
        bytes: size,
        digest: tried.digest,
        descriptor: tried.descriptor,
        exported,
        imports: tried.scan.imports,
        // In pages of 64 KiB.
        memory_bytes: memory.unwrap_or(0).saturating_mul(64 << 10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Fault;
    use crate::policy::prebuilt;

    #[test]
    fn each_embedded_policy_says_what_it_is() {
        for prebuilt in prebuilt::all() {
            let inspection = inspect(&PolicySource::Embedded(prebuilt.name.into())).unwrap();
            assert_eq!(inspection.descriptor.name, prebuilt.name);
            assert_eq!(inspection.digest, prebuilt.origin.component);
            assert!(inspection.descriptor.hooks.iter().all(|hook| inspection.exported.contains(hook)));
            assert!(inspection.memory_bytes > 0, "{inspection:?}");
        }
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let source = PolicySource::Bytes { name: "x".into(), component: b"nothing".to_vec() };
        assert_eq!(inspect(&source).unwrap_err().fault(), Some(Fault::NotAComponent));
    }
}
