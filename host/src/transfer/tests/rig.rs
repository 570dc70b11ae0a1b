//! The real store, and a driver that records reports and does with them what the core would have it do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::clock::UnixMillis;
use crate::job::{
    AttemptNumber, Direction, ErrorCode, Event, EventKind, Failure, FileIndex, FileRange, FileRecord, FileSpec, JobId,
    JobRecord, JobState, LocalName, Properties, RequestHeaders, SafeUrl, Sha256,
};
use crate::scheduler::{Assignment, FileChange, Overwrite, Report, Terms, Write};
use crate::store::{Batch, OpenMode, Reader, Store};
use crate::transfer::{Control, ProgressCell, TransferContext, TransferSettings, run};

/// Far more than any test needs; none waits for it unless it fails.
const AT_MOST: Duration = Duration::from_secs(60);

/// One job on a store of its own.
pub(super) struct Rig {
    scratch: TempDir,
    store: Store,
    pub(super) reader: Reader,
    pub(super) job: JobId,
    pub(super) settings: TransferSettings,
    pub(super) parallel_files: u16,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) overwrite: Overwrite,
    /// What its properties ask; the bytes that its files have are added to that.
    pub(super) terms: Terms,
    pub(super) progress: Arc<ProgressCell>,
    context: Option<Arc<TransferContext>>,
    attempts: u32,
    /// Writes wait here for more, as the driver gathers them.
    pub(super) commits: u64,
}

/// Gives files other remote names.
pub(super) struct Pointer {
    store: Store,
    job: JobId,
}

impl Pointer {
    pub(super) async fn repoint(&self, file: u32, url: &str) {
        let change = FileChange::RemoteName(SafeUrl::parse(url).unwrap());
        let writes = vec![Write::UpdateFile { job: self.job, file: FileIndex(file), change }];
        self.store.commit(Batch { writes, ..Batch::default() }).await.unwrap();
    }
}

/// A file to be fetched.
pub(super) struct Wanted {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) digest: Option<Sha256>,
    pub(super) ranges: Vec<FileRange>,
}

pub(super) fn wanted(url: String, name: &str) -> Wanted {
    Wanted { url, name: name.to_owned(), digest: None, ranges: Vec::new() }
}

/// Lets a worker do what it wants.
pub(super) fn unrestrained() -> Control {
    Control { origins_granted: u32::MAX, ..Control::default() }
}

impl Rig {
    /// A job with these files, in a directory of its own on the disk of the temporary directory.
    pub(super) async fn new(files: Vec<Wanted>) -> Self {
        Self::with_headers(files, &[]).await
    }

    pub(super) async fn with_headers(files: Vec<Wanted>, headers: &[(&str, &str)]) -> Self {
        Self::below(tempfile::tempdir().unwrap(), files, headers).await
    }

    pub(super) async fn below(scratch: TempDir, files: Vec<Wanted>, headers: &[(&str, &str)]) -> Self {
        std::fs::create_dir(scratch.path().join("out")).unwrap();
        let store = Store::open(&scratch.path().join("state"), OpenMode::CreateIfMissing).unwrap().store;
        let job = a_job(files.len());
        let specs = files.into_iter().map(|file| FileSpec {
            remote_name: SafeUrl::parse(&file.url).unwrap(),
            local_name: LocalName::new(scratch.path().join("out").join(file.name)).unwrap(),
            digest: file.digest,
            ranges: file.ranges,
        });
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let writes = vec![
            Write::InsertJob { job: Box::new(job.clone()), headers: RequestHeaders(headers.collect()) },
            Write::InsertFiles { job: job.id, first: FileIndex(0), files: specs.collect() },
        ];
        store.commit(Batch { writes, ..Batch::default() }).await.unwrap();
        Self {
            reader: store.reader().unwrap(),
            scratch,
            store,
            job: job.id,
            settings: TransferSettings::default(),
            parallel_files: 1,
            bytes_per_second: None,
            overwrite: Overwrite::Refuse,
            terms: Terms::default(),
            progress: Arc::default(),
            context: None,
            attempts: 0,
            commits: 0,
        }
    }

    /// Where files shall appear.
    pub(super) fn out(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    pub(super) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub(super) fn context(&mut self) -> Arc<TransferContext> {
        let (settings, store) = (&self.settings, &self.store);
        let context = self
            .context
            .get_or_insert_with(|| Arc::new(TransferContext::new(settings.clone(), store.reader().unwrap()).unwrap()));
        Arc::clone(context)
    }

    /// Runs the job once; returns all reports, the last of which ended the attempt.
    pub(super) async fn attempt(&mut self) -> Vec<Report> {
        let (_control, controls) =
            watch::channel(Control { bytes_per_second: self.bytes_per_second, ..unrestrained() });
        self.attempt_under(controls, |_| {}).await
    }

    /// Runs the job once, with `each` looking at every report before it is stored.
    pub(super) async fn attempt_under(
        &mut self,
        controls: watch::Receiver<Control>,
        mut each: impl FnMut(&Report),
    ) -> Vec<Report> {
        self.attempts += 1;
        let assignment = Assignment {
            owner: "uid:0".into(),
            job: self.job,
            attempt: AttemptNumber(self.attempts),
            origin: None,
            parallel_files: self.parallel_files,
            bytes_per_second: self.bytes_per_second,
            overwrite: self.overwrite,
            terms: Terms { bytes_transferred: self.bytes_transferred(), ..self.terms },
        };
        let (sender, mut receiver) = mpsc::channel(256);
        let context = self.context();
        let worker = run(context, assignment, Arc::clone(&self.progress), controls, sender);
        let record = async {
            let mut reports = Vec::new();
            let mut buffer = Vec::new();
            while receiver.recv_many(&mut buffer, 1000).await > 0 {
                buffer.iter().for_each(|(_, _, report)| each(report));
                let writes: Vec<Write> = buffer.iter().filter_map(|(_, _, report)| self.write(report)).collect();
                if !writes.is_empty() {
                    self.store.commit(Batch { writes, ..Batch::default() }).await.unwrap();
                    self.commits += 1;
                }
                for (job, attempt, report) in buffer.drain(..) {
                    assert_eq!((job, attempt), (self.job, AttemptNumber(self.attempts)));
                    reports.push(report);
                }
            }
            reports
        };
        let (reports, ()) = tokio::time::timeout(AT_MOST, async { tokio::join!(record, worker) }).await.unwrap();
        reports
    }

    fn bytes_transferred(&self) -> u64 {
        self.reader.files(self.job, FileIndex(0), 1_000).unwrap().iter().map(|file| file.durable).sum()
    }

    fn write(&self, report: &Report) -> Option<Write> {
        let (file, change) = match report {
            Report::Checkpoint { progress, .. } => (progress.file, FileChange::Progress(progress.clone())),
            Report::FileRestarted { file, .. } => (*file, FileChange::Restarted),
            Report::FileFinished { progress, integrity, .. } => {
                (progress.file, FileChange::Finished { progress: progress.clone(), integrity: *integrity })
            }
            Report::Responded { file, response } => {
                return Some(Write::Response { job: self.job, file: *file, response: response.clone() });
            }
            Report::Redirected(redirection) => {
                let kind = EventKind::JobModified { fields: vec!["remote_name".into()] };
                let event = Event { at: UnixMillis(0), job: Some(self.job), kind };
                return Some(Write::Redirected { job: self.job, redirection: redirection.clone(), event });
            }
            _ => return None,
        };
        Some(Write::UpdateFile { job: self.job, file, change })
    }

    pub(super) async fn repoint(&self, file: u32, url: &str) {
        self.pointer().repoint(file, url).await;
    }

    /// Points files elsewhere while an attempt has the rig.
    pub(super) fn pointer(&self) -> Pointer {
        Pointer { store: self.store.clone(), job: self.job }
    }

    pub(super) fn file(&self, file: u32) -> FileRecord {
        self.reader.file(self.job, FileIndex(file)).unwrap().unwrap()
    }

    /// The bytes that a finished file has under the name of its part file.
    pub(super) fn part(&self, file: u32) -> PathBuf {
        self.out().join(crate::job::part_file_name(self.store.id(), self.job, FileIndex(file)))
    }
}

/// The failure that ended an attempt.
pub(super) fn failed(reports: &[Report]) -> &Failure {
    match reports.last() {
        Some(Report::Failed(failure)) => failure,
        other => panic!("the attempt ended with {other:?}"),
    }
}

pub(super) fn failed_with(reports: &[Report]) -> ErrorCode {
    failed(reports).error.code
}

/// Sum of the progress that an attempt made.
pub(super) fn new_bytes(reports: &[Report]) -> u64 {
    let rises = reports.iter().map(|report| match report {
        Report::Checkpoint { new_bytes, .. } | Report::FileFinished { new_bytes, .. } => *new_bytes,
        _ => 0,
    });
    rises.sum()
}

/// Bytes of no pattern that a shift or a swap would keep.
pub(super) fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

fn a_job(files: usize) -> JobRecord {
    JobRecord {
        id: JobId::generate(),
        owner: "uid:0".into(),
        display_name: "test".into(),
        description: String::new(),
        direction: Direction::Download,
        state: JobState::Transferring,
        properties: Properties::default(),
        labels: Vec::new(),
        policies: Vec::new(),
        created_at: UnixMillis(0),
        modified_at: UnixMillis(0),
        started_at: None,
        transferred_at: None,
        last_progress_at: None,
        files_total: u32::try_from(files).unwrap(),
        files_transferred: 0,
        bytes_sized: 0,
        files_sized: 0,
        bytes_transferred: 0,
        progress_bytes: 0,
        error: None,
        error_count: 0,
        failures_in_row: 0,
        recoveries: 0,
        last_recovery_at: None,
        attempt: AttemptNumber(1),
        decisions: 0,
        history: Vec::new(),
        retry: None,
        no_progress_ms: 0,
        active_ms: 0,
        intent: None,
        resumed: false,
        headers_write_only: false,
        active_at: UnixMillis(0),
    }
}
