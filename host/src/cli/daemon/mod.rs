//! The commands that speak to a running daemon: `job`, `events`, `network`, `token`. They use the public client, and nothing else.

mod arguments;
mod create;
mod events;
mod files;
mod headers;
mod job_id;
mod jobs;
mod names;
mod network;
mod properties;
mod set;
mod story;
mod table;
mod token;
mod watch;
mod webhook;
mod webhook_arguments;
mod why;

use std::future::Future;
use std::path::PathBuf;

pub(crate) use self::arguments::{EventsArguments, JobArguments, NetworkArguments};
pub(crate) use self::token::TokenArguments;
pub(crate) use self::webhook_arguments::WebhookArguments;

use self::arguments::{ConnectArguments, Format, JobCommand, OutputArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::get::{Logging, failure_line};
use super::printer::Printer;
use crate::client::{Client, ClientError, TOKEN_FILE_VARIABLE, Token, checked_socket, default_socket};

/// What a command works with.
#[derive(Debug)]
struct Session<'a> {
    client: Client,
    format: Format,
    printer: &'a Printer,
    /// Whether log lines go to the terminal, so that nothing can be drawn there.
    logging: Logging,
}

/// `backhaul job ...`.
pub(crate) fn job(arguments: JobArguments, logging: Logging, printer: &Printer) -> Result<ExitCode, Failure> {
    let connect = arguments.connect;
    let with = |output: OutputArguments| (format_of(output, printer), connect.clone());
    match arguments.command {
        JobCommand::Create(mut create) => {
            let format = create::format(&mut create.files, create.json, printer);
            run((format, connect), logging, printer, async |session| create::create(session, &create).await)
        }
        JobCommand::AddFile(mut add) => {
            let format = create::format(&mut add.files, add.json, printer);
            run((format, connect), logging, printer, async |session| create::add_files(session, &add).await)
        }
        JobCommand::List(list) => {
            run(with(list.output), logging, printer, async |session| jobs::list(session, &list).await)
        }
        JobCommand::Show(one) => {
            run(with(one.output), logging, printer, async |session| jobs::show(session, &one.job).await)
        }
        JobCommand::Why(one) => {
            run(with(one.output), logging, printer, async |session| why::why(session, &one.job).await)
        }
        JobCommand::Watch(watch) => {
            run(with(watch.output), logging, printer, async |session| watch::watch(session, &watch).await)
        }
        JobCommand::Set(set) => run(with(set.output), logging, printer, async |session| set::set(session, &set).await),
        JobCommand::Suspend(many) => run(with(many.output), logging, printer, async |session| {
            jobs::each(session, &many.jobs, async |id| session.client.suspend(id).await).await
        }),
        JobCommand::Resume(many) => run(with(many.output), logging, printer, async |session| {
            jobs::each(session, &many.jobs, async |id| session.client.resume(id).await).await
        }),
        JobCommand::TakeOwnership(many) => run(with(many.output), logging, printer, async |session| {
            jobs::each(session, &many.jobs, async |id| session.client.take_ownership(id).await).await
        }),
        JobCommand::Cancel(many) => run(with(many.output), logging, printer, async |session| {
            jobs::each(session, &many.jobs, async |id| session.client.cancel(id).await).await
        }),
        JobCommand::Complete(many) => {
            run(with(many.output), logging, printer, async |session| jobs::complete(session, &many.jobs).await)
        }
        JobCommand::Files(one) => {
            run(with(one.output), logging, printer, async |session| files::list(session, &one.job).await)
        }
        JobCommand::Headers(one) => {
            run(with(one.output), logging, printer, async |session| headers::show(session, &one.job).await)
        }
    }
}

/// `backhaul events`.
pub(crate) fn events(arguments: &EventsArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let how = (format_of(arguments.output, printer), arguments.connect.clone());
    run(how, Logging::Off, printer, async |session| events::events(session, arguments).await)
}

/// `backhaul network ...`.
pub(crate) fn network(arguments: &NetworkArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let how = (format_of(network::output(arguments), printer), arguments.connect.clone());
    run(how, Logging::Off, printer, async |session| network::network(session, &arguments.command).await)
}

/// `backhaul webhook ...`.
pub(crate) fn webhook(arguments: &WebhookArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let how = (format_of(webhook::output(arguments), printer), arguments.connect.clone());
    run(how, Logging::Off, printer, async |session| webhook::webhook(session, &arguments.command).await)
}

/// `backhaul token ...`.
pub(crate) fn token(arguments: &TokenArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let how = (format_of(token::output(arguments), printer), arguments.connect.clone());
    run(how, Logging::Off, printer, async |session| token::token(session, &arguments.command).await)
}

fn format_of(OutputArguments { output, json }: OutputArguments, printer: &Printer) -> Format {
    match output {
        _ if json => Format::Json,
        Some(format) => format,
        None if printer.results_are_read_by_people() => Format::Table,
        None => Format::Tsv,
    }
}

/// Runs a command on a runtime of its own; its failure is a line of JSON too, where JSON is wanted.
fn run(
    (format, connect): (Format, ConnectArguments),
    logging: Logging,
    printer: &Printer,
    command: impl AsyncFnOnce(&Session<'_>) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let result = start(connect).and_then(|(client, runtime)| {
        let session = Session { client, format, printer, logging };
        let work: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(command(&session));
        runtime.block_on(work)
    });
    if let (Err(failure), Format::Json) = (&result, format) {
        printer.json(&failure_line(failure));
    }
    result
}

fn start(connect: ConnectArguments) -> Result<(Client, tokio::runtime::Runtime), Failure> {
    let client = client(connect)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("failed to start the runtime: {error}")))?;
    Ok((client, runtime))
}

/// A client of the daemon that the command line and the environment name.
fn client(ConnectArguments { socket, url, token_file }: ConnectArguments) -> Result<Client, Failure> {
    let Some(url) = url else {
        let socket = match socket {
            Some(socket) => socket,
            None => default_socket().map_err(Failure::usage)?,
        };
        return Ok(Client::unix(checked_socket(socket).map_err(Failure::usage)?)?);
    };
    let named = std::env::var_os(TOKEN_FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = token_file.or(named).ok_or_else(|| {
        Failure::usage(format!(
            "over TCP a token is needed: name its file with --token-file or in {TOKEN_FILE_VARIABLE}"
        ))
    })?;
    let token = Token::read(&file).map_err(Failure::usage)?;
    Ok(Client::remote(&url, &token)?)
}

/// What a failed call means for the exit code.
fn failure(error: &ClientError) -> Failure {
    let code = match error {
        ClientError::Setup(_) => ExitCode::Internal,
        ClientError::Endpoint(_) => ExitCode::Usage,
        ClientError::Problem { problem, .. } => match problem.status {
            404 => ExitCode::NotFound,
            // It is there, and cannot do it now.
            500.. => ExitCode::Unavailable,
            _ => ExitCode::Refused,
        },
        ClientError::CannotConnect { .. }
        | ClientError::Broken { .. }
        | ClientError::Timeout { .. }
        | ClientError::Unexpected { .. } => ExitCode::Unavailable,
    };
    Failure::of(code, error)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        failure(&error)
    }
}
