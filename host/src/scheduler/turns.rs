//! Whose turn it is: owners by round robin, the jobs of one owner by their own turns. However many jobs one of them has, another waits
//! for one job of each at most.
//!
//! The owner comes first that was served longest ago. One that has just come stands behind all that were served before and wait, and before
//! the one that was served last: whoever comes, goes and comes back gains nothing by it.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::JobId;

/// An owner, by a number that is not given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Owner(pub(super) u64);

/// Since when an owner waits for its turn; the smallest is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Since {
    /// Turns that had been given out by then.
    served: u64,
    /// Those who came before the next turn was given out stand before the one that had the last.
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// It came, as the so many-th.
    Came(u64),
    /// It had a turn.
    Served,
}

/// The ready jobs of one level, in lines by owner.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: BTreeMap<Owner, BTreeMap<u64, JobId>>,
    /// Owners with a line.
    order: BTreeSet<(Since, Owner)>,
    since: BTreeMap<Owner, Since>,
    len: usize,
    served: u64,
    came: u64,
}

impl Turns {
    /// Jobs in all lines.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Jobs in the line of one owner.
    pub(super) fn len_of(&self, owner: Owner) -> usize {
        self.lines.get(&owner).map_or(0, BTreeMap::len)
    }

    /// Puts a job into the line of its owner.
    pub(super) fn insert(&mut self, owner: Owner, turn: u64, job: JobId) {
        let line = self.lines.entry(owner).or_default();
        if line.insert(turn, job).is_some() {
            return;
        }
        self.len += 1;
        if line.len() > 1 {
            return;
        }
        let (served, came) = (self.served, &mut self.came);
        let since = *self.since.entry(owner).or_insert_with(|| {
            *came += 1;
            Since { served, how: How::Came(*came) }
        });
        self.order.insert((since, owner));
    }

    /// Takes a job out. Whether it was there.
    pub(super) fn remove(&mut self, owner: Owner, turn: u64) -> bool {
        let Some(line) = self.lines.get_mut(&owner) else { return false };
        if line.remove(&turn).is_none() {
            return false;
        }
        self.len -= 1;
        if line.is_empty() {
            self.lines.remove(&owner);
            if let Some(since) = self.since.get(&owner) {
                self.order.remove(&(*since, owner));
            }
        }
        true
    }

    /// The owner had a turn: all others that wait go before it.
    pub(super) fn serve(&mut self, owner: Owner) {
        self.served += 1;
        let since = Since { served: self.served, how: How::Served };
        let before = self.since.insert(owner, since);
        if self.lines.contains_key(&owner) {
            if let Some(before) = before {
                self.order.remove(&(before, owner));
            }
            self.order.insert((since, owner));
        }
    }

    /// Forgets when an owner was served, if it does not wait.
    pub(super) fn forget(&mut self, owner: Owner) {
        if !self.lines.contains_key(&owner) {
            self.since.remove(&owner);
        }
    }

    /// The job that is next, once so many before it are served.
    pub(super) fn nth(&self, mut before: usize) -> Option<(Owner, u64, JobId)> {
        if before >= self.len {
            return None;
        }
        // Round by round: each owner has one turn in each.
        let mut round = 0;
        loop {
            for (_, owner) in &self.order {
                let Some((turn, job)) = self.lines.get(owner).and_then(|line| line.iter().nth(round)) else { continue };
                if before == 0 {
                    return Some((*owner, *turn, *job));
                }
                before -= 1;
            }
            round += 1;
        }
    }

    /// Takes the next job out, as its owner's turn.
    pub(super) fn pop(&mut self) -> Option<(Owner, u64, JobId)> {
        let next = self.nth(0)?;
        self.remove(next.0, next.1);
        self.serve(next.0);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const fn job(number: u64) -> JobId {
        JobId(Uuid::from_u128(number as u128))
    }

    fn insert(turns: &mut Turns, owner: u64, turn: u64) {
        turns.insert(Owner(owner), turn, job(turn));
    }

    fn served(turns: &mut Turns, count: usize) -> Vec<u64> {
        (0..count).map_while(|_| turns.pop()).map(|(owner, ..)| owner.0).collect()
    }

    #[test]
    fn one_owner_is_served_in_its_own_order() {
        let mut turns = Turns::default();
        for turn in [5, 3, 9, 1] {
            insert(&mut turns, 7, turn);
        }
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).map(|(_, turn, _)| turn).collect();
        assert_eq!(order, [1, 3, 5, 9]);
        assert_eq!((turns.len(), turns.nth(0)), (0, None));
    }

    #[test]
    fn ten_thousand_jobs_of_one_owner_do_not_keep_one_of_another_waiting() {
        let mut turns = Turns::default();
        for turn in 0..10_000 {
            insert(&mut turns, 1, turn);
        }
        assert_eq!(served(&mut turns, 3), [1, 1, 1]);
        insert(&mut turns, 2, 10_000);
        assert_eq!(turns.nth(0), Some((Owner(2), 10_000, job(10_000))));
        assert_eq!(served(&mut turns, 3), [2, 1, 1]);
    }

    #[test]
    fn whoever_comes_and_goes_gains_nothing() {
        let mut turns = Turns::default();
        for turn in 0..100 {
            insert(&mut turns, 1, turn);
        }
        let mut order = Vec::new();
        for turn in 100..110 {
            // One that is gone comes again as another.
            if turns.lines.len() == 1 {
                insert(&mut turns, turn, turn);
            }
            let next = turns.pop().unwrap().0;
            turns.forget(next);
            order.push(next);
        }
        let of_first = order.iter().filter(|owner| **owner == Owner(1)).count();
        assert_eq!(of_first, 5, "{order:?}");
    }

    #[test]
    fn looking_ahead_is_as_serving() {
        let mut turns = Turns::default();
        for (owner, turn) in [(1, 1), (1, 2), (1, 3), (2, 4), (3, 5), (3, 6)] {
            insert(&mut turns, owner, turn);
        }
        let ahead: Vec<_> = (0..7).map_while(|before| turns.nth(before)).collect();
        let taken: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(ahead, taken);
    }

    proptest! {
        /// Between two turns of an owner that waits all the time, no other one has more than one.
        #[test]
        fn nobody_has_two_turns_while_another_waits(steps in proptest::collection::vec((0_u64..5, any::<bool>()), 1..300)) {
            let mut turns = Turns::default();
            let mut since_turn: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for (turn, (owner, comes)) in (0_u64..).zip(steps) {
                if comes {
                    insert(&mut turns, owner, turn);
                    since_turn.entry(owner).or_default();
                } else if let Some((Owner(next), ..)) = turns.pop() {
                    for (waits, others) in &mut since_turn {
                        if *waits != next {
                            prop_assert!(!others.contains(&next), "{next} again before {waits}");
                            others.push(next);
                        }
                    }
                    match turns.lines.contains_key(&Owner(next)) {
                        true => drop(since_turn.insert(next, Vec::new())),
                        false => drop(since_turn.remove(&next)),
                    }
                }
                prop_assert_eq!(turns.len, turns.lines.values().map(BTreeMap::len).sum::<usize>());
                prop_assert_eq!(turns.order.len(), turns.lines.len());
            }
        }
    }
}
