//! The table as it is written.

use std::path::Path;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A client does something.
    Operation,
    /// Something happens by itself.
    Event,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    pub(super) row: String,
    pub(super) state: String,
    pub(super) wanted: String,
}

#[derive(Debug)]
pub(super) struct Table(Vec<Cell>);

/// The columns: BITS's states, and nothing, for what makes a job.
const STATES: [&str; 10] = [
    "nothing",
    "suspended",
    "queued",
    "connecting",
    "transferring",
    "transient_error",
    "error",
    "transferred",
    "acknowledged",
    "cancelled",
];

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Event => "event",
        }
    }
}

impl Cell {
    /// For example `operation.suspend.queued`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}.{}", self.kind.name(), self.row, self.state)
    }
}

impl Table {
    /// The table, or the one that the environment names, and of that one only the cell that is named there.
    pub(super) fn read() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bits_table.toml");
        let path = std::env::var_os("BACKHAUL_BITS_TABLE").map_or(own, Into::into);
        let text = std::fs::read_to_string(&path).unwrap();
        let table = Self::parse(&text);
        match std::env::var("BACKHAUL_BITS_CELL") {
            Ok(name) => {
                let cells: Vec<_> = table.0.into_iter().filter(|cell| cell.name() == name).collect();
                assert_eq!(cells.len(), 1, "there is no cell {name}");
                Self(cells)
            }
            Err(_) => table,
        }
    }

    fn parse(text: &str) -> Self {
        let kinds: toml::Table = text.parse().unwrap();
        let mut cells = Vec::new();
        for (kind, rows) in &kinds {
            let kind = [Kind::Operation, Kind::Event].into_iter().find(|known| known.name() == kind);
            let kind = kind.expect("rows are operations or events");
            for (row, states) in rows.as_table().unwrap() {
                for (state, wanted) in states.as_table().unwrap() {
                    assert!(STATES.contains(&state.as_str()), "{row} has a column {state}");
                    let wanted = wanted.as_str().unwrap().to_owned();
                    cells.push(Cell { kind, row: row.clone(), state: state.clone(), wanted });
                }
            }
        }
        Self(cells)
    }

    pub(super) fn cells(&self, kind: Kind) -> Vec<&Cell> {
        self.0.iter().filter(|cell| cell.kind == kind).collect()
    }
}
