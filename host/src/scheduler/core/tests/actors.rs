//! The simulated others: clients, workers, policies, networks. What is open is decided by the operation's dice.

use std::sync::Arc;

use super::harness::{because, defaults, failure, file_spec, progress, spec};
use super::simulation::{Calm, Simulation};
use crate::job::{
    CostFlags, CostState, ErrorCode, FailureClass, FileIndex, FileRange, FileSpec, FileSummary, FileVerdict,
    HeadersWriteOnly, IdempotencyKey, Integrity, JobChanges, JobId, JobSpec, NotifyFlags, Priority, Properties,
    Redirects, RequestHeaders, RestartReason, SafeUrl, Sha256,
};
use crate::network::{Interface, Network};
use crate::policy::contract::Change;
use crate::scheduler::{
    Admission, AdmitAnswer, Answer, Ask, Begin, Command, Effect, Input, Question, RecoverAnswer, Recovery, Redirection,
    Report, RetryAnswer,
};

/// Bytes of every simulated file.
const SIZE: u64 = 100;

/// Spreads a number over all bits.
pub(super) const fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// One of a few networks; 0 is the default one.
pub(super) fn network(what: u8) -> Network {
    let interface = |cost, roaming| Interface { name: "wlan0".into(), cost, roaming, ..Interface::default() };
    match what % 5 {
        0 => Network::default(),
        1 => Network { connected: false, ..Network::default() },
        2 => Network { interfaces: vec![interface(CostState::UsageBased, true)], ..Network::default() },
        3 => Network { interfaces: vec![], route: Some(7), ..Network::default() },
        _ => Network { interfaces: vec![interface(CostState::NearCap, false)], ..Network::default() },
    }
}

/// A report that no worker would send.
pub(super) fn absurd(what: u8, roll: u64) -> Report {
    let number = [0, 1, 50, u64::MAX - 1, u64::MAX][usize::try_from(roll % 5).unwrap()];
    let other = [0, 100, u64::MAX][usize::try_from(roll / 8 % 3).unwrap()];
    let file = u32::try_from(roll / 64 % 4).unwrap();
    match what % 10 {
        0 => Report::Connected,
        1 => Report::Checkpoint {
            progress: progress(file, number, Some(other)),
            new_bytes: other,
            durable_before: other,
            bytes_total_before: Some(number),
        },
        2 => Report::FileFinished {
            progress: progress(file, number, None),
            new_bytes: number,
            durable_before: other,
            integrity: Integrity::Unverified,
            sized_before: roll.is_multiple_of(2),
        },
        3 => Report::FileRestarted {
            file: FileIndex(file),
            reason: RestartReason::Repointed,
            bytes_discarded: number,
            bytes_total_before: Some(other),
        },
        4 => Report::Stopped,
        5 => {
            let mut failure = failure(ErrorCode::Http, FailureClass::Transient);
            failure.error.http_status = Some(u16::MAX);
            failure.error.description = "é".repeat(2_000);
            failure.body_excerpt = Some("é".repeat(4_000));
            failure.response_headers = vec![("é".repeat(33), "v".into()), ("k".into(), "é".repeat(1_000))];
            failure.retry_after_ms = Some(number);
            Report::Failed(Box::new(failure))
        }
        6 => Report::Finished,
        7 => Report::Published { files_published: u32::MAX, error: None, lost: vec![] },
        8 => Report::PartsDeleted { files_left: u32::MAX },
        _ => {
            let mut failure = failure(ErrorCode::DiskFull, FailureClass::Fatal);
            failure.error.file = Some(FileIndex(u32::MAX));
            Report::Failed(Box::new(failure))
        }
    }
}

/// Other values for some of the properties.
fn changes(roll: u64) -> JobChanges {
    let some = |bit: u64| (roll >> bit).is_multiple_of(2);
    let of = |bit: u64, values: [u64; 4]| values[usize::try_from(roll >> bit & 3).unwrap()];
    JobChanges {
        display_name: some(16).then(|| "another name".to_owned()),
        priority: some(17).then(|| Priority::ALL[usize::try_from(roll >> 18 & 3).unwrap()]),
        minimum_retry_delay_ms: some(20).then(|| of(21, [0, 7_000, 9_000, 600_000])),
        no_progress_timeout_ms: some(23).then(|| of(24, [0, 20_000, 1_000_000, 1_000_000])),
        maximum_download_time_ms: some(26).then(|| of(27, [1, 100_000, 10_000_000, 10_000_000])),
        parallel_files: some(29).then(|| u16::try_from(of(30, [0, 1, 2, 64])).unwrap()),
        cost_flags: some(32).then(|| CostFlags(u32::try_from(of(33, [0, 1, 0x40, 0x8000_00FF])).unwrap())),
        auto_complete: some(35).then(|| some(36)),
        overwrite: some(37).then(|| some(38)),
        labels: some(39).then(|| vec![("label".to_owned(), roll.to_string())]),
        high_performance: some(40).then(|| some(41)),
        maximum_download_size: some(42).then(|| some(43).then_some(1 << 40)),
        redirects: some(44).then_some(Redirects::Report),
        redirects_to_http: some(45).then(|| some(46)),
        // Refused for most jobs.
        dynamic_content: (roll >> 47).is_multiple_of(4).then(|| some(49)),
        description: some(50).then(|| roll.to_string()),
        notify_flags: some(51).then_some(NotifyFlags::NONE),
        minimum_notification_interval_ms: some(52).then_some(roll % 1_000),
        headers_write_only: (roll >> 53).is_multiple_of(8).then_some(HeadersWriteOnly),
    }
}

impl Simulation {
    pub(super) fn create(&mut self, job: JobId, files: u32) {
        let roll = mix(self.dice);
        let properties = Properties {
            priority: Priority::ALL[usize::try_from(roll % 4).unwrap()],
            minimum_retry_delay_ms: [0, 7_000, 7_000, 600_000][usize::try_from(roll / 4 % 4).unwrap()],
            no_progress_timeout_ms: [0, 20_000, 1_000_000, 1_000_000][usize::try_from(roll / 16 % 4).unwrap()],
            maximum_download_time_ms: [0, 100_000, 10_000_000, 10_000_000][usize::try_from(roll / 64 % 4).unwrap()],
            parallel_files: u16::try_from(1 + roll / 256 % 4).unwrap(),
            auto_complete: (roll / 1024).is_multiple_of(4),
            ..Properties::default()
        };
        let files = (0..files).map(|file| file_spec(&format!("http://origin{}/{file}", roll % 3)));
        let files: Vec<_> = files.collect();
        let begin = if (roll / 4096).is_multiple_of(3) { Begin::Resumed } else { Begin::Suspended };
        let key = IdempotencyKey { key: (roll / 16_384 % 4).to_string(), request: Sha256([0; 32]) };
        let once = (roll / 8192).is_multiple_of(2).then_some(key);
        let spec = JobSpec { owner: format!("uid:{}", roll / 65_536 % 3), ..spec(properties) };
        self.request(job, Command::Create { job, spec: Box::new(spec), files, begin, once });
    }

    pub(super) fn command(&self, job: JobId, what: u8) -> Command {
        let roll = mix(self.dice ^ 1);
        match what % 14 {
            0..=2 => Command::Resume(job),
            3 if roll.is_multiple_of(4) => Command::TakeOwnership { job, owner: format!("uid:{}", roll / 4 % 3) },
            3 => Command::Suspend(job),
            4 => Command::Complete(job),
            5 => Command::Cancel(job),
            6 => {
                let range = |offset| FileRange { offset, length: Some(1) };
                let ranges = (0..roll / 8 % 8).filter(|count| *count < 3).map(range).collect();
                let file = file_spec(&format!("http://origin{}/x", roll % 3));
                let files = [FileSpec { ranges, ..file.clone() }, file];
                Command::AddFiles {
                    job,
                    files: files.into_iter().take(1 + usize::from(roll.is_multiple_of(4))).collect(),
                }
            }
            7 => {
                // Now and then to what is no remote name.
                let to = ["http://origin1/", "https://origin3/", "origin", "ftp://origin0/"]
                    [usize::try_from(roll % 4).unwrap()];
                Command::ReplaceRemotePrefix { job, from: format!("http://origin{}/", roll / 4 % 3), to: to.into() }
            }
            8..=10 => Command::Modify {
                job,
                changes: Box::new(changes(roll)),
                expected: match roll / 2_048 % 4 {
                    0 => self.core.job(&job).cloned().map(Arc::new),
                    1 => self.store.jobs.values().next().cloned().map(Arc::new),
                    _ => None,
                },
            },
            11 => {
                let headers = RequestHeaders(vec![("x-roll".into(), roll.to_string())]);
                Command::SetHeaders { job, headers }
            }
            12 => {
                let verdict = if roll.is_multiple_of(4) { FileVerdict::Valid } else { FileVerdict::Invalid };
                Command::Validate { job, file: FileIndex(u32::try_from(roll % 3).unwrap()), verdict }
            }
            _ => {
                let remote_name = SafeUrl::parse(&format!("http://origin{}/y", roll % 4)).unwrap();
                Command::SetRemoteName { job, file: FileIndex(u32::try_from(roll % 5).unwrap()), remote_name }
            }
        }
    }

    /// A live worker does one thing that a worker may do.
    pub(super) fn work(&mut self, job: JobId, what: u8) {
        let Some(worker) = self.workers.get(&job).copied() else { return };
        if self.calm == Calm::Yes && worker.told_to_stop.is_some() {
            return self.report(job, worker.attempt, Report::Stopped);
        }
        let roll = mix(self.dice ^ 2);
        let rows = self.store.files.range((job, 0)..(job, worker.files_total));
        let left: Vec<_> =
            rows.filter(|(_, file)| !file.finished).map(|((_, index), file)| (*index, file.clone())).collect();
        let report = match (what % 8, left.first()) {
            (0, _) => Report::Connected,
            (1, Some((index, file))) => {
                let durable = file.durable + roll % (SIZE - file.durable.min(SIZE - 1));
                Report::Checkpoint {
                    progress: progress(*index, durable, (!roll.is_multiple_of(3)).then_some(SIZE).or(file.sized)),
                    new_bytes: durable.saturating_sub(file.high_water),
                    durable_before: file.durable,
                    bytes_total_before: file.sized,
                }
            }
            (2 | 3, Some((index, file))) => Report::FileFinished {
                progress: progress(*index, SIZE, Some(SIZE)),
                new_bytes: SIZE.saturating_sub(file.high_water),
                durable_before: file.durable,
                integrity: Integrity::LengthOnly,
                sized_before: file.sized.is_some(),
            },
            (4, Some((index, file))) => Report::FileRestarted {
                file: FileIndex(*index),
                reason: RestartReason::RemoteFileChanged,
                bytes_discarded: file.durable,
                bytes_total_before: file.sized,
            },
            (5, Some((index, _))) => self.failed(job, *index, roll),
            (6, Some((index, file))) if roll.is_multiple_of(2) => Report::Redirected(Box::new(Redirection {
                file: FileIndex(*index),
                from: file.remote_name.clone().unwrap(),
                to: SafeUrl::parse(&format!("http://origin{}/led", roll % 4)).unwrap(),
                headers_withheld: roll.is_multiple_of(3),
            })),
            (_, None) => Report::Finished,
            _ if worker.told_to_stop.is_some() => Report::Stopped,
            _ => Report::OriginChosen(SafeUrl::parse(&format!("http://origin{}/", roll % 4)).unwrap().origin()),
        };
        self.report(job, worker.attempt, report);
    }

    fn failed(&self, job: JobId, index: u32, roll: u64) -> Report {
        let (code, class) = [
            (ErrorCode::ConnectionClosed, FailureClass::Transient),
            (ErrorCode::Http, FailureClass::Transient),
            (ErrorCode::Http, FailureClass::Fatal),
            (ErrorCode::DiskFull, FailureClass::Transient),
            (ErrorCode::NetworkDisconnected, FailureClass::Transient),
            (ErrorCode::DestinationLocked, FailureClass::Transient),
        ][usize::try_from(roll % 6).unwrap()];
        let mut failure = failure(code, class);
        failure.retry_after_ms = (roll / 8).is_multiple_of(3).then_some(roll / 32 % 50_000);
        failure.origin = Some(SafeUrl::parse(&format!("http://origin{}/", roll / 64 % 4)).unwrap().origin());
        // It knows a size that no report has told yet.
        let summary = |summary: FileSummary| FileSummary { bytes_total: summary.bytes_total.or(Some(SIZE)), ..summary };
        failure.file = self.summary(job, index).map(summary).map(Box::new);
        Report::Failed(Box::new(failure))
    }

    fn summary(&self, job: JobId, index: u32) -> Option<FileSummary> {
        let file = self.store.files.get(&(job, index))?;
        Some(FileSummary {
            index: FileIndex(index),
            remote_name: file.remote_name.clone().unwrap_or_else(|| SafeUrl::parse("http://origin/").unwrap()),
            local_name: "/tmp/file".into(),
            bytes_total: file.sized,
            durable: file.durable,
            finished: file.finished,
            restarts: file.restarts,
        })
    }

    /// A publication or deletion that is under way ends.
    pub(super) fn chore(&mut self, job: JobId) {
        let roll = mix(self.dice ^ 3);
        let fails = self.calm == Calm::No;
        let Some(chore) = self.chores.remove(&job) else { return };
        let (attempt, report) = match chore {
            Effect::Publish { attempt, .. } => {
                let error = (fails && roll.is_multiple_of(4))
                    .then(|| super::harness::error(ErrorCode::LocalFileExists, FailureClass::Fatal));
                let finished = self.store.files.range((job, 0)..=(job, u32::MAX)).find(|(_, file)| file.finished);
                let index = finished.map(|((_, index), _)| *index).filter(|_| fails && (roll / 4).is_multiple_of(4));
                let lost = index.and_then(|index| self.summary(job, index)).into_iter().collect();
                (attempt, Report::Published { files_published: 0, error, lost })
            }
            Effect::DeleteParts { attempt, .. } => (attempt, Report::PartsDeleted { files_left: 0 }),
            _ => return,
        };
        self.feed(Input::Report { job, attempt, report });
    }

    /// What the policies say: anything that the driver lets through.
    pub(super) fn decide(&self, ask: &Ask) -> Answer {
        if self.calm == Calm::Yes {
            return defaults(ask);
        }
        let roll = mix(self.dice ^ u64::from(ask.generation) << 8);
        let because = because("random");
        match &ask.question {
            Question::Admit(_) => {
                let admission = match roll % 8 {
                    0 => Admission::Hold(None),
                    1 => Admission::Hold(Some(roll / 8 % 100_000)),
                    2 => Admission::AllowAtMost(roll / 8),
                    _ => Admission::Allow,
                };
                Answer::Admit(AdmitAnswer { admission, because })
            }
            Question::Retry(_) => {
                let retry_after_ms = (!roll.is_multiple_of(4)).then_some(roll / 4 % 50_000);
                Answer::Retry(RetryAnswer { retry_after_ms, because })
            }
            Question::Recover(_) => {
                let recovery = match roll % 8 {
                    0 | 1 => Recovery::Leave,
                    2 => Recovery::Complete,
                    3 => Recovery::Cancel,
                    _ => self.plan(ask.job, roll / 8),
                };
                Answer::Recover(RecoverAnswer { recovery, because })
            }
        }
    }

    fn plan(&self, job: JobId, roll: u64) -> Recovery {
        let file = u32::try_from(roll / 8 % 3).unwrap();
        let changes = match roll % 8 {
            0 => vec![Change::SetRemoteName(file, format!("http://origin{}/z", roll / 32 % 4))],
            1 => vec![Change::ReplaceRemotePrefix("http://origin0/".into(), "http://origin1/".into())],
            2 => vec![Change::RestartFile(file), Change::SetPriority(Priority::Foreground)],
            3 => vec![Change::SetPriority(Priority::Low), Change::SetMinimumRetryDelay(roll)],
            4 => vec![Change::SetNoProgressTimeout(roll % 100_000), Change::SetHeader("a".into(), "b".into())],
            _ => vec![],
        };
        let files = self.summary(job, file).into_iter().collect();
        Recovery::Resume { changes, after_ms: [0, 3_000][usize::try_from(roll / 64 % 2).unwrap()], files }
    }
}
