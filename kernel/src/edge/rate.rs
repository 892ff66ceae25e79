//! How many requests one sender may make: the generic cell rate algorithm (ITU-T I.371, Annex A).
//!
//! What is remembered of a sender is the moment at which it will have made no more requests than it
//! may, in one word of a table of fixed size. Two senders that share a word push each other out, which
//! lets a few requests more through and never a sender starve.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::address::Sender;

/// Senders that are remembered; 512 KiB.
const SENDERS: usize = 1 << 16;

/// A word: 16 bits to tell senders apart, 48 of microseconds since the start (nine years).
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The rates of all senders.
pub(super) struct Rates {
    /// Between two requests at the full rate, in microseconds.
    interval_us: u64,
    /// How far ahead of the full rate a sender may be, in microseconds.
    ahead_us: u64,
    /// Nobody outside knows which senders share a word.
    keys: std::hash::RandomState,
    words: Box<[AtomicU64]>,
}

impl Rates {
    /// Allows each sender `per_second` requests, and `burst` at once; nothing is limited when
    /// `per_second` is 0.
    pub(super) fn new(per_second: u64, burst: u64) -> Option<Self> {
        let interval_us = 1_000_000_u64.checked_div(per_second)?.max(1);
        Some(Self {
            interval_us,
            ahead_us: interval_us.saturating_mul(burst.max(1)).min(TIME_MASK / 4),
            keys: std::hash::RandomState::new(),
            words: (0..SENDERS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Counts a request of `client` at `now`, since the start.
    ///
    /// # Errors
    /// How long to wait, when that is one too many.
    pub(super) fn take(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        let key = self.keys.hash_one(Sender::of(client));
        let tag = key >> TIME_BITS;
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX) & TIME_MASK;
        let place = usize::try_from(key % SENDERS as u64).unwrap_or_default();
        let Some(word) = self.words.get(place) else { return Ok(()) };
        let mut seen = word.load(Relaxed);
        loop {
            let due_us = if seen >> TIME_BITS == tag { seen & TIME_MASK } else { 0 };
            let next_us = due_us.max(now_us) + self.interval_us;
            let ahead_us = next_us - now_us;
            if ahead_us > self.ahead_us {
                return Err(Duration::from_micros(ahead_us - self.ahead_us));
            }
            let changed = tag << TIME_BITS | (next_us & TIME_MASK);
            match word.compare_exchange_weak(seen, changed, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn without_a_rate_nothing_is_limited() {
        assert!(Rates::new(0, 10).is_none());
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let rates = Rates::new(10, 5).unwrap();
        let mut now = Duration::from_secs(1);
        for _ in 0..5 {
            assert_eq!(rates.take(address(1), now), Ok(()));
        }
        let wait = rates.take(address(1), now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(rates.take(address(2), now), Ok(()), "others are not held up");
        now += wait;
        assert_eq!(rates.take(address(1), now), Ok(()));
        assert!(rates.take(address(1), now).is_err());
        now += Duration::from_secs(10);
        let passed = (0..20).filter(|_| rates.take(address(1), now).is_ok()).count();
        assert_eq!(passed, 5, "time that was not used is no more than a burst");
    }

    #[test]
    fn a_network_of_ipv6_is_one_sender() {
        let rates = Rates::new(1, 1).unwrap();
        let now = Duration::from_secs(1);
        assert!(rates.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(rates.take("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(rates.take("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_pass_than_the_rate_and_a_burst(
            per_second in 1..2_000_u64, burst in 1..100_u64,
            steps_us in proptest::collection::vec(0..20_000_u64, 1..500),
        ) {
            let rates = Rates::new(per_second, burst).unwrap();
            let start = Duration::from_secs(5);
            let (mut now, mut passed) = (start, 0_u64);
            for step in steps_us {
                now += Duration::from_micros(step);
                passed += u64::from(rates.take(address(9), now).is_ok());
                let interval_us = 1_000_000 / per_second;
                let elapsed_us = u64::try_from((now - start).as_micros()).unwrap();
                prop_assert!(passed <= burst + elapsed_us / interval_us + 1);
            }
        }
    }
}
