//! What is kept of webhooks.

use super::*;
use crate::notify::tests::a_webhook;
use crate::notify::{Delivery, DeliveryState, NotifyWrite, WebhookId};

const FAILED: DeliveryState = DeliveryState::Failed;

fn failed(webhook: WebhookId, number: u64, attempted_at: u64) -> NotifyWrite {
    NotifyWrite::Put(Box::new(Delivery {
        webhook,
        number,
        event: Event { at: UnixMillis(1), job: None, kind: EventKind::JobCreated },
        state: FAILED,
        attempts: 1,
        due_at: UnixMillis(1),
        delay_ms: 1,
        attempted_at: Some(UnixMillis(attempted_at)),
        status: None,
        detail: Some("no answer".into()),
    }))
}

fn numbers(store: &Store, webhook: WebhookId) -> Vec<u64> {
    let found = store.reader().unwrap().deliveries(webhook, FAILED, 0, 99).unwrap();
    found.iter().map(|delivery| delivery.number).collect()
}

#[test]
fn of_failed_deliveries_the_newest_are_kept_and_none_for_ever() {
    let fixture = Fixture::new();
    let first = a_webhook();
    let second = crate::notify::Webhook { id: WebhookId::generate(), ..a_webhook() };
    let (one, other) = (first.id, second.id);
    let mut writes = Vec::new();
    for webhook in [first, second] {
        writes.push(NotifyWrite::Insert { webhook: Box::new(webhook.clone()), cursor: 0 });
        writes.extend((1..=5).map(|number| failed(webhook.id, number, 100 - number)));
    }
    wait(fixture.store.notify(writes)).unwrap();
    wait(fixture.store.notify(vec![NotifyWrite::TrimFailed { webhook: one, keep: 3 }])).unwrap();
    assert_eq!((numbers(&fixture.store, one), numbers(&fixture.store, other)), (vec![3, 4, 5], vec![1, 2, 3, 4, 5]));
    wait(fixture.store.notify(vec![NotifyWrite::PruneFailed { before: UnixMillis(96) }])).unwrap();
    assert_eq!((numbers(&fixture.store, one), numbers(&fixture.store, other)), (vec![3], vec![1, 2, 3]));
    wait(fixture.store.notify(vec![NotifyWrite::Remove(other)])).unwrap();
    assert_eq!(numbers(&fixture.store, other), [0_u64; 0]);
    let left = fixture.store.reader().unwrap().webhooks().unwrap();
    assert_eq!(left.iter().map(|stored| (stored.webhook.id, stored.failed)).collect::<Vec<_>>(), [(one, 1)]);
}

#[test]
fn a_change_of_a_webhook_that_is_gone_is_refused_and_nothing_of_it_stays() {
    let fixture = Fixture::new();
    let other = crate::notify::Webhook { id: WebhookId::generate(), ..a_webhook() };
    let writes =
        vec![NotifyWrite::Insert { webhook: Box::new(other), cursor: 0 }, NotifyWrite::Update(Box::new(a_webhook()))];
    let error = wait(fixture.store.notify(writes)).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(fixture.store.reader().unwrap().webhooks().unwrap(), []);
}

#[test]
fn a_job_that_changes_hands_leaves_nothing_that_its_former_owner_was_to_be_told() {
    let fixture = Fixture::new();
    let (job, other) = (a_job(), JobRecord { id: JobId::generate(), ..a_job() });
    let webhook = a_webhook();
    let id = webhook.id;
    let of_job = |number: u64, job: JobId, state| {
        let NotifyWrite::Put(put) = failed(id, number, 1) else { unreachable!("that is what it makes") };
        let event = Event { job: Some(job), ..put.event.clone() };
        NotifyWrite::Put(Box::new(Delivery { event, state, ..*put }))
    };
    let insert = |job: &JobRecord| Write::InsertJob { job: Box::new(job.clone()), headers: RequestHeaders::default() };
    fixture.commit(vec![insert(&job), insert(&other)]).unwrap();
    let mut writes = vec![NotifyWrite::Insert { webhook: Box::new(webhook), cursor: 0 }];
    writes.extend([(1, job.id), (2, other.id), (3, job.id)].map(|(number, job)| of_job(number, job, FAILED)));
    writes.push(of_job(4, job.id, DeliveryState::Pending));
    wait(fixture.store.notify(writes)).unwrap();
    fixture.commit(vec![Write::ForgetOwner(job.id)]).unwrap();
    let pending = fixture.store.reader().unwrap().deliveries(id, DeliveryState::Pending, 0, 99).unwrap();
    assert_eq!((numbers(&fixture.store, id), pending), (vec![2], Vec::new()));
    wait(fixture.store.notify(vec![NotifyWrite::ForgetJob { webhook: id, job: other.id }])).unwrap();
    assert_eq!(numbers(&fixture.store, id), [0_u64; 0]);
}
