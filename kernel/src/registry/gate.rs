//! Counts calls that run, so that whoever stops a plugin can wait for them, and end those that stay.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

/// A door that lets calls in until it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Twice the number of calls inside, plus one once the gate is closed.
    state: AtomicUsize,
    emptied: Notify,
    closed: Notify,
    cut: Notify,
}

/// One call inside. Leaves when dropped.
#[derive(Debug)]
pub(crate) struct Inside(Arc<Gate>);

impl Gate {
    /// Lets one call in; nothing once the gate is closed.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Inside> {
        if self.state.fetch_add(2, Ordering::AcqRel) & 1 == 1 {
            self.leave();
            return None;
        }
        Some(Inside(Arc::clone(self)))
    }

    fn leave(&self) {
        // The last one out of a closed gate tells whoever waits.
        if self.state.fetch_sub(2, Ordering::AcqRel) == 3 {
            self.emptied.notify_waiters();
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.state.fetch_or(1, Ordering::AcqRel);
        self.closed.notify_waiters();
    }

    /// Ends the work of everybody inside at their next await point.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Closes and waits until everybody left, for at most `limit`; returns how many stayed.
    pub(crate) async fn drain(&self, limit: Duration) -> usize {
        self.close();
        let empty = async {
            loop {
                let emptied = self.emptied.notified();
                if self.state.load(Ordering::Acquire) < 2 {
                    return;
                }
                emptied.await;
            }
        };
        drop(tokio::time::timeout(limit, empty).await);
        self.state.load(Ordering::Acquire) / 2
    }
}

impl Inside {
    /// The gate that it went through.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.0
    }

    /// Runs `work`; nothing when it was cut off, and what was left of `work` is dropped then.
    pub(crate) async fn run<W: Future + Unpin>(&self, work: W) -> Option<W::Output> {
        unless(&self.0.cut, work).await
    }

    /// Runs `work` while the gate is open; nothing, at once, when it closes.
    pub(crate) async fn run_while_open<W: Future + Unpin>(&self, work: W) -> Option<W::Output> {
        unless(&self.0.closed, work).await
    }
}

/// Polls `work` first: most of it is ready at once and never registers with `end`.
async fn unless<W: Future + Unpin>(end: &Notify, mut work: W) -> Option<W::Output> {
    let mut ended = pin!(end.notified());
    poll_fn(|context| match Pin::new(&mut work).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => ended.as_mut().poll(context).map(|()| None),
    })
    .await
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn draining_waits_for_those_inside_and_lets_nobody_in() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter().unwrap();
        assert_eq!(gate.drain(Duration::from_millis(20)).await, 1);
        assert!(gate.enter().is_none());
        drop(inside);
        assert_eq!(gate.drain(Duration::from_secs(5)).await, 0);
    }

    #[tokio::test]
    async fn closing_ends_what_runs_while_it_is_open_and_cutting_ends_the_rest() {
        let gate = Arc::new(Gate::default());
        let (one, other) = (gate.enter().unwrap(), gate.enter().unwrap());
        let never = || Box::pin(std::future::pending::<()>());
        let mut open = pin!(one.run_while_open(never()));
        let mut run = pin!(other.run(never()));
        assert!(open.as_mut().now_or_never().is_none());
        assert!(run.as_mut().now_or_never().is_none());
        gate.close();
        assert_eq!(open.await, None);
        assert!(run.as_mut().now_or_never().is_none());
        gate.cut();
        assert_eq!(run.await, None);
    }
}
