//! How long a job waits after a failure: exponential, with full jitter.
//!
//! `delay = random(0, min(cap, base · 2^(attempt − 1)))`, from Marc Brooker, "Exponential Backoff And
//! Jitter" (AWS Architecture Blog, 2015): of the ways to spread retries it needs the fewest calls until
//! all who compete are done.

use std::time::Duration;

/// The delay after the failure of `attempt`, counted from 1. `random` is any number.
pub(super) fn delay(attempt: u32, base: Duration, cap: Duration, random: u64) -> Duration {
    let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let bound = base.saturating_mul(factor).min(cap);
    let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    // The bias of the remainder is far below a millisecond.
    Duration::from_millis(random % bound_ms.saturating_add(1).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_is_within_its_bound(attempt in 0..200_u32, base_ms in 0..100_000_u64, random: u64) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_secs(3_600));
            let delay = delay(attempt, base, cap, random);
            prop_assert!(delay <= cap);
            let doubled = f64::from(attempt.saturating_sub(1)).exp2() * base.as_secs_f64();
            prop_assert!(delay.as_secs_f64() <= doubled + 1e-9);
        }

        #[test]
        fn every_delay_up_to_the_bound_comes(attempt in 1..8_u32, wanted: u64) {
            let (base, cap) = (Duration::from_millis(10), Duration::from_secs(3_600));
            let bound = 10 << (attempt - 1);
            let wanted = wanted % (bound + 1);
            prop_assert_eq!(delay(attempt, base, cap, wanted), Duration::from_millis(wanted));
        }
    }
}
