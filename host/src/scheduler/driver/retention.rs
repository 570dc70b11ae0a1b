//! Removes what is no longer kept: final jobs and old events, at the start and from time to time, a few rows at a time.
//!
//! A task of its own beside the driver: between two of its small transactions the driver's batches are committed. What a crash interrupts
//! goes on with the next start.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Published;
use crate::clock::Now;
use crate::store::{PruneLimits, Store};

/// How long the store keeps what is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Milliseconds for which a final job can be read. 7 days: a week's work can be looked up.
    pub final_jobs_ms: u64,
    /// Milliseconds for which events are kept. 30 days: a reader may come back after a holiday.
    pub events_ms: u64,
    /// Events that are kept at most: a million take some 200 MiB.
    pub events_rows_max: u64,
    /// Milliseconds between two looks. An hour: nothing is kept much longer than it should be.
    pub interval_ms: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            final_jobs_ms: 7 * 86_400_000,
            events_ms: 30 * 86_400_000,
            events_rows_max: 1_000_000,
            interval_ms: 3_600_000,
        }
    }
}

/// Handle of the task.
#[derive(Debug)]
pub(super) struct Retention {
    stop_tx: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Retention {
    pub(super) fn start(config: RetentionConfig, store: Store, published: Arc<Published>) -> Self {
        let (stop_tx, stop_rx) = watch::channel(());
        #[expect(clippy::disallowed_methods, reason = "the handle owns the task and `stop` joins it")]
        let task = tokio::spawn(run(config, store, published, stop_rx));
        Self { stop_tx, task }
    }

    /// Ends the task, after the transaction that it has begun.
    pub(super) async fn stop(self) {
        drop(self.stop_tx);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that removes what is no longer kept ended abnormally");
        }
    }
}

async fn run(config: RetentionConfig, store: Store, published: Arc<Published>, mut stop_rx: watch::Receiver<()>) {
    loop {
        while let Some(true) = prune(&config, &store, &published).await {
            if stop_rx.has_changed().is_err() {
                return;
            }
        }
        tokio::select! {
            // The sender only ever goes.
            _stopped = stop_rx.changed() => return,
            () = tokio::time::sleep(Duration::from_millis(config.interval_ms.max(1))) => {}
        }
    }
}

/// One transaction. Whether there is more to remove; none if the store cannot be written, which is then tried again at the next look.
async fn prune(config: &RetentionConfig, store: &Store, published: &Published) -> Option<bool> {
    let now = Now::read().wall;
    let limits = PruneLimits {
        jobs_before: crate::clock::UnixMillis(now.0.saturating_sub(config.final_jobs_ms)),
        events_before: crate::clock::UnixMillis(now.0.saturating_sub(config.events_ms)),
        events_max: config.events_rows_max,
    };
    match store.prune(limits).await {
        Ok(pruned) => {
            for job in &pruned.jobs {
                published.remove(*job);
            }
            Some(pruned.more)
        }
        Err(error) => {
            tracing::warn!(%error, "could not remove what is no longer kept; it is tried again later");
            None
        }
    }
}
