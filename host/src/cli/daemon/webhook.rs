//! `webhook ...`: receivers that events are posted to.

use std::collections::BTreeMap;
use std::path::Path;

use super::Session;
use super::arguments::{Format, OutputArguments};
use super::table::{self, Column, Row, local_time, number, text};
use super::webhook_arguments::{
    AddWebhookArguments, DeliveriesArguments, ResendArguments, SetWebhookArguments, WebhookArguments, WebhookCommand,
};
use crate::api::wire::{DeliveryView, NewWebhook, Time, WebhookPatch, WebhookView};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::notify::{DeliveryState, WebhookId};

/// Bytes of a file with a secret: one line of some hundred characters. A larger file is some other.
const SECRET_FILE_BYTES_MAX: u64 = 4 << 10;

/// Characters that name a webhook; fewer would soon be of several.
const PART_MIN: usize = 6;
/// Characters of an id that lists show: its end is drawn at random.
const SHOWN: usize = 8;

/// How the result is printed.
pub(super) const fn output(arguments: &WebhookArguments) -> OutputArguments {
    match &arguments.command {
        WebhookCommand::Add(AddWebhookArguments { output, .. })
        | WebhookCommand::List { output }
        | WebhookCommand::Set(SetWebhookArguments { output, .. })
        | WebhookCommand::Failed(DeliveriesArguments { output, .. })
        | WebhookCommand::Resend(ResendArguments { output, .. }) => *output,
        WebhookCommand::Show(one) | WebhookCommand::Remove(one) | WebhookCommand::Test(one) => one.output,
    }
}

pub(super) async fn webhook(session: &Session<'_>, command: &WebhookCommand) -> Result<ExitCode, Failure> {
    match command {
        WebhookCommand::Add(arguments) => return add(session, arguments).await,
        WebhookCommand::List { .. } => {
            let rows: Vec<_> = session.client.webhooks().await?.into_iter().map(Hook).collect();
            table::print(session.format, &HOOK_COLUMNS, &rows, session.printer);
        }
        WebhookCommand::Show(one) => {
            let id = resolve(session, &one.webhook).await?;
            show(session, &session.client.webhook(id).await?);
        }
        WebhookCommand::Set(arguments) => {
            let id = resolve(session, &arguments.webhook).await?;
            show(session, &session.client.change_webhook(id, &patch(arguments)).await?);
        }
        WebhookCommand::Remove(one) => {
            let id = resolve(session, &one.webhook).await?;
            session.client.remove_webhook(id).await?;
        }
        WebhookCommand::Test(one) => return test(session, &one.webhook).await,
        WebhookCommand::Failed(arguments) => {
            let id = resolve(session, &arguments.webhook).await?;
            let state = if arguments.pending { DeliveryState::Pending } else { DeliveryState::Failed };
            let rows = deliveries(session, id, state).await?;
            table::print(session.format, &DELIVERY_COLUMNS, &rows, session.printer);
        }
        WebhookCommand::Resend(arguments) => {
            let id = resolve(session, &arguments.webhook).await?;
            let events = if arguments.all {
                let failed = deliveries(session, id, DeliveryState::Failed).await?;
                failed.iter().map(|Sent(delivery)| delivery.event.number).collect()
            } else {
                arguments.events.clone()
            };
            let mut rows = Vec::new();
            for event in events {
                rows.push(Sent(session.client.resend(id, event).await?));
            }
            table::print(session.format, &DELIVERY_COLUMNS, &rows, session.printer);
        }
    }
    Ok(ExitCode::Success)
}

async fn add(session: &Session<'_>, arguments: &AddWebhookArguments) -> Result<ExitCode, Failure> {
    let secret = arguments.secret_file.as_deref().map(read_secret).transpose()?;
    let is_drawn = secret.is_none();
    let new = NewWebhook {
        secret,
        kinds: (!arguments.kind.is_empty()).then(|| arguments.kind.clone()),
        labels: arguments.label.iter().cloned().collect::<BTreeMap<_, _>>(),
        ..NewWebhook::to(&arguments.receiver)
    };
    let created = session.client.create_webhook(&new).await?;
    match session.format {
        Format::Json if is_drawn => session.printer.json(&created),
        // Whoever gave the secret has it.
        Format::Json => session.printer.json(&created.webhook),
        Format::Table | Format::Tsv => {
            let mut pairs = pairs(&created.webhook);
            if is_drawn {
                pairs.push(("secret", created.secret.clone()));
            }
            table::print_one(session.format, &pairs, &created, session.printer);
        }
    }
    Ok(ExitCode::Success)
}

/// The secret in a file, without the end of its line. It is in no error.
fn read_secret(file: &Path) -> Result<String, Failure> {
    let failed = |problem: String| Failure::usage(format!("{}: {problem}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if size > SECRET_FILE_BYTES_MAX {
        return Err(failed(format!("has {size} bytes, which no secret has")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let secret = text.trim_end();
    crate::notify::Secret::parse(secret).map_err(|error| failed(error.to_string()))?;
    Ok(secret.to_owned())
}

fn patch(arguments: &SetWebhookArguments) -> WebhookPatch {
    WebhookPatch {
        url: arguments.receiver.clone(),
        kinds: (!arguments.kind.is_empty()).then(|| arguments.kind.clone()),
        labels: None,
        enabled: (arguments.enable || arguments.disable).then_some(arguments.enable),
    }
}

async fn test(session: &Session<'_>, webhook: &str) -> Result<ExitCode, Failure> {
    let id = resolve(session, webhook).await?;
    let tested = session.client.test_webhook(id).await?;
    let pairs = [
        ("delivered", (if tested.delivered { "yes" } else { "no" }).to_owned()),
        ("status", tested.status.map_or_else(String::new, |status| status.to_string())),
        ("problem", tested.problem.clone().unwrap_or_default()),
        ("took", format!("{} s", tested.took.0)),
    ];
    table::print_one(session.format, &pairs, &tested, session.printer);
    Ok(if tested.delivered { ExitCode::Success } else { ExitCode::Failed })
}

fn show(session: &Session<'_>, webhook: &WebhookView) {
    table::print_one(session.format, &pairs(webhook), webhook, session.printer);
}

fn pairs(webhook: &WebhookView) -> Vec<(&'static str, String)> {
    vec![
        ("id", webhook.id.to_string()),
        ("url", webhook.url.clone()),
        ("kinds", webhook.kinds.join(", ")),
        ("labels", labels(webhook)),
        ("enabled", (if webhook.enabled { "yes" } else { "no" }).to_owned()),
        ("disabled because", webhook.disabled_because.clone().unwrap_or_default()),
        ("created", local_time(webhook.created_at)),
        ("pending", webhook.pending.to_string()),
        ("failed", webhook.failed.to_string()),
        ("delivered", webhook.delivered_at.map(local_time).unwrap_or_default()),
    ]
}

fn labels(webhook: &WebhookView) -> String {
    let labels: Vec<_> = webhook.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(", ")
}

async fn deliveries(session: &Session<'_>, id: WebhookId, state: DeliveryState) -> Result<Vec<Sent>, Failure> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = session.client.deliveries(id, state, cursor.as_deref()).await?;
        rows.extend(page.deliveries.into_iter().map(Sent));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

/// The webhook that is meant. Only a part of an id makes it ask the daemon.
async fn resolve(session: &Session<'_>, text: &str) -> Result<WebhookId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let part = text.to_ascii_lowercase();
    if part.len() < PART_MIN {
        return Err(Failure::usage(format!(
            "{text:?} names no webhook: give its id, or at least {PART_MIN} characters of its end or begin, as `backhaul webhook list` \
             shows them"
        )));
    }
    let all = session.client.webhooks().await?;
    let mut fitting = all.iter().map(|webhook| webhook.id).filter(|id| {
        let id = id.to_string();
        id.starts_with(&part) || id.ends_with(&part)
    });
    match (fitting.next(), fitting.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => {
            Err(Failure::new(ExitCode::NotFound, format!("no webhook has an id with {part} at its begin or end")))
        }
        (Some(_), Some(_)) => {
            Err(Failure::new(ExitCode::NotFound, format!("{part} is a part of several ids; give more of it")))
        }
    }
}

/// The end of an id, as lists show it.
fn end_of(id: &str) -> String {
    id.get(id.len().saturating_sub(SHOWN)..).unwrap_or_default().to_owned()
}

/// What fits beside a URL on a narrow terminal; `webhook show` has the rest.
const HOOK_COLUMNS: [Column; 5] = [text("ID"), text("ENABLED"), number("PENDING"), number("FAILED"), text("URL")];

struct Hook(WebhookView);

impl Row for Hook {
    type Json = WebhookView;

    fn cells(&self) -> Vec<String> {
        let mut cells = self.fields();
        cells[0] = end_of(&cells[0]);
        // The kinds.
        cells.remove(4);
        cells
    }

    fn fields(&self) -> Vec<String> {
        let Self(webhook) = self;
        vec![
            webhook.id.to_string(),
            (if webhook.enabled { "yes" } else { "no" }).to_owned(),
            webhook.pending.to_string(),
            webhook.failed.to_string(),
            webhook.kinds.join(","),
            webhook.url.clone(),
        ]
    }

    fn json(&self) -> &WebhookView {
        &self.0
    }
}

/// The time of the last attempt is only in the fields: the problem needs room.
const DELIVERY_COLUMNS: [Column; 7] =
    [number("EVENT"), text("TIME"), text("KIND"), text("JOB"), number("TRIES"), number("STATUS"), text("PROBLEM")];

struct Sent(DeliveryView);

impl Sent {
    fn row(&self, time: impl Fn(Time) -> String) -> Vec<String> {
        let Self(delivery) = self;
        vec![
            delivery.event.number.to_string(),
            time(delivery.event.at),
            delivery.event.kind.name().to_owned(),
            delivery.event.job.map_or_else(String::new, |job| job.to_string()),
            delivery.attempts.to_string(),
            delivery.attempted_at.map(&time).unwrap_or_default(),
            delivery.status.map_or_else(String::new, |status| status.to_string()),
            delivery.problem.clone().unwrap_or_default(),
        ]
    }
}

impl Row for Sent {
    type Json = DeliveryView;

    fn cells(&self) -> Vec<String> {
        let mut cells = self.row(local_time);
        cells[3] = end_of(&cells[3]);
        // The time of the last attempt.
        cells.remove(5);
        cells
    }

    fn fields(&self) -> Vec<String> {
        self.row(|time| time.to_string())
    }

    fn json(&self) -> &DeliveryView {
        &self.0
    }
}
