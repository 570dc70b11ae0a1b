//! One connection: who is at its other end, and how long it may do nothing.
//!
//! hyper's own timeout counts the time between two requests as the reading of a head, which would end every client that polls at leisure.
//! So the bytes are watched here, and one coarse timer a connection looks whether something takes too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Refusal;
use super::settings::ApiSettings;
use crate::access::{Caller, TokenDigest};
use crate::clock::Stopwatch;
use crate::host::Host;

/// Who asks: the user at the other end of the socket, as the kernel says (SO_PEERCRED), or whoever has a token.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    caller: Arc<Caller>,
    /// By what a token is known: it may be taken back while it is in use.
    proof: Option<TokenDigest>,
}

impl Peer {
    /// Known by the socket.
    pub(super) fn of_socket(caller: Caller) -> Self {
        Self { caller: Arc::new(caller), proof: None }
    }

    /// Known by a token.
    pub(super) const fn of_token(caller: Arc<Caller>, proof: TokenDigest) -> Self {
        Self { caller, proof: Some(proof) }
    }

    /// Whose the jobs are that it creates.
    pub(super) fn owner(&self) -> String {
        self.caller.subject.to_string()
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it is still who it was when it asked.
    pub(super) fn is_known(&self, host: &Host) -> bool {
        self.proof.is_none_or(|proof| host.tokens().caller(&proof).is_some())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        parts.extensions.get().cloned().ok_or_else(|| Refusal::internal("a request came without its peer"))
    }
}

/// No request was begun.
const IDLE: u8 = 0;
/// Some bytes of a head are there.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;

/// What a connection does, and since when.
#[derive(Debug)]
pub(super) struct Activity {
    clock: Stopwatch,
    stage: AtomicU8,
    /// Milliseconds of `clock` when the head was begun.
    head_at: AtomicU64,
    /// Milliseconds of `clock` when a byte last moved.
    moved_at: AtomicU64,
    /// Milliseconds of `clock` since which the client takes nothing; 0 while it does.
    blocked_at: AtomicU64,
}

/// What takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Head,
    Request,
    Write,
}

impl Activity {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            clock: Stopwatch::start(),
            stage: AtomicU8::new(IDLE),
            head_at: zero(),
            moved_at: zero(),
            blocked_at: zero(),
        }
    }

    /// Milliseconds since the connection was made, from 1.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn received(&self) {
        let now = self.now();
        self.moved_at.store(now, Ordering::Relaxed);
        if self.stage.load(Ordering::Relaxed) == IDLE {
            self.head_at.store(now, Ordering::Relaxed);
            self.stage.store(HEAD, Ordering::Relaxed);
        }
    }

    fn sent(&self) {
        self.moved_at.store(self.now(), Ordering::Relaxed);
        self.blocked_at.store(0, Ordering::Relaxed);
    }

    fn blocked(&self) {
        if self.blocked_at.load(Ordering::Relaxed) == 0 {
            self.blocked_at.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The head of a request is whole.
    pub(super) fn begin_answer(&self) {
        self.stage.store(BUSY, Ordering::Relaxed);
    }

    /// The head of the answer is there; its body may still be sent.
    pub(super) fn end_answer(&self) {
        self.stage.store(IDLE, Ordering::Relaxed);
    }

    pub(super) fn overdue(&self, limits: &ApiSettings) -> Option<Overdue> {
        let now = self.now();
        let longer = |since: u64, limit: Duration| {
            now.saturating_sub(since) > u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
        };
        let blocked_at = self.blocked_at.load(Ordering::Relaxed);
        if blocked_at > 0 && longer(blocked_at, limits.write_timeout) {
            return Some(Overdue::Write);
        }
        match self.stage.load(Ordering::Relaxed) {
            HEAD if longer(self.head_at.load(Ordering::Relaxed), limits.header_read_timeout) => Some(Overdue::Head),
            IDLE if longer(self.moved_at.load(Ordering::Relaxed), limits.idle_timeout) => Some(Overdue::Request),
            _ => None,
        }
    }
}

/// A connection whose bytes are watched.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(_) => self.activity.sent(),
            Poll::Pending => self.activity.blocked(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(millis: u64) -> ApiSettings {
        let limit = Duration::from_millis(millis);
        ApiSettings { header_read_timeout: limit, idle_timeout: limit, write_timeout: limit, ..ApiSettings::default() }
    }

    #[test]
    fn only_what_waits_for_the_client_becomes_overdue() {
        let activity = Activity::new();
        let long = |activity: &Activity| {
            let since = activity.now();
            while activity.now() < since + 5 {
                std::hint::spin_loop();
            }
        };
        long(&activity);
        assert_eq!((activity.overdue(&limits(1)), activity.overdue(&limits(60_000))), (Some(Overdue::Request), None));
        activity.received();
        long(&activity);
        activity.received();
        assert_eq!(activity.overdue(&limits(1)), Some(Overdue::Head), "more bytes of the same head do not prolong it");
        activity.begin_answer();
        assert_eq!(activity.overdue(&limits(1)), None);
        activity.blocked();
        long(&activity);
        assert_eq!(activity.overdue(&limits(1)), Some(Overdue::Write));
        activity.sent();
        activity.end_answer();
        assert_eq!(activity.overdue(&limits(1_000)), None);
    }
}
