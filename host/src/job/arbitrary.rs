//! Generators of records for property tests. Everything that the types allow, extremes included, and nothing that they do not.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    AttemptNumber, AttemptSummary, CostFlags, DecisionId, Direction, ErrorCode, ErrorContext, Event, EventKind,
    FailureClass, FileIndex, FileRange, FileRecord, FileSpec, FileVersion, HeadersWriteOnly, Integrity, Intent,
    JobChanges, JobError, JobId, JobRecord, JobState, LocalName, NotifyFlags, PartIdentity, PolicyName, Priority,
    Properties, Redirects, RequestHeaders, RestartReason, RetryWait, SafeUrl, Sha256, Validation,
};
use crate::clock::UnixMillis;

/// Text with what is easily got wrong: quotes, line ends, NUL, other scripts.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~]{0,24}", 1 => any::<String>(), 1 => "[\\x00-\\x1f'\"\\\\é漢]{0,8}"]
}

pub(crate) fn time() -> impl Strategy<Value = UnixMillis> {
    any::<u64>().prop_map(UnixMillis)
}

pub(crate) fn job_id() -> impl Strategy<Value = JobId> {
    any::<[u8; 16]>().prop_map(|bytes| JobId(Uuid::from_bytes(bytes)))
}

pub(crate) fn policy_name() -> impl Strategy<Value = PolicyName> {
    text().prop_map(PolicyName)
}

pub(crate) fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..4)
}

pub(crate) fn request_headers() -> impl Strategy<Value = RequestHeaders> {
    pairs().prop_map(RequestHeaders)
}

pub(crate) fn safe_url() -> impl Strategy<Value = SafeUrl> {
    let text = "https?://([a-z]{1,8}:[a-z]{1,8}@)?[a-z]{1,12}(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9 %é._-]{0,12}){0,4}(\\?[ -~]{0,12})?";
    text.prop_filter_map("a URL", |text| text.parse().ok())
}

/// Any bytes that a path can have.
pub(crate) fn local_name() -> impl Strategy<Value = LocalName> {
    let byte = prop_oneof![Just(b'.'), b'a'..=b'z', 1_u8..=255].prop_filter("no separator", |byte| *byte != b'/');
    vec(vec(byte, 1..12), 1..5).prop_filter_map("a local name", |components| {
        let path: Vec<u8> = components.into_iter().flat_map(|component| [vec![b'/'], component].concat()).collect();
        LocalName::new(PathBuf::from(OsString::from_vec(path))).ok()
    })
}

pub(crate) fn sha256() -> impl Strategy<Value = Sha256> {
    any::<[u8; 32]>().prop_map(Sha256)
}

pub(crate) fn file_spec() -> impl Strategy<Value = FileSpec> {
    let range = (any::<u64>(), option::of(any::<u64>())).prop_map(|(offset, length)| FileRange { offset, length });
    let fields = (safe_url(), local_name(), option::of(sha256()), vec(range, 0..3));
    fields.prop_map(|(remote_name, local_name, digest, ranges)| FileSpec { remote_name, local_name, digest, ranges })
}

pub(crate) fn validation() -> impl Strategy<Value = Validation> {
    prop_oneof![Just(Validation::Unset), Just(Validation::Valid), Just(Validation::Invalid)]
}

pub(crate) fn state() -> impl Strategy<Value = JobState> {
    proptest::sample::select(&JobState::ALL[..])
}

pub(crate) fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Download), Just(Direction::Upload), Just(Direction::UploadReply)]
}

pub(crate) fn integrity() -> impl Strategy<Value = Integrity> {
    prop_oneof![
        Just(Integrity::ClientDigest),
        Just(Integrity::ServerDigest),
        Just(Integrity::LengthOnly),
        Just(Integrity::Unverified),
    ]
}

pub(crate) fn failure_class() -> impl Strategy<Value = FailureClass> {
    prop_oneof![Just(FailureClass::Transient), Just(FailureClass::Fatal)]
}

pub(crate) fn error_code() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        Just(ErrorCode::Http),
        Just(ErrorCode::NoProgress),
        Just(ErrorCode::ConnectionClosed),
        Just(ErrorCode::DiskFull),
        Just(ErrorCode::DigestMismatch),
        Just(ErrorCode::BlockedByCostTransferPolicy),
        Just(ErrorCode::Interrupted),
    ]
}

pub(crate) fn error_context() -> impl Strategy<Value = ErrorContext> {
    prop_oneof![
        Just(ErrorContext::None),
        Just(ErrorContext::LocalFile),
        Just(ErrorContext::RemoteFile),
        Just(ErrorContext::Certificate),
    ]
}

pub(crate) fn job_error() -> impl Strategy<Value = JobError> {
    let fields =
        (error_code(), error_context(), failure_class(), option::of(any::<u16>()), option::of(any::<u32>()), text());
    fields.prop_map(|(code, context, class, http_status, file, description)| JobError {
        code,
        context,
        class,
        http_status,
        file: file.map(FileIndex),
        description,
    })
}

pub(crate) fn attempt_summary() -> impl Strategy<Value = AttemptSummary> {
    let fields = (time(), time(), text(), any::<u64>(), error_code(), failure_class(), option::of(any::<u16>()));
    fields.prop_map(|(started_at, ended_at, remote_name, new_bytes, code, class, http_status)| AttemptSummary {
        started_at,
        ended_at,
        remote_name,
        new_bytes,
        code,
        class,
        http_status,
    })
}

fn notify_flags() -> impl Strategy<Value = NotifyFlags> {
    (0_u32..0x20).prop_filter_map("flags", NotifyFlags::from_bits)
}

fn redirects() -> impl Strategy<Value = Redirects> {
    proptest::sample::select(&Redirects::ALL[..])
}

pub(crate) fn properties() -> impl Strategy<Value = Properties> {
    let durations = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let flags = any::<[bool; 5]>();
    let rest = (1_u16..=64, any::<u32>(), notify_flags(), option::of(any::<u64>()), redirects());
    (proptest::sample::select(&Priority::ALL[..]), durations, flags, rest).prop_map(
        |(priority, durations, flags, rest)| {
            let (minimum_retry_delay_ms, no_progress_timeout_ms, maximum_download_time_ms, interval_ms) = durations;
            let [auto_complete, overwrite, dynamic_content, high_performance, redirects_to_http] = flags;
            let (parallel_files, cost_flags, notify_flags, maximum_download_size, redirects) = rest;
            Properties {
                priority,
                minimum_retry_delay_ms,
                no_progress_timeout_ms,
                maximum_download_time_ms,
                parallel_files,
                cost_flags: CostFlags(cost_flags),
                auto_complete,
                overwrite,
                notify_flags,
                minimum_notification_interval_ms: interval_ms,
                dynamic_content,
                high_performance,
                maximum_download_size,
                redirects,
                redirects_to_http,
            }
        },
    )
}

/// Within the limits, and small enough to be the same as before now and then.
pub(crate) fn job_changes() -> impl Strategy<Value = JobChanges> {
    let millis = || option::of(0_u64..3);
    let flag = || option::of(any::<bool>());
    let levels = option::of(proptest::sample::select(&Priority::ALL[..]));
    let durations = (millis(), millis(), millis(), millis());
    let numbers = (option::of(1_u16..=64), option::of(0_u32..3), option::of(option::of(1_u64..3)));
    let flags = [flag(), flag(), flag(), flag(), flag()];
    let rest = (option::of(notify_flags()), option::of(redirects()), option::of(Just(HeadersWriteOnly)));
    let texts = (option::of(text()), option::of(text()), option::of(pairs()));
    (texts, levels, durations, numbers, flags, rest).prop_map(
        |(texts, priority, durations, numbers, flags, (notify_flags, redirects, headers_write_only))| {
            let (display_name, description, labels) = texts;
            let (minimum_retry_delay_ms, no_progress_timeout_ms, maximum_download_time_ms, interval_ms) = durations;
            let (parallel_files, cost_flags, maximum_download_size) = numbers;
            let [auto_complete, overwrite, dynamic_content, high_performance, redirects_to_http] = flags;
            JobChanges {
                display_name,
                priority,
                minimum_retry_delay_ms,
                no_progress_timeout_ms,
                maximum_download_time_ms,
                parallel_files,
                cost_flags: cost_flags.map(CostFlags),
                auto_complete,
                overwrite,
                labels,
                description,
                notify_flags,
                minimum_notification_interval_ms: interval_ms,
                dynamic_content,
                high_performance,
                maximum_download_size,
                redirects,
                redirects_to_http,
                headers_write_only,
            }
        },
    )
}

pub(crate) fn job_record() -> impl Strategy<Value = JobRecord> {
    let names =
        (job_id(), text(), [text(), text()], direction(), state(), properties(), pairs(), vec(policy_name(), 0..3));
    let times =
        (time(), time(), time(), [option::of(time()), option::of(time()), option::of(time()), option::of(time())]);
    let counts = (any::<[u32; 8]>(), any::<[u64; 5]>());
    let intent = prop_oneof![Just(None), Just(Some(Intent::Complete)), Just(Some(Intent::Cancel))];
    let retry = option::of((time(), any::<u64>()).prop_map(|(due_at, delay_ms)| RetryWait { due_at, delay_ms }));
    let rest = (option::of(job_error()), vec(attempt_summary(), 0..4), retry, intent, any::<[bool; 2]>());
    (names, times, counts, rest).prop_map(|(names, times, (small, large), (error, history, retry, intent, flags))| {
        let (id, owner, [display_name, description], direction, state, properties, labels, policies) = names;
        let [resumed, headers_write_only] = flags;
        let (created_at, modified_at, active_at, [started_at, transferred_at, last_progress_at, last_recovery_at]) = times;
        let [files_total, files_transferred, files_sized, error_count, failures_in_row, recoveries, attempt, decisions] =
            small;
        let [bytes_sized, bytes_transferred, progress_bytes, no_progress_ms, active_ms] = large;
        JobRecord {
            id,
            owner,
            display_name,
            description,
            direction,
            state,
            properties,
            labels,
            policies,
            created_at,
            modified_at,
            started_at,
            transferred_at,
            last_progress_at,
            files_total,
            files_transferred,
            bytes_sized,
            files_sized,
            bytes_transferred,
            progress_bytes,
            error,
            error_count,
            failures_in_row,
            recoveries,
            last_recovery_at,
            attempt: AttemptNumber(attempt),
            decisions,
            history,
            retry,
            no_progress_ms,
            active_ms,
            intent,
            resumed,
            headers_write_only,
            active_at,
        }
    })
}

pub(crate) fn file_version() -> impl Strategy<Value = FileVersion> {
    let fields = (option::of(text()), option::of(text()), any::<bool>(), option::of(any::<u64>()));
    fields.prop_map(|(etag, last_modified, last_modified_is_strong, bytes_total)| FileVersion {
        etag,
        last_modified,
        last_modified_is_strong,
        bytes_total,
    })
}

pub(crate) fn part_identity() -> impl Strategy<Value = PartIdentity> {
    any::<(u64, u64)>().prop_map(|(device, inode)| PartIdentity { device, inode })
}

/// A file of any stage. A published one is finished.
pub(crate) fn file_record() -> impl Strategy<Value = FileRecord> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<bool>());
    let parts = (option::of(file_version()), option::of(vec(any::<u8>(), 0..104)), option::of(part_identity()));
    let end = (
        integrity(),
        validation(),
        any::<bool>(),
        prop_oneof![Just((false, false)), Just((true, false)), Just((true, true))],
    );
    (file_spec(), numbers, parts, end).prop_map(|(spec, numbers, (version, hash_state, part), end)| {
        let (index, durable, high_water, restarts, repointed) = numbers;
        let (integrity, validation, headers_withheld, (finished, published)) = end;
        FileRecord {
            index: FileIndex(index),
            remote_name: spec.remote_name,
            local_name: spec.local_name,
            digest: spec.digest,
            version,
            durable,
            high_water,
            hash_state,
            restarts,
            repointed,
            part,
            finished,
            published,
            integrity,
            ranges: spec.ranges,
            validation,
            headers_withheld,
        }
    })
}

pub(crate) fn restart_reason() -> impl Strategy<Value = RestartReason> {
    prop_oneof![
        Just(RestartReason::RemoteFileChanged),
        Just(RestartReason::NoValidator),
        Just(RestartReason::RangeIgnored),
        Just(RestartReason::PartFileDamaged),
        Just(RestartReason::DigestMismatch),
        Just(RestartReason::Repointed),
        Just(RestartReason::Requested),
        Just(RestartReason::ValidationFailed),
    ]
}

pub(crate) fn event_kind() -> impl Strategy<Value = EventKind> {
    let file = || any::<u32>().prop_map(FileIndex);
    let decision = || text().prop_map(DecisionId);
    let ends = prop_oneof![
        Just(EventKind::JobCreated),
        (text(), text()).prop_map(|(from, to)| EventKind::OwnershipTaken { from, to }),
        vec(text(), 0..3).prop_map(|fields| EventKind::JobModified { fields }),
        (state(), state()).prop_map(|(from, to)| EventKind::StateChanged { from, to }),
        Just(EventKind::JobTransferred),
        any::<(u32, bool)>()
            .prop_map(|(files_published, partial)| EventKind::Acknowledged { files_published, partial }),
        any::<u64>().prop_map(|inactive_seconds| EventKind::JobInactive { inactive_seconds }),
        any::<u32>().prop_map(|files_left| EventKind::Cancelled { files_left }),
        (any::<bool>(), text()).prop_map(|(connected, note)| EventKind::NetworkChanged { connected, note }),
    ];
    let errors = prop_oneof![
        job_error().prop_map(|error| EventKind::AttemptFailed { error }),
        job_error().prop_map(|error| EventKind::JobError { error }),
        job_error().prop_map(|error| EventKind::PublicationFailed { error }),
    ];
    let files = prop_oneof![
        (file(), any::<u64>(), integrity()).prop_map(|(file, bytes, integrity)| EventKind::FileTransferred {
            file,
            bytes,
            integrity
        }),
        (file(), restart_reason(), any::<u64>())
            .prop_map(|(file, reason, bytes_discarded)| { EventKind::FileRestarted { file, reason, bytes_discarded } }),
    ];
    let policies = prop_oneof![
        (policy_name(), vec(text(), 0..3)).prop_map(|(policy, changes)| EventKind::Recovered { policy, changes }),
        (decision(), text(), policy_name(), text(), text(), text()).prop_map(
            |(decision, hook, policy, verdict, code, note)| EventKind::DecisionApplied {
                decision,
                hook,
                policy,
                verdict,
                code,
                note,
            }
        ),
        (option::of(decision()), policy_name(), text(), text())
            .prop_map(|(decision, policy, fault, note)| EventKind::PolicyFault { decision, policy, fault, note }),
    ];
    prop_oneof![ends, errors, files, policies]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    (time(), option::of(job_id()), event_kind()).prop_map(|(at, job, kind)| Event { at, job, kind })
}
