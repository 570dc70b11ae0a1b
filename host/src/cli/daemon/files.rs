//! `job files`.

use super::Session;
use super::job_id::resolve;
use super::table::{Column, Listing, Row, number, text};
use crate::api::wire::FileView;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::units::bytes;
use crate::job::Validation;

/// Files asked for at once.
const PAGE: u32 = 1000;

const COLUMNS: [Column; 6] =
    [number("FILE"), text("STATE"), number("DONE"), number("SIZE"), text("LOCAL NAME"), text("REMOTE NAME")];

impl Row for FileView {
    type Json = Self;

    fn cells(&self) -> Vec<String> {
        vec![
            self.index.to_string(),
            state(self).to_owned(),
            bytes(self.bytes_transferred),
            self.bytes_total.map_or_else(|| "?".to_owned(), bytes),
            self.local_name.clone(),
            self.remote_name.clone(),
        ]
    }

    fn fields(&self) -> Vec<String> {
        vec![
            self.index.to_string(),
            state(self).to_owned(),
            self.bytes_transferred.to_string(),
            self.bytes_total.map(|total| total.to_string()).unwrap_or_default(),
            self.local_name.clone(),
            self.remote_name.clone(),
        ]
    }

    fn json(&self) -> &Self {
        self
    }
}

const fn state(file: &FileView) -> &'static str {
    match (file.completed, file.transferred, file.bytes_transferred) {
        (true, _, _) => "completed",
        (false, true, _) if matches!(file.validation_state, Validation::Valid) => "valid",
        (false, true, _) => "transferred",
        (false, false, 0) if matches!(file.validation_state, Validation::Invalid) => "invalid",
        (false, false, 0) => "-",
        (false, false, _) => "begun",
    }
}

/// `job files`: page by page, for there may be a million.
pub(super) async fn list(session: &Session<'_>, job: &str) -> Result<ExitCode, Failure> {
    let id = resolve(session, job).await?;
    let mut listing = Listing::new(session.format, &COLUMNS, session.printer);
    let mut cursor = None;
    loop {
        let page = session.client.files(id, cursor.as_deref(), Some(PAGE)).await?;
        listing.page(page.files);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    listing.end("the job has no files");
    Ok(ExitCode::Success)
}
