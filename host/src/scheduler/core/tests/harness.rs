//! A core with a store of maps, virtual clocks, and policies that answer as a test says.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use uuid::Uuid;

use super::super::Core;
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{
    AttemptNumber, Direction, ErrorCode, ErrorContext, EventKind, Failure, FailureClass, FileIndex, FileSpec,
    FileSummary, FileVerdict, FileVersion, Integrity, JobError, JobId, JobRecord, JobSpec, JobState, LocalName, Phase,
    PolicyName, Properties, RequestHeaders, SafeUrl,
};
use crate::network::Network;
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Ask, Assignment, Because, Begin, Command, CommandError, Effect, FileChange,
    FileProgress, Input, PrefixOutcome, Question, RecoverAnswer, Recovery, Replacement, Reply, Report, RequestId,
    RetryAnswer, SchedulerConfig, Step, Write,
};

/// What a store keeps, in maps.
#[derive(Debug, Default, Clone)]
pub(super) struct ModelStore {
    pub(super) jobs: BTreeMap<JobId, JobRecord>,
    pub(super) files: BTreeMap<(JobId, u32), ModelFile>,
    pub(super) journal: Vec<(Option<JobId>, EventKind)>,
    pub(super) keys: BTreeMap<(String, String), JobId>,
    /// What became of replacements that clients wait for.
    pub(super) replaced: VecDeque<Input>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ModelFile {
    pub(super) durable: u64,
    pub(super) high_water: u64,
    pub(super) sized: Option<u64>,
    pub(super) finished: bool,
    pub(super) published: bool,
    pub(super) restarts: u32,
    pub(super) remote_name: Option<SafeUrl>,
    pub(super) verdict: Option<FileVerdict>,
}

impl ModelStore {
    pub(super) fn write(&mut self, write: &Write) {
        match write {
            Write::InsertJob { job, .. } => {
                assert!(self.jobs.insert(job.id, (**job).clone()).is_none(), "a job is inserted twice");
            }
            Write::InsertFiles { job, first, files } => {
                for (offset, file) in files.iter().enumerate() {
                    let index = first.0 + u32::try_from(offset).unwrap();
                    let remote_name = Some(file.remote_name.clone());
                    let former = self.files.insert((*job, index), ModelFile { remote_name, ..ModelFile::default() });
                    assert!(former.is_none(), "a file is inserted twice");
                }
            }
            Write::UpdateJob(job) => {
                let former = self.jobs.insert(job.id, (**job).clone()).expect("an unknown job is updated");
                assert!(!former.state.is_final(), "a final job is updated");
            }
            Write::UpdateFile { job, file, change } => {
                // Absurd reports name files that do not exist: an update of no row.
                let Some(row) = self.files.get_mut(&(*job, file.0)) else { return };
                match change {
                    FileChange::Progress(progress) | FileChange::Finished { progress, .. } => {
                        row.durable = progress.durable;
                        row.high_water = row.high_water.max(progress.durable);
                        row.sized = progress.bytes_total.or(row.sized);
                        row.finished = matches!(change, FileChange::Finished { .. });
                    }
                    FileChange::Restarted => {
                        let (restarts, remote_name) = (row.restarts + 1, row.remote_name.take());
                        *row = ModelFile { restarts, remote_name, ..ModelFile::default() };
                    }
                    FileChange::RemoteName(name) => row.remote_name = Some(name.clone()),
                    FileChange::Validated(verdict) => row.verdict = Some(*verdict),
                }
            }
            Write::ReplaceRemotePrefix { job, from, to, replacement } => {
                self.replace_prefix(*job, from, to, replacement)
            }
            Write::RememberKey { owner, key, job } => {
                self.keys.entry((owner.clone(), key.key.clone())).or_insert(*job);
            }
            Write::ForgetOwner(id) => self.keys.retain(|_, job| job != id),
            Write::ReplaceHeaders { .. }
            | Write::NetworkOverride(_)
            | Write::Response { .. }
            | Write::InsertToken(_)
            | Write::RemoveToken(_) => {}
            Write::Redirected { job, redirection, event } => {
                let Some(row) = self.files.get_mut(&(*job, redirection.file.0)) else { return };
                if row.remote_name.as_ref() == Some(&redirection.from) {
                    row.remote_name = Some(redirection.to.clone());
                    self.journal.push((event.job, event.kind.clone()));
                }
            }
            Write::MarkPublished(id) => {
                let of_job = self.files.range_mut((*id, 0)..=(*id, u32::MAX));
                of_job.filter(|(_, file)| file.finished).for_each(|(_, file)| file.published = true);
            }
            Write::Journal(event) => self.journal.push((event.job, event.kind.clone())),
        }
    }
}

impl ModelStore {
    /// What the driver feeds after [`Effect::LookUpFile`].
    pub(super) fn look_up(&self, effect: Effect) -> Input {
        let Effect::LookUpFile { request, job, file, verdict } = effect else { panic!("{effect:?} is no look-up") };
        let found = self.files.get(&(job, file.0)).map(|row| FileSummary {
            index: file,
            remote_name: row.remote_name.clone().unwrap(),
            local_name: "/tmp/file".into(),
            bytes_total: row.sized,
            durable: row.durable,
            finished: row.finished,
            restarts: row.restarts,
        });
        Input::FileLookedUp { request, job, file, verdict, found: Ok(found) }
    }

    fn replace_prefix(&mut self, id: JobId, from: &str, to: &str, replacement: &Replacement) {
        let (mut names, mut refused) = (Vec::new(), None);
        for ((_, index), file) in self.files.range((id, 0)..=(id, u32::MAX)) {
            let name = file.remote_name.as_ref().map_or("", |name| name.expose().as_str());
            match name.strip_prefix(from).map(|rest| SafeUrl::parse(&format!("{to}{rest}"))) {
                Some(Ok(name)) => names.push((*index, name)),
                Some(Err(_)) => refused = refused.or(Some(FileIndex(*index))),
                None => {}
            }
        }
        let mut files = u32::try_from(names.len()).unwrap();
        if let Replacement::AllOrNone { request, event } = replacement {
            if refused.is_some() {
                (files, names) = (0, Vec::new());
            }
            if files > 0 {
                self.journal.push((event.job, event.kind.clone()));
            }
            let outcome = refused.map_or(PrefixOutcome::Replaced(files), PrefixOutcome::Refused);
            self.replaced.push_back(Input::PrefixReplaced { request: *request, job: id, outcome });
        }
        for (index, name) in names {
            self.files.get_mut(&(id, index)).unwrap().remote_name = Some(name);
        }
    }
}

/// How the policies of a test answer.
pub(super) type Policies = Box<dyn FnMut(&Ask) -> Answer>;

pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) store: ModelStore,
    pub(super) policies: Policies,
    /// All effects so far that no test took.
    pub(super) effects: VecDeque<Effect>,
    /// Every question so far.
    pub(super) asks: Vec<Ask>,
    next_request: u64,
}

/// The built-in default in short: allow, wait for the job's delay after what is transient, leave.
pub(super) fn defaults(ask: &Ask) -> Answer {
    let because = because("built-in");
    match &ask.question {
        Question::Admit(_) => Answer::Admit(AdmitAnswer { admission: Admission::Allow, because }),
        Question::Retry(context) => {
            let delay = context.call.job.minimum_retry_delay;
            let retry_after_ms = (context.failure.class == FailureClass::Transient).then_some(delay);
            Answer::Retry(RetryAnswer { retry_after_ms, because })
        }
        Question::Recover(_) => Answer::Recover(RecoverAnswer { recovery: Recovery::Leave, because }),
    }
}

pub(super) fn because(policy: &str) -> Because {
    Because { policy: PolicyName(policy.into()), code: "because".into(), note: "a note".into() }
}

pub(super) fn job_id(number: u128) -> JobId {
    JobId(Uuid::from_u128(number))
}

pub(super) fn file_spec(url: &str) -> FileSpec {
    FileSpec {
        remote_name: SafeUrl::parse(url).unwrap(),
        local_name: LocalName::new(PathBuf::from("/tmp/file")).unwrap(),
        digest: None,
        ranges: Vec::new(),
    }
}

pub(super) fn spec(properties: Properties) -> JobSpec {
    JobSpec {
        display_name: "a job".into(),
        description: String::new(),
        owner: "uid:0".into(),
        direction: Direction::Download,
        properties,
        labels: vec![],
        policies: vec![],
        headers: RequestHeaders::default(),
        headers_write_only: false,
    }
}

pub(super) fn properties() -> Properties {
    Properties { minimum_retry_delay_ms: 10_000, ..Properties::default() }
}

pub(super) fn error(code: ErrorCode, class: FailureClass) -> JobError {
    let description = format!("{} on file 0", code.name());
    let context = ErrorContext::RemoteFile;
    JobError { code, context, class, http_status: None, file: Some(FileIndex(0)), description }
}

pub(super) fn failure(code: ErrorCode, class: FailureClass) -> Failure {
    Failure {
        error: error(code, class),
        phase: Phase::Response,
        at: UnixMillis(0),
        retry_after_ms: None,
        remote_name: Some(SafeUrl::parse("http://origin/a?secret").unwrap()),
        final_url: None,
        file: None,
        origin: Some(SafeUrl::parse("http://origin/a").unwrap().origin()),
        response_headers: vec![],
        body_excerpt: None,
    }
}

pub(super) fn transient() -> Report {
    Report::Failed(Box::new(failure(ErrorCode::ConnectionClosed, FailureClass::Transient)))
}

pub(super) fn fatal() -> Report {
    let mut failure = failure(ErrorCode::Http, FailureClass::Fatal);
    failure.error.http_status = Some(404);
    Report::Failed(Box::new(failure))
}

pub(super) fn progress(file: u32, durable: u64, total: Option<u64>) -> FileProgress {
    FileProgress {
        file: FileIndex(file),
        remote_name: Box::new(SafeUrl::parse(&format!("http://origin/{file}?secret")).unwrap()),
        durable,
        version: FileVersion { bytes_total: total, ..FileVersion::default() },
        bytes_total: total,
        part: None,
        hash_state: None,
    }
}

/// A checkpoint of a file of 100 bytes that follows one of `before` bytes.
pub(super) fn checkpoint(before: u64, durable: u64) -> Report {
    Report::Checkpoint {
        progress: progress(0, durable, Some(100)),
        new_bytes: durable.saturating_sub(before),
        durable_before: before,
        bytes_total_before: (before > 0).then_some(100),
    }
}

/// A file of 100 bytes of which nothing was reported before.
pub(super) fn file_done(file: u32) -> Report {
    Report::FileFinished {
        progress: progress(file, 100, Some(100)),
        new_bytes: 100,
        durable_before: 0,
        integrity: Integrity::LengthOnly,
        sized_before: false,
    }
}

pub(super) fn offline() -> Network {
    Network { connected: false, ..Network::default() }
}

impl World {
    /// An open, empty core.
    pub(super) fn new(config: SchedulerConfig) -> Self {
        let mut world = Self::loading(config);
        world.feed(Input::LoadingDone);
        world
    }

    pub(super) fn loading(config: SchedulerConfig) -> Self {
        Self {
            core: Core::new(config, 1),
            now: Now { wall: UnixMillis(1_000_000_000), boot: BootMillis(1_000_000) },
            store: ModelStore::default(),
            policies: Box::new(defaults),
            effects: VecDeque::new(),
            asks: Vec::new(),
            next_request: 0,
        }
    }

    /// The same store under a fresh core, as after a crash.
    pub(super) fn restart(&mut self, config: SchedulerConfig) {
        self.core = Core::new(config, 1);
        self.effects.clear();
        let records: Vec<_> = self.store.jobs.values().filter(|job| !job.state.is_final()).cloned().collect();
        for record in records {
            self.feed(Input::Loaded(Box::new(record)));
        }
        self.feed(Input::LoadingDone);
    }

    /// One input with all answers that it needs, as a batch of its own. Checks that the store follows.
    pub(super) fn feed(&mut self, input: Input) {
        self.core.begin_batch();
        self.feed_more(input);
    }

    /// One more input of the same batch.
    pub(super) fn feed_more(&mut self, input: Input) {
        let mut steps = vec![self.core.handle(self.now, input)];
        let mut asks = VecDeque::new();
        while let Some(Step { asks: new, writes, effects }) = steps.pop() {
            for write in &writes {
                self.store.write(write);
            }
            self.effects.extend(effects);
            asks.extend(new);
            if let Some(ask) = asks.pop_front() {
                let answer = (self.policies)(&ask);
                assert!(answer.fits(&ask.question));
                let input = Input::Answer { job: ask.job, generation: ask.generation, answer };
                self.asks.push(ask);
                steps.push(self.core.handle(self.now, input));
            }
        }
        for (id, record) in &self.store.jobs {
            if let Some(job) = self.core.job(id) {
                assert_eq!(job, record, "the store does not follow");
            }
        }
        assert_eq!(self.core.board.illegal, 0, "an illegal transition was tried");
        if let Some(input) = self.store.replaced.pop_front() {
            self.feed(input);
        }
        let is_look_up = |effect: &Effect| matches!(effect, Effect::LookUpFile { .. });
        if let Some(position) = self.effects.iter().position(is_look_up)
            && let Some(effect) = self.effects.remove(position)
        {
            let input = self.store.look_up(effect);
            self.feed(input);
        }
    }

    pub(super) fn command(&mut self, command: Command) -> Option<Result<Reply, CommandError>> {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.feed(Input::Command { request, command });
        self.reply_to(request)
    }

    pub(super) fn reply_to(&mut self, request: RequestId) -> Option<Result<Reply, CommandError>> {
        let is_reply = |effect: &Effect| matches!(effect, Effect::Reply { request: to, .. } if *to == request);
        let position = self.effects.iter().position(is_reply)?;
        match self.effects.remove(position) {
            Some(Effect::Reply { result, .. }) => Some(result),
            _ => None,
        }
    }

    pub(super) fn last_request(&self) -> RequestId {
        RequestId(self.next_request)
    }

    /// A job with so many files, SUSPENDED.
    pub(super) fn create(&mut self, number: u128, files: u32, properties: Properties) -> JobId {
        let job = job_id(number);
        let files = (0..files).map(|file| file_spec(&format!("http://origin/{file}?secret"))).collect();
        let (spec, begin) = (Box::new(spec(properties)), Begin::Suspended);
        self.command(Command::Create { job, spec, files, begin, once: None }).unwrap().unwrap();
        job
    }

    /// A job with so many files, resumed.
    pub(super) fn launch(&mut self, number: u128, files: u32, properties: Properties) -> JobId {
        let job = self.create(number, files, properties);
        self.command(Command::Resume(job)).unwrap().unwrap();
        job
    }

    /// A report of the job's present attempt.
    pub(super) fn report(&mut self, job: JobId, report: Report) {
        let attempt = self.record(job).attempt;
        self.feed(Input::Report { job, attempt, report });
    }

    pub(super) fn report_of(&mut self, job: JobId, attempt: u32, report: Report) {
        self.feed(Input::Report { job, attempt: AttemptNumber(attempt), report });
    }

    pub(super) fn record(&self, job: JobId) -> &JobRecord {
        self.core.job(&job).unwrap()
    }

    pub(super) fn state(&self, job: JobId) -> JobState {
        self.record(job).state
    }

    pub(super) fn reported(&self, job: JobId) -> (JobState, Option<&'static str>) {
        let (state, waiting) = self.core.reported_state(&job).unwrap();
        (state, waiting.map(|waiting| waiting.code))
    }

    /// Lets time pass, with every tick that the core wants meanwhile.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now.boot.plus(millis);
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= end) {
            let step = due.since(self.now.boot);
            self.now = Now { wall: self.now.wall.plus(step), boot: self.now.boot.plus(step) };
            self.feed(Input::Tick);
        }
        let rest = end.since(self.now.boot);
        self.now = Now { wall: self.now.wall.plus(rest), boot: end };
    }

    pub(super) fn network(&mut self, network: Network) {
        self.feed(Input::NetworkChanged(network));
    }

    /// Takes every effect so far.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        self.effects.drain(..).collect()
    }

    /// Takes every effect so far, and returns the workers started.
    pub(super) fn started(&mut self) -> Vec<Assignment> {
        let started = |effect| match effect {
            Effect::StartWorker(assignment) => Some(assignment),
            _ => None,
        };
        self.effects.drain(..).filter_map(started).collect()
    }

    /// Takes every effect so far, and says whether the job's worker was told to stop.
    pub(super) fn was_stopped(&mut self, id: JobId) -> bool {
        self.effects.drain(..).any(|effect| matches!(effect, Effect::StopWorker { job, .. } if job == id))
    }

    /// What the journal has of a job, by the serialised names of its events, changes of state left out.
    pub(super) fn journal(&self, id: JobId) -> Vec<String> {
        let name = |kind: &EventKind| serde_json::to_value(kind).unwrap()["kind"].as_str().unwrap().to_owned();
        let of_job = self.store.journal.iter().filter(|(job, _)| *job == Some(id)).map(|(_, kind)| name(kind));
        of_job.filter(|name| name != "state_changed").collect()
    }

    /// The states that the job went through, the first one left out.
    pub(super) fn states(&self, id: JobId) -> Vec<JobState> {
        let state = |kind: &EventKind| match kind {
            EventKind::StateChanged { to, .. } => Some(*to),
            _ => None,
        };
        self.store.journal.iter().filter(|(job, _)| *job == Some(id)).filter_map(|(_, kind)| state(kind)).collect()
    }
}
