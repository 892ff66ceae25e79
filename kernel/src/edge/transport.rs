//! The raw socket, metered: every read and write leaves its mark in the connection's [`Link`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::connection::{Link, Order, Phase};

/// A socket of the operating system.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes closing this socket a reset.
    fn reset_on_close(&self);
}

impl Transport for TcpStream {
    fn reset_on_close(&self) {
        // A socket that is gone already needs no reset.
        drop(self.set_zero_linger());
    }
}

impl Transport for UnixStream {
    fn reset_on_close(&self) {}
}

/// Bytes thrown away after our side is closed; a client that sends more sees a reset.
const LINGER_BYTES: usize = 256 << 10;

/// A socket whose progress is noted. Encryption, when there is any, lies above it.
pub(super) struct Metered<T: Transport> {
    socket: T,
    link: Arc<Link>,
    linger_left: Option<usize>,
}

impl<T: Transport> Metered<T> {
    pub(super) fn new(socket: T, link: Arc<Link>) -> Self {
        Self { socket, link, linger_left: None }
    }
}

impl<T: Transport> Drop for Metered<T> {
    fn drop(&mut self) {
        if self.link.resets_at_end() {
            self.socket.reset_on_close();
        }
    }
}

impl<T: Transport> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.link.has_read();
        }
        poll
    }
}

impl<T: Transport> Metered<T> {
    fn note(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &poll {
            Poll::Pending => self.link.cannot_write(),
            Poll::Ready(written) => self.link.has_written(*written.as_ref().unwrap_or(&0)),
        }
        poll
    }
}

impl<T: Transport> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.note(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Closes our side, then throws away what still arrives: closing a socket with unread bytes
    /// resets it, and a reset can overtake the response that says why (RFC 9112 §9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = match &mut this.linger_left {
            Some(left) => left,
            None => {
                ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
                if this.link.order() > Order::Serve {
                    return Poll::Ready(Ok(()));
                }
                this.link.enter(Phase::Lingering);
                this.linger_left.insert(LINGER_BYTES)
            }
        };
        let mut scratch = [0; 4096];
        while *left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.socket).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
