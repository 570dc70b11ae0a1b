//! The journal over all daemons: every number once, and for each job a story that can be true.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use backhaul::api::wire::EventView;
use backhaul::client::{Client, EventFilter, EventStart, EventStream, StreamItem};
use backhaul::job::{EventKind, JobId, JobState, Transition};
use tokio::sync::watch;
use tokio::time::timeout;

use super::job::Job;

/// Between two attempts to begin the stream.
const KNOCK: Duration = Duration::from_millis(20);

/// What can happen to a job, in whatever state.
const TRANSITIONS: [Transition; 14] = [
    Transition::Suspended,
    Transition::Resumed,
    Transition::ResumedWithNothingLeft,
    Transition::SlotGranted,
    Transition::Connected,
    Transition::SlotTaken,
    Transition::FailedTransiently,
    Transition::FailedFatally,
    Transition::GateShut,
    Transition::Requeued,
    Transition::Finished,
    Transition::PublicationFailed,
    Transition::Completed,
    Transition::Cancelled,
];

/// Follows the journal from its begin, over the deaths of daemons, until the number that `last` names in the end.
pub(super) async fn follow(client: Client, mut last: watch::Receiver<u64>) -> Vec<EventView> {
    let mut stream = begun(&client, &mut last).await;
    let mut events: Vec<EventView> = Vec::new();
    while events.last().is_none_or(|event| event.number < *last.borrow()) {
        let item = tokio::select! {
            item = stream.next() => item.expect("a stream ends only after an error").expect("the journal can be followed"),
            changed = last.changed() => {
                changed.expect("the test goes on");
                continue;
            }
        };
        match item {
            StreamItem::Event(event) => events.push(event),
            StreamItem::Progress(_) | StreamItem::CutOff { .. } => {}
            StreamItem::Missed { until } => panic!("the events until {until} are gone"),
        }
    }
    events
}

async fn begun(client: &Client, last: &mut watch::Receiver<u64>) -> EventStream {
    loop {
        if let Ok(stream) = client.events(EventFilter::default(), EventStart::After(0)).await {
            return stream;
        }
        assert!(timeout(KNOCK, last.changed()).await.is_err(), "the stream has begun before the end");
    }
}

/// The whole journal, page by page.
pub(super) async fn read_all(client: &Client) -> Vec<EventView> {
    let mut events: Vec<EventView> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.number);
        let page = client.journal(&EventFilter::default(), after).await.unwrap();
        assert_eq!(page.missed_until, None);
        if page.events.is_empty() {
            return events;
        }
        events.extend(page.events);
    }
}

/// What the journal says of a job.
#[derive(Debug, Default)]
pub(super) struct Story {
    state: Option<JobState>,
    files: u32,
    pub(super) transferred: BTreeSet<u32>,
    /// That all its files are transferred was said, and still holds.
    is_told: bool,
    /// It became TRANSFERRED, and the event that says so for the job may come next.
    is_to_be_told: bool,
    is_over: bool,
}

/// The story of each job. Nothing is missing in it, nothing told twice, and nothing happens that a job cannot do.
pub(super) fn stories(events: &[EventView], jobs: &[Job]) -> Vec<Story> {
    for (number, event) in (1..).zip(events) {
        assert_eq!(event.number, number, "numbers have no gap, and none comes twice");
    }
    let mut of_job: HashMap<JobId, Vec<&EventView>> = HashMap::new();
    for event in events {
        if let Some(job) = event.job {
            of_job.entry(job).or_default().push(event);
        }
    }
    assert_eq!(of_job.len(), jobs.len(), "each key made one job");
    let story = |job: &Job| {
        let id = job.id.expect("it was created");
        let mut story = Story { files: u32::try_from(job.new.files.len()).unwrap(), ..Story::default() };
        for event in &of_job[&id] {
            story.tell(event);
        }
        assert_eq!((story.is_over, story.state), (true, Some(job.state)), "{story:?} of {job:?}");
        assert_eq!(Some(story.files), job.files_total(), "{story:?} of {job:?}");
        story
    };
    jobs.iter().map(story).collect()
}

impl Story {
    fn tell(&mut self, event: &EventView) {
        assert!(!self.is_over, "the last one was the last: {event:?}");
        assert_eq!(self.state.is_none(), event.kind == EventKind::JobCreated, "{event:?} in {self:?}");
        if std::mem::take(&mut self.is_to_be_told) {
            assert!(self.is_told || event.kind == EventKind::JobTransferred, "{event:?} in {self:?}");
        }
        match &event.kind {
            EventKind::JobCreated => self.state = Some(JobState::Suspended),
            EventKind::StateChanged { from, to } => {
                assert_eq!(self.state, Some(*from), "{event:?}");
                assert!(TRANSITIONS.iter().any(|transition| from.after(*transition) == Ok(*to)), "{event:?}");
                self.state = Some(*to);
                self.is_to_be_told = *to == JobState::Transferred;
            }
            EventKind::JobModified { fields } if fields.iter().any(|field| field == "files") => {
                self.files += 1;
                self.is_told = false;
            }
            EventKind::FileTransferred { file, .. } => {
                assert!(file.0 < self.files && self.transferred.insert(file.0), "{event:?} in {self:?}");
                self.is_told = false;
            }
            EventKind::FileRestarted { file, .. } => {
                self.is_told &= !self.transferred.remove(&file.0);
            }
            EventKind::JobTransferred => {
                assert!(!std::mem::replace(&mut self.is_told, true), "{event:?} in {self:?}");
                assert_eq!(self.transferred.len(), self.files as usize, "{event:?} in {self:?}");
                assert_eq!(self.state, Some(JobState::Transferred), "{event:?}");
            }
            EventKind::Acknowledged { files_published, partial } => {
                assert_eq!(self.state, Some(JobState::Acknowledged), "{event:?}");
                assert_eq!(self.transferred.len(), *files_published as usize, "{event:?} in {self:?}");
                assert_eq!(*partial, *files_published < self.files, "{event:?} in {self:?}");
                self.is_over = true;
            }
            EventKind::Cancelled { files_left } => {
                assert_eq!((self.state, *files_left), (Some(JobState::Cancelled), 0), "{event:?}");
                self.is_over = true;
            }
            EventKind::PublicationFailed { .. } => panic!("{event:?}"),
            _ => {}
        }
    }
}
