//! What the three hooks have in common, so that a chain runs over any of them.

use std::sync::Arc;

use serde::Serialize;

use super::call::{Called, Said};
use super::chain::Verdicts;
use super::clamp::{self, Bounds, Checked, Unusable};
use super::component::Policy;
use super::contract::{
    AdmitContext, AdmitVerdict, Call, FailureView, Hook, RecoveryContext, RecoveryVerdict, RetryContext, RetryVerdict,
    Verdict,
};
use super::engine::PolicyEngine;
use super::guest_state::{JobFacts, Sight};
use super::{RecordedInput, builtin, fit};

/// The context of a hook, with everything that can be done with it.
pub(super) trait Hooked: Clone {
    /// What the hook answers.
    type Verdict: Clone + Serialize + Verdicts + Into<AnyVerdict>;
    /// Which hook.
    const HOOK: Hook;

    /// What every hook is told.
    fn call(&self) -> &Call;
    /// As above, to be filled in.
    fn call_mut(&mut self) -> &mut Call;
    /// Tells the policies what the host would do by itself, where the hook has a place for it.
    fn set_built_in(&mut self, verdict: &Self::Verdict);
    /// Brings it within the contract.
    fn fit(&mut self, sight: Sight);
    /// What the host would do by itself.
    fn built_in(&self) -> Verdict<Self::Verdict>;
    /// Asks a policy that has the hook.
    fn ask(&self, policy: &Policy, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Said<Self::Verdict>>;
    /// Checks an answer.
    fn check(&self, answer: Verdict<Self::Verdict>, bounds: Bounds<'_>) -> Result<Checked<Self::Verdict>, Unusable>;
    /// As its row keeps it.
    fn recorded(self: Arc<Self>) -> RecordedInput;
    /// The verdict that holds a job, for the hook that has one.
    fn hold() -> Option<Self::Verdict> {
        None
    }
    /// The verdict out of a store of verdicts of all hooks.
    fn recall(verdict: &AnyVerdict) -> Option<Self::Verdict>;
    /// The failure that it is about, if it is about one.
    fn failure(&self) -> Option<&FailureView>;

    /// The origin that the question is about, as far as it is known.
    fn origin(&self) -> String {
        let failure = self.failure();
        if let Some(origin) = failure.and_then(|failure| failure.origin.as_ref()) {
            return origin.origin.clone();
        }
        let file = failure.and_then(|failure| failure.file.as_ref()).or(self.call().file.as_ref());
        let url = file.and_then(|file| crate::job::SafeUrl::parse(&file.remote_name).ok());
        url.map_or_else(String::new, |url| url.origin().as_str().to_owned())
    }
}

/// A verdict of any hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnyVerdict {
    /// Of `on-failure`.
    Retry(RetryVerdict),
    /// Of `admit`.
    Admit(AdmitVerdict),
    /// Of `on-error`.
    Recovery(RecoveryVerdict),
}

impl From<RetryVerdict> for AnyVerdict {
    fn from(verdict: RetryVerdict) -> Self {
        Self::Retry(verdict)
    }
}

impl From<AdmitVerdict> for AnyVerdict {
    fn from(verdict: AdmitVerdict) -> Self {
        Self::Admit(verdict)
    }
}

impl From<RecoveryVerdict> for AnyVerdict {
    fn from(verdict: RecoveryVerdict) -> Self {
        Self::Recovery(verdict)
    }
}

impl Hooked for RetryContext {
    type Verdict = RetryVerdict;
    const HOOK: Hook = Hook::Retry;

    fn call(&self) -> &Call {
        &self.call
    }

    fn call_mut(&mut self) -> &mut Call {
        &mut self.call
    }

    fn set_built_in(&mut self, verdict: &RetryVerdict) {
        self.built_in = verdict.clone();
    }

    fn fit(&mut self, sight: Sight) {
        fit::retry(self, sight);
    }

    fn built_in(&self) -> Verdict<RetryVerdict> {
        builtin::on_failure(self)
    }

    fn ask(&self, policy: &Policy, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Said<RetryVerdict>> {
        policy.guest.on_failure(engine, self, facts)
    }

    fn check(&self, answer: Verdict<RetryVerdict>, bounds: Bounds<'_>) -> Result<Checked<RetryVerdict>, Unusable> {
        clamp::retry(answer, bounds)
    }

    fn recorded(self: Arc<Self>) -> RecordedInput {
        RecordedInput::Retry(self)
    }

    fn recall(verdict: &AnyVerdict) -> Option<RetryVerdict> {
        if let AnyVerdict::Retry(verdict) = verdict { Some(verdict.clone()) } else { None }
    }

    fn failure(&self) -> Option<&FailureView> {
        Some(&self.failure)
    }
}

impl Hooked for AdmitContext {
    type Verdict = AdmitVerdict;
    const HOOK: Hook = Hook::NetworkCost;

    fn call(&self) -> &Call {
        &self.call
    }

    fn call_mut(&mut self) -> &mut Call {
        &mut self.call
    }

    fn set_built_in(&mut self, verdict: &AdmitVerdict) {
        self.built_in = verdict.clone();
    }

    fn fit(&mut self, sight: Sight) {
        fit::admit(self, sight);
    }

    fn built_in(&self) -> Verdict<AdmitVerdict> {
        builtin::admit(self)
    }

    fn ask(&self, policy: &Policy, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Said<AdmitVerdict>> {
        policy.guest.admit(engine, self, facts)
    }

    fn check(&self, answer: Verdict<AdmitVerdict>, _bounds: Bounds<'_>) -> Result<Checked<AdmitVerdict>, Unusable> {
        clamp::admit(answer)
    }

    fn hold() -> Option<AdmitVerdict> {
        Some(AdmitVerdict::Hold(None))
    }

    fn recorded(self: Arc<Self>) -> RecordedInput {
        RecordedInput::Admit(self)
    }

    fn recall(verdict: &AnyVerdict) -> Option<AdmitVerdict> {
        if let AnyVerdict::Admit(verdict) = verdict { Some(verdict.clone()) } else { None }
    }

    fn failure(&self) -> Option<&FailureView> {
        None
    }
}

impl Hooked for RecoveryContext {
    type Verdict = RecoveryVerdict;
    const HOOK: Hook = Hook::Recovery;

    fn call(&self) -> &Call {
        &self.call
    }

    fn call_mut(&mut self) -> &mut Call {
        &mut self.call
    }

    fn set_built_in(&mut self, _verdict: &RecoveryVerdict) {
        // The host repairs nothing by itself: there is nothing to tell, and no place for it.
    }

    fn fit(&mut self, sight: Sight) {
        fit::recovery(self, sight);
    }

    fn built_in(&self) -> Verdict<RecoveryVerdict> {
        builtin::on_error(self)
    }

    fn ask(&self, policy: &Policy, engine: &PolicyEngine, facts: Box<dyn JobFacts>) -> Called<Said<RecoveryVerdict>> {
        policy.guest.on_error(engine, self, facts)
    }

    fn check(
        &self,
        answer: Verdict<RecoveryVerdict>,
        bounds: Bounds<'_>,
    ) -> Result<Checked<RecoveryVerdict>, Unusable> {
        clamp::recovery(answer, bounds)
    }

    fn recorded(self: Arc<Self>) -> RecordedInput {
        RecordedInput::Recovery(self)
    }

    fn recall(verdict: &AnyVerdict) -> Option<RecoveryVerdict> {
        if let AnyVerdict::Recovery(verdict) = verdict { Some(verdict.clone()) } else { None }
    }

    fn failure(&self) -> Option<&FailureView> {
        Some(&self.failure)
    }
}
