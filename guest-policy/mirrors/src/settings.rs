//! The settings: which prefixes hold the same files, and when to go to the next.

use backhaul_policy::json::Value;
use backhaul_policy::types::Failure;

/// The settings as a JSON Schema.
pub(crate) const SETTINGS_SCHEMA: &str = include_str!("settings.schema.json");

/// What another mirror may cure: the file is not there, or is not what it should be, or the server does not serve it. Left out are errors
/// of this host (disk, local names), of the request, and of authentication (401, 407): credentials do not go to another origin.
const ON_DEFAULT: [&str; 23] = [
    "403",
    "404",
    "408",
    "410",
    "421",
    "425",
    "429",
    "451",
    "5xx",
    "connect_failure",
    "connection_closed",
    "name_not_resolved",
    "tls_failure",
    "too_slow",
    "no_progress",
    "insufficient_range_support",
    "invalid_server_response",
    "redirect_refused",
    "encoded_body",
    "response_too_large",
    "remote_file_changed",
    "digest_mismatch",
    "validation_failed",
];

/// Sets, and mirrors of one: with all of them tried, the memo stays far below its limit.
const LIST_MAX: usize = 16;
const PREFIX_BYTES_MAX: usize = 1024;
const ON_MAX: usize = 64;
/// The contract's limit on a code.
const CODE_BYTES_MAX: usize = 64;
const FAILURES_MAX: u64 = 1_000;
/// A day, in milliseconds.
const AFTER_MAX: u64 = 86_400_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    sets: Vec<Vec<String>>,
    on: Vec<On>,
    pub(crate) failures: u32,
    pub(crate) scope: Scope,
    pub(crate) after_ms: u64,
    /// Tells these settings from others: what is remembered under one does not count under another.
    pub(crate) fingerprint: u64,
}

/// What moves to the next mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every file below the prefix that failed.
    Job,
    /// The file that failed.
    File,
}

/// One mirror: which list, and which of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) set: usize,
    pub(crate) mirror: usize,
}

impl Place {
    /// Reads `SET.MIRROR`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (set, mirror) = text.split_once('.')?;
        Some(Self { set: set.parse().ok()?, mirror: mirror.parse().ok()? })
    }
}

/// An error that another mirror may cure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum On {
    Status(u16),
    /// By the first digit.
    Statuses(u16),
    Code(String),
}

impl On {
    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse().ok().filter(|class| (3..=5).contains(class));
            return class.map(Self::Statuses);
        }
        if let Ok(status) = text.parse() {
            return (300..=599).contains(&status).then_some(Self::Status(status));
        }
        let is_code =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (is_code && text.len() <= CODE_BYTES_MAX).then(|| Self::Code(text.to_owned()))
    }

    fn covers(&self, failure: &Failure) -> bool {
        match self {
            Self::Status(status) => failure.http_status == Some(*status),
            Self::Statuses(class) => failure.http_status.is_some_and(|status| status / 100 == *class),
            Self::Code(code) => failure.code == *code,
        }
    }
}

impl Settings {
    /// Reads the JSON object that an operator wrote.
    ///
    /// # Errors
    /// One text per problem, each naming the setting and what is allowed.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let value = Value::parse(text).map_err(|e| vec![format!("settings are {e}")])?;
        let Some(members) = value.as_object() else {
            return Err(vec!["settings must be a JSON object".to_owned()]);
        };
        let mut settings = Self {
            sets: Vec::new(),
            on: ON_DEFAULT.into_iter().filter_map(On::parse).collect(),
            failures: 3,
            scope: Scope::Job,
            after_ms: 0,
            fingerprint: fnv1a(text.as_bytes()),
        };
        let mut problems = Vec::new();
        if value.get("mirrors").is_none() {
            problems
                .push("`mirrors` is missing: a list of at least two URL prefixes that hold the same files".to_owned());
        }
        for (name, value) in members {
            match name.as_str() {
                "mirrors" => settings.sets = sets(value, &mut problems),
                "on" => settings.on = errors(value, &mut problems),
                "failures" => match value.as_u64().filter(|count| (1..=FAILURES_MAX).contains(count)) {
                    Some(count) => settings.failures = u32::try_from(count).expect("at most 1000"),
                    None => problems.push("`failures` must be a whole number from 1 to 1000".to_owned()),
                },
                "scope" => match value.as_str() {
                    Some("job") => settings.scope = Scope::Job,
                    Some("file") => settings.scope = Scope::File,
                    _ => problems.push("`scope` must be \"job\" or \"file\"".to_owned()),
                },
                "after_seconds" => match value.as_thousandths().filter(|ms| *ms <= AFTER_MAX) {
                    Some(ms) => settings.after_ms = ms,
                    None => problems.push(
                        "`after_seconds` must be a number from 0 to 86400, with at most three decimal places"
                            .to_owned(),
                    ),
                },
                _ => problems
                    .push(format!("`{name}` is unknown, allowed are: mirrors, on, failures, scope, after_seconds")),
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// The mirrors of a list.
    pub(crate) fn set(&self, place: Place) -> &[String] {
        &self.sets[place.set]
    }

    /// The prefix of a mirror.
    pub(crate) fn prefix(&self, place: Place) -> &str {
        &self.sets[place.set][place.mirror]
    }

    /// The mirror that a URL lies on. At most one: no prefix begins with another.
    pub(crate) fn place_of(&self, url: &str) -> Option<Place> {
        let mirror_of = |set: &Vec<String>| set.iter().position(|prefix| url.starts_with(prefix.as_str()));
        self.sets.iter().enumerate().find_map(|(index, set)| Some(Place { set: index, mirror: mirror_of(set)? }))
    }

    /// Whether another mirror may cure this failure.
    pub(crate) fn covers(&self, failure: &Failure) -> bool {
        self.on.iter().any(|on| on.covers(failure))
    }
}

/// The lists of mirrors: one list of prefixes, or several.
fn sets(value: &Value, problems: &mut Vec<String>) -> Vec<Vec<String>> {
    let elements = value.as_array().unwrap_or_default();
    let nested = elements.iter().any(|element| element.as_array().is_some());
    let lists: Vec<(String, &Value)> = if nested {
        elements.iter().enumerate().map(|(index, list)| (format!("mirrors[{index}]"), list)).collect()
    } else {
        vec![("mirrors".to_owned(), value)]
    };
    if lists.len() > LIST_MAX {
        problems.push(format!("`mirrors` may hold at most {LIST_MAX} lists"));
        return Vec::new();
    }
    let sets: Vec<Vec<String>> = lists.into_iter().map(|(name, list)| prefixes(&name, list, problems)).collect();
    let all: Vec<&String> = sets.iter().flatten().collect();
    for (index, prefix) in all.iter().enumerate() {
        // A URL would lie on both.
        let overlaps = |(other, known): (usize, &&String)| {
            other != index && prefix.starts_with(known.as_str()) && (*prefix != *known || other < index)
        };
        if let Some((_, known)) = all.iter().enumerate().find(|pair| overlaps(*pair)) {
            problems.push(format!("`mirrors`: {prefix} begins with {known}: no prefix may begin with another"));
        }
    }
    sets
}

fn prefixes(name: &str, value: &Value, problems: &mut Vec<String>) -> Vec<String> {
    let elements = value.as_array().unwrap_or_default();
    if !(2..=LIST_MAX).contains(&elements.len()) {
        problems.push(format!("`{name}` must be a list of 2 to {LIST_MAX} URL prefixes"));
        return Vec::new();
    }
    let mut prefixes = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        match element.as_str().ok_or("must be a URL prefix in quotes").and_then(prefix) {
            Ok(prefix) => prefixes.push(prefix.to_owned()),
            Err(why) => problems.push(format!("`{name}[{index}]` {why}")),
        }
    }
    prefixes
}

/// Checks a prefix. URLs are compared as the host writes them, so a prefix must be written that way to match at all.
fn prefix(text: &str) -> Result<&str, &'static str> {
    if text.len() > PREFIX_BYTES_MAX {
        return Err("must be at most 1024 bytes long");
    }
    let Some((scheme @ ("http" | "https"), rest)) = text.split_once("://") else {
        return Err("must begin with http:// or https://");
    };
    if !text.ends_with('/') {
        return Err("must end with `/`, so that it matches whole names only");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['?', '#', '\\']) {
        return Err("must be a plain URL: no spaces, no query, no fragment, other characters percent-encoded");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err("must name a server");
    }
    if authority.contains('@') {
        return Err("must hold no user name or password: grant a credential instead");
    }
    if authority.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("must have the server's name in lower case");
    }
    let default_port = if scheme == "http" { ":80" } else { ":443" };
    if authority.ends_with(default_port) || authority.ends_with(':') {
        return Err("must leave out the default port");
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("must hold no `.` or `..` as a part of its path");
    }
    Ok(text)
}

fn errors(value: &Value, problems: &mut Vec<String>) -> Vec<On> {
    let elements = value.as_array().unwrap_or_default();
    if !(1..=ON_MAX).contains(&elements.len()) {
        problems.push(format!("`on` must be a list of 1 to {ON_MAX} HTTP statuses and error codes"));
    }
    let mut errors = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let on = match element {
            Value::Number(text) | Value::String(text) => On::parse(text),
            _ => None,
        };
        match on {
            Some(on) => errors.push(on),
            None => problems.push(format!(
                "`on[{index}]` must be an HTTP status from 300 to 599, \"3xx\", \"4xx\", \"5xx\", or an error code such as \"connect_failure\""
            )),
        }
    }
    errors
}

/// FNV-1a: enough to see that settings were changed.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
