//! Values that are noticed when they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Panics when it is dropped.
pub(crate) struct PanicsInDrop(pub(crate) &'static str);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("panicked in drop: {}", self.0);
    }
}

/// Counts how many of its kind are alive.
pub(crate) struct Alive(Arc<AtomicI64>);

impl Alive {
    pub(crate) fn new(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
