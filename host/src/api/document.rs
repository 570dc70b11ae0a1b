//! The OpenAPI document: what all operations share, and the refusals that each can be answered with.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Tree, Ref, RefOr, Response, Schema};

use super::error::PROBLEM_TYPE;
use super::wire;

/// What stands around the operations.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Backhaul host API",
        description = "Create, poll, follow and steer background transfers. Durations are seconds (fractions allowed), sizes bytes, times \
            RFC 3339 in UTC; what is unknown is null. Errors are problems as in RFC 9457, with BITS's code and number. On the unix socket \
            the kernel says who asks. Over TCP each request needs a token, a Host that the daemon is known by, and a Content-Type of \
            application/json if it has a body. Who is no administrator sees its own jobs and what belongs to them: others are not there.",
    ),
    components(schemas(wire::Problem, wire::FieldProblem, wire::ProgressEvent, wire::MissedEvent, wire::CutOffEvent)),
    // Either: the socket needs none.
    security((), ("token" = []))
)]
pub(super) struct Document;

/// Adds to each operation the refusals that follow from its shape. The operations themselves only list their own answers.
pub(super) fn describe_refusals(document: &mut Tree) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("Over TCP: a token of `POST /v1/tokens`."))
        .build();
    document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(token));
    for (path, item) in &mut document.paths.paths {
        for (is_read, operation) in operations(item) {
            operation.parameters.iter_mut().flatten().for_each(without_null);
            for (status, when) in refusals(path, operation, is_read) {
                let described = operation.responses.responses.entry(status.to_owned());
                let described = described.or_insert_with(|| RefOr::T(Response::new(when)));
                if let RefOr::T(response) = described
                    && response.content.is_empty()
                {
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    response.content.insert(PROBLEM_TYPE.to_owned(), problem.into());
                }
            }
        }
    }
}

/// A parameter that may be left out is not one that may be null: a query or a header has no null.
fn without_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(object))), .. }) = parameter
        && let SchemaType::Array(types) = &mut object.schema_type
    {
        types.retain(|one| *one != Type::Null);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let reads = [&mut item.get].into_iter().map(|operation| (true, operation));
    let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter();
    let all = reads.chain(writes.map(|operation| (false, operation)));
    all.filter_map(|(is_read, operation)| operation.as_mut().map(|operation| (is_read, operation)))
}

fn refusals(path: &str, operation: &Operation, is_read: bool) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![
        ("401", "Over TCP: the request has no token that is worth something (`unauthorized`)."),
        (
            "403",
            "The caller lacks the scope (`access_denied`). Over TCP: Host or Origin is not allowed (`host_not_allowed`, `origin_not_allowed`).",
        ),
        ("429", "Over TCP: too many requests without a valid token came from this address (`too_many_failures`)."),
        ("500", "A defect of the host (`internal`)."),
        ("503", "The store cannot be used, or the host is stopping (`store_unavailable`, `stopping`, `timed_out`)."),
    ];
    let takes = |place: ParameterIn| {
        operation
            .parameters
            .iter()
            .flatten()
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let is_of_job = path.starts_with("/v1/jobs/{");
    if path.starts_with("/v1/webhooks/{") {
        refusals.push((
            "404",
            "There is no such webhook, or no such delivery of it (`webhook_not_found`, `delivery_not_found`).",
        ));
    }
    if is_of_job {
        refusals.push(("404", "There is no such job, or no such file of it (`not_found`, `file_not_found`, `error_information_unavailable`)."));
    }
    if !is_read && is_of_job {
        refusals.push((
            "409",
            "The job's state does not allow it (`invalid_state`, `empty`), or its files cannot get their names.",
        ));
    }
    if operation.request_body.is_some() {
        refusals.extend([
            ("400", "The body is no JSON (`bad_json`), or ended before it was whole."),
            ("408", "The body was not there in time (`request_timeout`)."),
            ("413", "The body is over the limit (`body_too_large`)."),
            ("415", "The body is not said to be JSON (`unsupported_media_type`)."),
        ]);
    }
    if operation.request_body.is_some() || takes(ParameterIn::Query) || takes(ParameterIn::Header) {
        refusals.push(("422", "Fields or parameters are wrong; each is named (`invalid_field`)."));
    }
    refusals
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::access::ruled;

    #[test]
    fn every_operation_has_a_rule_and_every_rule_an_operation() {
        let (_, document) = super::super::router::build();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        });
        let ruled = ruled().map(|(method, route)| (method.to_owned(), route.to_owned()));
        assert_eq!(operations.collect::<BTreeSet<_>>(), ruled.collect::<BTreeSet<_>>());
        assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
        assert_eq!(document["security"], serde_json::json!([{}, { "token": [] }]));
    }

    #[test]
    fn every_operation_says_how_it_can_be_refused() {
        let (_, document) = super::super::router::build();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        let mut operations = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                let problem = &responses["503"]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
                assert_eq!(responses.contains_key("404"), path.contains('{'), "{method} {path}");
                operations += 1;
            }
        }
        assert!(operations >= 20, "{operations}");
    }
}
