//! The exit codes of every command: one table, which `backhaul help exit-codes` prints.

use std::fmt::Write as _;

/// How a process of ours ends. From 64 on they are those of sysexits.h, where it has one that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything that was asked for is done.
    Success,
    /// The job ended in ERROR, or the check found problems.
    Failed,
    /// The command line, or a file that it names, is not as it should be. Nothing was done.
    Usage,
    /// The job was ended before all of its files were there.
    Incomplete,
    /// The store is damaged, or no store of ours.
    StoreDamaged,
    /// The daemon has no such job or file, or an abbreviated id is of several jobs.
    NotFound,
    /// The daemon cannot be reached, or does not answer.
    Unavailable,
    /// A defect of ours.
    Internal,
    /// The store cannot be created, read or written.
    StoreUnusable,
    /// The output cannot be written.
    Output,
    /// Another process works on the store.
    StoreLocked,
    /// The store was written by a newer version.
    StoreNewer,
    /// The daemon refused the request.
    Refused,
    /// A policy cannot be built, read or loaded.
    Policy,
    /// Ended by SIGINT, SIGTERM or SIGHUP; what is durable stays.
    Interrupted,
}

impl ExitCode {
    /// All of them, by number.
    pub const ALL: [Self; 15] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::Incomplete,
        Self::StoreDamaged,
        Self::NotFound,
        Self::Unavailable,
        Self::Internal,
        Self::StoreUnusable,
        Self::Output,
        Self::StoreLocked,
        Self::StoreNewer,
        Self::Refused,
        Self::Policy,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::StoreDamaged => 65,
            Self::NotFound => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::StoreUnusable => 73,
            Self::Output => 74,
            Self::StoreLocked => 75,
            Self::StoreNewer => 76,
            Self::Refused => 77,
            Self::Policy => 78,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for the table.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => {
                "all files are under their local names, as long (and of the digest) as they should be; or nothing was found wrong"
            }
            Self::Failed => "a job ended in ERROR, and the error is printed; or a check found problems",
            Self::Usage => {
                "bad usage: the command line, or a file that it names, is not as it should be; nothing was done"
            }
            Self::Incomplete => {
                "the job was completed or cancelled before all of its files were there, by a policy or by whoever uses it"
            }
            Self::StoreDamaged => {
                "the store is damaged, or the directory holds a file that is no store of Backhaul; nothing was touched"
            }
            Self::NotFound => "the daemon has no such job or file, or the abbreviated id is of several jobs",
            Self::Unavailable => "the daemon cannot be reached, or does not answer as it should; see `backhaul serve`",
            Self::Internal => "a defect of Backhaul: please report it",
            Self::StoreUnusable => {
                "the store cannot be created, read or written: permissions, a full disk, a file system that cannot lock"
            }
            Self::Output => "the output cannot be written",
            Self::StoreLocked => "another process works on the store; its process id is printed",
            Self::StoreNewer => "the store was written by a newer version of Backhaul; nothing was touched",
            Self::Refused => "the daemon refused the request, and says why; nothing was changed",
            Self::Policy => "a policy cannot be built, read or loaded, or refuses its settings",
            Self::Interrupted => {
                "interrupted (SIGINT, SIGTERM, SIGHUP): `get` suspends its job, and the same command goes on with it; jobs of a daemon stay as they are"
            }
        }
    }

    /// The table as text, wrapped for 100 columns.
    #[must_use]
    pub fn table() -> String {
        const WIDTH: usize = 94;
        let mut table = String::from("Exit codes:\n");
        for code in Self::ALL {
            let mut column = 0;
            let _ = write!(table, "  {:>3}  ", code.number());
            for word in code.meaning().split(' ') {
                if column > 0 && column + 1 + word.len() > WIDTH - 7 {
                    table.push_str("\n       ");
                    column = 0;
                }
                if column > 0 {
                    table.push(' ');
                    column += 1;
                }
                table.push_str(word);
                column += word.len();
            }
            table.push('\n');
        }
        table.truncate(table.trim_end().len());
        table
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number_and_is_listed_in_order() {
        let numbers: Vec<u8> = ExitCode::ALL.map(ExitCode::number).to_vec();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(numbers, sorted);
    }

    #[test]
    fn the_promised_codes_are_kept() {
        let promised =
            [ExitCode::Success, ExitCode::Failed, ExitCode::Usage, ExitCode::StoreLocked, ExitCode::Interrupted];
        assert_eq!(promised.map(ExitCode::number), [0, 1, 2, 75, 130]);
    }

    #[test]
    fn the_readme_has_the_same_numbers() {
        let readme = include_str!("../../../README.md");
        let section = readme.split("## Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
        assert_eq!(rows.collect::<Vec<u8>>(), ExitCode::ALL.map(ExitCode::number));
    }

    #[test]
    fn the_table_has_a_line_for_each_and_fits_a_terminal() {
        let table = ExitCode::table();
        for code in ExitCode::ALL {
            assert!(table.contains(&format!("{:>5}  ", code.number())), "{table}");
        }
        assert!(table.lines().all(|line| line.len() <= 100), "{table}");
    }
}
