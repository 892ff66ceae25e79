//! Processor time of apps, all their requests together: a bucket for each that leaks at the rate that the
//! app may use, so that one app that always finds work leaves some of the machine to the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fazt_sdk::{AppId, Error, Result};

const MINUTE: Duration = Duration::from_secs(60);

/// Apps that are remembered before those that owe nothing are forgotten.
const APPS_MAX: usize = 1_024;

/// What the apps of a node used lately.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Processor time of one app in a minute; zero for no bound.
    limit: Duration,
    apps: Mutex<HashMap<AppId, Level>>,
}

/// How full a bucket was, and when.
#[derive(Debug, Clone, Copy)]
struct Level {
    used: Duration,
    at: Duration,
}

impl Level {
    fn now(self, limit: Duration, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).min(MINUTE);
        self.used.saturating_sub(limit.mul_f64(passed.as_secs_f64() / MINUTE.as_secs_f64()))
    }
}

impl Meters {
    /// Apps may use so much in a minute, and the whole of it at once; zero for no bound.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, apps: Mutex::default() }
    }

    fn apps<T>(&self, work: impl FnOnce(&mut HashMap<AppId, Level>) -> T) -> T {
        work(&mut self.apps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request of `app` took this much.
    pub(crate) fn charge(&self, app: AppId, took: Duration, now: Duration) {
        if self.limit.is_zero() {
            return;
        }
        self.apps(|apps| {
            if apps.len() >= APPS_MAX && !apps.contains_key(&app) {
                apps.retain(|_, level| !level.now(self.limit, now).is_zero());
            }
            let level = apps.entry(app).or_insert(Level { used: Duration::ZERO, at: now });
            *level = Level { used: level.now(self.limit, now) + took, at: now };
        });
    }

    /// Whether `app` may go on.
    ///
    /// # Errors
    /// `Busy` with the code `CPU_QUOTA` while it has used up what it may.
    pub(crate) fn admit(&self, app: AppId, now: Duration) -> Result<()> {
        if self.limit.is_zero() {
            return Ok(());
        }
        let level = self.apps(|apps| apps.get(&app).copied());
        if level.is_some_and(|level| level.now(self.limit, now) >= self.limit) {
            let message = "the app has used up its processor time for now (js.cpu_minute_ms)";
            return Err(Error::busy(message).with_code("CPU_QUOTA"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn app(number: u32) -> AppId {
        let mut key = *b"000000000000";
        for (at, digit) in number.to_string().bytes().rev().enumerate() {
            key[11 - at] = digit;
        }
        AppId::from_key(key).unwrap()
    }

    #[test]
    fn an_app_that_always_finds_work_gets_its_share_and_no_more() {
        let meters = Meters::new(s(30));
        let (mut now, mut used) = (s(0), s(0));
        // Each request takes half a second of time and of processor, for an hour.
        while now < s(3_600) {
            if meters.admit(app(1), now).is_ok() {
                meters.charge(app(1), Duration::from_millis(500), now);
                used += Duration::from_millis(500);
            }
            assert!(meters.admit(app(2), now).is_ok());
            now += Duration::from_millis(500);
        }
        // Half of the hour, and what it may use at once.
        assert!((s(1_800)..=s(1_831)).contains(&used), "{used:?}");
        assert_eq!(meters.admit(app(1), now).unwrap_err().code(), "CPU_QUOTA");
        assert!(meters.admit(app(1), now + s(1)).is_ok());
    }

    #[test]
    fn apps_that_owe_nothing_are_forgotten() {
        let meters = Meters::new(s(30));
        for number in 0..10_000_u32 {
            meters.charge(app(number), Duration::from_millis(1), s(u64::from(number)));
        }
        assert!(meters.apps(|apps| apps.len()) <= APPS_MAX);
    }

    #[test]
    fn zero_is_no_bound() {
        let meters = Meters::default();
        meters.charge(app(1), s(1_000_000), s(0));
        assert!(meters.admit(app(1), s(0)).is_ok());
    }
}
