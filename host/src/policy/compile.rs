//! Compiles components: lazily, once, in a bounded time, and keeps them by their digest.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::Component;

use super::Fault;
use super::call::Failed;
use crate::job::Sha256;

/// Compiled components that are kept. One of QuickJS has 5 MB, one of Python 42.
const KEPT_MAX: usize = 16;
/// Compilations that took too long and are not through yet. A compiler cannot be stopped, so their number is bounded: two cores.
const LATE_MAX: usize = 2;
/// The parser descends into nested expressions on the stack.
const STACK_BYTES: usize = 8 << 20;

type Compiled = Result<Component, Failed>;

/// Owns what was compiled, and the threads that still compile: the next load joins those that are through. Nothing can stop a compiler, so
/// one that is at work when the host ends, ends with the process; it holds nothing but its own input and the engine.
#[derive(Default)]
pub(super) struct Compiler {
    kept: HashMap<Sha256, Component>,
    late: Vec<(Sha256, JoinHandle<Compiled>)>,
}

impl Compiler {
    /// The component of these bytes.
    pub(super) fn component(
        &mut self,
        engine: &wasmtime::Engine,
        digest: Sha256,
        bytes: Vec<u8>,
        time_max: Duration,
    ) -> Compiled {
        self.collect_late();
        if let Some(component) = self.kept.get(&digest) {
            return Ok(component.clone());
        }
        let too_slow = |detail: String| Err((Fault::TooLarge, detail));
        if self.late.iter().any(|(late, _)| *late == digest) {
            return too_slow("it is still being compiled; try again later".into());
        }
        if self.late.len() >= LATE_MAX {
            return too_slow(format!(
                "{LATE_MAX} other components that take long are still being compiled; try again later"
            ));
        }
        let (done_tx, done_rx) = mpsc::sync_channel(1);
        let of_thread = engine.clone();
        let compile = move || {
            let compiled = Component::new(&of_thread, &bytes).map_err(|error| refused(&error));
            // Nobody waits if it took too long; the result is then collected by the next load.
            let _waits = done_tx.send(());
            compiled
        };
        let thread =
            std::thread::Builder::new().name("policy-compiler".into()).stack_size(STACK_BYTES).spawn(compile).map_err(
                |error| (Fault::InstantiationFailed, format!("no thread could be started to compile it: {error}")),
            )?;
        // A compiler that panicked drops its sender: that counts as done, too.
        if done_rx.recv_timeout(time_max) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.late.push((digest, thread));
            return too_slow(format!("compiling it takes longer than {} s", time_max.as_secs()));
        }
        self.keep(digest, joined(thread))
    }

    fn collect_late(&mut self) {
        let (done, late) = std::mem::take(&mut self.late).into_iter().partition(|(_, thread)| thread.is_finished());
        self.late = late;
        let done: Vec<(Sha256, JoinHandle<Compiled>)> = done;
        for (digest, thread) in done {
            let _told_when_asked_for = self.keep(digest, joined(thread));
        }
    }

    fn keep(&mut self, digest: Sha256, compiled: Compiled) -> Compiled {
        let component = compiled?;
        if self.kept.len() >= KEPT_MAX
            && let Some(any) = self.kept.keys().next().copied()
        {
            // Policies that use it hold it themselves.
            self.kept.remove(&any);
        }
        self.kept.insert(digest, component.clone());
        Ok(component)
    }
}

fn joined(thread: JoinHandle<Compiled>) -> Compiled {
    thread.join().unwrap_or_else(|_| Err((Fault::NotAComponent, "the compiler broke down on it".into())))
}

/// The compiler's verdict: the limits of the pool are checked in the same step as the component is validated.
fn refused(error: &wasmtime::Error) -> Failed {
    let text = format!("{:#}", error);
    match text.contains("exceed") {
        true => (Fault::TooLarge, format!("it is larger than a policy may be: {text}")),
        false => (Fault::NotAComponent, format!("it is no valid component: {text}")),
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").field("kept", &self.kept.len()).field("late", &self.late.len()).finish()
    }
}
