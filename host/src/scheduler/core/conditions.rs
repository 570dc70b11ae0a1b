//! What changes around the jobs: network, free space, time.

use super::super::gates::Change;
use super::super::queue::End;
use super::super::step::{Effect, StopReason, Write};
use super::super::timers::TimerKind;
use super::Core;
use super::admission::gate_error;
use super::board::{Board, Stage};
use super::job::{Fallback, Gate, Job, Place};
use crate::job::{ErrorCode, Event, EventKind, Intent, JobId, JobState, Transition};
use crate::network::Network;
use crate::policy::contract::Cause;

impl Core {
    /// Start-up is over: every job is taken up where its record says that it stands.
    pub(super) fn loading_done(&mut self) {
        if self.board.stage != Stage::Loading {
            return;
        }
        self.board.stage = Stage::Serving;
        for job in self.jobs.values_mut() {
            // A command may have come before its time.
            if matches!(job.place, Place::Idle) {
                self.board.take_up(job);
            }
        }
    }

    pub(super) fn network_changed(&mut self, network: Network) {
        let board = &mut self.board;
        let (connected, note) = (network.connected, in_words(&network));
        let admissions = board.gates.admissions();
        let change = board.gates.change(network, board.now.boot);
        if board.stage == Stage::Loading || change == Change::None {
            return;
        }
        let kind = EventKind::NetworkChanged { connected, note };
        board.step.writes.push(Write::Journal(Event { at: board.now.wall, job: None, kind }));
        if board.gates.admissions() != admissions {
            board.queue.release_all();
        }
        board.to_ask.clear();
        match change {
            Change::None => {}
            Change::Lost => {
                board.to_requeue.clear();
                for id in board.queue.running() {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        board.network_lost(job);
                    }
                }
            }
            Change::Back => board.to_requeue.clone_from(&board.transient),
            Change::Other => {
                board.to_ask = board.queue.running().into_iter().map(|id| (id, Cause::NetworkChanged)).collect();
            }
        }
        self.catch_up();
    }

    /// Does what earlier steps left over, as far as this one may.
    pub(super) fn catch_up(&mut self) {
        let board = &mut self.board;
        while board.budget > 0 {
            let Some((id, cause)) = board.to_ask.pop_first() else { break };
            if let Some(job) = self.jobs.get_mut(&id) {
                board.ask_running(job, cause);
            }
        }
    }

    /// Puts jobs in line for which the network came back, a few of each owner and level. They have waited as such since then, so that it is
    /// enough when they are needed, and a network that flaps costs next to nothing.
    pub(super) fn requeue_some(&mut self) {
        let board = &mut self.board;
        if board.to_requeue.is_empty() {
            return;
        }
        let wanted = usize::try_from(board.config.admit_batch.max(1)).unwrap_or(usize::MAX);
        let keys: Vec<_> = board.to_requeue.keys().copied().collect();
        for key in keys {
            while board.queue.ready_of(key.0, key.1) < wanted {
                let Some(jobs) = board.to_requeue.get_mut(&key) else { break };
                if board.budget == 0 {
                    board.unfinished = true;
                    return;
                }
                board.budget -= 1;
                let next = jobs.pop_first();
                if jobs.is_empty() {
                    board.to_requeue.remove(&key);
                }
                if let Some(job) = next.and_then(|id| self.jobs.get_mut(&id)) {
                    board.network_is_back(job);
                }
            }
        }
    }

    /// Handles the timers that are due, as far as this step may.
    pub(super) fn timers_due(&mut self) {
        for _ in 0..self.board.config.timers_batch {
            let Some((id, kind)) = self.board.timers.pop(self.board.now.boot) else { return };
            if let Some(job) = self.jobs.get_mut(&id) {
                self.board.timer(job, kind);
            }
        }
    }

    pub(super) fn space(&mut self, id: JobId, bytes_available: u64) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let Place::Gated(Gate::Space(space)) = job.place
            && space.is_open(bytes_available, self.board.now.boot)
        {
            job.space_seen = Some(bytes_available);
            self.board.requeue(job, End::Tail);
        }
    }

    /// Every worker stops, and no job starts any more.
    pub(super) fn drain(&mut self) {
        self.board.stage = Stage::Draining;
        for id in self.board.queue.running() {
            if let Some(job) = self.jobs.get_mut(&id) {
                self.board.stop(job, StopReason::Draining);
            }
        }
    }
}

impl Board {
    fn network_lost(&mut self, job: &mut Job) {
        if matches!(job.place, Place::Running) {
            self.shut(job, gate_error(ErrorCode::NetworkDisconnected, ""));
            self.enter(job, Place::Gated(Gate::Network));
        }
    }

    /// A network that comes back puts jobs in TRANSIENT_ERROR in line, whatever their error (bits.md section 1.2). Space and locks are
    /// conditions of their own.
    fn network_is_back(&mut self, job: &mut Job) {
        match job.place {
            Place::RetryWait | Place::Gated(Gate::Network | Gate::Time(_)) => self.requeue(job, End::Tail),
            Place::Line(_) if job.record.state == JobState::TransientError => self.apply(job, Transition::Requeued),
            _ => {}
        }
    }

    fn timer(&mut self, job: &mut Job, kind: TimerKind) {
        let id = job.record.id;
        match (kind, &job.place) {
            (TimerKind::Retry, Place::RetryWait) => self.requeue(job, End::Tail),
            (TimerKind::NoProgress, _) => self.no_progress_timer(job),
            (TimerKind::MaximumDownloadTime, _) => self.maximum_download_timer(job),
            (TimerKind::Hold, Place::Line(seat)) => self.queue.release(*seat),
            (TimerKind::Slice, Place::Running) => self.slice_timer(job),
            (TimerKind::Origin, Place::Line(_)) => self.origin_forgotten(job),
            (TimerKind::Gate, Place::Gated(Gate::Space(_))) => {
                self.step.effects.push(Effect::ProbeSpace(id));
                self.timers.set(id, TimerKind::Gate, self.now.boot.plus(self.config.disk_probe_ms.max(1)));
            }
            (TimerKind::Gate, Place::Gated(Gate::Time(_))) => self.requeue(job, End::Tail),
            (TimerKind::Inactivity, _) => self.inactivity_timer(job),
            _ => {}
        }
    }

    /// Nothing has happened to the job for too long, unless something has since the timer was set (bits.md section 3.1).
    fn inactivity_timer(&mut self, job: &mut Job) {
        let (timeout_ms, inactive_ms) = (self.config.inactivity_timeout_ms, job.inactivity.ms(self.now.boot));
        let is_ending = job.record.intent.is_some();
        if job.record.state.is_final() {
            return;
        }
        if is_ending || inactive_ms < timeout_ms {
            let left_ms = if is_ending { timeout_ms } else { timeout_ms - inactive_ms };
            return self.timers.set(job.record.id, TimerKind::Inactivity, self.now.boot.plus(left_ms.max(1)));
        }
        self.journal(job, EventKind::JobInactive { inactive_seconds: inactive_ms / 1000 });
        self.begin_ending(job, Intent::Cancel, Vec::new(), Fallback::AsItWas);
    }

    /// A slice is over. The job makes way if another one of its level is ready; else it is asked whether it may still run.
    fn slice_timer(&mut self, job: &mut Job) {
        let slice_ms = self.config.time_slice_ms.max(1);
        let Some(level) = job.active_worker().map(|worker| worker.slot.level) else { return };
        if self.queue.waits_for_slice(level) {
            return self.take_slot_from(job, End::Tail);
        }
        self.timers.set(job.record.id, TimerKind::Slice, self.now.boot.plus(slice_ms));
        if self.gates.connected() && job.asked.is_none() {
            self.to_ask.entry(job.record.id).or_insert(Cause::Slice);
        }
    }
}

/// The network for the journal.
fn in_words(network: &Network) -> String {
    if !network.connected {
        return "no network".to_owned();
    }
    let route = network.route.and_then(|route| network.interfaces.get(usize::try_from(route).ok()?));
    match route.or_else(|| network.interfaces.first()) {
        None => "connected".to_owned(),
        Some(interface) => {
            let roaming = if interface.roaming { ", roaming" } else { "" };
            let congested = if interface.congested { ", congested" } else { "" };
            format!("connected by {}, cost {}{roaming}{congested}", interface.name, cost_name(interface.cost))
        }
    }
}

/// The cost in the API's spelling.
const fn cost_name(cost: crate::job::CostState) -> &'static str {
    use crate::job::CostState as C;
    match cost {
        C::Unrestricted => "unrestricted",
        C::CappedUsageUnknown => "capped_usage_unknown",
        C::BelowCap => "below_cap",
        C::NearCap => "near_cap",
        C::OvercapCharged => "overcap_charged",
        C::OvercapThrottled => "overcap_throttled",
        C::UsageBased => "usage_based",
    }
}
