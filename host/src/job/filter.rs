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
    /// Those of this owner.
    pub owner: Option<String>,
}

impl JobFilter {
    /// Whether a job, with its state as reported, is shown.
    #[must_use]
    pub fn matches(&self, state: JobState, record: &JobRecord) -> bool {
        (self.states.is_empty() || self.states.contains(&state))
            && self.priority.is_none_or(|priority| priority == record.properties.priority)
            && is_owned(record, self.owner.as_deref())
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
    /// Those of jobs of this owner. Events of the host are nobody's.
    pub owner: Option<String>,
}

impl EventFilter {
    /// Whether an event is shown. `job_of` gives its job as it is now, if it is still known; it is asked last.
    pub fn matches<'a>(&self, event: &Event, job_of: impl FnOnce(JobId) -> Option<&'a JobRecord>) -> bool {
        if self.job.is_some_and(|job| event.job != Some(job)) {
            return false;
        }
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| kind == event.kind.name()) {
            return false;
        }
        if self.labels.is_empty() && self.owner.is_none() {
            return true;
        }
        event.job.and_then(job_of).is_some_and(|job| self.shows(job))
    }

    /// Whether events of a job are shown, whatever their kind.
    #[must_use]
    pub fn shows(&self, job: &JobRecord) -> bool {
        is_owned(job, self.owner.as_deref()) && has_labels(&job.labels, &self.labels)
    }
}

fn is_owned(job: &JobRecord, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|owner| job.owner == owner)
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
                owner: Some(record.owner.clone()),
            };
            prop_assert!(own.matches(reported, &record));
            let other = JobFilter { labels: vec![label("none has it")], ..JobFilter::default() };
            prop_assert!(!other.matches(reported, &record));
            let other = JobFilter { owner: Some(format!("{}x", record.owner)), ..JobFilter::default() };
            prop_assert!(!other.matches(reported, &record));
            let states = JobState::ALL.into_iter().filter(|state| *state != reported).collect();
            let other = JobFilter { states, ..JobFilter::default() };
            prop_assert!(!other.matches(reported, &record));
        }

        #[test]
        fn an_event_matches_by_job_kind_labels_and_owner_of_its_job(event in event().boxed(), record in job_record().boxed()) {
            let nobody = |_| None;
            prop_assert!(EventFilter::default().matches(&event, nobody));
            let by_kind = EventFilter { kinds: vec![event.kind.name().to_owned()], ..EventFilter::default() };
            prop_assert!(by_kind.matches(&event, nobody));
            let by_job = EventFilter { job: event.job, ..EventFilter::default() };
            prop_assert!(by_job.matches(&event, nobody));
            let by_label = EventFilter { labels: vec![label("a")], ..EventFilter::default() };
            prop_assert!(!by_label.matches(&event, nobody));
            let labelled = |labels: Vec<_>| JobRecord { labels, ..record.clone() };
            let (one, both) = (labelled(vec![label("b")]), labelled(vec![label("b"), label("a")]));
            prop_assert!(!by_label.matches(&event, |_| Some(&one)));
            prop_assert_eq!(by_label.matches(&event, |_| Some(&both)), event.job.is_some());
            let own = EventFilter { owner: Some(record.owner.clone()), ..EventFilter::default() };
            prop_assert_eq!(own.matches(&event, |_| Some(&record)), event.job.is_some());
            prop_assert!(!own.matches(&event, nobody));
            let other = EventFilter { owner: Some(format!("{}x", record.owner)), ..EventFilter::default() };
            prop_assert!(!other.matches(&event, |_| Some(&record)));
        }

        #[test]
        fn the_name_of_a_kind_is_its_tag(event in event()) {
            let tag = serde_json::to_value(&event.kind).unwrap()["kind"].clone();
            prop_assert_eq!(tag, event.kind.name());
            prop_assert!(crate::job::EventKind::NAMES.contains(&event.kind.name()));
        }
    }
}
