//! The command line, in three layers: what clap parses (`arguments`), what it means (each command's settings), and commands that
//! take plain values. All text leaves through the one `Printer`, every end is an [`ExitCode`].

mod arguments;
mod config;
mod daemon;
mod demo;
mod duration;
pub mod exit_code;
mod failure;
mod get;
mod logging;
mod policy;
mod printer;
mod serve;
mod size;
mod store;
mod units;

use clap::{CommandFactory as _, Parser as _};

use self::arguments::{Cli, Command, PolicyCommand, StoreCommand};
use self::exit_code::ExitCode;
use self::get::Logging;
use self::printer::Printer;
use self::serve::ConfigCommand;

/// Parses the command line, runs the command, and says how the process shall end.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are asked for, and go to stdout. A reader that had enough of them is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    let printer = Printer::of_process();
    match cli.command {
        Command::Serve(_) => logging::start_for_service(cli.verbose),
        _ => logging::start(cli.verbose),
    }
    let result = match cli.command {
        Command::Get(arguments) => {
            let logging = if logging::is_wanted(cli.verbose) { Logging::On } else { Logging::Off };
            get::run(&arguments, logging, &printer)
        }
        Command::Demo(arguments) => {
            let logging = if logging::is_wanted(cli.verbose) { Logging::On } else { Logging::Off };
            demo::run(&arguments, logging, &printer)
        }
        Command::Job(arguments) => {
            let logging = if logging::is_wanted(cli.verbose) { Logging::On } else { Logging::Off };
            daemon::job(arguments, logging, &printer)
        }
        Command::Events(arguments) => daemon::events(&arguments, &printer),
        Command::Network(arguments) => daemon::network(&arguments, &printer),
        Command::Webhook(arguments) => daemon::webhook(&arguments, &printer),
        Command::Token(arguments) => daemon::token(&arguments, &printer),
        Command::Completions { shell } => {
            printer.verbatim(&completions(shell));
            Ok(ExitCode::Success)
        }
        Command::Serve(arguments) => serve::run(arguments),
        Command::Config(ConfigCommand::Show(arguments)) => config::show(&arguments, &printer),
        Command::Policy(PolicyCommand::Build(arguments)) => policy::build(&arguments, &printer),
        Command::Policy(PolicyCommand::Inspect(arguments)) => policy::inspect(&arguments, &printer),
        Command::Store(StoreCommand::Check(arguments)) => store::check(&arguments, &printer),
        Command::ExitCodes => {
            printer.result(ExitCode::table());
            Ok(ExitCode::Success)
        }
    };
    let code = result.unwrap_or_else(|failure| {
        printer.error(&failure.message);
        failure.code
    });
    match (code, printer.output_failure()) {
        (ExitCode::Success, Some(error)) => {
            printer.error(format_args!("failed to write to stdout: {error}"));
            ExitCode::Output
        }
        (code, _) => code,
    }
}

/// The script that makes a shell complete our words.
fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "backhaul", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
