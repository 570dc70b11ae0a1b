//! One file of a running job, from what is durable of it to its end.
//!
//! ```text
//! reopen the part file → plan → fetch → accept ─┬─ whole, append → pump → verify → sync → FileFinished
//!         ↑                                      ├─ restart: report, wait until it is stored, begin anew
//!         └──────────────────────────────────────┘  (less than was asked for, a failed sync: once more round)
//! ```
//!
//! Asking and taking an answer is in `ask`, the pump in `pump`, all that is reported in `ledger`.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::watch;

use super::accept::Asked;
use super::context::{Directive, Halt, Halted, JobRun, blocking};
use super::digest::{Hasher, Modified};
use super::directory::Directory;
use super::error::FileError;
use super::fetch::Circumstances;
use super::ledger::Ledger;
use super::part_file::{PartFile, Reopened};
use super::progress::ActiveFile;
use super::pump::PumpEnd;
use super::resume::{Content, Digest, Known, Plan, RemoteName, plan};
use super::small_file::SmallFile;
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
pub(super) enum Outcome {
    /// The bytes of the answer are in the part file.
    Pumped(PumpEnd),
    /// All of the file is in memory, verified.
    Small(Bytes),
    /// Nothing was missing.
    Complete,
    /// It is to be planned anew: the answer was of no use, or said where the file ends.
    Again,
}

/// The task of one file.
#[derive(Debug)]
pub(crate) struct FileTask {
    pub(super) run: Arc<JobRun>,
    /// The file as it is. What the store has been told of it is in the ledger.
    pub(super) file: FileRecord,
    pub(super) ledger: Ledger,
    /// The job's own request headers, if they are for the origin of the file's remote name.
    pub(super) headers: Arc<HeaderMap>,
    pub(super) directory: Arc<Directory>,
    pub(super) directive: watch::Receiver<Directive>,
    pub(super) active: Arc<ActiveFile>,
    /// Open once bytes are written, or have been by an earlier attempt.
    pub(super) part: Option<Arc<PartFile>>,
    /// When the part file was last written, as it was found: only if nothing but what is durable was in it.
    pub(super) modified: Option<Modified>,
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
            headers: if file.headers_withheld { Arc::default() } else { headers },
            file,
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
        let mut driven = self.drive().await;
        if driven.is_err()
            && let Err(worse) = self.settle().await
        {
            driven = Err(worse);
        }
        match driven {
            Ok(None) => Ending::Finished,
            Ok(Some(body)) => Ending::Small(Box::new(SmallFile::new(self, body))),
            Err(Interruption::Halted) => Ending::Stopped,
            Err(Interruption::Failed(error)) => Ending::Failed(self.failure(&error)),
        }
    }

    /// The bytes of a small file that is to be made durable; none if the file is finished.
    async fn drive(&mut self) -> Result<Option<Bytes>, Interruption> {
        if self.run.terms.dynamic_content && !self.file.ranges.is_empty() {
            return Err(FileError::DynamicRanges.into());
        }
        self.run.choose_origin(self.file.remote_name.origin()).await?;
        loop {
            if self.file.durable > 0 && self.part.is_none() {
                self.reopen().await?;
            }
            let outcome = match self.plan() {
                Plan::Complete => Outcome::Complete,
                Plan::Whole => self.ask(Asked::Whole, None).await?,
                Plan::First { part, sequel } => self.ask(Asked::First { part, sequel }, None).await?,
                Plan::Rest { part, keep, if_range } => {
                    let known = self.file.version.clone().unwrap_or_default();
                    self.ask(Asked::Rest { part, known: &known, keep }, if_range.as_deref()).await?
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
            held: self.ledger.written,
            version: self.file.version.as_ref(),
            ranges: &self.file.ranges,
            remote_name: if self.file.repointed { RemoteName::Repointed } else { RemoteName::Same },
            digest: if self.file.digest.is_some() { Digest::Given } else { Digest::None },
            content: if self.run.terms.dynamic_content { Content::Dynamic } else { Content::Static },
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
        let total = self.file.bytes_total();
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
                self.recharge(size)?;
                // A report would also say that the new remote name has been found to serve these bytes.
                if !self.file.repointed {
                    self.checkpoint(size, None).await?;
                }
            }
            Reopened::Shorter(..) | Reopened::Damaged => return self.restart(RestartReason::PartFileDamaged).await,
        }
        self.ledger.name_is_durable = true;
        self.holds(self.file.durable);
        self.active.set_done(self.file.durable);
        self.active.set_durable(self.file.durable);
        self.active.set_total(total);
        Ok(())
    }
}

/// Waits until the task is to stop, in whatever way: nothing is lost by stopping at once where this is called.
pub(super) async fn halted(directive: &mut watch::Receiver<Directive>) {
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
