//! What the demo found at its end: whether the file is the right one, what it cost, and what happened on the way.

use std::path::PathBuf;

use serde::Serialize;

use super::origin::{End, Origin, RequestRecord};
use super::text::{Align, state_name, table, wrap};
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::one_line;
use crate::cli::units::bytes;
use crate::clock::UnixMillis;
use crate::job::{EventKind, JobError, JobRecord, JobState, PolicyName, Sha256};

/// Bytes that the origin may send beyond the size and two checkpoints: what is on its way when a connection ends, in
/// the buffers of both ends, with room to spare.
pub(super) const BYTES_SENT_SLACK: u64 = 16 << 20;

/// Columns of a report's texts before they are wrapped, less their indent.
const TEXT_COLUMNS: usize = super::text::COLUMNS - 12;

/// The end of a demo. Serialised, it is the last line of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub seed: u64,
    /// The job's last state.
    pub state: JobState,
    /// Why it ended in ERROR.
    pub error: Option<JobError>,
    /// Where the file is, if it was published.
    pub file: Option<PathBuf>,
    /// Of the file as it is on the disk.
    pub sha256: Option<Sha256>,
    /// Of the seed.
    pub sha256_expected: Sha256,
    /// Size of the file at the origin.
    pub bytes_total: u64,
    /// Durable already when this run began.
    pub bytes_durable_before: u64,
    /// By the origin and its mirror, in this run.
    pub bytes_sent: u64,
    /// The most that they may send.
    pub bytes_sent_max: u64,
    pub attempts: Vec<Attempt>,
    pub decisions: Vec<Decision>,
}

/// One attempt of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Attempt {
    /// From which address.
    pub remote_name: String,
    /// Progress that it made.
    pub new_bytes: u64,
    /// How it ended: an error code, or `finished`.
    pub end: String,
    pub http_status: Option<u16>,
}

/// One decision of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Decision {
    pub at: UnixMillis,
    pub hook: String,
    pub policy: PolicyName,
    pub verdict: String,
    pub code: String,
    pub note: String,
}

impl Decision {
    pub(super) fn from_event(at: UnixMillis, kind: &EventKind) -> Option<Self> {
        let EventKind::DecisionApplied { hook, policy, verdict, code, note, .. } = kind else {
            return None;
        };
        let (hook, policy, verdict) = (hook.clone(), policy.clone(), verdict.clone());
        Some(Self { at, hook, policy, verdict, code: code.clone(), note: note.clone() })
    }
}

/// The attempts between two readings of a job: the failed ones, of which the job keeps the last few, and the last one.
pub(super) fn attempts_between(before: &JobRecord, after: &JobRecord, last_remote_name: &str) -> Vec<Attempt> {
    let failed = usize::try_from(after.error_count.saturating_sub(before.error_count)).unwrap_or(usize::MAX);
    let history = &after.history[after.history.len().saturating_sub(failed)..];
    let mut attempts: Vec<Attempt> = history
        .iter()
        .map(|attempt| Attempt {
            remote_name: attempt.remote_name.clone(),
            new_bytes: attempt.new_bytes,
            end: attempt.code.name().to_owned(),
            http_status: attempt.http_status,
        })
        .collect();
    let of_failed: u64 = attempts.iter().map(|attempt| attempt.new_bytes).sum();
    let has_finished = |job: &JobRecord| matches!(job.state, JobState::Transferred | JobState::Acknowledged);
    if has_finished(after) && !has_finished(before) {
        attempts.push(Attempt {
            remote_name: last_remote_name.to_owned(),
            new_bytes: (after.progress_bytes - before.progress_bytes).saturating_sub(of_failed),
            end: "finished".into(),
            http_status: None,
        });
    }
    attempts
}

impl Report {
    /// What is not as it should be; empty if all is well.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match (&self.state, &self.error) {
            (JobState::Acknowledged, _) if self.file.is_some() => {}
            (JobState::Acknowledged, _) => problems.push("the job was completed without its file".into()),
            (state, Some(error)) => {
                let number = error.number();
                let state = state_name(*state);
                problems.push(format!("the job ended in {state} (0x{number:08X}): {}", error.description));
            }
            (state, None) => problems.push(format!("the job ended in {}", state_name(*state))),
        }
        if let Some(sha256) = self.sha256.filter(|sha256| *sha256 != self.sha256_expected) {
            problems.push(format!("the file has the SHA-256 {sha256}, not {}", self.sha256_expected));
        }
        if self.bytes_sent > self.bytes_sent_max {
            let (sent, max) = (bytes(self.bytes_sent), bytes(self.bytes_sent_max));
            problems.push(format!("the origin had to send {sent}, more than the {max} that a download may cost"));
        }
        problems
    }

    /// The exit code of the whole.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self.state {
            _ if self.problems().is_empty() => ExitCode::Success,
            JobState::Acknowledged if self.file.is_none() => ExitCode::Incomplete,
            JobState::Cancelled => ExitCode::Incomplete,
            _ => ExitCode::Failed,
        }
    }

    /// The report for people, in lines. Times count from `begin`.
    pub(super) fn lines(&self, origin: &Origin, requests: &[RequestRecord], begin: UnixMillis) -> Vec<String> {
        let site = |address: &str| {
            let known = [(origin.url(), "origin"), (origin.mirror_url(), "mirror")];
            let found = known.iter().find(|(url, _)| url.to_string() == address);
            found.map_or_else(|| address.to_owned(), |(_, name)| (*name).to_owned())
        };
        let mut lines = vec![String::new()];
        for (title, table) in [
            ("Requests to the origin, from its own log:", requests_table(requests, site)),
            ("Attempts of the job:", attempts_table(&self.attempts, site)),
            ("Decisions:", decisions_table(&self.decisions, begin)),
        ] {
            // The header alone tells nothing.
            if table.len() > 1 {
                lines.push(title.to_owned());
                lines.extend(table);
                lines.push(String::new());
            }
        }
        lines.extend(self.summary());
        lines
    }

    fn summary(&self) -> Vec<String> {
        let mut facts = vec![("state", state_name(self.state))];
        if let Some(file) = &self.file {
            facts.push(("file", file.display().to_string()));
        }
        match self.sha256 {
            Some(sha256) if sha256 == self.sha256_expected => {
                facts.push(("sha-256", sha256.to_string()));
                facts.push(("", format!("the right one for seed {}", self.seed)));
            }
            Some(sha256) => {
                facts.push(("sha-256", sha256.to_string()));
                facts.push(("", format!("WRONG for seed {}: it should be {}", self.seed, self.sha256_expected)));
            }
            None => {}
        }
        if self.bytes_durable_before > 0 {
            facts.push(("kept", format!("{} from an earlier run", bytes(self.bytes_durable_before))));
        }
        let cost = format!(
            "{} for a file of {}; at most {} are allowed",
            bytes(self.bytes_sent),
            bytes(self.bytes_total),
            bytes(self.bytes_sent_max)
        );
        facts.push(("sent", cost));
        let rows = facts.iter().flat_map(|(name, fact)| {
            let rows = wrap(fact, TEXT_COLUMNS).into_iter();
            rows.enumerate().map(move |(number, row)| format!("  {:<10}{row}", if number == 0 { name } else { "" }))
        });
        rows.collect()
    }
}

fn requests_table(requests: &[RequestRecord], site: impl Fn(&str) -> String) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |request: &RequestRecord| {
        let end = match request.end {
            End::Complete => "",
            End::Cut => "cut",
            End::Aborted => "aborted",
        };
        [
            request.number.to_string(),
            site(&request.address),
            or_dash(&request.range),
            or_dash(&request.if_range),
            request.status.to_string(),
            bytes(request.bytes_sent),
            end.to_owned(),
        ]
    };
    let columns = [
        ("#", Align::Right),
        ("address", Align::Left),
        ("Range", Align::Left),
        ("If-Range", Align::Left),
        ("status", Align::Right),
        ("sent", Align::Right),
        ("", Align::Left),
    ];
    table(columns, &requests.iter().map(row).collect::<Vec<_>>())
}

fn attempts_table(attempts: &[Attempt], site: impl Fn(&str) -> String) -> Vec<String> {
    let row = |(number, attempt): (usize, &Attempt)| {
        let end = match attempt.http_status {
            Some(status) => format!("http {status}"),
            None => attempt.end.clone(),
        };
        [number.to_string(), site(&attempt.remote_name), bytes(attempt.new_bytes), end]
    };
    let columns = [("#", Align::Right), ("address", Align::Left), ("new", Align::Right), ("end", Align::Left)];
    table(columns, &(1..).zip(attempts).map(row).collect::<Vec<_>>())
}

fn decisions_table(decisions: &[Decision], begin: UnixMillis) -> Vec<String> {
    let row = |decision: &Decision| {
        let tenths = decision.at.since(begin) / 100;
        let at = format!("{}.{} s", tenths / 10, tenths % 10);
        let Decision { policy, hook, verdict, code, .. } = decision;
        // A guest's texts: they are not to steer the terminal.
        [at, policy.to_string(), hook.clone(), one_line(verdict), one_line(code)]
    };
    let columns = [
        ("at", Align::Right),
        ("policy", Align::Left),
        ("hook", Align::Left),
        ("verdict", Align::Left),
        ("reason", Align::Left),
    ];
    table(columns, &decisions.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
