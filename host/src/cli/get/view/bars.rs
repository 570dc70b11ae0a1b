//! Bars on a terminal: one for each file that is being moved, and one for all with rate and time left. Trouble is told above them.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::lines::tell_degraded;
use super::{Begin, Onlooker, Summary, View, tell_begin, tell_end};
use crate::cli::get::progress::{ActiveFile, Progress};
use crate::cli::get::rate::Rate;
use crate::cli::get::words::{self, Detail, Names, Story};
use crate::cli::printer::Printer;
use crate::cli::units::{bytes, files};
use crate::clock::Now;
use crate::host::NumberedEvent;
use crate::job::{FileIndex, JobState};

/// Files that have a bar of their own; more would push the total off the screen.
const FILE_BARS_MAX: usize = 16;

/// Columns of a file's name before its bar.
const NAME_COLUMNS: usize = 28;

/// The bars.
#[derive(Debug)]
pub(super) struct Bars<'a> {
    printer: &'a Printer,
    story: Story,
    rate: Rate,
    total: ProgressBar,
    files: BTreeMap<FileIndex, ProgressBar>,
}

impl<'a> Bars<'a> {
    pub(super) fn new(printer: &'a Printer, names: Names) -> Self {
        let total = printer.bars().add(ProgressBar::no_length());
        total.set_style(style(printer, Known::No));
        Self {
            printer,
            story: Story::new(names, Detail::Trouble),
            rate: Rate::default(),
            total,
            files: BTreeMap::new(),
        }
    }

    /// A bar for each active file, none for the others. A single file is its own total.
    fn draw_files(&mut self, active: &[ActiveFile]) {
        let shown = if self.story.names().count() == 1 { &[] } else { &active[..active.len().min(FILE_BARS_MAX)] };
        self.files.retain(|file, bar| {
            let stays = shown.iter().any(|active| active.file == *file);
            if !stays {
                bar.finish_and_clear();
                self.printer.bars().remove(bar);
            }
            stays
        });
        for active in shown {
            let bar = self.files.entry(active.file).or_insert_with(|| {
                let bar = self.printer.bars().insert_before(&self.total, ProgressBar::no_length());
                bar.set_prefix(shortened(&self.story.names().local(active.file), NAME_COLUMNS));
                bar
            });
            set(self.printer, bar, active.bytes_transferred, active.bytes_total, String::new());
        }
    }
}

impl Onlooker for Bars<'_> {
    fn interval(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn event(&mut self, event: &NumberedEvent) {
        for (tone, text) in self.story.tell(&event.event.kind) {
            self.printer.note(tone, text);
        }
    }

    fn progress(&mut self, progress: &Progress, now: Now) {
        self.rate.sample(now.boot, progress.bytes_received);
        self.draw_files(&progress.active);
        let name = match self.story.names().count() {
            1 => self.story.names().local(FileIndex(0)),
            count => format!("{} of {}", progress.files_transferred, files(count as u64)),
        };
        self.total.set_prefix(shortened(&name, NAME_COLUMNS));
        let message = match (self.story.waiting(progress, now.wall), progress.state) {
            (Some(waiting), _) => waiting,
            (None, JobState::Connecting) => "connecting".to_owned(),
            (None, JobState::Queued) => "waiting for its turn".to_owned(),
            (None, JobState::Transferred) => "giving the files their names".to_owned(),
            (None, _) => words::speed(progress, &self.rate).unwrap_or_default(),
        };
        match progress.bytes_total {
            // Sizes come with the files one after the other: until all are known, files are counted instead.
            None if self.story.names().count() > 1 => {
                let message = format!("{}  {message}", bytes(progress.bytes_transferred));
                set_bar(
                    self.printer,
                    &self.total,
                    progress.files_transferred.into(),
                    Some(progress.files_total.into()),
                    message,
                );
            }
            total => set(self.printer, &self.total, progress.bytes_transferred, total, message),
        }
    }

    fn degraded(&mut self, detail: Option<&str>) {
        tell_degraded(self.printer, detail);
    }
}

impl View for Bars<'_> {
    fn begin(&mut self, begin: &Begin) {
        tell_begin(self.printer, self.story.names(), begin);
    }

    fn end(&mut self, summary: &Summary) {
        self.draw_files(&[]);
        self.total.finish_and_clear();
        self.printer.bars().remove(&self.total);
        tell_end(self.printer, self.story.names(), summary);
    }
}

/// Whether a size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

/// Draws a bar of bytes.
fn set(printer: &Printer, bar: &ProgressBar, done: u64, total: Option<u64>, message: String) {
    let size = match total {
        Some(total) => format!("{} / {}", bytes(done), bytes(total)),
        None => bytes(done),
    };
    let message = if message.is_empty() { size } else { format!("{size}  {message}") };
    set_bar(printer, bar, done, total, message);
}

fn set_bar(printer: &Printer, bar: &ProgressBar, done: u64, total: Option<u64>, message: String) {
    let known = if total.is_some() { Known::Yes } else { Known::No };
    if bar.length() != total {
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_style(style(printer, known));
    }
    bar.set_message(message);
    bar.set_position(done);
    bar.tick();
}

fn style(printer: &Printer, known: Known) -> ProgressStyle {
    let template = match (known, printer.has_colours()) {
        (Known::Yes, true) => "{prefix:28} [{bar:24.cyan/dim}] {percent:>3} %  {wide_msg}",
        (Known::Yes, false) => "{prefix:28} [{bar:24}] {percent:>3} %  {wide_msg}",
        (Known::No, _) => "{prefix:28} {spinner} {wide_msg}",
    };
    ProgressStyle::with_template(template)
        .expect("the templates are constant, and drawn by a test")
        .progress_chars("=> ")
}

/// The name in so many columns: its end is what tells names apart.
fn shortened(name: &str, columns: usize) -> String {
    let count = name.chars().count();
    match count <= columns {
        true => name.to_owned(),
        false => std::iter::once('…').chain(name.chars().skip(count + 1 - columns)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        let printer = Printer::of_process();
        for known in [Known::Yes, Known::No] {
            let _ = style(&printer, known);
        }
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "…cdefg");
        assert_eq!(shortened("äöüäöüä", 6).chars().count(), 6);
    }
}
