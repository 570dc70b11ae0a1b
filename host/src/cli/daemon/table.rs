//! Rows for people, for `cut` and for programs.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row as DrawnRow, Table as Drawn, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::arguments::Format;
use crate::api::wire::Time;
use crate::cli::printer::{Printer, Tone, one_line, shortened};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its head in a table.
    pub(super) head: &'static str,
    /// How its cells stand.
    pub(super) side: Side,
    /// Whether a table that would not fit can do without it.
    pub(super) need: Need,
}

/// Whether a table can do without a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It cannot.
    Always,
    /// It is left out where the terminal is too narrow for all.
    WhereItFits,
}

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

pub(super) const fn text(head: &'static str) -> Column {
    Column { head, side: Side::Left, need: Need::Always }
}

pub(super) const fn number(head: &'static str) -> Column {
    Column { head, side: Side::Right, need: Need::Always }
}

/// A column that gives way on a narrow terminal.
pub(super) const fn where_it_fits(column: Column) -> Column {
    Column { need: Need::WhereItFits, ..column }
}

/// A row in its three forms.
pub(super) trait Row {
    /// What `-o json` prints.
    type Json: Serialize;
    /// The cells of the table, as many as there are columns.
    fn cells(&self) -> Vec<String>;
    /// The fields of a line with tabs.
    fn fields(&self) -> Vec<String>;
    /// The shape of the host API.
    fn json(&self) -> &Self::Json;
}

/// Prints rows. A table is drawn once all are there; lines go out one by one.
pub(super) fn print<R: Row>(format: Format, columns: &[Column], rows: &[R], printer: &Printer) {
    match format {
        Format::Table => printer.result(drawn(columns, rows.iter().map(Row::cells), Lines::One, width())),
        Format::Tsv => rows.iter().for_each(|row| printer.fields(&row.fields())),
        Format::Json => rows.iter().for_each(|row| printer.json(row.json())),
    }
}

/// Rows that come page by page. Lines go out with their page; a table is drawn once all are there, for only then its widths are known.
#[derive(Debug)]
pub(super) struct Listing<'a, R> {
    format: Format,
    columns: &'a [Column],
    printer: &'a Printer,
    kept: Vec<R>,
}

impl<'a, R: Row> Listing<'a, R> {
    pub(super) const fn new(format: Format, columns: &'a [Column], printer: &'a Printer) -> Self {
        Self { format, columns, printer, kept: Vec::new() }
    }

    /// Takes a page.
    pub(super) fn page(&mut self, rows: Vec<R>) {
        match self.format {
            Format::Table => self.kept.extend(rows),
            Format::Tsv | Format::Json => print(self.format, self.columns, &rows, self.printer),
        }
    }

    /// After the last page; `none` tells people that there was nothing on any.
    pub(super) fn end(self, none: &str) {
        match (self.format, self.kept.is_empty()) {
            (Format::Table, true) => self.printer.note(Tone::Dim, none),
            (Format::Table, false) => print(self.format, self.columns, &self.kept, self.printer),
            (Format::Tsv | Format::Json, _) => {}
        }
    }
}

/// Prints one thing: names and values.
pub(super) fn print_one(format: Format, pairs: &[(&str, String)], json: &impl Serialize, printer: &Printer) {
    match format {
        Format::Table => {
            let columns = [text(""), text("")];
            let rows = pairs.iter().filter(|(_, value)| !value.is_empty());
            let table = drawn(
                &columns,
                rows.map(|(name, value)| vec![(*name).to_owned(), value.clone()]),
                Lines::Many,
                width(),
            );
            printer.result(table);
        }
        Format::Tsv => pairs.iter().for_each(|(name, value)| printer.fields(&[(*name).to_owned(), value.clone()])),
        Format::Json => printer.json(json),
    }
}

/// Columns of the terminal.
fn width() -> u16 {
    console::Term::stdout().size().1
}

/// How many lines a row may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// Lists: what does not fit in the last column is cut.
    One,
    /// One thing, all of it.
    Many,
}

/// Columns that a cell may have, unless it is the last: the last one needs room, too.
const CELL_MAX: usize = 40;

/// Columns that such a cell has at least, where the terminal is narrow: the longest name of a state.
const CELL_MIN: usize = 15;

/// Columns that the last cell has at least: the name of an error and its number.
const LAST_MIN: usize = 20;

/// Which columns are drawn, and how wide.
#[derive(Debug, PartialEq, Eq)]
struct Fit {
    /// By their numbers.
    columns: Vec<usize>,
    /// That a cell may have.
    cell_max: usize,
    /// Of the whole: wider than the terminal, where nothing else helps.
    width: usize,
}

impl Fit {
    /// Cells get shorter first; then columns go.
    fn of(columns: &[Column], rows: &[Vec<String>], terminal: usize) -> Self {
        let heads = columns.iter().map(|column| console::measure_text_width(column.head));
        let cell = |row: &Vec<String>, index: usize| row.get(index).map_or(0, |cell| console::measure_text_width(cell));
        let widest =
            heads.enumerate().map(|(index, head)| rows.iter().map(|row| cell(row, index)).fold(head, usize::max));
        let widest: Vec<usize> = widest.collect();
        let mut kept: Vec<usize> = (0..columns.len()).collect();
        loop {
            let needed = |cell_max: usize| {
                let last = kept.last().map_or(0, |index| widest[*index].min(LAST_MIN));
                let others: usize = kept.iter().rev().skip(1).map(|index| widest[*index].min(cell_max)).sum();
                // A space on each side, but at the begin.
                others + last + 2 * kept.len() - 1
            };
            if let Some(cell_max) = (CELL_MIN..=CELL_MAX).rev().find(|cell_max| needed(*cell_max) <= terminal) {
                return Self { columns: kept, cell_max, width: terminal };
            }
            match kept.iter().rposition(|index| columns[*index].need == Need::WhereItFits) {
                Some(position) => drop(kept.remove(position)),
                None => return Self { width: needed(CELL_MIN), columns: kept, cell_max: CELL_MIN },
            }
        }
    }
}

fn drawn(columns: &[Column], rows: impl Iterator<Item = Vec<String>>, lines: Lines, width: u16) -> String {
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let fit = match lines {
        Lines::One => Fit::of(columns, &rows, width.into()),
        Lines::Many => Fit { columns: (0..columns.len()).collect(), cell_max: CELL_MAX, width: width.into() },
    };
    let columns: Vec<Column> = fit.columns.iter().map(|index| columns[*index]).collect();
    let width = u16::try_from(fit.width).unwrap_or(u16::MAX);
    let mut table = Drawn::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_truncation_indicator("…");
    if columns.iter().any(|column| !column.head.is_empty()) {
        table.set_header(columns.iter().map(|column| column.head));
    }
    for row in rows {
        let last = row.len() - 1;
        let cells = fit.columns.iter().map(|index| match &row[*index] {
            cell if *index == last => cell.clone(),
            cell => shortened(cell, fit.cell_max),
        });
        let mut row = DrawnRow::from(cells.collect::<Vec<_>>());
        if lines == Lines::One {
            row.max_height(1);
        }
        table.add_row(row);
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(drawn) = table.column_mut(index) {
            let first = if index == 0 { 0 } else { 1 };
            drawn.set_padding((first, 1));
            if index + 1 < columns.len() {
                drawn.set_constraint(ColumnConstraint::ContentWidth);
            }
            if column.side == Side::Right {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.trim_fmt()
}

/// A time of day with its date, where the reader is.
pub(super) fn local_time(time: Time) -> String {
    shown(time, "%Y-%m-%d %H:%M:%S", &TimeZone::system())
}

fn shown(time: Time, form: &str, zone: &TimeZone) -> String {
    let millis = i64::try_from(time.0.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone()).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;

    #[test]
    fn a_table_fits_the_terminal_and_aligns_its_columns() {
        let columns = [text("ID"), number("SIZE"), text("NAME")];
        let rows = [["a1", "9 B", "x"], ["b2", "10 MiB", "a long name that does not fit\x1b"]];
        let rows = || rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        let text = drawn(&columns, rows(), Lines::One, 100);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].trim_end(), "ID    SIZE  NAME", "{text}");
        assert_eq!(lines[1].trim_end(), "a1     9 B  x", "{text}");
        assert!(lines[2].ends_with("fit\u{fffd}"), "{text}");
        let narrow = drawn(&columns, rows(), Lines::One, 30);
        assert!(narrow.lines().all(|line| console::measure_text_width(line) <= 30), "{narrow}");
        assert_eq!(narrow.lines().count(), 3, "a row is a line: {narrow}");
        assert!(narrow.contains('…'), "what is cut is seen to be: {narrow}");
        let whole = drawn(&columns, rows(), Lines::Many, 30);
        assert!(whole.contains("fit"), "{whole}");
    }

    #[test]
    fn on_a_narrow_terminal_columns_go_before_the_last_cell_does() {
        let columns = [text("ID"), text("STATE"), where_it_fits(text("PRIORITY")), text("NAME"), text("WHY")];
        let row =
            ["2ff1355f", "transient_error", "foreground", "a rather long name of a job", "http (0x80190194): failed"];
        let drawn = |width| drawn(&columns, [row.map(str::to_owned).to_vec()].into_iter(), Lines::One, width);
        assert!(
            drawn(120).contains("foreground")
                && drawn(120).contains("a rather long name")
                && drawn(120).contains("failed")
        );
        let cells_are_cut = drawn(80);
        assert!(cells_are_cut.contains("foreground") && cells_are_cut.contains("http (0x80190194)"), "{cells_are_cut}");
        let columns_are_left_out = drawn(66);
        assert!(!columns_are_left_out.contains("foreground"), "{columns_are_left_out}");
        for width in [120, 80, 66, 20] {
            let text = drawn(width);
            assert!(text.contains("http (0x801901") && text.contains("transient_error"), "{width}: {text}");
            assert_eq!(text.lines().count(), 2, "a head and a row: {text}");
            let fits = text.lines().all(|line| console::measure_text_width(line) <= width.into());
            assert_eq!(fits, width != 20, "{width}: {text}");
        }
    }

    #[test]
    fn a_time_is_shown_in_the_readers_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(shown(Time(UnixMillis(0)), "%Y-%m-%d %H:%M:%S", &zone), "1970-01-01 02:00:00");
        assert_eq!(shown(Time(UnixMillis(u64::MAX)), "%Y", &TimeZone::UTC), "9999");
    }
}
