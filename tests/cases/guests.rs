//! The embedded components against their sources, and the command that refreshes them.

use std::path::{Path, PathBuf};

use backhaul::policy::build::{BuildError, BuildRequest, Built, Toolchain, source_digest};
use backhaul::policy::contract::RetryVerdict;
use backhaul::policy::prebuilt::{self, Entry};

use super::fetch::{DONE, Fetch};
use crate::origin::{Fault, File, On, Origin};
use crate::rig::guest::{Hook, guest};
use crate::rig::{Backhaul, Scratch, skip};

/// Set by `guest-policy/build`: the tests then write what they otherwise compare with.
const REBUILD: &str = "BACKHAUL_REBUILD_GUESTS";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn built_from_source(name: &str, toolchain: &Toolchain) -> Built {
    let request = BuildRequest::new(repository().join("guest-policy").join(name));
    let request = request.target_dir(repository().join("target/guests")).locked().quiet();
    request.build(toolchain).unwrap_or_else(|e| panic!("{e}"))
}

fn rebuild(toolchain: &Toolchain) {
    let directory = repository().join("guest-policy/prebuilt");
    let mut entries = Vec::new();
    for name in prebuilt::names() {
        let Built { component, digest, toolchain } = built_from_source(name, toolchain);
        println!("{name}: {} bytes, {digest}, {toolchain}", component.len());
        std::fs::write(directory.join(format!("{name}.wasm")), &component).unwrap();
        let source = source_digest(&repository(), name).unwrap();
        entries.push(Entry { name: name.to_owned(), component: digest, source, toolchain });
    }
    let manifest = serde_json::to_string_pretty(&entries).unwrap();
    std::fs::write(directory.join("manifest.json"), manifest + "\n").unwrap();
}

#[test]
fn no_embedded_component_is_older_than_its_sources() {
    if std::env::var_os(REBUILD).is_some() {
        return;
    }
    for prebuilt in prebuilt::all() {
        assert_eq!(
            source_digest(&repository(), prebuilt.name).unwrap(),
            prebuilt.origin.source,
            "the sources of the policy `{}` have changed since its component was built: \
             run guest-policy/build and commit guest-policy/prebuilt",
            prebuilt.name
        );
    }
}

#[test]
fn the_embedded_components_come_from_their_sources() {
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(e @ (BuildError::NoToolchain { .. } | BuildError::NoLinker { .. })) => skip!("{e}"),
        Err(e) => panic!("{e}"),
    };
    if std::env::var_os(REBUILD).is_some() {
        return rebuild(&toolchain);
    }
    println!("guests are built with {toolchain}");
    for prebuilt in prebuilt::all() {
        let built = built_from_source(prebuilt.name, &toolchain);
        // Another compiler makes other bytes; that they decide alike is for the corpus to show.
        if built.toolchain == prebuilt.origin.toolchain {
            assert_eq!(built.digest, prebuilt.origin.component, "{} was not built from these sources", prebuilt.name);
        }
    }
}

#[test]
fn a_module_of_any_compiler_becomes_a_policy_that_decides() {
    let scratch = Scratch::new();
    let guest = guest().only(&[Hook::Retry]).retry(RetryVerdict::Retry(300));
    let module = scratch.write("module.wasm", &wat::parse_str(guest.module()).unwrap());
    let component = scratch.file("made.wasm");
    let built = Backhaul::new().args(["policy", "build", &module, "-o", &component]).run().expect_code(DONE);
    let inspected = Backhaul::new().args(["policy", "inspect", &component]).run().expect_code(DONE);
    let digest = built.stdout[0].rsplit(' ').next().unwrap();
    assert!(inspected.output().contains(digest), "{built}{inspected}");

    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, 3000));
    origin.fault("/f", On::Nth(1), Fault::status(503));
    let finished = Fetch::new(&origin.url("/f")).with(["--policy", &component]).run_to(content);
    let decided = finished.json().into_iter().find(|line| line["kind"] == "decision_applied");
    assert_eq!(decided.unwrap()["policy"], "made", "{finished}");
}
