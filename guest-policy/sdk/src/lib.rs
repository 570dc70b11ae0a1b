//! The SDK for Backhaul policies.
//!
//! A policy is a sandboxed WebAssembly component that decides, for jobs that it is assigned to, when a failed attempt is repeated
//! ([`Policy::on_failure`]), whether the present network is worth its cost ([`Policy::admit`]) and how a job in error is repaired
//! ([`Policy::on_error`]). Implement the hooks you have something to say about; the rest answer `default`, which means "as the host would".
//!
//! ```
//! use backhaul_policy::{Answer, Descriptor, Hook, Policy, Reason, retry};
//!
//! /// Waits a minute after every server error, and leaves all else to the host.
//! struct Patient;
//!
//! impl Policy for Patient {
//!     fn describe() -> Descriptor {
//!         Descriptor::new("patient", "1.0.0", "waits a minute after server errors").hook(Hook::Retry)
//!     }
//!
//!     fn on_failure(context: &retry::Context) -> Answer<retry::Answer> {
//!         match context.failure.http_status {
//!             Some(500..=599) => Ok(retry::Verdict::Retry(60_000).because(Reason::new("server_error", "the server needs rest"))),
//!             _ => Ok(retry::Answer::default()),
//!         }
//!     }
//! }
//!
//! backhaul_policy::policy!(Patient);
//!
//! let mut context = backhaul_policy::sample::retry();
//! context.failure.http_status = Some(503);
//! assert_eq!(Patient::on_failure(&context)?.verdict, retry::Verdict::Retry(60_000));
//! # Ok::<(), String>(())
//! ```
//!
//! `backhaul policy build DIR` turns the crate into a component.
//!
//! **What a hook may rely on.** A hook is a pure function of its arguments, the settings and the job's files: each call gets a fresh
//! instance, so nothing kept in a `static` survives, and there is no clock (use `call.now_at`), no randomness (use [`jitter_up_to`] with
//! `call.seed`) and no WASI. To remember something, return it as a [`Memo`] in the reason: the host keeps it per job, policy and hook, in
//! the same transaction as the decision.
//!
//! **When it goes wrong.** An `Err` means "I cannot decide": the host falls back, records the text and holds nothing against the policy.
//! A panic is logged with its place and message, and counts as a fault. An answer over a limit of the contract is refused whole, so
//! [`Reason`] cuts what is too long.

mod exported;
pub mod host;
mod memo;
mod reason;
#[cfg(not(target_arch = "wasm32"))]
pub mod sample;
pub mod settings;

#[doc(hidden)]
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from the contract")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "policy",
        pub_export_macro: true,
        default_bindings_module: "backhaul_policy::bindings",
        additional_derives: [PartialEq, Eq],
    });
}

pub use backhaul_policy_support::{clipped, jitter_up_to, json};

pub use self::bindings::backhaul::policy::types;
pub use self::bindings::exports::backhaul::policy::meta::{Descriptor, Hook};
pub use self::bindings::exports::backhaul::policy::{network_cost, recovery, retry};
#[doc(hidden)]
pub use self::exported::Exported;
pub use self::memo::Memo;
pub use self::types::Reason;

/// What a hook returns: an answer, or why it cannot give one.
pub type Answer<T> = Result<T, String>;

/// A policy: what it is called, which hooks it offers, and its answers.
///
/// There is no `self`: an instance serves a single call.
pub trait Policy {
    /// Name, version and the hooks that this policy offers. The host asks only the hooks named here.
    fn describe() -> Descriptor;

    /// Checks settings before they are put to use. The errors are shown to the operator: name the setting and what is allowed.
    ///
    /// # Errors
    /// One text per problem. As provided: everything but empty settings, so that a setting is never ignored silently.
    fn validate_settings(settings: &str) -> Result<(), Vec<String>> {
        settings::refuse_all(settings)
    }

    /// An attempt failed: when is the next one?
    ///
    /// # Errors
    /// Why this policy cannot decide.
    fn on_failure(_context: &retry::Context) -> Answer<retry::Answer> {
        Ok(retry::Answer::default())
    }

    /// The job is about to run, or runs while something changed: is the network worth its cost?
    ///
    /// # Errors
    /// Why this policy cannot decide.
    fn admit(_context: &network_cost::Context) -> Answer<network_cost::Answer> {
        Ok(network_cost::Answer::default())
    }

    /// The job is about to enter ERROR: can it be repaired?
    ///
    /// # Errors
    /// Why this policy cannot decide.
    fn on_error(_context: &recovery::Context) -> Answer<recovery::Answer> {
        Ok(recovery::Answer::default())
    }
}

/// Exports a type that implements [`Policy`] as this component's policy. Once per crate.
#[macro_export]
#[rustfmt::skip]
macro_rules! policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Policy = $crate::Exported<$policy>;
            $crate::bindings::export!(Policy with_types_in $crate::bindings);
        };
        // Natively nothing is exported; the policy is in use nonetheless.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::Descriptor = <$policy as $crate::Policy>::describe;
    };
}
