//! What comes back is checked: numbers are clamped and the clamp is recorded; an unusable answer is rejected whole.
//!
//! Pure. The built-in default goes through the same checks.

use super::contract::{
    AdmitVerdict, Attributes, Change, JobView, Plan, Reason, RecoveryVerdict, RetryVerdict, Verdict, limits,
};
use super::grants::{Capability, Grants};
use crate::job::SafeUrl;
use crate::job::limits::{DURATION_MS_MAX, URL_BYTES_MAX};

/// Milliseconds: longer waits are asked for again. Beyond the default no-progress timeout of 14 days, so that it cuts off nothing that
/// would come to pass.
pub const DELAY_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Milliseconds: a held job is asked about again at least so often.
pub const HOLD_MS_MAX: u64 = 15 * 60_000;
/// Milliseconds: a job that may not run now is not asked about more often.
pub const HOLD_MS_MIN: u64 = 1_000;
/// Bytes per second: what is less is no ceiling, but a hold.
pub const RATE_MIN: u64 = 1;

/// What answers are held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// No retry and no recovery is sooner than this, in milliseconds.
    pub(super) retry_floor_ms: u64,
    /// The job as the policy saw it.
    pub(super) job: &'a JobView,
    /// What the policy may.
    pub(super) grants: &'a Grants,
}

/// An answer that can be applied as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked<V> {
    pub(super) verdict: V,
    pub(super) reason: Reason,
    /// What was clamped, in words.
    pub(super) clamps: Vec<String>,
}

/// Why an answer is unusable.
pub(super) type Unusable = String;

/// Moves a number into its bounds, and notes that.
fn clamp(clamps: &mut Vec<String>, what: &str, value: u64, min: u64, max: u64) -> u64 {
    let clamped = value.clamp(min, max);
    if clamped != value {
        clamps.push(format!("{what} {value} became {clamped}"));
    }
    clamped
}

/// An answer of `on-failure`.
pub(super) fn retry(answer: Verdict<RetryVerdict>, bounds: Bounds<'_>) -> Result<Checked<RetryVerdict>, Unusable> {
    let Verdict { verdict, reason } = answer;
    check_reason(&reason)?;
    let mut clamps = Vec::new();
    let verdict = match verdict {
        RetryVerdict::Default | RetryVerdict::GiveUp => verdict,
        RetryVerdict::Retry(delay) => {
            // A client that wants to wait longer is not hurried.
            let max = DELAY_MS_MAX.max(bounds.job.minimum_retry_delay);
            RetryVerdict::Retry(clamp(&mut clamps, "retry delay", delay, bounds.retry_floor_ms, max))
        }
        RetryVerdict::Other(name, _) => return Err(unknown("verdict", &name)),
    };
    Ok(Checked { verdict, reason, clamps })
}

/// An answer of `admit`.
pub(super) fn admit(answer: Verdict<AdmitVerdict>) -> Result<Checked<AdmitVerdict>, Unusable> {
    let Verdict { verdict, reason } = answer;
    check_reason(&reason)?;
    let mut clamps = Vec::new();
    let verdict = match verdict {
        AdmitVerdict::Default | AdmitVerdict::Allow | AdmitVerdict::Hold(None) => verdict,
        AdmitVerdict::AllowAtMost(rate) => {
            AdmitVerdict::AllowAtMost(clamp(&mut clamps, "rate", rate, RATE_MIN, crate::job::limits::GUEST_NUMBER_MAX))
        }
        AdmitVerdict::Hold(Some(time)) => {
            AdmitVerdict::Hold(Some(clamp(&mut clamps, "hold", time, HOLD_MS_MIN, HOLD_MS_MAX)))
        }
        AdmitVerdict::Other(name, _) => return Err(unknown("verdict", &name)),
    };
    Ok(Checked { verdict, reason, clamps })
}

/// An answer of `on-error`.
pub(super) fn recovery(
    answer: Verdict<RecoveryVerdict>,
    bounds: Bounds<'_>,
) -> Result<Checked<RecoveryVerdict>, Unusable> {
    let Verdict { verdict, reason } = answer;
    check_reason(&reason)?;
    let mut clamps = Vec::new();
    let verdict = match verdict {
        RecoveryVerdict::Default | RecoveryVerdict::Leave | RecoveryVerdict::Complete | RecoveryVerdict::Cancel => {
            verdict
        }
        RecoveryVerdict::Resume(Plan { changes, after }) => {
            if changes.len() > limits::CHANGES_MAX {
                return Err(format!("it wants {} changes; at most {} are allowed", changes.len(), limits::CHANGES_MAX));
            }
            let after = clamp(&mut clamps, "resume delay", after, bounds.retry_floor_ms, DELAY_MS_MAX);
            let checked = changes.into_iter().map(|change| check_change(change, bounds, &mut clamps));
            RecoveryVerdict::Resume(Plan { changes: checked.collect::<Result<_, _>>()?, after })
        }
        RecoveryVerdict::Other(name, _) => return Err(unknown("verdict", &name)),
    };
    Ok(Checked { verdict, reason, clamps })
}

fn check_change(change: Change, bounds: Bounds<'_>, clamps: &mut Vec<String>) -> Result<Change, Unusable> {
    match &change {
        Change::SetRemoteName(file, url) => {
            check_file(*file, bounds.job)?;
            check_url(url)?;
        }
        Change::ReplaceRemotePrefix(from, to) => {
            if from.is_empty() || from.len() > URL_BYTES_MAX {
                return Err(format!("it replaces a prefix of {} bytes; 1 to {URL_BYTES_MAX} are allowed", from.len()));
            }
            check_url(to)?;
        }
        Change::RestartFile(file) => check_file(*file, bounds.job)?,
        Change::SetPriority(_) => {}
        Change::SetCostFlags(flags) => {
            let added = flags & !bounds.job.cost_flags;
            if added != 0 && !bounds.grants.has(Capability::WidenCost) {
                let capability = Capability::WidenCost.name();
                return Err(format!("it adds the cost flags {added:#x} without being granted {capability}"));
            }
        }
        Change::SetMinimumRetryDelay(delay) => {
            let delay = clamp(clamps, "minimum retry delay", *delay, bounds.retry_floor_ms, DURATION_MS_MAX);
            return Ok(Change::SetMinimumRetryDelay(delay));
        }
        Change::SetNoProgressTimeout(timeout) => {
            let timeout = clamp(clamps, "no-progress timeout", *timeout, 0, DURATION_MS_MAX);
            return Ok(Change::SetNoProgressTimeout(timeout));
        }
        Change::RefreshRemoteName(..) => return Err(unsupported("refresh-remote-name")),
        Change::SetHeader(..) => return Err(unsupported("set-header")),
        Change::RemoveHeader(_) => return Err(unsupported("remove-header")),
        Change::UseCredential(_) => return Err(unsupported("use-credential")),
        Change::SetProxy(_) => return Err(unsupported("set-proxy")),
        Change::Other(name, _) => return Err(unknown("change", name)),
    }
    Ok(change)
}

fn check_file(file: u32, job: &JobView) -> Result<(), Unusable> {
    match file < job.files_total {
        true => Ok(()),
        false => Err(format!("it names the file {file}; the job has {} files, counted from 0", job.files_total)),
    }
}

fn check_url(url: &str) -> Result<(), Unusable> {
    SafeUrl::parse(url).map(drop).map_err(|error| format!("it gives a remote name that is refused: {error}"))
}

fn check_reason(reason: &Reason) -> Result<(), Unusable> {
    over("note", reason.note.len(), limits::NOTE_BYTES_MAX)?;
    over("code", reason.code.len(), limits::CODE_BYTES_MAX)?;
    over("memo", reason.memo.as_ref().map_or(0, Vec::len), limits::MEMO_BYTES_MAX)?;
    check_attributes(&reason.attributes)
}

fn check_attributes(attributes: &Attributes) -> Result<(), Unusable> {
    if attributes.len() > limits::ATTRIBUTES_MAX {
        return Err(format!(
            "it gives {} attributes; at most {} are allowed",
            attributes.len(),
            limits::ATTRIBUTES_MAX
        ));
    }
    for (name, value) in attributes {
        over("attribute name", name.len(), limits::ATTRIBUTE_KEY_BYTES_MAX)?;
        over("attribute", value.len(), limits::ATTRIBUTE_VALUE_BYTES_MAX)?;
    }
    Ok(())
}

fn over(what: &str, bytes: usize, max: usize) -> Result<(), Unusable> {
    match bytes > max {
        true => Err(format!("its {what} has {bytes} bytes; at most {max} are allowed")),
        false => Ok(()),
    }
}

fn unknown(what: &str, name: &str) -> Unusable {
    let name = super::fit::clipped(name, limits::CODE_BYTES_MAX);
    format!("it gives the {what} `other` with the unknown name {name:?}")
}

fn unsupported(change: &str) -> Unusable {
    format!("it wants the change {change}, which this host does not support yet")
}

#[cfg(test)]
#[path = "clamp_tests.rs"]
mod tests;
