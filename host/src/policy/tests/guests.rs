//! Guests by hand: core modules as text, with their answers lowered into memory by the canonical ABI, encoded as components of the contract.
//!
//! The end-to-end tests make theirs with it as well: all that it needs of the host is the contract of the module around it.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::contract::{
    AdmitVerdict, Attributes, Change, Descriptor, Hook, Plan, Reason, RecoveryVerdict, RetryVerdict, Verdict,
};

/// The contract.
pub(crate) const WIT: &str = include_str!("../../../../wit/policy.wit");

/// Where answers lie in memory, and where the host may put what it gives: the first page is the answers', the second the host's.
const DATA_AT: usize = 1024;
const HEAP_AT: usize = 64 << 10;

/// A guest that answers the same every time, unless a body does something else first.
pub(crate) struct Guest {
    pub(crate) descriptor: Descriptor,
    pub(crate) settings: Result<(), Vec<String>>,
    pub(crate) retry: Result<Verdict<RetryVerdict>, String>,
    pub(crate) admit: Result<Verdict<AdmitVerdict>, String>,
    pub(crate) recovery: Result<Verdict<RecoveryVerdict>, String>,
    /// Instructions of the functions, before they answer. In text; `$context` is the argument.
    pub(crate) on_describe: String,
    pub(crate) on_call: String,
    /// The same of the function by which the host asks for room; `$size` is how much it wants.
    pub(crate) on_allocate: String,
    /// Other items of the module.
    pub(crate) items: String,
    /// Pages of memory at the start, 64 KiB each.
    pub(crate) pages: u32,
    /// Hooks that it exports.
    pub(crate) exports: Vec<Hook>,
}

pub(crate) fn reason(code: &str) -> Reason {
    Reason { code: code.into(), note: format!("because of {code}"), memo: None, attributes: Vec::new() }
}

/// A guest with all hooks, which always says `default`.
pub(crate) fn guest() -> Guest {
    let hooks = vec![Hook::Retry, Hook::NetworkCost, Hook::Recovery];
    Guest {
        descriptor: Descriptor {
            name: "guest".into(),
            version: "1.0.0".into(),
            summary: "of the tests".into(),
            hooks: hooks.clone(),
            capabilities: Vec::new(),
            settings_schema: String::new(),
        },
        settings: Ok(()),
        retry: Ok(Verdict { verdict: RetryVerdict::Default, reason: reason("nothing") }),
        admit: Ok(Verdict { verdict: AdmitVerdict::Default, reason: reason("nothing") }),
        recovery: Ok(Verdict { verdict: RecoveryVerdict::Default, reason: reason("nothing") }),
        on_describe: String::new(),
        on_call: String::new(),
        on_allocate: String::new(),
        items: String::new(),
        pages: 3,
        exports: hooks,
    }
}

impl Guest {
    pub(crate) fn retry(mut self, verdict: RetryVerdict) -> Self {
        self.retry = Ok(Verdict { verdict, reason: reason("of_guest") });
        self
    }

    pub(crate) fn admit(mut self, verdict: AdmitVerdict) -> Self {
        self.admit = Ok(Verdict { verdict, reason: reason("of_guest") });
        self
    }

    pub(crate) fn recovery(mut self, verdict: RecoveryVerdict) -> Self {
        self.recovery = Ok(Verdict { verdict, reason: reason("of_guest") });
        self
    }

    pub(crate) fn on_call(mut self, instructions: &str) -> Self {
        self.on_call = instructions.into();
        self
    }

    /// With these hooks and no other, as it says itself.
    pub(crate) fn only(mut self, hooks: &[Hook]) -> Self {
        self.exports = hooks.to_vec();
        self.descriptor.hooks = hooks.to_vec();
        self
    }

    /// The component, of a world of the hooks that it exports.
    pub(crate) fn component(&self) -> Vec<u8> {
        let exports: String = self.exports.iter().map(|hook| format!("export {}; ", hook.name())).collect();
        encoded(&self.module(), &format!("{WIT}\nworld guest {{ import host; export meta; {exports}}}"), "guest")
    }

    /// The core module as text.
    pub(crate) fn module(&self) -> String {
        let mut memory = Memory::default();
        let described = memory.descriptor(&self.descriptor);
        let validated = memory.validated(&self.settings);
        let retried = memory.answer(&self.retry, Memory::retry_verdict);
        let admitted = memory.answer(&self.admit, Memory::admit_verdict);
        let recovered = memory.answer(&self.recovery, Memory::recovery_verdict);
        let hooks = [
            (Hook::Retry, "retry@0.1.0#on-failure", retried),
            (Hook::NetworkCost, "network-cost@0.1.0#admit", admitted),
            (Hook::Recovery, "recovery@0.1.0#on-error", recovered),
        ];
        let mut text = String::new();
        for (hook, name, at) in hooks {
            if self.exports.contains(&hook) {
                let body = &self.on_call;
                let export = format!("(export \"backhaul:policy/{name}\") (param $context i32) (result i32)");
                writeln!(text, "(func {export} {body} (i32.const {at}))").unwrap();
            }
        }
        let data = memory.bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").unwrap();
            text
        });
        let Self { items, pages, on_describe, on_allocate, .. } = self;
        format!(
            "(module
              (import \"backhaul:policy/host@0.1.0\" \"log\" (func $log (param i32 i32 i32)))
              (import \"backhaul:policy/host@0.1.0\" \"files\" (func $files (param i32 i32 i32)))
              (memory (export \"memory\") {pages})
              (global $heap (mut i32) (i32.const {HEAP_AT}))
              (func (export \"cabi_realloc\") (param i32 i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
                {on_allocate}
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                                        (i32.sub (i32.const 0) (local.get $align))))
                (global.set $heap (i32.add (local.get $at) (local.get $size)))
                (local.get $at))
              (data (i32.const {DATA_AT}) \"{data}\")
              (func (export \"backhaul:policy/meta@0.1.0#describe\") (result i32) {on_describe} (i32.const {described}))
              (func (export \"backhaul:policy/meta@0.1.0#validate-settings\") (param i32 i32) (result i32) (i32.const {validated}))
              {text}
              {items})"
        )
    }
}

/// A component of a core module in text, for a world of a contract.
pub(crate) fn encoded(module: &str, wit: &str, world: &str) -> Vec<u8> {
    let mut core = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_source("policy.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&core).unwrap().encode().unwrap()
}

/// The data of a guest, as the canonical ABI lays it out.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
}

impl Memory {
    /// Zeroed bytes, and their address.
    fn allocate(&mut self, size: usize, align: usize) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let at = DATA_AT + self.bytes.len();
        self.bytes.resize(self.bytes.len() + size, 0);
        assert!(DATA_AT + self.bytes.len() <= HEAP_AT, "the answers fit into their page");
        at
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at - DATA_AT..][..bytes.len()].copy_from_slice(bytes);
    }

    fn byte(&mut self, at: usize, value: u8) {
        self.put(at, &[value]);
    }

    fn word(&mut self, at: usize, value: usize) {
        self.put(at, &u32::try_from(value).unwrap().to_le_bytes());
    }

    fn long(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    fn list<T>(
        &mut self,
        at: usize,
        items: &[T],
        size: usize,
        align: usize,
        mut put: impl FnMut(&mut Self, usize, &T),
    ) {
        let elements = self.allocate(size * items.len(), align);
        self.word(at, elements);
        self.word(at + 4, items.len());
        for (index, item) in items.iter().enumerate() {
            put(self, elements + index * size, item);
        }
    }

    fn text(&mut self, at: usize, text: &str) {
        self.list(at, text.as_bytes(), 1, 1, |memory, at, byte| memory.byte(at, *byte));
    }

    fn pair(&mut self, at: usize, first: &str, second: &str) {
        self.text(at, first);
        self.text(at + 8, second);
    }

    fn attributes(&mut self, at: usize, attributes: &Attributes) {
        self.list(at, attributes, 16, 4, |memory, at, (name, value)| memory.pair(at, name, value));
    }

    fn descriptor(&mut self, descriptor: &Descriptor) -> usize {
        let at = self.allocate(48, 4);
        self.text(at, &descriptor.name);
        self.text(at + 8, &descriptor.version);
        self.text(at + 16, &descriptor.summary);
        self.list(at + 24, &descriptor.hooks, 1, 1, |memory, at, hook| memory.byte(at, *hook as u8));
        self.list(at + 32, &descriptor.capabilities, 8, 4, |memory, at, name| memory.text(at, name));
        self.text(at + 40, &descriptor.settings_schema);
        at
    }

    fn validated(&mut self, settings: &Result<(), Vec<String>>) -> usize {
        let at = self.allocate(12, 4);
        if let Err(problems) = settings {
            self.byte(at, 1);
            self.list(at + 4, problems, 8, 4, |memory, at, problem| memory.text(at, problem));
        }
        at
    }

    fn answer<V>(&mut self, answer: &Result<Verdict<V>, String>, put: impl Fn(&mut Self, usize, &V)) -> usize {
        let at = self.allocate(72, 8);
        match answer {
            Ok(Verdict { verdict, reason }) => {
                put(self, at + 8, verdict);
                self.reason(at + 32, reason);
            }
            Err(text) => {
                self.byte(at, 1);
                self.text(at + 8, text);
            }
        }
        at
    }

    fn reason(&mut self, at: usize, reason: &Reason) {
        self.text(at, &reason.code);
        self.text(at + 8, &reason.note);
        if let Some(memo) = &reason.memo {
            self.byte(at + 16, 1);
            self.list(at + 20, memo, 1, 1, |memory, at, byte| memory.byte(at, *byte));
        }
        self.attributes(at + 28, &reason.attributes);
    }

    fn other(&mut self, at: usize, case: u8, name: &str, attributes: &Attributes) {
        self.byte(at, case);
        self.text(at + 8, name);
        self.attributes(at + 16, attributes);
    }

    fn retry_verdict(&mut self, at: usize, verdict: &RetryVerdict) {
        match verdict {
            RetryVerdict::Default => self.byte(at, 0),
            RetryVerdict::Retry(delay) => {
                self.byte(at, 1);
                self.long(at + 8, *delay);
            }
            RetryVerdict::GiveUp => self.byte(at, 2),
            RetryVerdict::Other(name, attributes) => self.other(at, 3, name, attributes),
        }
    }

    fn admit_verdict(&mut self, at: usize, verdict: &AdmitVerdict) {
        match verdict {
            AdmitVerdict::Default => self.byte(at, 0),
            AdmitVerdict::Allow => self.byte(at, 1),
            AdmitVerdict::AllowAtMost(rate) => {
                self.byte(at, 2);
                self.long(at + 8, *rate);
            }
            AdmitVerdict::Hold(time) => {
                self.byte(at, 3);
                if let Some(time) = time {
                    self.byte(at + 8, 1);
                    self.long(at + 16, *time);
                }
            }
            AdmitVerdict::Other(name, attributes) => self.other(at, 4, name, attributes),
        }
    }

    fn recovery_verdict(&mut self, at: usize, verdict: &RecoveryVerdict) {
        match verdict {
            RecoveryVerdict::Default => self.byte(at, 0),
            RecoveryVerdict::Leave => self.byte(at, 1),
            RecoveryVerdict::Resume(Plan { changes, after }) => {
                self.byte(at, 2);
                self.list(at + 8, changes, 24, 8, Self::change);
                self.long(at + 16, *after);
            }
            RecoveryVerdict::Complete => self.byte(at, 3),
            RecoveryVerdict::Cancel => self.byte(at, 4),
            RecoveryVerdict::Other(name, attributes) => self.other(at, 5, name, attributes),
        }
    }

    /// The changes that the tests need.
    fn change(&mut self, at: usize, change: &Change) {
        match change {
            Change::SetRemoteName(file, url) => {
                self.byte(at, 0);
                self.word(at + 8, *file as usize);
                self.text(at + 12, url);
            }
            Change::SetHeader(name, value) => {
                self.byte(at, 3);
                self.pair(at + 8, name, value);
            }
            Change::RestartFile(file) => {
                self.byte(at, 11);
                self.word(at + 8, *file as usize);
            }
            other => panic!("no test needs {other:?} from a guest by hand"),
        }
    }
}
