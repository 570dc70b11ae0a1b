//! Fits a context to the contract before a guest is given it: numbers below 2^53, lists and texts within their limits, no secrets.
//!
//! What is kept in the decision log is what the guest was given, so that the decision can be replayed exactly.

use super::contract::{
    AdmitContext, Attributes, Call, FailureView, FileView, JobView, NetworkView, RecoveryContext, RetryContext, limits,
};
use super::guest_state::Sight;
use super::redact;
use crate::job::limits::{GUEST_NUMBER_MAX, HEADER_VALUE_BYTES_MAX, URL_BYTES_MAX};

/// The begin of a text, at most so many bytes, cut between characters.
pub(super) fn clipped(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn clip(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

fn number(value: &mut u64) {
    *value = (*value).min(GUEST_NUMBER_MAX);
}

fn optional_number(value: &mut Option<u64>) {
    if let Some(value) = value {
        number(value);
    }
}

/// A remote name. Cut after redaction: half a secret is one as well.
fn url(value: &mut String, sight: Sight) {
    text(value, URL_BYTES_MAX, sight);
}

fn text(value: &mut String, bytes_max: usize, sight: Sight) {
    if sight == Sight::Redacted {
        let _removed = redact::in_place(value);
    }
    clip(value, bytes_max);
}

fn pairs(attributes: &mut Attributes, value_bytes_max: usize, sight: Sight) {
    attributes.truncate(limits::ATTRIBUTES_MAX);
    for (name, value) in attributes {
        clip(name, limits::ATTRIBUTE_KEY_BYTES_MAX);
        if sight == Sight::Redacted {
            let _removed = redact::named(name, value);
        }
        clip(value, value_bytes_max);
    }
}

fn attributes(list: &mut Attributes, sight: Sight) {
    pairs(list, limits::ATTRIBUTE_VALUE_BYTES_MAX, sight);
}

/// One file.
pub(super) fn file(file: &mut FileView, sight: Sight) {
    url(&mut file.remote_name, sight);
    optional_number(&mut file.bytes_total);
    number(&mut file.bytes_transferred);
}

fn job(job: &mut JobView, sight: Sight) {
    text(&mut job.display_name, limits::ATTRIBUTE_VALUE_BYTES_MAX, sight);
    attributes(&mut job.labels, sight);
    attributes(&mut job.attributes, sight);
    for value in [
        &mut job.bytes_transferred,
        &mut job.created_at,
        &mut job.active_time,
        &mut job.minimum_retry_delay,
        &mut job.no_progress_timeout,
        &mut job.maximum_download_time,
    ] {
        number(value);
    }
    for value in [&mut job.bytes_total, &mut job.started_at, &mut job.last_progress_at, &mut job.deadline_at] {
        optional_number(value);
    }
}

fn network(network: &mut NetworkView, sight: Sight) {
    network.interfaces.truncate(limits::INTERFACES_MAX);
    // A route to an interface that is not told would mislead.
    network.route = network.route.filter(|route| (*route as usize) < network.interfaces.len());
    network.interfaces.iter_mut().for_each(|interface| attributes(&mut interface.attributes, sight));
    network.budgets.truncate(limits::BUDGETS_MAX);
    for budget in &mut network.budgets {
        number(&mut budget.limit);
        number(&mut budget.used);
        optional_number(&mut budget.resets_at);
    }
    attributes(&mut network.attributes, sight);
}

fn call(call: &mut Call, sight: Sight) {
    number(&mut call.now_at);
    number(&mut call.seed);
    number(&mut call.host.bytes_per_second);
    job(&mut call.job, sight);
    if let Some(of_call) = &mut call.file {
        file(of_call, sight);
    }
    network(&mut call.network, sight);
    attributes(&mut call.attributes, sight);
}

fn failure(failure: &mut FailureView, sight: Sight) {
    text(&mut failure.message, limits::MESSAGE_BYTES_MAX, sight);
    if let Some(of_failure) = &mut failure.file {
        file(of_failure, sight);
    }
    if let Some(final_url) = &mut failure.final_url {
        url(final_url, sight);
    }
    if let Some(origin) = &mut failure.origin {
        optional_number(&mut origin.last_success_at);
        optional_number(&mut origin.not_before_at);
    }
    pairs(&mut failure.response_headers, HEADER_VALUE_BYTES_MAX, sight);
    if let Some(excerpt) = &mut failure.body_excerpt {
        text(excerpt, limits::BODY_EXCERPT_BYTES_MAX, sight);
    }
    attributes(&mut failure.attributes, sight);
    number(&mut failure.at);
    optional_number(&mut failure.retry_after);
    number(&mut failure.new_bytes);
    number(&mut failure.duration);
}

/// Only the last attempts are told.
fn history(history: &mut Vec<super::contract::AttemptView>, sight: Sight) {
    history.drain(..history.len().saturating_sub(limits::HISTORY_MAX));
    for attempt in history {
        url(&mut attempt.remote_name, sight);
        number(&mut attempt.started_at);
        number(&mut attempt.ended_at);
        number(&mut attempt.new_bytes);
    }
}

/// The context of `on-failure`.
pub(super) fn retry(context: &mut RetryContext, sight: Sight) {
    call(&mut context.call, sight);
    failure(&mut context.failure, sight);
    number(&mut context.since_progress);
    number(&mut context.no_progress_left);
    history(&mut context.history, sight);
}

/// The context of `admit`.
pub(super) fn admit(context: &mut AdmitContext, sight: Sight) {
    call(&mut context.call, sight);
    optional_number(&mut context.held_since);
}

/// The context of `on-error`.
pub(super) fn recovery(context: &mut RecoveryContext, sight: Sight) {
    call(&mut context.call, sight);
    failure(&mut context.failure, sight);
    optional_number(&mut context.last_recovery_at);
    history(&mut context.history, sight);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::strategies;

    proptest! {
        #[test]
        fn a_context_within_the_contract_stays_as_it_is(context in strategies::recovery_context()) {
            let mut fitted = context.clone();
            recovery(&mut fitted, Sight::Whole);
            fitted.call.network.route = context.call.network.route;
            prop_assert_eq!(fitted, context);
        }

        #[test]
        fn numbers_stay_below_2_to_the_53(mut context in strategies::retry_context(), huge in GUEST_NUMBER_MAX..) {
            context.since_progress = huge;
            context.call.seed = huge;
            context.call.job.bytes_total = Some(huge);
            context.failure.retry_after = Some(huge);
            retry(&mut context, Sight::Redacted);
            prop_assert_eq!(context.since_progress, GUEST_NUMBER_MAX);
            prop_assert_eq!(context.call.seed, GUEST_NUMBER_MAX);
            prop_assert_eq!(context.call.job.bytes_total, Some(GUEST_NUMBER_MAX));
            prop_assert_eq!(context.failure.retry_after, Some(GUEST_NUMBER_MAX));
        }

        #[test]
        fn secrets_do_not_reach_a_guest_without_the_grant(mut context in strategies::recovery_context()) {
            let secret = "https://me:SECRET@h/a?sig=SECRET".to_owned();
            context.failure.message = format!("failed on {secret}");
            context.failure.final_url = Some(secret.clone());
            context.failure.body_excerpt = Some(format!("<a href=\"{secret}\">"));
            context.failure.response_headers = vec![("location".into(), secret.clone()), ("set-cookie".into(), "SECRET".into())];
            for attempt in &mut context.history {
                attempt.remote_name = secret.clone();
            }
            if let Some(file) = &mut context.call.file {
                file.remote_name = secret.clone();
            }
            let mut whole = context.clone();
            recovery(&mut whole, Sight::Whole);
            prop_assert_eq!(whole.failure.final_url.as_ref(), Some(&secret));
            recovery(&mut context, Sight::Redacted);
            let told = format!("{context:?}");
            prop_assert!(!told.contains("SECRET"));
            prop_assert_eq!(context.failure.final_url.as_deref(), Some("https://h/a"));
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clipped("aé", 2), "a");
        assert_eq!(clipped("aé", 3), "aé");
        assert_eq!(clipped("", 3), "");
    }
}
