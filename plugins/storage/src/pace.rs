//! How much one write removes, so that nobody else waits long, and how the writer is left to others.

use std::time::Duration;

use fazt_sdk::host::Clock;

/// A long work in batches, which grow and shrink with the time that they take.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: Clock,
    rows: u32,
}

impl Pace {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), rows: ROWS_FIRST }
    }

    /// How many rows the next write removes.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Runs the next write of a work that somebody waits for.
    pub(crate) async fn hurry<T>(&mut self, write: impl Future<Output = T>) -> T {
        self.timed(write).await.0
    }

    /// Runs the next write of a work that nobody waits for, and leaves the writer to others for as long as
    /// it took.
    pub(crate) async fn take<T>(&mut self, write: impl Future<Output = T>) -> T {
        let (result, took) = self.timed(write).await;
        self.clock.sleep(took.min(PAUSE_MAX)).await;
        result
    }

    async fn timed<T>(&mut self, write: impl Future<Output = T>) -> (T, Duration) {
        let start = self.clock.monotonic();
        let result = write.await;
        let took = self.clock.monotonic().saturating_sub(start);
        self.rows = next_rows(self.rows, took);
        (result, took)
    }
}

/// More rows when a batch was quick, fewer when it was slow.
fn next_rows(rows: u32, took: Duration) -> u32 {
    let next = match took {
        took if took > SLOW => rows / 2,
        took if took < QUICK => rows.saturating_mul(2),
        _ => rows,
    };
    next.clamp(ROWS_MIN, ROWS_MAX)
}

/// Rows of the first batch.
const ROWS_FIRST: u32 = 128;
/// Rows that a batch has at least: below, the sync costs more than the rows.
const ROWS_MIN: u32 = 32;
/// Rows that a batch has at most, however quick the machine is.
const ROWS_MAX: u32 = 1_024;
/// A batch that took longer is halved. Others wait for a batch at most, and for their own sync.
const SLOW: Duration = Duration::from_millis(20);
/// A batch that took less is doubled.
const QUICK: Duration = Duration::from_millis(8);
/// The longest pause between two batches.
const PAUSE_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_the_machine_within_bounds() {
        let after = |rows, ms| next_rows(rows, Duration::from_millis(ms));
        assert_eq!((after(128, 1), after(128, 10), after(128, 21)), (256, 128, 64));
        assert_eq!((after(ROWS_MAX, 0), after(ROWS_MIN, 5_000)), (ROWS_MAX, ROWS_MIN));
    }
}
