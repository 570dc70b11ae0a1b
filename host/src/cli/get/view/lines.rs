//! Lines for people, where no bars can be drawn: in a log, or beside the messages of `-v`.

use std::time::Duration;

use super::{Begin, Onlooker, Summary, View, tell_begin, tell_end};
use crate::cli::get::progress::Progress;
use crate::cli::get::rate::Rate;
use crate::cli::get::words::{self, Detail, Names, Story};
use crate::cli::printer::{Printer, Tone};
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::host::NumberedEvent;
use crate::job::JobState;

/// Milliseconds between two lines that tell how far it is.
const TOLD_EVERY_MS: u64 = 5_000;

/// The lines.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    printer: &'a Printer,
    story: Story,
    rate: Rate,
    told_at: Option<BootMillis>,
    /// Code, detail and end of the wait that was told last.
    waiting_told: Option<(&'static str, String, Option<UnixMillis>)>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(printer: &'a Printer, names: Names) -> Self {
        Self {
            printer,
            story: Story::new(names, Detail::All),
            rate: Rate::default(),
            told_at: None,
            waiting_told: None,
        }
    }
}

impl Onlooker for Lines<'_> {
    fn interval(&self) -> Duration {
        Duration::from_millis(250)
    }

    fn event(&mut self, event: &NumberedEvent) {
        for (tone, text) in self.story.tell(&event.event.kind) {
            self.printer.note(tone, text);
        }
    }

    fn progress(&mut self, progress: &Progress, now: Now) {
        self.rate.sample(now.boot, progress.bytes_received);
        let waiting = progress.waiting_on.as_ref();
        let key = waiting.map(|waiting| (waiting.code, waiting.detail.clone(), waiting.until));
        // The decision about a retry was told as such.
        let is_new = key != self.waiting_told && waiting.is_some_and(|waiting| waiting.code != "retry_delay");
        if let Some(text) = self.story.waiting(progress, now.wall).filter(|_| is_new) {
            self.printer.note(Tone::Dim, text);
        }
        self.waiting_told = key;
        let due = self.told_at.get_or_insert(now.boot).plus(TOLD_EVERY_MS);
        if progress.state == JobState::Transferring && now.boot >= due {
            self.told_at = Some(now.boot);
            self.printer.note(Tone::Plain, words::progress(progress, &self.rate));
        }
    }

    fn degraded(&mut self, detail: Option<&str>) {
        tell_degraded(self.printer, detail);
    }

    fn names_mut(&mut self) -> Option<&mut Names> {
        Some(self.story.names_mut())
    }
}

impl View for Lines<'_> {
    fn begin(&mut self, begin: &Begin) {
        tell_begin(self.printer, self.story.names(), begin);
        let state_dir = begin.state_dir.display();
        self.printer.note(Tone::Dim, format_args!("job {}, state in {state_dir}", begin.job));
    }

    fn end(&mut self, summary: &Summary) {
        tell_end(self.printer, self.story.names(), summary);
    }
}

/// Nothing can be stored, or again.
pub(super) fn tell_degraded(printer: &Printer, detail: Option<&str>) {
    match detail {
        Some(detail) => printer.note(Tone::Bad, format_args!("nothing can be stored: {detail}; the job waits for it")),
        None => printer.note(Tone::Good, "the store can be written again; the job goes on"),
    }
}
