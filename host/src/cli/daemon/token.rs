//! `token create`, `token list` and `token revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Session;
use super::arguments::{ConnectArguments, Format, OutputArguments};
use super::table::{self, Column, Row, local_time, text};
use crate::access::{Scope, TokenName};
use crate::api::wire::{NewToken, Seconds, TokenView};
use crate::cli::duration;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;

const TOKEN_HELP: &str = "\
Examples:
  umask 077; backhaul token create --name ci --scope jobs --expires 90d > ci.token
  backhaul job --url https://backhaul.example.org:7447 --token-file ci.token list
  backhaul token revoke ci

A token is shown once, on stdout; the daemon keeps a digest of it only. Its jobs belong to token:NAME; where their files may lie \
is said by [[subjects]] of the daemon's configuration.

Scopes: read (its own jobs, their events, the network, the policies), jobs (the same, and to create and steer jobs), policies (to \
look at the policies), admin (everything, for all jobs).

See `backhaul help exit-codes` for what the exit codes mean.";

/// `backhaul token ...`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = TOKEN_HELP)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    pub(crate) connect: ConnectArguments,

    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print it
    Create(CreateTokenArguments),
    /// List the tokens, without what stands for them
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Take a token back: the next request with it is refused
    Revoke {
        /// Which token
        #[arg(value_name = "NAME")]
        name: TokenName,

        #[command(flatten)]
        output: OutputArguments,
    },
}

/// `token create`.
#[derive(Debug, Args)]
pub(crate) struct CreateTokenArguments {
    /// Its name; its jobs belong to token:NAME
    #[arg(long, value_name = "NAME")]
    name: TokenName,

    /// What it may do: read, jobs, policies, admin, with commas between them
    #[arg(long, value_name = "SCOPES", required = true, value_delimiter = ',')]
    scope: Vec<Scope>,

    /// After how long it is worth nothing, for example 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires: Option<Duration>,

    #[command(flatten)]
    output: OutputArguments,
}

/// How the result is printed.
pub(super) const fn output(arguments: &TokenArguments) -> OutputArguments {
    match &arguments.command {
        TokenCommand::Create(CreateTokenArguments { output, .. })
        | TokenCommand::List { output }
        | TokenCommand::Revoke { output, .. } => *output,
    }
}

const COLUMNS: [Column; 4] = [text("NAME"), text("SCOPES"), text("CREATED"), text("EXPIRES")];

impl Row for TokenView {
    type Json = Self;

    fn cells(&self) -> Vec<String> {
        let expires = match self.expires_at {
            None => "never".to_owned(),
            Some(time) if self.expired => format!("{}, over", local_time(time)),
            Some(time) => local_time(time),
        };
        vec![self.name.clone(), scopes(self), local_time(self.created_at), expires]
    }

    fn fields(&self) -> Vec<String> {
        let expires = self.expires_at.map(|time| time.to_string()).unwrap_or_default();
        vec![self.name.clone(), scopes(self), self.created_at.to_string(), expires]
    }

    fn json(&self) -> &Self {
        self
    }
}

fn scopes(token: &TokenView) -> String {
    token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",")
}

/// Runs one of the commands.
pub(super) async fn token(session: &Session<'_>, command: &TokenCommand) -> Result<ExitCode, Failure> {
    match command {
        TokenCommand::Create(CreateTokenArguments { name, scope, expires, .. }) => {
            let millis = expires.map(|expires| u64::try_from(expires.as_millis()).unwrap_or(u64::MAX));
            let expires_in = millis.map(Seconds::from_millis);
            let wanted = NewToken { name: name.to_string(), scopes: scope.clone(), expires_in };
            let created = session.client.create_token(&wanted).await?;
            // The token alone, so that it can go to a file.
            match session.format {
                Format::Json => session.printer.json(&created),
                Format::Table | Format::Tsv => session.printer.result(&created.secret),
            }
        }
        TokenCommand::List { .. } => {
            table::print(session.format, &COLUMNS, &session.client.tokens().await?, session.printer);
        }
        TokenCommand::Revoke { name, .. } => session.client.revoke_token(name).await?,
    }
    Ok(ExitCode::Success)
}
