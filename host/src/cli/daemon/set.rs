//! `job set`.

use std::collections::BTreeMap;

use super::Session;
use super::arguments::{SetArguments, Validation};
use super::job_id::resolve;
use super::jobs::brief;
use crate::api::wire::{JobPatch, JobView, PrefixReplacement};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::printer::Tone;
use crate::cli::units::files;
use crate::job::{FileVerdict, JobId};

/// Labels are changed as a whole, so that two who do so at once are told apart by the version; so often is it tried again.
const TRIES: u32 = 5;

/// The status of a change that was made for another version.
const PRECONDITION_FAILED: Option<u16> = Some(412);

/// `job set`. All or nothing as far as the properties go; remote names come after them, and headers last: another origin drops those that
/// the job has.
pub(super) async fn set(session: &Session<'_>, arguments: &SetArguments) -> Result<ExitCode, Failure> {
    let patch = JobPatch { display_name: arguments.name.clone(), ..arguments.properties.patch() };
    let headers = if arguments.no_headers { Some(BTreeMap::new()) } else { arguments.properties.headers()? };
    let labels_change = !arguments.label.is_empty() || !arguments.remove_label.is_empty();
    let properties_change = labels_change || patch != JobPatch::default();
    if !properties_change && headers.is_none() && arguments.file.is_none() && arguments.replace_prefix.is_empty() {
        return Err(Failure::usage(
            "nothing to set: give a property, --label, --header, --file with --remote-name or --validation, or --replace-prefix",
        ));
    }
    let id = resolve(session, &arguments.job).await?;
    if labels_change {
        modify_labels(session, id, &patch, arguments).await?;
    } else if properties_change {
        session.client.modify(id, &patch, None).await?;
    }
    if let (Some(file), Some(remote_name)) = (arguments.file, &arguments.remote_name) {
        session.client.set_remote_name(id, file, remote_name).await?;
    }
    if let (Some(file), Some(validation)) = (arguments.file, arguments.validation) {
        let verdict = match validation {
            Validation::Valid => FileVerdict::Valid,
            Validation::Invalid => FileVerdict::Invalid,
        };
        session.client.validate(id, file, verdict).await?;
    }
    if let [from, to] = arguments.replace_prefix.as_slice() {
        let replacement = PrefixReplacement { from: from.clone(), to: to.clone() };
        let changed = session.client.replace_remote_prefix(id, &replacement).await?.files_changed;
        session.printer.note(Tone::Dim, format_args!("{} changed", files(changed.into())));
    }
    if let Some(headers) = headers {
        session.client.set_headers(id, headers).await?;
    }
    brief(session, &session.client.job(id).await?.value);
    Ok(ExitCode::Success)
}

async fn modify_labels(
    session: &Session<'_>,
    id: JobId,
    patch: &JobPatch,
    arguments: &SetArguments,
) -> Result<JobView, Failure> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let seen = session.client.job(id).await?;
        let mut labels = seen.value.labels;
        for name in &arguments.remove_label {
            labels.remove(name);
        }
        labels.extend(arguments.label.iter().cloned());
        let patch = JobPatch { labels: Some(labels), ..patch.clone() };
        match session.client.modify(id, &patch, Some(&seen.tag)).await {
            Err(error) if error.status() == PRECONDITION_FAILED && tries > 0 => {}
            result => return Ok(result?),
        }
    }
}
