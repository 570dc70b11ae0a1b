//! One run of a job: its files, some at a time, until none is left, one fails, or the driver says stop.
//!
//! ```text
//! store ─ pages of unfinished files → Worker ─→ FileTask (one a file, in a JoinSet) ─ Checkpoint, FileRestarted ─→ driver
//!                                        │ ←─ small files, whole, in memory ┘
//!                                        └─→ groups of small files → disk ─ FileFinished ─→ driver
//! ```
//!
//! The worker reports one of `Stopped`, `Failed` and `Finished` last, after the checkpoints of all files. When it is killed, what
//! its files reported durable is where the next attempt goes on.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::header::HeaderMap;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::client::wire_headers;
use super::context::{Control, Directive, Halt, JobRun, ReportSender, TransferContext, joined};
use super::directory::{Directory, OPEN_MAX};
use super::error::FileError;
use super::failure::failure;
use super::fetch::Circumstances;
use super::file_task::{Ending, FileTask};
use super::progress::ProgressCell;
use super::small_file::{GROUP_FILES_MAX, SmallFile, write_group};
use crate::clock::Now;
use crate::job::{ErrorContext, Failure, FileIndex, FileRecord, JobError, PartIdentity, Phase};
use crate::scheduler::{Assignment, Report, StopReason};

/// Files read from the store at once: some hundred kilobytes, and enough for the store to be asked seldom.
const PAGE_FILES: u32 = 256;
/// Small files that may wait for the group before theirs, ...
const WAITING_FILES_MAX: usize = 2 * GROUP_FILES_MAX;
/// ... and their bytes. With the group on its way to the disk that is what they hold in memory.
const WAITING_BYTES_MAX: u64 = 8 << 20;

/// Runs a job until it ends in one way or another, which is the last report. Dropping the future stops everything at once, as a
/// kill would.
pub async fn run(
    context: Arc<TransferContext>,
    assignment: Assignment,
    progress: Arc<ProgressCell>,
    mut control: watch::Receiver<Control>,
    reports: ReportSender,
) {
    let (directive, directives) = watch::channel(Directive::default());
    let run = Arc::new(JobRun::new(context, &assignment, directives, progress, reports));
    let mut worker = Worker::new(Arc::clone(&run), directive, &assignment);
    let end = worker.drive(&mut control).await;
    // A driver that is gone needs no report.
    let _ = run.report(end).await;
}

/// A file whose local name has been looked at.
struct Prepared {
    file: FileRecord,
    /// The job's request headers as they were when the file was read: they go where its remote name says, so both are of one time.
    headers: Arc<HeaderMap>,
    directory: Result<Arc<Directory>, FileError>,
}

type Directories = HashMap<PathBuf, Result<Arc<Directory>, FileError>>;

/// One page of files, with the cache of directories that served for it.
struct Page {
    files: Result<Vec<Prepared>, FileError>,
    directories: Directories,
}

/// A group of small files on its way to the disk.
type Group = (Vec<SmallFile>, Vec<Result<PartIdentity, FileError>>);

struct Worker {
    run: Arc<JobRun>,
    directive: watch::Sender<Directive>,
    parallel_files: usize,
    queue: VecDeque<Prepared>,
    tasks: JoinSet<(FileIndex, Ending)>,
    paging: Option<JoinHandle<Page>>,
    directories: Directories,
    /// The last file that was read.
    after: Option<FileIndex>,
    exhausted: bool,
    small_files: Vec<SmallFile>,
    small_bytes: u64,
    writing: Option<JoinHandle<Group>>,
    /// Why no more files are begun: the report that ends the attempt.
    end: Option<Report>,
}

impl Worker {
    fn new(run: Arc<JobRun>, directive: watch::Sender<Directive>, assignment: &Assignment) -> Self {
        Self {
            run,
            directive,
            parallel_files: usize::from(assignment.parallel_files.max(1)),
            queue: VecDeque::new(),
            tasks: JoinSet::new(),
            paging: None,
            directories: HashMap::new(),
            after: None,
            exhausted: false,
            small_files: Vec::new(),
            small_bytes: 0,
            writing: None,
            end: None,
        }
    }

    async fn drive(&mut self, control: &mut watch::Receiver<Control>) -> Report {
        let mut listening = true;
        self.obey(*control.borrow_and_update());
        loop {
            self.begin_files();
            self.begin_page();
            self.begin_group();
            if self.is_idle() {
                return self.end.take().unwrap_or(Report::Finished);
            }
            tokio::select! {
                Some(task) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    let (file, ending) = joined(std::future::ready(task)).await;
                    self.after_file(file, ending);
                }
                page = outcome(&mut self.paging) => self.after_page(page),
                group = outcome(&mut self.writing) => self.after_group(group).await,
                changed = control.changed(), if listening => match changed {
                    Ok(()) => self.obey(*control.borrow_and_update()),
                    Err(_) => {
                        // Whoever held the other end is gone, and with it whoever would hear of more.
                        listening = false;
                        self.stop(Halt::Now, Report::Stopped);
                    }
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        let none_left = self.end.is_some() || self.exhausted && self.queue.is_empty();
        none_left
            && self.tasks.is_empty()
            && self.paging.is_none()
            && self.small_files.is_empty()
            && self.writing.is_none()
    }

    fn obey(&mut self, control: Control) {
        self.run.rate_limit.set(control.bytes_per_second);
        self.directive.send_modify(|directive| {
            directive.ceilings = directive.ceilings.wrapping_add(1);
            directive.origins_granted = control.origins_granted;
        });
        match control.stop {
            None => {}
            Some(StopReason::SlotTaken) => self.stop(Halt::WhereResumable, Report::Stopped),
            Some(StopReason::GateShut | StopReason::Suspended | StopReason::Ended | StopReason::Draining) => {
                self.stop(Halt::Now, Report::Stopped);
            }
        }
    }

    /// Begins no more files, and tells those that run. The first reason is the one that is reported; the more urgent way to stop wins.
    fn stop(&mut self, halt: Halt, end: Report) {
        self.end.get_or_insert(end);
        self.directive.send_modify(|directive| directive.halt = directive.halt.max(Some(halt)));
    }

    fn begin_files(&mut self) {
        while self.end.is_none()
            && self.tasks.len() < self.parallel_files
            && self.small_files.len() < WAITING_FILES_MAX
            && self.small_bytes < WAITING_BYTES_MAX
            && let Some(Prepared { file, headers, directory }) = self.queue.pop_front()
        {
            let index = file.index;
            match directory {
                Ok(directory) => {
                    let active = self.run.progress.begin(index, file.local_name.to_string());
                    let task = FileTask::new(Arc::clone(&self.run), file, headers, directory, active);
                    self.tasks.spawn(async move { (index, task.run().await) });
                }
                Err(error) => {
                    let failed = failure(&file, &error, Circumstances::default());
                    self.stop(Halt::Now, Report::Failed(failed));
                }
            }
        }
    }

    fn after_file(&mut self, file: FileIndex, ending: Ending) {
        match ending {
            Ending::Small(small) => {
                self.small_bytes += small.bytes();
                self.small_files.push(*small);
                return;
            }
            Ending::Finished => {}
            Ending::Stopped => self.stop(Halt::Now, Report::Stopped),
            Ending::Failed(failure) => self.stop(Halt::Now, Report::Failed(failure)),
        }
        self.run.progress.end(file);
    }

    /// Reads the next page while files of the last one are still waiting.
    fn begin_page(&mut self) {
        let enough = self.queue.len() > PAGE_FILES as usize / 2;
        if self.end.is_some() || self.exhausted || self.paging.is_some() || enough {
            return;
        }
        let (run, after) = (Arc::clone(&self.run), self.after);
        let directories = std::mem::take(&mut self.directories);
        self.paging = Some(spawn_blocking(move || read_page(&run, after, directories)));
    }

    fn after_page(&mut self, page: Page) {
        self.paging = None;
        self.directories = page.directories;
        match page.files {
            Ok(files) => {
                self.exhausted = files.len() < PAGE_FILES as usize;
                self.after = files.last().map(|prepared| prepared.file.index).or(self.after);
                self.queue.extend(files);
            }
            Err(error) => self.stop(Halt::Now, Report::Failed(store_failure(&error))),
        }
    }

    /// Sends to the disk what has gathered while the group before was on its way.
    fn begin_group(&mut self) {
        if self.writing.is_some() || self.small_files.is_empty() {
            return;
        }
        let group: Vec<SmallFile> = self.small_files.drain(..self.small_files.len().min(GROUP_FILES_MAX)).collect();
        self.small_bytes = self.small_files.iter().map(SmallFile::bytes).sum();
        self.writing = Some(spawn_blocking(move || {
            let results = write_group(&group);
            (group, results)
        }));
    }

    async fn after_group(&mut self, (group, results): Group) {
        self.writing = None;
        for (small, result) in group.into_iter().zip(results) {
            let bytes = small.bytes();
            let mut task = small.task;
            let index = task.file.index;
            match result {
                Ok(identity) => {
                    task.file.part = Some(identity);
                    if task.report_finished(bytes).await.is_err() {
                        self.stop(Halt::Now, Report::Stopped);
                    }
                }
                Err(error) => {
                    let failed = task.failure(&error);
                    self.stop(Halt::Now, Report::Failed(failed));
                }
            }
            self.run.progress.end(index);
        }
    }
}

async fn outcome<T>(handle: &mut Option<JoinHandle<T>>) -> T {
    match handle {
        Some(handle) => joined(handle).await,
        None => pending().await,
    }
}

/// Reads files and looks at their local names, so that no byte is moved in vain. Blocks.
fn read_page(run: &JobRun, after: Option<FileIndex>, mut directories: Directories) -> Page {
    let (context, job) = (&run.context, run.job);
    let files = context.files.unfinished(job, after, PAGE_FILES).and_then(|files| {
        // After the files: whoever points one at another origin takes the headers away, and what is read here must not be older.
        let headers = Arc::new(wire_headers(&context.files.headers(job)?));
        let prepare = |file: FileRecord| {
            let directory = prepare(&file, run, &mut directories);
            Prepared { file, headers: Arc::clone(&headers), directory }
        };
        Ok(files.into_iter().map(prepare).collect())
    });
    Page { files, directories }
}

fn prepare(file: &FileRecord, run: &JobRun, directories: &mut Directories) -> Result<Arc<Directory>, FileError> {
    let path = file.local_name.directory();
    if directories.len() >= OPEN_MAX && !directories.contains_key(path) {
        directories.clear();
    }
    let opened =
        directories.entry(path.to_owned()).or_insert_with(|| Directory::open_for(path, &run.tenant).map(Arc::new));
    let directory = opened.clone()?;
    directory.check_target(file.local_name.file_name(), run.overwrite)?;
    Ok(directory)
}

/// The store could not be read: a failure of the attempt, of no file.
fn store_failure(error: &FileError) -> Box<Failure> {
    Box::new(Failure {
        error: JobError {
            code: error.code(),
            context: ErrorContext::QueueManager,
            class: error.class(),
            http_status: None,
            file: None,
            description: error.to_string(),
        },
        phase: Phase::Unknown,
        at: Now::read().wall,
        retry_after_ms: None,
        remote_name: None,
        final_url: None,
        file: None,
        origin: None,
        response_headers: Vec::new(),
        body_excerpt: None,
    })
}
