//! The words of the commands that speak to a daemon.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::properties::{PropertyArguments, parse_range};
use crate::cli::arguments::{FileArguments, PriorityArgument};
use crate::cli::get::parse_network;
use crate::job::{FileRange, JobState};
use crate::network::Network;

const IDS: &str = "\
Ids:
A job may be named by the last characters of its id (six or more), by its first, or by the whole; lists show the last eight.

See `backhaul help exit-codes` for what the exit codes mean.";

const FOR_PROGRAMS: &str = "\
Output:
A table on a terminal, fields with tabs between them elsewhere, and with -o json the shapes of the host API: one object a line.";

const CREATE_HELP: &str = "\
Examples:
  backhaul job create https://example.org/disk.iso -d /srv --resume
  backhaul job create -i list.txt -d /srv --resume --wait --label batch=7
  backhaul job create https://example.org/disk.iso -d /srv -H @token.txt --headers-write-only
  backhaul job create https://example.org/disk.iso -o /srv/head --range 0+1MiB --resume
  id=$(backhaul job create https://example.org/a -o /srv/a) && backhaul job resume \"$id\"

Prints the id of the new job; with -o json the job. (-o json is that; a file of this name is written ./json.) Lists are those \
of `backhaul get`. A job begins SUSPENDED, unless --resume is given, and its files appear when it is completed.";

/// `backhaul job ...`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = IDS)]
pub(crate) struct JobArguments {
    #[command(flatten)]
    pub(crate) connect: ConnectArguments,

    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

/// Which daemon.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArguments {
    /// The daemon's socket [default: $BACKHAUL_SOCKET, else $XDG_RUNTIME_DIR/backhaul/backhaul.sock]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,

    /// A daemon over TCP; needs a token
    #[arg(long, global = true, value_name = "https://HOST:PORT", conflicts_with = "socket")]
    pub(crate) url: Option<String>,

    /// The file of the token for --url [default: $BACKHAUL_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = FOR_PROGRAMS)]
pub(crate) struct OutputArguments {
    /// How the result is printed [default: table on a terminal, tsv elsewhere]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,

    /// The same as -o json
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// Fields with tabs between them
    Tsv,
    /// One object a line
    Json,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Create a job
    Create(Box<CreateArguments>),
    /// Add files to a job
    AddFile(AddFileArguments),
    /// List the jobs that are not at their end, oldest first
    List(ListArguments),
    /// Show a job
    Show(OneJobArguments),
    /// Tell the story of a job: why it is where it is
    Why(OneJobArguments),
    /// Follow a job until it is transferred, stopped by an error, or at its end
    Watch(WatchArguments),
    /// Change properties of a job or the remote names of its files
    Set(Box<SetArguments>),
    /// Stop jobs at their next checkpoint
    Suspend(JobsArguments),
    /// Let jobs run, or try again at once
    Resume(JobsArguments),
    /// Take jobs of other users over, without their request headers; for administrators
    TakeOwnership(JobsArguments),
    /// Delete what was fetched, and end the jobs
    Cancel(JobsArguments),
    /// Give finished files their local names, and end the jobs; exit code 3 if some were not finished
    Complete(JobsArguments),
    /// List the files of a job
    Files(OneJobArguments),
    /// Show the request headers of a job; names only where they are write-only
    Headers(OneJobArguments),
}

/// One job.
#[derive(Debug, Args)]
pub(crate) struct OneJobArguments {
    /// Which job
    #[arg(value_name = "ID")]
    pub(crate) job: String,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// One or more jobs.
#[derive(Debug, Args)]
pub(crate) struct JobsArguments {
    /// Which jobs
    #[arg(value_name = "ID", required = true)]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `job create`.
#[derive(Debug, Args)]
#[command(after_help = CREATE_HELP)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    pub(crate) files: FileArguments,

    #[command(flatten)]
    pub(crate) ranges: RangeArguments,

    /// A name for people, at most 256 characters [default: the local name of the first file]
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) properties: PropertyArguments,

    /// Let this policy decide beside those that the operator assigned; in this order if several
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Vec<String>,

    /// A label of your own
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Vec<(String, String)>,

    /// Let the job run at once
    #[arg(short, long)]
    pub(crate) resume: bool,

    /// Follow the job, as `job watch` does; needs --resume
    #[arg(short, long, requires = "resume")]
    pub(crate) wait: bool,

    /// Print the job as JSON; the same as -o json
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which parts of a file.
#[derive(Debug, Args)]
pub(crate) struct RangeArguments {
    /// Fetch this part of the file only, for a single URL; without LENGTH up to its end. Several parts, which may not overlap, follow one
    /// another in the local file. Both may have KiB, MiB, GiB, TiB
    #[arg(long = "range", value_name = "OFFSET+LENGTH", value_parser = parse_range)]
    pub(crate) ranges: Vec<FileRange>,
}

/// `job add-file`.
#[derive(Debug, Args)]
#[command(
    after_help = "Lists are those of `backhaul get`. A job that is TRANSFERRED is to be resumed for the new files."
)]
pub(crate) struct AddFileArguments {
    /// Which job
    #[arg(value_name = "ID")]
    pub(crate) job: String,

    #[command(flatten)]
    pub(crate) files: FileArguments,

    #[command(flatten)]
    pub(crate) ranges: RangeArguments,

    /// Print the job as JSON; the same as -o json
    #[arg(long)]
    pub(crate) json: bool,
}

/// `job list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Fields of a line without a table: id, state, priority, bytes transferred, bytes in all, files transferred, files in all, creation, \
display name, what it waits for or its error. What is not known is empty.")]
pub(crate) struct ListArguments {
    /// Only jobs in this state, for example queued or transient-error; may be given several times
    #[arg(short, long, value_name = "STATE", value_parser = state(), hide_possible_values = true)]
    pub(crate) state: Vec<JobState>,

    /// Only jobs of this level
    #[arg(long, value_name = "P")]
    pub(crate) priority: Option<PriorityArgument>,

    /// Only jobs with this label
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Option<(String, String)>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `job watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 the job is transferred or completed, 1 it is in ERROR, 3 it was cancelled, 130 interrupted (the job goes on). On a terminal \
a bar for each of the first files that are being moved, and one for all; elsewhere lines. With -o json each line has \"type\": event, \
progress (with the files that are being moved in \"active\"), state, or last of all job.")]
pub(crate) struct WatchArguments {
    /// Which job
    #[arg(value_name = "ID")]
    pub(crate) job: String,

    /// Print errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// What a person can say of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Validation {
    /// It is as it should be
    Valid,
    /// It is not
    Invalid,
}

/// `job set`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  backhaul job set 3f2a91bc --priority high --minimum-retry-delay 30s
  backhaul job set 3f2a91bc --file 0 --remote-name https://mirror.example/disk.iso -H @token.txt
  backhaul job set 3f2a91bc --file 0 --validation invalid
  backhaul job set 3f2a91bc --replace-prefix http://old.example/ https://new.example/pub/")]
pub(crate) struct SetArguments {
    /// Which job
    #[arg(value_name = "ID")]
    pub(crate) job: String,

    /// A name for people, at most 256 characters
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) properties: PropertyArguments,

    /// Take all request headers away
    #[arg(long, conflicts_with = "headers")]
    pub(crate) no_headers: bool,

    /// Set a label; the others stay
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Vec<(String, String)>,

    /// Remove a label
    #[arg(long, value_name = "NAME")]
    pub(crate) remove_label: Vec<String>,

    /// Which file is changed, by its number
    #[arg(long, value_name = "N", requires = "of_file")]
    pub(crate) file: Option<u32>,

    /// The URL that the file is fetched from; in force from the next attempt
    #[arg(long, value_name = "URL", requires = "file", group = "of_file", value_hint = ValueHint::Url)]
    pub(crate) remote_name: Option<String>,

    /// What you found of a transferred file; an invalid one is fetched again once the job is resumed
    #[arg(long, value_name = "STATE", requires = "file", group = "of_file")]
    pub(crate) validation: Option<Validation>,

    /// Remote names that begin with the one begin with the other
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pub(crate) replace_prefix: Vec<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --follow what is kept of the journal is printed. Fields of a line without a table: number, time, job, kind, text.

Exit codes: 130 --follow was interrupted; see `backhaul help exit-codes` for the others.")]
pub(crate) struct EventsArguments {
    #[command(flatten)]
    pub(crate) connect: ConnectArguments,

    /// Go on with what happens; without --after from now on
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Begin after the event of this number; 0: with the oldest that is kept
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<u64>,

    /// Only of this job
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,

    /// Only of this kind, for example state_changed; may be given several times
    #[arg(short, long, value_name = "KIND")]
    pub(crate) kind: Vec<String>,

    /// Only of jobs with this label
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Option<(String, String)>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `network ...`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct NetworkArguments {
    #[command(flatten)]
    pub(crate) connect: ConnectArguments,

    #[command(subcommand)]
    pub(crate) command: NetworkCommand,
}

/// What can be done with the network.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Show what the network is, by which jobs are admitted
    Show {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Say what the network is, until it is taken back with --default
    Set(SetNetworkArguments),
}

/// `network set`.
#[derive(Debug, Args)]
pub(crate) struct SetNetworkArguments {
    /// offline, or a cost (unrestricted, capped, below-cap, near-cap, overcap-charged, overcap-throttled, usage-based) and
    /// roaming, congested, for example near-cap,roaming
    #[arg(value_name = "NETWORK", value_parser = parse_network, required_unless_present = "default", verbatim_doc_comment)]
    pub(crate) network: Option<Network>,

    /// Take back what was said
    #[arg(long, conflicts_with = "network")]
    pub(crate) default: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

pub(super) fn parse_label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is NAME=VALUE"),
    }
}

/// A state by its name, with a hyphen as elsewhere on the command line, or as in the API. Shells complete it.
fn state() -> impl clap::builder::TypedValueParser<Value = JobState> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
    let word = |state: JobState| match state {
        JobState::TransientError => "transient-error",
        state => state.name(),
    };
    let words = JobState::ALL.map(|state| PossibleValue::new(word(state)).alias(state.name()));
    PossibleValuesParser::new(words).map(move |given| {
        let is_meant = |state: &JobState| word(*state) == given || state.name() == given;
        JobState::ALL.into_iter().find(is_meant).expect("only names of states are possible")
    })
}
