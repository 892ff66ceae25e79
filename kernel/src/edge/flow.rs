//! How fast bytes pass while somebody waits for them.
//!
//! Bytes that were there at once say nothing about the other end, and time in which nobody waited is
//! not its fault: the rate is taken over windows of time spent waiting. One task notes what passes,
//! with plain loads and stores; the sweeper reads along. Times are milliseconds of its coarse clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that pass in one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Since when somebody waits; 0 when nobody does.
    waits: AtomicU64,
    /// Time spent waiting before that.
    waited: AtomicU64,
    bytes: AtomicU64,
    /// The sweeper's window: time waited and bytes at its start.
    window_waited: AtomicU64,
    window_bytes: AtomicU64,
}

impl Flow {
    /// Begins anew; what was before no longer counts.
    pub(super) fn restart(&self) {
        for counter in
            [&self.waits, &self.waited, &self.bytes, &self.window_waited, &self.window_bytes]
        {
            counter.store(0, Relaxed);
        }
    }

    /// Somebody waits from `now` on.
    pub(super) fn waits(&self, now: u64) {
        if self.waits.load(Relaxed) == 0 {
            self.waits.store(now.max(1), Relaxed);
        }
    }

    /// Nobody waits any more; `bytes` passed.
    pub(super) fn passed(&self, bytes: usize, now: impl FnOnce() -> u64) {
        if self.waits.load(Relaxed) != 0 {
            self.waited.store(self.waited(now()), Relaxed);
            self.waits.store(0, Relaxed);
        }
        // Only one task counts, so this needs no more than a load and a store.
        self.bytes.store(self.bytes.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }

    /// Since when nothing has passed though somebody waits; nothing when nobody does.
    pub(super) fn waiting_since(&self) -> Option<u64> {
        match self.waits.load(Relaxed) {
            0 => None,
            since => Some(since),
        }
    }

    /// Milliseconds spent waiting so far.
    pub(super) fn waited(&self, now: u64) -> u64 {
        let waiting = self.waiting_since().map_or(0, |since| now.saturating_sub(since));
        self.waited.load(Relaxed) + waiting
    }

    /// Whether too little passed over the last `window_ms` of waiting; `false` within a window.
    pub(super) fn is_slow(&self, window_ms: u64, bytes_per_second: u64, now: u64) -> bool {
        let (waited, bytes) = (self.waited(now), self.bytes.load(Relaxed));
        let window = waited.saturating_sub(self.window_waited.load(Relaxed));
        if window < window_ms {
            return false;
        }
        let passed = bytes.wrapping_sub(self.window_bytes.load(Relaxed));
        self.window_waited.store(waited, Relaxed);
        self.window_bytes.store(bytes, Relaxed);
        passed < bytes_per_second.saturating_mul(window) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits and passes in steps of a second, `bytes` each, and looks every second.
    fn first_slow_second(bytes: impl Fn(u64) -> usize) -> Option<u64> {
        let flow = Flow::default();
        (1..100).find(|second| {
            flow.waits(second * 1_000);
            flow.passed(bytes(*second), || second * 1_000 + 1_000);
            flow.is_slow(10_000, 1_000, second * 1_000 + 1_000)
        })
    }

    #[test]
    fn a_steady_flow_over_the_rate_is_never_slow_and_one_below_it_is_after_a_window() {
        assert_eq!(first_slow_second(|_| 1_000), None);
        assert_eq!(first_slow_second(|_| 999), Some(10));
        assert_eq!(first_slow_second(|_| 1), Some(10));
    }

    #[test]
    fn a_burst_pays_for_its_window_and_not_for_the_next() {
        assert_eq!(first_slow_second(|second| if second == 1 { 1 << 30 } else { 1 }), Some(20));
        // Out of reach for nine seconds of ten.
        assert_eq!(first_slow_second(|second| if second % 10 == 0 { 10_000 } else { 0 }), None);
    }

    #[test]
    fn time_in_which_nobody_waits_does_not_count() {
        let flow = Flow::default();
        flow.waits(1_000);
        flow.passed(1, || 2_000);
        assert!(!flow.is_slow(10_000, 1_000, 3_600_000));
        assert_eq!(flow.waited(3_600_000), 1_000);
    }
}
