//! The command lines of the daemon and of its configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

const SERVE_HELP: &str = "\
One daemon serves one user: the socket is that user's only, files are written as that user, and root has to say --allow-root. With \
access.mode = \"multi\" it serves the members of a group: each sees its own jobs, and its files lie below its roots. One daemon works \
on a state directory; a second one ends with exit code 75 and names the first by its process id.

Over TCP (--listen) every request needs a token: `backhaul token create` makes one. Its jobs may write below the roots of \
[[subjects]] only, and connect to public addresses only ([egress]).

SIGTERM and SIGINT end it within 5 s: transfers stop at a checkpoint, and go on at the next start. Exit code 0.

Places:
  state directory  --state-dir, else $STATE_DIRECTORY (systemd), else /var/lib/backhaul for root,
                   else $XDG_STATE_HOME/backhaul/daemon or ~/.local/state/backhaul/daemon
  socket           --socket, else $BACKHAUL_SOCKET, else $XDG_RUNTIME_DIR/backhaul/backhaul.sock,
                   else /run/backhaul/backhaul.sock for root, else backhaul/backhaul.sock below
                   $XDG_STATE_HOME or ~/.local/state; its path has at most 107 bytes
  configuration    --config only; `backhaul config show` lists every setting

Its log goes to stderr; -v tells more, and BACKHAUL_LOG selects.";

/// The arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArguments {
    /// Where jobs are kept; created if missing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,

    /// The unix socket that clients connect to
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,

    /// The configuration, a TOML file; without it every setting has its default
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Offer the API over TCP as well, to whoever has a token; off loopback with api.tls_certificate and api.tls_key only
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Serve as root: jobs can then write every file of the machine. Not needed where several users are served
    #[arg(long)]
    pub(crate) allow_root: bool,
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting: its value, unit, default, limits, reason, and where the value comes from
    Show(ConfigShowArguments),
}

/// The arguments of `config show`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the configuration can be used, 2 it cannot, and each mistake is told.")]
pub(crate) struct ConfigShowArguments {
    /// The configuration; without it the defaults are shown
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// As text for people, or as JSON: one object a setting
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: ConfigFormat,
}

/// How settings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigFormat {
    /// A file that can be edited and used, with what is to be known beside each setting
    Text,
    /// One object a line
    Json,
}
