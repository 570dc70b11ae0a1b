//! `job headers`.

use serde::Serialize;

use super::Session;
use super::arguments::Format;
use super::job_id::resolve;
use super::table::{self, Column, Row, text};
use crate::api::wire::JobHeadersView;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::printer::Tone;

const COLUMNS: [Column; 2] = [text("NAME"), text("VALUE")];

/// One header; without its value where that is shown to nobody.
#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: Option<String>,
}

impl Row for Header {
    type Json = Self;

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.value.clone().unwrap_or_else(|| "(write-only)".to_owned())]
    }

    fn fields(&self) -> Vec<String> {
        vec![self.name.clone(), self.value.clone().unwrap_or_default()]
    }

    fn json(&self) -> &Self {
        self
    }
}

/// `job headers`: with -o json one object, the shape of the host API.
pub(super) async fn show(session: &Session<'_>, job: &str) -> Result<ExitCode, Failure> {
    let id = resolve(session, job).await?;
    let view = session.client.headers(id).await?;
    if session.format == Format::Json {
        session.printer.json(&view);
        return Ok(ExitCode::Success);
    }
    let JobHeadersView { headers, .. } = view;
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| Header { name, value }).collect();
    match (session.format, headers.is_empty()) {
        (Format::Table, true) => session.printer.note(Tone::Dim, "the job has no request headers"),
        _ => table::print(session.format, &COLUMNS, &headers, session.printer),
    }
    Ok(ExitCode::Success)
}
