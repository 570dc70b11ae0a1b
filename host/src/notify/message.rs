//! The body of a delivery, and the id by which a receiver knows a repetition.

use serde::Serialize;
use uuid::Uuid;

use crate::api::wire::{EventView, Time};
use crate::clock::UnixMillis;
use crate::job::{Event, JobId, StoreId};

/// Bytes of a body (Standard Webhooks: at most 20 kB).
const BODY_BYTES_MAX: usize = 20_000;

/// The type of a delivery that somebody asked for, to see whether it arrives.
pub const TEST_TYPE: &str = "test";

/// What is posted.
#[derive(Debug, Serialize)]
struct Body<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Time,
    data: T,
}

/// An event without what its kind has: what is left of one that is too large. The journal has the whole.
#[derive(Debug, Serialize)]
struct Shortened {
    number: u64,
    at: Time,
    job: Option<JobId>,
    kind: &'static str,
    shortened: bool,
}

/// The data of a test.
#[derive(Debug, Serialize)]
struct Test {
    webhook: String,
}

/// A message, the same at each attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The value of `webhook-id`.
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Of an event of the journal.
    pub(super) fn of_event(store: StoreId, number: u64, event: &Event) -> Self {
        let id = format!("evt_{store}_{number}");
        let (kind, at) = (event.kind.name(), Time(event.at));
        let view = EventView { number, at, job: event.job, kind: event.kind.clone() };
        let body = json(&Body { kind, timestamp: at, data: view });
        if body.len() <= BODY_BYTES_MAX {
            return Self { id, body };
        }
        let data = Shortened { number, at, job: event.job, kind, shortened: true };
        Self { id, body: json(&Body { kind, timestamp: at, data }) }
    }

    /// Of a test.
    pub(super) fn of_test(webhook: super::WebhookId, now: UnixMillis) -> Self {
        let data = Test { webhook: webhook.to_string() };
        let body = json(&Body { kind: TEST_TYPE, timestamp: Time(now), data });
        Self { id: format!("test_{}", Uuid::now_v7()), body }
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data with text keys always has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::EventKind;

    #[test]
    fn the_body_has_the_event_as_the_api_has_it() {
        let job = JobId(Uuid::from_u128(7));
        let event = Event { at: UnixMillis(0), job: Some(job), kind: EventKind::Cancelled { files_left: 2 } };
        let message = Message::of_event(StoreId(0xbeef), 12, &event);
        assert_eq!(message.id, "evt_0000beef_12");
        let expected = format!(
            "{{\"type\":\"cancelled\",\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"data\":{{\"number\":12,\
             \"at\":\"1970-01-01T00:00:00.000Z\",\"job\":\"{job}\",\"kind\":\"cancelled\",\"files_left\":2}}}}"
        );
        assert_eq!(String::from_utf8(message.body).unwrap(), expected);
    }

    #[test]
    fn what_is_too_large_is_shortened_and_says_so() {
        let fields = vec!["a field".repeat(100); 100];
        let event = Event { at: UnixMillis(0), job: None, kind: EventKind::JobModified { fields } };
        let message = Message::of_event(StoreId(1), 1, &event);
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!((&body["data"]["number"], &body["data"]["shortened"]), (&1.into(), &true.into()));
        assert!(message.body.len() < 1_000);
    }
}
