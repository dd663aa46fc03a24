//! Closing a connection so that the peer gets the answer.
//!
//! A peer that is still sending when the socket is closed gets a reset, and may lose the answer that
//! is on its way. So after an answer to a request whose body was not read to its end, what still
//! comes is thrown away for a short while (as nginx's `lingering_close` does): bounded in bytes by
//! [`MAX_BYTES`] and in time by [`MAX_TIME`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Most bytes thrown away. Senders of a body that is too large mostly stop within a few buffers.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Longest time that what still comes is thrown away.
pub(super) const MAX_TIME: Duration = Duration::from_secs(1);

/// Asks the connection to linger when it closes.
#[derive(Debug, Clone, Default)]
pub(super) struct LingerFlag(Arc<AtomicBool>);

impl LingerFlag {
    /// Some request's body was left unread.
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that lingers on shutdown where its flag asks for it.
pub(super) struct Linger<S> {
    stream: S,
    flag: LingerFlag,
    state: State,
}

enum State {
    Open,
    /// The write half is closed; reading until the peer closes, or a bound is met.
    Discarding {
        left: usize,
        until: Pin<Box<Sleep>>,
    },
    Closed,
}

impl<S> Linger<S> {
    pub(super) fn new(stream: S, flag: LingerFlag) -> Self {
        Self { stream, flag, state: State::Open }
    }
}

impl<S: AsyncRead + Unpin> Linger<S> {
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Discarding { left, until } = &mut self.state else { return Poll::Ready(()) };
        let mut sink = [0; 4096];
        while *left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut sink);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            match buffer.filled().len() {
                0 => break,
                _ if read.is_err() => break,
                count => *left = left.saturating_sub(count),
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Open) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.state = if self.flag.0.load(Ordering::Relaxed) {
                State::Discarding { left: MAX_BYTES, until: Box::pin(sleep(MAX_TIME)) }
            } else {
                State::Closed
            };
        }
        ready!(self.poll_discard(cx));
        self.state = State::Closed;
        Poll::Ready(Ok(()))
    }
}
