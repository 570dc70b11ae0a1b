//! The one redactor: what guests are given, what they say, and what is kept of both.
//!
//! URLs in free text lose userinfo, query and fragment (a signed URL is a credential); values that stand behind the name of a secret, as in
//! `Authorization: ...` or `token=...`, are replaced. It errs on the side of removing too much.

use std::borrow::Cow;
use std::ops::Range;

/// What stands where something was removed.
const REMOVED: &str = "***";

/// Names whose value is removed up to the end of the line: a credential may have several words.
const SECRET_LINES: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate"];

/// Names whose value is removed up to the next space or separator.
const SECRET_WORDS: [&str; 15] = [
    "password",
    "passwd",
    "secret",
    "token",
    "access_token",
    "access-token",
    "auth-token",
    "x-auth-token",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
];

/// Shorter words behind `bearer` are prose.
const BEARER_CHARS_MIN: usize = 8;

/// What is left may look like a secret itself, as in `token=?x next`. Each round removes something; more than two were never seen.
const ROUNDS_MAX: usize = 8;

/// Free text without secrets. Borrowed if there was nothing to remove.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let Cow::Owned(mut redacted) = one_round(text) else { return Cow::Borrowed(text) };
    for _ in 1..ROUNDS_MAX {
        match one_round(&redacted) {
            Cow::Owned(again) => redacted = again,
            Cow::Borrowed(_) => break,
        }
    }
    Cow::Owned(redacted)
}

fn one_round(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| matches!(byte, b':' | b'=' | b' ')) {
        let separator = at + found;
        at = separator + 1;
        for (cut, replacement) in secret_at(text, separator).into_iter().flatten() {
            out.push_str(&text[kept..cut.start]);
            out.push_str(replacement);
            kept = cut.end;
            at = kept;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// A part of the text, never empty, and what stands in its place.
type Cut = (Range<usize>, &'static str);

/// The cuts that the separator at this byte calls for: behind it, and one behind the other.
fn secret_at(text: &str, separator: usize) -> [Option<Cut>; 2] {
    let (before, after) = (&text[..separator], &text[separator + 1..]);
    if text.as_bytes()[separator] == b' ' {
        return [bearer(before, after, separator + 1), None];
    }
    if after.starts_with("//") && before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return url_parts(after, separator + 1);
    }
    let name = before.trim_end_matches(['"', '\'', ' ']);
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = &name[name.trim_end_matches(is_of_name).len()..];
    let value = after.trim_start_matches(['"', '\'', ' ', '\t']);
    let from = separator + 1 + (after.len() - value.len());
    let length = if SECRET_LINES.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        value.find(['\r', '\n', '"']).unwrap_or(value.len())
    } else if SECRET_WORDS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        value.find(|c: char| c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'')).unwrap_or(value.len())
    } else {
        0
    };
    [(length > 0 && &value[..length] != REMOVED).then_some((from..from + length, REMOVED)), None]
}

/// `after` is what stands behind the word and the space.
fn bearer(before: &str, after: &str, from: usize) -> Option<Cut> {
    let word = before.len().checked_sub("bearer".len()).and_then(|start| before.get(start..))?;
    if !word.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let length = after.find(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'')).unwrap_or(after.len());
    (length >= BEARER_CHARS_MIN).then_some((from..from + length, REMOVED))
}

/// Userinfo and query of a URL; `rest` begins with its two slashes and lies at `offset` in the text.
fn url_parts(rest: &str, offset: usize) -> [Option<Cut>; 2] {
    let end = rest.find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`'));
    let url = &rest[..end.unwrap_or(rest.len())];
    let authority_end = url[2..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| at + 2);
    let userinfo = url[..authority_end].rfind('@').map(|at| (offset + 2..offset + at + 1, ""));
    let query = url.find(['?', '#']).map(|at| (offset + at..offset + url.len(), ""));
    [userinfo, query]
}

/// Whether a value under this name is a secret, whatever it looks like.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    SECRET_LINES.iter().chain(&SECRET_WORDS).any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Redacts in place; tells whether something was removed.
pub fn in_place(value: &mut String) -> Removed {
    match text(value) {
        Cow::Borrowed(_) => Removed::Nothing,
        Cow::Owned(redacted) => {
            *value = redacted;
            Removed::Something
        }
    }
}

/// Redacts a value that has a name.
pub fn named(name: &str, value: &mut String) -> Removed {
    if is_secret_name(name) && !value.is_empty() && value != REMOVED {
        REMOVED.clone_into(value);
        return Removed::Something;
    }
    in_place(value)
}

/// What a guest says to people, on one line: redacted, and without characters that move the cursor of a terminal.
#[must_use]
pub fn line(said: &str) -> String {
    let said = text(said);
    if said.chars().any(char::is_control) {
        said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    } else {
        said.into_owned()
    }
}

/// Whether something was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Removed {
    /// The text is as it was.
    Nothing,
    /// It is not: what is kept cannot be replayed exactly.
    Something,
}

impl Removed {
    /// Something was removed here or there.
    pub const fn or(self, other: Self) -> Self {
        match self {
            Self::Something => self,
            Self::Nothing => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_lose_userinfo_query_and_fragment() {
        for (given, kept) in [
            ("https://u:p@h:8443/a/b?sig=x#f", "https://h:8443/a/b"),
            ("see <http://h/a?x=1>, then http://h/b", "see <http://h/a>, then http://h/b"),
            ("\"http://h?x\" and (https://a@b/c)", "\"http://h\" and (https://b/c)"),
            ("ftp://me@h", "ftp://h"),
            ("http://h/p?...", "http://h/p"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://host.example/@b", "http://host.example/@b"),
            ("http://@h/", "http://h/"),
            ("http://h\\@x/?y", "http://h\\@x/"),
            ("http://u:p@[::1]:80/?q", "http://[::1]:80/"),
            ("a http://x:y@h/1?a http://x:y@h/2?b z", "a http://h/1 http://h/2 z"),
            ("http://h/?u=http://i/?v", "http://h/"),
        ] {
            assert_eq!(text(given), kept, "{given}");
        }
    }

    #[test]
    fn values_behind_the_name_of_a_secret_are_replaced() {
        for (given, kept) in [
            ("Authorization: Basic dXNlcg==, and more", "Authorization: ***"),
            ("authorization: a\nnext", "authorization: ***\nnext"),
            ("{\"Cookie\": \"a=b; c\"}", "{\"Cookie\": \"***\"}"),
            ("token=abc&x=1", "token=***&x=1"),
            ("X-Api-Key : abc def", "X-Api-Key : *** def"),
            ("sent Bearer eyJhbGciOi.x to it", "sent Bearer *** to it"),
            ("password='p q'", "password='*** q'"),
            ("?api_key=a;b", "?api_key=***;b"),
            ("Bearer 12345678", "Bearer ***"),
        ] {
            assert_eq!(text(given), kept, "{given}");
        }
    }

    #[test]
    fn ordinary_text_stays_and_is_not_copied() {
        for given in [
            "",
            "retry in 5 s",
            "a: b",
            "ratio=3",
            "the bearer of",
            "bearer",
            "12:30:00",
            "https://h/a/b",
            "tokens: 3",
            "token=",
            "token=*** next",
            "Authorization: ***",
            "bearer 1234567",
            "://",
            "é: ü",
        ] {
            assert!(matches!(text(given), Cow::Borrowed(_)), "{given}");
            assert_eq!(text(given), given);
        }
    }

    #[test]
    fn a_named_value_is_replaced_whole() {
        let redacted = |name: &str, value: &str| {
            let mut value = value.to_owned();
            let removed = named(name, &mut value);
            (value, removed)
        };
        assert_eq!(redacted("Cookie", "a"), ("***".into(), Removed::Something));
        assert_eq!(redacted("cookie", "***"), ("***".into(), Removed::Nothing));
        assert_eq!(redacted("token", ""), (String::new(), Removed::Nothing));
        assert_eq!(redacted("location", "http://h/?s"), ("http://h/".into(), Removed::Something));
        assert_eq!(redacted("etag", "\"x\""), ("\"x\"".into(), Removed::Nothing));
    }

    #[test]
    fn a_line_has_no_control_characters() {
        assert_eq!(line("a\u{1b}[2Jb\nc http://h/?x"), "a [2Jb c http://h/");
    }

    proptest! {
        #[test]
        fn redacting_is_idempotent(given in ".{0,80}|([a-z:/?@#= ]|token|http://|bearer ){0,24}") {
            let once = text(&given).into_owned();
            prop_assert_eq!(text(&once), once.as_str());
        }

        #[test]
        fn no_query_and_no_userinfo_survives(before in "[a-z ]{0,8}", path in "[a-z/.]{0,8}", after in "( [a-z]{1,4})?") {
            let given = format!("{before} https://user:SECRET@host/{path}?SECRET=SECRET{after}");
            let redacted = text(&given);
            prop_assert!(!redacted.contains("SECRET"), "{}", redacted);
            prop_assert!(redacted.ends_with(&after), "{}", redacted);
        }
    }
}
