//! Tries equivalent places in turn: a policy for files that lie on several mirrors.
//!
//! The settings list URL prefixes below which the same files lie. When a file cannot be had below one of them, this policy moves the job to
//! the next one and resumes it:
//!
//! - **recovery**: once the error is final (a 404, a wrong digest, retries that were given up), the job goes on at the next mirror. Each one
//!   is tried once per round; progress ends a round, and so does the answer that all were tried, so that a job which its owner resumes
//!   starts afresh. The mirror that was chosen last comes first, so that other files of the job go straight to where it went well.
//! - **retry**: after some failures in a row at one mirror the retries there are given up, which leads to recovery. Without that, a mirror
//!   that is down would hold a job for the whole no-progress timeout. It needs to be asked before a policy that always retries.
//!
//! **How a job is moved.** By `replace-remote-prefix`, never by `set-remote-name`: a policy sees URLs without their query, and would lose it;
//! the host replaces the prefix in the whole URL. With the scope `job` all files below the failed prefix move, by one recovery, of which a
//! job has a limited number. Files that are partly there and have no digest may start again, as at every change of their address. With the
//! scope `file` only the failed file moves (and files whose name begins with its name, which the other mirror has as well).

mod allowance;
mod rotation;
mod settings;

use backhaul_policy::types::{Direction, Failure, FailureClass, FileView};
use backhaul_policy::{Answer, Descriptor, Hook, Policy, Reason, host, recovery, retry};

use crate::allowance::Allowance;
use crate::rotation::Round;
use crate::settings::{Place, SETTINGS_SCHEMA, Scope, Settings};

struct Mirrors;

backhaul_policy::policy!(Mirrors);

impl Policy for Mirrors {
    fn describe() -> Descriptor {
        Descriptor::new(
            "mirrors",
            env!("CARGO_PKG_VERSION"),
            "tries equivalent URL prefixes in turn when a file cannot be had",
        )
        .hook(Hook::Retry)
        .hook(Hook::Recovery)
        .settings_schema(SETTINGS_SCHEMA)
    }

    fn validate_settings(settings: &str) -> Result<(), Vec<String>> {
        Settings::parse(settings).map(drop)
    }

    fn on_failure(context: &retry::Context) -> Answer<retry::Answer> {
        let settings = settings()?;
        let failure = &context.failure;
        if failure.class == FailureClass::Fatal {
            let note = "the error is final already: recovery decides";
            return Ok(retry::Verdict::Default.because(Reason::new("fatal_error", note)));
        }
        let place = match covered(&settings, failure, context.call.job.direction) {
            Ok((place, _)) => place,
            Err(reason) => return Ok(retry::Verdict::Default.because(reason)),
        };
        let (failures, patience) = (context.failures_in_row, settings.failures);
        let here = settings.prefix(place);
        // Failures in a row count on over a change of mirror: a multiple of the patience ends the turn of one more mirror, and after the
        // last one's turn every mirror has had its own since the last progress.
        let turns = u64::from(failures / patience);
        if !failures.is_multiple_of(patience) || failures == 0 {
            let note = format!("failure {failures} in a row: {here} is left at every {patience}");
            return Ok(retry::Verdict::Default.because(Reason::new("patience", note)));
        }
        if turns >= u64::try_from(settings.set(place).len()).unwrap_or(u64::MAX) {
            let note =
                format!("failure {failures} in a row: every mirror of {here} has had its turn, so retries go on here");
            return Ok(retry::Verdict::Default.because(Reason::new("mirrors_exhausted", note)));
        }
        let Some(memo) = Allowance::of(&context.call).spend() else {
            let note = format!(
                "failure {failures} in a row, but the mirror was changed too often of late: retries go on at {here}"
            );
            return Ok(retry::Verdict::Default.because(Reason::new("changed_too_often", note)));
        };
        let note = format!("{failures} failures in a row: gives {here} up for the next mirror");
        Ok(retry::Verdict::GiveUp.because(Reason::new("next_mirror", note).memo(&memo)))
    }

    fn on_error(context: &recovery::Context) -> Answer<recovery::Answer> {
        let settings = settings()?;
        let (place, file) = match covered(&settings, &context.failure, context.call.job.direction) {
            Ok(found) => found,
            Err(reason) => return Ok(recovery::Verdict::Default.because(reason)),
        };
        let mut round = Round::of(&context.call, &settings);
        let failure = named(&context.failure);
        let here = settings.prefix(place);
        let Some(next) = round.next(place, &settings) else {
            let count = settings.set(place).len();
            let note = format!("{failure} at {here}: all {count} mirrors were tried since the last progress");
            let reason = Reason::new("mirrors_exhausted", note).memo(&Round::fresh(&context.call, &settings).memo());
            return Ok(recovery::Verdict::Default.because(reason));
        };
        let there = settings.prefix(next);
        let change = match settings.scope {
            Scope::Job => recovery::Change::ReplaceRemotePrefix((here.to_owned(), there.to_owned())),
            Scope::File => {
                let name = without_query(&file.remote_name);
                let moved = name.replacen(here, there, 1);
                recovery::Change::ReplaceRemotePrefix((name.to_owned(), moved))
            }
        };
        let reason = Reason::new("next_mirror", format!("{failure} at {here}: goes on at {there}"))
            .attribute("from", here)
            .attribute("to", there)
            .memo(&round.memo());
        Ok(recovery::Verdict::Resume(recovery::Plan { changes: vec![change], after: settings.after_ms })
            .because(reason))
    }
}

fn settings() -> Result<Settings, String> {
    Settings::parse(&host::settings()).map_err(|problems| problems.join("; "))
}

/// The mirror that failed, and the file; or why this failure is not for this policy.
fn covered<'a>(
    settings: &Settings,
    failure: &'a Failure,
    direction: Direction,
) -> Result<(Place, &'a FileView), Reason> {
    if direction != Direction::Download {
        return Err(Reason::new("not_a_download", "only downloads have mirrors"));
    }
    let Some(file) = &failure.file else {
        return Err(Reason::new("no_file", format!("{}: concerns no file", named(failure))));
    };
    if !settings.covers(failure) {
        return Err(Reason::new(
            "not_covered",
            format!("{}: not among the errors that another mirror could cure", named(failure)),
        ));
    }
    match settings.place_of(&file.remote_name) {
        Some(place) => Ok((place, file)),
        None => Err(Reason::new(
            "no_mirror",
            format!("{} lies below no prefix in `mirrors`", without_query(&file.remote_name)),
        )),
    }
}

fn named(failure: &Failure) -> String {
    match failure.http_status {
        Some(status) => format!("HTTP {status}"),
        None => failure.code.clone(),
    }
}

/// Queries may hold secrets, and belong to no prefix.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests;
