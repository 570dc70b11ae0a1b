//! The body of an answer, read with patience.

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::FileError;
use super::net_error::classify;
use super::patience::Patience;
use super::settings::TransferSettings;
use crate::job::Phase;

/// A body being read.
#[derive(Debug)]
pub(crate) struct Body {
    response: Response,
    patience: Patience,
    /// Since when the origin is waited for.
    waiting_since: Option<Instant>,
}

impl Body {
    pub(crate) fn new(response: Response, settings: &TransferSettings) -> Self {
        Self { response, patience: Patience::new(settings), waiting_since: None }
    }

    /// The next bytes, or none at the end. Cancel-safe: what is dropped while it waits loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        loop {
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let deadline = since.checked_add(self.patience.left()).unwrap_or(since + FAR);
            let chunk = timeout_at(deadline, self.response.chunk()).await;
            self.pause();
            match chunk {
                Ok(Ok(Some(bytes))) => {
                    self.patience.received(bytes.len());
                    self.patience.verdict()?;
                    return Ok(Some(bytes));
                }
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(classify(&error, Phase::Body)),
                Err(_) => self.patience.verdict()?,
            }
        }
    }

    /// The origin is not waited for until [`Self::next`] is called again.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.patience.waited(since.elapsed());
        }
    }
}

/// Any deadline that is never reached.
const FAR: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Reads a body that is of no use but for what it says: at most so many bytes, for a short time. One that ends within them
/// leaves its connection free for the next request.
pub(crate) async fn read_begin(response: &mut Response, bytes_max: usize) -> Vec<u8> {
    let mut begin = Vec::new();
    let read = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            let room = bytes_max - begin.len();
            begin.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                break;
            }
        }
    };
    // Too late is as good as not at all: what came is taken.
    let _ = timeout(READ_BEGIN_TIMEOUT, read).await;
    begin
}

/// An error document comes with its head, or is not worth the wait.
const READ_BEGIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
