//! The outbox under a clock of the tests.

use proptest::prelude::*;

use super::*;
use crate::job::EventKind;

const WEBHOOK: WebhookId = WebhookId(uuid::Uuid::from_u128(7));
const SECOND: u64 = 1_000;

const fn now(ms: u64) -> Now {
    Now { wall: UnixMillis(1_000_000 + ms), boot: BootMillis(ms) }
}

fn job(number: u128) -> JobId {
    JobId(uuid::Uuid::from_u128(number))
}

fn event_at(of: u128, at: UnixMillis) -> Arc<Event> {
    Arc::new(Event { at, job: Some(job(of)), kind: EventKind::JobTransferred })
}

fn outbox() -> Outbox {
    Outbox::new(WEBHOOK, 0)
}

fn take(outbox: &mut Outbox, number: u64, of: u128) {
    outbox.take(number, event_at(of, now(0).wall), Selected::Always, now(0));
}

fn failure() -> Failure {
    Failure { status: Some(500), detail: "the receiver answered 500".into() }
}

/// Begins what can begin.
fn begin_all(outbox: &mut Outbox, at: u64) -> Vec<u64> {
    let mut begun = Vec::new();
    while let Some(number) = outbox.next_ready(now(at).boot) {
        outbox.begin(number).unwrap();
        begun.push(number);
    }
    begun
}

/// Stores what is to be stored, and says what that was: rows that were put, rows that went, and the cursor.
fn store(outbox: &mut Outbox, at: u64) -> (Vec<u64>, Vec<u64>, Option<u64>) {
    let writes = outbox.unstored(now(at).boot, Ending::No);
    outbox.stored(now(at).boot, &writes);
    let (mut put, mut gone, mut cursor) = (Vec::new(), Vec::new(), None);
    for write in writes {
        match write {
            NotifyWrite::Put(delivery) => put.push(delivery.number),
            NotifyWrite::Delivered { number, .. } => gone.push(number),
            NotifyWrite::Cursor { number, .. } => cursor = Some(number),
            _ => {}
        }
    }
    assert_eq!(outbox.unstored(now(at).boot, Ending::No), [], "everything is stored");
    (put, gone, cursor)
}

#[test]
fn what_arrives_at_once_needs_no_row_but_the_cursor() {
    let mut outbox = outbox();
    for (number, of) in [(3, 1), (4, 2), (5, 1)] {
        take(&mut outbox, number, of);
    }
    assert_eq!(begin_all(&mut outbox, 0), [3, 4], "two at once, and of a job one");
    assert_eq!(store(&mut outbox, 0), (vec![], vec![], None));
    outbox.delivered(4, now(1));
    assert_eq!(store(&mut outbox, 1), (vec![], vec![], Some(2)), "event 3 is still under way");
    outbox.delivered(3, now(2));
    assert_eq!(store(&mut outbox, 2), (vec![], vec![], Some(4)));
    assert_eq!(begin_all(&mut outbox, 2), [5]);
    outbox.delivered(5, now(3));
    assert_eq!(store(&mut outbox, 3), (vec![], vec![], Some(5)));
}

#[test]
fn one_that_waits_holds_up_its_job_and_no_other_and_the_cursor_goes_on() {
    let mut outbox = outbox();
    for (number, of) in [(1, 1), (2, 1), (3, 2)] {
        take(&mut outbox, number, of);
    }
    assert_eq!(begin_all(&mut outbox, 0), [1, 3]);
    outbox.failed(1, failure(), Some(5 * SECOND), now(0));
    outbox.delivered(3, now(0));
    assert_eq!(store(&mut outbox, 0), (vec![1, 2], vec![], Some(3)), "those that wait have rows");
    assert!(begin_all(&mut outbox, 4_999).is_empty());
    assert_eq!(outbox.next_due(now(0).boot), Some(now(5_000).boot));
    assert_eq!(begin_all(&mut outbox, 5_000), [1]);
    outbox.delivered(1, now(5_001));
    assert_eq!(begin_all(&mut outbox, 5_001), [2]);
    outbox.delivered(2, now(5_002));
    assert_eq!(store(&mut outbox, 5_002), (vec![], vec![1, 2], None));
}

#[test]
fn after_the_last_attempt_the_next_of_the_job_has_its_turn() {
    let mut outbox = outbox();
    for number in [1, 2] {
        take(&mut outbox, number, 1);
    }
    begin_all(&mut outbox, 0);
    outbox.failed(1, failure(), None, now(0));
    let writes = outbox.unstored(now(0).boot, Ending::No);
    let NotifyWrite::Put(failed) = &writes[0] else { panic!("{writes:?}") };
    assert_eq!((failed.number, failed.state, failed.attempts, failed.status), (1, DeliveryState::Failed, 1, Some(500)));
    assert_eq!(begin_all(&mut outbox, 0), [2]);
}

#[test]
fn a_receiver_that_is_back_is_told_at_once_what_waits() {
    let mut outbox = outbox();
    for number in 1..=5 {
        take(&mut outbox, number, u128::from(number));
    }
    for _ in 1..=3 {
        for begun in begin_all(&mut outbox, 0) {
            outbox.failed(begun, failure(), Some(3_600 * SECOND), now(0));
        }
    }
    assert_eq!(begin_all(&mut outbox, 0), [5], "one at a time while it fails");
    outbox.delivered(5, now(1));
    assert_eq!(begin_all(&mut outbox, 1), [1, 2]);
}

#[test]
fn modifications_come_at_their_jobs_pace_and_only_the_last_of_those_in_between() {
    let mut outbox = outbox();
    let paced = Selected::Paced { interval_ms: 500 };
    for number in 1..=4 {
        let at = number * 100;
        outbox.take(number, event_at(1, now(at).wall), paced, now(at));
        if number == 1 {
            assert_eq!(begin_all(&mut outbox, at), [1]);
            outbox.delivered(1, now(at));
        }
    }
    assert!(begin_all(&mut outbox, 400).is_empty());
    assert_eq!(outbox.len(), 1, "2 and 3 are left out");
    assert!(begin_all(&mut outbox, 599).is_empty());
    assert_eq!(begin_all(&mut outbox, 1_600), [4]);
    outbox.delivered(4, now(1_600));
    // What tells of more goes at once, and what was not told before it is left out.
    outbox.take(5, event_at(1, now(1_601).wall), paced, now(1_601));
    outbox.take(6, event_at(1, now(1_602).wall), Selected::Always, now(1_602));
    assert_eq!(begin_all(&mut outbox, 1_602), [6]);
    outbox.delivered(6, now(1_603));
    store(&mut outbox, 1_603);
    assert_eq!((outbox.len(), outbox.cursor), (0, 6));
}

#[test]
fn a_clock_that_was_set_makes_no_wait_longer() {
    let mut outbox = outbox();
    let delivery = Delivery {
        webhook: WEBHOOK,
        number: 1,
        event: (*event_at(1, UnixMillis(0))).clone(),
        state: DeliveryState::Pending,
        attempts: 1,
        due_at: now(0).wall.plus(1 << 40),
        delay_ms: 5 * SECOND,
        attempted_at: None,
        status: None,
        detail: None,
    };
    outbox.load(delivery, now(0));
    assert_eq!(outbox.next_due(now(0).boot), Some(now(5_000).boot));
    assert!(outbox.hurry(1, now(0)) && !outbox.hurry(2, now(0)));
    assert_eq!(begin_all(&mut outbox, 0), [1]);
}

proptest! {
    /// Whatever fails and whenever the host is killed: each event arrives, in the order of its job, or is on the list of the failed.
    #[test]
    fn nothing_is_lost_and_each_job_is_told_in_order(
        jobs in proptest::collection::vec(0_u128..4, 1..40),
        rolls in proptest::collection::vec(0_u8..10, 1..400),
    ) {
        let events: Vec<(u64, u128)> = (1..).zip(jobs.iter().copied()).collect();
        let (mut outbox, mut at) = (outbox(), 0);
        // What the store has.
        let (mut cursor, mut rows, mut failed) = (0, BTreeMap::<u64, Delivery>::new(), Vec::new());
        let (mut arrived, mut gave_up): (Vec<u64>, bool) = (Vec::new(), false);
        let mut rolls = rolls.into_iter().chain(std::iter::repeat(9));
        for _ in 0..2_000 {
            for (number, of) in &events {
                if *number > outbox.taken() && outbox.has_room() {
                    outbox.take(*number, event_at(*of, now(at).wall), Selected::Always, now(at));
                }
            }
            for number in begin_all(&mut outbox, at) {
                match rolls.next() {
                    Some(0..=2) => outbox.failed(number, failure(), Some(SECOND), now(at)),
                    Some(3) => {
                        gave_up = true;
                        outbox.failed(number, failure(), None, now(at));
                    }
                    _ => {
                        arrived.push(number);
                        outbox.delivered(number, now(at));
                    }
                }
            }
            if rolls.next() == Some(4) {
                // Killed before it could be recorded.
                outbox = Outbox::new(WEBHOOK, cursor);
                rows.values().for_each(|row| outbox.load(row.clone(), now(at)));
                failed.iter().filter(|number| **number > cursor).for_each(|number| outbox.load_failed(*number));
                continue;
            }
            let writes = outbox.unstored(now(at).boot, Ending::No);
            outbox.stored(now(at).boot, &writes);
            for write in writes {
                match write {
                    NotifyWrite::Put(row) if row.state == DeliveryState::Failed => {
                        rows.remove(&row.number);
                        failed.push(row.number);
                    }
                    NotifyWrite::Put(row) => drop(rows.insert(row.number, *row)),
                    NotifyWrite::Delivered { number, .. } => drop(rows.remove(&number)),
                    NotifyWrite::Cursor { number, .. } => {
                        prop_assert!(number >= cursor);
                        cursor = number;
                    }
                    _ => {}
                }
            }
            at += SECOND;
            if outbox.len() == 0 && outbox.taken() == events.len() as u64 {
                break;
            }
        }
        prop_assert_eq!((outbox.len(), rows.len()), (0, 0));
        prop_assert!(outbox.failed_before.is_empty());
        let mut firsts: HashMap<u128, u64> = HashMap::new();
        let mut seen = HashSet::new();
        for number in arrived.iter().filter(|number| seen.insert(**number)) {
            let of = jobs[usize::try_from(*number - 1).unwrap()];
            let last = firsts.insert(of, *number);
            // One that failed for good may be told after a kill, when its failure was not recorded.
            prop_assert!(last.is_none_or(|last| last < *number) || gave_up);
        }
        for (number, _) in &events {
            prop_assert!(seen.contains(number) || failed.contains(number), "event {} is lost", number);
        }
    }
}

#[test]
fn of_a_job_that_is_lost_nothing_is_left_and_the_cursor_goes_on_without_it() {
    let mut outbox = outbox();
    for (number, of) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        take(&mut outbox, number, of);
    }
    assert_eq!(begin_all(&mut outbox, 0), [1, 2]);
    // The first of job 1 has failed for good, and the store does not know yet.
    outbox.failed(1, failure(), None, now(0));
    outbox.forget(job(1));
    assert_eq!(outbox.jobs(), HashSet::from([job(2)]));
    assert!(!outbox.has(3) && outbox.has(4));
    let writes = outbox.unstored(now(0).boot, Ending::Yes);
    assert!(!writes.iter().any(|write| matches!(write, NotifyWrite::Put(put) if put.event.job == Some(job(1)))));
    outbox.delivered(2, now(1));
    assert_eq!(begin_all(&mut outbox, 1), [4]);
    outbox.delivered(4, now(2));
    assert_eq!(store(&mut outbox, 2).2, Some(4));
}
