//! From the words of the command line to what the command does: everything is checked here, before anything is begun.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::key::{self, NoStateHome};
use super::list::{self, FILES_MAX, LIST_BYTES_MAX, ListError};
use super::local_name::{self, Base, PlaceError};
use super::policy::{self, PolicyArgumentError, PolicyChoice};
use crate::cli::arguments::{FileArguments, GetArguments};
use crate::job::limits::{HEADER_VALUE_BYTES_MAX, HEADERS_MAX};
use crate::job::{FileSpec, LocalName, Properties, PropertyError, RemoteNameError, RequestHeaders, SafeUrl, Sha256};
use crate::network::Network;
use crate::transfer::{HeaderError, parse_all};

/// What one run of `get` does. Checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GetSettings {
    /// At least one, with distinct local names.
    pub(crate) files: Vec<FileSpec>,
    /// How the job is to run.
    pub(crate) properties: Properties,
    /// What is sent along.
    pub(crate) headers: RequestHeaders,
    /// Who decides, in order.
    pub(crate) policies: Vec<PolicyChoice>,
    /// What the network is said to be.
    pub(crate) network: Network,
    /// The store of this command.
    pub(crate) state_dir: PathBuf,
    /// What is shown.
    pub(crate) output: Output,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Bars on a terminal, lines elsewhere.
    Human,
    /// JSON lines.
    Json,
    /// The last JSON line.
    JsonSummary,
    /// Errors.
    Quiet,
}

/// What the settings depend on besides the arguments.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// What relative paths are relative to.
    pub(crate) working_directory: &'a Path,
    /// XDG_STATE_HOME.
    pub(crate) xdg_state_home: Option<OsString>,
    /// HOME.
    pub(crate) home: Option<OsString>,
    /// Names of the policies inside this program.
    pub(crate) embedded_policies: &'a [&'a str],
    /// What `-i -` reads.
    pub(crate) stdin: &'a mut dyn ReadDebug,
}

/// A reader that can be shown in a debug print.
pub(crate) trait ReadDebug: Read + std::fmt::Debug {}

impl<R: Read + std::fmt::Debug> ReadDebug for R {}

/// Why the arguments cannot be followed. Nothing was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// No URL.
    #[error("nothing to fetch: give a URL, or a list with -i LIST")]
    NothingToFetch,
    /// A list without an entry.
    #[error("{0} has no URL in it: one `URL [local-name] [sha256=HEX]` a line is needed")]
    EmptyList(String),
    /// A URL of the command line.
    #[error("URL {position}: {problem}")]
    RemoteName {
        /// Which, from 1.
        position: usize,
        /// Why.
        problem: RemoteNameError,
    },
    /// An option for a single URL.
    #[error("{0} is for a single URL; {1}")]
    SingleOnly(&'static str, &'static str),
    /// `-o` and `-d`.
    #[error(
        "--output FILE is the whole path of the file, and --directory DIR where the files of URLs and lists lie: give one of the two"
    )]
    OutputAndDirectory,
    /// `-o -`.
    #[error("-o -: a file is needed; what is fetched is published whole, under a name")]
    OutputIsStdout,
    /// A file's place.
    #[error("{subject}: {problem}")]
    Place {
        /// The option or the line.
        subject: String,
        /// Why.
        problem: PlaceError,
    },
    /// Two files with one name.
    #[error("{second} and {first} have the same local name {name}; name one of them in a list")]
    Duplicate {
        /// The earlier one.
        first: String,
        /// The later one.
        second: String,
        /// Their name.
        name: LocalName,
    },
    /// One file's name is a directory of another's.
    #[error(
        "{below} needs the directory {name}, which is the local name of {file}; name one of them otherwise in a list"
    )]
    FileAsDirectory {
        /// Whose name leads through the other.
        below: String,
        /// Whose name it is.
        file: String,
        /// That name.
        name: LocalName,
    },
    /// Too many files.
    #[error("at most {FILES_MAX} files are allowed in one command")]
    TooMany,
    /// A file that cannot be read.
    #[error("failed to read {path}: {source}")]
    Read {
        /// Which, with the option that names it.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A list over its limit.
    #[error("{0} is too large: at most {LIST_BYTES_MAX} bytes are read")]
    ListTooLarge(String),
    /// A bad line of a list.
    #[error("{list}:{line}: {problem}", line = error.line, problem = error.problem)]
    List {
        /// Which list.
        list: String,
        /// Which line, and why.
        error: ListError,
    },
    /// A header.
    #[error("-H: {0}")]
    Header(#[from] HeaderError),
    /// A policy.
    #[error(transparent)]
    Policy(#[from] PolicyArgumentError),
    /// A property.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// No place for the state.
    #[error(transparent)]
    NoStateHome(#[from] NoStateHome),
}

/// A file to fetch, before it has its place.
struct Wanted {
    /// For messages: `list.txt:3` or `URL 2`.
    subject: String,
    remote_name: SafeUrl,
    local_name: Option<String>,
    digest: Option<Sha256>,
}

impl GetSettings {
    /// Makes sense of the arguments.
    pub(crate) fn resolve(arguments: &GetArguments, around: &mut Surroundings<'_>) -> Result<Self, SettingsError> {
        let properties = properties(arguments);
        properties.check()?;
        let headers = request_headers(&arguments.headers, around.working_directory)?;
        let policies = policy::resolve(&arguments.policies, around.embedded_policies, around.working_directory)?;
        let files = files(&arguments.files, around)?;
        let parent = match &arguments.state_dir {
            Some(parent) => around.working_directory.join(parent),
            None => key::parent(around.xdg_state_home.take(), around.home.take())?,
        };
        let output = match (arguments.json, arguments.quiet) {
            (false, false) => Output::Human,
            (false, true) => Output::Quiet,
            (true, false) => Output::Json,
            (true, true) => Output::JsonSummary,
        };
        let state_dir = key::state_dir(&parent, &files);
        Ok(Self { files, properties, headers, policies, network: arguments.network.clone(), state_dir, output })
    }
}

fn properties(arguments: &GetArguments) -> Properties {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Properties {
        priority: arguments.priority.into(),
        minimum_retry_delay_ms: millis(arguments.minimum_retry_delay),
        no_progress_timeout_ms: millis(arguments.no_progress_timeout),
        parallel_files: arguments.parallel_files,
        cost_flags: arguments.cost_flags,
        auto_complete: true,
        overwrite: arguments.overwrite,
        maximum_download_size: arguments.maximum_download_size,
        redirects: arguments.redirects.into(),
        redirects_to_http: arguments.redirects_to_http,
        ..Properties::default()
    }
}

/// Request headers as they are typed, or read from files.
pub(crate) fn request_headers(given: &[String], working_directory: &Path) -> Result<RequestHeaders, SettingsError> {
    /// All headers that may be given, at their longest.
    const HEADERS_BYTES_MAX: u64 = (HEADERS_MAX * (HEADER_VALUE_BYTES_MAX + 256)) as u64;
    let mut texts = Vec::new();
    for text in given {
        let Some(path) = text.strip_prefix('@') else {
            texts.push(text.clone());
            continue;
        };
        let mut lines = String::new();
        File::open(working_directory.join(path))
            .and_then(|file| file.take(HEADERS_BYTES_MAX).read_to_string(&mut lines))
            .map_err(|source| SettingsError::Read { path: format!("-H @{path}"), source })?;
        texts.extend(lines.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
    Ok(parse_all(texts.iter().map(String::as_str))?)
}

/// All files with their places. Nothing is created.
pub(crate) fn files(arguments: &FileArguments, around: &mut Surroundings<'_>) -> Result<Vec<FileSpec>, SettingsError> {
    let wanted = wanted(arguments, around)?;
    if wanted.len() > FILES_MAX {
        return Err(SettingsError::TooMany);
    }
    let from_line = arguments.urls.len() == 1 && arguments.input.is_empty();
    if arguments.output.is_some() && !from_line {
        return Err(SettingsError::SingleOnly(
            "-o FILE",
            "give a directory with -d DIR, or local names in a list with -i",
        ));
    }
    // Not by clap: for the daemon's commands `-o json` is a format, which goes with every directory.
    if arguments.output.is_some() && arguments.directory.is_some() {
        return Err(SettingsError::OutputAndDirectory);
    }
    if arguments.sha256.is_some() && !from_line {
        return Err(SettingsError::SingleOnly("--sha256 HEX", "in a list with -i, each line may end with sha256=HEX"));
    }
    let mut base = match &arguments.output {
        Some(_) => None,
        None => {
            let base = Base::new(around.working_directory, arguments.directory.as_deref());
            let subject =
                || if arguments.directory.is_some() { "-d".to_owned() } else { "the working directory".to_owned() };
            Some(base.map_err(|problem| SettingsError::Place { subject: subject(), problem })?)
        }
    };
    let mut files = Vec::with_capacity(wanted.len());
    let mut taken: HashMap<LocalName, usize> = HashMap::with_capacity(wanted.len());
    for (position, file) in wanted.iter().enumerate() {
        let place = match (&arguments.output, &mut base) {
            (Some(output), _) => {
                local_name::place_output(around.working_directory, output).map_err(|problem| ("-o".to_owned(), problem))
            }
            (None, Some(base)) => place_below(base, file).map_err(|problem| (file.subject.clone(), problem)),
            (None, None) => unreachable!("without -o there is a base"),
        };
        let local_name = place.map_err(|(subject, problem)| SettingsError::Place { subject, problem })?;
        if let Some(first) = taken.insert(local_name.clone(), position) {
            let (first, second) = (wanted[first].subject.clone(), file.subject.clone());
            return Err(SettingsError::Duplicate { first, second, name: local_name });
        }
        files.push(FileSpec {
            remote_name: file.remote_name.clone(),
            local_name,
            digest: file.digest,
            ranges: Vec::new(),
        });
    }
    no_file_is_a_directory(&files, &taken, &wanted)?;
    Ok(files)
}

/// Refuses a file below the name of another one, which cannot both be there.
fn no_file_is_a_directory(
    files: &[FileSpec],
    taken: &HashMap<LocalName, usize>,
    wanted: &[Wanted],
) -> Result<(), SettingsError> {
    let names: HashMap<&Path, usize> = taken.iter().map(|(name, position)| (name.as_path(), *position)).collect();
    let above = |file: &FileSpec| file.local_name.directory().ancestors().find_map(|path| names.get(path).copied());
    match files.iter().enumerate().find_map(|(below, file)| Some((below, above(file)?))) {
        Some((below, above)) => Err(SettingsError::FileAsDirectory {
            below: wanted[below].subject.clone(),
            file: wanted[above].subject.clone(),
            name: files[above].local_name.clone(),
        }),
        None => Ok(()),
    }
}

fn place_below(base: &mut Base, file: &Wanted) -> Result<LocalName, PlaceError> {
    match &file.local_name {
        Some(name) => base.place(name),
        None => base.place(&local_name::from_url(&file.remote_name)?),
    }
}

/// What the command line and its lists ask for, in this order.
fn wanted(arguments: &FileArguments, around: &mut Surroundings<'_>) -> Result<Vec<Wanted>, SettingsError> {
    if arguments.output.as_deref() == Some(Path::new("-")) {
        return Err(SettingsError::OutputIsStdout);
    }
    let mut wanted = Vec::new();
    for (index, text) in arguments.urls.iter().enumerate() {
        let position = index + 1;
        let remote_name = SafeUrl::parse(text).map_err(|problem| SettingsError::RemoteName { position, problem })?;
        let subject = format!("URL {position}");
        wanted.push(Wanted { subject, remote_name, local_name: None, digest: arguments.sha256 });
    }
    for path in &arguments.input {
        let (name, bytes) = read_list(path, around)?;
        let entries = list::parse(&bytes).map_err(|error| SettingsError::List { list: name.clone(), error })?;
        if entries.is_empty() {
            return Err(SettingsError::EmptyList(name));
        }
        wanted.extend(entries.into_iter().map(|entry| Wanted {
            subject: format!("{name}:{}", entry.line),
            remote_name: entry.remote_name,
            local_name: entry.local_name,
            digest: entry.digest,
        }));
    }
    if wanted.is_empty() { Err(SettingsError::NothingToFetch) } else { Ok(wanted) }
}

/// The name of a list for messages, and what is in it.
fn read_list(path: &Path, around: &mut Surroundings<'_>) -> Result<(String, Vec<u8>), SettingsError> {
    let limit = LIST_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let (name, result) = if path == Path::new("-") {
        ("<stdin>".to_owned(), around.stdin.take(limit).read_to_end(&mut bytes))
    } else {
        let file = File::open(around.working_directory.join(path));
        (path.display().to_string(), file.and_then(|file| file.take(limit).read_to_end(&mut bytes)))
    };
    match result {
        Err(source) => Err(SettingsError::Read { path: format!("-i {name}"), source }),
        Ok(read) if read > LIST_BYTES_MAX => Err(SettingsError::ListTooLarge(name)),
        Ok(_) => Ok((name, bytes)),
    }
}

#[cfg(test)]
mod tests;
