//! A core among simulated workers, policies, networks and crashes, with every invariant checked at each step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::Core;
use super::actors::{absurd, mix, network};
use super::harness::{ModelStore, because, job_id};
use super::table::{self, LastCommand};
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{AttemptNumber, EventKind, JobId, JobRecord, JobState, Priority};
use crate::scheduler::{
    Answer, Ask, Command, CommandError, Effect, Input, Limits, Reply, Report, RequestId, RetryAnswer, SchedulerConfig,
    Step, StopReason, Write,
};

/// A worker as the effects have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveWorker {
    pub(super) attempt: AttemptNumber,
    priority: Priority,
    pub(super) told_to_stop: Option<StopReason>,
    pub(super) files_total: u32,
}

/// How far reports and answers can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Workers and driver keep their promises: every sum can be checked.
    Full,
    /// Anything goes.
    None,
}

#[derive(Debug)]
pub(super) struct Simulation {
    config: SchedulerConfig,
    pub(super) core: Core,
    now: Now,
    pub(super) store: ModelStore,
    pub(super) workers: BTreeMap<JobId, LiveWorker>,
    /// Publications and deletions that are under way.
    pub(super) chores: BTreeMap<JobId, Effect>,
    open_asks: VecDeque<Ask>,
    /// Files that the core wants looked up.
    look_ups: VecDeque<Effect>,
    unanswered: BTreeMap<RequestId, JobId>,
    answered: BTreeSet<RequestId>,
    last_reply: Option<(RequestId, Result<Reply, CommandError>)>,
    last_command: LastCommand,
    /// Events of the journal that were looked at.
    events_seen: usize,
    next_request: u64,
    progress: BTreeMap<JobId, u64>,
    log: Vec<(Now, Input, String)>,
    trust: Trust,
    /// The present operation's random number: policies decide by it.
    pub(super) dice: u64,
    /// The seed that the present core was given.
    seed: u64,
    pub(super) calm: Calm,
}

/// Whether things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calm {
    /// They do.
    No,
    /// Policies let everything through, and nothing fails.
    Yes,
}

/// What can happen. `job` chooses one of those that it can happen to; `dice` decides whatever else is open.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create { files: u8 },
    Command { job: u8, what: u8 },
    Work { job: u8, what: u8 },
    Absurd { job: u8, attempt: u8, what: u8 },
    Chore { job: u8 },
    Space { job: u8, bytes: u64 },
    Network { what: u8 },
    Pass { millis: u64 },
    SetClock { by: i64 },
    Answer,
    Restart,
    LoseCommit { job: u8, what: u8 },
    Drain,
}

impl Simulation {
    pub(super) fn new(trust: Trust, slots: u32) -> Self {
        let config = SchedulerConfig {
            foreground_slots: slots,
            background_slots: slots,
            connections_per_origin: 3,
            admit_batch: 4,
            timers_batch: 4,
            recovery_burst: 3,
            recoveries_per_job: 20,
            final_jobs_kept: 3,
            origins_max: 3,
            inactivity_timeout_ms: 6_000_000,
            inactivity_grace_ms: 1_000_000,
            limits: Limits { jobs_per_owner: 4, jobs: 9, files_per_job: 5, ranges_per_file: 2 },
            ..SchedulerConfig::default()
        };
        let mut simulation = Self {
            core: Core::new(config.clone(), 1),
            config,
            now: Now { wall: UnixMillis(1_000_000_000), boot: BootMillis(1_000_000) },
            store: ModelStore::default(),
            workers: BTreeMap::new(),
            chores: BTreeMap::new(),
            open_asks: VecDeque::new(),
            look_ups: VecDeque::new(),
            unanswered: BTreeMap::new(),
            answered: BTreeSet::new(),
            last_reply: None,
            last_command: LastCommand::default(),
            events_seen: 0,
            next_request: 0,
            progress: BTreeMap::new(),
            log: Vec::new(),
            trust,
            dice: 0,
            seed: 1,
            calm: Calm::No,
        };
        simulation.feed(Input::LoadingDone);
        simulation
    }

    pub(super) fn run(&mut self, operations: &[(Operation, u64)]) {
        for (operation, dice) in operations {
            self.dice = *dice;
            self.operate(operation);
            self.check();
        }
    }

    fn operate(&mut self, operation: &Operation) {
        let roll = mix(self.dice);
        match *operation {
            Operation::Create { files } => {
                let job = job_id(self.store.jobs.len() as u128);
                self.create(job, files.into());
                if !roll.is_multiple_of(4) {
                    self.request(job, Command::Resume(job));
                }
            }
            Operation::Command { job, what } => {
                let Some(job) = pick(self.store.jobs.keys(), job) else { return };
                let command = self.command(job, what);
                self.request(job, command);
            }
            Operation::Work { job, what } => {
                let Some(job) = pick(self.workers.keys(), job) else { return };
                self.work(job, what);
            }
            Operation::Absurd { job, attempt, what } => {
                let Some(job) = pick(self.store.jobs.keys(), job) else { return };
                // Most are of the present attempt, or nobody would listen.
                let present = self.store.jobs.get(&job).map_or(0, |job| job.attempt.0);
                let attempt = AttemptNumber(if attempt < 200 { present } else { attempt.into() });
                let report = absurd(what, roll);
                let ends = matches!(report, Report::Stopped | Report::Failed(_) | Report::Finished);
                if ends && self.workers.get(&job).is_some_and(|worker| worker.attempt == attempt) {
                    self.workers.remove(&job);
                }
                self.feed(Input::Report { job, attempt, report });
            }
            Operation::Chore { job } => {
                let Some(job) = pick(self.chores.keys(), job) else { return };
                self.chore(job);
            }
            Operation::Space { job, bytes } => {
                let Some(job) = pick(self.store.jobs.keys(), job) else { return };
                self.feed(Input::Space { job, bytes_available: bytes });
            }
            Operation::Network { what } => self.feed(Input::NetworkChanged(network(what))),
            Operation::Pass { millis } => self.pass(millis),
            Operation::SetClock { by } => self.now.wall.0 = self.now.wall.0.saturating_add_signed(by),
            Operation::Answer => self.answer_late(roll),
            Operation::Restart => self.restart(),
            Operation::LoseCommit { job, what } => {
                // The commit fails: the core is dropped with what it wanted to write, and whoever waits is told so.
                let Some(job) = pick(self.store.jobs.keys(), job) else { return };
                let command = self.command(job, what);
                let _ = self.core.handle(self.now, Input::Command { request: RequestId(u64::MAX), command });
                self.restart();
            }
            Operation::Drain => self.feed(Input::Drain),
        }
    }

    pub(super) fn request(&mut self, job: JobId, command: Command) {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.unanswered.insert(request, job);
        let (before, events) = (self.store.jobs.get(&job).cloned(), self.store.journal.len());
        let beside = self.count_beside(&command);
        self.feed(Input::Command { request, command: command.clone() });
        let reply = self.last_reply.take_if(|(to, _)| *to == request).map(|(_, result)| result);
        if reply.as_ref().is_none_or(Result::is_ok) {
            self.last_command.note(job, self.now.boot);
        }
        match (before, self.store.jobs.get(&job)) {
            (Some(before), Some(after)) => {
                let state_changed = |(of, kind): &(Option<JobId>, EventKind)| match kind {
                    EventKind::StateChanged { from, to } if *of == Some(job) => Some((*from, *to)),
                    _ => None,
                };
                let changed = self.store.journal[events..].iter().find_map(state_changed);
                table::compare(&before, &command, after, changed, reply.as_ref());
            }
            _ => table::compare_create(self.config.limits, beside, &command, reply.as_ref()),
        }
    }

    /// Jobs that are not final of the owner of a job to be created, and all.
    fn count_beside(&self, command: &Command) -> (usize, usize) {
        let Command::Create { spec, .. } = command else { return (0, 0) };
        let live = || self.store.jobs.values().filter(|job| !job.state.is_final());
        (live().filter(|job| job.owner == spec.owner).count(), live().count())
    }

    pub(super) fn report(&mut self, job: JobId, attempt: AttemptNumber, report: Report) {
        if matches!(report, Report::Stopped | Report::Failed(_) | Report::Finished) {
            self.workers.remove(&job);
        }
        self.feed(Input::Report { job, attempt, report });
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now.boot.plus(millis);
        let mut ticks = 0;
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= end) {
            let step = due.since(self.now.boot);
            ticks = if step == 0 { ticks + 1 } else { 0 };
            assert!(ticks < 1_000, "time stands still");
            self.now = Now { wall: self.now.wall.plus(step), boot: self.now.boot.plus(step) };
            self.feed(Input::Tick);
        }
        let rest = end.since(self.now.boot);
        self.now = Now { wall: self.now.wall.plus(rest), boot: end };
    }

    fn restart(&mut self) {
        self.replay();
        self.log.clear();
        self.workers.clear();
        self.chores.clear();
        self.open_asks.clear();
        self.unanswered.clear();
        self.seed = self.dice;
        self.core = Core::new(self.config.clone(), self.seed);
        let records: Vec<_> = self.store.jobs.values().filter(|job| !job.state.is_final()).cloned().collect();
        for record in records {
            self.feed(Input::Loaded(Box::new(record)));
        }
        self.feed(Input::LoadingDone);
    }

    /// Feeds an input and, if the driver can be trusted, every answer that it needs.
    pub(super) fn feed(&mut self, input: Input) {
        self.step(input);
        while let Some(replaced) = self.store.replaced.pop_front() {
            self.step(replaced);
        }
        while self.trust == Trust::Full
            && let Some(ask) = self.open_asks.pop_front()
        {
            let answer = self.decide(&ask);
            self.step(Input::Answer { job: ask.job, generation: ask.generation, answer });
        }
        if let Some(look_up) = self.look_ups.pop_front() {
            let input = self.store.look_up(look_up);
            self.feed(input);
        }
    }

    /// Answers one of the open questions; late, twice, of another generation, or to another question.
    fn answer_late(&mut self, roll: u64) {
        let Some(ask) = self.open_asks.pop_front() else { return };
        let mut answer = self.decide(&ask);
        if roll.is_multiple_of(8) {
            answer = Answer::Retry(RetryAnswer { retry_after_ms: Some(roll), because: because("confused") });
        }
        let generation = ask.generation.wrapping_add(u32::from(roll % 16 == 1));
        self.step(Input::Answer { job: ask.job, generation, answer });
        if roll.is_multiple_of(3) {
            self.open_asks.push_back(ask);
        }
    }

    fn step(&mut self, input: Input) {
        let Step { asks, writes, effects } = {
            let step = handle_alone(&mut self.core, self.now, input.clone());
            self.log.push((self.now, input, format!("{step:?}")));
            step
        };
        for write in &writes {
            self.store.write(write);
        }
        for effect in effects {
            self.effect(effect, &writes);
        }
        self.open_asks.extend(asks);
    }

    fn effect(&mut self, effect: Effect, writes: &[Write]) {
        match effect {
            Effect::Reply { request, result } => {
                assert!(self.unanswered.remove(&request).is_some(), "nobody asked, or was answered before");
                assert!(self.answered.insert(request));
                self.last_reply = Some((request, result));
            }
            Effect::StartWorker(assignment) => {
                let record = &self.store.jobs[&assignment.job];
                let granted = writes.iter().any(|write| {
                    matches!(write, Write::UpdateJob(job) if job.id == assignment.job
                        && job.state == JobState::Connecting && job.attempt == assignment.attempt)
                });
                assert!(granted, "a worker starts before its slot is stored");
                assert!((1..=record.properties.parallel_files.max(1)).contains(&assignment.parallel_files));
                let worker = LiveWorker {
                    attempt: assignment.attempt,
                    priority: record.properties.priority,
                    told_to_stop: None,
                    files_total: record.files_total,
                };
                assert!(self.workers.insert(assignment.job, worker).is_none(), "two workers of one job");
            }
            Effect::StopWorker { job, attempt, reason } => {
                let worker = self.workers.get_mut(&job).filter(|worker| worker.attempt == attempt);
                let worker = worker.expect("a worker that does not live is told to stop");
                let before = worker.told_to_stop.replace(reason);
                let news = match before {
                    None => true,
                    Some(StopReason::SlotTaken) => reason != StopReason::SlotTaken,
                    Some(_) => false,
                };
                assert!(news, "a worker is told to stop for {reason:?} after {before:?}");
            }
            Effect::GrantOrigin { job, attempt } => assert_eq!(self.workers[&job].attempt, attempt),
            Effect::LimitWorker { job, .. } => assert!(self.workers.contains_key(&job)),
            Effect::Publish { job, .. } | Effect::DeleteParts { job, .. } => {
                assert!(!self.workers.contains_key(&job), "files are touched while a worker writes to them");
                self.chores.insert(job, effect);
            }
            Effect::LookUpFile { .. } => self.look_ups.push_back(effect),
            Effect::ProbeSpace(_) | Effect::Forget(_) => {}
        }
    }

    /// Whatever holds at any time.
    fn check(&mut self) {
        // A running job whose level was changed has a slot of its new one, unless it was told to make way.
        for (id, worker) in &mut self.workers {
            if worker.told_to_stop.is_none() {
                worker.priority = self.store.jobs[id].properties.priority;
            }
        }
        assert_eq!(self.core.board.illegal, 0, "an illegal transition was tried");
        assert!(self.core.board.origins.are_within_cap(), "more connections than an origin may have");
        for (job, kind) in &self.store.journal[self.events_seen..] {
            let idle_ms = job.and_then(|job| self.last_command.idle_ms(job, self.now.boot));
            table::check_event(kind, *job, idle_ms, self.config.inactivity_grace_ms);
        }
        self.events_seen = self.store.journal.len();
        let live = self.store.jobs.values().filter(|job| !job.state.is_final()).count();
        let counted: u32 = self.core.board.owners.values().map(|owned| owned.jobs).sum();
        assert_eq!(usize::try_from(counted).unwrap(), live, "jobs are counted wrongly");
        assert_eq!(counted, self.core.board.jobs_live);
        for foreground in [true, false] {
            let of_pool = |worker: &&LiveWorker| (worker.priority == Priority::Foreground) == foreground;
            let used = self.workers.values().filter(of_pool).count();
            assert!(used <= usize::try_from(self.config.background_slots).unwrap(), "more workers than slots");
        }
        for (id, stored) in &self.store.jobs {
            let Some(job) = self.core.job(id) else { continue };
            assert_eq!(job, stored, "the store does not follow");
            assert!(job.files_transferred <= job.files_total && job.files_sized <= job.files_total);
            let before = self.progress.insert(*id, job.progress_bytes);
            assert!(before.is_none_or(|before| before <= job.progress_bytes), "progress falls");
            assert!(self.core.reported_state(id).is_some());
            if self.trust == Trust::Full {
                self.check_sums(*id);
            }
        }
        for job in self.unanswered.values() {
            let pending = self.store.jobs.get(job).is_some_and(|job| job.intent.is_some());
            assert!(pending, "a request is forgotten");
        }
    }

    fn check_sums(&self, id: JobId) {
        let job = &self.store.jobs[&id];
        let worker = self.workers.get(&id).filter(|worker| worker.attempt == job.attempt);
        if job.state.is_running() && job.intent.is_none() {
            assert!(worker.is_some(), "a running job without a worker");
        }
        if job.state.is_final() {
            assert!(worker.is_none(), "a final job with a worker");
        }
        let files: Vec<_> = self.store.files.range((id, 0)..=(id, u32::MAX)).map(|(_, file)| file).collect();
        let count = |number: usize| u32::try_from(number).unwrap();
        assert_eq!(job.files_total, count(files.len()));
        assert_eq!(job.files_transferred, count(files.iter().filter(|file| file.finished).count()));
        assert_eq!(job.bytes_transferred, files.iter().map(|file| file.durable).sum::<u64>());
        assert_eq!(job.files_sized, count(files.iter().filter(|file| file.sized.is_some()).count()));
        assert_eq!(job.bytes_sized, files.iter().filter_map(|file| file.sized).sum::<u64>());
    }

    /// Recorded inputs give equal steps in a fresh core.
    pub(super) fn replay(&self) {
        let mut core = Core::new(self.config.clone(), self.seed);
        for (now, input, step) in &self.log {
            assert_eq!(format!("{:?}", handle_alone(&mut core, *now, input.clone())), *step);
        }
    }

    /// Once faults stop, every job that has files gets to its end. One whose time is over before it begins cannot.
    pub(super) fn finish(&mut self) {
        self.calm = Calm::Yes;
        self.restart();
        self.feed(Input::NetworkChanged(network(0)));
        // Its steps are of 30 s: a job that may run for less is stopped in each of them.
        let can_end = |job: &&JobRecord| job.files_total > 0 && job.properties.maximum_download_time_ms >= 100_000;
        for round in 0..1_000 {
            let jobs = self.store.jobs.values().filter(can_end);
            let left: Vec<_> = jobs.filter(|job| !is_done(job)).map(|job| job.id).collect();
            if left.is_empty() {
                return;
            }
            for job in left {
                if round % 20 == 0 {
                    self.request(job, Command::Resume(job));
                }
                self.feed(Input::Space { job, bytes_available: u64::MAX });
                self.chore(job);
            }
            for job in self.workers.keys().copied().collect::<Vec<_>>() {
                self.work(job, 2);
            }
            self.check();
            self.pass(30_000);
        }
        let stuck = self.store.jobs.values().filter(can_end).find(|job| !is_done(job));
        panic!("a job is stuck: {stuck:?}, {:?}", stuck.map(|job| self.core.reported_state(&job.id)));
    }
}

fn is_done(job: &JobRecord) -> bool {
    job.state.is_final() || (job.state == JobState::Transferred && job.intent.is_none())
}

/// One of the jobs.
fn pick<'a>(jobs: impl ExactSizeIterator<Item = &'a JobId>, number: u8) -> Option<JobId> {
    let mut jobs = jobs;
    let number = usize::from(number).checked_rem(jobs.len())?;
    jobs.nth(number).copied()
}

/// Takes an input as a batch of its own; answers belong to the batch of what they answer.
fn handle_alone(core: &mut Core, now: Now, input: Input) -> Step {
    if !matches!(input, Input::Answer { .. }) {
        core.begin_batch();
    }
    core.handle(now, input)
}
