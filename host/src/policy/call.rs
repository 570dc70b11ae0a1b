//! One call: a fresh instance, its fuel, its deadline, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use super::bindings::{meta, network_cost, recovery, retry};
use super::contract::{
    AdmitContext, AdmitVerdict, Descriptor, RecoveryContext, RecoveryVerdict, RetryContext, RetryVerdict, Verdict,
};
use super::convert::{ToGuest as _, ToHost as _};
use super::engine::PolicyEngine;
use super::guest_state::{Ended, GuestState, JobFacts, Settings, Sight};
use super::{Fault, FilesPage, redact};
use crate::clock::{Stopwatch, thread_time};

/// Bytes that a guest may hand over in one answer: 64 changes with two texts of 8 KiB, and the rest of the contract's limits, twice over.
/// Without it a list of a million references to the same text would be a copy of each.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A call is out of time only if it computed for a fifth of its deadline: 10 ms, two hundred times what a decision takes.
const COMPUTED_SHARE: u32 = 5;

/// What one call may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) fuel: u64,
    pub(super) deadline: Duration,
    pub(super) memory_bytes: usize,
}

/// A component that is ready for calls: everything that does not change between them.
pub(super) struct Guest {
    pub(super) pre: InstancePre<GuestState>,
    pub(super) meta: meta::GuestIndices,
    pub(super) retry: Option<retry::GuestIndices>,
    pub(super) network_cost: Option<network_cost::GuestIndices>,
    pub(super) recovery: Option<recovery::GuestIndices>,
    pub(super) settings: Arc<Settings>,
    pub(super) sight: Sight,
    pub(super) budget: Budget,
}

/// What a call used, and left behind.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) fuel: u64,
    pub(super) peak_memory: u64,
    pub(super) log: Vec<String>,
    pub(super) files_read: Vec<FilesPage>,
}

/// A fault with its text.
pub(super) type Failed = (Fault, String);

/// A call that is over.
pub(super) struct Called<A> {
    pub(super) answer: Result<A, Failed>,
    pub(super) usage: Usage,
    pub(super) facts: Box<dyn JobFacts>,
}

/// What a hook says: an answer, or why it cannot decide.
pub(super) type Said<V> = Result<Verdict<V>, String>;

/// Where a call broke off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Instantiating,
    Calling,
}

impl Guest {
    /// Asks `on-failure`. Only for a policy that has the hook.
    pub(super) fn on_failure(
        &self,
        engine: &PolicyEngine,
        context: &RetryContext,
        facts: Box<dyn JobFacts>,
    ) -> Called<Said<RetryVerdict>> {
        self.run(engine, facts, |store, instance| {
            let hook = self.retry.as_ref().ok_or_else(no_such_hook)?.load(&mut *store, instance)?;
            Ok(hook.call_on_failure(store, &context.to_guest())?.map(|answer| answer.into_host()))
        })
    }

    /// Asks `admit`. Only for a policy that has the hook.
    pub(super) fn admit(
        &self,
        engine: &PolicyEngine,
        context: &AdmitContext,
        facts: Box<dyn JobFacts>,
    ) -> Called<Said<AdmitVerdict>> {
        self.run(engine, facts, |store, instance| {
            let hook = self.network_cost.as_ref().ok_or_else(no_such_hook)?.load(&mut *store, instance)?;
            Ok(hook.call_admit(store, &context.to_guest())?.map(|answer| answer.into_host()))
        })
    }

    /// Asks `on-error`. Only for a policy that has the hook.
    pub(super) fn on_error(
        &self,
        engine: &PolicyEngine,
        context: &RecoveryContext,
        facts: Box<dyn JobFacts>,
    ) -> Called<Said<RecoveryVerdict>> {
        self.run(engine, facts, |store, instance| {
            let hook = self.recovery.as_ref().ok_or_else(no_such_hook)?.load(&mut *store, instance)?;
            Ok(hook.call_on_error(store, &context.to_guest())?.map(|answer| answer.into_host()))
        })
    }

    /// Asks `describe`.
    pub(super) fn describe(&self, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Descriptor> {
        self.run(engine, facts, |store, instance| {
            let meta = self.meta.load(&mut *store, instance)?;
            Ok(meta.call_describe(store)?.into_host())
        })
    }

    /// Asks `validate-settings`.
    pub(super) fn validate_settings(
        &self,
        engine: &PolicyEngine,
        facts: Box<dyn JobFacts>,
    ) -> Called<Result<(), Vec<String>>> {
        self.run(engine, facts, |store, instance| {
            let meta = self.meta.load(&mut *store, instance)?;
            meta.call_validate_settings(store, &self.settings.text)
        })
    }

    /// Looks the types of every hook up in an instance: a shape of another version shows only there.
    pub(super) fn check_shapes(&self, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Result<(), String>> {
        self.run(engine, facts, |store, instance| {
            let mut check = || -> wasmtime::Result<()> {
                let mut store = &mut *store;
                self.meta.load(&mut store, instance)?;
                self.retry.as_ref().map(|hook| hook.load(&mut store, instance)).transpose()?;
                self.network_cost.as_ref().map(|hook| hook.load(&mut store, instance)).transpose()?;
                self.recovery.as_ref().map(|hook| hook.load(&mut store, instance)).transpose()?;
                Ok(())
            };
            Ok(check().map_err(|error| format!("{error:#}")))
        })
    }

    fn run<A>(
        &self,
        engine: &PolicyEngine,
        facts: Box<dyn JobFacts>,
        ask: impl FnOnce(&mut Store<GuestState>, &Instance) -> wasmtime::Result<A>,
    ) -> Called<A> {
        let Budget { fuel, deadline, memory_bytes } = self.budget;
        let state = GuestState::new(Arc::clone(&self.settings), facts, self.sight, memory_bytes);
        let mut store = Store::new(&engine.engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(ANSWER_BYTES_MAX);
        store.set_fuel(fuel).expect("fuel is switched on in the engine's configuration");
        engine.watch();
        let (stopwatch, computed_before) = (Stopwatch::start(), thread_time());
        // Ticks say only when to look at the clocks: a ticker that was kept waiting must not cost a call its time. Neither must a machine
        // that is busy with something else: whoever hardly computed was kept waiting, and will soon be through.
        let is_due = move || {
            stopwatch.elapsed() >= deadline
                && thread_time().saturating_sub(computed_before) >= deadline / COMPUTED_SHARE
        };
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            Ok(if is_due() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        let (stage, answer) = match self.pre.instantiate(&mut store) {
            Ok(instance) => (Stage::Calling, ask(&mut store, &instance)),
            Err(error) => (Stage::Instantiating, Err(error)),
        };
        let answer = answer.map_err(|error| classify(&error, stage, store.data(), &self.budget));
        let left = store.get_fuel().expect("fuel is switched on in the engine's configuration");
        let state = store.into_data();
        let peak_memory = state.memory as u64;
        let (facts, log, files_read) = state.into_parts();
        Called { answer, usage: Usage { fuel: fuel.saturating_sub(left), peak_memory, log, files_read }, facts }
    }
}

fn no_such_hook() -> wasmtime::Error {
    wasmtime::Error::msg("the policy does not have this hook")
}

/// What kind of fault an error is, and its text with the guest's last words.
fn classify(error: &wasmtime::Error, stage: Stage, state: &GuestState, budget: &Budget) -> Failed {
    let trap = error.downcast_ref::<Trap>().copied();
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    // The guest was at work; an answer is read when it is through.
    let within = backtrace.is_some_and(|backtrace| !backtrace.frames().is_empty());
    let (fault, what) = match (trap, state.memory_refused) {
        (Some(Trap::OutOfFuel), _) => (Fault::FuelExhausted, format!("it used up its fuel of {}", budget.fuel)),
        (Some(Trap::Interrupt), _) => {
            (Fault::TimedOut, format!("it took longer than its {} ms", budget.deadline.as_millis()))
        }
        (Some(Trap::StackOverflow), _) => (Fault::StackOverflow, "it recursed too deeply".to_owned()),
        // Where memory is refused a guest usually aborts: what it wanted says more than where it stopped.
        (_, Some(wanted)) => {
            let granted = budget.memory_bytes >> 10;
            let wanted = wanted >> 10;
            (
                Fault::MemoryLimit,
                format!("it wanted {wanted} KiB of memory and is granted {granted} (--grant memory=SIZE)"),
            )
        }
        (Some(trap), None) if is_of_the_answer(trap) && !within => {
            (Fault::InvalidAnswer, format!("its answer cannot be read: {trap}"))
        }
        (Some(trap), None) => (Fault::Trap, trap.to_string().replacen("wasm trap: ", "", 1)),
        (None, None) => match (error.downcast_ref::<Ended>(), stage) {
            (Some(Ended(why)), _) => (Fault::Trap, why.clone()),
            (None, Stage::Instantiating) => (Fault::InstantiationFailed, format!("{:#}", error.root_cause())),
            (None, Stage::Calling) if within => {
                (Fault::Trap, format!("it called a function of the host wrongly: {}", error.root_cause()))
            }
            (None, Stage::Calling) => {
                (Fault::InvalidAnswer, format!("its answer cannot be read: {}", error.root_cause()))
            }
        },
    };
    let mut detail = what;
    if let Some(function) = backtrace.and_then(innermost) {
        detail.push_str(&format!(", in {function}"));
    }
    if let Some(line) = state.last_line() {
        detail.push_str(&format!("; its last log line: {line}"));
    }
    (fault, redact::line(&detail))
}

/// Traps that the host raises while it reads what a guest returned.
const fn is_of_the_answer(trap: Trap) -> bool {
    matches!(
        trap,
        Trap::InvalidChar
            | Trap::InvalidDiscriminant
            | Trap::ListOutOfBounds
            | Trap::StringOutOfBounds
            | Trap::UnalignedPointer
    )
}

/// The name of the function in which it stopped, where the component has names.
fn innermost(backtrace: &WasmBacktrace) -> Option<String> {
    backtrace.frames().iter().find_map(|frame| frame.func_name().map(|name| super::fit::clipped(name, 120).to_owned()))
}
