//! The table of BITS, `tests/bits_table.toml`, cell by cell against a daemon: a job is brought into the state of the column, what the
//! row says is done or happens, and what the client then finds is compared with the cell.
//!
//! `BACKHAUL_BITS_TABLE` names another table, `BACKHAUL_BITS_CELL` one cell of it, as `operation.suspend.queued`: so `tests/flip_table`
//! shows that each wrong cell is noticed.

mod events;
mod inactivity;
mod operations;
mod stage;
mod table;

use std::cell::OnceCell;
use std::sync::Mutex;

use self::stage::Stage;
use self::table::{Cell, Kind, Table};

/// Cells that are tried at once: most of their time is spent waiting for the disk.
const AT_ONCE: usize = 4;

#[test]
fn every_operation_does_what_bits_says() {
    compare(&Table::read().cells(Kind::Operation), Stages::default, |stages, cell| {
        let stage = match operations::wants_room(cell) {
            true => stages.roomy.get_or_init(Stage::roomy),
            false => stages.occupied.get_or_init(Stage::occupied),
        };
        operations::observe(stage, cell)
    });
}

#[test]
fn everything_that_happens_by_itself_leads_where_bits_says() {
    compare(
        &Table::read().cells(Kind::Event),
        || (),
        |(), cell| match cell.row.as_str() {
            "inactivity_timeout" => inactivity::observe(cell),
            _ => events::observe(cell),
        },
    );
}

/// The daemons that serve many cells, started when one needs them.
#[derive(Debug, Default)]
struct Stages {
    occupied: OnceCell<Stage>,
    roomy: OnceCell<Stage>,
}

/// Tries every cell, and says of all together which ones are not as they are written. Each thread prepares what it needs.
fn compare<S>(cells: &[&Cell], prepare: impl Fn() -> S + Sync, observe: impl Fn(&S, &Cell) -> String + Sync) {
    let (left, wrong) = (Mutex::new(cells.iter()), Mutex::new(Vec::new()));
    let work = || {
        let prepared = prepare();
        loop {
            let Some(cell) = left.lock().unwrap().next() else { return };
            let found = observe(&prepared, cell);
            if found != cell.wanted {
                wrong.lock().unwrap().push(format!("{}: wanted \"{}\", found \"{found}\"", cell.name(), cell.wanted));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cells.len()) {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} cells are not as BITS has them:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );
}
