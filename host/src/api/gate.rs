//! What a request over TCP has to be like before anything of it is looked at.
//!
//! A browser on the same machine can be made to send requests here by any page that it shows, under any name that the page's owner
//! has pointed here. So the name in Host has to be one that this host is known by, Origin (which browsers add) has to be allowed, and
//! both are compared with a list: that they are equal to each other says nothing, for whoever points the name here controls both.

use std::net::{IpAddr, SocketAddr};

use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::error::Refusal;
use super::failures::{Failures, Verdict};
use crate::access::TokenDigest;

/// See the module.
#[derive(Debug)]
pub(super) struct Gate {
    /// Names that Host may have, in lower case; addresses without brackets.
    hosts: Vec<String>,
    /// Origins of pages that may ask, in lower case.
    origins: Vec<String>,
    failures: Failures,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Gate {
    /// For a server that listens on an address, and is known by further names.
    pub(super) fn new(listen: SocketAddr, scheme: Scheme, host_names: &[String], origins: &[String]) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        if !listen.ip().is_unspecified() {
            hosts.push(listen.ip().to_string());
        }
        hosts.extend(host_names.iter().map(|name| name.to_ascii_lowercase()));
        let scheme = if scheme == Scheme::Https { "https" } else { "http" };
        let bracketed = |host: &String| if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let own = hosts.iter().map(|host| format!("{scheme}://{}:{}", bracketed(host), listen.port()));
        let origins = own.chain(origins.iter().map(|origin| origin.to_ascii_lowercase())).collect();
        Self { hosts, origins, failures: Failures::default() }
    }

    /// Checks everything but who it is.
    pub(super) fn check(&self, parts: &Parts, has_body: bool) -> Result<(), Refusal> {
        self.check_host(parts)?;
        if let Some(origin) = parts.headers.get(header::ORIGIN) {
            let is_allowed = one(&parts.headers, &header::ORIGIN)
                && self.origins.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()));
            if !is_allowed {
                let detail = "pages of this origin may not ask here; api.origins lists those that may";
                return Err(Refusal::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail));
            }
        }
        // What a page can send without being asked is never JSON.
        let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_json);
        if has_body && !is_json && !matches!(parts.method, Method::GET | Method::HEAD) {
            let detail = "a body must be JSON, with the field Content-Type: application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        Ok(())
    }

    fn check_host(&self, parts: &Parts) -> Result<(), Refusal> {
        let missing = || {
            let detail = "a request needs one field Host, with a name of this host";
            Refusal::new(StatusCode::BAD_REQUEST, "host_missing", detail)
        };
        if !one(&parts.headers, &header::HOST) {
            return Err(missing());
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or_else(missing)?;
        // A target with an authority in it names the host as well, and goes before the field.
        let target = parts.uri.authority().map(Authority::as_str);
        let is_known = [Some(host), target].into_iter().flatten().all(|authority| self.is_known(authority));
        if is_known {
            return Ok(());
        }
        let detail = "this host is not known by the name in Host; api.host_names lists further names";
        Err(Refusal::new(StatusCode::FORBIDDEN, "host_not_allowed", detail))
    }

    fn is_known(&self, authority: &str) -> bool {
        let Ok(parsed) = authority.parse::<Authority>() else { return false };
        // User names have no place there, and nothing but a port follows the name.
        if authority.contains('@') {
            return false;
        }
        let host = parsed.host();
        let rest = authority.strip_prefix(host).unwrap_or(authority);
        let is_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        is_port && self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// The digest of the token that a request brings.
    pub(super) fn token(parts: &Parts) -> Option<TokenDigest> {
        if !one(&parts.headers, &header::AUTHORIZATION) {
            return None;
        }
        let value = parts.headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked(7)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
        (is_bearer && !token.is_empty()).then(|| TokenDigest::of(token.trim_ascii()))
    }

    /// What a request without a token that is worth something is answered with.
    pub(super) fn unauthorised(&self, from: IpAddr) -> Response {
        match self.failures.note(from) {
            Verdict::Told => {
                let detail = "a request over TCP needs the field Authorization: Bearer, with a token of this host \
                    (backhaul token create)";
                let mut response = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
                let challenge = HeaderValue::from_static("Bearer realm=\"backhaul\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            Verdict::TooMany { retry_after } => {
                let detail = "too many requests without a valid token came from this address";
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail);
                let mut response = refusal.into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
                response
            }
        }
    }
}

fn one(headers: &HeaderMap, name: &header::HeaderName) -> bool {
    headers.get_all(name).iter().count() == 1
}

fn is_json(value: &HeaderValue) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(target: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("POST").uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn gate(listen: &str) -> Gate {
        let names = ["Backhaul.Example".to_owned()];
        Gate::new(listen.parse().unwrap(), Scheme::Https, &names, &["https://Console.example".to_owned()])
    }

    #[test]
    fn a_token_is_one_field_with_the_word_before_it() {
        let digest = Some(TokenDigest::of(b"t0ken"));
        let of = |fields: &[(&str, &str)]| Gate::token(&parts("/", fields));
        assert_eq!(of(&[("authorization", "Bearer t0ken")]), digest);
        assert_eq!(of(&[("authorization", "bEARER  t0ken ")]), digest);
        for wrong in ["", "Bearer", "Bearer ", "Basic t0ken", "t0ken", "Bearert0ken"] {
            assert_eq!(of(&[("authorization", wrong)]), None, "{wrong:?}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("authorization", "Bearer t0ken"), ("authorization", "Bearer x")]), None);
    }

    #[test]
    fn the_address_that_is_listened_on_is_a_name_unless_it_is_any() {
        let host = |gate: &Gate, host: &str| gate.check(&parts("/", &[("host", host)]), false).is_ok();
        assert!(host(&gate("192.0.2.7:9000"), "192.0.2.7:9000") && host(&gate("192.0.2.7:9000"), "192.0.2.7"));
        assert!(host(&gate("[2001:db8::7]:9000"), "[2001:db8::7]:1"));
        assert!(!host(&gate("0.0.0.0:9000"), "0.0.0.0:9000") && !host(&gate("[::]:9000"), "[::]:9000"));
        assert!(host(&gate("0.0.0.0:9000"), "BACKHAUL.example") && !host(&gate("0.0.0.0:9000"), "192.0.2.7"));
    }

    #[test]
    fn what_follows_a_name_is_a_port_and_nothing_else() {
        let gate = gate("127.0.0.1:9000");
        for wrong in [
            "localhost:",
            "localhost:99999",
            "localhost:-1",
            "a@localhost",
            "localhost/",
            "localhost:80:80",
            "localhost.",
            "[localhost]x",
            "",
        ] {
            assert!(gate.check(&parts("/", &[("host", wrong)]), false).is_err(), "{wrong:?}");
        }
        let both = parts("http://evil.example/", &[("host", "localhost")]);
        assert!(gate.check(&both, false).is_err(), "the target names another host");
    }

    #[test]
    fn a_body_is_json_or_not_taken() {
        let gate = gate("127.0.0.1:9000");
        let of = |kind: Option<&str>, has_body| {
            let mut fields = vec![("host", "localhost")];
            fields.extend(kind.map(|kind| ("content-type", kind)));
            gate.check(&parts("/v1/jobs", &fields), has_body).is_ok()
        };
        assert!(
            of(Some("application/json"), true) && of(Some("Application/JSON; charset=utf-8"), true) && of(None, false)
        );
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data"),
            Some("text/json"),
        ] {
            assert!(!of(kind, true), "{kind:?}");
        }
    }
}
