//! What one call of a guest may reach, and what it used: the host's functions, the memory limit, the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest as _, Sha256 as Hasher};
use wasmtime::ResourceLimiter;

use super::bindings::{host, types};
use super::contract::{FileView, Hook, limits};
use super::convert::ToGuest as _;
use super::engine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use super::{FilesPage, fit, redact};
use crate::job::{FileIndex, FileSummary, PolicyName, Sha256};

/// Pages that a guest may read in one call: they are kept with the decision, and 16,384 files say enough about a job.
const FILES_PAGES_MAX: usize = 64;

/// What a chain must know of a job beyond the question. Asked on the policy thread; an answer must not wait for the driver.
pub trait JobFacts: Send {
    /// What the policy left behind for this hook: the committed memo, overlaid with those of the running batch. Empty if none.
    fn memo(&mut self, policy: &PolicyName, hook: Hook) -> Vec<u8>;

    /// Files of the job in order, from number `first`, at most `count` (256 at most). Remote names as in the question.
    fn files(&mut self, first: u32, count: u32) -> Vec<FileView>;

    /// One file as the core needs it to begin it again; none if it cannot be read.
    fn summary(&mut self, file: FileIndex) -> Option<FileSummary>;
}

/// Nothing remembered, no files: for contexts without a job, such as loading and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl JobFacts for NoFacts {
    fn memo(&mut self, _policy: &PolicyName, _hook: Hook) -> Vec<u8> {
        Vec::new()
    }

    fn files(&mut self, _first: u32, _count: u32) -> Vec<FileView> {
        Vec::new()
    }

    fn summary(&mut self, _file: FileIndex) -> Option<FileSummary> {
        None
    }
}

/// A policy's settings, checked: empty, or a JSON object.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) text: String,
    /// Top-level scalars as text.
    scalars: BTreeMap<String, String>,
    pub(super) digest: Option<Sha256>,
}

impl Settings {
    /// Reads them; the error says what is wrong.
    pub(super) fn parse(text: String) -> Result<Self, String> {
        if text.len() > limits::SETTINGS_BYTES_MAX {
            return Err(format!(
                "the settings have {} bytes; at most {} are allowed",
                text.len(),
                limits::SETTINGS_BYTES_MAX
            ));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("the settings are no JSON: {error}"))?;
        let serde_json::Value::Object(members) = value else {
            return Err("the settings are no JSON object, such as {\"name\": 1}".into());
        };
        let scalar = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(value) => Some(value.to_string()),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        };
        let scalars = members.into_iter().filter_map(|(name, value)| Some((name, scalar(value)?))).collect();
        let digest = Some(Sha256(Hasher::digest(text.as_bytes()).into()));
        Ok(Self { text, scalars, digest })
    }
}

/// Whether a guest sees the queries of remote names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// URLs come without userinfo and query.
    Redacted,
    /// It was granted `see-query`.
    Whole,
}

/// The data of the store of one call.
pub(super) struct GuestState {
    settings: Arc<Settings>,
    facts: Box<dyn JobFacts>,
    sight: Sight,
    memory_limit: usize,
    /// Bytes of all memories now, which is also the peak: they never shrink.
    pub(super) memory: usize,
    /// A growth that was refused.
    pub(super) memory_refused: Option<usize>,
    /// The last lines.
    log: VecDeque<String>,
    pub(super) files_read: Vec<FilesPage>,
}

impl GuestState {
    pub(super) fn new(settings: Arc<Settings>, facts: Box<dyn JobFacts>, sight: Sight, memory_limit: usize) -> Self {
        Self {
            settings,
            facts,
            sight,
            memory_limit,
            memory: 0,
            memory_refused: None,
            log: VecDeque::new(),
            files_read: Vec::new(),
        }
    }

    /// Gives back the facts, and what was logged and read.
    pub(super) fn into_parts(self) -> (Box<dyn JobFacts>, Vec<String>, Vec<FilesPage>) {
        (self.facts, self.log.into(), self.files_read)
    }

    /// The last line that it logged: usually why it broke.
    pub(super) fn last_line(&self) -> Option<&str> {
        self.log.back().map(String::as_str)
    }
}

/// A host function ended the call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Ended(pub(super) String);

impl types::Host for GuestState {}

impl host::Host for GuestState {
    fn settings(&mut self) -> wasmtime::Result<String> {
        Ok(self.settings.text.clone())
    }

    fn setting(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.settings.scalars.get(&name).cloned())
    }

    fn files(&mut self, first: u32, count: u32) -> wasmtime::Result<Vec<types::FileView>> {
        if self.files_read.len() >= FILES_PAGES_MAX {
            return Err(wasmtime::Error::new(Ended(format!("it read more than {FILES_PAGES_MAX} pages of files"))));
        }
        let count = count.min(limits::FILES_PAGE_MAX);
        let mut files = self.facts.files(first, count);
        files.truncate(count as usize);
        files.iter_mut().for_each(|file| fit::file(file, self.sight));
        let given = files.to_guest();
        if self.sight == Sight::Whole {
            // The row keeps less than such a guest was given, and says so.
            files.iter_mut().for_each(|file| fit::file(file, Sight::Redacted));
        }
        self.files_read.push(FilesPage { first, files });
        Ok(given)
    }

    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::Level::Debug => "debug",
            host::Level::Info => "info",
            host::Level::Warn => "warn",
            host::Level::Error => "error",
        };
        if self.log.len() == limits::LOG_LINES_MAX {
            self.log.pop_front();
        }
        let message = fit::clipped(&message, limits::LOG_LINE_BYTES_MAX);
        self.log.push_back(format!("{level}: {}", redact::line(message)));
        Ok(())
    }
}

impl ResourceLimiter for GuestState {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            self.memory_refused = Some(total);
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        // Adapters of the component model count as well.
        CORE_INSTANCES_MAX as usize * 2
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::Host as _;

    fn state(settings: &str) -> GuestState {
        let settings = Arc::new(Settings::parse(settings.to_owned()).unwrap());
        GuestState::new(settings, Box::new(NoFacts), Sight::Redacted, 1 << 20)
    }

    #[test]
    fn top_level_scalars_are_read_as_text() {
        let mut state = state(r#" {"a": "x", "b": 1.5, "c": true, "d": null, "e": [1], "f": {"g": 1}} "#);
        let mut setting = |name: &str| state.setting(name.to_owned()).unwrap();
        assert_eq!(setting("a").as_deref(), Some("x"));
        assert_eq!(setting("b").as_deref(), Some("1.5"));
        assert_eq!(setting("c").as_deref(), Some("true"));
        for absent in ["d", "e", "f", "g", ""] {
            assert_eq!(setting(absent), None, "{absent}");
        }
    }

    #[test]
    fn settings_are_a_json_object_or_nothing() {
        assert!(Settings::parse(" \n".into()).unwrap().digest.is_none());
        assert!(Settings::parse("{}".into()).unwrap().digest.is_some());
        for wrong in ["[]", "1", "{", "{} {}", "nonsense"] {
            assert!(Settings::parse(wrong.into()).unwrap_err().contains("JSON"), "{wrong}");
        }
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(limits::SETTINGS_BYTES_MAX));
        assert!(Settings::parse(long).unwrap_err().contains("65536"));
    }

    #[test]
    fn the_last_lines_are_kept_clipped_and_redacted() {
        let mut state = state("");
        for number in 0..40 {
            state.log(host::Level::Info, format!("line {number}")).unwrap();
        }
        state.log(host::Level::Error, format!("http://u:p@h/?q {}", "é".repeat(2_000))).unwrap();
        let (_, log, _) = state.into_parts();
        assert_eq!(log.len(), limits::LOG_LINES_MAX);
        assert_eq!(log[0], "info: line 9");
        assert!(log[31].starts_with("error: http://h/ ééé") && log[31].len() <= limits::LOG_LINE_BYTES_MAX + 8);
    }

    #[test]
    fn memory_is_counted_over_all_memories_and_refused_beyond_the_limit() {
        let mut state = state("");
        assert!(state.memory_growing(0, 512 << 10, None).unwrap());
        assert!(state.memory_growing(0, 512 << 10, None).unwrap());
        assert_eq!((state.memory, state.memory_refused), (1 << 20, None));
        assert!(!state.memory_growing(512 << 10, 576 << 10, None).unwrap());
        assert_eq!((state.memory, state.memory_refused), (1 << 20, Some((1 << 20) + (64 << 10))));
    }

    #[test]
    fn a_guest_that_reads_files_without_end_is_stopped() {
        let mut state = state("");
        for page in 0..64 {
            state.files(page * 256, 256).unwrap();
        }
        assert!(state.files(0, 1).unwrap_err().to_string().contains("64 pages"));
    }
}
