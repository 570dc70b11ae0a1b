//! Who may what, as the API asks it; taking a job over.

use std::sync::Arc;

use super::{Host, Tokens};
use crate::access::{Reach, Tenant};
use crate::job::{FileIndex, JobId, JobRecord};
use crate::scheduler::{Command, CommandError};
use crate::store::{Reader, StoreError};

/// Files looked at together: a page of them is some hundred KiB.
const PAGE_FILES: u32 = 1_000;

/// Why a job was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// BG_E_NEW_OWNER_NO_FILE_ACCESS.
    #[error("{owner} may write {reach}; file {file} of the job does not lie there")]
    NoFileAccess {
        /// The new owner.
        owner: String,
        /// Where it may write.
        reach: Reach,
        /// The first file that lies elsewhere.
        file: FileIndex,
    },
    /// The command itself.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The files could not be looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Host {
    /// What the jobs of an owner may do on this machine.
    #[must_use]
    pub fn tenant(&self, owner: &str) -> Arc<Tenant> {
        self.tenants.of(owner)
    }

    /// The tokens that stand for subjects over TCP.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Lets a job belong to another owner, without its request headers. Durable when this returns.
    ///
    /// # Errors
    /// If a file of the job lies where the new owner may not write; nothing was changed then. A file that is added meanwhile is looked at
    /// when it is opened.
    pub async fn take_ownership(&self, job: JobId, owner: String) -> Result<JobRecord, OwnershipError> {
        let reach = self.tenant(&owner).reach.clone();
        let outside = {
            let reach = reach.clone();
            self.read(move |reader| first_outside(reader, job, &reach)).await?
        };
        if let Some(file) = outside {
            return Err(OwnershipError::NoFileAccess { owner, reach, file });
        }
        Ok(*self.command(Command::TakeOwnership { job, owner }).await?.into_job())
    }
}

/// Looks at every file, page by page.
fn first_outside(reader: &Reader, job: JobId, reach: &Reach) -> Result<Option<FileIndex>, StoreError> {
    if *reach == Reach::Everywhere {
        return Ok(None);
    }
    let mut first = FileIndex(0);
    loop {
        let files = reader.files(job, first, PAGE_FILES)?;
        if let Some(outside) = files.iter().find(|file| !reach.allows(&file.local_name)) {
            return Ok(Some(outside.index));
        }
        match files.last() {
            Some(last) if files.len() == PAGE_FILES as usize => first = FileIndex(last.index.0.saturating_add(1)),
            _ => return Ok(None),
        }
    }
}
