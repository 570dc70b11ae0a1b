use proptest::prelude::*;
use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::{CORE_MODULE, Contract, EXPORT_SECTION, MAGIC, encode};
use crate::policy::build::BuildError;

const I32: u8 = 0x7f;

/// A function of a module: exported name and how many numbers it takes and returns.
type Function<'a> = (&'a str, usize, usize);

/// A core module whose functions all trap, with a memory.
fn module(functions: &[Function<'_>]) -> Vec<u8> {
    let types = functions.iter().map(|(_, takes, returns)| [vec![0x60], numbers(*takes), numbers(*returns)].concat());
    let exported = |name: &str, kind: u8, index: usize| [text(name), vec![kind], length(index)].concat();
    let exports = functions.iter().enumerate().map(|(index, (name, ..))| exported(name, 0, index));
    let exports = exports.chain([exported("memory", 2, 0)]);
    const UNREACHABLE_BODY: [u8; 4] = [3, 0, 0x00, 0x0b];
    let sections = [
        section(1, types.collect()),
        section(3, (0..functions.len()).map(length).collect()),
        section(5, vec![vec![0, 1]]),
        section(EXPORT_SECTION, exports.collect()),
        section(10, functions.iter().map(|_| UNREACHABLE_BODY.to_vec()).collect()),
    ];
    [MAGIC, CORE_MODULE, &sections.concat()].concat()
}

fn section(id: u8, elements: Vec<Vec<u8>>) -> Vec<u8> {
    let content = [length(elements.len()), elements.concat()].concat();
    [vec![id], length(content.len()), content].concat()
}

fn numbers(count: usize) -> Vec<u8> {
    [length(count), vec![I32; count]].concat()
}

fn text(text: &str) -> Vec<u8> {
    [length(text.len()), text.as_bytes().to_vec()].concat()
}

fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

const META: [Function<'static>; 2] =
    [("backhaul:policy/meta@0.1.0#describe", 0, 1), ("backhaul:policy/meta@0.1.0#validate-settings", 2, 1)];
const REALLOC: Function<'static> = ("cabi_realloc", 4, 1);

#[test]
fn a_bare_module_is_taken_for_what_it_exports() {
    for hook in ["retry@0.1.0#on-failure", "network-cost@0.1.0#admit", "recovery@0.1.0#on-error"] {
        let hook = format!("backhaul:policy/{hook}");
        let component = encode(&module(&[META[0], META[1], REALLOC, (&hook, 1, 1)])).unwrap();
        let decoded = wit_component::decode(&component).unwrap();
        let (resolve, world) = match decoded {
            wit_component::DecodedWasm::Component(resolve, world) => (resolve, world),
            wit_component::DecodedWasm::WitPackage(..) => panic!("a component"),
        };
        let exports = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key));
        let exports: Vec<String> = exports.filter(|name| !name.ends_with("/meta@0.1.0")).collect();
        assert_eq!(exports, [hook.split('#').next().unwrap()]);
    }
}

#[test]
fn a_bare_module_that_lacks_a_function_is_refused_by_its_name() {
    let hook = ("backhaul:policy/retry@0.1.0#on-failure", 1, 1);
    let error = encode(&module(&[META[0], REALLOC, hook])).unwrap_err().to_string();
    assert!(error.contains("validate-settings"), "{error}");
    let error = encode(&module(&[META[0], META[1], hook])).unwrap_err().to_string();
    assert!(error.contains("cabi_realloc"), "{error}");
    let error = encode(&module(&[META[0], META[1], REALLOC, (hook.0, 2, 1)])).unwrap_err().to_string();
    assert!(error.contains("on-failure"), "{error}");
}

#[test]
fn a_module_that_is_no_policy_is_refused() {
    for functions in [&[][..], &META, &[("add", 2, 1)]] {
        let error = encode(&module(functions)).unwrap_err();
        assert!(matches!(error, BuildError::NotAPolicy { .. }), "{error}");
        assert!(error.to_string().contains("no function of backhaul:policy@0.1.0"), "{error}");
    }
}

#[test]
fn a_module_for_another_contract_is_refused_with_what_it_exports() {
    let mut resolve = Resolve::default();
    let text = "package other:thing@1.0.0; interface api { run: func(); } world thing { export api; }";
    let package = resolve.push_source("other.wit", text).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = module(&[("other:thing/api@1.0.0#run", 0, 0)]);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let error = encode(&module).unwrap_err().to_string();
    assert!(error.contains("it exports other:thing/api@1.0.0"), "{error}");
}

#[test]
fn what_is_no_core_module_is_refused() {
    assert!(matches!(encode(b""), Err(BuildError::NotWasm)));
    assert!(matches!(encode(b"#!/bin/sh"), Err(BuildError::NotWasm)));
    for prebuilt in crate::policy::prebuilt::all() {
        assert!(matches!(encode(prebuilt.component), Err(BuildError::AlreadyAComponent)));
    }
}

#[test]
fn the_contract_is_the_published_one() {
    assert_eq!(Contract::parse().package().to_string(), "backhaul:policy@0.1.0");
}

proptest! {
    #[test]
    fn damaged_modules_are_refused_without_a_panic(cut in 8..400_usize, damaged in 8..400_usize, byte: u8) {
        let mut module = module(&[META[0], META[1], REALLOC, ("backhaul:policy/retry@0.1.0#on-failure", 1, 1)]);
        let damaged = damaged % module.len();
        if damaged >= 8 {
            module[damaged] = byte;
        }
        module.truncate(cut);
        let _ = encode(&module);
    }
}
