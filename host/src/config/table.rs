//! The table of all settings.

use std::time::Duration;

use super::preset::{LIMITS, LimitsPreset};
use super::quantity::Unit;
use super::setting::{Kind, Setting};
use crate::job::limits::GUEST_NUMBER_MAX;
use crate::notify::PlainHttp;
use crate::policy::{AdmitOnFault, OnFault};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// A setting whose value is a whole number of its field's type.
macro_rules! number {
    ($section:ident . $field:ident, $key:literal, $unit:expr, $allowed:expr, $reason:literal) => {
        Setting {
            section: stringify!($section),
            key: $key,
            reason: $reason,
            kind: Kind::Number {
                unit: $unit,
                allowed: $allowed,
                get: |settings| u64::try_from(settings.$section.$field).unwrap_or(u64::MAX),
                set: |settings, value| {
                    settings.$section.$field =
                        value.try_into().expect("the limits of a setting fit the type of its field");
                },
            },
        }
    };
}

/// A setting of `[limits]`.
macro_rules! limit {
    ($field:ident, $unit:literal, $allowed:expr, $reason:literal) => {
        Setting {
            section: LIMITS,
            key: stringify!($field),
            reason: $reason,
            kind: Kind::Number {
                unit: Unit::Count($unit),
                allowed: $allowed,
                get: |settings| settings.scheduler.limits.$field.into(),
                set: |settings, value| {
                    settings.scheduler.limits.$field =
                        value.try_into().expect("the limits of a setting fit the type of its field");
                },
            },
        }
    };
}

/// A setting whose field is a `Duration`.
macro_rules! duration {
    ($section:ident . $field:ident, $key:literal, $allowed:expr, $reason:literal) => {
        Setting {
            section: stringify!($section),
            key: $key,
            reason: $reason,
            kind: Kind::Number {
                unit: Unit::Seconds,
                allowed: $allowed,
                get: |settings| u64::try_from(settings.$section.$field.as_millis()).unwrap_or(u64::MAX),
                set: |settings, value| settings.$section.$field = Duration::from_millis(value),
            },
        }
    };
}

/// A setting that is one of some words: the values that they stand for, in the same order.
macro_rules! word {
    ($section:ident . $field:ident . $inner:ident, $key:literal, [$($word:literal => $value:expr),+], $reason:literal) => {
        Setting {
            section: stringify!($section),
            key: $key,
            reason: $reason,
            kind: Kind::Number {
                unit: Unit::Word(&[$($word),+]),
                allowed: 0..=[$($word),+].len() as u64 - 1,
                get: |settings| {
                    let position = [$($value),+].iter().position(|value| *value == settings.$section.$field.$inner);
                    position.expect("every value has its word") as u64
                },
                set: |settings, word| {
                    settings.$section.$field.$inner = [$($value),+][usize::try_from(word).unwrap_or(0)];
                },
            },
        }
    };
}

/// Every setting, section by section.
pub static SETTINGS: &[Setting] = &[
    number!(
        scheduler.time_slice_ms,
        "time_slice",
        Unit::Seconds,
        100..=DAY,
        "How long a job keeps its slot while another of its level is ready. A minute is long against the cost of a new connection, and short against the patience of whoever waits."
    ),
    number!(
        scheduler.foreground_slots,
        "foreground_slots",
        Unit::Count("jobs"),
        1..=1_024,
        "Foreground jobs at once. BITS has no published cap; 64 keeps descriptors and memory bounded."
    ),
    number!(
        scheduler.background_slots,
        "background_slots",
        Unit::Count("jobs"),
        1..=1_024,
        "Background jobs at once. 1, as in BITS; servers that serve many can have more."
    ),
    number!(
        scheduler.retry_floor_ms,
        "retry_floor",
        Unit::Seconds,
        1..=HOUR,
        "The shortest wait for a retry, whatever a job or a policy says. 5 s, as in BITS."
    ),
    number!(
        scheduler.retry_after_max_ms,
        "retry_after_max",
        Unit::Seconds,
        1_000..=30 * DAY,
        "The longest wait that an origin can impose. Beyond a day a mistaken header would bury a job."
    ),
    number!(
        scheduler.connections_per_origin,
        "connections_per_origin",
        Unit::Count("connections"),
        1..=4_096,
        "Connections to one origin at once, over all jobs: what a single job may ask for, and far below what servers refuse."
    ),
    number!(
        scheduler.hold_reask_ms,
        "hold_reask",
        Unit::Seconds,
        1_000..=DAY,
        "After how long a policy that holds a job is asked again at the latest, so that no answer is for ever."
    ),
    number!(
        scheduler.disk_retry_ms,
        "disk_retry",
        Unit::Seconds,
        1_000..=DAY,
        "After how long a job tries again although the disk looks as full as before: a quota is not seen from here."
    ),
    number!(
        scheduler.network_probe_ms,
        "network_probe",
        Unit::Seconds,
        1_000..=DAY,
        "After how long a job tries again that found no network although the host believes in one."
    ),
    number!(
        scheduler.recovery_burst,
        "recovery_burst",
        Unit::Count("repairs"),
        0..=1_000,
        "Repairs by policies that a job may have in a row. A loop of repairs stays visible and slow."
    ),
    number!(
        scheduler.recovery_refill_ms,
        "recovery_refill",
        Unit::Seconds,
        1_000..=DAY,
        "After how long a job may be repaired once more."
    ),
    number!(
        scheduler.recoveries_per_job,
        "recoveries_per_job",
        Unit::Count("repairs"),
        0..=1_000_000,
        "Repairs that a job may have in its life; then it stays in error."
    ),
    number!(
        scheduler.inactivity_timeout_ms,
        "inactivity_timeout",
        Unit::Seconds,
        1_000..=999 * DAY,
        "After how long without progress and without a command of a client a job is cancelled, its part files deleted. A start leaves each job at least a day, or as long as this if that is shorter: a clock may have been wrong. 90 days, and 999 at most, as in BITS."
    ),
    Setting {
        section: LIMITS,
        key: "preset",
        reason: "The limits that are not set below: those of a host that serves many, or BITS's own (60 jobs of an owner, 300 jobs, 200 files, 500 ranges).",
        kind: Kind::Number {
            unit: Unit::Word(&["generous", "bits"]),
            allowed: 0..=1,
            get: |settings| settings.limits_preset as u64,
            set: |settings, word| settings.limits_preset = LimitsPreset::ALL[usize::try_from(word).unwrap_or(0)],
        },
    },
    limit!(
        jobs_per_owner,
        "jobs",
        1..=1_000_000,
        "Jobs of one owner that are not at their end; another one is refused with too_many_jobs_per_user."
    ),
    limit!(
        jobs,
        "jobs",
        1..=1_000_000,
        "Jobs of all owners that are not at their end (too_many_jobs_per_machine). Each takes some 1 KiB of memory."
    ),
    limit!(
        files_per_job,
        "files",
        1..=10_000_000,
        "Files of one job (too_many_files_in_job). They stay on the disk, some 500 bytes each."
    ),
    limit!(
        ranges_per_file,
        "ranges",
        1..=10_000,
        "Ranges of one file (too_many_ranges_in_file). All of them are written with each checkpoint of the file: 1,000 take some 20 KiB."
    ),
    duration!(
        transfer.connect_timeout,
        "connect_timeout",
        100..=HOUR,
        "Name resolution, connecting and the TLS handshake together."
    ),
    duration!(
        transfer.first_byte_timeout,
        "first_byte_timeout",
        100..=DAY,
        "From a request to the head of its response, connecting included."
    ),
    duration!(transfer.idle_timeout, "idle_timeout", 100..=DAY, "Without a byte of a body."),
    number!(
        transfer.low_speed_bytes_per_second,
        "low_speed",
        Unit::BytesPerSecond,
        0..=GIB,
        "Slower than this on average over low_speed_window is too slow; 0: never. Far below the slowest link in use, far above a server that drips to hold its clients."
    ),
    duration!(transfer.low_speed_window, "low_speed_window", 1_000..=DAY, "Over which the speed is measured."),
    number!(
        transfer.checkpoint_bytes,
        "checkpoint_bytes",
        Unit::Bytes,
        64 * KIB..=GIB,
        "Bytes after which progress is made durable: what a kill may cost. Large enough for the disk to be kept busy."
    ),
    duration!(
        transfer.checkpoint_interval,
        "checkpoint_interval",
        100..=HOUR,
        "Time after which progress is made durable, on slow links."
    ),
    number!(
        transfer.file_bytes_max,
        "file_bytes_max",
        Unit::Bytes,
        1..=GUEST_NUMBER_MAX,
        "The largest file that is accepted. Sizes go to policies, whose numbers stay below 2^53."
    ),
    number!(
        transfer.idle_connections_per_origin,
        "idle_connections_per_origin",
        Unit::Count("connections"),
        0..=4_096,
        "Idle connections that are kept open to one origin: as many as one job can have files in flight."
    ),
    number!(
        policy.fuel,
        "fuel",
        Unit::Count("units"),
        10_000..=10_000_000_000,
        "What one call of a policy may compute. A rich decision in Rust takes some 10,000, in an interpreted language half a million."
    ),
    duration!(
        policy.deadline,
        "deadline",
        1..=MINUTE,
        "Wall-clock time of one call: fuel does not bound what memory costs."
    ),
    duration!(
        policy.compile_time_max,
        "compile_time_max",
        1_000..=HOUR,
        "What a component may take to compile. Those of Python take 15 s on an idle core."
    ),
    word!(
        policy.on_fault.retry,
        "on_fault_retry",
        ["built_in" => OnFault::BuiltIn, "last_good" => OnFault::LastGood],
        "What decides about a retry when a policy fails or has no opinion: the next one and in the end the built-in default, or what the policy last said of the job."
    ),
    word!(
        policy.on_fault.network_cost_assigned,
        "on_fault_network_cost",
        ["built_in" => AdmitOnFault::BuiltIn, "hold" => AdmitOnFault::Hold, "last_good" => AdmitOnFault::LastGood],
        "What decides about the network when an assigned policy fails. Holding the job spends nothing on a network that might be dear."
    ),
    word!(
        policy.on_fault.network_cost_own,
        "on_fault_network_cost_own",
        ["built_in" => AdmitOnFault::BuiltIn, "hold" => AdmitOnFault::Hold, "last_good" => AdmitOnFault::LastGood],
        "The same for a policy that only the job names: it is left out, for no operator relies on it."
    ),
    word!(
        policy.on_fault.recovery,
        "on_fault_recovery",
        ["built_in" => OnFault::BuiltIn, "last_good" => OnFault::LastGood],
        "What decides about a failed job when a policy fails: the next one and in the end the built-in default, or what the policy last said of the job."
    ),
    Setting {
        section: "policy",
        key: "time_zone",
        reason: "The zone of the local time that policies are told: whose nights and working days they go by. The machine's own, unless it serves people elsewhere.",
        kind: Kind::Zone {
            get: |settings| settings.policy.time_zone.as_ref(),
            set: |settings, zone| settings.policy.time_zone = zone,
        },
    },
    number!(
        retention.final_jobs_ms,
        "final_jobs",
        Unit::Seconds,
        MINUTE..=3_650 * DAY,
        "How long completed and cancelled jobs can be read: a week's work can be looked up."
    ),
    number!(
        retention.events_ms,
        "events",
        Unit::Seconds,
        MINUTE..=3_650 * DAY,
        "How long events are kept: a reader may come back after a holiday."
    ),
    number!(
        retention.events_rows_max,
        "events_max",
        Unit::Count("events"),
        1_000..=1_000_000_000,
        "Events that are kept at most: a million take some 200 MiB."
    ),
    number!(
        retention.interval_ms,
        "interval",
        Unit::Seconds,
        1_000..=DAY,
        "How often the two are looked after: nothing is kept much longer than it should be."
    ),
    number!(
        webhooks.per_owner_max,
        "per_owner_max",
        Unit::Count("webhooks"),
        0..=1_000,
        "Webhooks of one owner. 32: one for each application of a busy machine."
    ),
    number!(
        webhooks.concurrent_per_owner,
        "concurrent_per_owner",
        Unit::Count("deliveries"),
        1..=256,
        "Deliveries of one owner at once, over all webhooks. 4, as in BITS."
    ),
    duration!(
        webhooks.timeout,
        "timeout",
        100..=5 * MINUTE,
        "For one attempt of a delivery, from the name's resolution to the end of the answer."
    ),
    number!(
        webhooks.retry_first_ms,
        "retry_first",
        Unit::Seconds,
        1..=HOUR,
        "From the first failed attempt of a delivery to the second. The later ones wait 60, 360, 1440, 3600, 7200, 10080, 14400 and 17280 times as long: with 5 s up to a day."
    ),
    number!(
        webhooks.attempts_max,
        "attempts_max",
        Unit::Count("attempts"),
        1..=100,
        "Attempts of a delivery; then it is on the list of the failed. 10: with retry_first 5 s some three days."
    ),
    Setting {
        section: "webhooks",
        key: "plain_http",
        reason: "Where receivers may be told of events over http, which everybody on the way can read: on this machine only, or anywhere.",
        kind: Kind::Number {
            unit: Unit::Word(&["loopback", "anywhere"]),
            allowed: 0..=1,
            get: |settings| u64::from(settings.webhooks.plain_http == PlainHttp::Anywhere),
            set: |settings, word| {
                settings.webhooks.plain_http = if word == 0 { PlainHttp::Loopback } else { PlainHttp::Anywhere };
            },
        },
    },
    number!(
        api.connections_max,
        "connections_max",
        Unit::Count("connections"),
        1..=65_536,
        "Connections of clients at once; more wait. Each costs some 10 KiB."
    ),
    number!(
        api.body_bytes_max,
        "body_bytes_max",
        Unit::Bytes,
        KIB..=GIB,
        "The largest body of a request: some 100,000 files with long names."
    ),
    duration!(
        api.header_read_timeout,
        "header_read_timeout",
        100..=HOUR,
        "From the first byte of a request to the end of its head."
    ),
    duration!(
        api.body_read_timeout,
        "body_read_timeout",
        100..=HOUR,
        "From the head of a request to the end of its body."
    ),
    duration!(
        api.request_timeout,
        "request_timeout",
        1_000..=DAY,
        "Until a request is answered; what it asked for goes on. Completing a job of 100,000 files takes a minute on a slow disk."
    ),
    duration!(
        api.idle_timeout,
        "idle_timeout",
        30_000..=DAY,
        "A connection without a request. Longer than clients poll, and than heartbeat."
    ),
    duration!(api.write_timeout, "write_timeout", 1_000..=HOUR, "A client that takes no byte of what it asked for."),
    duration!(
        api.heartbeat,
        "heartbeat",
        100..=20_000,
        "Between two comments on a stream of events on which nothing happens."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn every_number_can_have_each_of_its_limits_and_its_default() {
        for setting in SETTINGS {
            let Kind::Number { allowed, get, set, .. } = &setting.kind else { continue };
            let mut settings = Settings::default();
            let default = get(&settings);
            assert!(allowed.contains(&default), "{}", setting.name());
            for value in [*allowed.start(), *allowed.end(), default] {
                set(&mut settings, value);
                assert_eq!(get(&settings), value, "{}", setting.name());
            }
        }
    }

    #[test]
    fn names_are_there_once() {
        let mut names: Vec<_> = SETTINGS.iter().map(Setting::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
