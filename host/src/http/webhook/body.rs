//! Reading a body within its cap.
//!
//! Not its deadline (the caller's) and not what it means. A body over the cap is never cut: it is
//! refused, whether it said its length, lied about it, or came in chunks.

use std::error::Error;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of a body that are read without a turn among the large ones. Nearly every event is
/// smaller, so senders that dawdle over large bodies keep no event waiting; and all connections
/// together hold 64 MiB of small ones at the most.
pub(super) const SMALL_BODY: usize = 64 << 10;

/// Why there is no whole body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is, or says it is, longer than the cap.
    #[error("the body is longer than the {0} bytes that this host takes")]
    TooLarge(usize),
    /// It is large, and as many large bodies as may be are being read.
    #[error("too many large bodies are being read; try again shortly")]
    Crowded,
    /// It ended early or was malformed.
    #[error("the body did not come whole: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
}

/// All of `body`, if it has at most `cap` bytes, and the turn of `large` that it took if it has more
/// than [`SMALL_BODY`]. Reads no further than the frame that is over.
pub(super) async fn read<B>(
    body: B,
    cap: usize,
    large: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let declared = body.size_hint();
    let most = u64::try_from(cap).unwrap_or(u64::MAX);
    if declared.lower() > most {
        return Err(BodyError::TooLarge(cap));
    }
    let expected = usize::try_from(declared.lower()).unwrap_or(cap).min(cap);
    let mut body = pin!(body);
    // Most bodies come as one frame, which is then used as it is.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut turn = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
        // Trailers mean nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let held = if whole.is_empty() { first.len() } else { whole.len() };
        if data.len() > cap - held {
            return Err(BodyError::TooLarge(cap));
        }
        if turn.is_none() && held + data.len() > SMALL_BODY {
            turn = Some(large.try_acquire().map_err(|_| BodyError::Crowded)?);
        }
        if held == 0 {
            first = data;
            continue;
        }
        if whole.is_empty() {
            // What a sender merely announces is not yet worth its memory.
            whole.reserve(expected.min(SMALL_BODY).max(held + data.len()));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok((if whole.is_empty() { first } else { whole.freeze() }, turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Frame, SizeHint};
    use proptest::prelude::*;

    /// A body that comes in these pieces and says this of its length.
    struct Pieces(VecDeque<Vec<u8>>, Option<u64>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece.into()))))
        }

        fn size_hint(&self) -> SizeHint {
            self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    #[tokio::test]
    async fn a_declared_length_over_the_cap_is_refused_unread() {
        let mut pieces = Pieces(VecDeque::from([vec![1]]), Some(11));
        let large = Semaphore::new(1);
        let refused = read(Pin::new(&mut pieces), 10, &large).await;
        assert!(matches!(refused, Err(BodyError::TooLarge(10))));
        assert_eq!(pieces.0.len(), 1);
    }

    #[tokio::test]
    async fn what_is_over_the_cap_is_read_no_further() {
        let mut pieces = Pieces(VecDeque::from([vec![1; 6], vec![2; 5], vec![3]]), None);
        let large = Semaphore::new(1);
        let refused = read(Pin::new(&mut pieces), 10, &large).await;
        assert!(matches!(refused, Err(BodyError::TooLarge(10))));
        assert_eq!(pieces.0, [vec![3]]);
    }

    #[tokio::test]
    async fn only_a_large_body_takes_a_turn() {
        let large = Semaphore::new(1);
        let half = || vec![1; SMALL_BODY / 2];
        let small = Pieces(VecDeque::from([half(), half()]), None);
        assert!(read(small, 1 << 20, &large).await.unwrap().1.is_none());
        let pieces = || Pieces(VecDeque::from([half(), half(), vec![1]]), None);
        let (_, turn) = read(pieces(), 1 << 20, &large).await.unwrap();
        assert!(turn.is_some());
        assert!(matches!(read(pieces(), 1 << 20, &large).await, Err(BodyError::Crowded)));
        drop(turn);
        assert!(read(pieces(), 1 << 20, &large).await.is_ok());
    }

    proptest! {
        #[test]
        fn a_body_is_whole_or_refused(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9),
            cap in 0..60_usize,
            lie in proptest::option::of(0..80_u64),
        ) {
            let all = pieces.concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let body = Pieces(pieces.into(), lie);
            match runtime.block_on(read(body, cap, &Semaphore::new(1))) {
                Ok((read, _)) => prop_assert_eq!(read, all),
                Err(_) => prop_assert!(
                    all.len() > cap || lie.is_some_and(|lie| lie > cap as u64)
                ),
            }
        }
    }
}
