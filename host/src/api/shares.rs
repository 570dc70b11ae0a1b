//! No user of several takes all connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A user may have one in so many of all connections: four at once have to be at it before others wait.
const SHARE: usize = 4;

/// The connections of each user.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    taken: Arc<Mutex<HashMap<u32, usize>>>,
    of_each: usize,
}

/// One connection of a user; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    taken: Arc<Mutex<HashMap<u32, usize>>>,
    uid: u32,
}

impl Shares {
    /// Of so many connections in all.
    pub(super) fn of(connections_max: usize) -> Self {
        Self { taken: Arc::default(), of_each: connections_max.div_ceil(SHARE) }
    }

    /// One more for a user, if it has any left.
    pub(super) fn take(&self, uid: u32) -> Option<Share> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(uid).or_insert(0);
        if *count >= self.of_each {
            return None;
        }
        *count += 1;
        Some(Share { taken: Arc::clone(&self.taken), uid })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<u32, usize>>) -> MutexGuard<'_, HashMap<u32, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_share_and_no_more() {
        let shares = Shares::of(10);
        let mut held: Vec<_> = (0..3).map(|_| shares.take(7).unwrap()).collect();
        assert!(shares.take(7).is_none());
        assert!(shares.take(8).is_some(), "others have theirs");
        held.pop();
        assert!(shares.take(7).is_some());
        held.clear();
        assert!(lock(&shares.taken).is_empty());
        assert!(Shares::of(1).take(7).is_some());
    }
}
