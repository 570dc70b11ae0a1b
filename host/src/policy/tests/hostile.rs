//! Guests that misbehave, each with the fault by which it is known. Here for the tests of the runtime and for those of the whole program.

use super::Fault;
use super::contract::{Attributes, Change, Hook, Plan, Reason, RecoveryVerdict, RetryVerdict, Verdict};
use super::guests::{Guest, WIT, encoded, guest, reason};

pub(crate) const LOOP: &str = "(loop $again (br $again))";

const RECURSION: &str = "(func $deeper (param i32) (result i32) (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))";

/// Each address depends on what was read at the one before, over all of 2 MiB.
const CHASE: &str = "(local $at i32) (loop $again
    (local.set $at (i32.and (i32.add (i32.load (local.get $at)) (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904223)))
                            (i32.const 0x1ffffc)))
    (br $again))";

/// A page for the host to read, for the fuel of a handful of instructions. It is the last one: zeros, which are text.
const TALK: &str = "(loop $again (call $log (i32.const 1) (i32.const 131072) (i32.const 65536)) (br $again))";

/// Takes memory until it is refused.
pub(crate) const GROW: &str = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";

/// Chases pointers over all the memory that a guest has.
pub(crate) fn chasing() -> Guest {
    Guest { pages: 32, ..guest() }.on_call(CHASE)
}

/// Calls itself without end.
pub(crate) fn recursing() -> Guest {
    Guest { items: RECURSION.into(), ..guest() }.on_call("(drop (call $deeper (i32.const 0)))")
}

/// Aborts for want of memory.
pub(crate) fn growing() -> Guest {
    guest().on_call(&format!("{GROW} unreachable"))
}

/// Says little that takes the host long to hear.
pub(crate) fn talking() -> Guest {
    guest().on_call(TALK)
}

/// Never ends after it has answered: in the function that takes back the room of the answer.
fn looping_after_its_answer() -> Guest {
    let name = "cabi_post_backhaul:policy/retry@0.1.0#on-failure";
    Guest { items: format!("(func (export \"{name}\") (param i32) {LOOP})"), ..guest().only(&[Hook::Retry]) }
}

/// Guests that load, have the hook `retry` and no other, and fail to decide: by a name, with their faults.
///
/// Where two are given it depends on the machine which one comes first.
pub(crate) fn that_fail_to_retry() -> Vec<(&'static str, Guest, &'static [Fault])> {
    let doing = |instructions: &str| guest().on_call(instructions);
    let saying =
        |reason: Reason| Guest { retry: Ok(Verdict { verdict: RetryVerdict::Retry(7_000), reason }), ..guest() };
    let attributes = |attributes: Attributes| saying(Reason { attributes, ..reason("x") });
    // Only where the host brings the context: what comes at loading is small.
    let allocating = |instructions: &str| Guest {
        on_allocate: format!("(if (i32.gt_u (local.get $size) (i32.const 500)) (then {instructions}))"),
        ..guest()
    };
    const INVALID: &[Fault] = &[Fault::InvalidAnswer];
    let all: [(&'static str, Guest, &'static [Fault]); 23] = [
        ("loop", doing(LOOP), &[Fault::FuelExhausted]),
        ("loop-allocating", allocating(LOOP), &[Fault::FuelExhausted]),
        ("loop-after-answer", looping_after_its_answer(), &[Fault::FuelExhausted]),
        ("chase", chasing(), &[Fault::TimedOut, Fault::FuelExhausted]),
        ("talk", talking(), &[Fault::TimedOut]),
        ("recurse", recursing(), &[Fault::StackOverflow]),
        ("grow", growing(), &[Fault::MemoryLimit]),
        ("trap", doing("unreachable"), &[Fault::Trap]),
        ("divide-by-zero", doing("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), &[Fault::Trap]),
        ("out-of-bounds", doing("(drop (i32.load (i32.const -1)))"), &[Fault::Trap]),
        (
            "garbage-to-the-host",
            doing("(i32.store (i32.const 0) (i32.const 0xff)) (call $log (i32.const 1) (i32.const 0) (i32.const 1))"),
            &[Fault::Trap],
        ),
        ("text-beyond-memory", doing("(call $log (i32.const 1) (i32.const -8) (i32.const 16))"), &[Fault::Trap]),
        ("trap-allocating", allocating("unreachable"), &[Fault::Trap]),
        ("room-beyond-memory", allocating("(return (i32.const -16))"), INVALID),
        ("unknown-case", doing("(i32.store (i32.const 0) (i32.const 7)) (return (i32.const 0))"), INVALID),
        ("answer-beyond-memory", doing("(return (i32.const -8))"), INVALID),
        ("long-note", saying(Reason { note: "n".repeat(501), ..reason("x") }), INVALID),
        ("long-code", saying(Reason { code: "c".repeat(65), ..reason("x") }), INVALID),
        ("long-memo", saying(Reason { memo: Some(vec![1; 4097]), ..reason("x") }), INVALID),
        ("many-attributes", attributes(vec![(String::new(), String::new()); 33]), INVALID),
        ("long-attribute-name", attributes(vec![("n".repeat(65), String::new())]), INVALID),
        ("long-attribute", attributes(vec![(String::new(), "v".repeat(1025))]), INVALID),
        ("unknown-verdict", guest().retry(RetryVerdict::Other("sing".into(), vec![])), INVALID),
    ];
    all.into_iter().map(|(name, guest, faults)| (name, guest.only(&[Hook::Retry]), faults)).collect()
}

/// Guests with the hook `recovery` and no other, whose answers are unusable for a job of up to three files: by a name.
pub(crate) fn that_fail_to_recover() -> Vec<(&'static str, Guest)> {
    let planning = |changes: Vec<Change>| guest().recovery(RecoveryVerdict::Resume(Plan { changes, after: 0 }));
    let pointing = |file, url: &str| planning(vec![Change::SetRemoteName(file, url.into())]);
    let all = [
        ("many-changes", planning(vec![Change::RestartFile(0); 65])),
        ("unknown-file", pointing(3, "https://mirror.example/a")),
        ("refused-url", pointing(0, "file:///etc/passwd")),
        ("long-url", pointing(0, &format!("https://mirror.example/{}", "a".repeat(8 << 10)))),
        ("unsupported-change", planning(vec![Change::SetHeader("Authorization".into(), "SECRET".into())])),
        ("good-and-bad-change", planning(vec![Change::RestartFile(0), Change::RestartFile(99)])),
        ("unknown-verdict", guest().recovery(RecoveryVerdict::Other("sing".into(), vec![]))),
    ];
    all.map(|(name, guest)| (name, guest.only(&[Hook::Recovery]))).into()
}

/// What never becomes a policy, by a name, with the fault for which it is refused.
pub(crate) fn that_are_refused() -> Vec<(&'static str, Vec<u8>, Fault)> {
    let describing = |instructions: &str| Guest { on_describe: instructions.into(), ..guest() }.component();
    let starting = |body: &str| Guest { items: format!("(func $start {body}) (start $start)"), ..guest() }.component();
    let whole = guest().component();
    let mut boasting = guest().only(&[Hook::Retry]);
    boasting.descriptor.hooks.push(Hook::Recovery);
    let mut nameless = guest();
    nameless.descriptor.name = "n".repeat(65);
    vec![
        ("empty", Vec::new(), Fault::NotAComponent),
        ("text", b"this is no component".to_vec(), Fault::NotAComponent),
        ("core-module", wat::parse_str(guest().module()).unwrap(), Fault::NotAComponent),
        ("cut-off", whole[..whole.len() / 2].to_vec(), Fault::NotAComponent),
        ("wasi", importing_a_clock(), Fault::ForbiddenImport),
        ("other-version", of_another_version(), Fault::WrongShape),
        ("other-shape", of_another_shape(), Fault::WrongShape),
        ("no-policy", that_is_no_policy(), Fault::WrongShape),
        ("boast", boasting.component(), Fault::WrongShape),
        ("no-hook", guest().only(&[]).component(), Fault::WrongShape),
        ("long-name", nameless.component(), Fault::InvalidAnswer),
        ("describe-traps", describing("unreachable"), Fault::Trap),
        ("describe-loops", describing(LOOP), Fault::FuelExhausted),
        ("describe-lies", describing("(return (i32.const 2))"), Fault::InvalidAnswer),
        ("start-loops", starting(LOOP), Fault::FuelExhausted),
        ("start-traps", starting("unreachable"), Fault::Trap),
        ("much-memory", Guest { pages: 33, ..guest() }.component(), Fault::MemoryLimit),
        ("refuses-settings", Guest { settings: Err(vec!["no".into()]), ..guest() }.component(), Fault::SettingsRefused),
    ]
}

/// A policy that looks at WASI's clock.
pub(crate) fn importing_a_clock() -> Vec<u8> {
    let import = "(import \"wasi:clocks/monotonic-clock@0.2.0\" \"now\" (func $now (result i64))) (memory";
    let module = guest().module().replacen("(memory", import, 1);
    let function = "(param $context i32) (result i32)";
    let module = module.replacen(function, &format!("{function} (drop (call $now))"), 1);
    let wit = WIT.replace("include retry-policy;", "import wasi:clocks/monotonic-clock@0.2.0; include retry-policy;");
    let wit = format!("{wit}\npackage wasi:clocks@0.2.0 {{ interface monotonic-clock {{ now: func() -> u64; }} }}");
    encoded(&module, &wit, "policy")
}

/// A policy of a contract to come.
pub(crate) fn of_another_version() -> Vec<u8> {
    let module = guest().module().replace("@0.1.0", "@0.2.0");
    encoded(&module, &WIT.replace("backhaul:policy@0.1.0", "backhaul:policy@0.2.0"), "policy")
}

/// The same version with one more field: what a contract that moved without its number would look like.
pub(crate) fn of_another_shape() -> Vec<u8> {
    let wit = WIT.replace("record host-view { running: u32,", "record host-view { walking: u32, running: u32,");
    encoded(&guest().module(), &wit, "policy")
}

/// A component of a world of its own.
pub(crate) fn that_is_no_policy() -> Vec<u8> {
    let wit = "package a:b; world w { export f: func() -> u32; }";
    encoded("(module (func (export \"f\") (result i32) (i32.const 1)))", wit, "w")
}
