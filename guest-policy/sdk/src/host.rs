//! What the host offers to a guest: settings, the job's files, and a log.
//!
//! In native unit tests there is no host: settings come from [`set_settings`], [`files`] is empty, and the log goes to standard error.

use crate::clipped;
use crate::types::FileView;

/// The host refuses longer lines.
const LOG_LINE_MAX: usize = 1024;

/// The settings as the operator wrote them: a JSON object, or empty.
#[must_use]
pub fn settings() -> String {
    real::settings()
}

/// One top-level setting as text, `None` if it is not there. See [`crate::settings`] for typed access.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    real::setting(name)
}

/// A page of at most 256 of the job's files, as they were when this call began.
#[must_use]
pub fn files(first: u32, count: u32) -> Vec<FileView> {
    real::files(first, count)
}

/// Writes to the decision's log, for the author of the policy. Kept: the first 32 lines of a call.
pub fn debug(message: &str) {
    real::log(real::Level::Debug, clipped(message, LOG_LINE_MAX));
}

/// As [`debug`], for what an operator may want to know.
pub fn info(message: &str) {
    real::log(real::Level::Info, clipped(message, LOG_LINE_MAX));
}

/// As [`debug`], for what an operator should look at.
pub fn warn(message: &str) {
    real::log(real::Level::Warn, clipped(message, LOG_LINE_MAX));
}

/// As [`debug`], for what made a decision impossible.
pub fn error(message: &str) {
    real::log(real::Level::Error, clipped(message, LOG_LINE_MAX));
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::backhaul::policy::host as real;

#[cfg(not(target_arch = "wasm32"))]
pub use self::real::set_settings;

#[cfg(not(target_arch = "wasm32"))]
mod real {
    use std::cell::RefCell;

    use backhaul_policy_support::json::Value;

    pub(super) use crate::bindings::backhaul::policy::host::Level;
    use crate::types::FileView;

    thread_local! {
        static SETTINGS: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// Sets what [`settings`](super::settings) answers in this thread. Native unit tests only.
    pub fn set_settings(settings: &str) {
        SETTINGS.with_borrow_mut(|held| settings.clone_into(held));
    }

    pub(super) fn settings() -> String {
        SETTINGS.with_borrow(String::clone)
    }

    pub(super) fn setting(name: &str) -> Option<String> {
        let settings = Value::parse(&settings()).ok()?;
        match settings.get(name)? {
            Value::String(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn files(_first: u32, _count: u32) -> Vec<FileView> {
        Vec::new()
    }

    #[expect(clippy::print_stderr, reason = "the log of a native unit test")]
    pub(super) fn log(level: Level, message: &str) {
        eprintln!("{level:?}: {message}");
    }
}
