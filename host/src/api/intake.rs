//! From the wire to what the core takes. Every limit is checked here, and every wrong field is named, not only the first.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::Refusal;
use super::extract::escaped;
use super::wire::{
    FieldProblem, FilePatch, JobPatch, NewFile, NewJob, NotifyFlag, PrefixReplacement, Seconds, parse_cost_flags,
};
use crate::job::{
    Direction, ErrorCode, FileRange, FileSpec, FileVerdict, HeadersWriteOnly, JobChanges, JobSpec, LocalName,
    PolicyName, Properties, RemoteNameError, RequestHeaders, SafeUrl, limits, ranges,
};
use crate::policy::contract::limits as contract;
use crate::transfer::{HeaderError, check_all, request_header};

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub(super) struct Check {
    wrong: Vec<(FieldProblem, Option<ErrorCode>)>,
}

/// Wrong fields that are named in one answer: a list of a million wrong files would be answered with as many texts.
const WRONG_FIELDS_MAX: usize = 100;

impl Check {
    pub(super) fn refuse(&mut self, field: impl Into<String>, detail: impl std::fmt::Display) {
        self.refuse_with(None, field, detail);
    }

    /// As [`Check::refuse`], where BITS may have a code for it.
    fn refuse_with(&mut self, code: Option<ErrorCode>, field: impl Into<String>, detail: impl std::fmt::Display) {
        if self.wrong.len() < WRONG_FIELDS_MAX {
            self.wrong.push((FieldProblem { field: field.into(), detail: detail.to_string() }, code));
        }
    }

    /// Keeps a value, or names its field.
    pub(super) fn keep<T, E: std::fmt::Display>(&mut self, field: impl Into<String>, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.refuse(field, error)).ok()
    }

    /// Where a webhook is told of events.
    pub(super) fn webhook_url(&mut self, url: &str) -> Option<SafeUrl> {
        let of_webhook = |error| match error {
            RemoteNameError::NotAUrl(error) => format!("is no URL: {error}"),
            RemoteNameError::Scheme { scheme } => format!("must begin with https:// or http://, not {scheme}:"),
            RemoteNameError::TooLong { bytes } => {
                format!("has {bytes} bytes; at most {} are allowed", limits::URL_BYTES_MAX)
            }
        };
        self.keep("/url", SafeUrl::parse(url).map_err(of_webhook))
    }

    /// The value, if nothing was wrong.
    pub(super) fn done<T>(self, value: T) -> Result<T, Refusal> {
        if self.wrong.is_empty() { Ok(value) } else { Err(Refusal::coded_fields(self.wrong)) }
    }

    pub(super) fn display_name(&mut self, name: &str) {
        let characters = name.chars().count();
        if characters > limits::DISPLAY_NAME_CHARS_MAX {
            self.refuse_with(
                Some(ErrorCode::StringTooLong),
                "/display_name",
                format_args!("has {characters} characters; at most {} are allowed", limits::DISPLAY_NAME_CHARS_MAX),
            );
        }
    }

    pub(super) fn description(&mut self, description: &str) {
        let characters = description.chars().count();
        if characters > limits::DESCRIPTION_CHARS_MAX {
            let allowed = limits::DESCRIPTION_CHARS_MAX;
            let detail = format_args!("has {characters} characters; at most {allowed} are allowed");
            self.refuse_with(Some(ErrorCode::StringTooLong), "/description", detail);
        }
    }

    fn maximum_download_size(&mut self, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            let detail = "must be at least 1; leave it out for no limit";
            self.refuse_with(Some(ErrorCode::MaxDownloadSizeInvalidValue), "/maximum_download_size", detail);
        }
        Some(bytes)
    }

    fn headers_write_only(&mut self, given: Option<bool>) -> Option<HeadersWriteOnly> {
        if given == Some(false) {
            self.refuse("/headers_write_only", "can only be set to true: there is no way back");
        }
        given.filter(|given| *given).map(|_| HeadersWriteOnly)
    }

    /// Request headers. Their values are not repeated: they may be credentials.
    pub(super) fn headers(&mut self, headers: BTreeMap<String, String>) -> RequestHeaders {
        let mut checked = RequestHeaders::default();
        for (name, value) in headers {
            let shown = name.get(..name.floor_char_boundary(100)).unwrap_or_default();
            checked.0.extend(self.header(format!("/headers/{}", escaped(shown)), request_header(&name, &value)));
        }
        // JSON tells names apart by their case, HTTP does not.
        let mut names: Vec<String> = checked.0.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            self.refuse(format!("/headers/{}", escaped(&pair[0])), "is there twice; case does not tell names apart");
        }
        self.header("/headers", check_all(&checked));
        checked
    }

    fn header<T>(&mut self, field: impl Into<String>, value: Result<T, HeaderError>) -> Option<T> {
        let is_too_long = |error: &HeaderError| {
            matches!(error, HeaderError::NameTooLong(_) | HeaderError::TooLong { .. } | HeaderError::AllTooLong(_))
        };
        value
            .map_err(|error| self.refuse_with(is_too_long(&error).then_some(ErrorCode::StringTooLong), field, error))
            .ok()
    }

    /// Milliseconds of a duration.
    pub(super) fn duration(&mut self, field: &str, given: Option<Seconds>) -> Option<u64> {
        let given = given?;
        let millis = given.to_millis();
        if millis.is_none() {
            self.refuse(field, format_args!("must be 0 to {} seconds", limits::DURATION_MS_MAX / 1000));
        }
        millis
    }

    pub(super) fn parallel_files(&mut self, given: Option<u16>) -> Option<u16> {
        let given = given?;
        if !(1..=limits::PARALLEL_FILES_MAX).contains(&given) {
            self.refuse("/parallel_files", format_args!("must be 1 to {}", limits::PARALLEL_FILES_MAX));
        }
        Some(given)
    }

    pub(super) fn cost_flags(&mut self, given: Option<&str>) -> Option<crate::job::CostFlags> {
        self.keep("/cost_flags", parse_cost_flags(given?))
    }

    pub(super) fn labels(&mut self, labels: BTreeMap<String, String>) -> Vec<(String, String)> {
        if labels.len() > limits::LABELS_MAX {
            self.refuse(
                "/labels",
                format_args!("has {} labels; at most {} are allowed", labels.len(), limits::LABELS_MAX),
            );
        }
        for (name, value) in &labels {
            let field =
                || format!("/labels/{}", escaped(name.get(..name.floor_char_boundary(100)).unwrap_or_default()));
            if !(1..=contract::ATTRIBUTE_KEY_BYTES_MAX).contains(&name.len()) {
                self.refuse(
                    field(),
                    format_args!("the name of a label has 1 to {} bytes", contract::ATTRIBUTE_KEY_BYTES_MAX),
                );
            }
            if value.len() > contract::ATTRIBUTE_VALUE_BYTES_MAX {
                self.refuse(
                    field(),
                    format_args!("the value of a label has at most {} bytes", contract::ATTRIBUTE_VALUE_BYTES_MAX),
                );
            }
        }
        labels.into_iter().collect()
    }

    fn policies(&mut self, names: Vec<String>) -> Vec<PolicyName> {
        if names.len() > limits::POLICIES_MAX {
            self.refuse(
                "/policies",
                format_args!("has {} policies; at most {} are allowed", names.len(), limits::POLICIES_MAX),
            );
        }
        names.into_iter().map(PolicyName).collect()
    }

    /// Files at their place in the body.
    pub(super) fn files(&mut self, files: Vec<NewFile>) -> Vec<FileSpec> {
        let mut specs = Vec::with_capacity(files.len());
        for (position, NewFile { remote_name, local_name, sha256, ranges }) in files.into_iter().enumerate() {
            let field = |name: &str| format!("/files/{position}/{name}");
            let remote_name = self.url(field("remote_name"), &remote_name);
            let local_name = self.keep(field("local_name"), LocalName::new(PathBuf::from(local_name)));
            let digest = sha256.map(|text| self.keep(field("sha256"), text.parse()));
            let ranges: Vec<FileRange> = ranges.into_iter().map(FileRange::from).collect();
            if let Err(error) = ranges::check(&ranges) {
                let code = match error {
                    ranges::RangesError::Invalid(_) => ErrorCode::InvalidRange,
                    ranges::RangesError::Overlapping { .. } => ErrorCode::OverlappingRanges,
                };
                self.refuse_with(Some(code), field("ranges"), error);
            }
            if let (Some(remote_name), Some(local_name)) = (remote_name, local_name) {
                specs.push(FileSpec { remote_name, local_name, digest: digest.flatten(), ranges });
            }
        }
        specs
    }

    fn url(&mut self, field: impl Into<String>, text: &str) -> Option<SafeUrl> {
        let code = |error: &RemoteNameError| match error {
            RemoteNameError::TooLong { .. } => Some(ErrorCode::StringTooLong),
            RemoteNameError::Scheme { .. } => Some(ErrorCode::RemoteNotSupported),
            RemoteNameError::NotAUrl(_) => None,
        };
        SafeUrl::parse(text).map_err(|error| self.refuse_with(code(&error), field, error)).ok()
    }
}

/// What is wanted of a file.
pub(super) enum FileWish {
    RemoteName(SafeUrl),
    Validate(FileVerdict),
}

/// What a patch wants of a file. Both at once would be two things of which one may fail: they are refused together.
pub(super) fn file_change(patch: FilePatch) -> Result<FileWish, Refusal> {
    match (patch.remote_name, patch.validation_state) {
        (Some(text), None) => {
            let mut check = Check::default();
            let remote_name = check.url("/remote_name", &text);
            let none = || Refusal::internal("a remote name that was refused was not reported");
            check.done(remote_name)?.map(FileWish::RemoteName).ok_or_else(none)
        }
        (None, Some(verdict)) => Ok(FileWish::Validate(verdict)),
        (None, None) => Err(Refusal::field("/remote_name", "must be given, unless validation_state is")),
        (Some(_), Some(_)) => Err(Refusal::field("/validation_state", "cannot be given together with remote_name")),
    }
}

/// All request headers of a job.
pub(super) fn headers(given: BTreeMap<String, String>) -> Result<RequestHeaders, Refusal> {
    let mut check = Check::default();
    let headers = check.headers(given);
    check.done(headers)
}

/// What a patch changes.
pub(super) fn changes(patch: JobPatch) -> Result<JobChanges, Refusal> {
    let mut check = Check::default();
    if let Some(name) = &patch.display_name {
        check.display_name(name);
    }
    if let Some(description) = &patch.description {
        check.description(description);
    }
    let changes = JobChanges {
        display_name: patch.display_name,
        priority: patch.priority,
        minimum_retry_delay_ms: check.duration("/minimum_retry_delay", patch.minimum_retry_delay),
        no_progress_timeout_ms: check.duration("/no_progress_timeout", patch.no_progress_timeout),
        maximum_download_time_ms: check.duration("/maximum_download_time", patch.maximum_download_time),
        parallel_files: check.parallel_files(patch.parallel_files),
        cost_flags: check.cost_flags(patch.cost_flags.as_deref()),
        auto_complete: patch.auto_complete,
        overwrite: patch.overwrite,
        labels: patch.labels.map(|labels| check.labels(labels)),
        description: patch.description,
        notify_flags: patch.notify_flags.as_deref().map(NotifyFlag::flags),
        minimum_notification_interval_ms: check
            .duration("/minimum_notification_interval", patch.minimum_notification_interval),
        dynamic_content: patch.dynamic_content,
        high_performance: patch.high_performance,
        maximum_download_size: patch.maximum_download_size.map(|bytes| check.maximum_download_size(bytes)),
        redirects: patch.redirects,
        redirects_to_http: patch.redirects_to_http,
        headers_write_only: check.headers_write_only(patch.headers_write_only),
    };
    check.done(changes)
}

/// The prefixes of a replacement: what remote names begin with, and what they shall begin with.
pub(super) fn prefixes(replacement: PrefixReplacement) -> Result<(String, String), Refusal> {
    let PrefixReplacement { from, to } = replacement;
    let mut check = Check::default();
    if from.is_empty() {
        check.refuse("/from", "must not be empty: every remote name begins with that");
    }
    for (field, text) in [("/from", &from), ("/to", &to)] {
        if text.len() > limits::URL_BYTES_MAX {
            check
                .refuse(field, format_args!("has {} bytes; at most {} are allowed", text.len(), limits::URL_BYTES_MAX));
        }
    }
    check.done((from, to))
}

/// A new job of an owner, with its first files.
pub(super) fn new_job(new: NewJob, owner: String) -> Result<(JobSpec, Vec<FileSpec>), Refusal> {
    let mut check = Check::default();
    if new.direction != Direction::Download {
        check.refuse("/type", "only download is taken yet");
    }
    check.display_name(&new.display_name);
    check.description(&new.description);
    let default = Properties::default();
    let properties = Properties {
        priority: new.priority,
        minimum_retry_delay_ms: check
            .duration("/minimum_retry_delay", new.minimum_retry_delay)
            .unwrap_or(default.minimum_retry_delay_ms),
        no_progress_timeout_ms: check
            .duration("/no_progress_timeout", new.no_progress_timeout)
            .unwrap_or(default.no_progress_timeout_ms),
        maximum_download_time_ms: check
            .duration("/maximum_download_time", new.maximum_download_time)
            .unwrap_or(default.maximum_download_time_ms),
        parallel_files: check.parallel_files(new.parallel_files).unwrap_or(default.parallel_files),
        cost_flags: check.cost_flags(new.cost_flags.as_deref()).unwrap_or(default.cost_flags),
        auto_complete: new.auto_complete,
        overwrite: new.overwrite,
        notify_flags: new.notify_flags.as_deref().map_or(default.notify_flags, NotifyFlag::flags),
        minimum_notification_interval_ms: check
            .duration("/minimum_notification_interval", new.minimum_notification_interval)
            .unwrap_or(default.minimum_notification_interval_ms),
        dynamic_content: new.dynamic_content,
        high_performance: new.high_performance,
        maximum_download_size: new.maximum_download_size.and_then(|bytes| check.maximum_download_size(bytes)),
        redirects: new.redirects,
        redirects_to_http: new.redirects_to_http,
    };
    let labels = check.labels(new.labels);
    let policies = check.policies(new.policies);
    let files = check.files(new.files);
    let headers = check.headers(new.headers);
    let spec = JobSpec {
        display_name: new.display_name,
        description: new.description,
        owner,
        direction: new.direction,
        properties,
        labels,
        policies,
        headers,
        headers_write_only: new.headers_write_only,
    };
    check.done((spec, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(body: &str) -> Result<(JobSpec, Vec<FileSpec>), Refusal> {
        new_job(serde_json::from_str(body).unwrap(), "uid:0".into())
    }

    #[test]
    fn only_the_type_is_required_and_the_rest_is_as_bits_has_it() {
        let (spec, files) = new(r#"{"type":"download"}"#).unwrap();
        assert_eq!(spec.properties, Properties::default());
        assert!(files.is_empty() && spec.display_name.is_empty() && spec.labels.is_empty());
    }

    #[test]
    fn one_thing_at_a_time_is_changed_of_a_file() {
        let wish = |body: &str| file_change(serde_json::from_str(body).unwrap());
        assert!(matches!(wish(r#"{"validation_state":"invalid"}"#), Ok(FileWish::Validate(FileVerdict::Invalid))));
        assert!(matches!(wish(r#"{"remote_name":"http://h/"}"#), Ok(FileWish::RemoteName(_))));
        for body in [
            "{}",
            r#"{"remote_name":"http://h/","validation_state":"valid"}"#,
            r#"{"remote_name":"ftp://u:SECRET@h/"}"#,
        ] {
            let refusal = format!("{:?}", wish(body).err().unwrap());
            assert!(refusal.contains("field: \"/") && !refusal.contains("SECRET"), "{refusal}");
        }
        for body in [r#"{"validation_state":"unset"}"#, r#"{"validation_state":null}"#, r#"{"remote_name":null}"#] {
            assert!(serde_json::from_str::<FilePatch>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let long = "n".repeat(257);
        let body = format!(
            r#"{{"type":"upload","display_name":"{long}","minimum_retry_delay":-1,"parallel_files":65,"cost_flags":"cheap",
                "labels":{{"":"x"}},"files":[{{"remote_name":"smb://h/a","local_name":"relative","sha256":"00"}}]}}"#
        );
        let refusal = format!("{:?}", new(&body).unwrap_err());
        for field in [
            "/type",
            "/display_name",
            "/minimum_retry_delay",
            "/parallel_files",
            "/cost_flags",
            "/labels/",
            "/files/0/remote_name",
            "/files/0/local_name",
            "/files/0/sha256",
        ] {
            assert!(refusal.contains(&format!("field: {field:?}")), "{field}: {refusal}");
        }
    }

    #[test]
    fn refusals_have_bits_own_codes() {
        let code = |field: &str| {
            let refusal = format!("{:?}", new(&format!(r#"{{"type":"download",{field}}}"#)).unwrap_err());
            let code = refusal.split("code: \"").nth(1).and_then(|rest| rest.split('"').next());
            code.unwrap_or_default().to_owned()
        };
        let ranges = |ranges: &str| {
            code(&format!(r#""files":[{{"remote_name":"http://h/","local_name":"/a","ranges":[{ranges}]}}]"#))
        };
        assert_eq!(code(r#""maximum_download_size":0"#), "max_download_size_invalid_value");
        assert_eq!(code(&format!(r#""description":"{}""#, "d".repeat(1025))), "string_too_long");
        assert_eq!(code(&format!(r#""headers":{{"x":"{}"}}"#, "v".repeat(8193))), "string_too_long");
        assert_eq!(code(r#""headers":{"range":"bytes=0-"}"#), "invalid_field");
        assert_eq!(code(r#""headers":{"x-a":"1","X-A":"2"}"#), "invalid_field");
        let url = |url: &str| code(&format!(r#""files":[{{"remote_name":"{url}","local_name":"/a"}}]"#));
        assert_eq!(url("smb://server/share/file"), "remote_not_supported");
        assert_eq!(url("no URL"), "invalid_field");
        assert_eq!(url(&format!("http://h/{}", "p".repeat(8 << 10))), "string_too_long");
        assert_eq!(ranges(r#"{"offset":0,"length":0}"#), "invalid_range");
        assert_eq!(ranges(r#"{"offset":0},{"offset":5,"length":1}"#), "overlapping_ranges");
    }

    #[test]
    fn the_secrets_of_a_refused_remote_name_are_not_repeated() {
        let refusal =
            new(r#"{"type":"download","files":[{"remote_name":"ftp://u:SECRET@h/?SECRET","local_name":"/a"}]}"#);
        assert!(!format!("{:?}", refusal.unwrap_err()).contains("SECRET"));
    }
}
