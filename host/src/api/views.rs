//! From what the host has to the wire.

use crate::host::{JobSnapshot, NetworkStatus};
use crate::job::{
    ErrorContext, Event, FileRecord, FileResponse, JobError, JobRecord, JobState, ResponseField, Validation,
};
use crate::notify::{Delivery, DeliveryState, WebhookStatus};
use crate::policy::contract::Hook;
use crate::policy::{DecisionRow, PolicyStatus};
use crate::scheduler::WaitingOn;
use crate::transfer::FileSnapshot;

use super::error::hexadecimal;
use super::wire::{
    DecisionView, DeliveryView, ErrorView, EventView, FileProgressView, FileView, JobProgress, JobStateView, JobView,
    NetworkView, NotifyFlag, PolicyView, ResponseHeaderView, ResponseHeadersView, Seconds, Time, WaitingOnView,
    WebhookView, cost_flags_text,
};

/// A job as it is reported: a final one as the store has it, any other with its gates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported<'a> {
    pub(super) record: &'a JobRecord,
    pub(super) state: JobState,
    pub(super) waiting_on: Option<&'a WaitingOn>,
}

impl<'a> From<&'a JobSnapshot> for Reported<'a> {
    fn from(snapshot: &'a JobSnapshot) -> Self {
        Self { record: &snapshot.record, state: snapshot.state, waiting_on: snapshot.waiting_on.as_ref() }
    }
}

impl<'a> From<&'a JobRecord> for Reported<'a> {
    fn from(record: &'a JobRecord) -> Self {
        Self { record, state: record.state, waiting_on: None }
    }
}

impl Reported<'_> {
    pub(super) fn job(&self) -> JobView {
        let record = self.record;
        let properties = &record.properties;
        JobView {
            id: record.id,
            direction: record.direction,
            display_name: record.display_name.clone(),
            owner: record.owner.clone(),
            state: self.state,
            waiting_on: self.waiting_on.map(waiting_on),
            priority: properties.priority,
            minimum_retry_delay: Seconds::from_millis(properties.minimum_retry_delay_ms),
            no_progress_timeout: Seconds::from_millis(properties.no_progress_timeout_ms),
            maximum_download_time: Seconds::from_millis(properties.maximum_download_time_ms),
            parallel_files: properties.parallel_files,
            cost_flags: cost_flags_text(properties.cost_flags),
            auto_complete: properties.auto_complete,
            overwrite: properties.overwrite,
            labels: record.labels.iter().cloned().collect(),
            policies: record.policies.iter().map(|policy| policy.0.clone()).collect(),
            description: record.description.clone(),
            notify_flags: NotifyFlag::words(properties.notify_flags),
            minimum_notification_interval: Seconds::from_millis(properties.minimum_notification_interval_ms),
            dynamic_content: properties.dynamic_content,
            high_performance: properties.high_performance,
            maximum_download_size: properties.maximum_download_size,
            redirects: properties.redirects,
            redirects_to_http: properties.redirects_to_http,
            headers_write_only: record.headers_write_only,
            created_at: Time(record.created_at),
            modified_at: Time(record.modified_at),
            started_at: record.started_at.map(Time),
            transferred_at: record.transferred_at.map(Time),
            last_progress_at: record.last_progress_at.map(Time),
            progress: stored_progress(record),
            error_count: record.error_count,
            recoveries: record.recoveries,
            error: self.error(),
        }
    }

    pub(super) fn state(&self) -> JobStateView {
        JobStateView { state: self.state, waiting_on: self.waiting_on.map(waiting_on) }
    }

    /// The error object. A gate that makes the job TRANSIENT_ERROR stands before what the job failed of earlier.
    pub(super) fn error(&self) -> Option<ErrorView> {
        if let Some(WaitingOn { error: Some(code), detail, .. }) = self.waiting_on {
            return Some(ErrorView {
                code: code.name().into(),
                number: hexadecimal(code.number(None)),
                context: ErrorContext::QueueManager,
                http_status: None,
                file: None,
                description: detail.clone(),
                at: Time(self.record.modified_at),
            });
        }
        self.record.error.as_ref().map(|error| error_view(error, self.record))
    }
}

fn error_view(error: &JobError, record: &JobRecord) -> ErrorView {
    let attempt = record.history.last().filter(|attempt| attempt.code == error.code);
    ErrorView {
        code: error.code.name().into(),
        number: hexadecimal(error.number()),
        context: error.context,
        http_status: error.http_status,
        file: error.file.map(|file| file.0),
        description: error.description.clone(),
        at: Time(attempt.map_or(record.modified_at, |attempt| attempt.ended_at)),
    }
}

fn waiting_on(waiting_on: &WaitingOn) -> WaitingOnView {
    WaitingOnView {
        code: waiting_on.code.into(),
        detail: waiting_on.detail.clone(),
        until: waiting_on.until.map(Time),
        policy: waiting_on.policy.as_ref().map(|policy| policy.0.clone()),
    }
}

/// The numbers of the last commit.
pub(super) const fn stored_progress(record: &JobRecord) -> JobProgress {
    JobProgress {
        bytes_total: record.bytes_total(),
        bytes_transferred: record.bytes_transferred,
        files_total: record.files_total,
        files_transferred: record.files_transferred,
    }
}

/// The numbers of this moment.
pub(super) fn live_progress(snapshot: &JobSnapshot) -> JobProgress {
    let (bytes_total, bytes_transferred) = (snapshot.bytes_total(), snapshot.bytes_transferred());
    JobProgress { bytes_total, bytes_transferred, ..stored_progress(&snapshot.record) }
}

/// The files that are being moved.
pub(super) fn active_files(snapshot: &JobSnapshot) -> Vec<FileProgressView> {
    let view = |file: &FileSnapshot| FileProgressView {
        file: file.file.0,
        bytes_total: file.total,
        bytes_transferred: file.done,
    };
    snapshot.progress.active.iter().map(view).collect()
}

/// A file, with the path of its part file where there is one.
pub(super) fn file(record: &FileRecord, temporary_name: Option<String>) -> FileView {
    let version = record.version.as_ref();
    FileView {
        index: record.index.0,
        remote_name: record.remote_name.to_string(),
        local_name: record.local_name.to_string(),
        sha256: record.digest.map(|digest| digest.to_string()),
        ranges: record.ranges.iter().copied().map(Into::into).collect(),
        bytes_total: record.bytes_total(),
        bytes_transferred: record.durable,
        transferred: record.finished,
        completed: record.published,
        restarts: record.restarts,
        integrity: record.finished.then_some(record.integrity),
        last_modified: version.and_then(|version| version.last_modified.clone()),
        etag: version.and_then(|version| version.etag.clone()),
        // Complete validates what it publishes (bits.md 8.7).
        validation_state: if record.published { Validation::Valid } else { record.validation },
        temporary_name,
    }
}

pub(super) fn response(response: FileResponse) -> ResponseHeadersView {
    let FileResponse { at, status, fields, truncated } = response;
    let headers = fields.into_iter().map(|ResponseField { name, value }| ResponseHeaderView { name, value });
    ResponseHeadersView { status, at: Time(at), headers: headers.collect(), truncated }
}

pub(super) fn event(number: u64, event: &Event) -> EventView {
    EventView { number, at: Time(event.at), job: event.job, kind: event.kind.clone() }
}

pub(super) fn decision(number: u64, row: &DecisionRow) -> DecisionView {
    let row = match serde_json::to_value(row) {
        Ok(serde_json::Value::Object(row)) => row,
        _ => serde_json::Map::new(),
    };
    DecisionView { number, row }
}

/// What jobs are admitted by: the interface that carries the traffic.
pub(super) fn network(status: &NetworkStatus) -> NetworkView {
    let NetworkStatus { network, overridden } = status;
    let route = network.route.and_then(|route| usize::try_from(route).ok());
    let interface = route.and_then(|route| network.interfaces.get(route)).or_else(|| network.interfaces.first());
    let interface = interface.cloned().unwrap_or_default();
    NetworkView {
        connected: network.connected,
        cost: interface.cost,
        roaming: interface.roaming,
        congested: interface.congested,
        overridden: *overridden,
    }
}

pub(super) fn policy(status: &PolicyStatus) -> PolicyView {
    let PolicyStatus { loaded, assigned, quarantined_until } = status;
    let hook = |hook: &Hook| match hook {
        Hook::Retry => "retry".to_owned(),
        Hook::NetworkCost => "network-cost".to_owned(),
        Hook::Recovery => "recovery".to_owned(),
    };
    PolicyView {
        name: loaded.name.0.clone(),
        version: loaded.descriptor.version.clone(),
        summary: loaded.descriptor.summary.clone(),
        hooks: loaded.hooks.iter().map(hook).collect(),
        sha256: loaded.digest.to_string(),
        assigned: *assigned,
        quarantined: quarantined_until.is_some(),
    }
}

pub(super) fn webhook(status: &WebhookStatus) -> WebhookView {
    let WebhookStatus { webhook, pending, failed, delivered_at } = status;
    WebhookView {
        id: webhook.id,
        owner: webhook.owner.clone(),
        url: webhook.url.to_string(),
        kinds: webhook.kinds.clone(),
        labels: webhook.labels.iter().cloned().collect(),
        enabled: webhook.enabled,
        disabled_because: webhook.disabled_because.clone(),
        created_at: Time(webhook.created_at),
        pending: *pending,
        failed: *failed,
        delivered_at: delivered_at.map(Time),
    }
}

pub(super) fn delivery(delivery: &Delivery) -> DeliveryView {
    DeliveryView {
        event: event(delivery.number, &delivery.event),
        state: delivery.state,
        attempts: delivery.attempts,
        due_at: (delivery.state == DeliveryState::Pending).then_some(Time(delivery.due_at)),
        attempted_at: delivery.attempted_at.map(Time),
        status: delivery.status,
        problem: delivery.detail.clone(),
    }
}
