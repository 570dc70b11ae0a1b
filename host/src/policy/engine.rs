//! The one engine: what daemon, command line, tests and benches run guests with, so that a decision can be replayed anywhere.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::bindings;
use super::error::PolicyError;
use super::guest_state::GuestState;

/// Stands in decision rows: fuel differs between versions. A test compares it with the lock file.
pub const ENGINE_VERSION: &str = "wasmtime 48.0.8";

/// Bytes of memory that an operator may grant a guest; QuickJS needs some ten of them.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Elements of one table. A C# module in a debug build was seen with 10,000.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Core modules in one component. A Python component was measured with 38.
pub(super) const CORE_INSTANCES_MAX: u32 = 64;
/// Memories in one component: one of its own, and those of the libraries that it is composed of.
pub(super) const MEMORIES_MAX: u32 = 4;
/// Tables in one component: one for each of its core modules.
pub(super) const TABLES_MAX: u32 = CORE_INSTANCES_MAX;

/// Instances that live at once: one of the policy thread, one of a load, and two of reserve for slots that are being cleaned.
const INSTANCES: u32 = 4;
/// What a guest may use of the thread's stack. The policy thread has the 2 MiB of any thread of the standard library.
const GUEST_STACK_BYTES: usize = 256 << 10;
/// Memory that stays resident in a slot when the kernel can tell which pages were written: all that a guest has by default.
const RESIDENT_BYTES: usize = 2 << 20;
/// Without that help every call pays for clearing all of it, so it is as little as a small guest touches.
const RESIDENT_BYTES_BLIND: usize = 128 << 10;
/// How finely the wall-clock deadline of a call is watched.
const TICK: Duration = Duration::from_millis(5);
/// Ticks without a call after which the ticker sleeps: a second, so that an idle host is not woken 200 times a second.
const IDLE_TICKS: u32 = 200;

/// The engine with the functions of `backhaul:policy/host` and nothing else, and the thread that counts its epochs.
pub(super) struct PolicyEngine {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<GuestState>,
    ticker: Ticker,
}

impl PolicyEngine {
    /// Makes the engine and starts its ticker.
    pub(super) fn start() -> Result<Self, PolicyError> {
        let failed = |error: wasmtime::Error| PolicyError::Engine(format!("{error:#}"));
        let engine = wasmtime::Engine::new(&config()).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        bindings::Policy::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)
            .map_err(failed)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, linker, ticker })
    }

    /// A call begins: the epochs are to be counted.
    pub(super) fn watch(&self) {
        self.ticker.watch();
    }
}

impl std::fmt::Debug for PolicyEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyEngine").field("version", &ENGINE_VERSION).finish_non_exhaustive()
    }
}

/// What is not named here is wasmtime's default; proposals whose cargo feature is off (threads, gc, exceptions, stack switching, async
/// components) do not validate.
fn config() -> Config {
    let mut config = Config::new();
    // Equal inputs give equal answers and equal fuel.
    config.consume_fuel(true).cranelift_nan_canonicalization(true).wasm_relaxed_simd(false);
    // The deadline of a call.
    config.epoch_interruption(true).max_wasm_stack(GUEST_STACK_BYTES);
    // A wider memory could not be granted.
    config.wasm_memory64(false);
    // Traps are explained by the names of functions. Native unwind tables are for debuggers, and slow to register.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16)).wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.native_unwind_info(false);
    // The default reserves 4 GiB of addresses a slot, for guests that are never granted them.
    config.memory_reservation(MEMORY_BYTES_MAX as u64).memory_guard_size(64 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

/// One pool serves light and heavy guests: limits of a slot cost addresses (some 1.1 GiB in all), not memory.
fn pool() -> PoolingAllocationConfig {
    let resident = match PoolingAllocationConfig::is_pagemap_scan_available() {
        true => RESIDENT_BYTES,
        false => RESIDENT_BYTES_BLIND,
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * CORE_INSTANCES_MAX)
        .total_memories(INSTANCES * MEMORIES_MAX)
        .total_tables(INSTANCES * TABLES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(8)
        .max_component_instance_size(4 << 20)
        .max_memory_size(MEMORY_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Counts epochs while calls are made. Lives exactly as long as the engine that owns it.
struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Calls so far.
    calls: AtomicU64,
    /// The thread sleeps until it is notified.
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Result<Self, PolicyError> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("policy-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || of_thread.run(&engine))
            .map_err(|error| PolicyError::Engine(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn watch(&self) {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            // Whoever holds the lock has not looked at `calls` yet, or waits already.
            let _stopped = self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.changed.notify_all();
        }
    }
}

impl Shared {
    fn run(&self, engine: &wasmtime::Engine) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = self.calls.load(Ordering::SeqCst);
        let mut idle = 0;
        while !*stopped {
            if idle >= IDLE_TICKS {
                self.asleep.store(true, Ordering::SeqCst);
                if self.calls.load(Ordering::SeqCst) == seen {
                    stopped = self.changed.wait(stopped).unwrap_or_else(PoisonError::into_inner);
                }
                self.asleep.store(false, Ordering::SeqCst);
                idle = 0;
                continue;
            }
            (stopped, _) = self.changed.wait_timeout(stopped, TICK).unwrap_or_else(PoisonError::into_inner);
            engine.increment_epoch();
            let calls = self.calls.load(Ordering::SeqCst);
            idle = if calls == seen { idle + 1 } else { 0 };
            seen = calls;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panics never; and if it did, the engine is gone all the same.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_decision_rows_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let at = lock.find("name = \"wasmtime\"\nversion = \"").expect("wasmtime is locked");
        let version = lock[at..].lines().nth(1).and_then(|line| line.split('"').nth(1)).unwrap();
        assert_eq!(ENGINE_VERSION, format!("wasmtime {version}"));
    }

    #[test]
    fn the_ticker_ends_with_its_engine_awake_or_asleep() {
        let engine = PolicyEngine::start().unwrap();
        engine.watch();
        let shared = Arc::downgrade(&engine.ticker.shared);
        drop(engine);
        assert!(shared.upgrade().is_none(), "the thread holds nothing any more");
    }

    #[test]
    fn a_ticker_that_sleeps_wakes_for_a_call() {
        let engine = PolicyEngine::start().unwrap();
        while !engine.ticker.shared.asleep.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let bytes = wat::parse_str("(module (func (export \"f\") (loop $again (br $again))))").unwrap();
        let module = wasmtime::Module::new(&engine.engine, bytes).unwrap();
        let mut store = wasmtime::Store::new(&engine.engine, ());
        store.set_fuel(u64::MAX).unwrap();
        store.set_epoch_deadline(1);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let endless = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        engine.watch();
        let error = endless.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::Interrupt));
    }
}
