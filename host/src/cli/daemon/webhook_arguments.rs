//! The words of `webhook ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::arguments::{ConnectArguments, OutputArguments, parse_label};

const ADD_HELP: &str = "\
Examples:
  backhaul webhook add https://receiver.example/backhaul
  backhaul webhook add https://receiver.example/backhaul --kind job_error --label team=edge --secret-file secret

The secret by which the receiver knows that deliveries are genuine is printed once, and never again. With --secret-file it is read from \
the file (whsec_ and base64 of 24 to 64 bytes), and is not printed.";

const IDS: &str = "\
Ids:
A webhook may be named by the last characters of its id (six or more), by its first, or by the whole; lists show the last eight.

See `backhaul help exit-codes` for what the exit codes mean.";

/// `webhook ...`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = IDS)]
pub(crate) struct WebhookArguments {
    #[command(flatten)]
    pub(crate) connect: ConnectArguments,

    #[command(subcommand)]
    pub(crate) command: WebhookCommand,
}

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Post what happens to jobs to a URL from now on
    Add(AddWebhookArguments),
    /// List the webhooks
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show a webhook
    Show(OneWebhookArguments),
    /// Change a webhook
    Set(SetWebhookArguments),
    /// Remove a webhook with everything that it was still to be told
    Remove(OneWebhookArguments),
    /// Send a test now, and show what the receiver says
    #[command(
        after_help = "Exit codes: 0 the receiver has it, 1 it has not; see `backhaul help exit-codes` for the others."
    )]
    Test(OneWebhookArguments),
    /// List the deliveries that have failed
    Failed(DeliveriesArguments),
    /// Send deliveries again, at once
    Resend(ResendArguments),
}

/// One webhook.
#[derive(Debug, Args)]
pub(crate) struct OneWebhookArguments {
    /// Which webhook
    #[arg(value_name = "ID")]
    pub(crate) webhook: String,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `webhook add`.
#[derive(Debug, Args)]
#[command(after_help = ADD_HELP)]
pub(crate) struct AddWebhookArguments {
    /// Where events are posted to: https, or http on this machine
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) receiver: String,

    /// A kind of event, for example job_error; may be given several times [default: job_transferred, job_error, acknowledged, cancelled]
    #[arg(short, long, value_name = "KIND")]
    pub(crate) kind: Vec<String>,

    /// Only of jobs with this label; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Vec<(String, String)>,

    /// A file with the secret; one is drawn if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) secret_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `webhook set`.
#[derive(Debug, Args)]
pub(crate) struct SetWebhookArguments {
    /// Which webhook
    #[arg(value_name = "ID")]
    pub(crate) webhook: String,

    /// Where events are posted to
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) receiver: Option<String>,

    /// The kinds of events, in place of those that it has
    #[arg(short, long, value_name = "KIND")]
    pub(crate) kind: Vec<String>,

    /// Deliver events, those that waited first
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,

    /// Deliver nothing; what happens meanwhile waits
    #[arg(long)]
    pub(crate) disable: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `webhook failed`.
#[derive(Debug, Args)]
#[command(after_help = "\
Fields of a line without a table: event, time of the event, kind, job, attempts, time of the last attempt, status, problem.")]
pub(crate) struct DeliveriesArguments {
    /// Which webhook
    #[arg(value_name = "ID")]
    pub(crate) webhook: String,

    /// Those that are tried or wait instead
    #[arg(long)]
    pub(crate) pending: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `webhook resend`.
#[derive(Debug, Args)]
pub(crate) struct ResendArguments {
    /// Which webhook
    #[arg(value_name = "ID")]
    pub(crate) webhook: String,

    /// The numbers of the events, as `webhook failed` shows them
    #[arg(value_name = "EVENT", required_unless_present = "all")]
    pub(crate) events: Vec<u64>,

    /// Everything that has failed
    #[arg(long, conflicts_with = "events")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}
