//! `backhaul store ...`, and what a failure of a store means for the exit code.

use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::store::StoreError;

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
