//! What a client changes of a job.

use super::{CostFlags, JobRecord, NotifyFlags, Priority, PropertyError, Redirects};

/// Other values for properties of a job. What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobChanges {
    /// As in [`super::JobSpec`].
    pub display_name: Option<String>,
    /// As in [`super::Properties`], like all that follow.
    pub priority: Option<Priority>,
    /// Milliseconds.
    pub minimum_retry_delay_ms: Option<u64>,
    /// Milliseconds.
    pub no_progress_timeout_ms: Option<u64>,
    /// Milliseconds.
    pub maximum_download_time_ms: Option<u64>,
    /// From the next attempt on.
    pub parallel_files: Option<u16>,
    /// Takes effect at once, on a running job too.
    pub cost_flags: Option<CostFlags>,
    /// A job that is TRANSFERRED is completed by it.
    pub auto_complete: Option<bool>,
    /// What publication does with existing files.
    pub overwrite: Option<bool>,
    /// All labels, in place of those that the job has.
    pub labels: Option<Vec<(String, String)>>,
    /// As in [`super::JobSpec`].
    pub description: Option<String>,
    /// Takes effect at once.
    pub notify_flags: Option<NotifyFlags>,
    /// Milliseconds.
    pub minimum_notification_interval_ms: Option<u64>,
    /// Only before the first resume.
    pub dynamic_content: Option<bool>,
    /// Only before any file.
    pub high_performance: Option<bool>,
    /// Only before the first resume; `Some(None)` takes the limit away.
    pub maximum_download_size: Option<Option<u64>>,
    /// From the next attempt on.
    pub redirects: Option<Redirects>,
    /// From the next attempt on.
    pub redirects_to_http: Option<bool>,
    /// The request headers are shown to nobody any more. There is no way back.
    pub headers_write_only: Option<HeadersWriteOnly>,
}

/// The only value that can be set of [`JobRecord::headers_write_only`] (bits.md 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadersWriteOnly;

/// Why a job is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A property would be out of its limits.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// BG_E_READ_ONLY_PROPERTY_AFTER_RESUME.
    #[error("{0} can be set only before the job is first resumed")]
    ReadOnlyAfterResume(&'static str),
    /// BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE.
    #[error("{0} can be set only before the job has files")]
    ReadOnlyAfterAddFile(&'static str),
    /// BG_E_UNSUPPORTED_JOB_CONFIGURATION: the job runs at the level foreground only.
    #[error("a job of dynamic content runs at the level foreground only")]
    DynamicNeedsForeground,
}

impl JobChanges {
    /// Makes the changes. Returns the names of what is another now, in the API's spelling.
    ///
    /// # Errors
    /// The property that would be out of its limits, or cannot be set any more; the record is as it was then.
    pub fn apply(&self, record: &mut JobRecord) -> Result<Vec<&'static str>, ChangeError> {
        // Nothing is left out of the pattern: a change that is not made does not compile.
        let Self {
            display_name,
            priority,
            minimum_retry_delay_ms,
            no_progress_timeout_ms,
            maximum_download_time_ms,
            parallel_files,
            cost_flags,
            auto_complete,
            overwrite,
            labels,
            description,
            notify_flags,
            minimum_notification_interval_ms,
            dynamic_content,
            high_performance,
            maximum_download_size,
            redirects,
            redirects_to_http,
            headers_write_only,
        } = self;
        self.check_time(record)?;
        let before = record.properties.clone();
        let mut properties = before.clone();
        set(&mut properties.priority, priority);
        set(&mut properties.minimum_retry_delay_ms, minimum_retry_delay_ms);
        set(&mut properties.no_progress_timeout_ms, no_progress_timeout_ms);
        set(&mut properties.maximum_download_time_ms, maximum_download_time_ms);
        set(&mut properties.parallel_files, parallel_files);
        set(&mut properties.cost_flags, cost_flags);
        set(&mut properties.auto_complete, auto_complete);
        set(&mut properties.overwrite, overwrite);
        set(&mut properties.notify_flags, notify_flags);
        set(&mut properties.minimum_notification_interval_ms, minimum_notification_interval_ms);
        set(&mut properties.dynamic_content, dynamic_content);
        set(&mut properties.high_performance, high_performance);
        set(&mut properties.maximum_download_size, maximum_download_size);
        set(&mut properties.redirects, redirects);
        set(&mut properties.redirects_to_http, redirects_to_http);
        properties.check()?;
        if record.resumed && !properties.can_run() {
            return Err(ChangeError::DynamicNeedsForeground);
        }
        let mut fields = before.differences(&properties);
        record.properties = properties;
        let headers_write_only = headers_write_only.map(|HeadersWriteOnly| true);
        let texts = [
            ("display_name", set(&mut record.display_name, display_name)),
            ("description", set(&mut record.description, description)),
            ("labels", set(&mut record.labels, labels)),
            ("headers_write_only", set(&mut record.headers_write_only, &headers_write_only)),
        ];
        fields.extend(texts.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name));
        Ok(fields)
    }

    /// Refuses what can be set only early in a job's life (bits.md 1.3), whether or not it is the same as before.
    fn check_time(&self, record: &JobRecord) -> Result<(), ChangeError> {
        if record.resumed && self.dynamic_content.is_some() {
            return Err(ChangeError::ReadOnlyAfterResume("dynamic_content"));
        }
        if record.resumed && self.maximum_download_size.is_some() {
            return Err(ChangeError::ReadOnlyAfterResume("maximum_download_size"));
        }
        if record.files_total > 0 && self.high_performance.is_some() {
            return Err(ChangeError::ReadOnlyAfterAddFile("high_performance"));
        }
        Ok(())
    }
}

/// Sets a value that is given. Whether that changes it.
fn set<T: Clone + PartialEq>(value: &mut T, to: &Option<T>) -> bool {
    let other = to.as_ref().filter(|to| *to != value);
    if let Some(to) = other {
        value.clone_from(to);
    }
    other.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::arbitrary::{job_changes, job_record};
    use crate::job::{Properties, limits};

    /// Not yet resumed, without files, and of properties that are within their limits.
    fn young(record: JobRecord) -> JobRecord {
        JobRecord { properties: Properties::default(), resumed: false, files_total: 0, ..record }
    }

    proptest! {
        #[test]
        fn what_is_given_holds_and_the_rest_stays(before in job_record(), changes in job_changes()) {
            let before = young(before);
            let mut after = before.clone();
            let fields = changes.apply(&mut after).unwrap();
            prop_assert_eq!(fields.is_empty(), before == after);
            // Once more changes nothing.
            let mut again = after.clone();
            prop_assert_eq!(changes.apply(&mut again).unwrap(), Vec::<&str>::new());
            prop_assert_eq!(&again, &after);
            let JobChanges { display_name, priority, cost_flags, labels, .. } = changes;
            prop_assert_eq!(&after.display_name, &display_name.unwrap_or(before.display_name));
            prop_assert_eq!(after.properties.priority, priority.unwrap_or(before.properties.priority));
            prop_assert_eq!(after.properties.cost_flags, cost_flags.unwrap_or(before.properties.cost_flags));
            prop_assert_eq!(&after.labels, &labels.unwrap_or(before.labels));
        }

        #[test]
        fn a_change_out_of_its_limits_changes_nothing(before in job_record(), changes in job_changes()) {
            let before = young(before);
            let changes = JobChanges { parallel_files: Some(limits::PARALLEL_FILES_MAX + 1), ..changes };
            let mut after = before.clone();
            let error = changes.apply(&mut after).unwrap_err();
            prop_assert!(error.to_string().starts_with("parallel_files must be"), "{}", error);
            prop_assert_eq!(after, before);
        }

        #[test]
        fn what_can_be_set_only_early_is_refused_later(before in job_record(), changes in job_changes()) {
            let late = JobRecord { resumed: true, files_total: 1, ..young(before) };
            let names = |changes: &JobChanges| {
                let early = [changes.dynamic_content.is_some(), changes.high_performance.is_some()];
                early.contains(&true) || changes.maximum_download_size.is_some()
            };
            let mut after = late.clone();
            let result = changes.apply(&mut after);
            prop_assert_eq!(result.is_err(), names(&changes));
            if result.is_err() {
                prop_assert_eq!(after, late);
            }
        }
    }
}
