//! Webhooks, their cursors and their deliveries.

use std::collections::HashSet;

use rusqlite::Connection;

use super::{Findings, REPORT, RESTORE, each};
use crate::notify::is_kind;
use crate::store::error::Result;
use crate::store::rows::{delivery, event, webhook};

/// What to do about a webhook that cannot be read.
const ANEW: &str = "remove the webhook and create it anew; its secret is another one then";

/// Reads every row for its checksum, and compares cursors and deliveries with the journal. Secrets are in no finding.
pub(super) fn look(connection: &Connection, findings: &mut Findings) -> Result<()> {
    let mut webhooks = HashSet::new();
    each(connection, webhook::SELECT_ALL, [], |row| {
        match webhook::from_row(row) {
            Ok(webhook) => {
                for kind in webhook.kinds.iter().filter(|kind| !is_kind(kind)) {
                    let problem = format!("it is to be told of {kind:?}, which is no kind of event");
                    findings.add(format!("webhook {}", webhook.id), problem, REPORT);
                }
                webhooks.insert(webhook.id);
            }
            Err(error) => findings.add("a webhook", error.to_string(), ANEW),
        }
        Ok(())
    })?;
    let last = event::last_number(connection)?;
    let (mut with_cursor, mut all_are_read) = (HashSet::new(), true);
    each(connection, webhook::SELECT_CURSORS, [], |row| {
        match webhook::cursor_from_row(row) {
            Ok((webhook, number)) => {
                with_cursor.insert(webhook);
                if number > last {
                    let problem = format!("it has been told of event {number}, and the last one is {last}");
                    findings.add(format!("webhook {webhook}"), problem, REPORT);
                }
            }
            Err(error) => {
                all_are_read = false;
                findings.add("the cursor of a webhook", error.to_string(), RESTORE);
            }
        }
        Ok(())
    })?;
    for webhook in webhooks.difference(&with_cursor).filter(|_| all_are_read) {
        findings.add(format!("webhook {webhook}"), "it has no cursor", REPORT);
    }
    each(connection, delivery::SELECT_ALL, [], |row| {
        match delivery::from_row(row) {
            Ok(delivery) if delivery.number > last => {
                let subject = format!("delivery {} of webhook {}", delivery.number, delivery.webhook);
                findings.add(subject, format!("the last event is {last}"), REPORT);
            }
            Ok(_) => {}
            Err(error) => findings.add("a delivery of a webhook", error.to_string(), RESTORE),
        }
        Ok(())
    })
}
