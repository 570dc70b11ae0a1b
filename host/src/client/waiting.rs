//! Waits for a job to change, without asking over and over: the daemon holds the answer.

use std::time::Duration;

use super::jobs::path;
use super::request::Request;
use super::{Client, ClientError, EntityTag, Tagged};
use crate::api::wire::{JobStateView, JobView};
use crate::clock::Stopwatch;
use crate::job::{JobId, JobState};

/// The longest that a daemon holds an answer.
const HOLD_MAX: Duration = Duration::from_secs(60);

impl Client {
    /// The state once it is no longer the one of `seen`; none if it still is after `hold` (at most 60 s, in whole seconds).
    pub async fn state_after(
        &self,
        job: JobId,
        seen: &EntityTag,
        hold: Duration,
    ) -> Result<Option<Tagged<JobStateView>>, ClientError> {
        self.transport.send(Request::get(path(job, "/state")).held(seen, hold.min(HOLD_MAX))).await?.if_changed()
    }

    /// The job once it is no longer the version of `seen`; none if it still is after `hold` (at most 60 s, in whole seconds).
    pub async fn job_after(
        &self,
        job: JobId,
        seen: &EntityTag,
        hold: Duration,
    ) -> Result<Option<Tagged<JobView>>, ClientError> {
        self.transport.send(Request::get(path(job, "")).held(seen, hold.min(HOLD_MAX))).await?.if_changed()
    }

    /// Waits until the job is in a state that `is_over` accepts. States in between may be missed, the last one is not.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] after `limit`. A wait for a state that the job will never reach, for example because it is suspended,
    /// ends in no other way.
    pub async fn wait(
        &self,
        job: JobId,
        limit: Duration,
        is_over: impl Fn(JobState) -> bool,
    ) -> Result<JobStateView, ClientError> {
        let waited = Stopwatch::start();
        let mut seen = self.state(job).await?;
        while !is_over(seen.value.state) {
            let left = limit.saturating_sub(waited.elapsed());
            if left.is_zero() {
                let operation = format!("GET {}", path(job, "/state"));
                return Err(ClientError::Timeout { operation, limit });
            }
            // The daemon holds for whole seconds; the last one may reach beyond the limit.
            let hold = left.max(Duration::from_secs(1));
            if let Some(changed) = self.state_after(job, &seen.tag, hold).await? {
                seen = changed;
            }
        }
        Ok(seen.value)
    }
}
