//! Counts calls that run, so that whoever stops a plugin can wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// A door that lets calls in until it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Twice the number of calls inside, plus one once the gate is closed.
    state: AtomicUsize,
    emptied: Notify,
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

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
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
}
