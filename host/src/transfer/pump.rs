//! Moves a body into the part file: network, disk, hash and syncs at once, none waiting for another longer than it must.
//!
//! Bytes gather while the last batch is written and hashed on the blocking pool, and go there as one batch when it is done.
//! A sync runs beside the writes: what was written before it began is durable when it ends, and is reported then. Memory is
//! bounded by two batches, the bytes that a crash can cost by [`UNSYNCED_BYTES_MAX`].

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::accept::BodyLength;
use super::body::Body;
use super::context::{Checkpoints, joined};
use super::digest::{Hasher, Modified};
use super::error::FileError;
use super::file_task::{FileTask, Resumable, closed_early, must_halt};
use super::ledger::{Ledger, sync_part};
use super::part_file::PartFile;
use super::settings::TransferSettings;

/// Bytes that gather while a batch is written; then the socket is left alone. Two batches are all that a file holds in memory.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be written but not yet durable; then the socket is left alone until a sync ends. Four checkpoints: enough for a
/// disk that stalls for a moment, little enough to be fetched again after a crash.
const UNSYNCED_BYTES_MAX: u64 = 64 << 20;
/// Bytes below which a chunk is copied to the one before it: a server that drips must not make a list of single bytes.
const MERGED_BYTES_MAX: usize = 4 << 10;

/// What of a body is appended to the bytes that are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inflow {
    /// Bytes at the begin of the body that are there already.
    pub(crate) discard: u64,
    pub(crate) length: BodyLength,
}

/// How a pump ended. Nothing is in flight any more; what is written beyond the last checkpoint is not synced.
#[derive(Debug)]
pub(crate) enum PumpEnd {
    /// The body came to its proper end.
    Ended { written: u64, length: BodyLength },
    /// The body is longer than its range.
    Overlong,
    /// The task was told to stop.
    Halted { written: u64 },
    /// A sync failed: nothing beyond the last checkpoint is certain.
    SyncFailed(FileError),
    /// Network or disk failed.
    Failed { written: u64, error: FileError },
}

type Writing = Pin<Box<dyn Future<Output = (Result<(), FileError>, Option<Hasher>)> + Send>>;

/// A sync in flight.
struct Syncing {
    handle: JoinHandle<Result<Modified, FileError>>,
    /// What is durable when it ends.
    until: u64,
    /// The hasher as it stood there.
    hasher: Option<Hasher>,
}

/// Why no more bytes are taken.
enum Closing {
    Ended,
    Overlong,
    Halted,
    Failed(FileError),
}

/// The state of one pump.
struct Pump {
    part: Arc<PartFile>,
    hasher: Option<Hasher>,
    name_is_durable: bool,
    /// File offset behind the last byte that came.
    received: u64,
    written: u64,
    durable: u64,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    writing: Option<Writing>,
    writing_bytes: u64,
    syncing: Option<Syncing>,
    /// When the next checkpoint is due by time.
    due_at: Instant,
    checkpoints: Checkpoints,
}

impl FileTask {
    /// Moves the body.
    pub(super) async fn pump(&mut self, mut body: Body, inflow: Inflow) -> PumpEnd {
        let run = Arc::clone(&self.run);
        let settings = &run.context.settings;
        let part = self.part.clone().expect("opened or created before any body is taken");
        let mut pump = Pump::new(part, self.hasher.take(), &self.ledger, run.checkpoints(), settings);
        let mut discard = inflow.discard;
        let mut body_received = 0;
        let mut closing: Option<Closing> = None;
        let mut paid_at: Option<Instant> = None;
        let resumable = self.resumable();
        loop {
            pump.start_sync(settings);
            pump.start_write();
            if closing.is_some() && pump.is_idle() {
                break;
            }
            let may_read = closing.is_none() && paid_at.is_none() && pump.has_room();
            if !may_read {
                body.pause();
            }
            tokio::select! {
                chunk = body.next(), if may_read => match chunk {
                    Ok(Some(mut bytes)) => {
                        body_received += bytes.len() as u64;
                        if matches!(inflow.length, BodyLength::Exactly(length) if body_received > length) {
                            closing = Some(Closing::Overlong);
                            continue;
                        }
                        run.progress.received(bytes.len());
                        paid_at = run.rate_limit.charge(bytes.len(), Instant::now());
                        let skipped = discard.min(bytes.len() as u64);
                        discard -= skipped;
                        let _ = bytes.split_to(usize::try_from(skipped).expect("at most the length of a buffer"));
                        if let Err(error) = self.charge(pump.received.saturating_add(bytes.len() as u64)) {
                            closing = Some(Closing::Failed(error));
                            continue;
                        }
                        pump.take(bytes);
                        self.active.set_done(pump.received);
                        let bytes_max = settings.file_bytes_max;
                        if pump.received > bytes_max {
                            closing = Some(Closing::Failed(FileError::TooLarge { bytes: pump.received, bytes_max }));
                        }
                    }
                    Ok(None) => closing = Some(match inflow.length {
                        BodyLength::Exactly(length) if body_received < length => {
                            Closing::Failed(closed_early(body_received, length))
                        }
                        _ => Closing::Ended,
                    }),
                    Err(error) => closing = Some(Closing::Failed(error)),
                },
                (result, hasher) = written(&mut pump.writing) => {
                    if let Err(error) = pump.after_write(result, hasher) {
                        closing = Some(Closing::Failed(error));
                    }
                }
                result = synced(&mut pump.syncing) => {
                    let Syncing { until, hasher, .. } = pump.syncing.take().expect("it has just ended");
                    let modified = match result {
                        Ok(modified) => modified,
                        Err(error) => {
                            pump.drain().await;
                            return PumpEnd::SyncFailed(error);
                        }
                    };
                    let hash_state = hasher.map(|hasher| hasher.state(modified));
                    pump.durable = until;
                    pump.name_is_durable = true;
                    self.ledger.name_is_durable = true;
                    if self.checkpoint(until, hash_state).await.is_err() {
                        closing = Some(Closing::Halted);
                    }
                }
                () = sleep_until(pump.due_at), if pump.wants_timer() => {}
                () = paid(paid_at) => paid_at = None,
                changed = self.directive.changed(), if closing.is_none() => {
                    // A new ceiling: what was owed under the old one is forgiven.
                    paid_at = None;
                    if changed.is_err() || must_halt(*self.directive.borrow(), resumable) {
                        closing = Some(Closing::Halted);
                    }
                }
            }
        }
        self.hasher = pump.hasher.take();
        let written = pump.written;
        self.ledger.due_at = (written > pump.durable).then_some(pump.due_at);
        match closing.expect("the loop ends only then") {
            Closing::Ended => PumpEnd::Ended { written, length: inflow.length },
            Closing::Overlong => PumpEnd::Overlong,
            Closing::Halted => PumpEnd::Halted { written },
            Closing::Failed(error) => PumpEnd::Failed { written, error },
        }
    }

    fn resumable(&self) -> Resumable {
        if self.run.checkpoints() == Checkpoints::Never {
            return Resumable::No;
        }
        let has_validator = self.file.version.as_ref().is_some_and(|version| version.strong_validator().is_some());
        if has_validator || self.file.digest.is_some() { Resumable::Yes } else { Resumable::No }
    }
}

impl Pump {
    fn new(
        part: Arc<PartFile>,
        hasher: Option<Hasher>,
        ledger: &Ledger,
        checkpoints: Checkpoints,
        settings: &TransferSettings,
    ) -> Self {
        Self {
            part,
            hasher,
            name_is_durable: ledger.name_is_durable,
            received: ledger.written,
            written: ledger.written,
            durable: ledger.synced,
            batch: Vec::new(),
            batch_bytes: 0,
            writing: None,
            writing_bytes: 0,
            syncing: None,
            // What the body before left behind does not wait the longer for it.
            due_at: ledger.due_at.unwrap_or_else(|| Instant::now() + settings.checkpoint_interval),
            checkpoints,
        }
    }

    fn take(&mut self, bytes: Bytes) {
        self.received += bytes.len() as u64;
        self.batch_bytes += bytes.len();
        match self.batch.last_mut() {
            _ if bytes.is_empty() => {}
            Some(last) if last.len() + bytes.len() <= MERGED_BYTES_MAX => {
                *last = [&last[..], &bytes[..]].concat().into()
            }
            _ => self.batch.push(bytes),
        }
    }

    fn has_room(&self) -> bool {
        let is_bounded = self.checkpoints == Checkpoints::Regular;
        self.batch_bytes < BATCH_BYTES_MAX && (!is_bounded || self.received - self.durable < UNSYNCED_BYTES_MAX)
    }

    const fn is_idle(&self) -> bool {
        self.writing.is_none() && self.syncing.is_none() && self.batch_bytes == 0
    }

    /// Something is not durable, and no sync is under way that would look at the clock when it ends.
    fn wants_timer(&self) -> bool {
        let is_due_once = self.checkpoints == Checkpoints::Regular;
        is_due_once && self.syncing.is_none() && self.writing.is_none() && self.written > self.durable
    }

    /// Writes and hashes what has gathered, unless the batch before is still on its way.
    fn start_write(&mut self) {
        if self.writing.is_some() || self.batch_bytes == 0 {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut self.batch));
        self.writing_bytes = std::mem::take(&mut self.batch_bytes) as u64;
        let hashing = self.hasher.take().map(|mut hasher| {
            let batch = Arc::clone(&batch);
            spawn_blocking(move || {
                batch.iter().for_each(|bytes| hasher.update(bytes));
                hasher
            })
        });
        let (part, offset) = (Arc::clone(&self.part), self.written);
        let writing = spawn_blocking(move || part.write_at(&batch, offset));
        self.writing = Some(Box::pin(async move {
            let written = joined(writing).await;
            let hasher = match hashing {
                Some(hashing) => Some(joined(hashing).await),
                None => None,
            };
            (written, hasher)
        }));
    }

    /// How much of a batch that failed arrived is not known: it does not count, nor does what waits behind it, and the hasher,
    /// which has seen it all, is of no use any more.
    fn after_write(&mut self, result: Result<(), FileError>, hasher: Option<Hasher>) -> Result<(), FileError> {
        self.writing = None;
        let bytes = std::mem::take(&mut self.writing_bytes);
        if result.is_ok() {
            self.written += bytes;
            self.hasher = hasher;
        } else {
            self.drop_batch();
        }
        result
    }

    fn drop_batch(&mut self) {
        self.batch.clear();
        self.batch_bytes = 0;
    }

    /// Begins a sync when one is due. Only between writes: the hasher stands at the end of what is written then.
    fn start_sync(&mut self, settings: &TransferSettings) {
        if self.syncing.is_some() || self.writing.is_some() || self.written == self.durable {
            return;
        }
        if self.checkpoints != Checkpoints::Regular {
            return;
        }
        let now = Instant::now();
        if self.written - self.durable < settings.checkpoint_bytes && now < self.due_at {
            return;
        }
        self.due_at = now + settings.checkpoint_interval;
        let (part, name_is_durable) = (Arc::clone(&self.part), self.name_is_durable);
        let handle = spawn_blocking(move || sync_part(&part, name_is_durable));
        self.syncing = Some(Syncing { handle, until: self.written, hasher: self.hasher.clone() });
    }

    /// Waits for what is in flight, whatever comes of it.
    async fn drain(&mut self) {
        self.drop_batch();
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
    }
}

async fn written(writing: &mut Option<Writing>) -> (Result<(), FileError>, Option<Hasher>) {
    match writing {
        Some(writing) => writing.as_mut().await,
        None => pending().await,
    }
}

async fn synced(syncing: &mut Option<Syncing>) -> Result<Modified, FileError> {
    match syncing {
        Some(syncing) => joined(&mut syncing.handle).await,
        None => pending().await,
    }
}

async fn paid(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
