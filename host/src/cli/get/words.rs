//! What happened, in words for people. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::progress::Progress;
use super::rate::Rate;
use crate::cli::printer::{Tone, one_line};
use crate::cli::units::{bytes, countdown, files};
use crate::clock::UnixMillis;
use crate::job::{EventKind, FailureClass, FileIndex, FileSpec, Integrity, JobError, JobState, RestartReason};
use crate::policy::BUILT_IN;
use crate::policy::contract::Hook;
use crate::scheduler::WaitingOn;

/// Names beside the first ones that are kept: far more than files can be moved at once.
const LEARNED_MAX: usize = 1_000;

/// The files of the command by their numbers, as they are shown.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    files: Arc<Vec<FileSpec>>,
    /// Those that were asked for one by one; none for what cannot be named.
    learned: BTreeMap<FileIndex, Option<FileSpec>>,
    /// May be more than are named.
    count: usize,
    working_directory: PathBuf,
}

impl Names {
    /// The names of these files; local ones relative to the working directory where they lie below it.
    pub(crate) fn new(files: Arc<Vec<FileSpec>>, working_directory: PathBuf) -> Self {
        let count = files.len();
        Self { files, learned: BTreeMap::new(), count, working_directory }
    }

    /// The names of the first of so many files; the others are shown by their numbers.
    pub(crate) fn of_first(files: Vec<FileSpec>, count: usize, working_directory: PathBuf) -> Self {
        Self { files: Arc::new(files), learned: BTreeMap::new(), count, working_directory }
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// There are so many now.
    pub(crate) fn recount(&mut self, count: u32) {
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
    }

    /// Whether the file has a name, or was found to have none.
    pub(crate) fn knows(&self, file: FileIndex) -> bool {
        self.get(file).is_some() || self.learned.contains_key(&file)
    }

    /// Keeps the name of one more file. Those that were done long ago make room.
    pub(crate) fn learn(&mut self, file: FileIndex, spec: Option<FileSpec>) {
        self.learned.insert(file, spec);
        if self.learned.len() > LEARNED_MAX {
            self.learned.pop_first();
        }
    }

    /// The file's specification, if the number is one of this command's.
    pub(crate) fn get(&self, file: FileIndex) -> Option<&FileSpec> {
        let first = usize::try_from(file.0).ok().and_then(|position| self.files.get(position));
        first.or_else(|| self.learned.get(&file)?.as_ref())
    }

    /// The local name for people.
    pub(crate) fn local(&self, file: FileIndex) -> String {
        let Some(spec) = self.get(file) else { return format!("file {file}") };
        let path = spec.local_name.as_path();
        one_line(&path.strip_prefix(&self.working_directory).unwrap_or(path).display().to_string())
    }
}

/// How much of what happens is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// What went wrong, and what is done about it: the rest is seen on the bars.
    Trouble,
    /// All.
    All,
}

/// Turns events into lines, and remembers what a later line needs.
#[derive(Debug)]
pub(crate) struct Story {
    names: Names,
    detail: Detail,
    /// An attempt that failed for good: told by the error of the job, unless a policy repairs it.
    untold: Option<(Tone, String)>,
    /// Who decided last about a retry, and why.
    retry_decision: Option<String>,
}

impl Story {
    /// A story that has not begun.
    pub(crate) const fn new(names: Names, detail: Detail) -> Self {
        Self { names, detail, untold: None, retry_decision: None }
    }

    /// The names of the files.
    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// The same, to learn more.
    pub(crate) const fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// An event as lines; none where it is not worth one.
    pub(crate) fn tell(&mut self, event: &EventKind) -> Vec<(Tone, String)> {
        match event {
            EventKind::AttemptFailed { error } => {
                let line = (Tone::Warning, format!("attempt failed: {}", self::error(&self.names, error)));
                match error.class {
                    FailureClass::Transient => return vec![line],
                    FailureClass::Fatal => self.untold = Some(line),
                }
                return Vec::new();
            }
            EventKind::JobError { .. } => self.untold = None,
            EventKind::DecisionApplied { hook, policy, code, .. } if hook == Hook::Retry.name() => {
                self.retry_decision =
                    Some(if code.is_empty() { policy.to_string() } else { format!("{policy}: {code}") });
            }
            _ => {}
        }
        let Some(line) = line(&self.names, event, self.detail) else { return Vec::new() };
        self.untold.take().into_iter().chain([line]).collect()
    }

    /// Why a job does not move, and for how long; none if it moves.
    pub(crate) fn waiting(&self, progress: &Progress, now: UnixMillis) -> Option<String> {
        let WaitingOn { code, detail, until, policy, .. } = progress.waiting_on.as_ref()?;
        let mut text = waiting_for(code).to_owned();
        if let Some(until) = until {
            text.push_str(&format!(" in {}", countdown(until.since(now))));
        }
        match (*code, &progress.error) {
            // The head says it all.
            ("turn" | "network", _) => {}
            ("retry_delay", Some(error)) => text.push_str(&format!(": {}", self.briefly(error))),
            _ if detail.is_empty() => {}
            _ => text.push_str(&format!(": {detail}")),
        }
        let decided = match (policy, &self.retry_decision) {
            (Some(policy), _) => Some(policy.to_string()),
            (None, decided) if *code == "retry_delay" => decided.clone(),
            (None, _) => None,
        };
        if let Some(policy) = decided {
            text.push_str(&format!(", policy {policy}"));
        }
        Some(one_line(&text))
    }

    /// What failed, for a line that has little room: an address that a policy has changed since is told in full.
    fn briefly(&self, error: &JobError) -> String {
        let url = error.file.and_then(|file| self.names.get(file)).map(|file| file.remote_name.to_string());
        match (error.http_status, url) {
            (Some(status), Some(url)) if error.description.contains(&url) => format!("{status} from {url}"),
            _ => error.description.clone(),
        }
    }
}

fn line(names: &Names, event: &EventKind, detail: Detail) -> Option<(Tone, String)> {
    let (tone, text) = match event {
        EventKind::StateChanged { to, .. } if detail == Detail::All => (Tone::Dim, state(*to)?.to_owned()),
        EventKind::FileTransferred { file, bytes: size, integrity } if detail == Detail::All => {
            let text = format!("{}: whole, {}, {}", names.local(*file), bytes(*size), self::integrity(*integrity));
            (Tone::Plain, text)
        }
        EventKind::FileRestarted { file, reason, bytes_discarded } => (
            Tone::Warning,
            format!("{}: begins again from 0: {}", names.local(*file), restart(*reason, *bytes_discarded)),
        ),
        EventKind::DecisionApplied { hook, policy, verdict, code, note, .. } => {
            // What the default does about what is final is nothing; admissions are the rule, and a hold is seen as waiting.
            let is_default = policy.0 == BUILT_IN && (hook == Hook::Recovery.name() || code == "fatal_error");
            if is_default || (hook == Hook::NetworkCost.name() && detail == Detail::Trouble) {
                return None;
            }
            (Tone::Plain, format!("policy {policy}: {verdict}{}", reason(code, note)))
        }
        EventKind::Recovered { policy, changes } => {
            (Tone::Good, format!("policy {policy} repaired the job: {}", changes.join("; ")))
        }
        EventKind::PolicyFault { policy, fault, note, .. } => {
            (Tone::Warning, format!("policy {policy} failed ({fault}): {note}; the fallback decides in its place"))
        }
        EventKind::JobModified { fields } if detail == Detail::All => {
            (Tone::Dim, format!("changed: {}", fields.join(", ")))
        }
        EventKind::NetworkChanged { note, .. } => (Tone::Dim, format!("network: {note}")),
        // What ends the job is told at the end; the others come with a change of state.
        EventKind::JobCreated
        | EventKind::JobModified { .. }
        | EventKind::StateChanged { .. }
        | EventKind::FileTransferred { .. }
        | EventKind::AttemptFailed { .. }
        | EventKind::OwnershipTaken { .. }
        | EventKind::JobInactive { .. }
        | EventKind::JobTransferred
        | EventKind::JobError { .. }
        | EventKind::Acknowledged { .. }
        | EventKind::PublicationFailed { .. }
        | EventKind::Cancelled { .. } => return None,
    };
    Some((tone, one_line(&text)))
}

/// A state that people are told of: the others are seen by what follows.
const fn state(state: JobState) -> Option<&'static str> {
    match state {
        JobState::Connecting => Some("connecting"),
        JobState::Transferring => Some("transferring"),
        JobState::Transferred => Some("everything is here; giving the files their names"),
        JobState::Queued
        | JobState::Suspended
        | JobState::Error
        | JobState::TransientError
        | JobState::Acknowledged
        | JobState::Cancelled => None,
    }
}

/// What stands behind a file's bytes.
pub(crate) const fn integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::ClientDigest => "verified by its SHA-256",
        Integrity::ServerDigest => "of the digest that the origin gave",
        Integrity::LengthOnly => "of the length that the origin gave",
        Integrity::Unverified => "of unknown length: the origin gave none",
    }
}

/// What a policy says of its decision, behind the decision.
pub(crate) fn reason(code: &str, note: &str) -> String {
    match (code.is_empty(), note.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" ({code})"),
        (true, false) => format!(" ({note})"),
        (false, false) => format!(" ({code}: {note})"),
    }
}

/// Why a file began again from 0, and what that cost.
pub(crate) fn restart(reason: RestartReason, bytes_discarded: u64) -> String {
    let why = match reason {
        RestartReason::RemoteFileChanged => "the origin has another version now",
        RestartReason::NoValidator => "the origin gives nothing by which to know the version again",
        RestartReason::RangeIgnored => "the origin answered the request for the rest with something else",
        RestartReason::PartFileDamaged => "the part file was damaged, lost or exchanged",
        RestartReason::DigestMismatch => "the bytes were not those of the digest",
        RestartReason::Repointed => "it has another address now, and nothing proves that the bytes are the same",
        RestartReason::Requested => "as requested",
        RestartReason::ValidationFailed => "it was found not to be as it should be",
    };
    match bytes_discarded {
        0 => why.to_owned(),
        count => format!("{why}; {} given up", bytes(count)),
    }
}

/// An error in one line: code, file, description. A single file need not be named.
pub(crate) fn error(names: &Names, error: &JobError) -> String {
    let code = match error.http_status {
        Some(status) => format!("http {status}"),
        None => error.code.name().to_owned(),
    };
    let file = match error.file {
        Some(file) if names.count() != 1 => format!("{}: ", names.local(file)),
        _ => String::new(),
    };
    one_line(&format!("{code}: {file}{}", error.description))
}

/// What a job waits for, by its code.
pub(crate) fn waiting_for(code: &str) -> &str {
    match code {
        "turn" => "waiting for its turn",
        "retry_delay" => "waiting for retry",
        "network" => "waiting for a network",
        "network_cost" => "waiting for a network of lower cost",
        "policy_hold" => "held by a policy",
        "disk_full" => "waiting for space on the disk",
        "destination_locked" => "waiting for the local file",
        "origin" => "waiting for the origin",
        "store" => "waiting for the store",
        other => other,
    }
}

/// How far, how fast, how long.
pub(crate) fn progress(progress: &Progress, rate: &Rate) -> String {
    let Progress { bytes_transferred, bytes_total, files_transferred, files_total, .. } = progress;
    let mut text = match (progress.percent(), bytes_total) {
        (Some(percent), Some(total)) => format!("{percent} %, {} of {}", bytes(*bytes_transferred), bytes(*total)),
        _ => bytes(*bytes_transferred),
    };
    if *files_total > 1 {
        text.push_str(&format!(", {files_transferred} of {}", files((*files_total).into())));
    }
    if let Some(speed) = speed(progress, rate) {
        text.push_str(&format!(", {speed}"));
    }
    text
}

/// How fast, and how long it will take; none while nothing moves.
pub(crate) fn speed(progress: &Progress, rate: &Rate) -> Option<String> {
    let per_second = rate.bytes_per_second().filter(|rate| *rate > 0)?;
    let left =
        progress.bytes_total.and_then(|total| rate.seconds_for(total.saturating_sub(progress.bytes_transferred)));
    let speed = format!("{}/s", bytes(per_second));
    Some(match left {
        Some(seconds) if seconds > 0 => {
            format!("{speed}, {} left", crate::cli::units::millis(seconds.saturating_mul(1000)))
        }
        _ => speed,
    })
}

#[cfg(test)]
mod tests;
