//! The policies of this host: loaded ones by name, those that an operator assigned, and the thread that asks them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use futures_util::future::Either;
use jiff::tz::TimeZone;

use super::Fault;
use super::compile::Compiler;
use super::component::{self, Policy, PolicySource, Spec};
use super::config::PolicyConfig;
use super::contract::{Descriptor, Hook};
use super::decide::Decider;
use super::engine::PolicyEngine;
use super::error::PolicyError;
use super::grants::{Capability, Grants};
use super::guest_state::{JobFacts, Sight};
use super::quarantine::Quarantine;
use super::tally::Answered;
use super::thread::PolicyThread;
use crate::clock::UnixMillis;
use crate::job::{PolicyName, Sha256};
use crate::scheduler::Ask;

/// The policies of this host. Dropping it ends the policy thread, after what was asked is answered.
#[derive(Debug)]
pub struct Policies {
    shared: Arc<Shared>,
    thread: PolicyThread,
}

/// What handle and thread share.
pub(super) struct Shared {
    pub(super) config: PolicyConfig,
    /// Made when the first policy is loaded: most runs of the command line load none.
    engine: OnceLock<Arc<PolicyEngine>>,
    /// Loads are done one by one: they share the compiler, and the slots of the pool are few.
    compiler: Mutex<Compiler>,
    entries: RwLock<BTreeMap<PolicyName, Entry>>,
    assigned: RwLock<Vec<PolicyName>>,
    quarantine: Mutex<Quarantine>,
    time_zone: OnceLock<TimeZone>,
}

/// What stands under a name.
#[derive(Clone)]
pub(super) enum Entry {
    /// A policy that can be asked.
    Ready(Arc<Policy>),
    /// One that cannot: it was refused, or was never loaded.
    Refused { fault: Fault, detail: String },
}

/// A policy in the chain of a job.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) name: PolicyName,
    /// By an operator; else it is the job's own.
    pub(super) assigned: bool,
    pub(super) entry: Entry,
    engine: Option<Arc<PolicyEngine>>,
}

impl Member {
    /// Whether it sees the queries of URLs.
    pub(super) fn sees_whole(&self) -> bool {
        matches!(&self.entry, Entry::Ready(policy) if policy.guest.sight == Sight::Whole)
    }

    /// The engine that it was loaded with.
    pub(super) fn engine(&self) -> &PolicyEngine {
        self.engine.as_ref().expect("a policy that is ready was loaded, and loading makes the engine")
    }
}

/// A policy that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The name under which jobs and operators refer to it.
    pub name: PolicyName,
    /// Of the component.
    pub digest: Sha256,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// The hooks for which it is asked.
    pub hooks: Vec<Hook>,
    /// Capabilities that it asks for and was not granted: answers that need them are refused.
    pub not_granted: Vec<Capability>,
}

/// A policy that can be asked, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStatus {
    /// The policy.
    pub loaded: Loaded,
    /// Whether it is asked for every job, before the job's own.
    pub assigned: bool,
    /// Until when it is set aside for all jobs, if it is.
    pub quarantined_until: Option<UnixMillis>,
}

/// Shows the policies of a host, whoever owns them.
#[derive(Debug, Clone)]
pub struct PolicyDirectory(Arc<Shared>);

impl PolicyDirectory {
    /// The policies that can be asked, by name.
    #[must_use]
    pub fn list(&self, now: UnixMillis) -> Vec<PolicyStatus> {
        let assigned = self.0.assigned.read().unwrap_or_else(PoisonError::into_inner).clone();
        let quarantined = self.0.quarantine().quarantined(now);
        let status = |loaded: Loaded| PolicyStatus {
            assigned: assigned.contains(&loaded.name),
            quarantined_until: quarantined.iter().find(|(digest, _)| *digest == loaded.digest).map(|(_, until)| *until),
            loaded,
        };
        self.0.loaded().into_iter().map(status).collect()
    }
}

impl Policies {
    /// Starts the policy thread. Cheap: the engine is made when the first policy is loaded.
    pub fn start(config: PolicyConfig) -> Result<Self, PolicyError> {
        let shared = Arc::new(Shared {
            config,
            engine: OnceLock::new(),
            compiler: Mutex::default(),
            entries: RwLock::default(),
            assigned: RwLock::default(),
            quarantine: Mutex::default(),
            time_zone: OnceLock::new(),
        });
        let thread = PolicyThread::start(Arc::clone(&shared))?;
        Ok(Self { shared, thread })
    }

    /// Loads a policy under the name of its source. Blocks for as long as the compiler takes: never on an async worker.
    ///
    /// A component that is refused is remembered under its name: jobs that refer to it are decided without it, and their decision rows
    /// say why. The same component with the same settings and grants can be loaded again; a policy that was refused can be replaced.
    pub fn load(&self, source: &PolicySource, settings: String, grants: Grants) -> Result<Loaded, PolicyError> {
        let name = source.name()?;
        grants.check().map_err(|what| PolicyError::Grant { policy: name.clone(), what })?;
        let bytes = source.read()?;
        let digest = component::digest_of(&bytes);
        let mut compiler = self.shared.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry::Ready(held)) = self.shared.entry(&name) {
            let is_same = held.digest == digest && held.grants == grants && held.guest.settings.text == settings;
            return if is_same { Ok(loaded(&held)) } else { Err(PolicyError::NameTaken(name)) };
        }
        let engine = self.shared.engine()?;
        let config = &self.shared.config;
        let spec = Spec {
            name: name.clone(),
            bytes,
            settings,
            grants,
            fuel: config.fuel,
            deadline: config.deadline,
            compile_time_max: config.compile_time_max,
        };
        match component::load(&engine, &mut compiler, spec) {
            Ok(policy) => {
                let policy = Arc::new(policy);
                self.shared.set(name, Entry::Ready(Arc::clone(&policy)));
                Ok(loaded(&policy))
            }
            Err((fault, detail)) => {
                self.shared.set(name.clone(), Entry::Refused { fault, detail: detail.clone() });
                Err(PolicyError::Refused { policy: name, fault, detail })
            }
        }
    }

    /// The policies that an operator assigned to every job, in the order in which they are asked: before a job's own.
    pub fn assign(&self, names: Vec<PolicyName>) {
        *self.shared.assigned.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Forgets a policy. A call that runs now ends as it would have.
    pub fn unload(&self, name: &PolicyName) {
        self.shared.entries.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The policies that can be asked, by name.
    #[must_use]
    pub fn loaded(&self) -> Vec<Loaded> {
        self.shared.loaded()
    }

    /// A view of the policies that others may keep.
    #[must_use]
    pub fn directory(&self) -> PolicyDirectory {
        PolicyDirectory(Arc::clone(&self.shared))
    }

    /// The components that are set aside for all jobs, and until when.
    #[must_use]
    pub fn quarantined(&self, now: UnixMillis) -> Vec<(Sha256, UnixMillis)> {
        self.shared.quarantine().quarantined(now)
    }

    /// Forgets what is held against a component.
    pub fn release(&self, component: Sha256) {
        self.shared.quarantine().release(component);
    }

    /// Answers a question. Where a job has no policies the native default answers at once, on the caller's thread; else the policy thread
    /// does, some tens of microseconds later. The future may be dropped: the policies are then not asked, or in vain.
    pub fn answer(
        &self,
        ask: Ask,
        facts: Box<dyn JobFacts>,
    ) -> impl Future<Output = Answered> + Send + 'static + use<> {
        let members = self.shared.members(&ask.policies);
        if members.is_empty() {
            let answered = Decider::new(Arc::clone(&self.shared)).answer(&ask, &[], facts);
            return Either::Left(std::future::ready(answered));
        }
        Either::Right(self.thread.answer(ask, members, facts))
    }

    /// As [`Self::answer`], on the caller's thread, policies included: for tools and benches without a runtime. Never on an async worker.
    #[must_use]
    pub fn answer_blocking(&self, ask: &Ask, facts: Box<dyn JobFacts>) -> Answered {
        let members = self.shared.members(&ask.policies);
        Decider::new(Arc::clone(&self.shared)).answer(ask, &members, facts)
    }
}

impl Shared {
    fn engine(&self) -> Result<Arc<PolicyEngine>, PolicyError> {
        if let Some(engine) = self.engine.get() {
            return Ok(Arc::clone(engine));
        }
        // Loads are done one by one, so nobody else makes one meanwhile.
        let engine = Arc::new(PolicyEngine::start()?);
        Ok(Arc::clone(self.engine.get_or_init(|| engine)))
    }

    fn loaded(&self) -> Vec<Loaded> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let ready =
            entries.values().filter_map(|entry| if let Entry::Ready(policy) = entry { Some(policy) } else { None });
        ready.map(|policy| loaded(policy)).collect()
    }

    fn entry(&self, name: &PolicyName) -> Option<Entry> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn set(&self, name: PolicyName, entry: Entry) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
    }

    /// The chain of a job: assigned ones, then its own, each once.
    fn members(&self, own: &[PolicyName]) -> Vec<Member> {
        let assigned = self.assigned.read().unwrap_or_else(PoisonError::into_inner);
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut members: Vec<Member> = Vec::with_capacity(assigned.len() + own.len());
        for (position, name) in assigned.iter().chain(own).enumerate() {
            if members.iter().any(|member| member.name == *name) {
                continue;
            }
            let entry = entries.get(name).cloned().unwrap_or_else(|| Entry::Refused {
                fault: Fault::InstantiationFailed,
                detail: format!("the policy {name} is not loaded"),
            });
            let engine = self.engine.get().cloned();
            members.push(Member { name: name.clone(), assigned: position < assigned.len(), entry, engine });
        }
        members
    }

    pub(super) fn quarantine(&self) -> MutexGuard<'_, Quarantine> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        self.time_zone.get_or_init(|| self.config.time_zone.clone().unwrap_or_else(TimeZone::system))
    }
}

fn loaded(policy: &Policy) -> Loaded {
    let asked_for = policy.descriptor.capabilities.iter().filter_map(|name| name.parse::<Capability>().ok());
    Loaded {
        name: policy.name.clone(),
        digest: policy.digest,
        descriptor: policy.descriptor.clone(),
        hooks: [Hook::Retry, Hook::NetworkCost, Hook::Recovery].into_iter().filter(|hook| policy.has(*hook)).collect(),
        not_granted: asked_for.filter(|capability| !policy.grants.has(*capability)).collect(),
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
