//! What is counted, in the text form of Prometheus (OpenMetrics).

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::host::Host;
use crate::job::JobState;
use crate::notify::WebhookCounts;

/// Counters of the API. The numbers of jobs are read when somebody asks.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
    /// Requests over TCP that were refused before anything was looked at.
    pub(super) turned_away: Counter,
    pub(super) streams: Gauge,
    pub(super) cut_off: Counter,
    /// Of the shortcut, which does not pass the router: state and progress.
    pub(super) polled: Counter<u64, AtomicU64>,
    requests: Family<Answered, Counter>,
}

/// What a request was and how it was answered. The route is the pattern, never the path: its number is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            turned_away: Counter::default(),
            streams: Gauge::default(),
            cut_off: Counter::default(),
            polled: Counter::default(),
            requests: Family::default(),
        }
    }

    /// Counts an answer of the router.
    pub(super) fn answered(&self, method: &http::Method, route: &str, status: http::StatusCode) {
        // Methods are the client's words: those that no route has are counted as one.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") => known,
            _ => "other",
        };
        let answered = Answered { method: method.into(), route: route.into(), status: status.as_u16() };
        self.requests.get_or_create(&answered).inc();
    }

    /// The numbers as text: all of them, or those of one owner's jobs.
    pub(super) fn text(&self, host: &Host, owner: Option<&str>) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("backhaul");
        if owner.is_none() {
            self.register(&mut registry);
        }
        let jobs = Family::<InState, Gauge>::default();
        for state in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
            jobs.get_or_create(&InState { state: state.name() }).set(0);
        }
        let (files, bytes) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        for job in host.jobs().iter().filter(|job| owner.is_none_or(|owner| job.record.owner == owner)) {
            jobs.get_or_create(&InState { state: job.state.name() }).inc();
            files.inc_by(i64::from(job.record.files_total));
            bytes.inc_by(i64::try_from(job.record.bytes_transferred).unwrap_or(i64::MAX));
        }
        registry.register("jobs", "Jobs that are not final, by reported state", jobs);
        registry.register("files", "Files of jobs that are not final", files);
        registry.register("durable_bytes", "Durable bytes of jobs that are not final", bytes);
        let degraded: Gauge = Gauge::default();
        degraded.set(i64::from(host.degraded().borrow().is_some()));
        registry.register("store_degraded", "1 while the store cannot be written", degraded);
        webhooks(&mut registry, host.webhooks().counts());
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    /// The API's own counters: what is asked by all.
    fn register(&self, registry: &mut Registry) {
        registry.register("api_connections", "Open connections of the API", self.connections.clone());
        registry.register(
            "api_connections_refused",
            "Connections of other users that were closed",
            self.connections_refused.clone(),
        );
        registry.register(
            "api_turned_away",
            "Requests over TCP without a valid token, or for another host",
            self.turned_away.clone(),
        );
        registry.register("api_event_streams", "Open streams of events", self.streams.clone());
        registry.register(
            "api_event_streams_cut_off",
            "Streams that were ended because their reader was too slow",
            self.cut_off.clone(),
        );
        registry.register(
            "api_polls",
            "Requests for state and progress that were answered from snapshots",
            self.polled.clone(),
        );
        registry.register("api_requests", "Other requests, by method, route and status", self.requests.clone());
    }
}

/// Adds the numbers of the webhooks.
fn webhooks(registry: &mut Registry, counts: WebhookCounts) {
    let WebhookCounts { delivered, attempts_failed, given_up, missed, pending, failed } = counts;
    for (name, help, count) in [
        ("webhook_deliveries", "Deliveries to webhooks that arrived", delivered),
        ("webhook_attempts_failed", "Attempts of deliveries that failed", attempts_failed),
        ("webhook_deliveries_given_up", "Deliveries that failed for good", given_up),
        ("webhook_events_missed", "Events that retention removed before a webhook was told of them", missed),
    ] {
        let counter = Counter::<u64, AtomicU64>::default();
        counter.inc_by(count);
        registry.register(name, help, counter);
    }
    for (name, help, count) in [
        ("webhook_deliveries_pending", "Deliveries that are tried or wait", pending),
        ("webhook_deliveries_failed", "Deliveries on the lists of the failed", failed),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
}
