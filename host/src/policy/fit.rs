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
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::policy::contract::{AttemptView, BudgetView, CostState, InterfaceKind, InterfaceView};
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

    fn any_of<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
    }

    /// One too many, and each too long.
    fn swollen() -> Attributes {
        let pair = ("n".repeat(limits::ATTRIBUTE_KEY_BYTES_MAX + 1), "v".repeat(HEADER_VALUE_BYTES_MAX + 1));
        vec![pair; limits::ATTRIBUTES_MAX + 1]
    }

    fn fitted(value_bytes_max: usize) -> Attributes {
        vec![("n".repeat(limits::ATTRIBUTE_KEY_BYTES_MAX), "v".repeat(value_bytes_max)); limits::ATTRIBUTES_MAX]
    }

    fn interfaces(count: usize) -> Vec<InterfaceView> {
        let interface = InterfaceView {
            name: "eth0".into(),
            kind: InterfaceKind::Ethernet,
            cost: CostState::Unrestricted,
            roaming: false,
            congested: false,
            attributes: swollen(),
        };
        vec![interface; count]
    }

    #[test]
    fn lists_and_texts_are_cut_to_their_limits() {
        let long = || "x".repeat(URL_BYTES_MAX + 1);
        let mut context = any_of(strategies::recovery_context());
        context.call.job.display_name = long();
        context.call.job.labels = swollen();
        context.call.job.attributes = swollen();
        context.call.attributes = swollen();
        context.call.file = Some(FileView { remote_name: long(), ..any_of(strategies::file()) });
        context.failure.file.clone_from(&context.call.file);
        context.failure.message = long();
        context.failure.final_url = Some(long());
        context.failure.body_excerpt = Some(long());
        context.failure.response_headers = swollen();
        context.failure.attributes = swollen();
        let attempt = AttemptView { remote_name: long(), ..any_of(strategies::attempt()) };
        context.history = vec![attempt.clone(); limits::HISTORY_MAX];
        context.history.insert(0, AttemptView { code: "oldest".into(), ..attempt });
        for sight in [Sight::Whole, Sight::Redacted] {
            let mut context = context.clone();
            recovery(&mut context, sight);
            let (call, failure) = (context.call, context.failure);
            assert_eq!(call.job.display_name.len(), limits::ATTRIBUTE_VALUE_BYTES_MAX);
            for attributes in [call.job.labels, call.job.attributes, call.attributes, failure.attributes] {
                assert_eq!(attributes, fitted(limits::ATTRIBUTE_VALUE_BYTES_MAX));
            }
            assert_eq!(failure.response_headers, fitted(HEADER_VALUE_BYTES_MAX));
            for file in [call.file, failure.file] {
                assert_eq!(file.unwrap().remote_name.len(), URL_BYTES_MAX);
            }
            assert_eq!(failure.message.len(), limits::MESSAGE_BYTES_MAX);
            assert_eq!(failure.final_url.unwrap().len(), URL_BYTES_MAX);
            assert_eq!(failure.body_excerpt.unwrap().len(), limits::BODY_EXCERPT_BYTES_MAX);
            assert_eq!(context.history.len(), limits::HISTORY_MAX);
            assert!(context.history.iter().all(|attempt| attempt.code != "oldest"));
            assert!(context.history.iter().all(|attempt| attempt.remote_name.len() == URL_BYTES_MAX));
        }
    }

    #[test]
    fn the_network_is_cut_to_its_limits_and_a_route_leads_to_an_interface_that_is_told() {
        let budget = BudgetView {
            name: "monthly".into(),
            interface_name: "eth0".into(),
            limit: u64::MAX,
            used: u64::MAX,
            resets_at: Some(u64::MAX),
        };
        let mut context = any_of(strategies::admit_context());
        context.held_since = Some(u64::MAX);
        context.call.now_at = u64::MAX;
        context.call.host.bytes_per_second = u64::MAX;
        context.call.network.budgets = vec![budget; limits::BUDGETS_MAX + 1];
        context.call.network.attributes = swollen();
        for (count, route, told) in
            [(0, 0, None), (2, 1, Some(1)), (2, 2, None), (2, 3, None), (17, 15, Some(15)), (17, 16, None)]
        {
            let mut context = context.clone();
            (context.call.network.interfaces, context.call.network.route) = (interfaces(count), Some(route));
            admit(&mut context, Sight::Whole);
            assert_eq!(context.held_since, Some(GUEST_NUMBER_MAX));
            assert_eq!(context.call.now_at, GUEST_NUMBER_MAX);
            assert_eq!(context.call.host.bytes_per_second, GUEST_NUMBER_MAX);
            let network = context.call.network;
            assert_eq!((network.interfaces.len(), network.route), (count.min(limits::INTERFACES_MAX), told));
            assert_eq!(network.attributes, fitted(limits::ATTRIBUTE_VALUE_BYTES_MAX));
            for interface in network.interfaces {
                assert_eq!(interface.attributes, fitted(limits::ATTRIBUTE_VALUE_BYTES_MAX));
            }
            assert_eq!(network.budgets.len(), limits::BUDGETS_MAX);
            for budget in network.budgets {
                let numbers = (budget.limit, budget.used, budget.resets_at);
                assert_eq!(numbers, (GUEST_NUMBER_MAX, GUEST_NUMBER_MAX, Some(GUEST_NUMBER_MAX)));
            }
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clipped("aé", 2), "a");
        assert_eq!(clipped("aé", 3), "aé");
        assert_eq!(clipped("", 3), "");
    }
}
