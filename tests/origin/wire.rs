//! The bytes on the wire: a TCP stream that can be cut after any number of them, below TLS where there is TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a connection is served over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    fn wire(&mut self) -> &mut Wire;
}

#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    /// Bytes that may still be written before the wire is cut; none: no cut.
    left_bytes: Option<u64>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, left_bytes: None }
    }

    /// Lets `bytes` more through; the write after them fails.
    pub(crate) fn cut_after(&mut self, bytes: u64) {
        self.left_bytes = Some(bytes);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.left_bytes == Some(0)
    }

    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(left) = self.left_bytes else {
            return Pin::new(&mut self.tcp).poll_write(context, bytes);
        };
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the wire is cut here")));
        }
        let take = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let written = ready!(Pin::new(&mut self.tcp).poll_write(context, &bytes[..take]))?;
        self.left_bytes = Some(left - written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buf)
    }
}

impl Transport for Wire {
    fn wire(&mut self) -> &mut Wire {
        self
    }
}

impl Transport for TlsStream<Wire> {
    fn wire(&mut self) -> &mut Wire {
        self.get_mut().0
    }
}
