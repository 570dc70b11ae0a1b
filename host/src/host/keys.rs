//! Requests that must not be carried out twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::job::{JobId, JobRecord};
use crate::scheduler::CommandError;
use crate::store::StoreError;

/// A job that a request made, or had made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The job as it is now.
    pub job: Box<JobRecord>,
    /// Whether the request is the first of its key.
    pub repetition: Repetition,
}

/// Whether a request came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// It made the job.
    First,
    /// An equal one with the same key made the job.
    Repeated,
}

/// Why a job was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The request itself.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The owner has used the key for another request.
    #[error("the idempotency key was used before, for another request, which made job {job}; use a new key")]
    KeyUsed {
        /// The job that the other request made.
        job: JobId,
    },
    /// The store could not be asked for the key.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Key = (String, String);
type Turns = HashMap<Key, Arc<tokio::sync::Mutex<()>>>;

/// Gives those who come with one key their turns.
#[derive(Debug, Default)]
pub(super) struct Keys {
    turns: Arc<Mutex<Turns>>,
}

/// Somebody's turn; over when dropped. It goes with the request, which is carried out although whoever asked may have left.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Mutex<Turns>>,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Keys {
    /// Waits until nobody else has a turn with the key. Cancel-safe.
    pub(super) async fn turn(&self, owner: &str, key: &str) -> Turn {
        let key = (owner.to_owned(), key.to_owned());
        let lock = Arc::clone(lock(&self.turns).entry(key.clone()).or_default());
        // Made before the wait, so that the key is forgotten if that is given up.
        let mut turn = Turn { turns: Arc::clone(&self.turns), key, guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = lock(&self.turns);
        self.guard = None;
        // Whoever waits has a share of it, and takes it under this lock.
        if turns.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.key);
        }
    }
}

fn lock(turns: &Mutex<Turns>) -> MutexGuard<'_, Turns> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_key_is_one_callers_at_a_time_and_then_forgotten() {
        let keys = Keys::default();
        let first = keys.turn("a", "key").now_or_never().unwrap();
        assert!(keys.turn("b", "key").now_or_never().is_some(), "another owner's key is another one");
        let mut second = Box::pin(keys.turn("a", "key"));
        assert!(second.as_mut().now_or_never().is_none());
        let mut third = Box::pin(keys.turn("a", "key"));
        assert!(third.as_mut().now_or_never().is_none());
        drop(third);
        drop(first);
        drop(second.now_or_never().unwrap());
        assert!(lock(&keys.turns).is_empty());
    }
}
