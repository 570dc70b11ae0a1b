//! Rows for people, for `cut` and for programs.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row as DrawnRow, Table as Drawn, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::arguments::Format;
use crate::api::wire::Time;
use crate::cli::printer::{Printer, one_line};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its head in a table.
    pub(super) head: &'static str,
    /// How its cells stand.
    pub(super) side: Side,
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
    Column { head, side: Side::Left }
}

pub(super) const fn number(head: &'static str) -> Column {
    Column { head, side: Side::Right }
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

/// A cell with its end, which is what tells names apart.
fn shortened(cell: &str) -> String {
    let mut rest = cell.chars();
    let mut text = cell.to_owned();
    while console::measure_text_width(&text) > CELL_MAX && rest.next().is_some() {
        text = format!("…{}", rest.as_str());
    }
    text
}

fn drawn(columns: &[Column], rows: impl Iterator<Item = Vec<String>>, lines: Lines, width: u16) -> String {
    let mut table = Drawn::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_truncation_indicator("…");
    if columns.iter().any(|column| !column.head.is_empty()) {
        table.set_header(columns.iter().map(|column| column.head));
    }
    for row in rows {
        let last = row.len() - 1;
        let cells = row.iter().enumerate().map(|(index, cell)| match index {
            _ if index == last => one_line(cell),
            _ => shortened(&one_line(cell)),
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
    fn a_time_is_shown_in_the_readers_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(shown(Time(UnixMillis(0)), "%Y-%m-%d %H:%M:%S", &zone), "1970-01-01 02:00:00");
        assert_eq!(shown(Time(UnixMillis(u64::MAX)), "%Y", &TimeZone::UTC), "9999");
    }
}
