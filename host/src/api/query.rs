//! The parameters of a request's query. Unknown and repeated ones are refused: a misspelt filter must not match everything.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::error::Refusal;
use super::wire::FieldProblem;

/// The parameters that nobody has taken yet, and what was wrong with those that were.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    wrong: Vec<FieldProblem>,
}

impl<'a> Query<'a> {
    pub(super) fn of(uri: &'a http::Uri) -> Self {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        Self { pairs, wrong: Vec::new() }
    }

    /// Every value of a parameter that may stand several times.
    pub(super) fn all(&mut self, name: &str) -> Vec<Cow<'a, str>> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// The value of a parameter that may stand once.
    pub(super) fn one(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.refuse(name, "may stand once only");
        }
        values.pop()
    }

    /// A number within limits.
    pub(super) fn number(&mut self, name: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = self.one(name)?;
        let number = value.parse().ok().filter(|number| allowed.contains(number));
        if number.is_none() {
            self.refuse(name, format_args!("must be a whole number, {} to {}", allowed.start(), allowed.end()));
        }
        number
    }

    pub(super) fn refuse(&mut self, name: &str, why: impl Display) {
        self.wrong.push(FieldProblem { field: name.to_owned(), detail: why.to_string() });
    }

    /// Refuses what was wrong, and what nobody has taken.
    pub(super) fn done(mut self, known: &[&str]) -> Result<(), Refusal> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let known = if known.is_empty() {
                "there are none here".into()
            } else {
                format!("there are: {}", known.join(", "))
            };
            self.refuse(&name, format_args!("is no parameter; {known}"));
        }
        if self.wrong.is_empty() { Ok(()) } else { Err(Refusal::fields(self.wrong)) }
    }
}

/// A page of a list whose cursor is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberedPage {
    /// Where it begins.
    pub(super) cursor: u32,
    /// Rows at most.
    pub(super) limit: u32,
}

impl NumberedPage {
    /// From a query that has nothing else.
    pub(super) fn of(uri: &http::Uri, default: u32, allowed: RangeInclusive<u32>) -> Result<Self, Refusal> {
        /// Nine digits: beyond that no list has rows.
        const CURSOR_MAX: u32 = 999_999_999;
        let mut query = Query::of(uri);
        let mut number = |name, allowed: RangeInclusive<u32>| {
            query
                .number(name, (*allowed.start()).into()..=(*allowed.end()).into())
                .and_then(|number| number.try_into().ok())
        };
        let limit = number("limit", allowed).unwrap_or(default);
        let cursor = number("cursor", 0..=CURSOR_MAX).unwrap_or(0);
        query.done(&["limit", "cursor"])?;
        Ok(Self { cursor, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_repeated_and_wrong_parameters_are_each_named() {
        let uri: http::Uri = "/v1/jobs?limit=0&stat=queued&cursor=a&cursor=b&label=x".parse().unwrap();
        let mut query = Query::of(&uri);
        assert_eq!(query.number("limit", 1..=10), None);
        assert_eq!(query.one("cursor").as_deref(), Some("b"));
        assert_eq!(query.all("label"), ["x"]);
        let refusal = format!("{:?}", query.done(&["limit"]).unwrap_err());
        for name in ["limit", "cursor", "stat"] {
            assert!(refusal.contains(&format!("field: {name:?}")), "{refusal}");
        }
    }
}
