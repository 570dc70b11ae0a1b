//! The properties that `job create` and `job set` have in common: their words, and what they are on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;

use crate::api::wire::{JobPatch, NewJob, NotifyFlag, Seconds};
use crate::cli::arguments::{PriorityArgument, RedirectsArgument};
use crate::cli::failure::Failure;
use crate::cli::get::{parse_cost_flags, request_headers};
use crate::cli::{duration, size};
use crate::job::{CostFlags, FileRange, RequestHeaders, limits};

/// Properties that `create` and `set` have in common. What is left out keeps its default, or stays.
#[derive(Debug, Clone, Args)]
pub(crate) struct PropertyArguments {
    /// A text for people, at most 1,024 characters
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// The level in the queue
    #[arg(long, value_name = "P")]
    priority: Option<PriorityArgument>,

    /// From a transient error to the next attempt; D is seconds, or 500ms, 1.5s, 2m, 3h, 7d
    #[arg(long, value_name = "D", value_parser = duration::parse, allow_hyphen_values = true)]
    minimum_retry_delay: Option<Duration>,

    /// Without progress for so long, a transient error becomes final; 0: every error is final
    #[arg(long, value_name = "D", value_parser = duration::parse, allow_hyphen_values = true)]
    no_progress_timeout: Option<Duration>,

    /// That the job may spend connecting and transferring
    #[arg(long, value_name = "D", value_parser = duration::parse, allow_hyphen_values = true)]
    maximum_download_time: Option<Duration>,

    /// Files fetched at once, 1 to 64
    #[arg(short = 'j', long, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(limits::PARALLEL_FILES_MAX)))]
    parallel_files: Option<u16>,

    /// On which networks the job may run: always, not-roaming, no-surcharge, standard, unrestricted, or BITS's bits as 0x80000021
    #[arg(long, value_name = "FLAGS", value_parser = parse_cost_flags)]
    cost_flags: Option<CostFlags>,

    /// Complete the job as soon as it is transferred
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no(), require_equals = true)]
    auto_complete: Option<bool>,

    /// Replace files that stand under the local names; else they are an error, and stay
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no(), require_equals = true)]
    overwrite: Option<bool>,

    /// Which notifications are delivered, with commas between them: job-transferred, job-error, job-modification, file-transferred; disable
    /// for none, whatever else is named [default: job-transferred,job-error]
    #[arg(long, value_name = "KINDS", value_parser = parse_notify)]
    notify: Option<Notify>,

    /// Between two notifications of changes, and of progress
    #[arg(long, value_name = "D", value_parser = duration::parse, allow_hyphen_values = true)]
    minimum_notification_interval: Option<Duration>,

    /// What is served has no size, or is another each time: fetch it in one go, and from its begin after each interruption. Only before the
    /// first resume; needs --priority foreground to run, and files without ranges
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no(), require_equals = true)]
    dynamic_content: Option<bool>,

    /// Make no progress durable within a file, which begins again after a crash; for many small files. Only before the job has files
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no(), require_equals = true)]
    high_performance: Option<bool>,

    /// That all files together may have, for example 2GiB; more is an error. Only before the first resume
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    maximum_download_size: Option<u64>,

    /// What a redirect does: allow follows it, report gives the file its new address as well, disallow is an error
    #[arg(long, value_name = "R", hide_possible_values = true)]
    redirects: Option<RedirectsArgument>,

    /// Let redirects lead from https to http
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no(), require_equals = true)]
    redirects_to_http: Option<bool>,

    /// A request header, or @FILE with one a line, which keeps secrets from other users of this machine; sent to the origins of the files
    /// only. For a job that has headers, these are all
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE|@FILE")]
    headers: Vec<String>,

    /// Show the values of the headers to nobody any more; there is no way back
    #[arg(long)]
    headers_write_only: bool,
}

/// Which notifications are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notify(Vec<NotifyFlag>);

impl PropertyArguments {
    /// A new job with these properties; its headers are checked.
    pub(super) fn new_job(&self) -> Result<NewJob, Failure> {
        let new = NewJob::download();
        Ok(NewJob {
            description: self.description.clone().unwrap_or_default(),
            priority: self.priority.map_or(new.priority, Into::into),
            minimum_retry_delay: self.minimum_retry_delay.map(seconds),
            no_progress_timeout: self.no_progress_timeout.map(seconds),
            maximum_download_time: self.maximum_download_time.map(seconds),
            parallel_files: self.parallel_files,
            cost_flags: self.cost_flags.map(cost_flags),
            auto_complete: self.auto_complete.unwrap_or(new.auto_complete),
            overwrite: self.overwrite.unwrap_or(new.overwrite),
            notify_flags: self.notify.clone().map(|Notify(flags)| flags),
            minimum_notification_interval: self.minimum_notification_interval.map(seconds),
            dynamic_content: self.dynamic_content.unwrap_or(new.dynamic_content),
            high_performance: self.high_performance.unwrap_or(new.high_performance),
            maximum_download_size: self.maximum_download_size,
            redirects: self.redirects.map_or(new.redirects, Into::into),
            redirects_to_http: self.redirects_to_http.unwrap_or(new.redirects_to_http),
            headers: self.headers()?.unwrap_or_default(),
            headers_write_only: self.headers_write_only,
            ..new
        })
    }

    /// What they change of a job, its headers left out.
    pub(super) fn patch(&self) -> JobPatch {
        JobPatch {
            description: self.description.clone(),
            priority: self.priority.map(Into::into),
            minimum_retry_delay: self.minimum_retry_delay.map(seconds),
            no_progress_timeout: self.no_progress_timeout.map(seconds),
            maximum_download_time: self.maximum_download_time.map(seconds),
            parallel_files: self.parallel_files,
            cost_flags: self.cost_flags.map(cost_flags),
            auto_complete: self.auto_complete,
            overwrite: self.overwrite,
            notify_flags: self.notify.clone().map(|Notify(flags)| flags),
            minimum_notification_interval: self.minimum_notification_interval.map(seconds),
            dynamic_content: self.dynamic_content,
            high_performance: self.high_performance,
            maximum_download_size: self.maximum_download_size,
            redirects: self.redirects.map(Into::into),
            redirects_to_http: self.redirects_to_http,
            headers_write_only: self.headers_write_only.then_some(true),
            ..JobPatch::default()
        }
    }

    /// The request headers, if any are given.
    pub(super) fn headers(&self) -> Result<Option<BTreeMap<String, String>>, Failure> {
        if self.headers.is_empty() {
            return Ok(None);
        }
        let working_directory = std::env::current_dir()
            .map_err(|error| Failure::usage(format_args!("failed to read the working directory: {error}")))?;
        let RequestHeaders(headers) = request_headers(&self.headers, &working_directory).map_err(Failure::usage)?;
        let mut by_name = BTreeMap::new();
        for (name, value) in headers {
            if by_name.contains_key(&name) {
                return Err(Failure::usage(format_args!("-H: {name} is given twice")));
            }
            by_name.insert(name, value);
        }
        Ok(Some(by_name))
    }
}

fn yes_or_no() -> impl clap::builder::TypedValueParser<Value = bool> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(["yes", "no"]).map(|word| word == "yes")
}

/// The words for notifications.
const NOTIFY: [(NotifyFlag, &str); 5] = [
    (NotifyFlag::JobTransferred, "job-transferred"),
    (NotifyFlag::JobError, "job-error"),
    (NotifyFlag::JobModification, "job-modification"),
    (NotifyFlag::FileTransferred, "file-transferred"),
    (NotifyFlag::Disable, "disable"),
];

fn parse_notify(text: &str) -> Result<Notify, String> {
    let flag = |word: &str| {
        let wanted = word.trim().to_ascii_lowercase().replace('_', "-");
        let known = NOTIFY.iter().find(|(_, name)| *name == wanted);
        known.map(|(flag, _)| *flag).ok_or_else(|| {
            let names = NOTIFY.map(|(_, name)| name).join(", ");
            format!("{word:?} is no notification; there are {names}")
        })
    };
    text.split(',').map(flag).collect::<Result<_, _>>().map(Notify)
}

/// Notifications as they are given.
pub(super) fn notify_text(flags: &[NotifyFlag]) -> String {
    let named = NOTIFY.iter().filter(|(flag, _)| flags.contains(flag)).map(|(_, name)| *name);
    named.collect::<Vec<_>>().join(",")
}

/// A part of a remote file: where it begins, and its length, which may be left out. Not written as HTTP's `first-last`: BITS counts bytes.
pub(super) fn parse_range(text: &str) -> Result<FileRange, String> {
    let form = || "a range is OFFSET+LENGTH, or OFFSET+ up to the end, for example 1MiB+64KiB".to_owned();
    let (offset, length) = text.split_once('+').ok_or_else(form)?;
    let bytes = |text: &str| size::parse(text).map_err(|error| format!("{}; {error}", form()));
    let length = if length.is_empty() { None } else { Some(bytes(length)?) };
    Ok(FileRange { offset: bytes(offset)?, length })
}

pub(super) fn seconds(duration: Duration) -> Seconds {
    Seconds::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Cost flags as the wire has them: the bits, which mean the same to every version.
fn cost_flags(flags: CostFlags) -> String {
    format!("0x{:08x}", flags.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_words_with_commas_between_them() {
        let flags = |text: &str| parse_notify(text).map(|Notify(flags)| flags);
        assert_eq!(flags("job-error"), Ok(vec![NotifyFlag::JobError]));
        let both = flags("file_transferred, job-transferred").unwrap();
        assert_eq!(notify_text(&both), "job-transferred,file-transferred");
        assert_eq!(notify_text(&[]), "");
        for wrong in ["", "job-error,", "all", "error"] {
            assert!(flags(wrong).unwrap_err().contains("there are job-transferred, "), "{wrong}");
        }
    }

    #[test]
    fn a_range_is_an_offset_and_a_length() {
        assert_eq!(parse_range("0+512"), Ok(FileRange { offset: 0, length: Some(512) }));
        assert_eq!(parse_range("1MiB+"), Ok(FileRange { offset: 1 << 20, length: None }));
        for wrong in ["", "5", "0-511", "+5", "a+b", "1+2+3", "-1+5"] {
            assert!(parse_range(wrong).unwrap_err().starts_with("a range is OFFSET+LENGTH"), "{wrong}");
        }
    }
}
