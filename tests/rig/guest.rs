//! Components made by hand, for what no compiler makes: guests that break.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A policy of that name that describes itself well and traps whenever it is asked to retry or to repair.
pub(crate) fn trapping(name: &str) -> Vec<u8> {
    let package = "backhaul:policy";
    let version = "0.1.0";
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
    let world = format!(
        "package backhaul:guest;\nworld guest {{ export {package}/meta@{version}; \
         export {package}/retry@{version}; export {package}/recovery@{version}; }}"
    );
    let guest = resolve.push_str("guest.wit", &world).unwrap();
    let world = resolve.select_world(&[guest], None).unwrap();
    let mut module = wat::parse_str(module(name, package, version)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// Lists and texts are pairs of address and length, in the order of the record `descriptor`; hooks are `retry` and `recovery`.
fn module(name: &str, package: &str, version: &str) -> String {
    let pair = |address: usize, length: usize| {
        let bytes = [address as u32, length as u32].map(u32::to_le_bytes).concat();
        bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
    };
    let descriptor = [pair(512, name.len()), pair(768, 5), pair(768, 0), pair(784, 2), pair(784, 0), pair(768, 0)];
    format!(
        r#"(module
  (memory (export "memory") 1)
  (data (i32.const 256) "{descriptor}")
  (data (i32.const 512) "{name}")
  (data (i32.const 768) "0.0.1")
  (data (i32.const 784) "\00\02")
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (memory.grow (i32.const 4)) (i32.const -1)) (then unreachable))))
    (local.get $at))
  (func (export "{package}/meta@{version}#describe") (result i32) (i32.const 256))
  (func (export "{package}/meta@{version}#validate-settings") (param i32 i32) (result i32) (i32.const 1024))
  (func (export "{package}/retry@{version}#on-failure") (param i32) (result i32) unreachable)
  (func (export "{package}/recovery@{version}#on-error") (param i32) (result i32) unreachable))"#,
        descriptor = descriptor.concat(),
    )
}
