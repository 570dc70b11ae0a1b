//! `--policy`, `--settings` and `--grant`: which components decide, with which settings, and what they may beyond others.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::cli::size;
use crate::host::{PolicyScope, PolicyToLoad};
use crate::policy::contract::limits::SETTINGS_BYTES_MAX;
use crate::policy::{Capability, Grants, MEMORY_BYTES_MAX, PolicySource};

/// The options as they were given: each `--settings` and `--grant` with the `--policy` before it.
///
/// Clap's own derive keeps the values of each option, and not which stood before which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PolicyArguments(pub(crate) Vec<PolicyArgument>);

/// One `--policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyArgument {
    /// FILE or NAME.
    pub(crate) policy: String,
    /// JSON or @FILE.
    pub(crate) settings: Option<String>,
    /// memory=SIZE or CAPABILITY, each.
    pub(crate) grants: Vec<String>,
}

impl clap::Args for PolicyArguments {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new("policy")
                    .long("policy")
                    .value_name("FILE|NAME")
                    .action(ArgAction::Append)
                    .help("Let this policy decide: a component's file, or the name of an embedded one (standard, mirrors)")
                    .long_help(
                        "Let this policy decide: a component's file, or the name of an embedded one (standard, mirrors; a file of \
                         such a name is written ./standard). Several are asked in order: for retries and repairs the first that has \
                         an opinion decides, for network cost the most restrictive answer holds. Without one, the built-in default \
                         decides: retry after the minimum retry delay.",
                    ),
            )
            .arg(
                Arg::new("settings")
                    .long("settings")
                    .value_name("JSON|@FILE")
                    .action(ArgAction::Append)
                    .requires("policy")
                    .help("Settings of the --policy that stands before it: a JSON object, or @FILE to read it from"),
            )
            .arg(
                Arg::new("grant")
                    .long("grant")
                    .value_name("memory=SIZE|CAPABILITY")
                    .action(ArgAction::Append)
                    .requires("policy")
                    .help("Grant the --policy that stands before it more than others have: memory=16MiB, see-query, widen-cost")
                    .long_help(
                        "Grant the --policy that stands before it more than others have. memory=SIZE: so much memory a call, up to 64MiB \
                         instead of 2MiB, which components of interpreted languages may need. see-query: it sees the queries of URLs, \
                         which may be secret. widen-cost: it may let the job run where its owner did not want to pay. `policy inspect` \
                         says what a component asks for.",
                    ),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for PolicyArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        /// What a word on the command line is; by its position there.
        enum Word {
            Policy(String),
            Settings(String),
            Grant(String),
        }
        let placed = |id: &str, word: fn(String) -> Word| -> Vec<(usize, Word)> {
            let indices = matches.indices_of(id).into_iter().flatten();
            let values = matches.get_many::<String>(id).into_iter().flatten();
            indices.zip(values.map(|value| word(value.clone()))).collect()
        };
        let mut words = placed("policy", Word::Policy);
        words.extend(placed("settings", Word::Settings));
        words.extend(placed("grant", Word::Grant));
        words.sort_by_key(|(index, _)| *index);
        let mut policies: Vec<PolicyArgument> = Vec::new();
        for (_, word) in words {
            let misplaced = match (word, policies.last_mut()) {
                (Word::Policy(policy), _) => {
                    policies.push(PolicyArgument { policy, settings: None, grants: Vec::new() });
                    continue;
                }
                (Word::Settings(text), Some(last @ PolicyArgument { settings: None, .. })) => {
                    last.settings = Some(text);
                    continue;
                }
                (Word::Grant(text), Some(last)) => {
                    last.grants.push(text);
                    continue;
                }
                (Word::Settings(_), _) => {
                    "each --settings belongs to the --policy that stands before it, and there is one at most for each"
                }
                (Word::Grant(_), None) => "each --grant belongs to the --policy that stands before it",
            };
            return Err(clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, misplaced));
        }
        Ok(Self(policies))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A policy that was found, with its settings read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyChoice {
    /// Where it comes from.
    pub(crate) source: PolicySource,
    /// A JSON object as text.
    pub(crate) settings: String,
    /// What it may beyond others.
    pub(crate) grants: Grants,
}

impl PolicyChoice {
    /// The name under which it is loaded, and appears in events.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            PolicySource::Embedded(name) => name.clone(),
            PolicySource::Bytes { name, .. } => name.clone(),
            PolicySource::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Policies as a host takes them: asked for every job, for whoever runs the command is its operator.
pub(crate) fn to_load(choices: &[PolicyChoice]) -> Vec<PolicyToLoad> {
    let to_load = |choice: &PolicyChoice| PolicyToLoad {
        source: choice.source.clone(),
        settings: choice.settings.clone(),
        grants: choice.grants.clone(),
        scope: PolicyScope::AllJobs,
    };
    choices.iter().map(to_load).collect()
}

/// Why a policy or its settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyArgumentError {
    /// Neither embedded nor a file.
    #[error("--policy {given:?}: there is no such file, and no embedded policy of this name; embedded are {embedded}")]
    Unknown {
        /// What was given.
        given: String,
        /// Names, joined.
        embedded: String,
    },
    /// What cannot be granted.
    #[error(
        "--grant {given:?}: memory=SIZE is needed, 64KiB to {}MiB such as memory=16MiB, or a capability: {}",
        MEMORY_BYTES_MAX >> 20, Capability::ALL.map(Capability::name).join(", ")
    )]
    Grant {
        /// What was given.
        given: String,
    },
    /// The file of the settings.
    #[error("--settings @{path}: failed to read the file: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Over the contract's limit.
    #[error("--settings: at most {SETTINGS_BYTES_MAX} bytes are allowed")]
    TooLarge,
    /// No JSON object. Where, and not what: settings may hold secrets.
    #[error("--settings of {policy}: a JSON object is needed, for example '{{\"key\": \"value\"}}': {problem}")]
    NoObject {
        /// Whose.
        policy: String,
        /// What is wrong.
        problem: String,
    },
}

/// Finds the policies and reads their settings.
pub(crate) fn resolve(
    arguments: &PolicyArguments,
    embedded: &[&str],
    working_directory: &Path,
) -> Result<Vec<PolicyChoice>, PolicyArgumentError> {
    arguments.0.iter().map(|argument| resolve_one(argument, embedded, working_directory)).collect()
}

fn resolve_one(
    argument: &PolicyArgument,
    embedded: &[&str],
    working_directory: &Path,
) -> Result<PolicyChoice, PolicyArgumentError> {
    let given = &argument.policy;
    let path = working_directory.join(given);
    let source = if embedded.contains(&given.as_str()) {
        PolicySource::Embedded(given.clone())
    } else if path.exists() {
        PolicySource::File(path)
    } else {
        return Err(PolicyArgumentError::Unknown { given: given.clone(), embedded: embedded.join(", ") });
    };
    let settings = match argument.settings.as_deref() {
        None => "{}".to_owned(),
        Some(text) => read_settings(given, text, working_directory)?,
    };
    Ok(PolicyChoice { source, settings, grants: read_grants(&argument.grants)? })
}

/// Later words count: `memory` may be given twice.
fn read_grants(given: &[String]) -> Result<Grants, PolicyArgumentError> {
    let mut grants = Grants::default();
    for given in given {
        let wrong = || PolicyArgumentError::Grant { given: given.clone() };
        match given.strip_prefix("memory=") {
            Some(size) => {
                grants.memory_bytes = size_bytes(size).ok_or_else(wrong)?;
                grants.check().map_err(|_| wrong())?;
            }
            None => grants.capabilities.push(given.parse().map_err(|_| wrong())?),
        }
    }
    Ok(grants)
}

/// Bytes of a size, if it is one.
fn size_bytes(text: &str) -> Option<usize> {
    size::parse(text).ok().and_then(|bytes| bytes.try_into().ok())
}

fn read_settings(policy: &str, given: &str, working_directory: &Path) -> Result<String, PolicyArgumentError> {
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => {
            let path = working_directory.join(path);
            let mut text = String::new();
            File::open(&path)
                .and_then(|file| file.take(SETTINGS_BYTES_MAX as u64 + 1).read_to_string(&mut text))
                .map_err(|source| PolicyArgumentError::Read { path, source })?;
            text
        }
    };
    if text.len() > SETTINGS_BYTES_MAX {
        return Err(PolicyArgumentError::TooLarge);
    }
    let problem = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Object(_)) => return Ok(text),
        Ok(_) => "this is another kind of value".to_owned(),
        Err(error) => format!("line {}, column {}: {}", error.line(), error.column(), category(&error)),
    };
    Err(PolicyArgumentError::NoObject { policy: policy.to_owned(), problem })
}

fn category(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "the text ends too early" } else { "this is no JSON" }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn arguments(words: &[&str]) -> Result<PolicyArguments, clap::Error> {
        let command = PolicyArguments::augment_args(Command::new("x"));
        PolicyArguments::from_arg_matches(&command.try_get_matches_from(std::iter::once(&"x").chain(words))?)
    }

    fn pairs(words: &[&str]) -> Vec<(String, Option<String>)> {
        arguments(words).unwrap().0.into_iter().map(|argument| (argument.policy, argument.settings)).collect()
    }

    #[test]
    fn settings_belong_to_the_policy_before_them() {
        assert_eq!(pairs(&[]), []);
        let words = ["--policy", "a", "--policy=b", "--settings", "{}", "--policy", "c", "--settings={\"x\":1}"];
        let expected = [("a", None), ("b", Some("{}")), ("c", Some("{\"x\":1}"))];
        assert_eq!(pairs(&words), expected.map(|(policy, settings)| (policy.to_owned(), settings.map(str::to_owned))));
    }

    #[test]
    fn settings_without_a_policy_of_their_own_are_refused() {
        for words in [
            &["--settings", "{}"][..],
            &["--settings", "{}", "--policy", "a"],
            &["--policy", "a", "--settings", "{}", "--settings", "{}"],
        ] {
            assert!(arguments(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_policy_is_embedded_or_a_file() {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::write(directory.path().join("standard"), "").unwrap();
        std::fs::write(directory.path().join("settings.json"), "{\"a\": 1}").unwrap();
        let resolve = |words: &[&str]| resolve(&arguments(words).unwrap(), &["standard"], directory.path());
        let choice = |words: &[&str]| resolve(words).unwrap().remove(0);
        assert_eq!(choice(&["--policy", "standard"]).source, PolicySource::Embedded("standard".into()));
        let file = choice(&["--policy", "./standard", "--settings", "@settings.json"]);
        assert_eq!(file.source, PolicySource::File(directory.path().join("./standard")));
        assert_eq!(file.settings, "{\"a\": 1}");
        let error = resolve(&["--policy", "other"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--policy \"other\": there is no such file, and no embedded policy of this name; embedded are standard"
        );
    }

    #[test]
    fn grants_belong_to_the_policy_before_them_and_are_within_bounds() {
        let resolve = |words: &[&str]| resolve(&arguments(words).unwrap(), &["standard"], Path::new("/"));
        let words = ["--policy", "standard", "--grant", "memory=16MiB", "--grant=see-query", "--policy", "standard"];
        let granted = Grants { capabilities: vec![Capability::SeeQuery], memory_bytes: 16 << 20 };
        let grants: Vec<Grants> = resolve(&words).unwrap().into_iter().map(|choice| choice.grants).collect();
        assert_eq!(grants, [granted, Grants::default()]);
        assert_eq!(to_load(&resolve(&words).unwrap())[0].grants.memory_bytes, 16 << 20);
        let memory = |size: &str| resolve(&["--policy", "standard", "--grant", &format!("memory={size}")]);
        for (size, bytes) in [("65536", 64 << 10), ("64KiB", 64 << 10), ("64MiB", 64 << 20), ("3000000B", 3_000_000)] {
            assert_eq!(memory(size).unwrap()[0].grants.memory_bytes, bytes);
        }
        for size in
            ["", "0", "65535", "65MiB", "1GiB", "16mb", "-1", "1.5MiB", "99999999999999999999", "17592186044417MiB"]
        {
            let error = memory(size).unwrap_err().to_string();
            assert!(error.contains(size) && error.contains("64KiB to 64MiB"), "{error}");
        }
        let error = resolve(&["--policy", "standard", "--grant", "root"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--grant \"root\": memory=SIZE is needed, 64KiB to 64MiB such as memory=16MiB, or a capability: see-query, widen-cost"
        );
        assert!(arguments(&["--grant", "see-query", "--policy", "standard"]).is_err());
        assert!(arguments(&["--grant", "see-query"]).is_err());
    }

    #[test]
    fn settings_are_an_object_and_are_not_repeated() {
        let resolve = |settings: &str| {
            let arguments = arguments(&["--policy", "standard", "--settings", settings]).unwrap();
            resolve(&arguments, &["standard"], Path::new("/")).map(|mut choices| choices.remove(0).settings)
        };
        assert_eq!(resolve(" {} ").unwrap(), " {} ");
        for text in
            ["", "secret", "[\"secret\"]", "\"secret\"", "{\"secret\"", "{\"secret\": }", "{} secret", "@/nowhere"]
        {
            let error = resolve(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(SETTINGS_BYTES_MAX));
        assert!(matches!(resolve(&long), Err(PolicyArgumentError::TooLarge)));
    }
}
