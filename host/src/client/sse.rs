//! Server-sent events: what one of them means, and a bound on what a peer can make us keep.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::StreamItem;
use crate::api::wire::{CutOffEvent, EventView, MissedEvent, ProgressEvent};

/// Bytes between two line ends: an event is at most some 70 KiB. The parser keeps an unfinished line in memory.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Why a stream came to its end.
#[derive(Debug)]
pub(super) enum Cut {
    /// The transport says why.
    Transport(reqwest::Error),
    /// A line over its limit.
    LineTooLong,
}

/// Passes bytes on, and ends where a line is too long.
#[derive(Debug)]
pub(super) struct BoundedLines<S> {
    bytes: S,
    line_bytes: usize,
}

impl<S> BoundedLines<S> {
    pub(super) const fn new(bytes: S) -> Self {
        Self { bytes, line_bytes: 0 }
    }
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for BoundedLines<S> {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.bytes).poll_next(context).map(|item| {
            item.map(|bytes| {
                let bytes = bytes.map_err(Cut::Transport)?;
                self.line_bytes = match bytes.iter().rposition(|byte| *byte == b'\n') {
                    Some(last) => bytes.len() - last - 1,
                    None => self.line_bytes + bytes.len(),
                };
                if self.line_bytes > LINE_BYTES_MAX { Err(Cut::LineTooLong) } else { Ok(bytes) }
            })
        })
    }
}

/// One server-sent event, by its name. None for names that a later version may have.
pub(super) fn item(name: &str, data: &str) -> Result<Option<StreamItem>, serde_json::Error> {
    match name {
        "progress" => serde_json::from_str::<ProgressEvent>(data).map(|progress| Some(StreamItem::Progress(progress))),
        "missed" => serde_json::from_str(data)
            .map(|MissedEvent { missed_until }| Some(StreamItem::Missed { until: missed_until })),
        // Without a number, the reader goes on after the last that it had.
        "cut_off" => serde_json::from_str(data)
            .map(|CutOffEvent { resume_after }| Some(StreamItem::CutOff { resume_after: resume_after.unwrap_or(0) })),
        _ => match serde_json::from_str::<EventView>(data) {
            Ok(event) => Ok(Some(StreamItem::Event(event))),
            // A kind of a later version, or a word of the stream about itself.
            Err(error) if error.is_data() => Ok(None),
            Err(error) => Err(error),
        },
    }
}
