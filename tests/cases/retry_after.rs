//! Retry-After in every form: never earlier than it says, never stuck on what cannot be read.

use std::time::{Duration, SystemTime};

use super::fetch::{Fetch, for_each_at_once};
use crate::origin::{Fault, File, On, Origin};

const SIZE_BYTES: u64 = 3000;
/// Tells a wait that was read wrong (an hour, a century) from a machine that is busy.
const NOT_HOURS: Duration = Duration::from_secs(60);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(backhaul::clock::Now::read().wall.0)
}

/// Time between the first two requests after this Retry-After.
fn delay(origin: &Origin, path: &str, status: u16, value: &str) -> Duration {
    let content = origin.file(path, File::seeded(1, SIZE_BYTES));
    origin.fault(path, On::Nth(1), Fault::retry_after(status, value));
    println!("{status} {value}");
    Fetch::new(&origin.url(path)).run_to(content);
    let log = origin.log_of(path);
    log[1].at - log[0].at
}

#[test]
fn seconds_and_dates_are_waited_for() {
    let origin = Origin::start();
    let date = httpdate::fmt_http_date(now() + Duration::from_secs(4));
    for_each_at_once(&[(429, "2"), (503, "2"), (503, " 2 "), (503, "02"), (503, &date)], |(status, value)| {
        let took = delay(&origin, &format!("/{status}-{}", value.replace(' ', "-")), *status, value);
        assert!(took >= Duration::from_secs(2), "Retry-After: {value} was waited for {took:?}");
        assert!(took < NOT_HOURS, "Retry-After: {value} was waited for {took:?}");
    });
}

#[test]
fn what_is_past_or_unreadable_does_not_hold_up() {
    let origin = Origin::start();
    let values = [
        "0",
        "",
        "-5",
        "+3600",
        "3600.5",
        "1e20",
        "\u{b2}",
        "0x10",
        "soon",
        "3600 seconds",
        "1 hour",
        "PT1H",
        "NaN",
        "inf",
        "3,600",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 31 Feb 2099 07:28:00 GMT",
        "2099-01-01T00:00:00Z",
        "Fri, 32 Dec 2099 99:99:99 GMT",
    ];
    let cases: Vec<_> = values.into_iter().enumerate().collect();
    for_each_at_once(&cases, |(number, value)| {
        let took = delay(&origin, &format!("/{number}"), 503, value);
        assert!(took < NOT_HOURS, "Retry-After: {value:?} was waited for {took:?}");
        assert!(took >= Duration::from_millis(150), "Retry-After: {value:?} was retried after {took:?}");
    });
}

#[test]
fn a_skewed_clock_of_the_origin_is_allowed_for() {
    let origin = Origin::start();
    let content = origin.file("/f", File::seeded(1, SIZE_BYTES));
    // The origin lives an hour ahead: its date is two seconds away by its own clock.
    let ahead = now() + Duration::from_secs(3600);
    origin.fault("/f", On::Nth(1), Fault::retry_after(503, &httpdate::fmt_http_date(ahead + Duration::from_secs(3))));
    origin.fault("/f", On::Nth(1), Fault::Set("Date", httpdate::fmt_http_date(ahead)));
    Fetch::new(&origin.url("/f")).run_to(content);
    let log = origin.log();
    let took = log[1].at - log[0].at;
    assert!(took >= Duration::from_secs(2) && took < NOT_HOURS, "{took:?}");
}

#[test]
fn a_wait_without_end_is_a_wait_that_can_be_interrupted() {
    use super::fetch::INTERRUPTED;
    use crate::origin::SOON;
    let origin = Origin::start();
    origin.file("/f", File::seeded(1, SIZE_BYTES));
    for (path, value) in [("/day", "86400"), ("/huge", "99999999999"), ("/beyond", "99999999999999999999999")] {
        origin.file(path, File::seeded(1, SIZE_BYTES));
        origin.fault(path, On::Every, Fault::retry_after(503, value));
        let fetch = Fetch::new(&origin.url(path));
        let running = fetch.command().start();
        origin.wait("the request", SOON, |rows| rows.iter().any(|row| row.path() == path && row.end.is_some()));
        running.signal(rustix::process::Signal::INT);
        running.finish(SOON).expect_code(INTERRUPTED);
        fetch.assert_unpublished();
    }
}
