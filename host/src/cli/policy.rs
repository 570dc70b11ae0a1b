//! `backhaul policy ...`: what people who write policies need on their own machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::PolicyBuildArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::printer::{Printer, Tone};
use crate::policy::build::{BuildRequest, Toolchain};

/// `policy build`: the component is written whole or not at all.
pub(crate) fn build(arguments: &PolicyBuildArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => default_output(&arguments.directory)?,
    };
    let of_policy = |error| Failure::of(ExitCode::Policy, &error);
    let request = BuildRequest::new(&arguments.directory);
    let toolchain = Toolchain::find().map_err(of_policy)?;
    printer.note(Tone::Dim, format_args!("building {} with {toolchain}", arguments.directory.display()));
    let built = request.build(&toolchain).map_err(of_policy)?;
    write_whole(&output, &built.component)?;
    printer.result(format_args!("{}: {} bytes, sha256 {}", output.display(), built.component.len(), built.digest));
    Ok(ExitCode::Success)
}

/// `NAME.wasm` in the working directory, NAME being that of the crate's directory.
fn default_output(directory: &Path) -> Result<PathBuf, Failure> {
    let unnamed =
        || Failure::usage(format_args!("{} has no name to call the component by; give -o FILE", directory.display()));
    let real = directory.canonicalize().map_err(|error| {
        Failure::usage(format_args!("failed to open the directory {}: {error}", directory.display()))
    })?;
    let name = real.file_name().ok_or_else(unnamed)?;
    Ok(PathBuf::from(name).with_extension("wasm"))
}

fn write_whole(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        // A temporary file is its owner's alone; a component is an ordinary file.
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(output)?;
        Ok(())
    };
    write().map_err(|error| Failure::new(ExitCode::Output, format!("failed to write {}: {error}", output.display())))
}
