//! Encodes a core module as a component.

use std::fmt::Display;

use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{PackageId, PackageName, Resolve};

use super::BuildError;

/// The contract, as published.
const CONTRACT: &str = include_str!("../../../../wit/policy.wit");

/// Interfaces of which a policy exports at least one, besides `meta`.
const HOOKS: [&str; 3] = ["retry", "network-cost", "recovery"];

const MAGIC: &[u8] = b"\0asm";
/// Version and layer that follow the magic number.
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

/// Ids of sections in a core module.
const CUSTOM_SECTION: u8 = 0;
const EXPORT_SECTION: u8 = 7;

/// Turns a core module into a component of the contract.
///
/// A module from wit-bindgen says itself what it is. One without that section is taken for what it exports under the contract's names.
///
/// # Errors
/// The bytes are no core module, or no policy.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let rest = module.strip_prefix(MAGIC).ok_or(BuildError::NotWasm)?;
    let sections = rest.strip_prefix(CORE_MODULE).ok_or(BuildError::AlreadyAComponent)?;
    let contract = Contract::parse();
    let component = if Sections(sections).any(|(id, content)| id == CUSTOM_SECTION && is_component_type(content)) {
        encoded(module)?
    } else {
        encoded(&contract.embedded_in(module, sections)?)?
    };
    contract.check(&component)?;
    Ok(component)
}

fn encoded(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(failed)
}

fn failed(e: impl Display) -> BuildError {
    BuildError::Encode { reason: format!("{e:#}") }
}

/// The parsed contract.
struct Contract {
    resolve: Resolve,
    package: PackageId,
}

impl Contract {
    fn parse() -> Self {
        let mut resolve = Resolve::default();
        let package =
            resolve.push_source("policy.wit", CONTRACT).expect("the bindings are generated from the same text");
        Self { resolve, package }
    }

    fn package(&self) -> &PackageName {
        &self.resolve.packages[self.package].name
    }

    /// The module with the `component-type` section of the world whose hooks it exports.
    fn embedded_in(&self, module: &[u8], sections: &[u8]) -> Result<Vec<u8>, BuildError> {
        let exports: Vec<&[u8]> =
            Sections(sections).filter(|(id, _)| *id == EXPORT_SECTION).map(|(_, content)| content).collect();
        let exported = |interface: &str| {
            let prefix = format!("{}#", self.package().interface_id(interface));
            exports.iter().any(|content| content.windows(prefix.len()).any(|name| name == prefix.as_bytes()))
        };
        let world = match HOOKS.map(exported) {
            [false, false, false] => return Err(BuildError::NotAPolicy { package: self.package().to_string() }),
            [true, false, false] => "retry-policy",
            [false, true, false] => "network-cost-policy",
            [false, false, true] => "recovery-policy",
            _ => "policy",
        };
        let world = self.resolve.select_world(&[self.package], Some(world)).map_err(failed)?;
        let mut module = module.to_vec();
        wit_component::embed_component_metadata(&mut module, &self.resolve, world, StringEncoding::UTF8)
            .map_err(failed)?;
        Ok(module)
    }

    /// The component is what this host asks for.
    fn check(&self, component: &[u8]) -> Result<(), BuildError> {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(component).map_err(failed)? else {
            return Err(BuildError::AlreadyAComponent);
        };
        let exports: Vec<String> =
            resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect();
        if exports.contains(&self.package().interface_id("meta")) {
            return Ok(());
        }
        let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        Err(BuildError::OtherContract { package: self.package().to_string(), found })
    }
}

/// Custom sections begin with their name. wit-bindgen appends to it, so that several can be told apart.
fn is_component_type(content: &[u8]) -> bool {
    length(content).is_some_and(|(_, content)| content.starts_with(b"component-type"))
}

/// The sections of a module: id and content. Ends where the bytes make no sense; the encoder then says why.
struct Sections<'a>(&'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.0.split_first()?;
        let (size, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        Some((*id, content))
    }
}

/// An unsigned LEB128 number of up to 32 bits, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
