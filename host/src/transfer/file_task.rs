//! One file of a running job, from what is durable of it to its end.
//!
//! ```text
//! reopen the part file → plan → fetch → accept ─┬─ whole, append → pump → verify → sync → FileFinished
//!         ↑                                      ├─ restart: report, wait until it is stored, begin anew
//!         └──────────────────────────────────────┘  (less than was asked for, a failed sync: once more round)
//! ```
//!
//! The pump is in `pump`, all that is reported in `ledger`.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::accept::{Asked, BodyLength, Decision, Keep, Next, WholeBody};
use super::body::Body;
use super::context::{Directive, Halt, Halted, JobRun, blocking};
use super::digest::{Hasher, Modified};
use super::directory::Directory;
use super::error::FileError;
use super::fetch::{Answer, Circumstances, Request, fetch};
use super::ledger::Ledger;
use super::part_file::{self, PartFile, Reopened};
use super::progress::ActiveFile;
use super::pump::{Inflow, PumpEnd};
use super::resume::{Digest, Known, Plan, RemoteName, plan};
use super::small_file::{SMALL_FILE_BYTES_MAX, SmallFile};
use crate::job::{Failure, FileRecord, Phase, RestartReason, Sha256};

/// How a file's task ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It is whole, durable, verified and reported.
    Finished,
    /// It is whole and verified, in memory: to be made durable with others.
    Small(Box<SmallFile>),
    /// It stopped as it was told to; its last checkpoint is reported.
    Stopped,
    /// It failed; its last checkpoint is reported.
    Failed(Box<Failure>),
}

/// Why the task does not go on.
#[derive(Debug)]
pub(crate) enum Interruption {
    Halted,
    Failed(FileError),
}

impl From<Halted> for Interruption {
    fn from(Halted: Halted) -> Self {
        Self::Halted
    }
}

impl From<FileError> for Interruption {
    fn from(error: FileError) -> Self {
        Self::Failed(error)
    }
}

/// What a request came to.
enum Outcome {
    /// The bytes of the answer are in the part file.
    Pumped(PumpEnd),
    /// All of the file is in memory, verified.
    Small(Bytes),
    /// Nothing was missing.
    Complete,
    /// The answer was of no use; the file begins again.
    Again,
}

/// The task of one file.
#[derive(Debug)]
pub(crate) struct FileTask {
    pub(super) run: Arc<JobRun>,
    /// The file as it is. What the store has been told of it is in the ledger.
    pub(super) file: FileRecord,
    pub(super) ledger: Ledger,
    /// The job's own request headers.
    headers: Arc<HeaderMap>,
    pub(super) directory: Arc<Directory>,
    pub(super) directive: watch::Receiver<Directive>,
    pub(super) active: Arc<ActiveFile>,
    /// Open once bytes are written, or have been by an earlier attempt.
    pub(super) part: Option<Arc<PartFile>>,
    /// When the part file was last written, as it was found: only if nothing but what is durable was in it.
    modified: Option<Modified>,
    /// At the end of what is written, if a digest is wanted.
    pub(super) hasher: Option<Hasher>,
    /// The origin's own digest, where the client gave none and all bytes so far are hashed.
    pub(super) server_digest: Option<Sha256>,
    /// Bytes of an earlier remote name were kept on the word of the client's digest.
    pub(super) mixed_origins: bool,
    /// What a policy is told of the last answer, should the file fail.
    pub(super) circumstances: Circumstances,
}

impl FileTask {
    pub(crate) fn new(
        run: Arc<JobRun>,
        file: FileRecord,
        headers: Arc<HeaderMap>,
        directory: Arc<Directory>,
        active: Arc<ActiveFile>,
    ) -> Self {
        Self {
            directive: run.directive.clone(),
            ledger: Ledger::of(&file),
            run,
            file,
            headers,
            directory,
            active,
            part: None,
            modified: None,
            hasher: None,
            server_digest: None,
            mixed_origins: false,
            circumstances: Circumstances::default(),
        }
    }

    /// Fetches the file.
    pub(crate) async fn run(mut self) -> Ending {
        match self.drive().await {
            Ok(None) => Ending::Finished,
            Ok(Some(body)) => Ending::Small(Box::new(SmallFile::new(self, body))),
            Err(Interruption::Halted) => Ending::Stopped,
            Err(Interruption::Failed(error)) => Ending::Failed(self.failure(&error)),
        }
    }

    /// The bytes of a small file that is to be made durable; none if the file is finished.
    async fn drive(&mut self) -> Result<Option<Bytes>, Interruption> {
        self.run.choose_origin(self.file.remote_name.origin()).await?;
        loop {
            if self.file.durable > 0 && self.part.is_none() {
                self.reopen().await?;
            }
            let outcome = match self.plan() {
                Plan::Complete => Outcome::Complete,
                Plan::Whole => self.ask(Asked::Whole, None).await?,
                Plan::Rest { offset, keep, if_range } => {
                    let known = self.file.version.clone().unwrap_or_default();
                    self.ask(Asked::Rest { offset, known: &known, keep }, if_range.as_deref()).await?
                }
                Plan::Restart(reason) => {
                    self.restart(reason).await?;
                    Outcome::Again
                }
            };
            let complete = match outcome {
                Outcome::Small(body) => return Ok(Some(body)),
                Outcome::Pumped(end) => self.after_pump(end).await?,
                Outcome::Complete => true,
                Outcome::Again => false,
            };
            if complete && self.finish().await? {
                return Ok(None);
            }
        }
    }

    fn plan(&self) -> Plan {
        plan(Known {
            durable: self.file.durable,
            version: self.file.version.as_ref(),
            remote_name: if self.file.repointed { RemoteName::Repointed } else { RemoteName::Same },
            digest: if self.file.digest.is_some() { Digest::Given } else { Digest::None },
        })
    }

    /// Opens the part file of an earlier attempt.
    async fn reopen(&mut self) -> Result<(), Interruption> {
        self.modified = None;
        let Some(identity) = self.file.part else {
            return self.restart(RestartReason::PartFileDamaged).await;
        };
        let (directory, name, durable) =
            (Arc::clone(&self.directory), self.run.part_name(&self.file), self.file.durable);
        let total = self.file.version.as_ref().and_then(|version| version.bytes_total);
        let reopened = blocking(move || {
            let reopened = PartFile::reopen(&directory, &name, identity, durable)?;
            if let (Reopened::Whole(part, _) | Reopened::Cut(part) | Reopened::Shorter(part, _), Some(total)) =
                (&reopened, total)
            {
                part.reserve(total)?;
            }
            Ok::<_, FileError>(reopened)
        });
        match reopened.await? {
            Reopened::Whole(part, modified) => {
                self.part = Some(Arc::new(part));
                self.modified = Some(modified);
            }
            Reopened::Cut(part) => self.part = Some(Arc::new(part)),
            Reopened::Shorter(part, size) if size > 0 => {
                self.part = Some(Arc::new(part));
                self.file.durable = size;
                self.file.hash_state = None;
                // A report would also say that the new remote name has been found to serve these bytes.
                if !self.file.repointed {
                    self.checkpoint(size, None).await?;
                }
            }
            Reopened::Shorter(..) | Reopened::Damaged => return self.restart(RestartReason::PartFileDamaged).await,
        }
        self.ledger.name_is_durable = true;
        self.active.set_done(self.file.durable);
        self.active.set_durable(self.file.durable);
        self.active.set_total(total);
        Ok(())
    }

    /// Asks the origin, and does what the answer allows.
    async fn ask(&mut self, asked: Asked<'_>, if_range: Option<&str>) -> Result<Outcome, Interruption> {
        let run = Arc::clone(&self.run);
        let request = Request {
            remote_name: &self.file.remote_name,
            headers: &self.headers,
            asked,
            if_range,
            bytes_max: run.context.settings.file_bytes_max,
        };
        let answered = tokio::select! {
            answered = fetch(&run.context.client, &request) => answered,
            () = halted(&mut self.directive) => return Err(Interruption::Halted),
        };
        let answer = answered.map_err(|(error, circumstances)| {
            self.circumstances = circumstances;
            error
        })?;
        let Answer { decision, head, response, circumstances } = answer;
        self.circumstances = circumstances;
        run.connected().await?;
        let body = Body::new(response, &run.context.settings);
        match decision {
            Decision::Whole(whole) => self.take_whole(whole, head.repr_digest, body).await,
            Decision::Append { offset, discard, length, version } => {
                self.mixed_origins |= matches!(asked, Asked::Rest { keep: Keep::RepointedDigest, .. });
                self.active.set_total(version.bytes_total);
                self.file.version = Some(version);
                self.file.repointed = false;
                self.prepare_hasher(head.repr_digest).await?;
                let inflow = Inflow { offset, discard, length: BodyLength::Exactly(length) };
                Ok(Outcome::Pumped(self.pump(body, inflow).await))
            }
            Decision::Done { version } => {
                self.file.version = Some(version);
                Ok(Outcome::Complete)
            }
            Decision::Restart { reason, next } => {
                self.restart(reason).await?;
                match next {
                    Next::TakeThisBody(whole) => self.take_whole(whole, head.repr_digest, body).await,
                    Next::AskAgain => Ok(Outcome::Again),
                }
            }
            Decision::Redirect { .. } | Decision::Fail(_) => {
                unreachable!("fetch follows the one and returns the other")
            }
        }
    }

    /// Takes a body that is the whole file. Nothing is durable.
    async fn take_whole(
        &mut self,
        whole: WholeBody,
        repr_digest: Option<Sha256>,
        body: Body,
    ) -> Result<Outcome, Interruption> {
        let WholeBody { length, version } = whole;
        self.active.set_total(version.bytes_total);
        self.file.version = Some(version);
        self.file.repointed = false;
        self.server_digest = repr_digest.filter(|_| self.file.digest.is_none());
        if let BodyLength::Exactly(bytes) = length
            && bytes <= SMALL_FILE_BYTES_MAX
        {
            return self.take_small(body, bytes).await;
        }
        self.hasher = self.wanted_digest().map(|_| Hasher::new());
        let (directory, name) = (Arc::clone(&self.directory), self.run.part_name(&self.file));
        let created = blocking(move || {
            let part = PartFile::create(&directory, &name)?;
            if let BodyLength::Exactly(bytes) = length
                && let Err(error) = part.reserve(bytes)
            {
                part_file::remove(&directory, &name)?;
                return Err(error);
            }
            Ok(part)
        });
        let part = created.await?;
        self.file.part = Some(part.identity());
        self.part = Some(Arc::new(part));
        self.ledger.name_is_durable = false;
        Ok(Outcome::Pumped(self.pump(body, Inflow { offset: 0, discard: 0, length }).await))
    }

    /// Reads a small body into memory, and verifies it.
    async fn take_small(&mut self, mut body: Body, length: u64) -> Result<Outcome, Interruption> {
        // In one piece: a body that drips would be a list of single bytes, each with a header of its own.
        let mut gathered = Vec::with_capacity(usize::try_from(length).expect("at most SMALL_FILE_BYTES_MAX"));
        loop {
            let chunk = tokio::select! {
                chunk = body.next() => chunk?,
                () = halted(&mut self.directive) => return Err(Interruption::Halted),
            };
            let Some(bytes) = chunk else { break };
            self.run.progress.received(bytes.len());
            // Chunks may say more than the length or the range that came with them.
            if (gathered.len() + bytes.len()) as u64 > length {
                let what = format!("its body has more than the {length} bytes that it announced");
                return Err(FileError::InvalidAnswer { what }.into());
            }
            gathered.extend_from_slice(&bytes);
            self.active.set_done(gathered.len() as u64);
            if let Some(paid_at) = self.run.rate_limit.charge(bytes.len(), Instant::now()) {
                tokio::select! {
                    () = sleep_until(paid_at) => {}
                    () = halted(&mut self.directive) => return Err(Interruption::Halted),
                }
            }
        }
        if gathered.len() as u64 != length {
            return Err(closed_early(gathered.len() as u64, length).into());
        }
        if self.wanted_digest().is_some() {
            // At most 64 KiB: some tens of microseconds, less than the way to another thread and back.
            let mut hasher = Hasher::new();
            hasher.update(&gathered);
            if !self.verify(hasher.finish()).await? {
                return Ok(Outcome::Again);
            }
        }
        Ok(Outcome::Small(gathered.into()))
    }

    /// What the bytes must hash to: by the client's word, else by the origin's.
    pub(super) fn wanted_digest(&self) -> Option<Sha256> {
        self.file.digest.or(self.server_digest)
    }

    /// Brings a hasher to the durable offset, if a digest is wanted: from the stored state, or, where somebody has written to the part
    /// file since, by reading it again.
    pub(super) async fn prepare_hasher(&mut self, repr_digest: Option<Sha256>) -> Result<(), Interruption> {
        // The origin's digest is worth no reading of bytes that were never hashed.
        let goes_on = self.hasher.is_some() || self.file.hash_state.is_some();
        self.server_digest = repr_digest.or(self.server_digest).filter(|_| self.file.digest.is_none() && goes_on);
        if self.wanted_digest().is_none() {
            self.hasher = None;
            return Ok(());
        }
        if self.hasher.is_none() {
            let stored = self.file.hash_state.as_deref().zip(self.modified);
            self.hasher = stored.and_then(|(state, modified)| Hasher::restore(state, modified));
        }
        if let (None, Some(part)) = (&self.hasher, &self.part) {
            let (part, durable) = (Arc::clone(part), self.file.durable);
            let read =
                blocking(move || Hasher::of_prefix(part.file(), durable).map_err(|error| part.error("read", &error)));
            self.hasher = Some(read.await?);
        }
        Ok(())
    }
}

/// Waits until the task is to stop, in whatever way: nothing is lost by stopping at once where this is called.
async fn halted(directive: &mut watch::Receiver<Directive>) {
    // A worker that is gone will not listen either.
    let _ = directive.wait_for(|directive| directive.halt.is_some()).await;
}

/// Whether the task is to stop, given whether its transfer could be resumed.
pub(super) const fn must_halt(directive: Directive, resumable: Resumable) -> bool {
    match (directive.halt, resumable) {
        (Some(Halt::Now), _) | (Some(Halt::WhereResumable), Resumable::Yes) => true,
        (Some(Halt::WhereResumable), Resumable::No) | (None, _) => false,
    }
}

/// Whether bytes that are durable could be kept by a later attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumable {
    Yes,
    No,
}

pub(super) fn closed_early(received: u64, length: u64) -> FileError {
    FileError::Closed { phase: Phase::Body, detail: format!("after {received} of {length} bytes") }
}
