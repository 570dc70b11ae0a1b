//! What lists of jobs and of events leave out.

use super::{Event, JobId, JobRecord, JobState, Priority};

/// Which jobs a list shows. An empty filter shows all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFilter {
    /// Those in one of these states, as reported; empty: in any.
    pub states: Vec<JobState>,
    /// Those that have each of these labels.
    pub labels: Vec<(String, String)>,
    /// Those of this level.
    pub priority: Option<Priority>,
}

impl JobFilter {
    /// Whether a job, with its state as reported, is shown.
    #[must_use]
    pub fn matches(&self, state: JobState, record: &JobRecord) -> bool {
        (self.states.is_empty() || self.states.contains(&state))
            && self.priority.is_none_or(|priority| priority == record.properties.priority)
            && has_labels(&record.labels, &self.labels)
    }
}

/// Which events are shown. An empty filter shows all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Those of one job.
    pub job: Option<JobId>,
    /// Those of one of these kinds, by [`super::EventKind::name`]; empty: of any.
    pub kinds: Vec<String>,
    /// Those of jobs that have each of these labels. Events of the host have none.
    pub labels: Vec<(String, String)>,
}

impl EventFilter {
    /// Whether an event is shown. `labels_of` gives the labels of its job, if the job is still known; it is asked last.
    pub fn matches(&self, event: &Event, labels_of: impl FnOnce(JobId) -> Option<Vec<(String, String)>>) -> bool {
        if self.job.is_some_and(|job| event.job != Some(job)) {
            return false;
        }
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| kind == event.kind.name()) {
            return false;
        }
        self.labels.is_empty() || event.job.and_then(labels_of).is_some_and(|labels| has_labels(&labels, &self.labels))
    }
}

fn has_labels(labels: &[(String, String)], wanted: &[(String, String)]) -> bool {
    wanted.iter().all(|label| labels.contains(label))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::arbitrary::{event, job_record, state};

    fn label(value: &str) -> (String, String) {
        ("team".into(), value.into())
    }

    proptest! {
        #[test]
        fn a_job_matches_what_it_has_and_nothing_else(record in job_record(), reported in state()) {
            prop_assert!(JobFilter::default().matches(reported, &record));
            let own = JobFilter {
                states: vec![reported],
                labels: record.labels.clone(),
                priority: Some(record.properties.priority),
            };
            prop_assert!(own.matches(reported, &record));
            let other = JobFilter { labels: vec![label("none has it")], ..JobFilter::default() };
            prop_assert!(!other.matches(reported, &record));
            let states = JobState::ALL.into_iter().filter(|state| *state != reported).collect();
            let other = JobFilter { states, ..JobFilter::default() };
            prop_assert!(!other.matches(reported, &record));
        }

        #[test]
        fn an_event_matches_by_job_kind_and_labels_of_its_job(event in event()) {
            let nobody = |_| None;
            prop_assert!(EventFilter::default().matches(&event, nobody));
            let by_kind = EventFilter { kinds: vec![event.kind.name().to_owned()], ..EventFilter::default() };
            prop_assert!(by_kind.matches(&event, nobody));
            let by_job = EventFilter { job: event.job, ..EventFilter::default() };
            prop_assert!(by_job.matches(&event, nobody));
            let by_label = EventFilter { labels: vec![label("a")], ..EventFilter::default() };
            prop_assert!(!by_label.matches(&event, nobody));
            prop_assert!(!by_label.matches(&event, |_| Some(vec![label("b")])));
            prop_assert_eq!(by_label.matches(&event, |_| Some(vec![label("b"), label("a")])), event.job.is_some());
        }

        #[test]
        fn the_name_of_a_kind_is_its_tag(event in event()) {
            let tag = serde_json::to_value(&event.kind).unwrap()["kind"].clone();
            prop_assert_eq!(tag, event.kind.name());
            prop_assert!(crate::job::EventKind::NAMES.contains(&event.kind.name()));
        }
    }
}
