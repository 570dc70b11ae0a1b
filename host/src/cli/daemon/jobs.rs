//! `job list`, `show`, and the commands that change the state of jobs.

use super::arguments::{Format, ListArguments};
use super::job_id::{resolve, short};
use super::properties::notify_text;
use super::table::{self, Column, Listing, Row, local_time, number, text, where_it_fits};
use super::{Session, names};
use crate::api::wire::{JobProgress, JobView, Seconds};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::waiting_for;
use crate::cli::printer::Tone;
use crate::cli::units::{bytes, files, millis};
use crate::client::{ClientError, JobFilter, priority_name};
use crate::job::{JobId, Redirects};

/// Jobs asked for at once.
const PAGE: u32 = 500;

/// The columns of a list of jobs.
const COLUMNS: [Column; 8] = [
    text("ID"),
    text("STATE"),
    where_it_fits(text("PRIORITY")),
    number("DONE"),
    number("SIZE"),
    where_it_fits(number("FILES")),
    text("NAME"),
    text("WHY"),
];

impl Row for JobView {
    type Json = Self;

    fn cells(&self) -> Vec<String> {
        let JobProgress { bytes_total, files_total, files_transferred, .. } = self.progress;
        vec![
            short(self.id),
            self.state.name().to_owned(),
            priority_name(self.priority).to_owned(),
            done(&self.progress),
            bytes_total.map_or_else(|| "?".to_owned(), bytes),
            format!("{files_transferred}/{files_total}"),
            self.display_name.clone(),
            why(self),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let JobProgress { bytes_total, bytes_transferred, files_total, files_transferred } = self.progress;
        vec![
            self.id.to_string(),
            self.state.name().to_owned(),
            priority_name(self.priority).to_owned(),
            bytes_transferred.to_string(),
            bytes_total.map(|total| total.to_string()).unwrap_or_default(),
            files_transferred.to_string(),
            files_total.to_string(),
            self.created_at.to_string(),
            self.display_name.clone(),
            why(self),
        ]
    }

    fn json(&self) -> &Self {
        self
    }
}

/// Percent where the whole is known, else bytes.
fn done(progress: &JobProgress) -> String {
    match progress.bytes_total {
        Some(0) => "100 %".to_owned(),
        Some(total) => format!("{} %", u128::from(progress.bytes_transferred.min(total)) * 100 / u128::from(total)),
        None => bytes(progress.bytes_transferred),
    }
}

/// Why it does not move, in a few words.
fn why(job: &JobView) -> String {
    match (&job.error, &job.waiting_on) {
        (Some(error), Some(waiting)) if waiting.code == "retry_delay" => {
            format!("{}: {}", waiting_for(&waiting.code), names::error_text(error))
        }
        (_, Some(waiting)) if waiting.detail.is_empty() => waiting_for(&waiting.code).to_owned(),
        (_, Some(waiting)) => format!("{}: {}", waiting_for(&waiting.code), waiting.detail),
        (Some(error), None) => names::error_text(error),
        (None, None) => String::new(),
    }
}

const fn redirects(redirects: Redirects) -> &'static str {
    match redirects {
        Redirects::Allow => "allow",
        Redirects::Report => "report",
        Redirects::Disallow => "disallow",
    }
}

/// `job list`.
pub(super) async fn list(session: &Session<'_>, arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let filter = JobFilter {
        states: arguments.state.clone(),
        priority: arguments.priority.map(Into::into),
        label: arguments.label.clone(),
        limit: Some(PAGE),
    };
    let mut listing = Listing::new(session.format, &COLUMNS, session.printer);
    let mut cursor = None;
    loop {
        let page = session.client.jobs(&filter, cursor.as_deref()).await?;
        listing.page(page.jobs);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    listing.end("there are no such jobs");
    Ok(ExitCode::Success)
}

/// `job show`.
pub(super) async fn show(session: &Session<'_>, job: &str) -> Result<ExitCode, Failure> {
    let id = resolve(session, job).await?;
    let job = session.client.job(id).await?.value;
    table::print_one(session.format, &pairs(&job), &job, session.printer);
    Ok(ExitCode::Success)
}

fn pairs(job: &JobView) -> Vec<(&'static str, String)> {
    let seconds = |duration: Seconds| millis(duration.to_millis().unwrap_or(u64::MAX));
    let JobProgress { bytes_total, bytes_transferred, files_total, files_transferred } = job.progress;
    let size = bytes_total.map_or_else(|| "an unknown size".to_owned(), bytes);
    let labels: Vec<_> = job.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let yes = |holds: bool| (if holds { "yes" } else { "no" }).to_owned();
    let time = |time: Option<_>| time.map(local_time).unwrap_or_default();
    let until = job.waiting_on.as_ref().and_then(|waiting| waiting.until);
    vec![
        ("id", job.id.to_string()),
        ("name", job.display_name.clone()),
        ("description", job.description.clone()),
        ("owner", job.owner.clone()),
        ("state", job.state.name().to_owned()),
        ("waiting on", job.waiting_on.as_ref().map(|_| why(job)).unwrap_or_default()),
        ("until", time(until)),
        ("error", job.error.as_ref().map(names::error_text).unwrap_or_default()),
        (
            "progress",
            format!("{} of {size}, {files_transferred} of {}", bytes(bytes_transferred), files(files_total.into())),
        ),
        ("priority", priority_name(job.priority).to_owned()),
        ("minimum retry delay", seconds(job.minimum_retry_delay)),
        ("no progress timeout", seconds(job.no_progress_timeout)),
        ("maximum download time", seconds(job.maximum_download_time)),
        ("parallel files", job.parallel_files.to_string()),
        ("cost flags", job.cost_flags.clone()),
        ("auto complete", yes(job.auto_complete)),
        ("overwrite", yes(job.overwrite)),
        ("notify", notify_text(&job.notify_flags)),
        ("minimum notification interval", seconds(job.minimum_notification_interval)),
        ("dynamic content", yes(job.dynamic_content)),
        ("high performance", yes(job.high_performance)),
        ("maximum download size", job.maximum_download_size.map(bytes).unwrap_or_default()),
        ("redirects", redirects(job.redirects).to_owned()),
        ("redirects to http", yes(job.redirects_to_http)),
        ("headers write-only", yes(job.headers_write_only)),
        ("labels", labels.join(", ")),
        ("policies", job.policies.join(", ")),
        ("created", local_time(job.created_at)),
        ("started", time(job.started_at)),
        ("last progress", time(job.last_progress_at)),
        ("transferred", time(job.transferred_at)),
        ("failed attempts", job.error_count.to_string()),
        ("repairs by policies", job.recoveries.to_string()),
    ]
}

/// Does the same to each job. One that fails does not keep the others from it; the first failure is the exit code.
pub(super) async fn each(
    session: &Session<'_>,
    jobs: &[String],
    call: impl AsyncFn(JobId) -> Result<JobView, ClientError>,
) -> Result<ExitCode, Failure> {
    let mut failed = None;
    for text in jobs {
        let result = async { Ok::<_, Failure>(call(resolve(session, text).await?).await?) }.await;
        match result {
            Ok(job) => brief(session, &job),
            Err(failure) => fail(session, text, failure, &mut failed),
        }
    }
    Ok(failed.unwrap_or(ExitCode::Success))
}

/// `job complete`.
pub(super) async fn complete(session: &Session<'_>, jobs: &[String]) -> Result<ExitCode, Failure> {
    let mut failed = None;
    for text in jobs {
        let result = async { Ok::<_, Failure>(session.client.complete(resolve(session, text).await?).await?) }.await;
        match result {
            Ok(completed) => {
                match session.format {
                    Format::Json => session.printer.json(&completed),
                    Format::Table | Format::Tsv => brief(session, &completed.job),
                }
                if completed.partial {
                    session.printer.note(Tone::Warning, what_was_there(&completed.job));
                    failed.get_or_insert(ExitCode::Incomplete);
                }
            }
            Err(failure) => fail(session, text, failure, &mut failed),
        }
    }
    Ok(failed.unwrap_or(ExitCode::Success))
}

fn what_was_there(JobView { id, progress, .. }: &JobView) -> String {
    let JobProgress { files_total, files_transferred, .. } = *progress;
    let total = files(files_total.into());
    format!("{id}: {files_transferred} of {total} had been finished and got names; what the others had is dropped")
}

fn fail(session: &Session<'_>, job: &str, failure: Failure, failed: &mut Option<ExitCode>) {
    session.printer.error(format_args!("{job}: {}", failure.message));
    if session.format == Format::Json {
        session.printer.json(&crate::cli::get::failure_line(&failure));
    }
    failed.get_or_insert(failure.code);
}

/// A job after a change: which, and its state.
pub(super) fn brief(session: &Session<'_>, job: &JobView) {
    match session.format {
        Format::Table => session.printer.result(format_args!("{}  {}", short(job.id), job.state.name())),
        Format::Tsv => session.printer.fields(&[job.id.to_string(), job.state.name().to_owned()]),
        Format::Json => session.printer.json(job),
    }
}
