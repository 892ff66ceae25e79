//! Counts removals of deployments, so that content can be shared without being stored again.
//!
//! Content that a deployment refers to stays in the cartridge. Whoever finds it there, and refers to
//! it later, only has to know that no deployment was removed in between.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many removals there were.
#[derive(Debug, Default)]
pub(crate) struct Removals(AtomicU64);

/// A moment between two removals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Removals {
    /// This moment.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.0.load(Ordering::SeqCst))
    }

    /// Something is removed. To be called inside the write: it counts a removal that is rolled back
    /// too, which costs somebody a second storing and nothing else.
    pub(crate) fn record(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
