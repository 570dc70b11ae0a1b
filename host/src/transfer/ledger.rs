//! What is reported of a file, and in which order: durable bytes, restarts, the end.
//!
//! A file begins again only once the store has recorded that nothing of it is durable: bytes of a new version must never lie
//! below an offset that is recorded for the old one, or a crash in between would join the two.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::accept::BodyLength;
use super::context::{Checkpoints, Halted, blocking};
use super::digest::Modified;
use super::error::FileError;
use super::failure::failure;
use super::file_task::{FileTask, Interruption};
use super::part_file::{self, PartFile};
use super::pump::PumpEnd;
use crate::job::{Failure, FileRecord, Integrity, RestartReason, Sha256};
use crate::scheduler::{FileProgress, Report};

/// Restarts of one file after which it counts as one that does not stand still (design.md section 3).
const RESTARTS_MAX: u32 = 5;
/// Restarts for a digest that does not match; the next mismatch is the error (faults.md section 4, item 6).
const DIGEST_RESTARTS_MAX: u32 = 2;
/// How long the store may take to record a restart. One that takes longer is in trouble, and the attempt ends.
const RECORDED_TIMEOUT: Duration = Duration::from_secs(30);

/// What the store has been told of a file, and what counts against it in this attempt.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Durable bytes by the last report.
    pub(super) durable: u64,
    /// The size counted for it.
    pub(super) total: Option<u64>,
    /// Bytes that are in the part file, durable or not: where the next ones go.
    pub(super) written: u64,
    /// How many of them are durable.
    pub(super) synced: u64,
    /// When the next checkpoint is due, if bytes are not durable yet.
    pub(super) due_at: Option<Instant>,
    /// What the job's budget has for it.
    charged: u64,
    /// The name of the part file has been synced.
    pub(super) name_is_durable: bool,
    /// The size is what was received, not what the origin said.
    pub(super) length_is_unstated: bool,
    digest_restarts: u32,
    failed_syncs: u32,
}

impl Ledger {
    pub(crate) fn of(file: &FileRecord) -> Self {
        Self {
            durable: file.durable,
            total: file.bytes_total(),
            written: file.durable,
            synced: file.durable,
            due_at: None,
            charged: file.durable,
            name_is_durable: false,
            length_is_unstated: false,
            digest_restarts: 0,
            failed_syncs: 0,
        }
    }
}

impl FileTask {
    /// Reports what is durable now.
    pub(super) async fn checkpoint(&mut self, durable: u64, hash_state: Option<Vec<u8>>) -> Result<(), Halted> {
        let (durable_before, bytes_total_before) = (self.ledger.durable, self.ledger.total);
        let (progress, new_bytes) = self.progress(durable, hash_state);
        self.run.report(Report::Checkpoint { progress, new_bytes, durable_before, bytes_total_before }).await
    }

    /// Notes that so many bytes are durable: what a report says, and by how much the high-water mark rises.
    fn progress(&mut self, durable: u64, hash_state: Option<Vec<u8>>) -> (FileProgress, u64) {
        let version = self.file.version.clone().unwrap_or_default();
        let new_bytes = durable.saturating_sub(self.file.high_water);
        self.file.high_water = self.file.high_water.max(durable);
        self.file.durable = durable;
        self.file.hash_state.clone_from(&hash_state);
        self.ledger.durable = durable;
        self.ledger.synced = durable;
        self.ledger.total = self.file.bytes_total();
        self.active.set_durable(durable);
        let (file, remote_name) = (self.file.index, Box::new(self.file.remote_name.clone()));
        let (bytes_total, part) = (self.ledger.total, self.file.part);
        (FileProgress { file, remote_name, durable, version, bytes_total, part, hash_state }, new_bytes)
    }

    /// The part file has so many bytes, all of them durable.
    pub(super) const fn holds(&mut self, bytes: u64) {
        self.ledger.written = bytes;
        self.ledger.synced = bytes;
        self.ledger.due_at = None;
    }

    /// Has the job's budget count so many bytes for the file, unless it counts more: for its size, where that is known.
    pub(super) fn charge(&mut self, bytes: u64) -> Result<(), FileError> {
        if bytes > self.ledger.charged { self.recharge(bytes) } else { Ok(()) }
    }

    /// Has the budget count so many bytes for the file, in place of those that it counts.
    pub(super) fn recharge(&mut self, bytes: u64) -> Result<(), FileError> {
        self.run.budget.recount(self.ledger.charged, bytes)?;
        self.ledger.charged = bytes;
        Ok(())
    }

    /// What follows the end of a pump. True: the body came to its end, and with it the file.
    pub(super) async fn after_pump(&mut self, end: PumpEnd) -> Result<bool, Interruption> {
        match end {
            PumpEnd::Ended { written, length } => {
                self.ledger.written = written;
                match (self.file.bytes_total(), length) {
                    (Some(total), _) => Ok(total == written),
                    // Less than was asked for, as an origin may give, the end of a range, or a range that does not say whether more follows.
                    // The next request asks for that.
                    (None, BodyLength::Exactly(_)) => Ok(false),
                    (None, BodyLength::Chunked | BodyLength::UntilClose) => {
                        self.file.version.get_or_insert_default().bytes_total = Some(written);
                        self.ledger.length_is_unstated = true;
                        Ok(true)
                    }
                }
            }
            PumpEnd::Overlong => {
                self.restart(RestartReason::RangeIgnored).await?;
                Ok(false)
            }
            PumpEnd::SyncFailed(error) => {
                self.after_failed_sync(error)?;
                Ok(false)
            }
            PumpEnd::Halted { written } => {
                self.ledger.written = written;
                Err(Interruption::Halted)
            }
            PumpEnd::Failed { written, error } => {
                self.ledger.written = written;
                Err(error.into())
            }
        }
    }

    /// The transfer stops before the file is whole: makes durable what was written, and reports it, if that is of use later.
    pub(super) async fn settle(&mut self) -> Result<(), Interruption> {
        let written = self.ledger.written;
        if self.run.checkpoints() == Checkpoints::Never {
            return Ok(self.discard_part().await?);
        }
        if written == self.ledger.synced {
            return Ok(());
        }
        match self.sync().await {
            Ok(modified) => {
                let hash_state = self.hasher.as_ref().map(|hasher| hasher.state(modified));
                Ok(self.checkpoint(written, hash_state).await?)
            }
            Err(error) => self.after_failed_sync(error),
        }
    }

    /// Nobody would go on with it: it would only take its space.
    async fn discard_part(&mut self) -> Result<(), FileError> {
        if self.part.take().is_none() {
            return Ok(());
        }
        let (directory, name) = (Arc::clone(&self.directory), self.run.part_name(&self.file));
        blocking(move || part_file::remove(&directory, &name)).await
    }

    async fn sync(&mut self) -> Result<Modified, FileError> {
        let part = Arc::clone(self.part.as_ref().expect("what was written was written to it"));
        let name_is_durable = self.ledger.name_is_durable;
        let modified = blocking(move || sync_part(&part, name_is_durable)).await?;
        self.ledger.name_is_durable = true;
        Ok(modified)
    }

    /// Whatever was written since the last checkpoint may be lost, and the system will not say so again. The file goes on from
    /// that checkpoint, once.
    fn after_failed_sync(&mut self, error: FileError) -> Result<(), Interruption> {
        self.ledger.failed_syncs += 1;
        self.part = None;
        self.hasher = None;
        self.holds(self.file.durable);
        self.active.set_done(self.file.durable);
        if self.ledger.failed_syncs > 1 { Err(error.into()) } else { Ok(()) }
    }

    /// Gives up what is durable, and waits until that is recorded.
    pub(super) async fn restart(&mut self, reason: RestartReason) -> Result<(), Interruption> {
        self.check_restarts(reason)?;
        let (bytes_discarded, bytes_total_before) = (self.ledger.durable, self.ledger.total);
        let file = self.file.index;
        self.run.report(Report::FileRestarted { file, reason, bytes_discarded, bytes_total_before }).await?;
        self.file.restarts += 1;
        self.file.durable = 0;
        self.file.high_water = 0;
        self.file.version = None;
        self.file.hash_state = None;
        self.file.part = None;
        self.file.repointed = false;
        self.ledger.durable = 0;
        self.holds(0);
        self.ledger.total = None;
        self.recharge(0)?;
        self.ledger.length_is_unstated = false;
        self.part = None;
        self.hasher = None;
        self.server_digest = None;
        self.mixed_origins = false;
        self.active.set_done(0);
        self.active.set_durable(0);
        self.active.set_total(None);
        self.restart_is_recorded().await
    }

    /// Whether the file may begin again for this reason.
    fn check_restarts(&self, reason: RestartReason) -> Result<(), FileError> {
        let restarts = self.file.restarts;
        if restarts < RESTARTS_MAX {
            return Ok(());
        }
        match reason {
            RestartReason::RemoteFileChanged => Err(FileError::RemoteFileChanged { restarts }),
            RestartReason::RangeIgnored | RestartReason::NoValidator => Err(FileError::NoRangeSupport { restarts }),
            // These do not come from an origin that does not stand still. Mismatches are counted where they are found.
            RestartReason::PartFileDamaged
            | RestartReason::DigestMismatch
            | RestartReason::Repointed
            | RestartReason::Requested
            | RestartReason::ValidationFailed => Ok(()),
        }
    }

    async fn restart_is_recorded(&mut self) -> Result<(), Interruption> {
        let deadline = Instant::now() + RECORDED_TIMEOUT;
        let mut pause = Duration::from_millis(1);
        loop {
            let (context, job, file) = (Arc::clone(&self.run.context), self.run.job, self.file.index);
            let row = blocking(move || context.files.file(job, file)).await?;
            if row.is_some_and(|row| row.restarts >= self.file.restarts) {
                return Ok(());
            }
            if self.directive.borrow().halt.is_some() {
                return Err(Interruption::Halted);
            }
            if Instant::now() >= deadline {
                return Err(FileError::Store { detail: "a restart was not recorded in time".to_owned() }.into());
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Compares with the digest that is wanted. False: the file begins again.
    pub(super) async fn verify(&mut self, found: Sha256) -> Result<bool, Interruption> {
        let Some(wanted) = self.wanted_digest().filter(|wanted| *wanted != found) else { return Ok(true) };
        // Bytes of two origins prove nothing against either: the first mismatch after that does not count.
        if !std::mem::take(&mut self.mixed_origins) {
            if self.ledger.digest_restarts == DIGEST_RESTARTS_MAX || self.file.restarts >= RESTARTS_MAX {
                let (wanted, found) = (wanted.to_string(), found.to_string());
                return Err(FileError::DigestMismatch { wanted, found }.into());
            }
            self.ledger.digest_restarts += 1;
        }
        self.restart(RestartReason::DigestMismatch).await?;
        Ok(false)
    }

    /// Verifies a file that has all its bytes, makes it durable and reports it. False: it goes on.
    pub(super) async fn finish(&mut self) -> Result<bool, Interruption> {
        if self.wanted_digest().is_some() {
            self.prepare_hasher(None).await?;
            if let Some(hasher) = self.hasher.clone()
                && !self.verify(hasher.finish()).await?
            {
                return Ok(false);
            }
        }
        let total = self.file.bytes_total().unwrap_or(self.ledger.written);
        if let Err(error) = self.sync().await {
            self.after_failed_sync(error)?;
            return Ok(false);
        }
        self.report_finished(total).await?;
        Ok(true)
    }

    /// Reports that the file is whole, durable and verified.
    pub(super) async fn report_finished(&mut self, bytes: u64) -> Result<(), Halted> {
        let integrity = self.integrity();
        let (durable_before, sized_before) = (self.ledger.durable, self.ledger.total.is_some());
        let (progress, new_bytes) = self.progress(bytes, None);
        self.run.progress.finished();
        self.run.report(Report::FileFinished { progress, new_bytes, durable_before, integrity, sized_before }).await
    }

    fn integrity(&self) -> Integrity {
        match (self.file.digest, self.server_digest) {
            (Some(_), _) => Integrity::ClientDigest,
            (None, Some(_)) => Integrity::ServerDigest,
            (None, None) if self.ledger.length_is_unstated => Integrity::Unverified,
            (None, None) => Integrity::LengthOnly,
        }
    }

    /// The failure of the file as it was last reported; but of a length that is not, too: who finds the disk full before the first
    /// checkpoint waits for as much space as the file needs.
    pub(super) fn failure(&mut self, error: &FileError) -> Box<Failure> {
        let mut failure = failure(&self.file, error, std::mem::take(&mut self.circumstances));
        if let Some(summary) = &mut failure.file {
            summary.durable = self.ledger.durable;
            summary.bytes_total = self.ledger.total.or(summary.bytes_total);
        }
        failure
    }
}

/// Makes bytes durable, and the name under which they lie. Returns when the file was last written, before the sync. Blocks.
pub(super) fn sync_part(part: &PartFile, name_is_durable: bool) -> Result<Modified, FileError> {
    let modified = part.modified()?;
    part.sync()?;
    if !name_is_durable {
        part.sync_name()?;
    }
    Ok(modified)
}
