//! What is known of each origin, over all jobs: connections in use, spacing asked for by Retry-After, health.

use std::collections::BTreeMap;

use super::config::SchedulerConfig;
use super::queue::Seat;
use super::turns::Turns;
use crate::clock::{BootMillis, Now, UnixMillis};
use crate::job::{JobId, Origin, Priority};
use crate::policy::contract::OriginView;

/// One origin.
#[derive(Debug, Default)]
struct Known {
    /// Jobs that run on it.
    running: u32,
    /// Connections that their workers may open.
    connections: u32,
    failures_in_row: u32,
    last_success_at: Option<UnixMillis>,
    /// No new attempt before.
    not_before: BootMillis,
    not_before_at: Option<UnixMillis>,
    /// Jobs that wait for a connection, by level and by turns of their owners.
    waiting: BTreeMap<Priority, Turns>,
    touched: BootMillis,
}

impl Known {
    /// Takes the next job that waits.
    fn pop_waiting(&mut self) -> Option<(Seat, JobId)> {
        let mut first = self.waiting.first_entry()?;
        let (owner, turn, job) = first.get_mut().pop()?;
        let seat = Seat { level: *first.key(), turn, owner };
        if first.get().len() == 0 {
            first.remove();
        }
        Some((seat, job))
    }

    fn leave(&mut self, seat: Seat) -> bool {
        let Some(turns) = self.waiting.get_mut(&seat.level) else { return false };
        let waited = turns.remove(seat.owner, seat.turn);
        if turns.len() == 0 {
            self.waiting.remove(&seat.level);
        }
        waited
    }
}

/// All origins that are remembered.
#[derive(Debug)]
pub(super) struct Origins {
    known: BTreeMap<Origin, Known>,
    connections_max: u32,
    origins_max: usize,
}

/// Whether an attempt on an origin may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// With so many connections.
    Connections(u16),
    /// Not before.
    NotBefore(BootMillis),
    /// When another job gives connections back.
    Full,
}

impl Origins {
    pub(super) const fn new(config: &SchedulerConfig) -> Self {
        // A cap of 0 would be a standstill that nobody asked for.
        let connections_max = if config.connections_per_origin == 0 { 1 } else { config.connections_per_origin };
        Self { known: BTreeMap::new(), connections_max, origins_max: config.origins_max }
    }

    fn entry(&mut self, origin: &Origin, now: Now) -> &mut Known {
        if !self.known.contains_key(origin) && self.known.len() >= self.origins_max {
            self.forget_one(now);
        }
        let known = self.known.entry(origin.clone()).or_default();
        known.touched = now.boot;
        known
    }

    /// Forgets the idle origin that was longest untouched, if any is idle.
    fn forget_one(&mut self, now: Now) {
        let idle = |known: &Known| known.running == 0 && known.waiting.is_empty() && known.not_before <= now.boot;
        let oldest = self.known.iter().filter(|(_, known)| idle(known)).min_by_key(|(_, known)| known.touched);
        if let Some(origin) = oldest.map(|(origin, _)| origin.clone()) {
            self.known.remove(&origin);
        }
    }

    /// Whether an attempt that wants so many connections may begin now.
    pub(super) fn opening(&self, origin: &Origin, wanted: u16, now: Now) -> Opening {
        let Some(known) = self.known.get(origin) else {
            return Opening::Connections(wanted.min(u16::try_from(self.connections_max).unwrap_or(u16::MAX)));
        };
        if known.not_before > now.boot {
            return Opening::NotBefore(known.not_before);
        }
        match self.connections_max.saturating_sub(known.connections) {
            0 => Opening::Full,
            left => Opening::Connections(wanted.min(u16::try_from(left).unwrap_or(u16::MAX))),
        }
    }

    /// An attempt uses so many connections of the origin.
    pub(super) fn acquire(&mut self, origin: &Origin, connections: u16, now: Now) {
        let known = self.entry(origin, now);
        known.running = known.running.saturating_add(1);
        known.connections = known.connections.saturating_add(u32::from(connections));
    }

    /// It no longer does.
    pub(super) fn release(&mut self, origin: &Origin, connections: u16) {
        if let Some(known) = self.known.get_mut(origin) {
            known.running = known.running.saturating_sub(1);
            known.connections = known.connections.saturating_sub(u32::from(connections));
        }
    }

    /// Takes the jobs that may look again: as many as there are connections left, and all of them once none is in use, since nobody
    /// would call the rest. Whoever is called and does not take a connection calls again in its place.
    pub(super) fn call(&mut self, origin: &Origin) -> Vec<(Seat, JobId)> {
        let connections_max = self.connections_max;
        let Some(known) = self.known.get_mut(origin) else { return Vec::new() };
        let left = match known.connections {
            0 => u32::MAX,
            used => connections_max.saturating_sub(used),
        };
        (0..left).map_while(|_| known.pop_waiting()).collect()
    }

    /// A job waits for a connection.
    pub(super) fn wait(&mut self, origin: &Origin, seat: Seat, job: JobId, now: Now) {
        let waiting = &mut self.entry(origin, now).waiting;
        waiting.entry(seat.level).or_default().insert(seat.owner, seat.turn, job);
    }

    /// It no longer does. Returns whether it still waited, and was not called.
    pub(super) fn leave(&mut self, origin: &Origin, seat: Seat) -> bool {
        self.known.get_mut(origin).is_some_and(|known| known.leave(seat))
    }

    /// The origin gave an acceptable answer.
    pub(super) fn succeeded(&mut self, origin: &Origin, now: Now) {
        let known = self.entry(origin, now);
        known.failures_in_row = 0;
        known.last_success_at = Some(now.wall);
    }

    /// An attempt on the origin failed; it asks for so much time, if any.
    pub(super) fn failed(&mut self, origin: &Origin, retry_after_ms: Option<u64>, now: Now) {
        let known = self.entry(origin, now);
        known.failures_in_row = known.failures_in_row.saturating_add(1);
        if let Some(wait) = retry_after_ms {
            known.not_before = known.not_before.max(now.boot.plus(wait));
            known.not_before_at = Some(now.wall.plus(known.not_before.since(now.boot)));
        }
    }

    /// Milliseconds until the origin may be asked again.
    pub(super) fn spacing_ms(&self, origin: &Origin, now: Now) -> u64 {
        self.known.get(origin).map_or(0, |known| known.not_before.since(now.boot))
    }

    /// When the origin may be asked again by the wall clock, if it asked for time.
    pub(super) fn not_before_at(&self, origin: &Origin, now: Now) -> Option<UnixMillis> {
        let known = self.known.get(origin)?;
        known.not_before_at.filter(|_| known.not_before > now.boot)
    }

    /// No origin has more connections than it may.
    #[cfg(test)]
    pub(super) fn are_within_cap(&self) -> bool {
        self.known.values().all(|known| known.connections <= self.connections_max)
    }

    /// What a policy is told.
    pub(super) fn view(&self, origin: &Origin, now: Now) -> OriginView {
        let known = self.known.get(origin);
        OriginView {
            origin: origin.to_string(),
            running: known.map_or(0, |known| known.running),
            failures_in_row: known.map_or(0, |known| known.failures_in_row),
            last_success_at: known.and_then(|known| known.last_success_at).map(|at| at.0),
            not_before_at: self.not_before_at(origin, now).map(|at| at.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::queue::{End, Queue};
    use super::super::turns::Owner;
    use super::*;
    use crate::job::SafeUrl;

    fn origin(text: &str) -> Origin {
        SafeUrl::parse(text).unwrap().origin()
    }

    const fn at(millis: u64) -> Now {
        Now { wall: UnixMillis(1_000_000 + millis), boot: BootMillis(millis) }
    }

    #[test]
    fn connections_are_shared_and_given_back() {
        let config = SchedulerConfig { connections_per_origin: 10, ..SchedulerConfig::default() };
        let mut origins = Origins::new(&config);
        let (a, b) = (origin("http://a/"), origin("http://b/"));
        assert_eq!(origins.opening(&a, 64, at(0)), Opening::Connections(10));
        origins.acquire(&a, 8, at(0));
        assert_eq!(origins.opening(&a, 4, at(0)), Opening::Connections(2));
        assert_eq!(origins.opening(&b, 4, at(0)), Opening::Connections(4));
        origins.acquire(&a, 2, at(0));
        assert_eq!(origins.opening(&a, 1, at(0)), Opening::Full);
        let mut queue = Queue::new(&config);
        let seat = queue.seat(Priority::Normal, Owner(1), End::Tail);
        let job = JobId(Uuid::from_u128(1));
        origins.wait(&a, seat, job, at(0));
        assert_eq!(origins.call(&a), []);
        origins.release(&a, 2);
        assert_eq!(origins.call(&a), [(seat, job)]);
        assert_eq!(origins.view(&a, at(0)).running, 1);
    }

    #[test]
    fn retry_after_spaces_attempts_and_never_shortens() {
        let mut origins = Origins::new(&SchedulerConfig::default());
        let a = origin("http://a/");
        origins.failed(&a, Some(5_000), at(100));
        origins.failed(&a, Some(1_000), at(100));
        assert_eq!(origins.opening(&a, 1, at(200)), Opening::NotBefore(BootMillis(5_100)));
        assert_eq!(origins.view(&a, at(200)).not_before_at, Some(1_005_100));
        assert_eq!(origins.view(&a, at(200)).failures_in_row, 2);
        assert_eq!(origins.opening(&a, 1, at(5_100)), Opening::Connections(1));
        origins.succeeded(&a, at(6_000));
        assert_eq!(origins.view(&a, at(6_000)).failures_in_row, 0);
        assert_eq!(origins.view(&a, at(6_000)).not_before_at, None);
    }

    #[test]
    fn only_idle_origins_are_forgotten() {
        let config = SchedulerConfig { origins_max: 2, ..SchedulerConfig::default() };
        let mut origins = Origins::new(&config);
        origins.acquire(&origin("http://a/"), 1, at(0));
        origins.succeeded(&origin("http://b/"), at(1));
        origins.succeeded(&origin("http://c/"), at(2));
        assert!(origins.known.contains_key(&origin("http://a/")));
        assert!(!origins.known.contains_key(&origin("http://b/")));
        assert!(origins.known.contains_key(&origin("http://c/")));
    }
}
