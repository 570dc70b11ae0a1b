//! `job create` and `job add-file`.

use std::path::{Path, PathBuf};

use super::arguments::{AddFileArguments, CreateArguments, Format, RangeArguments};
use super::job_id::resolve;
use super::jobs::brief;
use super::{Session, watch};
use crate::api::wire::{NewFile, NewJob};
use crate::cli::arguments::FileArguments;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::get::{SettingsError, Surroundings, local_directories, resolve_files};
use crate::cli::printer::Printer;
use crate::job::FileSpec;
use crate::job::limits::DISPLAY_NAME_CHARS_MAX;

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
    let files = match files(&arguments.files, &arguments.ranges) {
        // A job may be created empty, and its files added.
        Err(SettingsError::NothingToFetch) if arguments.ranges.ranges.is_empty() => Ok(Vec::new()),
        files => files,
    };
    let files = files.map_err(Failure::usage)?;
    let job = NewJob {
        display_name: arguments.name.clone().unwrap_or_else(|| name(&files)),
        resume: arguments.resume,
        labels: arguments.label.iter().cloned().collect(),
        policies: arguments.policy.clone(),
        files: on_the_wire(&files)?,
        ..arguments.properties.new_job()?
    };
    make_directories(&files)?;
    let job = session.client.create(&job).await?;
    match session.format {
        Format::Table | Format::Tsv => session.printer.result(job.id),
        Format::Json => session.printer.json(&job),
    }
    if arguments.wait { watch::follow(session, job.id, watch::Told::Everything).await } else { Ok(ExitCode::Success) }
}

/// `job add-file`.
pub(super) async fn add_files(session: &Session<'_>, arguments: &AddFileArguments) -> Result<ExitCode, Failure> {
    let files = files(&arguments.files, &arguments.ranges).map_err(Failure::usage)?;
    let id = resolve(session, &arguments.job).await?;
    make_directories(&files)?;
    brief(session, &session.client.add_files(id, on_the_wire(&files)?).await?);
    Ok(ExitCode::Success)
}

/// The files with their places, as `get` finds them: this user's daemon can write where this user can.
fn files(arguments: &FileArguments, ranges: &RangeArguments) -> Result<Vec<FileSpec>, SettingsError> {
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
    let mut files = resolve_files(arguments, &mut around)?;
    match (ranges.ranges.as_slice(), files.as_mut_slice()) {
        ([], _) => {}
        (ranges, [file]) if arguments.input.is_empty() => file.ranges = ranges.to_vec(),
        _ => {
            return Err(SettingsError::SingleOnly(
                "--range OFFSET+LENGTH",
                "add such files one by one with job add-file",
            ));
        }
    }
    Ok(files)
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
            ranges: file.ranges.iter().copied().map(Into::into).collect(),
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
