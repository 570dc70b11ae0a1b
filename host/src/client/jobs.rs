//! The operations on jobs and their files.

use http::Method;
use http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::request::{ENDING_TIMEOUT, Repeat, Request};
use super::{Client, ClientError, EntityTag, Tagged};
use crate::api::wire::{
    CompletedJob, DecisionPage, ErrorView, FilePage, FilePatch, FileView, JobHeaders, JobHeadersView, JobPage,
    JobPatch, JobProgress, JobStateView, JobView, JobWhy, NewFile, NewFiles, NewJob, PrefixReplaced, PrefixReplacement,
    ResponseHeadersView,
};
use crate::job::{FileVerdict, JobId, JobState, Priority, Redirects};

/// What makes a repeated creation the same one. The daemon answers the second with the job of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(HeaderValue);

impl IdempotencyKey {
    /// A key that nobody else has.
    #[must_use]
    pub fn draw() -> Self {
        Self::from(Uuid::now_v7())
    }
}

impl From<Uuid> for IdempotencyKey {
    /// A key that the application keeps, so that its creation is the same one after it was killed itself.
    fn from(key: Uuid) -> Self {
        Self(HeaderValue::try_from(key.to_string()).expect("hexadecimal digits and hyphens are visible ASCII"))
    }
}

/// Which jobs are listed. `Default`: all that are not final.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In one of these states, as reported; any if empty.
    pub states: Vec<JobState>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// With this label of this value.
    pub label: Option<(String, String)>,
    /// At most so many on a page; the daemon's default if left out.
    pub limit: Option<u32>,
}

impl NewJob {
    /// A download with every property at its default, SUSPENDED and without files.
    #[must_use]
    pub fn download() -> Self {
        Self {
            direction: crate::job::Direction::Download,
            display_name: String::new(),
            priority: Priority::default(),
            files: Vec::new(),
            minimum_retry_delay: None,
            no_progress_timeout: None,
            maximum_download_time: None,
            parallel_files: None,
            cost_flags: None,
            auto_complete: false,
            overwrite: false,
            resume: false,
            labels: std::collections::BTreeMap::new(),
            policies: Vec::new(),
            description: String::new(),
            notify_flags: None,
            minimum_notification_interval: None,
            dynamic_content: false,
            high_performance: false,
            maximum_download_size: None,
            redirects: Redirects::default(),
            redirects_to_http: false,
            headers: std::collections::BTreeMap::new(),
            headers_write_only: false,
        }
    }
}

impl Client {
    /// Creates a job with its first files. Durable when this returns. A key is drawn, so that a repetition after a broken connection
    /// creates nothing twice.
    pub async fn create(&self, job: &NewJob) -> Result<JobView, ClientError> {
        self.create_once(job, &IdempotencyKey::draw()).await
    }

    /// The same under a key of the application's own.
    pub async fn create_once(&self, job: &NewJob, key: &IdempotencyKey) -> Result<JobView, ClientError> {
        let name = HeaderName::from_static("idempotency-key");
        let request = Request::post("/v1/jobs").json(job).header(name, key.0.clone()).repeat(Repeat::Allowed);
        self.transport.send(request).await?.json()
    }

    /// A page of jobs, oldest first; from the begin without a cursor.
    pub async fn jobs(&self, filter: &JobFilter, cursor: Option<&str>) -> Result<JobPage, ClientError> {
        let JobFilter { states, priority, label, limit } = filter;
        let request = Request::get("/v1/jobs")
            .query("state", states.iter().map(|state| state.name()))
            .query("priority", priority.map(priority_name))
            .query("label", label.as_ref().map(|(name, value)| format!("{name}={value}")))
            .query("limit", *limit)
            .query("cursor", cursor);
        self.transport.send(request).await?.json()
    }

    /// The job, and the version of it that [`Client::modify`] may be bound to.
    pub async fn job(&self, job: JobId) -> Result<Tagged<JobView>, ClientError> {
        self.transport.send(Request::get(path(job, ""))).await?.tagged()
    }

    /// Changes properties; with a tag only if the job is still that version (else the problem's status is 412).
    pub async fn modify(
        &self,
        job: JobId,
        patch: &JobPatch,
        only_if: Option<&EntityTag>,
    ) -> Result<JobView, ClientError> {
        let request = Request::new(Method::PATCH, path(job, "")).json(patch).repeat(Repeat::Allowed).if_match(only_if);
        self.transport.send(request).await?.json()
    }

    /// The request headers of a job; the values are none where they are write-only.
    pub async fn headers(&self, job: JobId) -> Result<JobHeadersView, ClientError> {
        self.transport.send(Request::get(path(job, "/headers"))).await?.json()
    }

    /// Sets all request headers of a job, in place of those that it has; in force from the next attempt. Those that came with a job are
    /// in [`NewJob::headers`].
    pub async fn set_headers(
        &self,
        job: JobId,
        headers: std::collections::BTreeMap<String, String>,
    ) -> Result<JobHeadersView, ClientError> {
        let request = Request::new(Method::PUT, path(job, "/headers")).json(&JobHeaders { headers });
        self.transport.send(request).await?.json()
    }

    /// Adds files. Not repeated on a broken connection: they would be there twice.
    pub async fn add_files(&self, job: JobId, files: Vec<NewFile>) -> Result<JobView, ClientError> {
        let request = Request::post(path(job, "/files")).json(&NewFiles { files });
        self.transport.send(request).await?.json()
    }

    /// A page of files; from the begin without a cursor.
    pub async fn files(&self, job: JobId, cursor: Option<&str>, limit: Option<u32>) -> Result<FilePage, ClientError> {
        let request = Request::get(path(job, "/files")).query("limit", limit).query("cursor", cursor);
        self.transport.send(request).await?.json()
    }

    /// One file, by its position.
    pub async fn file(&self, job: JobId, file: u32) -> Result<FileView, ClientError> {
        self.transport.send(Request::get(path(job, &format!("/files/{file}")))).await?.json()
    }

    /// Gives a file another remote name: durable at once, in force from the next attempt.
    pub async fn set_remote_name(&self, job: JobId, file: u32, remote_name: &str) -> Result<FileView, ClientError> {
        let patch = FilePatch { remote_name: Some(remote_name.to_owned()), ..FilePatch::default() };
        let request = Request::new(Method::PATCH, path(job, &format!("/files/{file}"))).json(&patch);
        self.transport.send(request.repeat(Repeat::Allowed)).await?.json()
    }

    /// Says what was found of a file that is transferred. An invalid one takes the job into ERROR, and is fetched again after resume. Not
    /// repeated on a broken connection: the file may be another one by then.
    pub async fn validate(&self, job: JobId, file: u32, verdict: FileVerdict) -> Result<FileView, ClientError> {
        let patch = FilePatch { validation_state: Some(verdict), ..FilePatch::default() };
        let request = Request::new(Method::PATCH, path(job, &format!("/files/{file}"))).json(&patch);
        self.transport.send(request).await?.json()
    }

    /// The last head that an origin answered with for a file; none if none has answered yet.
    pub async fn response_headers(&self, job: JobId, file: u32) -> Result<Option<ResponseHeadersView>, ClientError> {
        match self.transport.send(Request::get(path(job, &format!("/files/{file}/response-headers")))).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if error.code() == Some("no_response") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remote names that begin with `from` begin with `to` afterwards.
    pub async fn replace_remote_prefix(
        &self,
        job: JobId,
        replacement: &PrefixReplacement,
    ) -> Result<PrefixReplaced, ClientError> {
        let request = Request::post(path(job, "/replace-remote-prefix")).json(replacement);
        self.transport.send(request).await?.json()
    }

    /// Stops the job at its next checkpoint.
    pub async fn suspend(&self, job: JobId) -> Result<JobView, ClientError> {
        self.transport.send(Request::post(path(job, "/suspend")).repeat(Repeat::Allowed)).await?.json()
    }

    /// Lets the job run, or try again at once.
    pub async fn resume(&self, job: JobId) -> Result<JobView, ClientError> {
        self.transport.send(Request::post(path(job, "/resume")).repeat(Repeat::Allowed)).await?.json()
    }

    /// Lets the job belong to whoever asks, without its request headers. For administrators.
    pub async fn take_ownership(&self, job: JobId) -> Result<JobView, ClientError> {
        self.transport.send(Request::post(path(job, "/take-ownership")).repeat(Repeat::Allowed)).await?.json()
    }

    /// Deletes what was fetched, and ends the job.
    pub async fn cancel(&self, job: JobId) -> Result<JobView, ClientError> {
        self.transport.send(Request::post(path(job, "/cancel")).timeout(ENDING_TIMEOUT)).await?.json()
    }

    /// Gives the finished files their local names, and ends the job.
    pub async fn complete(&self, job: JobId) -> Result<CompletedJob, ClientError> {
        self.transport.send(Request::post(path(job, "/complete")).timeout(ENDING_TIMEOUT)).await?.json()
    }

    /// The state as reported, from memory: cheap enough to poll.
    pub async fn state(&self, job: JobId) -> Result<Tagged<JobStateView>, ClientError> {
        self.transport.send(Request::get(path(job, "/state"))).await?.tagged()
    }

    /// How far the job is, live.
    pub async fn progress(&self, job: JobId) -> Result<JobProgress, ClientError> {
        self.transport.send(Request::get(path(job, "/progress"))).await?.json()
    }

    /// The error object; none if the job has none (`error_information_unavailable`).
    pub async fn error(&self, job: JobId) -> Result<Option<ErrorView>, ClientError> {
        match self.transport.send(Request::get(path(job, "/error"))).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if error.code() == Some("error_information_unavailable") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of the decision log, oldest first.
    pub async fn decisions(&self, job: JobId, cursor: Option<&str>) -> Result<DecisionPage, ClientError> {
        let request = Request::get(path(job, "/decisions")).query("cursor", cursor);
        self.transport.send(request).await?.json()
    }

    /// Why the job is where it is: its last events, and the decisions behind them.
    pub async fn why(&self, job: JobId) -> Result<JobWhy, ClientError> {
        self.transport.send(Request::get(path(job, "/why"))).await?.json()
    }
}

/// The path of a job, or of something below it.
pub(super) fn path(job: JobId, below: &str) -> String {
    format!("/v1/jobs/{job}{below}")
}

/// The name of a level in the API.
pub(crate) const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::Foreground => "foreground",
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}
