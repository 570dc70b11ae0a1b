//! Bars on a terminal: one for each file that is being moved, and one for all with rate and time left. Trouble is told above them.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::lines::tell_degraded;
use super::{Begin, Onlooker, Summary, View, tell_begin, tell_end};
use crate::cli::exit_code::ExitCode;
use crate::cli::get::progress::{ActiveFile, Progress};
use crate::cli::get::rate::Rate;
use crate::cli::get::words::{self, Detail, Names, Story};
use crate::cli::printer::{Printer, Tone, shortened};
use crate::cli::units::{bytes, files};
use crate::clock::Now;
use crate::host::NumberedEvent;
use crate::job::{FileIndex, JobState};

/// Files that have a bar of their own; more than a handful nobody follows. The others are counted.
pub(crate) const FILE_BARS_MAX: usize = 5;

/// Rows of the terminal that files do not take: the count of the others, the total, the cursor, and one for what is told above.
const OTHER_ROWS: usize = 4;

/// Milliseconds that each frame of a spinner stands.
const FRAME_MS: u64 = 100;

/// What turns where no size is known.
const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// How the columns of a line are shared out between name and bar; what is left is for the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    name: usize,
    bar: usize,
}

impl Columns {
    /// For a terminal of so many columns.
    const fn of(terminal: u16) -> Self {
        match terminal {
            0..76 => Self { name: 12, bar: 8 },
            76..88 => Self { name: 14, bar: 8 },
            88..112 => Self { name: 20, bar: 12 },
            _ => Self { name: 28, bar: 24 },
        }
    }
}

/// The bars.
#[derive(Debug)]
pub(super) struct Bars<'a> {
    printer: &'a Printer,
    story: Story,
    /// Told when the job is not done: who wants to look into its store needs it then.
    state_dir: PathBuf,
    rate: Rate,
    total: ProgressBar,
    /// From the top. Which file one shows changes as files end: a bar that came and went with each would flicker where they are small.
    files: Vec<ProgressBar>,
    /// Counts the files that are being moved and have no bar, while there are any.
    others: Option<ProgressBar>,
}

impl<'a> Bars<'a> {
    pub(super) fn new(printer: &'a Printer, names: Names) -> Self {
        let total = printer.bars().add(bar());
        let story = Story::new(names, Detail::Trouble);
        let (state_dir, rate, files) = (PathBuf::new(), Rate::default(), Vec::new());
        Self { printer, story, state_dir, rate, total, files, others: None }
    }

    /// A bar for each of the first active files, and a count of the rest. A single file is its own total.
    fn draw_files(&mut self, active: &[ActiveFile], rows: usize, columns: Columns, now: Now) {
        let names = self.story.names();
        let (shown, others) = if names.count() == 1 { (&[][..], 0) } else { with_bars(active, rows) };
        let printer = self.printer;
        self.files.drain(shown.len().min(self.files.len())..).for_each(|bar| take_away(printer, &bar));
        if others == 0 {
            self.others.take().iter().for_each(|bar| take_away(printer, bar));
        } else {
            let new = || printer.bars().insert_before(&self.total, bar());
            self.others.get_or_insert_with(new).set_message(format!("and {others} more"));
        }
        let below = self.others.as_ref().unwrap_or(&self.total);
        self.files.resize_with(shown.len(), || printer.bars().insert_before(below, bar()));
        for (bar, active) in self.files.iter().zip(shown) {
            let part = Part { done: active.bytes_transferred, total: active.bytes_total };
            bar.set_message(line(columns, &names.local(active.file), part, &size(part), now));
        }
    }

    fn draw_total(&self, progress: &Progress, columns: Columns, now: Now) {
        let of_bytes = Part { done: progress.bytes_transferred, total: progress.bytes_total };
        let names = self.story.names();
        let name = match names.count() {
            1 => names.local(FileIndex(0)),
            count => counted(progress.files_transferred, count, columns.name),
        };
        let part = match progress.bytes_total {
            // Sizes come with the files one after the other: until all are known, files are counted instead.
            None if names.count() > 1 => {
                Part { done: progress.files_transferred.into(), total: Some(progress.files_total.into()) }
            }
            _ => of_bytes,
        };
        let happens = match (self.story.waiting(progress, now.wall), progress.state) {
            (Some(waiting), _) => waiting,
            (None, JobState::Connecting) => "connecting".to_owned(),
            (None, JobState::Queued) => "waiting for its turn".to_owned(),
            (None, JobState::Transferred) => "giving the files their names".to_owned(),
            (None, JobState::Suspended) => "suspended".to_owned(),
            (None, _) => words::speed(progress, &self.rate).unwrap_or_default(),
        };
        let message = format!("{}  {happens}", size(of_bytes));
        self.total.set_message(line(columns, &name, part, &message, now));
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
        // Read each time: terminals change their size.
        let (rows, columns) = console::Term::stderr().size();
        let columns = Columns::of(columns);
        self.draw_files(&progress.active, rows.into(), columns, now);
        self.draw_total(progress, columns, now);
    }

    fn degraded(&mut self, detail: Option<&str>) {
        tell_degraded(self.printer, detail);
    }

    fn names_mut(&mut self) -> Option<&mut Names> {
        Some(self.story.names_mut())
    }

    fn clear(&mut self) {
        for bar in std::mem::take(&mut self.files).into_iter().chain(self.others.take()) {
            take_away(self.printer, &bar);
        }
        take_away(self.printer, &self.total);
    }
}

impl View for Bars<'_> {
    fn begin(&mut self, begin: &Begin) {
        tell_begin(self.printer, self.story.names(), begin);
        self.state_dir.clone_from(&begin.state_dir);
    }

    fn end(&mut self, summary: &Summary) {
        self.clear();
        tell_end(self.printer, self.story.names(), summary);
        if summary.code != ExitCode::Success && !self.state_dir.as_os_str().is_empty() {
            self.printer.note(Tone::Dim, format_args!("  its state is in {}", self.state_dir.display()));
        }
    }
}

/// How much of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    done: u64,
    total: Option<u64>,
}

/// A line that is told as it is, cut at the width of the terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").expect("the template is constant, and made by a test");
    ProgressBar::no_length().with_style(style)
}

/// The files that have a bar on so many rows, and how many have none.
fn with_bars(active: &[ActiveFile], rows: usize) -> (&[ActiveFile], usize) {
    let (shown, others) = active.split_at(active.len().min(FILE_BARS_MAX).min(rows.saturating_sub(OTHER_ROWS)));
    (shown, others.len())
}

fn take_away(printer: &Printer, bar: &ProgressBar) {
    bar.finish_and_clear();
    printer.bars().remove(bar);
}

fn size(part: Part) -> String {
    match part.total {
        Some(total) => format!("{} / {}", bytes(part.done), bytes(total)),
        None => bytes(part.done),
    }
}

/// How many of the files are whole, in so many columns if it can be.
fn counted(whole: u32, count: usize, columns: usize) -> String {
    let text = format!("{whole} of {}", files(count as u64));
    if console::measure_text_width(&text) <= columns { text } else { format!("{whole}/{count}") }
}

/// Name, bar and percentage, and a message; a spinner where no size is known.
fn line(columns: Columns, name: &str, part: Part, message: &str, now: Now) -> String {
    let name = shortened(name, columns.name);
    let padding = " ".repeat(columns.name.saturating_sub(console::measure_text_width(&name)));
    let Some(total) = part.total else {
        let frame = usize::try_from(now.boot.0 / FRAME_MS).unwrap_or(0) % FRAMES.len();
        return format!("{name}{padding} {} {message}", FRAMES[frame]);
    };
    let share = |of: u64| match total {
        0 => of,
        _ => u64::try_from(u128::from(part.done.min(total)) * u128::from(of) / u128::from(total)).unwrap_or(of),
    };
    let filled = usize::try_from(share(columns.bar as u64)).unwrap_or(columns.bar);
    let (full, empty) = ("=".repeat(filled), " ".repeat(columns.bar - filled));
    format!("{name}{padding} [{full}{empty}] {:>3} %  {message}", share(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMillis;

    fn at(boot: u64) -> Now {
        Now { boot: BootMillis(boot), ..Now::default() }
    }

    #[test]
    fn a_line_shows_name_share_and_message() {
        let _ = bar();
        let columns = Columns::of(100);
        let half = Part { done: 50, total: Some(100) };
        assert_eq!(line(columns, "a", half, "x", at(0)), "a                    [======      ]  50 %  x");
        let all = Part { done: 101, total: Some(100) };
        assert_eq!(line(columns, "a", all, "x", at(0)), "a                    [============] 100 %  x");
        let empty = Part { done: 0, total: Some(0) };
        assert_eq!(line(columns, "a", empty, "x", at(0)), "a                    [============] 100 %  x");
        let unknown = Part { done: 5, total: None };
        assert_eq!(line(columns, "a", unknown, "x", at(150)), "a                    / x");
    }

    #[test]
    fn narrow_terminals_have_room_for_numbers() {
        for terminal in [40, 60, 80, 100, 200] {
            let columns = Columns::of(terminal);
            let text = line(columns, &"n".repeat(300), Part { done: 1, total: Some(1) }, "", at(0));
            assert!(console::measure_text_width(&text) < usize::from(terminal), "{text}");
        }
    }

    #[test]
    fn a_handful_of_files_have_bars_and_fewer_on_a_low_terminal() {
        let active: Vec<_> =
            (0..8).map(|file| ActiveFile { file: FileIndex(file), bytes_transferred: 0, bytes_total: None }).collect();
        let split = |files: usize, rows| {
            let (shown, others) = with_bars(&active[..files], rows);
            assert!(shown.iter().zip(&active).all(|(shown, active)| shown == active), "the first ones");
            (shown.len(), others)
        };
        assert_eq!((split(0, 24), split(5, 24), split(6, 24), split(8, 24)), ((0, 0), (5, 0), (5, 1), (5, 3)));
        assert_eq!((split(8, 7), split(8, 4), split(8, 0)), ((3, 5), (0, 8), (0, 8)));
    }

    #[test]
    fn common_terminals_show_the_whole_total() {
        for terminal in [80, 100, 120] {
            let message = "12.3 MiB / 56.7 MiB  1.2 MiB/s, 5 min 57 s left";
            let half = Part { done: 1, total: Some(2) };
            let columns = Columns::of(terminal);
            let text = line(columns, &counted(1_234, 56_789, columns.name), half, message, at(0));
            assert!(console::measure_text_width(&text) <= usize::from(terminal) && !text.contains('…'), "{text}");
        }
    }
}
