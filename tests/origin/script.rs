//! A script: what a connection does next, one action after the other. Everything the origin sends ends up as one.

use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::access::{AccessLog, Ended};
use super::content::{self, BLOCK_BYTES};
use super::gate::Gate;
use super::throttle::Throttle;
use super::wire::Transport;

#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Bytes as they are: status line, headers, framing, or nonsense.
    Send(Vec<u8>),
    /// Bytes of a body; the access log counts them.
    Body(Piece),
    /// From here on, at most so many body bytes a second on this connection.
    Pace(u64),
    /// Waits for the gate, or for the client to go away.
    Hold(Gate),
    /// Lets so many bytes more onto the wire, TLS records included, then ends the connection.
    CutWire(u64, End),
    /// Ends the connection. What follows is not run.
    End(End),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Seeded { seed: u64, range: Range<u64> },
    Bytes(Vec<u8>),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// FIN, without TLS's close_notify: what a truncation attack, or a crashed server, looks like.
    Fin,
    /// The orderly end: close_notify where there is TLS, then FIN.
    Orderly,
    /// RST. Bytes that were sent but not yet taken by the client may be lost with it.
    Reset,
}

/// What the connection is good for after a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Closed,
}

/// Where a script runs.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) log: &'a AccessLog,
    /// The row of the access log that this script answers.
    pub(crate) sequence: usize,
    /// The pace of the whole origin.
    pub(crate) throttle: &'a Throttle,
    /// What the client has sent ahead of the answer.
    pub(crate) read_ahead: &'a mut Vec<u8>,
}

/// How long a closed connection is still read, so that the client's last bytes do not turn the FIN into an RST.
const LINGER: Duration = Duration::from_secs(1);

impl Action {
    /// Bytes that it puts into the answer.
    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Self::Send(bytes) => bytes.len() as u64,
            Self::Body(piece) => piece.len_bytes(),
            _ => 0,
        }
    }
}

impl Piece {
    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Self::Seeded { range, .. } => range.end - range.start,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Seeded { seed, range } => {
                let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
                content::fill(*seed, range.start, &mut bytes);
                bytes
            }
            Self::Bytes(bytes) => bytes.clone(),
        }
    }

    /// Copies as much as fits from `offset` on.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> usize {
        let take = out.len().min(usize::try_from(self.len_bytes() - offset).unwrap_or(usize::MAX));
        match self {
            Self::Seeded { seed, range } => content::fill(*seed, range.start + offset, &mut out[..take]),
            Self::Bytes(bytes) => {
                let from = usize::try_from(offset).unwrap();
                out[..take].copy_from_slice(&bytes[from..from + take]);
            }
        }
        take
    }
}

/// Runs a script to its end, and marks the access log accordingly.
pub(crate) async fn run(stream: &mut impl Transport, script: Vec<Action>, mut stage: Stage<'_>) -> After {
    let mut cut_end = End::Fin;
    let mut end = None;
    let played = play(stream, script, &mut stage, &mut cut_end, &mut end).await;
    let (ended, end) = match played {
        _ if stream.wire().is_cut() => (Ended::AsMeant, Some(cut_end)),
        Ok(()) => (Ended::AsMeant, end),
        Err(_) => (Ended::ClientGone, Some(End::Fin)),
    };
    stage.log.update(stage.sequence, |row| row.end = Some(ended));
    let Some(end) = end else { return After::KeepAlive };
    close(stream, end).await;
    After::Closed
}

async fn play(
    stream: &mut impl Transport,
    script: Vec<Action>,
    stage: &mut Stage<'_>,
    cut_end: &mut End,
    end: &mut Option<End>,
) -> io::Result<()> {
    let pace = Throttle::new(None);
    for action in script {
        match action {
            Action::Send(bytes) => stream.write_all(&bytes).await?,
            Action::Body(piece) => send_body(stream, &piece, &pace, stage).await?,
            Action::Pace(bytes_per_second) => pace.set(Some(bytes_per_second)),
            Action::Hold(gate) => hold(stream, &gate, stage.read_ahead).await?,
            Action::CutWire(bytes, how) => {
                stream.flush().await?;
                *cut_end = how;
                stream.wire().cut_after(bytes);
            }
            Action::End(how) => {
                *end = Some(how);
                break;
            }
        }
    }
    stream.flush().await
}

async fn send_body(stream: &mut impl Transport, piece: &Piece, pace: &Throttle, stage: &Stage<'_>) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = 0;
    while offset < piece.len_bytes() {
        let slice = BLOCK_BYTES.min(pace.slice_bytes()).min(stage.throttle.slice_bytes());
        let take = piece.read_at(offset, &mut block[..slice]);
        pace.pass(take).await;
        stage.throttle.pass(take).await;
        let mut sent = 0;
        while sent < take {
            let written = stream.write(&block[sent..take]).await?;
            sent += written;
            stage.log.update(stage.sequence, |row| row.body_sent += written as u64);
        }
        if slice < BLOCK_BYTES {
            stream.flush().await?;
        }
        offset += take as u64;
    }
    Ok(())
}

async fn hold(stream: &mut impl Transport, gate: &Gate, read_ahead: &mut Vec<u8>) -> io::Result<()> {
    stream.flush().await?;
    let passed = gate.pass();
    tokio::pin!(passed);
    loop {
        tokio::select! {
            () = &mut passed => return Ok(()),
            read = stream.read_buf(read_ahead) => {
                if read? == 0 {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
    }
}

/// Ends the connection. Errors mean that the client was faster, and are no one's concern.
pub(crate) async fn close(stream: &mut impl Transport, end: End) {
    match end {
        End::Reset => {
            // Dropping the socket now sends the RST.
            stream.wire().tcp().set_zero_linger().ok();
            return;
        }
        End::Orderly => stream.shutdown().await.ok(),
        End::Fin => stream.wire().tcp().shutdown().await.ok(),
    };
    let mut rest = [0; 4096];
    let drain = async { while stream.wire().tcp().read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    timeout(LINGER, drain).await.ok();
}
