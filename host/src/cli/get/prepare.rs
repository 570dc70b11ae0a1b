//! What a run needs on the disk before its host starts, and what is removed after it.

use std::fs;
use std::io;
use std::path::Path;

use crate::job::{ErrorCode, ErrorContext, FailureClass, FileIndex, FileSpec, JobError, Properties};

/// Creates the directories that the local names lie in, where they are missing.
pub(crate) fn local_directories(files: &[FileSpec]) -> Result<(), JobError> {
    let mut last = None;
    for (index, file) in files.iter().enumerate() {
        let directory = file.local_name.directory();
        if last.replace(directory) == Some(directory) {
            continue;
        }
        fs::create_dir_all(directory).map_err(|error| {
            let description = format!("failed to create the directory {}: {error}", directory.display());
            local_error(ErrorCode::LocalNameUnusable, index, description)
        })?;
    }
    Ok(())
}

/// The first file that stands under a local name and is not to be replaced. For a new job: better told now than after the last byte.
pub(crate) fn first_taken(files: &[FileSpec], properties: &Properties) -> Option<JobError> {
    if properties.overwrite {
        return None;
    }
    let (index, taken) =
        files.iter().enumerate().find(|(_, file)| file.local_name.as_path().symlink_metadata().is_ok())?;
    let description = format!("there is a file {} already", taken.local_name);
    Some(local_error(ErrorCode::LocalFileExists, index, description))
}

/// Removes a store that is no longer needed.
pub(crate) fn remove_state(state_dir: &Path) -> io::Result<()> {
    // Renamed first: whoever comes meanwhile finds either the whole store or none.
    let mut gone = state_dir.as_os_str().to_owned();
    gone.push(format!(".done-{}", std::process::id()));
    let gone = Path::new(&gone);
    fs::rename(state_dir, gone)?;
    fs::remove_dir_all(gone)
}

fn local_error(code: ErrorCode, index: usize, description: String) -> JobError {
    JobError {
        code,
        context: ErrorContext::LocalFile,
        class: FailureClass::Fatal,
        http_status: None,
        file: u32::try_from(index).ok().map(FileIndex),
        description,
    }
}
