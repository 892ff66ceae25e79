//! What a caller holds while the cartridge works for it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::error::CartridgeError;

/// The answer to come. Needs no runtime; works on any executor.
///
/// Dropping it while the work still waits takes it out of the queue. After that the work is done to
/// its end, and nobody is told.
#[derive(Debug)]
#[must_use = "dropping it withdraws the work"]
pub struct Pending<T = ()> {
    state: State<T>,
    /// Counts callers that left, so that a full queue knows when looking for them is worth it.
    abandoned: Option<Arc<AtomicUsize>>,
}

#[derive(Debug)]
enum State<T> {
    Known(Option<CartridgeError>),
    Waiting(oneshot::Receiver<Result<T, CartridgeError>>),
    Done,
}

impl<T> Pending<T> {
    pub(super) fn new(
        receiver: Result<oneshot::Receiver<Result<T, CartridgeError>>, CartridgeError>,
        abandoned: Option<Arc<AtomicUsize>>,
    ) -> Self {
        let state = match receiver {
            Ok(receiver) => State::Waiting(receiver),
            Err(error) => State::Known(Some(error)),
        };
        Self { state, abandoned }
    }

    /// Blocks this thread until the answer is there. Not for use inside an asynchronous runtime,
    /// where it panics.
    ///
    /// # Errors
    /// The answer.
    pub fn wait(mut self) -> Result<T, CartridgeError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Known(error) => Err(error.unwrap_or(CartridgeError::Closed)),
            State::Waiting(receiver) => {
                receiver.blocking_recv().unwrap_or(Err(CartridgeError::Closed))
            }
            State::Done => Err(CartridgeError::Closed),
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, CartridgeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.state {
            State::Known(error) => Err(error.take().unwrap_or(CartridgeError::Closed)),
            State::Waiting(receiver) => match Pin::new(receiver).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(answer) => answer.unwrap_or(Err(CartridgeError::Closed)),
            },
            State::Done => Err(CartridgeError::Closed),
        };
        self.state = State::Done;
        Poll::Ready(answer)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let (State::Waiting(_), Some(abandoned)) = (&self.state, &self.abandoned) {
            abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}
