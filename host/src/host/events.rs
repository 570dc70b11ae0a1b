//! Events on their way to those who follow the journal.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::job::Event;

/// An event with its number in the journal.
#[derive(Debug)]
pub struct NumberedEvent {
    /// Counts from 1, without a gap.
    pub number: u64,
    /// What happened.
    pub event: Event,
    /// What it looks like on the wire, made by the first who needs it.
    wire: OnceLock<Bytes>,
}

impl NumberedEvent {
    /// An event that the store has numbered.
    #[must_use]
    pub const fn new(number: u64, event: Event) -> Self {
        Self { number, event, wire: OnceLock::new() }
    }

    /// The event in the form in which it is sent, shared by all who send it: made once. Everybody has to make it in the same form.
    pub fn wire(&self, make: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.wire.get_or_init(|| make(self)).clone()
    }
}
