//! What all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::connection::Peer;
use super::error::Refusal;
use super::metrics::Metrics;
use super::settings::ApiSettings;
use crate::access::Sight;
use crate::host::Host;
use crate::job::{JobId, JobRecord};
use crate::store::{Reader, StoreError};

/// The shared state; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct App(Arc<Shared>);

/// What the handlers work with.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    pub(super) settings: ApiSettings,
    pub(super) metrics: Metrics,
    /// The document, made once.
    pub(super) document: axum::body::Bytes,
    /// Cancelled when the server is to end: held answers and streams end then.
    pub(super) stopping: CancellationToken,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(super) fn new(
        host: Arc<Host>,
        settings: ApiSettings,
        document: axum::body::Bytes,
        stopping: CancellationToken,
    ) -> Self {
        let metrics = Metrics::new();
        Self(Arc::new(Shared { host, settings, metrics, document, stopping }))
    }

    /// Reads the store on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        Ok(self.host.read(read).await?)
    }

    /// Refuses a job that the caller does not see, as if there were none.
    pub(super) async fn check_sight(&self, peer: &Peer, job: JobId) -> Result<(), Refusal> {
        let caller = peer.caller();
        if caller.sight == Sight::All {
            return Ok(());
        }
        if caller.sees(&self.owner_of(job).await?) { Ok(()) } else { Err(Refusal::no_job(job)) }
    }

    /// Whose a job is, final or not.
    pub(super) async fn owner_of(&self, job: JobId) -> Result<String, Refusal> {
        match self.host.job(job) {
            Some(snapshot) => Ok(snapshot.record.owner.clone()),
            None => Ok(self.stored_job(job).await?.owner),
        }
    }

    /// A job that is not published: a final one, or none.
    pub(super) async fn stored_job(&self, job: JobId) -> Result<JobRecord, Refusal> {
        self.read(move |reader| reader.job(job)).await?.ok_or_else(|| Refusal::no_job(job))
    }
}
