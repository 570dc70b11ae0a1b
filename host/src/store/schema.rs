//! Versions of the store. Forward only: each migration leads from one version to the next, in one transaction of its own.
//!
//! | version | since | what |
//! |---|---|---|
//! | 1 | 0.1.0 | jobs, headers, files, journal, decisions, memos |
//! | 2 | 0.2.0 | idempotency keys; what is being removed; final jobs by id and age; the override of the network in `meta` |
//! | 3 | 0.3.0 | the other properties of BITS; ranges and validation of files; heads of responses; webhooks; tokens |

use rusqlite_migration::{M, Migrations};

/// The migrations that a program knows; the number of the last is the version of the stores that it writes.
#[derive(Debug)]
pub(super) struct Schema {
    migrations: Migrations<'static>,
    version: u32,
}

impl Schema {
    /// What this program knows.
    pub(super) fn current() -> Self {
        Self::of(vec![
            M::up(include_str!("sql/0001_initial.sql")),
            M::up(include_str!("sql/0002_host_api.sql")),
            M::up(include_str!("sql/0003_job_model.sql")),
        ])
    }

    pub(super) fn of(migrations: Vec<M<'static>>) -> Self {
        let version = u32::try_from(migrations.len()).expect("there are few migrations");
        Self { migrations: Migrations::new(migrations), version }
    }

    /// The newest version.
    pub(super) const fn version(&self) -> u32 {
        self.version
    }

    /// Brings a database to the newest version.
    pub(super) fn migrate(&self, connection: &mut rusqlite::Connection) -> Result<(), rusqlite_migration::Error> {
        self.migrations.to_latest(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_sound() {
        Schema::current().migrations.validate().unwrap();
    }
}
