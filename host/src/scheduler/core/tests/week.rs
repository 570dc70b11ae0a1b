//! A week of a thousand jobs under a virtual clock: workers, network and clients follow a script, and every job has to be where the script
//! says in the end.

use std::collections::{BTreeMap, BinaryHeap};

use super::super::Core;
use super::harness::{because, defaults, failure, file_spec, job_id, progress, spec};
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{
    AttemptNumber, CostFlags, CostState, ErrorCode, FailureClass, Integrity, JobId, JobSpec, JobState, Priority,
    Properties,
};
use crate::network::{Interface, Network};
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Ask, Begin, Command, Effect, Input, Limits, Question, Report, RequestId,
    SchedulerConfig,
};

const JOBS: u32 = 1_000;
const FILES_EACH: u32 = 3;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Milliseconds that a good worker needs for a file, and bytes of it: 1 byte each.
const FILE_MS: u64 = 4 * MINUTE;
/// Milliseconds between two checkpoints.
const CHECKPOINT_MS: u64 = MINUTE;

/// What the script has for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its files come.
    Good,
    /// They come after so many failures.
    Flaky(u32),
    /// Its origin does not have them.
    Missing,
    /// Its origin is down all week; after a day without progress it is given up.
    Down,
    /// Its origin is down all week, and it is patient.
    Patient,
    /// It runs only while the network is free.
    Thrifty,
    /// It completes by itself.
    Automatic,
    /// Nobody resumes it.
    Forgotten,
    /// Its client suspends it on the third day.
    Suspended,
    /// Its client cancels it on the third day.
    Cancelled,
}

impl Part {
    const fn of(number: u32) -> Self {
        match number % 20 {
            0 => Self::Missing,
            1 => Self::Down,
            2 => Self::Patient,
            3 => Self::Forgotten,
            4 => Self::Suspended,
            5 => Self::Cancelled,
            6..=8 => Self::Thrifty,
            9..=11 => Self::Automatic,
            12..=14 => Self::Flaky(1 + number % 3),
            _ => Self::Good,
        }
    }

    /// Where the job is in the end.
    const fn end(self) -> JobState {
        match self {
            Self::Good | Self::Flaky(_) | Self::Thrifty => JobState::Transferred,
            Self::Automatic => JobState::Acknowledged,
            Self::Missing | Self::Down => JobState::Error,
            Self::Patient => JobState::TransientError,
            Self::Forgotten | Self::Suspended => JobState::Suspended,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// What is to be fed at a time.
#[derive(Debug)]
struct Due {
    at: BootMillis,
    /// Of two at one time, the one that was planned first.
    number: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Network(Network),
    Command(Command),
    /// The worker of an attempt does its next thing.
    Work(JobId, AttemptNumber),
    Report(JobId, AttemptNumber, Report),
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The greatest is the next, as a heap has it.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

struct Week {
    core: Core,
    now: Now,
    due: BinaryHeap<Due>,
    planned: u64,
    inputs: u64,
    /// Durable bytes of each file.
    durable: BTreeMap<(JobId, u32), u64>,
    failures: BTreeMap<JobId, u32>,
    /// Attempts that live, and whether they connected.
    live: BTreeMap<JobId, (AttemptNumber, bool)>,
}

fn part(job: JobId) -> Part {
    Part::of(u32::try_from(job.0.as_u128()).unwrap())
}

/// Holds thrifty jobs on a dear network.
fn policy(ask: &Ask) -> Answer {
    let Question::Admit(context) = &ask.question else { return defaults(ask) };
    let cost = context.call.network.interfaces.first().map_or(CostState::Unrestricted, |interface| interface.cost);
    let allowed = CostFlags(context.call.job.cost_flags).contains(CostFlags::of(cost));
    let admission = if allowed { Admission::Allow } else { Admission::Hold(None) };
    Answer::Admit(AdmitAnswer { admission, because: because("thrift") })
}

impl Week {
    fn new() -> Self {
        let limits = Limits { jobs: JOBS, ..Limits::default() };
        let config = SchedulerConfig { background_slots: 4, limits, ..SchedulerConfig::default() };
        let now = Now { wall: UnixMillis(1_800_000_000_000), boot: BootMillis(1_000_000) };
        Self {
            core: Core::new(config, 1),
            now,
            due: BinaryHeap::new(),
            planned: 0,
            inputs: 0,
            durable: BTreeMap::new(),
            failures: BTreeMap::new(),
            live: BTreeMap::new(),
        }
    }

    fn plan(&mut self, in_ms: u64, what: What) {
        self.planned += 1;
        self.due.push(Due { at: self.now.boot.plus(in_ms), number: self.planned, what });
    }

    fn script(&mut self) {
        for number in 0..JOBS {
            let (job, part) = (job_id(number.into()), Part::of(number));
            let properties = Properties {
                priority: Priority::ALL[usize::try_from(1 + number / 20 % 3).unwrap()],
                no_progress_timeout_ms: if part == Part::Down { DAY } else { 14 * DAY },
                cost_flags: if part == Part::Thrifty { CostFlags::UNRESTRICTED } else { CostFlags::ALWAYS },
                auto_complete: part == Part::Automatic,
                ..Properties::default()
            };
            let owner = format!("uid:{}", number % 7);
            let spec = Box::new(JobSpec { owner, ..spec(properties) });
            let files = (0..FILES_EACH).map(|file| file_spec(&format!("http://origin/{number}/{file}"))).collect();
            let begin = if part == Part::Forgotten { Begin::Suspended } else { Begin::Resumed };
            // They come over the first two days.
            let at = u64::from(number) * 2 * DAY / u64::from(JOBS);
            self.plan(at, What::Command(Command::Create { job, spec, files, begin, once: None }));
            let late = 3 * DAY + u64::from(number) * 1_000;
            match part {
                Part::Suspended => self.plan(late, What::Command(Command::Suspend(job))),
                Part::Cancelled => self.plan(late, What::Command(Command::Cancel(job))),
                _ => {}
            }
        }
        for day in 0..7 {
            // The nights have no network, the evenings a dear one.
            let dear = Interface { name: "wwan0".into(), cost: CostState::UsageBased, ..Interface::default() };
            let dear = Network { interfaces: vec![dear], ..Network::default() };
            let hours = [(0, Network { connected: false, ..Network::default() }), (2, Network::default()), (20, dear)];
            for (hour, network) in hours {
                self.plan(day * DAY + hour * HOUR, What::Network(network));
            }
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now.boot.plus(millis);
        loop {
            let tick = self.core.next_deadline();
            let next = tick.into_iter().chain(self.due.peek().map(|due| due.at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            let step = next.since(self.now.boot);
            self.now = Now { wall: self.now.wall.plus(step), boot: self.now.boot.plus(step) };
            if tick.is_some_and(|tick| tick <= self.now.boot) {
                self.feed(Input::Tick);
            }
            while let Some(Due { what, .. }) = self.due.pop_if_due(self.now.boot) {
                self.happen(what);
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Network(network) => self.feed(Input::NetworkChanged(network)),
            What::Command(command) => {
                self.planned += 1;
                self.feed(Input::Command { request: RequestId(self.planned), command });
            }
            What::Report(job, attempt, report) => self.report(job, attempt, report),
            What::Work(job, attempt) => self.work(job, attempt),
        }
    }

    fn report(&mut self, job: JobId, attempt: AttemptNumber, report: Report) {
        let ends = matches!(report, Report::Stopped | Report::Failed(_) | Report::Finished);
        if ends && self.live.get(&job).is_none_or(|(live, _)| *live != attempt) {
            return;
        }
        if ends {
            self.live.remove(&job);
        }
        self.feed(Input::Report { job, attempt, report });
    }

    fn feed(&mut self, input: Input) {
        self.core.begin_batch();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.inputs += 1;
            let step = self.core.handle(self.now, input);
            for ask in step.asks {
                inputs.push(Input::Answer { job: ask.job, generation: ask.generation, answer: policy(&ask) });
            }
            for effect in step.effects {
                self.effect(effect);
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::StartWorker(assignment) => {
                self.live.insert(assignment.job, (assignment.attempt, false));
                self.plan(1_000, What::Work(assignment.job, assignment.attempt));
            }
            Effect::StopWorker { job, attempt, .. } => self.plan(1_000, What::Report(job, attempt, Report::Stopped)),
            Effect::Publish { job, attempt, .. } => {
                let report = Report::Published { files_published: FILES_EACH, error: None, lost: vec![] };
                self.plan(1, What::Report(job, attempt, report));
            }
            Effect::DeleteParts { job, attempt } => {
                self.plan(1, What::Report(job, attempt, Report::PartsDeleted { files_left: 0 }));
            }
            Effect::Reply { result, .. } => drop(result.expect("the script asks for nothing that is refused")),
            _ => {}
        }
    }

    /// What a worker does next: fail as the script says, connect, or a minute of work.
    fn work(&mut self, job: JobId, attempt: AttemptNumber) {
        let Some((live, connected)) = self.live.get_mut(&job).filter(|(live, _)| *live == attempt) else { return };
        let (live, was_connected) = (*live, std::mem::replace(connected, true));
        let failed = self.failures.entry(job).or_default();
        let fails = match part(job) {
            Part::Missing => Some(FailureClass::Fatal),
            Part::Down | Part::Patient => Some(FailureClass::Transient),
            Part::Flaky(times) if *failed < times => Some(FailureClass::Transient),
            _ => None,
        };
        if let Some(class) = fails {
            *failed += 1;
            return self.report(job, live, Report::Failed(Box::new(failure(ErrorCode::Http, class))));
        }
        if !was_connected {
            self.report(job, live, Report::Connected);
            return self.plan(CHECKPOINT_MS, What::Work(job, live));
        }
        let file =
            (0..FILES_EACH).find(|file| self.durable.get(&(job, *file)).is_none_or(|durable| *durable < FILE_MS));
        let Some(file) = file else { return self.report(job, live, Report::Finished) };
        let durable = self.durable.entry((job, file)).or_default();
        let before = *durable;
        *durable += CHECKPOINT_MS;
        let (progress, is_whole) = (progress(file, *durable, Some(FILE_MS)), *durable >= FILE_MS);
        let bytes_total_before = (before > 0).then_some(FILE_MS);
        let (new_bytes, durable_before) = (CHECKPOINT_MS, before);
        let report = match is_whole {
            true => Report::FileFinished {
                progress,
                new_bytes,
                durable_before,
                integrity: Integrity::LengthOnly,
                sized_before: before > 0,
            },
            false => Report::Checkpoint { progress, new_bytes, durable_before, bytes_total_before },
        };
        self.report(job, live, report);
        self.plan(CHECKPOINT_MS, What::Work(job, live));
    }
}

/// Takes the first one, if its time has come.
trait PopDue {
    fn pop_if_due(&mut self, now: BootMillis) -> Option<Due>;
}

impl PopDue for BinaryHeap<Due> {
    fn pop_if_due(&mut self, now: BootMillis) -> Option<Due> {
        if self.peek().is_some_and(|due| due.at <= now) { self.pop() } else { None }
    }
}

#[test]
fn a_week_of_a_thousand_jobs_ends_as_the_script_says() {
    let begin = Now::read().boot;
    let mut week = Week::new();
    week.feed(Input::LoadingDone);
    week.script();
    week.run(7 * DAY);
    // What tries again and again does so no more.
    week.feed(Input::NetworkChanged(Network { connected: false, ..Network::default() }));
    println!("{} inputs in {} ms", week.inputs, Now::read().boot.since(begin));
    for number in 0..JOBS {
        let (job, part) = (job_id(number.into()), Part::of(number));
        let (state, _) = week.core.reported_state(&job).unwrap();
        assert_eq!(state, part.end(), "job {number}, {part:?}");
        let whole = (0..FILES_EACH).all(|file| week.durable.get(&(job, file)) == Some(&FILE_MS));
        let moved = matches!(state, JobState::Transferred | JobState::Acknowledged);
        assert!(whole || !moved, "job {number} has no files");
    }
}
