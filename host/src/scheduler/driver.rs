//! The one loop around the core: takes what is queued, asks the policies, commits, and only then lets things happen.
//!
//! Owner of the core, the workers and every other task that acts for a job. A crash at any point leaves the store as of the last
//! commit, and files with at least the bytes that it claims; the next start goes on from there.
//!
//! ```text
//! Host ── Incoming ──→ ┌────────┐ ── Batch ──→ Store (its own thread)
//! workers ── Report ─→ │ driver │ ── Ask ────→ Policies (their own thread)
//! timers ───────────→  └────────┘ ── effects ─→ workers, replies, Published, journal fan-out
//! ```

mod batch;
mod lookup;
mod published;
mod retention;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::batch::{BatchBuilder, KeptReader};
use self::lookup::LookUp;
pub(crate) use self::published::{Published, PublishedJob};
use self::retention::Retention;
pub use self::retention::RetentionConfig;
use self::tasks::{TaskWake, Tasks};
use super::{
    Command, CommandError, Core, Effect, Input, PrefixOutcome, Reply, RequestId, SchedulerConfig, Step, WaitingOn,
    Write,
};
use crate::clock::{BootMillis, Now};
use crate::host::{NetworkStatus, NumberedEvent, Turn};
use crate::job::{ErrorCode, Event, EventKind, JobId};
use crate::network::Network;
use crate::policy::{FaultReport, Policies};
use crate::store::{Batch, OnFullDisk, Replaced, Store, StoreError};
use crate::transfer::TransferContext;

/// Commands that wait for the driver. A client that finds it full waits; 1,024 is more than one batch can serve.
const COMMANDS_CAPACITY: usize = 1024;
/// Reports that wait for the driver. Workers that find it full wait with their next checkpoint, not with the wire.
const REPORTS_CAPACITY: usize = 4096;
/// Inputs of one batch, and so of one transaction (faults.md section 5).
const BATCH_INPUTS_MAX: usize = 1000;
/// Time between two looks whether a store that failed can be written again.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// The longest sleep without a look at the boot clock, which goes on while the machine sleeps and the runtime's timer does not.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Milliseconds that workers have to reach a checkpoint when the host stops: with the closing of the store, 5 s in all.
const DRAIN_MAX_MS: u64 = 4_000;

/// What the driver works with.
#[derive(Debug)]
pub(crate) struct DriverParts {
    pub(crate) config: SchedulerConfig,
    pub(crate) store: Store,
    pub(crate) policies: Policies,
    pub(crate) transfer: Arc<TransferContext>,
    /// As it is sensed, or taken to be.
    pub(crate) network: Network,
    pub(crate) network_tx: watch::Sender<NetworkStatus>,
    pub(crate) events_tx: broadcast::Sender<Arc<NumberedEvent>>,
    pub(crate) degraded_tx: watch::Sender<Option<String>>,
    pub(crate) published: Arc<Published>,
    pub(crate) retention: RetentionConfig,
}

/// What comes from outside.
#[derive(Debug)]
enum Incoming {
    Command { command: Box<Command>, caller: Caller },
    Network(Network),
    Override(Override),
    Shutdown,
}

/// Who waits for a reply.
#[derive(Debug)]
struct Caller {
    reply_tx: oneshot::Sender<Result<Reply, CommandError>>,
    /// Over when the caller is answered.
    _turn: Option<Turn>,
}

impl Caller {
    /// A caller that has left needs no reply; what it asked for is done, or not, all the same.
    fn answer(self, result: Result<Reply, CommandError>) {
        let _left = self.reply_tx.send(result);
    }
}

/// What an operator says of the network; none takes it back.
#[derive(Debug)]
struct Override {
    network: Option<Network>,
    reply_tx: oneshot::Sender<Result<(), CommandError>>,
}

/// Handle of the driver's task.
#[derive(Debug)]
pub(crate) struct Driver {
    incoming_tx: mpsc::Sender<Incoming>,
    /// None once it was joined.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    /// Loads the jobs of the store and starts the loop.
    pub(crate) async fn start(parts: DriverParts) -> Result<Self, StoreError> {
        let (incoming_tx, incoming_rx) = mpsc::channel(COMMANDS_CAPACITY);
        let mut running = Running::new(parts);
        running.load().await?;
        #[expect(clippy::disallowed_methods, reason = "the handle owns the task and `shutdown` joins it")]
        let task = tokio::spawn(running.run(incoming_rx));
        Ok(Self { incoming_tx, task: Mutex::new(Some(task)) })
    }

    /// Hands a command to the core and waits until its effect is durable. Cancel-safe: a caller that leaves loses only the reply.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        self.command_in_turn(command, None).await
    }

    /// As [`Driver::command`]; the turn ends with the command, even if its caller leaves.
    pub(crate) async fn command_in_turn(&self, command: Command, turn: Option<Turn>) -> Result<Reply, CommandError> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let caller = Caller { reply_tx, _turn: turn };
        let incoming = Incoming::Command { command: Box::new(command), caller };
        self.incoming_tx.send(incoming).await.map_err(|_| CommandError::Stopping)?;
        reply_rx.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// Says that the network is another one now.
    pub(crate) async fn set_network(&self, network: Network) {
        // A driver that has stopped has no use for it.
        let _stopped = self.incoming_tx.send(Incoming::Network(network)).await;
    }

    /// Says what the network is to be taken for, whatever is sensed. Durable when this returns.
    pub(crate) async fn set_network_override(&self, network: Option<Network>) -> Result<(), CommandError> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let incoming = Incoming::Override(Override { network, reply_tx });
        self.incoming_tx.send(incoming).await.map_err(|_| CommandError::Stopping)?;
        reply_rx.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// Stops workers at their checkpoints, commits what they report, and joins the task. Only the first call waits for that.
    pub(crate) async fn shutdown(&self) {
        let _stopped = self.incoming_tx.send(Incoming::Shutdown).await;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the driver ended abnormally");
        }
    }
}

/// Whether the loop works, cannot write, or is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Working,
    /// The store cannot be written: nothing runs until the core could be rebuilt from it.
    Degraded,
    Draining,
    /// The host stops while its core is ahead of the disk: only the ends of the tasks are waited for, and nothing more is stored. What the
    /// store has is a whole commit, and the next start goes on from there.
    Abandoned,
}

impl Mode {
    /// The core and the store agree.
    const fn is_sound(self) -> bool {
        matches!(self, Self::Working | Self::Draining)
    }

    /// The loop ends with the last task.
    const fn is_ending(self) -> bool {
        matches!(self, Self::Draining | Self::Abandoned)
    }

    /// The host is to stop.
    const fn stopping(self) -> Self {
        if self.is_sound() { Self::Draining } else { Self::Abandoned }
    }

    /// Who only tries whether there is space again leaves the ballast to the end of work.
    const fn on_full_disk(self) -> OnFullDisk {
        if self.is_sound() { OnFullDisk::UseBallast } else { OnFullDisk::Refuse }
    }

    /// A commit failed.
    const fn unsound(self) -> Self {
        if self.is_ending() { Self::Abandoned } else { Self::Degraded }
    }
}

/// What woke the loop.
enum Wake {
    Incoming(Option<Incoming>),
    Task(TaskWake),
    Timer,
}

struct Running {
    parts: DriverParts,
    core: Core,
    /// As it is sensed, or taken to be.
    network: Network,
    /// What an operator says instead, as far as it is durable.
    overridden: Option<Network>,
    /// What operators said since the last commit.
    overrides: Vec<Override>,
    /// What the last commit brought with it, for the batch after it.
    follow_up: Vec<Input>,
    /// Files that are to be looked up for the batch after that.
    look_ups: Vec<LookUp>,
    tasks: Tasks,
    callers: HashMap<RequestId, Caller>,
    next_request: u64,
    mode: Mode,
    /// For the facts that policies ask for.
    reader: KeptReader,
    /// When a drain gives up on workers that do not stop.
    drain_until: Option<BootMillis>,
}

impl Running {
    fn new(parts: DriverParts) -> Self {
        let core = Core::new(parts.config.clone(), random_seed());
        let tasks = Tasks::new(Arc::clone(&parts.transfer), REPORTS_CAPACITY);
        let network = parts.network.clone();
        Self {
            parts,
            core,
            network,
            overridden: None,
            overrides: Vec::new(),
            follow_up: Vec::new(),
            look_ups: Vec::new(),
            tasks,
            callers: HashMap::new(),
            next_request: 0,
            mode: Mode::Working,
            reader: KeptReader::default(),
            drain_until: None,
        }
    }

    /// Feeds the core what the store holds. Everything that was running is ready again; intents are taken up.
    async fn load(&mut self) -> Result<(), StoreError> {
        self.core = Core::new(self.parts.config.clone(), random_seed());
        let store = self.parts.store.clone();
        let read = move || {
            let reader = store.reader()?;
            Ok::<_, StoreError>((reader.network_override()?, reader.jobs_not_final()?))
        };
        let (overridden, jobs) = tokio::task::spawn_blocking(read)
            .await
            .expect("reading does not panic, and the runtime is not shut down while the driver runs")?;
        self.overridden = overridden;
        let mut inputs = vec![Input::NetworkChanged(self.network_in_force())];
        inputs.extend(jobs.into_iter().map(|job| Input::Loaded(Box::new(job))));
        inputs.push(Input::LoadingDone);
        self.work_off(inputs).await?;
        self.publish_network();
        Ok(())
    }

    async fn run(mut self, mut incoming_rx: mpsc::Receiver<Incoming>) {
        let parts = &self.parts;
        let retention = Retention::start(parts.retention.clone(), parts.store.clone(), Arc::clone(&parts.published));
        loop {
            let inputs = self.gather(&mut incoming_rx).await;
            match self.mode {
                // Reports are dropped: the core that they were for is gone.
                Mode::Abandoned => {}
                Mode::Degraded => self.recover().await,
                Mode::Working | Mode::Draining => {
                    if let Err(error) = self.work_off(inputs).await {
                        self.degrade(&error);
                    }
                }
            }
            if self.mode.is_ending() && self.tasks.is_empty() {
                break;
            }
        }
        retention.stop().await;
        self.tasks.join().await;
        let policies = self.parts.policies;
        // Dropping joins the policy thread, which may be in the middle of a call.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(policies)).await {
            tracing::error!(%error, "the policy thread ended abnormally");
        }
        drop(self.reader);
        if let Err(error) = self.parts.store.close().await {
            tracing::error!(%error, "failed to close the store; what was committed is safe");
        }
    }

    /// Waits for something to happen, and takes with it what else is queued.
    async fn gather(&mut self, incoming_rx: &mut mpsc::Receiver<Incoming>) -> Vec<Input> {
        let wake = self.wait(incoming_rx).await;
        let mut inputs = Vec::new();
        self.take(wake, &mut inputs);
        // By turns: neither clients nor workers can keep the others out of the batch.
        while inputs.len() < BATCH_INPUTS_MAX {
            let reported = self.tasks.try_report();
            let incoming = incoming_rx.try_recv().ok();
            if reported.is_none() && incoming.is_none() {
                break;
            }
            inputs.extend(reported.map(|(job, attempt, report)| Input::Report { job, attempt, report }));
            if let Some(incoming) = incoming {
                self.take(Wake::Incoming(Some(incoming)), &mut inputs);
            }
        }
        self.take_time(&mut inputs);
        inputs
    }

    /// What is due is due, however much else there is to do: a busy host would never come to sleep until a timer.
    fn take_time(&mut self, inputs: &mut Vec<Input>) {
        let now = Now::read().boot;
        if self.core.next_deadline().is_some_and(|due| due <= now) {
            inputs.push(Input::Tick);
        }
        if self.drain_until.is_some_and(|until| until <= now) && !self.tasks.is_empty() {
            tracing::warn!("workers did not reach a checkpoint in time; they go on from their last one");
            self.tasks.abort_all();
        }
    }

    /// Waits for the next thing to happen. Cancel-safe in every branch: nothing is lost if another one is taken.
    async fn wait(&mut self, incoming_rx: &mut mpsc::Receiver<Incoming>) -> Wake {
        let sleep = self.sleep();
        tokio::select! {
            // Tasks first: a report that waits holds up a worker.
            biased;
            task = self.tasks.next() => Wake::Task(task),
            incoming = incoming_rx.recv(), if !self.mode.is_ending() => Wake::Incoming(incoming),
            () = tokio::time::sleep(sleep) => Wake::Timer,
        }
    }

    fn sleep(&self) -> Duration {
        let deadline = match self.mode {
            Mode::Degraded => return STORE_RETRY,
            Mode::Working | Mode::Draining => self.core.next_deadline(),
            Mode::Abandoned => None,
        };
        let deadline = deadline.into_iter().chain(self.drain_until).min();
        deadline.map_or(SLEEP_MAX, |at| Duration::from_millis(at.since(Now::read().boot)).min(SLEEP_MAX))
    }

    /// Turns what woke the loop into inputs.
    fn take(&mut self, wake: Wake, inputs: &mut Vec<Input>) {
        match wake {
            Wake::Incoming(Some(Incoming::Command { command, caller })) => {
                if !self.mode.is_sound() {
                    let why = self.parts.degraded_tx.borrow().clone().unwrap_or_default();
                    return caller.answer(Err(CommandError::Store(why)));
                }
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.callers.insert(request, caller);
                inputs.push(Input::Command { request, command: *command });
            }
            Wake::Incoming(Some(Incoming::Network(network))) => {
                self.network = network;
                inputs.push(Input::NetworkChanged(self.network_in_force()));
            }
            Wake::Incoming(Some(Incoming::Override(wanted))) => {
                if !self.mode.is_sound() {
                    let why = self.parts.degraded_tx.borrow().clone().unwrap_or_default();
                    let _left = wanted.reply_tx.send(Err(CommandError::Store(why)));
                    return;
                }
                self.overrides.push(wanted);
                inputs.push(Input::NetworkChanged(self.network_in_force()));
            }
            Wake::Incoming(Some(Incoming::Shutdown) | None) => {
                self.mode = self.mode.stopping();
                self.drain_until = Some(Now::read().boot.plus(DRAIN_MAX_MS));
                self.tasks.stop_probes();
                inputs.push(Input::Drain);
            }
            Wake::Task(TaskWake::Report((job, attempt, report))) => inputs.push(Input::Report { job, attempt, report }),
            Wake::Task(TaskWake::Ended(ended)) => {
                // The task has sent everything that it had to say: its reports come first.
                while let Some((job, attempt, report)) = self.tasks.try_report() {
                    inputs.push(Input::Report { job, attempt, report });
                }
                inputs.extend(ended.into_input());
            }
            Wake::Timer => {}
        }
    }

    /// The network that jobs are admitted by.
    fn network_in_force(&self) -> Network {
        let overridden = self.overrides.last().map_or(&self.overridden, |wanted| &wanted.network);
        overridden.as_ref().unwrap_or(&self.network).clone()
    }

    fn publish_network(&self) {
        let status = NetworkStatus { network: self.network_in_force(), overridden: self.overridden.is_some() };
        self.parts.network_tx.send_if_modified(|published| {
            let changed = *published != status;
            *published = status;
            changed
        });
    }

    /// A batch, and what its commit brought with it.
    async fn work_off(&mut self, mut inputs: Vec<Input>) -> Result<(), StoreError> {
        loop {
            self.process(inputs).await?;
            inputs = std::mem::take(&mut self.follow_up);
            if inputs.is_empty() && !self.look_ups.is_empty() {
                let wanted = lookup::take_distinct(&mut self.look_ups);
                inputs = lookup::answers(&self.parts.store, &self.reader, wanted).await;
            }
            if inputs.is_empty() {
                return Ok(());
            }
        }
    }

    /// One batch: the core, the policies, one transaction, the effects.
    async fn process(&mut self, inputs: Vec<Input>) -> Result<(), StoreError> {
        let mut batch = BatchBuilder::new(self.parts.store.clone(), Arc::clone(&self.reader));
        batch.write(self.overrides.iter().map(|wanted| Write::NetworkOverride(wanted.network.clone())).collect());
        let mut effects = Vec::new();
        let mut changed = HashSet::new();
        let network_before = self.core.network_generation();
        self.core.begin_batch();
        for input in inputs {
            let now = Now::read();
            let step = self.core.handle(now, input);
            changed.extend(self.core.changed().copied());
            self.settle(now, step, &mut batch, &mut effects, &mut changed).await;
        }
        let mut events = Vec::new();
        if let Some(batch) = batch.into_batch(self.mode.on_full_disk()) {
            match self.parts.store.commit(batch).await {
                Ok(committed) => {
                    events = committed.events;
                    self.follow_up.extend(committed.replaced.into_iter().filter_map(follow_up));
                }
                // Nothing of it happened. Whoever waits is told so when the host has turned to that.
                Err(error) => return Err(error),
            }
        }
        self.override_durable();
        if self.core.network_generation() != network_before {
            self.publish_network();
        }
        let is_news = self.parts.published.set_gating(self.core.gating()) || !changed.is_empty();
        for job in changed {
            self.publish(job);
        }
        // Whoever hears of an event finds the job as it is after it.
        for (number, event) in events {
            // Without a subscriber there is nobody to tell.
            let _nobody = self.parts.events_tx.send(Arc::new(NumberedEvent::new(number, event)));
        }
        for effect in effects {
            self.effect(effect);
        }
        if is_news {
            self.parts.published.announce();
        }
        Ok(())
    }

    /// Answers the questions of a step, and those that its answers raise, before any other input is looked at.
    async fn settle(
        &mut self,
        now: Now,
        step: Step,
        batch: &mut BatchBuilder,
        effects: &mut Vec<Effect>,
        changed: &mut HashSet<JobId>,
    ) {
        // In the order in which the core made them: a later step holds the newer headers.
        let mut steps = VecDeque::from([step]);
        while let Some(step) = steps.pop_front() {
            batch.write(step.writes);
            effects.extend(step.effects);
            for ask in step.asks {
                let (job, generation) = (ask.job, ask.generation);
                let answered = self.parts.policies.answer(ask, batch.facts(job)).await;
                for FaultReport { policy, decision, fault, detail } in answered.faults {
                    let fault = fault.code().to_owned();
                    let kind = EventKind::PolicyFault { decision, policy, fault, note: detail };
                    batch.write(vec![Write::Journal(Event { at: now.wall, job: Some(job), kind })]);
                }
                batch.decided(answered.decisions, answered.memos);
                steps.push_back(self.core.handle(now, Input::Answer { job, generation, answer: answered.answer }));
                changed.extend(self.core.changed().copied());
            }
        }
    }

    fn publish(&mut self, job: JobId) {
        let (Some(record), Some(reported)) = (self.core.header(&job), self.core.reported(&job)) else {
            self.parts.published.remove(job);
            return;
        };
        // The cell of a final job is forgotten here, and stays with what was published. A job that never ran has none of its own.
        let own = match record.state.is_running() {
            true => Some(self.tasks.progress(job)),
            false => self.tasks.known_progress(job),
        };
        self.parts.published.set(record, reported, own);
    }

    /// What operators said of the network is committed.
    fn override_durable(&mut self) {
        if let Some(wanted) = self.overrides.last() {
            self.overridden.clone_from(&wanted.network);
            let answered = std::mem::take(&mut self.overrides);
            // Whoever is answered finds it so.
            self.publish_network();
            for Override { reply_tx, .. } in answered {
                // A caller that has left needs no reply.
                let _left = reply_tx.send(Ok(()));
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { request, result } => {
                if let Some(caller) = self.callers.remove(&request) {
                    caller.answer(result);
                }
            }
            Effect::Forget(job) => self.tasks.forget(job),
            Effect::LookUpFile { request, job, file, verdict } => {
                self.look_ups.push(LookUp { request, job, file, verdict });
            }
            effect => self.tasks.apply(effect),
        }
    }

    /// Memory is ahead of the disk: everything stops at its durable offset, and the core is rebuilt once the store can be written.
    fn degrade(&mut self, error: &StoreError) {
        tracing::error!(%error, "the store cannot be written; transfers stop until it can");
        self.say_degraded(error);
        self.mode = self.mode.unsound();
        self.tasks.stop_all();
        self.follow_up.clear();
        self.look_ups.clear();
        for Override { reply_tx, .. } in self.overrides.drain(..) {
            let _left = reply_tx.send(Err(CommandError::Store(error.to_string())));
        }
        for (_, caller) in self.callers.drain() {
            caller.answer(Err(CommandError::Store(error.to_string())));
        }
    }

    /// Tries to leave the degraded mode. What came meanwhile is dropped: the core that it was for is gone.
    async fn recover(&mut self) {
        if !self.tasks.is_empty() {
            return;
        }
        // An empty batch shows whether the store can be written: a core that is rebuilt before would only fail again.
        let probe = Batch { on_full_disk: self.mode.on_full_disk(), ..Batch::default() };
        let rebuilt = match self.parts.store.commit(probe).await {
            Ok(_) => self.load().await,
            Err(error) => Err(error),
        };
        match rebuilt {
            Ok(()) => {
                self.mode = Mode::Working;
                tracing::info!("the store can be written again");
                self.parts.degraded_tx.send_replace(None);
            }
            Err(error) => self.say_degraded(&error),
        }
    }

    /// Jobs that would move wait for the store, as it has them: the core is ahead of it.
    fn say_degraded(&self, error: &StoreError) {
        let detail = error.to_string();
        let code = if matches!(error, StoreError::Full { .. }) { ErrorCode::DiskFull } else { ErrorCode::Interrupted };
        let waiting_on = WaitingOn {
            code: "store",
            detail: format!("waits until the store can be written: {detail}"),
            until: None,
            policy: None,
            error: Some(code),
        };
        self.parts.published.set_all_waiting(&waiting_on);
        self.parts.degraded_tx.send_replace(Some(detail));
    }
}

/// What the core is told of a replacement that a client waits for.
fn follow_up(replaced: Replaced) -> Option<Input> {
    let Replaced { job, files, first_unusable, request, unusable: _ } = replaced;
    let outcome = first_unusable.map_or(PrefixOutcome::Replaced(files), PrefixOutcome::Refused);
    Some(Input::PrefixReplaced { request: request?, job, outcome })
}

/// The seed of all decision seeds of this run; each is stored with its decision.
fn random_seed() -> u64 {
    // The random half of a UUID, so that no other source of randomness is needed.
    uuid::Uuid::now_v7().as_u64_pair().1
}
