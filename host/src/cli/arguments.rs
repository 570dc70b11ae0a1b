//! The command line as clap sees it. What the words mean together is decided in each command's settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::daemon::{EventsArguments, JobArguments, NetworkArguments, TokenArguments, WebhookArguments};
use super::demo::DemoArguments;
use super::duration;
use super::exit_code::ExitCode;
use super::get::{PolicyArguments, parse_cost_flags, parse_network};
use super::serve::{ConfigCommand, ServeArguments};
use super::size;
use crate::job::{CostFlags, Priority, Redirects, Sha256, limits};
use crate::network::Network;

/// Fetches files over bad networks: what was fetched is kept, whatever happens, and WebAssembly policies decide when to try again,
/// whether the network is worth its cost, and how to repair what failed.
#[derive(Debug, Parser)]
#[command(name = "backhaul", version, max_term_width = 100, after_long_help = ExitCode::table())]
#[command(subcommand_required = true, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Tell what happens inside, on stderr; twice for more. BACKHAUL_LOG selects in detail, for example backhaul::transfer=trace
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 100)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch files; the same command again goes on where it was
    Get(Box<GetArguments>),
    /// Show a download that survives a bad network, with nothing else running
    Demo(Box<DemoArguments>),
    /// Create, follow and steer the jobs of a running daemon
    Job(JobArguments),
    /// Read or follow the journal of a running daemon
    Events(EventsArguments),
    /// Show or say what the network is for a running daemon
    Network(NetworkArguments),
    /// Have a running daemon post what happens to receivers
    Webhook(WebhookArguments),
    /// Make, list and revoke tokens, for those who reach a running daemon over TCP
    Token(TokenArguments),
    /// Serve jobs to the applications of this user, or of several: the daemon
    Serve(ServeArguments),
    /// Show the settings of the daemon
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// Look into the directory of a store
    #[command(subcommand, arg_required_else_help = true)]
    Store(StoreCommand),
    /// Build and inspect policies
    #[command(subcommand, arg_required_else_help = true)]
    Policy(PolicyCommand),
    /// Print what makes a shell complete the words of this program
    #[command(
        after_help = "Example, for bash:\n  backhaul completions bash > ~/.local/share/bash-completion/completions/backhaul"
    )]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Show what the exit codes mean
    #[command(long_about = ExitCode::table())]
    ExitCodes,
}

const GET_EXAMPLES: &str = "\
Examples:
  backhaul get https://example.org/disk.iso
  backhaul get https://example.org/a https://example.org/b -d downloads -j 2
  backhaul get https://example.org/disk.iso -o /srv/disk.iso --sha256 HEX
  backhaul get -i list.txt -d downloads --json
  backhaul get https://example.org/disk.iso --policy mirrors --settings @mirrors.json

Lists:
A list has one file a line: URL [local-name] [sha256=HEX]. Local names are relative to -d DIR, or to the working directory, and \
stay below it. Empty lines and lines that begin with # are left out. A name that ends in what looks like a digest begins with ./

Going on:
What is fetched is kept in part files beside the targets, and the job in a store below the state directory. A command that \
fetches the same URLs to the same local names, with the same digests, is the same command: it goes on with what is there, \
whatever ended the one before. Its options may differ; those of the last run hold. Ctrl-C suspends the job at a checkpoint, a \
second Ctrl-C ends at once. When everything is there, the state is removed. Of two equal commands at once the second ends with \
exit code 75.

See `backhaul help exit-codes` for what the exit codes mean.";

/// The fields are tested against it.
pub(crate) const GET_JSON_HELP: &str = "\
Print JSON lines to stdout: what happens, progress once a second, a summary at the end. Sizes are bytes; what is not known is null.

Every line has \"type\":
  job       once, first: id, state_dir, resumed, bytes_transferred (so far),
            files_total, policies
  event     number, at (Unix milliseconds), job, kind, and what the kind has; of a
            file also its url and local_name
  progress  state, bytes_transferred, bytes_total, files_transferred, files_total,
            bytes_per_second, seconds_left,
            waiting_on {code, detail, until, policy, error},
            active [{file, local_name, bytes_transferred, bytes_total}]
  degraded  detail: why nothing can be stored at present; null: it can again
  error     exit_code, message, and of a job in ERROR its error {code, number,
            context, class, http_status, file, url, local_name, description}
            and advice
  summary   once, last: exit_code, state, files_transferred, files_total,
            bytes_transferred (durable), bytes_fetched (by this run),
            elapsed_seconds
Where nothing was begun, a line of type error is the only one.";

/// Which files, and where they shall lie.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArguments {
    /// What to fetch; http:// or https://
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Where the file shall appear, for a single URL; its directory must exist [default: the URL's last segment, in -d DIR]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Where the files shall appear; created if missing, as are the directories of local names below it [default: .]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// A list of further files: one `URL [local-name] [sha256=HEX]` a line; - reads it from stdin
    #[arg(short, long, value_name = "LIST", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<PathBuf>,

    /// What the file must hash to, for a single URL; other bytes never appear under the local name
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<Sha256>,
}

/// The arguments of `get`.
#[derive(Debug, Args)]
#[command(after_long_help = GET_EXAMPLES, args_override_self = true)]
pub(crate) struct GetArguments {
    #[command(flatten)]
    pub(crate) files: FileArguments,

    /// Files fetched at once, 1 to 64
    #[arg(short = 'j', long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(limits::PARALLEL_FILES_MAX)))]
    pub(crate) parallel_files: u16,

    /// A request header, or @FILE with one a line; sent to the origin of each URL only, and not where a redirect leads elsewhere
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE|@FILE")]
    pub(crate) headers: Vec<String>,

    #[command(flatten)]
    pub(crate) policies: PolicyArguments,

    /// The level in the queue, as policies see it
    #[arg(long, value_name = "P", default_value = "foreground")]
    pub(crate) priority: PriorityArgument,

    /// From a transient error to the next attempt; D is seconds, or 500ms, 1.5s, 2m, 3h, 7d
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub(crate) minimum_retry_delay: Duration,

    /// Without progress for so long, a transient error becomes final; 0: every error is final
    #[arg(long, value_name = "D", default_value = "1h", value_parser = duration::parse, allow_hyphen_values = true)]
    pub(crate) no_progress_timeout: Duration,

    /// What the network is, for the policies: offline, or a cost (unrestricted, capped, below-cap, near-cap, overcap-charged,
    /// overcap-throttled, usage-based) and roaming, congested, for example near-cap,roaming
    #[arg(long, value_name = "NETWORK", default_value = "unrestricted", value_parser = parse_network, verbatim_doc_comment)]
    pub(crate) network: Network,

    /// On which networks the job may run: always, not-roaming, no-surcharge, standard, unrestricted, or BITS's bits as 0x80000021
    #[arg(long, value_name = "FLAGS", default_value = "always", value_parser = parse_cost_flags)]
    pub(crate) cost_flags: CostFlags,

    /// That all files together may have, for example 2GiB; more is an error
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) maximum_download_size: Option<u64>,

    /// What a redirect does: allow follows it, report gives the file its new address as well, disallow is an error
    #[arg(long, value_name = "R", default_value = "allow", hide_possible_values = true)]
    pub(crate) redirects: RedirectsArgument,

    /// Let redirects lead from https to http
    #[arg(long)]
    pub(crate) redirects_to_http: bool,

    /// The directory below which the state of each command lies [default: $XDG_STATE_HOME/backhaul/get]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,

    /// Replace files that stand under the local names; else they are an error, and stay
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print JSON lines to stdout: what happens, progress once a second, a summary at the end
    #[arg(long, long_help = GET_JSON_HELP)]
    pub(crate) json: bool,

    /// Print errors only; with --json the error and the summary only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// BG_JOB_PRIORITY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorityArgument {
    /// Beside the background jobs
    Foreground,
    /// First of the background levels
    High,
    /// The level of background jobs by default
    Normal,
    /// Last
    Low,
}

impl From<PriorityArgument> for Priority {
    fn from(argument: PriorityArgument) -> Self {
        match argument {
            PriorityArgument::Foreground => Self::Foreground,
            PriorityArgument::High => Self::High,
            PriorityArgument::Normal => Self::Normal,
            PriorityArgument::Low => Self::Low,
        }
    }
}

/// BITS's redirect policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RedirectsArgument {
    /// It is followed
    Allow,
    /// It is followed, and the file has its new address from then on
    Report,
    /// It is an error
    Disallow,
}

impl From<RedirectsArgument> for Redirects {
    fn from(argument: RedirectsArgument) -> Self {
        match argument {
            RedirectsArgument::Allow => Self::Allow,
            RedirectsArgument::Report => Self::Report,
            RedirectsArgument::Disallow => Self::Disallow,
        }
    }
}

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Verify a store: its file, states and events, and its offsets against the part files. Changes nothing
    Check(StoreCheckArguments),
}

/// The arguments of `store check`.
#[derive(Debug, Args)]
#[command(after_help = "\
The store must be at rest: one that another process works on is an error (exit code 75).
Exit codes: 0 it is clean, 1 there are problems, and each is printed; see `backhaul help exit-codes` for the others.")]
pub(crate) struct StoreCheckArguments {
    /// The directory of the store, for example one below ~/.local/state/backhaul/get
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,

    /// Print one JSON object: {"clean": ..., "problems": [...]}
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Build a policy from its Rust source, or from a module: a component that --policy takes
    Build(PolicyBuildArguments),
    /// Show what a component is: its hooks, capabilities and settings
    Inspect(PolicyInspectArguments),
}

/// The arguments of `policy build`.
#[derive(Debug, Args)]
#[command(after_help = "\
A package needs a Rust that can build for WebAssembly: rustup's target wasm32-unknown-unknown, or Debian's rustc-web with
rust-web-src. A module of another language needs nothing else: it becomes a component if it exports the contract's functions.

Examples:
  backhaul policy build my-policy -o my-policy.wasm
  backhaul policy build from-c.wasm -o my-policy.wasm")]
pub(crate) struct PolicyBuildArguments {
    /// The directory of the package, with its Cargo.toml; or the file of a core module
    #[arg(value_name = "DIR|MODULE", value_hint = ValueHint::AnyPath)]
    pub(crate) source: PathBuf,

    /// Where the component shall lie [default: the package's name with .wasm, in the working directory]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// The arguments of `policy inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing of it is run but its own description. Exit codes: 0 it is a policy that this program can load, 78 it is not, and why.")]
pub(crate) struct PolicyInspectArguments {
    /// A component's file, or the name of an embedded one (standard, mirrors)
    #[arg(value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
    pub(crate) policy: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal_and_has_the_exit_codes() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains(&ExitCode::table()), "{help}");
    }
}
