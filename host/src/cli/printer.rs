//! Everything that a command prints goes through here: results to stdout, what people read meanwhile to stderr.
//!
//! A reader that went away (a closed pipe) ends the output, not the work. Any other failure to write is kept, and becomes the exit
//! code of a command that was otherwise successful.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

/// How a text is set off, where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// It went well.
    Good,
    /// It will be dealt with.
    Warning,
    /// It failed.
    Bad,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// The way out for all text of a process.
#[derive(Debug)]
pub(crate) struct Printer {
    bars: MultiProgress,
    terminal: bool,
    colours: bool,
    closed: OnceLock<io::ErrorKind>,
}

impl Printer {
    /// The printer of this process. Colours as <https://no-color.org> wants them.
    pub(crate) fn of_process() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            bars: MultiProgress::with_draw_target(target),
            terminal,
            colours: terminal && !no_color,
            closed: OnceLock::new(),
        }
    }

    /// Whether stderr is a terminal on which bars can be drawn.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether colours are wanted.
    pub(crate) const fn has_colours(&self) -> bool {
        self.colours
    }

    /// The bars, which lines are kept out of the way of.
    pub(crate) const fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A line of the result, to stdout.
    pub(crate) fn result(&self, text: impl Display) {
        self.write(Stream::Out, &format!("{}\n", without_controls(&text.to_string())));
    }

    /// A line of the result, set off where stdout is a terminal.
    pub(crate) fn toned_result(&self, tone: Tone, text: &str) {
        let text = without_controls(text);
        let line = match tone {
            Tone::Plain => format!("{text}\n"),
            _ if self.colours && self.results_are_read_by_people() => format!("{}{text}\x1b[0m\n", tone.escape()),
            _ => format!("{text}\n"),
        };
        self.write(Stream::Out, &line);
    }

    /// Whether stdout is a terminal, so that results are read by people.
    pub(crate) fn results_are_read_by_people(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// A line of the result as fields with a tab between them, to stdout.
    pub(crate) fn fields(&self, fields: &[String]) {
        let fields: Vec<_> = fields.iter().map(|field| one_line(field)).collect();
        self.write(Stream::Out, &format!("{}\n", fields.join("\t")));
    }

    /// Text of our own, as it is, to stdout.
    pub(crate) fn verbatim(&self, text: &str) {
        self.write(Stream::Out, text);
    }

    /// A line of JSON, to stdout.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("what is printed has string keys and no failing serializer");
        self.write(Stream::Out, &format!("{text}\n"));
    }

    /// A line for people, to stderr.
    pub(crate) fn note(&self, tone: Tone, text: impl Display) {
        let text = without_controls(&text.to_string());
        let line = match tone {
            _ if !self.colours => format!("{text}\n"),
            Tone::Plain => format!("{text}\n"),
            _ => format!("{}{text}\x1b[0m\n", tone.escape()),
        };
        self.write(Stream::Err, &line);
    }

    /// The one line that says why a command failed.
    pub(crate) fn error(&self, text: impl Display) {
        let (begin, end) = if self.colours { (Tone::Bad.escape(), "\x1b[0m") } else { ("", "") };
        let text = without_controls(&text.to_string());
        self.write(Stream::Err, &format!("{begin}error:{end} {text}\n"));
    }

    /// Whether nobody reads stdout any more, or it cannot be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    /// Why stdout could not be written, if that is worth an exit code: a reader that had enough is not.
    pub(crate) fn output_failure(&self) -> Option<io::ErrorKind> {
        self.closed.get().copied().filter(|kind| *kind != io::ErrorKind::BrokenPipe)
    }

    fn write(&self, stream: Stream, text: &str) {
        self.bars.suspend(|| match stream {
            // Nothing is left to say that stderr is gone with.
            Stream::Err => drop(io::stderr().write_all(text.as_bytes())),
            Stream::Out if self.closed.get().is_some() => {}
            Stream::Out => {
                let mut out = io::stdout().lock();
                if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    let _ = self.closed.set(error.kind());
                }
            }
        });
    }
}

/// The text without control characters but line ends: what others wrote (file names, servers, guests) must not steer a terminal.
fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Text of foreign origin as one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The text in so many columns: its end is what tells names apart.
pub(crate) fn shortened(text: &str, columns: usize) -> String {
    let mut rest = text.chars();
    let mut text = text.to_owned();
    while console::measure_text_width(&text) > columns && rest.next().is_some() {
        text = format!("…{}", rest.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "…cdefg");
        assert!(console::measure_text_width(&shortened(&"漢".repeat(30), 12)) <= 12);
    }

    #[test]
    fn control_characters_of_others_do_not_reach_a_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\nc\u{9b}d é"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d é");
        assert_eq!(without_controls("a\x1b\nb\r"), "a\u{fffd}\nb\u{fffd}");
    }
}
