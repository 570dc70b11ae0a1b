//! Reads the journal for the webhooks, with what is to be known of each event's job.

use std::collections::HashMap;
use std::sync::Arc;

use super::select::JobFacts;
use crate::job::{Event, JobId};
use crate::scheduler::driver::Published;
use crate::store::{Reader, Store, StoreError};

/// Events that are read at once: some 100 KiB.
pub(super) const PAGE: u32 = 256;

/// A part of the journal.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) events: Vec<(u64, Arc<Event>)>,
    /// Of the events' jobs. Those that are not there are not known any more.
    pub(super) jobs: HashMap<JobId, JobFacts>,
    /// The number that was given last, before the page was read.
    pub(super) end: u64,
}

/// Reads, with a reader that is kept between two calls.
#[derive(Debug)]
pub(super) struct Journal {
    store: Store,
    published: Arc<Published>,
    reader: Option<Reader>,
}

impl Journal {
    pub(super) const fn new(store: Store, published: Arc<Published>) -> Self {
        Self { store, published, reader: None }
    }

    /// Whose a job is; none if it is final, or gone.
    pub(super) fn owner(&self, job: JobId) -> Option<String> {
        self.published.get(job).map(|job| job.record.owner.clone())
    }

    /// The events after a number.
    pub(super) async fn after(&mut self, after: u64) -> Result<Page, StoreError> {
        let published = Arc::clone(&self.published);
        self.read(move |reader| {
            // Before the page: what is removed meanwhile is then missed at this look, and never silently left out.
            let end = reader.last_event_number()?;
            let events = reader.events(after, PAGE, None)?;
            let mut jobs = HashMap::new();
            for job in events.iter().filter_map(|(_, event)| event.job) {
                if jobs.contains_key(&job) {
                    continue;
                }
                let facts = match published.get(job) {
                    Some(job) => Some(JobFacts::from(&*job.record)),
                    None => reader.job(job)?.as_ref().map(JobFacts::from),
                };
                jobs.extend(facts.map(|facts| (job, facts)));
            }
            let events = events.into_iter().map(|(number, event)| (number, Arc::new(event))).collect();
            Ok(Page { events, jobs, end })
        })
        .await
    }

    /// Reads on a thread that may block. What was begun is ended even if nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, reader) = (self.store.clone(), self.reader.take());
        let task = move || {
            let reader = reader.map_or_else(|| store.reader(), Ok)?;
            // A reader that met an error is not kept.
            read(&reader).map(|value| (reader, value))
        };
        let (reader, value) = tokio::task::spawn_blocking(task)
            .await
            .expect("reading does not panic, and the runtime is not shut down while it is awaited")?;
        self.reader = Some(reader);
        Ok(value)
    }
}
