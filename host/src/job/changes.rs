//! What a client changes of a job.

use super::{CostFlags, JobRecord, Priority, PropertyError};

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
}

impl JobChanges {
    /// Makes the changes. Returns the names of what is another now, in the API's spelling.
    ///
    /// # Errors
    /// The property that would be out of its limits; the record is as it was then.
    pub fn apply(&self, record: &mut JobRecord) -> Result<Vec<&'static str>, PropertyError> {
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
        } = self;
        let mut fields = Vec::new();
        let mut properties = record.properties.clone();
        set(&mut properties.priority, priority, "priority", &mut fields);
        set(&mut properties.minimum_retry_delay_ms, minimum_retry_delay_ms, "minimum_retry_delay", &mut fields);
        set(&mut properties.no_progress_timeout_ms, no_progress_timeout_ms, "no_progress_timeout", &mut fields);
        set(&mut properties.maximum_download_time_ms, maximum_download_time_ms, "maximum_download_time", &mut fields);
        set(&mut properties.parallel_files, parallel_files, "parallel_files", &mut fields);
        set(&mut properties.cost_flags, cost_flags, "cost_flags", &mut fields);
        set(&mut properties.auto_complete, auto_complete, "auto_complete", &mut fields);
        set(&mut properties.overwrite, overwrite, "overwrite", &mut fields);
        properties.check()?;
        record.properties = properties;
        set(&mut record.display_name, display_name, "display_name", &mut fields);
        set(&mut record.labels, labels, "labels", &mut fields);
        Ok(fields)
    }
}

/// Sets a value, and notes its name if that changes it.
fn set<T: Clone + PartialEq>(value: &mut T, to: &Option<T>, name: &'static str, fields: &mut Vec<&'static str>) {
    if let Some(to) = to
        && value != to
    {
        value.clone_from(to);
        fields.push(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::arbitrary::{job_changes, job_record};
    use crate::job::{Properties, limits};

    proptest! {
        #[test]
        fn what_is_given_holds_and_the_rest_stays(before in job_record(), changes in job_changes()) {
            let before = JobRecord { properties: Properties::default(), ..before };
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
            let before = JobRecord { properties: Properties::default(), ..before };
            let changes = JobChanges { parallel_files: Some(limits::PARALLEL_FILES_MAX + 1), ..changes };
            let mut after = before.clone();
            prop_assert_eq!(changes.apply(&mut after).unwrap_err().field, "parallel_files");
            prop_assert_eq!(after, before);
        }
    }
}
