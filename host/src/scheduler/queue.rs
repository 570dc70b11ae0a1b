//! Who runs next: levels, slots and turns. Foreground jobs run beside the background ones, which share their slots by level.
//!
//! Only jobs that could run are in here. Jobs that wait for a retry, for space or for a client hold neither seat nor slot.

use std::collections::BTreeMap;

use super::config::SchedulerConfig;
use super::turns::{Owner, Turns};
use crate::job::{JobId, Priority};

/// A place in the queue: in its level, in the line of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    /// The level.
    pub(super) level: Priority,
    pub(super) turn: u64,
    pub(super) owner: Owner,
}

/// Where in the line of its owner a job is seated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its slot was taken before its slice was over.
    Front,
    /// It has had its turn, or is new.
    Tail,
}

/// The slots that a level draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// For jobs of the level foreground.
    Foreground,
    /// For all others.
    Background,
}

impl Pool {
    /// Both, foreground first.
    pub(super) const ALL: [Self; 2] = [Self::Foreground, Self::Background];

    /// The pool of a level.
    pub(super) const fn of(level: Priority) -> Self {
        match level {
            Priority::Foreground => Self::Foreground,
            Priority::High | Priority::Normal | Priority::Low => Self::Background,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// A slot in use.
#[derive(Debug)]
struct Slot {
    job: JobId,
    /// Its worker was told to stop: the slot is on its way.
    stopping: bool,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    slots: [u32; 2],
    /// Slots kept for jobs that are being asked about.
    reserved: [u32; 2],
    /// By level.
    ready: [Turns; 4],
    /// Jobs that a policy holds, in their seats.
    held: BTreeMap<Seat, JobId>,
    /// By level and by the turn in which it was given out.
    running: BTreeMap<Seat, Slot>,
    front: u64,
    tail: u64,
}

/// Turns are counted from here in both directions; neither end is reached.
const FIRST_TURN: u64 = 1 << 62;

impl Queue {
    pub(super) fn new(config: &SchedulerConfig) -> Self {
        Self {
            slots: [config.foreground_slots, config.background_slots],
            reserved: [0; 2],
            ready: Default::default(),
            held: BTreeMap::new(),
            running: BTreeMap::new(),
            front: FIRST_TURN,
            tail: FIRST_TURN,
        }
    }

    /// A new seat.
    pub(super) const fn seat(&mut self, level: Priority, owner: Owner, end: End) -> Seat {
        let turn = match end {
            End::Front => {
                self.front -= 1;
                self.front
            }
            End::Tail => {
                self.tail += 1;
                self.tail
            }
        };
        Seat { level, turn, owner }
    }

    const fn level(&mut self, level: Priority) -> &mut Turns {
        &mut self.ready[level.number() as usize]
    }

    /// The job may run when its turn comes.
    pub(super) fn make_ready(&mut self, seat: Seat, job: JobId) {
        self.held.remove(&seat);
        self.level(seat.level).insert(seat.owner, seat.turn, job);
    }

    /// The job keeps its seat, and is passed over.
    pub(super) fn hold(&mut self, seat: Seat, job: JobId) {
        self.level(seat.level).remove(seat.owner, seat.turn);
        self.held.insert(seat, job);
    }

    /// A held job may be asked about again.
    pub(super) fn release(&mut self, seat: Seat) {
        if let Some(job) = self.held.remove(&seat) {
            self.make_ready(seat, job);
        }
    }

    /// All held jobs may be asked about again.
    pub(super) fn release_all(&mut self) {
        for (seat, job) in std::mem::take(&mut self.held) {
            self.make_ready(seat, job);
        }
    }

    /// The job leaves its seat.
    pub(super) fn leave(&mut self, seat: Seat) {
        self.level(seat.level).remove(seat.owner, seat.turn);
        self.held.remove(&seat);
    }

    /// The owner has no job any more: when it was served is no matter then.
    pub(super) fn forget(&mut self, owner: Owner) {
        for level in &mut self.ready {
            level.forget(owner);
        }
    }

    /// The next ready job of a pool: the first one if a slot is free, else the first one for which none is on its way.
    pub(super) fn next(&self, pool: Pool) -> Option<(Seat, JobId)> {
        let mut provided = if self.free(pool) > 0 { 0 } else { self.stopping(pool) };
        for (level, ready) in Priority::ALL.into_iter().zip(&self.ready) {
            if Pool::of(level) != pool {
                continue;
            }
            if let Some((owner, turn, job)) = ready.nth(provided) {
                return Some((Seat { level, turn, owner }, job));
            }
            provided -= ready.len();
        }
        None
    }

    /// Ready jobs of one owner.
    pub(super) fn ready_of(&self, level: Priority, owner: Owner) -> usize {
        self.ready[usize::from(level.number())].len_of(owner)
    }

    /// Whether more jobs of the level are ready than slots of its pool are on their way.
    pub(super) fn waits_for_slice(&self, level: Priority) -> bool {
        self.ready[usize::from(level.number())].len() > self.stopping(Pool::of(level))
    }

    /// Keeps a slot for a job that is being asked about.
    pub(super) const fn reserve(&mut self, pool: Pool) {
        self.reserved[pool.index()] += 1;
    }

    /// Gives a kept slot back.
    pub(super) const fn unreserve(&mut self, pool: Pool) {
        self.reserved[pool.index()] = self.reserved[pool.index()].saturating_sub(1);
    }

    /// Slots kept for jobs that are being asked about.
    pub(super) const fn reserved(&self, pool: Pool) -> u32 {
        self.reserved[pool.index()]
    }

    /// Slots neither in use nor kept.
    pub(super) fn free(&self, pool: Pool) -> u32 {
        self.slots[pool.index()].saturating_sub(self.in_use(pool)).saturating_sub(self.reserved(pool))
    }

    /// Slots in use.
    pub(super) fn in_use(&self, pool: Pool) -> u32 {
        u32::try_from(self.slots_of(pool).count()).unwrap_or(u32::MAX)
    }

    /// Slots in use whose worker was told to stop.
    pub(super) fn stopping(&self, pool: Pool) -> usize {
        self.slots_of(pool).filter(|slot| slot.stopping).count()
    }

    fn slots_of(&self, pool: Pool) -> impl Iterator<Item = &Slot> {
        self.running.iter().filter(move |(seat, _)| Pool::of(seat.level) == pool).map(|(_, slot)| slot)
    }

    /// Jobs in line, held ones included.
    pub(super) fn waiting(&self) -> usize {
        self.ready.iter().map(Turns::len).sum::<usize>() + self.held.len()
    }

    /// Takes a slot, as a turn of the owner. The seat returned is the slot's, to give it back by.
    pub(super) fn take_slot(&mut self, level: Priority, owner: Owner, job: JobId) -> Seat {
        let seat = self.seat(level, owner, End::Tail);
        self.level(level).serve(owner);
        self.running.insert(seat, Slot { job, stopping: false });
        seat
    }

    /// The worker of a slot was told to stop.
    pub(super) fn mark_stopping(&mut self, slot: Seat) {
        if let Some(slot) = self.running.get_mut(&slot) {
            slot.stopping = true;
        }
    }

    /// Gives a slot back.
    pub(super) fn free_slot(&mut self, slot: Seat) {
        self.running.remove(&slot);
    }

    /// The job that has to make way for one of a higher background level: of the lowest level, the one that started last.
    pub(super) fn victim(&self, level: Priority) -> Option<JobId> {
        match Pool::of(level) {
            Pool::Foreground => None,
            Pool::Background => self
                .running
                .iter()
                .rev()
                .find(|(seat, slot)| seat.level > level && !slot.stopping)
                .map(|(_, slot)| slot.job),
        }
    }

    /// Every job that has a slot, in order of level and start.
    pub(super) fn running(&self) -> Vec<JobId> {
        self.running.values().map(|slot| slot.job).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: Owner = Owner(1);
    const OTHER: Owner = Owner(2);

    const fn job(number: u128) -> JobId {
        JobId(Uuid::from_u128(number))
    }

    fn queue(background_slots: u32) -> Queue {
        Queue::new(&SchedulerConfig { background_slots, ..SchedulerConfig::default() })
    }

    #[test]
    fn levels_go_first_then_turns_and_the_front_precedes_both() {
        let mut queue = queue(1);
        for (number, level, end) in [
            (1, Priority::Low, End::Tail),
            (2, Priority::Normal, End::Tail),
            (3, Priority::Normal, End::Tail),
            (4, Priority::Normal, End::Front),
            (5, Priority::Foreground, End::Tail),
        ] {
            let seat = queue.seat(level, ONE, end);
            queue.make_ready(seat, job(number));
        }
        assert_eq!(queue.next(Pool::Foreground).unwrap().1, job(5));
        let mut order = Vec::new();
        while let Some((seat, job)) = queue.next(Pool::Background) {
            queue.leave(seat);
            order.push(job);
        }
        assert_eq!(order, [4, 2, 3, 1].map(job));
    }

    #[test]
    fn a_held_job_keeps_its_seat() {
        let mut queue = queue(1);
        let (first, second) =
            (queue.seat(Priority::Normal, ONE, End::Tail), queue.seat(Priority::Normal, ONE, End::Tail));
        queue.make_ready(first, job(1));
        queue.make_ready(second, job(2));
        queue.hold(first, job(1));
        assert_eq!(queue.next(Pool::Background), Some((second, job(2))));
        assert_eq!(queue.waiting(), 2);
        queue.release_all();
        assert_eq!(queue.next(Pool::Background), Some((first, job(1))));
    }

    #[test]
    fn the_last_started_of_the_lowest_level_makes_way() {
        let mut queue = queue(3);
        queue.take_slot(Priority::Normal, ONE, job(1));
        queue.take_slot(Priority::Low, ONE, job(2));
        let slot = queue.take_slot(Priority::Low, ONE, job(3));
        assert_eq!(queue.free(Pool::Background), 0);
        assert_eq!(queue.victim(Priority::High), Some(job(3)));
        queue.mark_stopping(slot);
        assert_eq!(queue.victim(Priority::High), Some(job(2)));
        assert_eq!(queue.victim(Priority::Low), None);
        assert_eq!(queue.victim(Priority::Foreground), None);
        queue.free_slot(slot);
        assert_eq!(queue.free(Pool::Background), 1);
        queue.reserve(Pool::Background);
        assert_eq!(queue.free(Pool::Background), 0);
    }

    #[test]
    fn the_front_of_one_owner_is_not_that_of_another() {
        let mut queue = queue(1);
        queue.take_slot(Priority::Normal, ONE, job(1));
        for (number, owner, end) in [(2, ONE, End::Tail), (3, OTHER, End::Tail), (1, ONE, End::Front)] {
            let seat = queue.seat(Priority::Normal, owner, end);
            queue.make_ready(seat, job(number));
        }
        assert!(queue.waits_for_slice(Priority::Normal));
        queue.slots[Pool::Background.index()] = 2;
        let (seat, next) = queue.next(Pool::Background).unwrap();
        assert_eq!(next, job(3), "the other owner was served longer ago");
        queue.leave(seat);
        assert_eq!(queue.next(Pool::Background).unwrap().1, job(1));
    }
}
