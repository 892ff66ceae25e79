//! Hands chunks from a thread that makes them to a task that takes them, at most a few ahead.
//!
//! The thread waits when the task is behind; the task never holds up its thread. When either leaves,
//! the other learns of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::{Context, Poll};

use fazt_sdk::prelude::Bytes;
use futures_util::task::AtomicWaker;

/// The most chunks that wait to be taken.
const CHUNKS_AHEAD: usize = 4;

/// The end of the thread.
pub(crate) struct Giver {
    /// There until this is dropped.
    chunks: Option<SyncSender<Bytes>>,
    taker: Arc<AtomicWaker>,
}

/// The end of the task.
pub(crate) struct Taker {
    chunks: Receiver<Bytes>,
    waker: Arc<AtomicWaker>,
}

/// Both ends.
pub(crate) fn handover() -> (Giver, Taker) {
    let (giver, chunks) = sync_channel(CHUNKS_AHEAD);
    let waker = Arc::new(AtomicWaker::new());
    (Giver { chunks: Some(giver), taker: Arc::clone(&waker) }, Taker { chunks, waker })
}

impl Giver {
    /// Hands `chunk` over, as soon as there is room. Blocks until then; `false` when nobody takes it
    /// any more.
    pub(crate) fn give(&self, chunk: Bytes) -> bool {
        let is_given = self.chunks.as_ref().is_some_and(|chunks| chunks.send(chunk).is_ok());
        self.taker.wake();
        is_given
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        // First the end, then the word of it.
        self.chunks = None;
        self.taker.wake();
    }
}

impl Taker {
    /// The next chunk; none when the giver is gone.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        // Registered first: what is given after the look wakes.
        self.waker.register(context.waker());
        match self.chunks.try_recv() {
            Ok(chunk) => Poll::Ready(Some(chunk)),
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
            Err(TryRecvError::Empty) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_chunks_arrive_in_their_order_and_the_end_is_told() {
        let (giver, mut taker) = handover();
        let thread = tokio::task::spawn_blocking(move || {
            (0..1_000_u32).all(|number| giver.give(Bytes::from(number.to_string())))
        });
        for number in 0..1_000_u32 {
            assert_eq!(taker.next().await.unwrap(), number.to_string());
        }
        assert_eq!(taker.next().await, None);
        assert!(thread.await.unwrap());
    }

    #[tokio::test]
    async fn who_gives_is_held_back_and_learns_that_nobody_takes() {
        let (giver, taker) = handover();
        let thread = tokio::task::spawn_blocking(move || {
            (0..).take_while(|_| giver.give(Bytes::from_static(b"x"))).count()
        });
        drop(taker);
        assert!(thread.await.unwrap() <= CHUNKS_AHEAD);
    }
}
