//! Futures that cross the boundary with their panics caught on the side that made them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::FfiFuture;
use crate::error::{Failure, RawError, guard_drop};

/// Boxes `future` for the boundary; a panic while it is polled or dropped becomes an error.
pub fn guarded<T, F>(future: F) -> FfiFuture<T>
where
    T: Failure + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    FfiFuture::new(Guarded { inner: Some(future) })
}

/// A future whose panics become the failed result.
struct Guarded<F> {
    inner: Option<F>,
}

impl<T: Failure, F: Future<Output = T>> Future for Guarded<F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // SAFETY: `inner` is pinned structurally: it is polled in place and only ever dropped in
        // place (by `set(None)` below or by Drop, which does not move it either).
        let mut inner = unsafe { self.map_unchecked_mut(|this| &mut this.inner) };
        let Some(future) = inner.as_mut().as_pin_mut() else {
            return Poll::Ready(T::failed(RawError::panicked(&"polled after it panicked")));
        };
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(poll) => poll,
            Err(payload) => {
                let failed = T::failed(RawError::panicked(&*payload));
                guard_drop(payload);
                let dropped = catch_unwind(AssertUnwindSafe(|| inner.set(None)));
                if let Err(payload) = dropped {
                    std::mem::forget(payload);
                }
                Poll::Ready(failed)
            }
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let inner = &mut self.inner;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| *inner = None)) {
            std::mem::forget(payload);
        }
    }
}
