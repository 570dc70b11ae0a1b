//! Joins a [`Policy`] to the generated exports.

use std::marker::PhantomData;
use std::panic::PanicHookInfo;

use crate::bindings::exports::backhaul::policy::meta::Guest as Meta;
use crate::bindings::exports::backhaul::policy::{network_cost, recovery, retry};
use crate::{Descriptor, Policy, host};

/// Offers `P` under the names of the contract.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

/// Without this hook a panic is a bare `unreachable` to the host, and to the operator.
fn report_panics() {
    fn report(panic: &PanicHookInfo<'_>) {
        host::error(&panic.to_string());
    }
    std::panic::set_hook(Box::new(report));
}

impl<P: Policy> Meta for Exported<P> {
    fn describe() -> Descriptor {
        report_panics();
        P::describe()
    }

    fn validate_settings(settings: String) -> Result<(), Vec<String>> {
        report_panics();
        P::validate_settings(&settings)
    }
}

impl<P: Policy> retry::Guest for Exported<P> {
    fn on_failure(context: retry::Context) -> Result<retry::Answer, String> {
        report_panics();
        P::on_failure(&context)
    }
}

impl<P: Policy> network_cost::Guest for Exported<P> {
    fn admit(context: network_cost::Context) -> Result<network_cost::Answer, String> {
        report_panics();
        P::admit(&context)
    }
}

impl<P: Policy> recovery::Guest for Exported<P> {
    fn on_error(context: recovery::Context) -> Result<recovery::Answer, String> {
        report_panics();
        P::on_error(&context)
    }
}
