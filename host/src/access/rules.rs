//! The rule of every endpoint, and whose jobs a caller sees. One table: an endpoint without a rule is for administrators only, and a
//! test wants a rule for each endpoint of the document.

use super::scope::{Scope, Scopes};
use super::subject::Subject;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose the jobs are that it creates.
    pub subject: Subject,
    /// What it may do.
    pub scopes: Scopes,
    /// Whose jobs it sees.
    pub sight: Sight,
}

/// Whose jobs somebody sees. What it does not see, it is told, is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Its own.
    Own,
    /// Everybody's.
    All,
}

impl Caller {
    /// The one user of a single-user host, or an administrator of another: everything, and everybody's.
    #[must_use]
    pub const fn administrator(subject: Subject) -> Self {
        Self { subject, scopes: Scopes::ALL, sight: Sight::All }
    }

    /// A user among others.
    #[must_use]
    pub fn user(uid: u32) -> Self {
        let scopes = Scopes::from_iter([Scope::Read, Scope::Jobs]);
        Self { subject: Subject::User(uid), scopes, sight: Sight::Own }
    }

    /// Whoever has a token. One that administers sees everybody's jobs.
    #[must_use]
    pub const fn token(subject: Subject, scopes: Scopes) -> Self {
        let sight = if scopes.has(Scope::Admin) { Sight::All } else { Sight::Own };
        Self { subject, scopes, sight }
    }

    /// Whether it sees the jobs of an owner.
    #[must_use]
    pub fn sees(&self, owner: &str) -> bool {
        match self.sight {
            Sight::All => true,
            Sight::Own => self.subject.to_string() == owner,
        }
    }

    /// The owner whose jobs it sees; none if it sees everybody's.
    #[must_use]
    pub fn own(&self) -> Option<String> {
        match self.sight {
            Sight::All => None,
            Sight::Own => Some(self.subject.to_string()),
        }
    }
}

/// What an endpoint needs: one of some scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs(&'static [Scope]);

impl Needs {
    /// Whether a caller has one of them.
    #[must_use]
    pub fn met_by(self, scopes: Scopes) -> bool {
        self.0.iter().any(|scope| scopes.has(*scope))
    }

    /// The least of them: what a caller without any is told to get.
    #[must_use]
    pub const fn least(self) -> Scope {
        self.0[0]
    }
}

/// Whoever is known.
const ANYBODY: Needs = Needs(&Scope::ALL);
const READ: Needs = Needs(&[Scope::Read, Scope::Jobs, Scope::Admin]);
const JOBS: Needs = Needs(&[Scope::Jobs, Scope::Admin]);
/// Jobs name policies: whoever may look at jobs may look at them.
const SEE_POLICIES: Needs = Needs(&[Scope::Policies, Scope::Read, Scope::Jobs, Scope::Admin]);
const ADMIN: Needs = Needs(&[Scope::Admin]);

/// The rules, by method and route. Which job it is about is another question: see [`Caller::sees`].
const RULES: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", ANYBODY),
    ("GET", "/readyz", ANYBODY),
    ("GET", "/openapi.json", ANYBODY),
    ("GET", "/metrics", READ),
    ("GET", "/v1/events", READ),
    ("GET", "/v1/jobs", READ),
    ("POST", "/v1/jobs", JOBS),
    ("GET", "/v1/jobs/{id}", READ),
    ("PATCH", "/v1/jobs/{id}", JOBS),
    ("POST", "/v1/jobs/{id}/cancel", JOBS),
    ("POST", "/v1/jobs/{id}/complete", JOBS),
    ("GET", "/v1/jobs/{id}/decisions", READ),
    ("GET", "/v1/jobs/{id}/error", READ),
    ("GET", "/v1/jobs/{id}/files", READ),
    ("POST", "/v1/jobs/{id}/files", JOBS),
    ("GET", "/v1/jobs/{id}/files/{n}", READ),
    ("PATCH", "/v1/jobs/{id}/files/{n}", JOBS),
    ("GET", "/v1/jobs/{id}/files/{n}/response-headers", READ),
    // Credentials more often than not: whoever only looks has no use for them.
    ("GET", "/v1/jobs/{id}/headers", JOBS),
    ("PUT", "/v1/jobs/{id}/headers", JOBS),
    ("GET", "/v1/jobs/{id}/progress", READ),
    ("POST", "/v1/jobs/{id}/replace-remote-prefix", JOBS),
    ("POST", "/v1/jobs/{id}/resume", JOBS),
    ("GET", "/v1/jobs/{id}/state", READ),
    ("POST", "/v1/jobs/{id}/suspend", JOBS),
    ("POST", "/v1/jobs/{id}/take-ownership", ADMIN),
    ("GET", "/v1/jobs/{id}/why", READ),
    ("GET", "/v1/network", READ),
    ("PUT", "/v1/network/override", ADMIN),
    ("DELETE", "/v1/network/override", ADMIN),
    ("GET", "/v1/policies", SEE_POLICIES),
    ("GET", "/v1/tokens", ADMIN),
    ("POST", "/v1/tokens", ADMIN),
    ("DELETE", "/v1/tokens/{name}", ADMIN),
    ("GET", "/v1/webhooks", READ),
    ("POST", "/v1/webhooks", JOBS),
    ("GET", "/v1/webhooks/{id}", READ),
    ("PATCH", "/v1/webhooks/{id}", JOBS),
    ("DELETE", "/v1/webhooks/{id}", JOBS),
    ("GET", "/v1/webhooks/{id}/deliveries", READ),
    ("POST", "/v1/webhooks/{id}/deliveries/{n}/resend", JOBS),
    ("POST", "/v1/webhooks/{id}/test", JOBS),
];

/// What a request on a route needs. None where the route is there for other methods only: whoever is known may be told so.
#[must_use]
pub fn needs(method: &str, route: &str) -> Option<Needs> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut of_route = RULES.iter().filter(|(_, of, _)| *of == route).peekable();
    if of_route.peek().is_none() {
        return Some(ADMIN);
    }
    of_route.find(|(of, _, _)| *of == method).map(|(_, _, needs)| *needs)
}

/// The methods and routes that have a rule.
pub fn ruled() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|(method, route, _)| (*method, *route))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table as it is meant: method, route, then which of read, jobs, policies, admin opens it alone.
    #[rustfmt::skip]
    const TABLE: [(&str, &str, &str); 42] = [
        ("GET",    "/healthz",                            "rjpa"),
        ("GET",    "/readyz",                             "rjpa"),
        ("GET",    "/openapi.json",                       "rjpa"),
        ("GET",    "/metrics",                            "rj-a"),
        ("GET",    "/v1/events",                          "rj-a"),
        ("GET",    "/v1/jobs",                            "rj-a"),
        ("POST",   "/v1/jobs",                            "-j-a"),
        ("GET",    "/v1/jobs/{id}",                       "rj-a"),
        ("PATCH",  "/v1/jobs/{id}",                       "-j-a"),
        ("POST",   "/v1/jobs/{id}/cancel",                "-j-a"),
        ("POST",   "/v1/jobs/{id}/complete",              "-j-a"),
        ("GET",    "/v1/jobs/{id}/decisions",             "rj-a"),
        ("GET",    "/v1/jobs/{id}/error",                 "rj-a"),
        ("GET",    "/v1/jobs/{id}/files",                 "rj-a"),
        ("POST",   "/v1/jobs/{id}/files",                 "-j-a"),
        ("GET",    "/v1/jobs/{id}/files/{n}",             "rj-a"),
        ("PATCH",  "/v1/jobs/{id}/files/{n}",             "-j-a"),
        ("GET",    "/v1/jobs/{id}/files/{n}/response-headers", "rj-a"),
        ("GET",    "/v1/jobs/{id}/headers",                 "-j-a"),
        ("PUT",    "/v1/jobs/{id}/headers",                 "-j-a"),
        ("GET",    "/v1/jobs/{id}/progress",              "rj-a"),
        ("POST",   "/v1/jobs/{id}/replace-remote-prefix", "-j-a"),
        ("POST",   "/v1/jobs/{id}/resume",                "-j-a"),
        ("GET",    "/v1/jobs/{id}/state",                 "rj-a"),
        ("POST",   "/v1/jobs/{id}/suspend",               "-j-a"),
        ("POST",   "/v1/jobs/{id}/take-ownership",        "---a"),
        ("GET",    "/v1/jobs/{id}/why",                   "rj-a"),
        ("GET",    "/v1/network",                         "rj-a"),
        ("PUT",    "/v1/network/override",                "---a"),
        ("DELETE", "/v1/network/override",                "---a"),
        ("GET",    "/v1/policies",                        "rjpa"),
        ("GET",    "/v1/tokens",                          "---a"),
        ("POST",   "/v1/tokens",                          "---a"),
        ("DELETE", "/v1/tokens/{name}",                   "---a"),
        ("GET",    "/v1/webhooks",                          "rj-a"),
        ("POST",   "/v1/webhooks",                          "-j-a"),
        ("GET",    "/v1/webhooks/{id}",                     "rj-a"),
        ("PATCH",  "/v1/webhooks/{id}",                     "-j-a"),
        ("DELETE", "/v1/webhooks/{id}",                     "-j-a"),
        ("GET",    "/v1/webhooks/{id}/deliveries",          "rj-a"),
        ("POST",   "/v1/webhooks/{id}/deliveries/{n}/resend","-j-a"),
        ("POST",   "/v1/webhooks/{id}/test",                "-j-a"),
    ];

    #[test]
    fn every_cell_of_the_table_is_as_it_is_written() {
        assert_eq!(TABLE.len(), RULES.len());
        for (method, route, opens) in TABLE {
            let needs = needs(method, route).unwrap_or_else(|| panic!("{method} {route} has no rule"));
            for (scope, cell) in Scope::ALL.into_iter().zip(opens.chars()) {
                assert_eq!(needs.met_by(Scopes::from_iter([scope])), cell != '-', "{scope:?} {method} {route}");
            }
            assert!(!needs.met_by(Scopes::default()) && needs.met_by(Scopes::ALL), "{method} {route}");
            assert!(needs.met_by(Scopes::from_iter([needs.least()])));
        }
    }

    #[test]
    fn what_has_no_rule_is_for_administrators_and_another_method_is_told_so() {
        assert_eq!(needs("GET", "/v2/secrets"), Some(ADMIN));
        assert_eq!(needs("BREW", "/v1/jobs"), None);
        assert_eq!(needs("HEAD", "/v1/jobs"), Some(READ));
    }

    #[test]
    fn only_administrators_see_jobs_of_others() {
        let token =
            |scopes: &[Scope]| Caller::token("token:ci".parse().unwrap(), scopes.iter().copied().collect::<Scopes>());
        let root = Caller::administrator(Subject::User(0));
        let callers = [
            (root, "uid:0", true),
            (Caller::user(1000), "uid:1000", false),
            (token(&[Scope::Read]), "token:ci", false),
            (token(&[Scope::Jobs, Scope::Policies]), "token:ci", false),
            (token(&[Scope::Admin]), "token:ci", true),
        ];
        for (caller, own, sees_all) in callers {
            assert!(caller.sees(own));
            for other in ["uid:1001", "uid:10000", "token:c", "token:ci2", "somebody", ""] {
                assert_eq!(caller.sees(other), sees_all, "{caller:?} {other}");
            }
            assert_eq!(caller.own(), (!sees_all).then(|| own.to_owned()));
        }
    }
}
