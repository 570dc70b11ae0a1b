//! The questions: what a policy is shown of a job, an attempt and the world. Secrets stay out; numbers and texts are within the
//! contract's limits.

use super::super::queue::Pool;
use super::super::step::{Ask, Question};
use super::board::Board;
use super::job::{Asked, Decision, Job};
use crate::job::limits::GUEST_NUMBER_MAX;
use crate::job::{DecisionId, FileSummary, JobRecord};
use crate::network::Network;
use crate::policy::contract::{
    AdmitContext, AdmitVerdict, AttemptView, Attributes, Call, Cause, FailureView, FileView, Hook, HostView,
    InterfaceView, JobView, LocalTime, NetworkView, RecoveryContext, RetryContext, RetryVerdict, limits,
};

impl Board {
    /// Opens a question. One that was open is forgotten: its answer is of an older generation.
    fn open(&mut self, job: &mut Job, hook: Hook) -> (u32, DecisionId, u64) {
        job.record.decisions = job.record.decisions.saturating_add(1);
        self.touch(job);
        let generation = job.record.decisions;
        let decision = DecisionId(format!("{}-{generation}", job.record.id));
        let asked = Asked { generation, decision: decision.clone(), hook, network: self.gates.admissions() };
        job.asked = Some(Box::new(asked));
        (generation, decision, self.next_seed())
    }

    fn put(&mut self, job: &Job, (generation, decision): (u32, DecisionId), question: Question) {
        let policies = job.record.policies.clone();
        self.step.asks.push(Ask { job: job.record.id, generation, decision, policies, question });
    }

    /// Asks whether the job may run on the present network.
    pub(super) fn ask_admit(&mut self, job: &mut Job, cause: Cause) {
        let (generation, decision, seed) = self.open(job, Hook::NetworkCost);
        let context = AdmitContext {
            call: self.call(job, &decision, seed, None),
            cause,
            running: job.worker.is_some(),
            built_in: AdmitVerdict::Default,
            held_since: job.hold.as_ref().map(|hold| number(hold.since.0)),
        };
        self.put(job, (generation, decision), Question::Admit(Box::new(context)));
    }

    /// Asks whether and when to try again.
    pub(super) fn ask_retry(&mut self, job: &mut Job, about: &Decision) {
        let (generation, decision, seed) = self.open(job, Hook::Retry);
        let record = &job.record;
        let context = RetryContext {
            call: self.call(job, &decision, seed, about.failure.file.as_deref()),
            failure: self.failure_view(about),
            built_in: RetryVerdict::Default,
            failures_in_row: record.failures_in_row,
            since_progress: number(record.no_progress_ms),
            no_progress_left: number(record.properties.no_progress_timeout_ms.saturating_sub(record.no_progress_ms)),
            history: history(record),
        };
        self.put(job, (generation, decision), Question::Retry(Box::new(context)));
    }

    /// Asks for a repair.
    pub(super) fn ask_recover(&mut self, job: &mut Job, about: &Decision) {
        let (generation, decision, seed) = self.open(job, Hook::Recovery);
        let context = RecoveryContext {
            call: self.call(job, &decision, seed, about.failure.file.as_deref()),
            failure: self.failure_view(about),
            recoveries: job.record.recoveries,
            last_recovery_at: job.record.last_recovery_at.map(|at| number(at.0)),
            history: history(&job.record),
        };
        self.put(job, (generation, decision), Question::Recover(Box::new(context)));
    }

    fn call(&self, job: &Job, decision: &DecisionId, seed: u64, file: Option<&FileSummary>) -> Call {
        let (foreground, background) = (self.queue.in_use(Pool::Foreground), self.queue.in_use(Pool::Background));
        Call {
            decision_id: decision.0.clone(),
            now_at: number(self.now.wall.0),
            local_time: LocalTime::default(),
            seed,
            memo: Vec::new(),
            job: self.job_view(job),
            file: file.map(file_view),
            network: network_view(self.gates.network()),
            host: HostView {
                running: foreground.saturating_add(background),
                queued: u32::try_from(self.queue.waiting()).unwrap_or(u32::MAX),
                running_foreground: foreground,
                bytes_per_second: 0,
            },
            attributes: Vec::new(),
        }
    }

    fn job_view(&self, job: &Job) -> JobView {
        let record = &job.record;
        let properties = &record.properties;
        JobView {
            id: record.id.to_string(),
            owner: record.owner.clone(),
            display_name: record.display_name.clone(),
            direction: record.direction,
            priority: properties.priority,
            labels: attributes(&record.labels),
            files_total: record.files_total,
            files_transferred: record.files_transferred,
            bytes_total: record.bytes_total().map(number),
            bytes_transferred: number(record.bytes_transferred),
            cost_flags: properties.cost_flags.0,
            error_count: record.error_count,
            recoveries: record.recoveries,
            created_at: number(record.created_at.0),
            started_at: record.started_at.map(|at| number(at.0)),
            last_progress_at: record.last_progress_at.map(|at| number(at.0)),
            active_time: number(record.active_ms.saturating_add(job.active.peek(self.now.boot.0))),
            deadline_at: None,
            minimum_retry_delay: number(properties.minimum_retry_delay_ms),
            no_progress_timeout: number(properties.no_progress_timeout_ms),
            maximum_download_time: number(properties.maximum_download_time_ms),
            attributes: Vec::new(),
        }
    }

    fn failure_view(&self, about: &Decision) -> FailureView {
        let (failure, error) = (&about.failure, &about.failure.error);
        FailureView {
            at: number(failure.at.0),
            code: error.code.name().to_owned(),
            number: error.number(),
            context: error.context,
            phase: failure.phase,
            class: error.class,
            http_status: error.http_status,
            message: cut(&error.description, limits::MESSAGE_BYTES_MAX),
            retry_after: failure.retry_after_ms.map(number),
            file: failure.file.as_deref().map(file_view),
            final_url: failure.final_url.as_ref().map(ToString::to_string),
            origin: failure.origin.as_ref().map(|origin| {
                let mut view = self.origins.view(origin, self.now);
                view.last_success_at = view.last_success_at.map(number);
                view.not_before_at = view.not_before_at.map(number);
                view
            }),
            response_headers: attributes(&failure.response_headers),
            body_excerpt: failure.body_excerpt.as_ref().map(|body| cut(body, limits::BODY_EXCERPT_BYTES_MAX)),
            new_bytes: number(about.new_bytes),
            duration: number(about.duration_ms),
            attributes: Vec::new(),
        }
    }
}

/// Every number that a guest sees is below 2^53.
fn number(value: u64) -> u64 {
    value.min(GUEST_NUMBER_MAX)
}

/// The begin of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

/// Pairs within the contract's limits. Keys are never cut: a cut key would be another key.
fn attributes(pairs: &[(String, String)]) -> Attributes {
    let fits = |pair: &&(String, String)| pair.0.len() <= limits::ATTRIBUTE_KEY_BYTES_MAX;
    let shown = |(key, value): &(String, String)| (key.clone(), cut(value, limits::ATTRIBUTE_VALUE_BYTES_MAX));
    pairs.iter().filter(fits).take(limits::ATTRIBUTES_MAX).map(shown).collect()
}

fn file_view(file: &FileSummary) -> FileView {
    FileView {
        index: file.index.0,
        remote_name: file.remote_name.to_string(),
        local_name: file.local_name.clone(),
        bytes_total: file.bytes_total.map(number),
        bytes_transferred: number(file.durable),
        done: file.finished,
        restarts: file.restarts,
    }
}

fn history(record: &JobRecord) -> Vec<AttemptView> {
    let surplus = record.history.len().saturating_sub(limits::HISTORY_MAX);
    let view = |attempt: &crate::job::AttemptSummary| AttemptView {
        started_at: number(attempt.started_at.0),
        ended_at: number(attempt.ended_at.0),
        remote_name: attempt.remote_name.clone(),
        new_bytes: number(attempt.new_bytes),
        code: attempt.code.name().to_owned(),
        http_status: attempt.http_status,
    };
    record.history.iter().skip(surplus).map(view).collect()
}

fn network_view(network: &Network) -> NetworkView {
    let view = |interface: &crate::network::Interface| InterfaceView {
        name: interface.name.clone(),
        kind: interface.kind,
        cost: interface.cost,
        roaming: interface.roaming,
        congested: interface.congested,
        attributes: Vec::new(),
    };
    let interfaces: Vec<_> = network.interfaces.iter().take(limits::INTERFACES_MAX).map(view).collect();
    let shown = |route: &u32| usize::try_from(*route).is_ok_and(|route| route < interfaces.len());
    NetworkView {
        connected: network.connected,
        route: network.route.filter(shown),
        interfaces,
        on_battery: network.on_battery,
        battery_saver: network.battery_saver,
        battery_percent: network.battery_percent,
        budgets: Vec::new(),
        attributes: Vec::new(),
    }
}
