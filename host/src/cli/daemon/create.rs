//! `job create` and `job add-file`.

use std::path::{Path, PathBuf};

use super::arguments::{AddFileArguments, CreateArguments, Format};
use super::job_id::resolve;
use super::jobs::brief;
use super::set::{cost_flags, seconds};
use super::{Session, watch};
use crate::api::wire::{NewFile, NewJob};
use crate::cli::arguments::FileArguments;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{SettingsError, Surroundings, local_directories, resolve_files};
use crate::cli::printer::Printer;
use crate::job::limits::DISPLAY_NAME_CHARS_MAX;
use crate::job::{FileSpec, Priority};

/// `-o json` is the format here too, as with every other command of the daemon; `-o FILE` is a local name, as with `get`.
pub(super) fn format(files: &mut FileArguments, json: bool, printer: &Printer) -> Format {
    let output_is_json = files.output.as_deref() == Some(Path::new("json"));
    if output_is_json {
        files.output = None;
    }
    match json || output_is_json {
        true => Format::Json,
        false if printer.results_are_read_by_people() => Format::Table,
        false => Format::Tsv,
    }
}

/// `job create`.
pub(super) async fn create(session: &Session<'_>, arguments: &CreateArguments) -> Result<ExitCode, Failure> {
    let files = match files(&arguments.files) {
        // A job may be created empty, and its files added.
        Err(SettingsError::NothingToFetch) => Ok(Vec::new()),
        files => files,
    };
    let files = files.map_err(Failure::usage)?;
    make_directories(&files)?;
    let given = &arguments.properties;
    let job = NewJob {
        display_name: arguments.name.clone().unwrap_or_else(|| name(&files)),
        priority: given.priority.map_or_else(Priority::default, Into::into),
        minimum_retry_delay: given.minimum_retry_delay.map(seconds),
        no_progress_timeout: given.no_progress_timeout.map(seconds),
        maximum_download_time: given.maximum_download_time.map(seconds),
        parallel_files: given.parallel_files,
        cost_flags: given.cost_flags.map(cost_flags),
        auto_complete: given.auto_complete.unwrap_or(false),
        overwrite: given.overwrite.unwrap_or(false),
        resume: arguments.resume,
        labels: arguments.label.iter().cloned().collect(),
        policies: arguments.policy.clone(),
        files: on_the_wire(&files)?,
        ..NewJob::download()
    };
    let job = session.client.create(&job).await?;
    match session.format {
        Format::Table | Format::Tsv => session.printer.result(job.id),
        Format::Json => session.printer.json(&job),
    }
    if arguments.wait { watch::follow(session, job.id, watch::Told::Everything).await } else { Ok(ExitCode::Success) }
}

/// `job add-file`.
pub(super) async fn add_files(session: &Session<'_>, arguments: &AddFileArguments) -> Result<ExitCode, Failure> {
    let files = files(&arguments.files).map_err(Failure::usage)?;
    let id = resolve(session, &arguments.job).await?;
    make_directories(&files)?;
    brief(session, &session.client.add_files(id, on_the_wire(&files)?).await?);
    Ok(ExitCode::Success)
}

/// The files with their places, as `get` finds them: this user's daemon can write where this user can.
fn files(arguments: &FileArguments) -> Result<Vec<FileSpec>, SettingsError> {
    let working_directory = std::env::current_dir()
        .map_err(|source| SettingsError::Read { path: "the working directory".to_owned(), source })?;
    let mut stdin = std::io::stdin();
    let mut around = Surroundings {
        working_directory: &working_directory,
        xdg_state_home: None,
        home: None,
        embedded_policies: &[],
        stdin: &mut stdin,
    };
    resolve_files(arguments, &mut around)
}

fn make_directories(files: &[FileSpec]) -> Result<(), Failure> {
    local_directories(files).map_err(|error| Failure::usage(error.description))
}

/// Paths of this machine may be any bytes; JSON is text.
fn on_the_wire(files: &[FileSpec]) -> Result<Vec<NewFile>, Failure> {
    let file = |file: &FileSpec| {
        let local_name = PathBuf::from(file.local_name.as_path()).into_os_string().into_string();
        let local_name = local_name.map_err(|_| {
            Failure::usage(format_args!(
                "the local name {} is no UTF-8 text, which the host API needs",
                file.local_name
            ))
        })?;
        let remote_name = file.remote_name.expose().as_str().to_owned();
        Ok(NewFile {
            remote_name,
            local_name,
            sha256: file.digest.map(|digest| digest.to_string()),
            ranges: Vec::new(),
        })
    };
    files.iter().map(file).collect()
}

/// A name for people, of the first file and how many follow.
fn name(files: &[FileSpec]) -> String {
    let Some(first) = files.first() else { return String::new() };
    let first = first.local_name.file_name().to_string_lossy();
    let name = match files.len() - 1 {
        0 => first.into_owned(),
        more => format!("{first} and {more} more"),
    };
    name.chars().take(DISPLAY_NAME_CHARS_MAX).collect()
}
