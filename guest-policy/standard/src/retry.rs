//! When a failed attempt is repeated.

use std::fmt;

use backhaul_policy_support::jitter_up_to;

use crate::{Answer, NUMBER_MAX, Reason, Settings};

/// Beyond this many failures in a row the delay grows no further; even a factor of 1.1 has then reached any maximum.
const BACKOFF_ROUNDS_MAX: u32 = 512;

/// Whether an error ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// It may: a later attempt can succeed.
    Transient,
    /// It does not.
    Fatal,
}

/// What the decision depends on. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Class of the failure.
    pub class: FailureClass,
    /// The failure's error code.
    pub code: &'a str,
    /// The status, if a response caused the failure.
    pub http_status: Option<u16>,
    /// What the server asked for.
    pub retry_after: Option<u64>,
    /// The job's property.
    pub minimum_retry_delay: u64,
    /// The job's property; 0 makes every error final.
    pub no_progress_timeout: u64,
    /// What is left of the no-progress timeout.
    pub no_progress_left: u64,
    /// Failed attempts since the last progress, this one included.
    pub failures_in_row: u32,
    /// The decision's seed.
    pub seed: u64,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say: the failure is fatal, so recovery is asked.
    Default,
    /// Try again after so many milliseconds.
    Retry(u64),
    /// The error is final.
    GiveUp,
}

/// Decides as BITS does, apart from what `settings` change.
pub fn decide(settings: &Settings, input: &Input<'_>) -> Answer<Verdict> {
    let failure = Subject(input);
    if input.class == FailureClass::Fatal {
        let note = format!("{failure}: does not end by itself, so it is not retried");
        return Answer { verdict: Verdict::Default, reason: Reason::new("fatal_error", note) };
    }
    if let Some(reason) = final_because(input) {
        return Answer { verdict: Verdict::GiveUp, reason };
    }
    let backoff = backoff(settings, input);
    let jitter = jitter_up_to(input.seed, thousandths_of(backoff, settings.jitter));
    let asked = input.retry_after.unwrap_or(0);
    // The jitter comes on top of the server's wish as well: without it, everybody who was asked to wait returns at once.
    let delay = backoff.max(asked).saturating_add(jitter).min(NUMBER_MAX);
    let wait = Duration(delay);
    let (code, note) = if asked > backoff {
        ("retry_after", format!("{failure}: the server asks for {}, next attempt in {wait}", Duration(asked)))
    } else if backoff > input.minimum_retry_delay {
        ("retry_backoff", format!("{failure}: failure {} in a row, next attempt in {wait}", input.failures_in_row))
    } else {
        ("retry_delay", format!("{failure}: next attempt in {wait}"))
    };
    let mut reason = Reason::new(code, note).attribute("failures_in_row", input.failures_in_row);
    if let Some(asked) = input.retry_after {
        reason = reason.attribute("retry_after_ms", asked);
    }
    Answer { verdict: Verdict::Retry(delay), reason }
}

fn final_because(input: &Input<'_>) -> Option<Reason> {
    let failure = Subject(input);
    let timeout = Duration(input.no_progress_timeout);
    if input.no_progress_timeout == 0 {
        let note = format!("{failure}: the job's no_progress_timeout is 0, so every error is final");
        return Some(Reason::new("retry_disabled", note));
    }
    if input.minimum_retry_delay > input.no_progress_timeout {
        let delay = Duration(input.minimum_retry_delay);
        let note =
            format!("{failure}: the job's minimum_retry_delay ({delay}) exceeds its no_progress_timeout ({timeout})");
        return Some(Reason::new("delay_exceeds_timeout", note));
    }
    if input.no_progress_left == 0 {
        let note = format!("{failure}: no progress for {timeout}, the job's no_progress_timeout");
        return Some(Reason::new("no_progress", note));
    }
    None
}

/// The minimum retry delay, grown by the factor once for each failure before this one, up to the maximum.
fn backoff(settings: &Settings, input: &Input<'_>) -> u64 {
    let minimum = input.minimum_retry_delay;
    let rounds = input.failures_in_row.saturating_sub(1).min(BACKOFF_ROUNDS_MAX);
    if settings.backoff_factor == 1_000 || rounds == 0 {
        return minimum;
    }
    // In thousandths of a millisecond, so that a short delay grows in spite of rounding.
    let limit = u128::from(settings.maximum_delay_ms.max(minimum)) * 1_000;
    let mut delay = u128::from(minimum) * 1_000;
    for _ in 0..rounds {
        delay = (delay * u128::from(settings.backoff_factor) / 1_000).min(limit);
    }
    u64::try_from(delay / 1_000).expect("the delay does not exceed its limit, a u64")
}

fn thousandths_of(value: u64, thousandths: u64) -> u64 {
    let part = u128::from(value) * u128::from(thousandths) / 1_000;
    u64::try_from(part).unwrap_or(NUMBER_MAX)
}

/// Names the failure in a note.
struct Subject<'a>(&'a Input<'a>);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.http_status {
            Some(status) => write!(f, "HTTP {status}"),
            None => f.write_str(self.0.code),
        }
    }
}

/// Milliseconds for people: the largest unit and the next one.
struct Duration(u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1_000, self.0 % 1_000);
        let (large, small, ratio, units) = match seconds {
            0 => return write!(f, "{ms} ms"),
            1..60 if ms >= 100 => return write!(f, "{seconds}.{} s", ms / 100),
            1..60 => return write!(f, "{seconds} s"),
            60..3_600 => (seconds / 60, seconds % 60, 1, ["min", "s"]),
            3_600..86_400 => (seconds / 3_600, seconds % 3_600, 60, ["h", "min"]),
            _ => (seconds / 86_400, seconds % 86_400, 3_600, ["d", "h"]),
        };
        write!(f, "{large} {}", units[0])?;
        match small / ratio {
            0 => Ok(()),
            small => write!(f, " {small} {}", units[1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, FailureClass, Input, Verdict, decide};
    use crate::{NUMBER_MAX, Settings};
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;

    fn failed() -> Input<'static> {
        Input {
            class: FailureClass::Transient,
            code: "connection_closed",
            http_status: None,
            retry_after: None,
            minimum_retry_delay: 10 * MINUTE,
            no_progress_timeout: 14 * DAY,
            no_progress_left: 14 * DAY,
            failures_in_row: 1,
            seed: 1,
        }
    }

    fn bits(input: &Input<'_>) -> (Verdict, &'static str, String) {
        with(r"{}", input)
    }

    fn with(settings: &str, input: &Input<'_>) -> (Verdict, &'static str, String) {
        let answer = decide(&Settings::parse(settings).expect("valid settings"), input);
        (answer.verdict, answer.reason.code, answer.reason.note)
    }

    #[test]
    fn a_transient_failure_is_retried_after_the_minimum_delay() {
        let note = "connection_closed: next attempt in 10 min".to_owned();
        assert_eq!(bits(&failed()), (Verdict::Retry(10 * MINUTE), "retry_delay", note));
    }

    #[test]
    fn the_delay_stays_fixed_however_often_it_failed() {
        for failures_in_row in [0, 1, 2, 100, u32::MAX] {
            let input = Input { failures_in_row, ..failed() };
            assert_eq!(bits(&input).0, Verdict::Retry(10 * MINUTE));
        }
    }

    #[test]
    fn a_fatal_failure_is_left_to_recovery() {
        let input = Input { class: FailureClass::Fatal, code: "http", http_status: Some(404), ..failed() };
        let note = "HTTP 404: does not end by itself, so it is not retried".to_owned();
        assert_eq!(bits(&input), (Verdict::Default, "fatal_error", note));
        let input = Input { no_progress_timeout: 0, ..input };
        assert_eq!(bits(&input).0, Verdict::Default);
    }

    #[test]
    fn retry_after_is_a_lower_bound() {
        let asked = |retry_after| Input { retry_after: Some(retry_after), http_status: Some(503), ..failed() };
        let note = "HTTP 503: the server asks for 30 min, next attempt in 30 min".to_owned();
        assert_eq!(bits(&asked(30 * MINUTE)), (Verdict::Retry(30 * MINUTE), "retry_after", note));
        let note = "HTTP 503: next attempt in 10 min".to_owned();
        assert_eq!(bits(&asked(MINUTE)), (Verdict::Retry(10 * MINUTE), "retry_delay", note.clone()));
        assert_eq!(bits(&asked(0)), (Verdict::Retry(10 * MINUTE), "retry_delay", note));
    }

    #[test]
    fn without_a_no_progress_timeout_every_error_is_final() {
        let input = Input { no_progress_timeout: 0, no_progress_left: 0, ..failed() };
        let note = "connection_closed: the job's no_progress_timeout is 0, so every error is final".to_owned();
        assert_eq!(bits(&input), (Verdict::GiveUp, "retry_disabled", note));
    }

    #[test]
    fn a_delay_longer_than_the_timeout_is_not_waited_for() {
        let input = Input { no_progress_timeout: 10 * MINUTE - 1, no_progress_left: MINUTE, ..failed() };
        let (verdict, code, note) = bits(&input);
        assert_eq!((verdict, code), (Verdict::GiveUp, "delay_exceeds_timeout"));
        assert!(note.ends_with("minimum_retry_delay (10 min) exceeds its no_progress_timeout (9 min 59 s)"), "{note}");
        let equal = Input { no_progress_timeout: 10 * MINUTE, ..input };
        assert_eq!(bits(&equal).0, Verdict::Retry(10 * MINUTE));
    }

    #[test]
    fn a_job_out_of_time_is_given_up() {
        let input = Input { no_progress_left: 0, ..failed() };
        let note = "connection_closed: no progress for 14 d, the job's no_progress_timeout".to_owned();
        assert_eq!(bits(&input), (Verdict::GiveUp, "no_progress", note));
    }

    #[test]
    fn backoff_grows_with_each_failure_up_to_the_maximum() {
        let settings = r#"{"backoff_factor": 2, "maximum_delay_seconds": 3600}"#;
        let delays = [1, 2, 3, 4, 5, 1_000].map(|failures_in_row| {
            let Verdict::Retry(delay) = with(settings, &Input { failures_in_row, ..failed() }).0 else {
                panic!("retry")
            };
            delay / MINUTE
        });
        assert_eq!(delays, [10, 20, 40, 60, 60, 60]);
        let (_, code, note) = with(settings, &Input { failures_in_row: 3, ..failed() });
        assert_eq!(
            (code, note.as_str()),
            ("retry_backoff", "connection_closed: failure 3 in a row, next attempt in 40 min")
        );
    }

    #[test]
    fn a_maximum_below_the_jobs_own_minimum_does_not_shorten_it() {
        let settings = r#"{"backoff_factor": 2, "maximum_delay_seconds": 1}"#;
        assert_eq!(with(settings, &Input { failures_in_row: 9, ..failed() }).0, Verdict::Retry(10 * MINUTE));
    }

    #[test]
    fn a_delay_of_a_millisecond_grows_too() {
        let settings = r#"{"backoff_factor": 1.1}"#;
        let input = Input { minimum_retry_delay: 1, failures_in_row: 20, ..failed() };
        assert_eq!(with(settings, &input).0, Verdict::Retry(6));
    }

    #[test]
    fn jitter_adds_at_most_its_fraction() {
        let settings = r#"{"jitter": 0.5}"#;
        let delays: Vec<u64> = (0..100)
            .map(|seed| match with(settings, &Input { seed, ..failed() }).0 {
                Verdict::Retry(delay) => delay,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(delays.iter().all(|delay| (10 * MINUTE..=15 * MINUTE).contains(delay)));
        assert!(delays.iter().max() > delays.iter().min());
    }

    #[test]
    fn durations_are_short_for_people() {
        let read = |ms| Duration(ms).to_string();
        assert_eq!(read(0), "0 ms");
        assert_eq!(read(999), "999 ms");
        assert_eq!(read(1_000), "1 s");
        assert_eq!(read(1_550), "1.5 s");
        assert_eq!(read(90_000), "1 min 30 s");
        assert_eq!(read(3_600_000), "1 h");
        assert_eq!(read(5_430_000), "1 h 30 min");
        assert_eq!(read(90_000_000), "1 d 1 h");
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..=3_u64, 0..=DAY * 30, 0..=NUMBER_MAX]
    }

    prop_compose! {
        fn any_input()(
            fatal: bool, http_status in proptest::option::of(100..600_u16), retry_after in proptest::option::of(number()),
            minimum_retry_delay in number(), no_progress_timeout in number(), no_progress_left in number(),
            failures_in_row: u32, seed in number(),
        ) -> Input<'static> {
            let class = if fatal { FailureClass::Fatal } else { FailureClass::Transient };
            let code = "connection_closed";
            Input { class, code, http_status, retry_after, minimum_retry_delay, no_progress_timeout, no_progress_left, failures_in_row, seed }
        }
    }

    fn any_settings() -> impl Strategy<Value = Settings> {
        let numbers = (1_000..=10_000_u64, 1_000..=31_536_000_000_u64, 0..=1_000_u64);
        let drawn = numbers.prop_map(|(backoff_factor, maximum_delay_ms, jitter)| Settings {
            backoff_factor,
            maximum_delay_ms,
            jitter,
        });
        prop_oneof![Just(Settings::default()), drawn]
    }

    proptest! {
        #[test]
        fn a_retry_is_never_earlier_than_allowed(settings in any_settings(), input in any_input()) {
            let answer = decide(&settings, &input);
            if let Verdict::Retry(delay) = answer.verdict {
                prop_assert!(input.class == FailureClass::Transient && input.no_progress_timeout > 0);
                prop_assert!(delay >= input.minimum_retry_delay && delay >= input.retry_after.unwrap_or(0));
                prop_assert!(delay <= NUMBER_MAX);
            }
            prop_assert!(answer.reason.note.len() <= 500 && answer.reason.code.len() <= 64);
        }

        #[test]
        fn without_settings_the_delay_does_not_depend_on_the_seed(input in any_input(), seed: u64) {
            let settings = Settings::default();
            prop_assert_eq!(decide(&settings, &input), decide(&settings, &Input { seed, ..input }));
        }

        #[test]
        fn more_failures_never_shorten_the_delay(settings in any_settings(), input in any_input()) {
            let settings = Settings { jitter: 0, ..settings };
            let next = Input { failures_in_row: input.failures_in_row.saturating_add(1), ..input };
            if let (Verdict::Retry(now), Verdict::Retry(then)) = (decide(&settings, &input).verdict, decide(&settings, &next).verdict) {
                prop_assert!(then >= now);
            }
        }
    }
}
