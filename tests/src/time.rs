//! Time: how long something took, and waiting for what can be asked.

use std::time::{Duration, Instant};

/// Measures time from its start.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "tests measure the time of the machine")]
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Asks until there is an answer; none when `limit` is over.
pub fn wait_for<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if watch.elapsed() > limit {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until `is_so`, and fails with `what` when that takes longer than `limit`.
///
/// # Panics
/// When it does.
#[track_caller]
pub fn until(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    assert!(wait_for(limit, || is_so().then_some(())).is_some(), "not within {limit:?}: {what}");
}

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(1);
