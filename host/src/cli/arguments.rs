//! The command line as clap sees it. What the words mean together is decided in each command's settings.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

use super::exit_code::ExitCode;

/// Fetches files over bad networks: what was fetched is kept, whatever happens, and WebAssembly policies decide when to try again,
/// whether the network is worth its cost, and how to repair what failed.
#[derive(Debug, Parser)]
#[command(name = "backhaul", version, max_term_width = 100, after_long_help = ExitCode::table())]
#[command(subcommand_required = true, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Tell what happens inside, on stderr; twice for more. BACKHAUL_LOG selects in detail, for example backhaul::transfer=trace
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build policies
    #[command(subcommand, arg_required_else_help = true)]
    Policy(PolicyCommand),
    /// Show what the exit codes mean
    #[command(long_about = ExitCode::table())]
    ExitCodes,
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Build a policy from its Rust source: a component that --policy takes
    Build(PolicyBuildArguments),
}

/// The arguments of `policy build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs a Rust that can build for WebAssembly: rustup's target wasm32-unknown-unknown, or Debian's rustc-web with rust-web-src.

Example:
  backhaul policy build my-policy -o my-policy.wasm")]
pub(crate) struct PolicyBuildArguments {
    /// The directory of the package, with its Cargo.toml
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,

    /// Where the component shall lie [default: the package's name with .wasm, in the working directory]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
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
