//! Finds the job of an earlier run, or creates it.

use super::content::Content;
use super::origin::Origin;
use super::place::Place;
use crate::cli::failure::Failure;
use crate::cli::get::{finished, of_command};
use crate::cli::store::failure as of_store;
use crate::host::Host;
use crate::job::{Direction, FileIndex, FileSpec, JobId, JobRecord, JobSpec, Properties, RequestHeaders, SafeUrl};
use crate::scheduler::Command;

/// From a transient error to the next attempt: as the origin's Retry-After, and long enough to be seen.
const MINIMUM_RETRY_DELAY_MS: u64 = 1000;

/// The job of a run.
#[derive(Debug)]
pub(super) struct Taken {
    /// As it is at the begin; final if there is nothing left to do.
    pub record: JobRecord,
    /// Whether an earlier run created it.
    pub resumed: bool,
    /// Whether its file was given another remote name.
    pub repointed: bool,
    /// The last event of earlier runs.
    pub last_event: u64,
}

/// Finds the job, and tells it where the origin is now; or creates it.
pub(super) async fn take_up(host: &Host, content: Content, place: &Place, origin: &Origin) -> Result<Taken, Failure> {
    let reader = host.reader().map_err(|error| of_store(&error))?;
    let last_event = reader.counts().map_err(|error| of_store(&error))?.events;
    if let Some(snapshot) = host.jobs().into_iter().next() {
        let repointed = repoint(host, snapshot.record.id, origin).await?;
        return Ok(Taken { record: (*snapshot.record).clone(), resumed: true, repointed, last_event });
    }
    if let Some(record) = finished(&reader).map_err(|error| of_store(&error))? {
        return Ok(Taken { record, resumed: true, repointed: false, last_event });
    }
    let file = FileSpec {
        remote_name: origin.url().clone(),
        local_name: place.local_name.clone(),
        // None is given: when the address changes, the bytes are kept by what the origins say of the file (length, ETag,
        // Last-Modified), and the digest that the demo takes at the end proves it from outside.
        digest: None,
        ranges: Vec::new(),
    };
    let spec = JobSpec {
        display_name: format!("demo, seed {}", content.seed()),
        description: String::new(),
        owner: format!("uid:{}", rustix::process::getuid().as_raw()),
        direction: Direction::Download,
        properties: Properties {
            minimum_retry_delay_ms: MINIMUM_RETRY_DELAY_MS,
            auto_complete: true,
            ..Properties::default()
        },
        labels: vec![("seed".into(), content.seed().to_string())],
        policies: Vec::new(),
        headers: RequestHeaders::default(),
        headers_write_only: false,
    };
    let record = host.create(spec, vec![file]).await.map_err(|error| of_command(&error))?;
    Ok(Taken { record, resumed: false, repointed: false, last_event })
}

/// Gives the file of an earlier run the address that the origin has now, as an application does whose server moved: the
/// bytes are kept if length, ETag and Last-Modified are the same there. What was repaired stays repaired.
///
/// The alternative, to ask for the ports of the earlier run, fails whenever another process has one of them by now.
async fn repoint(host: &Host, job: JobId, origin: &Origin) -> Result<bool, Failure> {
    let file = FileIndex(0);
    let reader = host.reader().map_err(|error| of_store(&error))?;
    let Some(record) = reader.file(job, file).map_err(|error| of_store(&error))? else { return Ok(false) };
    let path = |url: &SafeUrl| url.expose().path().to_owned();
    let is_at_mirror = path(&record.remote_name) == path(origin.mirror_url());
    let remote_name = if is_at_mirror { origin.mirror_url() } else { origin.url() };
    if record.remote_name == *remote_name {
        return Ok(false);
    }
    let command = Command::SetRemoteName { job, file, remote_name: remote_name.clone() };
    host.command(command).await.map_err(|error| of_command(&error))?;
    Ok(true)
}
