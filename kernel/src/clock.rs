//! Time as a parameter.
//!
//! This file owns the only calls of the kernel to the machine's clocks. Everything else takes a
//! [`Clock`], so that a test decides what time it is.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Tells the time. Cheap, never blocks, callable from any thread.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Wall-clock time in milliseconds since 1970-01-01 UTC; may jump in both directions.
    fn unix_ms(&self) -> i64;

    /// Time since an arbitrary fixed moment; never goes back. For deadlines and durations.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts a clock whose monotonic time is zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn unix_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told otherwise. For tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    unix_ms: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// Starts at `unix_ms` milliseconds since 1970.
    #[must_use]
    pub fn new(unix_ms: i64) -> Self {
        Self { unix_ms: AtomicI64::new(unix_ms), monotonic_ns: AtomicU64::new(0) }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.unix_ms.fetch_add(ms, Ordering::Relaxed);
        self.monotonic_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> i64 {
        self.unix_ms.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(1_000);
        assert_eq!((clock.unix_ms(), clock.monotonic()), (1_000, Duration::ZERO));
        clock.advance(Duration::from_millis(7));
        assert_eq!((clock.unix_ms(), clock.monotonic()), (1_007, Duration::from_millis(7)));
    }

    #[test]
    fn system_clock_is_after_2025_and_never_goes_back() {
        let clock = SystemClock::new();
        assert!(clock.unix_ms() > 1_735_689_600_000);
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
    }
}
