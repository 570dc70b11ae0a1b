//! `events`: the journal, as far as it goes or for as long as somebody reads.

use std::path::PathBuf;

use super::arguments::{EventsArguments, Format};
use super::job_id::{resolve, short};
use super::table::{self, Column, Listing, Row, local_time, number, text};
use super::{Session, story};
use crate::api::wire::EventView;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{Names, Signals};
use crate::cli::printer::Tone;
use crate::client::{EventFilter, EventStart, StreamItem};

const COLUMNS: [Column; 5] = [number("NUMBER"), text("TIME"), text("JOB"), text("KIND"), text("WHAT")];

/// An event with the words for it.
struct Told {
    event: EventView,
    text: String,
}

impl Told {
    fn new(event: EventView) -> Self {
        // Names of files would have to be asked for job by job: their numbers serve.
        let names = Names::of_first(Vec::new(), 0, PathBuf::new());
        let text = story::sentence(&names, &event.kind).1;
        Self { event, text }
    }

    /// The name of the kind in the API.
    fn kind(&self) -> String {
        let value = serde_json::to_value(&self.event.kind).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_owned()
    }
}

impl Row for Told {
    type Json = EventView;

    fn cells(&self) -> Vec<String> {
        let job = self.event.job.map(short).unwrap_or_default();
        vec![self.event.number.to_string(), local_time(self.event.at), job, self.kind(), self.text.clone()]
    }

    fn fields(&self) -> Vec<String> {
        let job = self.event.job.map(|job| job.to_string()).unwrap_or_default();
        vec![self.event.number.to_string(), self.event.at.to_string(), job, self.kind(), self.text.clone()]
    }

    fn json(&self) -> &EventView {
        &self.event
    }
}

/// `events`.
pub(super) async fn events(session: &Session<'_>, arguments: &EventsArguments) -> Result<ExitCode, Failure> {
    let job = match &arguments.job {
        Some(job) => Some(resolve(session, job).await?),
        None => None,
    };
    let filter = EventFilter { job, kinds: arguments.kind.clone(), label: arguments.label.clone(), progress: None };
    if arguments.follow {
        follow(session, filter, arguments.after).await
    } else {
        read(session, &filter, arguments.after).await
    }
}

/// What there is.
async fn read(session: &Session<'_>, filter: &EventFilter, after: Option<u64>) -> Result<ExitCode, Failure> {
    let mut after = after.unwrap_or(0);
    let mut listing = Listing::new(session.format, &COLUMNS, session.printer);
    loop {
        let page = session.client.journal(filter, after).await?;
        if let Some(until) = page.missed_until {
            missed(session, until);
        }
        listing.page(page.events.into_iter().map(Told::new).collect());
        if page.last_number <= after {
            break;
        }
        after = page.last_number;
    }
    listing.end("there are no such events");
    Ok(ExitCode::Success)
}

/// What comes, until a signal or until nobody reads any more.
async fn follow(session: &Session<'_>, filter: EventFilter, after: Option<u64>) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let start = after.map_or(EventStart::Now, EventStart::After);
    let mut stream = session.client.events(filter, start).await?;
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            () = signals.next() => return Ok(ExitCode::Interrupted),
        };
        match item {
            Some(Ok(StreamItem::Event(event))) => print(session, Told::new(event)),
            Some(Ok(StreamItem::Missed { until })) => missed(session, until),
            // A reader that is slow loses nothing by it.
            Some(Ok(StreamItem::Progress(_) | StreamItem::CutOff { .. })) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(ExitCode::Success),
        }
        if session.printer.is_closed() {
            return Ok(ExitCode::Success);
        }
    }
}

/// One event: a table has no end to wait for here.
fn print(session: &Session<'_>, told: Told) {
    match session.format {
        Format::Table => {
            let job = told.event.job.map_or_else(|| "-".to_owned(), short);
            let number = told.event.number;
            session.printer.result(format_args!("{number:>6}  {}  {job:<8}  {}", local_time(told.event.at), told.text));
        }
        Format::Tsv | Format::Json => table::print(session.format, &COLUMNS, &[told], session.printer),
    }
}

fn missed(session: &Session<'_>, until: u64) {
    let text = format_args!("events up to {until} are no longer kept; `backhaul job list` shows what they led to");
    session.printer.note(Tone::Warning, text);
}
