//! `backhaul store ...`, and what a failure of a store means for the exit code.

use serde_json::json;

use super::arguments::StoreCheckArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::printer::{Printer, one_line};
use crate::store::{self, CheckReport, Finding, StoreError};

/// `store check`: changes nothing.
pub(crate) fn check(arguments: &StoreCheckArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let report = match store::check(&arguments.directory) {
        Ok(report) => report,
        Err(error) => {
            let failure = failure(&error);
            if arguments.json {
                printer
                    .json(&json!({ "type": "error", "exit_code": failure.code.number(), "message": failure.message }));
            }
            return Err(failure);
        }
    };
    if arguments.json {
        printer.json(&as_json(&report));
    } else {
        tell(&report, printer);
    }
    Ok(if report.is_clean() { ExitCode::Success } else { ExitCode::Failed })
}

fn tell(report: &CheckReport, printer: &Printer) {
    for Finding { subject, problem, advice } in &report.findings {
        printer.result(format_args!("{}: {}\n  what to do: {advice}", one_line(subject), one_line(problem)));
    }
    let looked_at = format!(
        "{} job(s), {} file(s), {} event(s), {} decision(s)",
        report.counts.jobs, report.counts.files, report.counts.events, report.counts.decisions
    );
    match report.findings.len() as u64 + report.more {
        0 => printer.result(format_args!("clean: {looked_at}")),
        problems => printer.result(format_args!("{problems} problem(s) in {looked_at}")),
    }
}

fn as_json(report: &CheckReport) -> serde_json::Value {
    let finding =
        |finding: &Finding| json!({ "subject": finding.subject, "problem": finding.problem, "advice": finding.advice });
    json!({
        "clean": report.is_clean(),
        "version": report.version,
        "store": report.store.to_string(),
        "jobs": report.counts.jobs,
        "files": report.counts.files,
        "events": report.counts.events,
        "decisions": report.counts.decisions,
        "problems": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "more_problems": report.more,
    })
}

/// A store that cannot be used.
pub(crate) fn failure(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::InUse { .. } => ExitCode::StoreLocked,
        StoreError::Newer { .. } => ExitCode::StoreNewer,
        StoreError::Foreign { .. } | StoreError::Damaged { .. } | StoreError::Row { .. } => ExitCode::StoreDamaged,
        StoreError::NetworkFileSystem { .. }
        | StoreError::Missing { .. }
        | StoreError::Full { .. }
        | StoreError::Io { .. } => ExitCode::StoreUnusable,
        StoreError::Refused { .. } | StoreError::Closed { .. } => ExitCode::Internal,
    };
    Failure::of(code, error)
}
