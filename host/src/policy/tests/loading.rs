//! Loads that are refused, each for its own reason.

use std::time::Duration;

use super::guests::{WIT, encoded};
use super::hostile;
use super::*;

fn refused_of(policies: &Policies, component: Vec<u8>, settings: &str) -> (Fault, String) {
    let name = fresh_name();
    match policies.load(&bytes(&name, component), settings.into(), Grants::default()) {
        Err(PolicyError::Refused { policy, fault, detail }) => {
            assert_eq!(policy.0, name);
            (fault, detail)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(component: Vec<u8>) -> (Fault, String) {
    refused_of(&POLICIES, component, "")
}

fn assert_refused(component: Vec<u8>, fault: Fault, what: &str) {
    let (found, detail) = refused(component);
    assert!(found == fault && detail.contains(what), "{found:?}: {detail}");
}

#[test]
fn what_is_no_component_is_refused_with_what_to_do() {
    let whole = guest().component();
    let core = wat::parse_str(guest().module()).unwrap();
    for bytes in [Vec::new(), b"garbage".to_vec(), core, b"(component)".to_vec()] {
        assert_refused(bytes, Fault::NotAComponent, "backhaul policy build");
    }
    for length in [whole.len() / 3, whole.len() - 1] {
        assert_refused(whole[..length].to_vec(), Fault::NotAComponent, "");
    }
}

#[test]
fn what_cannot_be_a_policy_is_refused_for_a_reason_of_its_own() {
    for (what, component, fault) in hostile::that_are_refused() {
        let (found, detail) = refused(component);
        assert_eq!(found, fault, "{what}: {detail}");
    }
}

#[test]
fn damaged_components_never_break_the_host() {
    let whole = guest().component();
    for position in (8..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x55;
        // Some bytes do not matter, such as those of names; what is refused is refused for a reason.
        let _loaded_or_refused = POLICIES.load(&bytes(&fresh_name(), damaged), String::new(), Grants::default());
    }
    loaded(&POLICIES, &guest());
}

#[test]
fn an_import_of_wasi_is_refused_by_name() {
    assert_refused(
        hostile::importing_a_clock(),
        Fault::ForbiddenImport,
        "it imports wasi:clocks/monotonic-clock@0.2.0; a policy imports backhaul:policy/host and nothing else; a policy has no clock",
    );
}

#[test]
fn another_version_of_the_contract_is_told_with_both_versions() {
    assert_refused(
        hostile::of_another_version(),
        Fault::WrongShape,
        "targets backhaul:policy@0.2.0, this host speaks 0.1;",
    );
}

#[test]
fn a_shape_of_another_time_is_refused_before_the_first_call() {
    assert_refused(hostile::of_another_shape(), Fault::WrongShape, "does not have the shapes of backhaul:policy 0.1.0");
}

#[test]
fn a_component_that_is_no_policy_is_refused() {
    assert_refused(hostile::that_is_no_policy(), Fault::WrongShape, "no policy");
}

#[test]
fn a_policy_of_a_smaller_world_is_a_policy() {
    let name = fresh_name();
    let small = Guest { exports: vec![Hook::Recovery], ..guest() };
    let small =
        Guest { descriptor: contract::Descriptor { hooks: vec![Hook::Recovery], ..small.descriptor.clone() }, ..small };
    let component = encoded(&small.module(), WIT, "recovery-policy");
    let loaded = POLICIES.load(&bytes(&name, component), String::new(), Grants::default()).unwrap();
    assert_eq!(loaded.hooks, [Hook::Recovery]);
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!(sources(&answered), [(BUILT_IN, Source::BuiltIn)]);
}

#[test]
fn hooks_that_are_not_described_are_not_asked() {
    let modest = guest().retry(RetryVerdict::GiveUp);
    let modest = Guest {
        descriptor: contract::Descriptor { hooks: vec![Hook::NetworkCost], ..modest.descriptor.clone() },
        ..modest
    };
    let name = loaded(&POLICIES, &modest);
    let answered = POLICIES.answer_blocking(&ask(of_retry(retry_context()), &[&name]), Box::new(NoFacts));
    assert_eq!((sources(&answered), retry_after(&answered)), (vec![(BUILT_IN, Source::BuiltIn)], Some(600_000)));
}

#[test]
fn descriptors_that_lie_are_refused() {
    let of = |change: &dyn Fn(&mut contract::Descriptor)| {
        let mut guest = guest();
        change(&mut guest.descriptor);
        guest.component()
    };
    let lying = Guest { exports: vec![Hook::Retry], ..guest() };
    let component = encoded(&lying.module(), WIT, "retry-policy");
    assert_refused(component, Fault::WrongShape, "names the hook network-cost, which it does not export");
    assert_refused(of(&|descriptor| descriptor.hooks.clear()), Fault::WrongShape, "names no hook");
    assert_refused(of(&|descriptor| descriptor.name = "n".repeat(65)), Fault::InvalidAnswer, "name has 65 bytes");
    assert_refused(of(&|descriptor| descriptor.version = "n".repeat(65)), Fault::InvalidAnswer, "version has 65 bytes");
    assert_refused(
        of(&|descriptor| descriptor.summary = "n".repeat(501)),
        Fault::InvalidAnswer,
        "summary has 501 bytes",
    );
    assert_refused(of(&|descriptor| descriptor.settings_schema = "{".into()), Fault::InvalidAnswer, "no JSON");
    let capabilities = vec!["root".to_owned()];
    assert_refused(
        of(&|descriptor| descriptor.capabilities.clone_from(&capabilities)),
        Fault::InvalidAnswer,
        "no capability \"root\"; there are: see-query, widen-cost",
    );
}

#[test]
fn capabilities_that_were_not_granted_are_told() {
    let mut wishful = guest();
    wishful.descriptor.capabilities = vec!["see-query".into(), "widen-cost".into()];
    let grants = Grants { capabilities: vec![Capability::SeeQuery], ..Grants::default() };
    let loaded = POLICIES.load(&bytes(&fresh_name(), wishful.component()), String::new(), grants).unwrap();
    assert_eq!(loaded.not_granted, [Capability::WidenCost]);
}

#[test]
fn a_guest_that_fails_to_describe_itself_is_refused_for_that() {
    let on_describe = |instructions: &str| Guest { on_describe: instructions.into(), ..guest() }.component();
    assert_refused(on_describe("unreachable"), Fault::Trap, "describe failed: wasm `unreachable` instruction executed");
    assert_refused(on_describe("(loop $again (br $again))"), Fault::FuelExhausted, "describe failed");
    assert_refused(on_describe("(return (i32.const 2))"), Fault::InvalidAnswer, "describe failed");
}

#[test]
fn a_start_function_is_held_to_the_same_limits() {
    let start = |body: &str| Guest { items: format!("(func $start {body}) (start $start)"), ..guest() }.component();
    assert_refused(start("(loop $again (br $again))"), Fault::FuelExhausted, "a trial instance failed");
    assert_refused(start("unreachable"), Fault::Trap, "a trial instance failed");
}

#[test]
fn what_a_component_needs_is_held_against_what_is_granted() {
    let with_pages = |pages| Guest { pages, ..guest() }.component();
    assert_refused(
        with_pages(33),
        Fault::MemoryLimit,
        "needs 2112 KiB of memory to begin with and is granted 2048; grant it more, up to 64 MiB (--grant memory=SIZE)",
    );
    let granted = Grants { memory_bytes: 64 << 20, ..Grants::default() };
    POLICIES.load(&bytes(&fresh_name(), with_pages(1024)), String::new(), granted).unwrap();
    assert_refused(with_pages(1025), Fault::TooLarge, "larger than a policy may be");
    let tables = |elements: u32| Guest { items: format!("(table {elements} funcref)"), ..guest() }.component();
    loaded(&POLICIES, &Guest { items: "(table 20000 funcref)".into(), ..guest() });
    assert_refused(tables(10_000_000), Fault::TooLarge, "larger than a policy may be");
    let many = (0..9).map(|_| "(table 1 funcref)").collect::<String>();
    assert_refused(Guest { items: many, ..guest() }.component(), Fault::TooLarge, "larger than a policy may be");
}

#[test]
fn grants_out_of_bounds_are_refused() {
    let grants = Grants { memory_bytes: (64 << 20) + 1, ..Grants::default() };
    let error = POLICIES.load(&bytes(&fresh_name(), guest().component()), String::new(), grants).unwrap_err();
    assert!(error.to_string().contains("64 KiB to 64 MiB can be granted"), "{error}");
    assert_eq!(error.fault(), None);
}

#[test]
fn a_component_of_more_than_32_mib_is_refused() {
    let mut large = guest().component();
    large.resize(32 << 20, 0);
    assert_refused(large.clone(), Fault::NotAComponent, "");
    large.push(0);
    assert_refused(large, Fault::TooLarge, "more than 32 MiB");
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused_and_kept_for_later() {
    let policies = Policies::start(PolicyConfig { compile_time_max: Duration::ZERO, ..config() }).unwrap();
    let name = fresh_name();
    let source = bytes(&name, guest().component());
    let mut reasons = Vec::new();
    let stopwatch = crate::clock::Stopwatch::start();
    // Each try finds the compiler at work, until it is through.
    let loaded = loop {
        match policies.load(&source, String::new(), Grants::default()) {
            Ok(loaded) => break loaded,
            Err(error) => {
                assert_eq!(error.fault(), Some(Fault::TooLarge));
                assert!(stopwatch.elapsed() < Duration::from_secs(60), "{error}");
                reasons.push(error.to_string());
                std::thread::yield_now();
            }
        }
    };
    assert_eq!(loaded.name.0, name);
    assert!(reasons[0].contains("longer than 0 s"), "{reasons:?}");
}

#[test]
fn settings_that_the_policy_refuses_are_told_in_its_words() {
    let picky = Guest { settings: Err(vec!["`a` must be 1".into(), "`b` is unknown\u{1b}[2J".into()]), ..guest() };
    assert_eq!(refused(picky.component()), (Fault::SettingsRefused, "`a` must be 1; `b` is unknown [2J".into()));
    let silent = Guest { settings: Err(vec![]), ..guest() };
    assert_eq!(refused(silent.component()).0, Fault::SettingsRefused);
    let (fault, detail) = refused_of(&POLICIES, guest().component(), "[1]");
    assert!(fault == Fault::SettingsRefused && detail.contains("no JSON object"), "{detail}");
    let standard =
        PolicySource::Bytes { name: fresh_name(), component: prebuilt::find("standard").unwrap().component.to_vec() };
    let error = POLICIES.load(&standard, r#"{"jitter": 2}"#.into(), Grants::default()).unwrap_err();
    assert!(error.to_string().contains("`jitter` must be a number from 0 to 1"), "{error}");
}

#[test]
fn names_are_checked_and_not_taken_twice() {
    let component = guest().component();
    for (name, problem) in
        [("", "empty"), (BUILT_IN, "built-in default"), (&"n".repeat(65), "64 bytes"), ("a\nb", "control")]
    {
        let error = POLICIES.load(&bytes(name, component.clone()), String::new(), Grants::default()).unwrap_err();
        assert!(matches!(error, PolicyError::Name { .. }) && error.to_string().contains(problem), "{error}");
    }
    let name = fresh_name();
    let load = |component: &[u8], settings: &str| {
        POLICIES.load(&bytes(&name, component.to_vec()), settings.into(), Grants::default())
    };
    assert_eq!(load(&component, "").unwrap(), load(&component, "").unwrap());
    assert_eq!(load(&component, "{}"), Err(PolicyError::NameTaken(super::name(&name))));
    let other = guest().retry(RetryVerdict::GiveUp).component();
    assert_eq!(load(&other, ""), Err(PolicyError::NameTaken(super::name(&name))));
    POLICIES.unload(&super::name(&name));
    load(&other, "").unwrap();
}

#[test]
fn a_policy_is_read_from_an_ordinary_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(format!("{}.wasm", fresh_name()));
    std::fs::write(&path, guest().component()).unwrap();
    let loaded = POLICIES.load(&PolicySource::File(path.clone()), String::new(), Grants::default()).unwrap();
    assert_eq!(loaded.name.0, path.file_stem().unwrap().to_str().unwrap());
    for (path, what) in [
        (directory.path().to_owned(), "backhaul policy build"),
        (directory.path().join("absent.wasm"), "No such file"),
        ("/dev/null".into(), "no ordinary file"),
    ] {
        let error = POLICIES.load(&PolicySource::File(path), String::new(), Grants::default()).unwrap_err();
        assert!(matches!(error, PolicyError::Read { .. }) && error.to_string().contains(what), "{error}");
    }
    let error = POLICIES.load(&PolicySource::Embedded("absent".into()), String::new(), Grants::default()).unwrap_err();
    assert!(error.to_string().contains("there are: "), "{error}");
}
