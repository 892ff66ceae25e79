//! `set`, `set_if`, `delete`, `delete_if`, `increment`: one write each.

use std::time::Duration;

use fazt_sdk::services::kv::Expected;
use fazt_sdk::{Error, Result};

use super::{Values, checked_expectation, checked_key, checked_value, store};
use crate::place::Place;

impl Values {
    pub(super) async fn put(
        &self,
        place: Place,
        key: &str,
        value: &str,
        ttl: Option<Duration>,
    ) -> Result<u64> {
        let (key, limits) = (checked_key(key)?.to_owned(), self.limits);
        let (value, expires_at_ms) = (checked_value(value, &limits)?, self.expiry(ttl)?);
        self.cartridge
            .write(Some(place.id), move |transaction| {
                store::put(transaction, &place, &key, &value, expires_at_ms, &limits)
            })
            .await
    }

    pub(super) async fn put_if(
        &self,
        place: Place,
        key: &str,
        value: &str,
        expected: &Expected,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        let (key, limits) = (checked_key(key)?.to_owned(), self.limits);
        let (value, expires_at_ms) = (checked_value(value, &limits)?, self.expiry(ttl)?);
        let (expected, now_ms) = (checked_expectation(expected)?, self.clock.unix_ms());
        self.cartridge
            .write(Some(place.id), move |transaction| {
                if !store::holds(transaction, &place, &key, &expected, now_ms)? {
                    return Ok(None);
                }
                store::put(transaction, &place, &key, &value, expires_at_ms, &limits).map(Some)
            })
            .await
    }

    pub(super) async fn remove(
        &self,
        place: Place,
        key: &str,
        expected: Option<&Expected>,
    ) -> Result<bool> {
        let (key, limits) = (checked_key(key)?.to_owned(), self.limits);
        let expected = expected.map(checked_expectation).transpose()?;
        let now_ms = self.clock.unix_ms();
        self.cartridge
            .write(Some(place.id), move |transaction| {
                if let Some(expected) = &expected
                    && !store::holds(transaction, &place, &key, expected, now_ms)?
                {
                    return Ok(false);
                }
                store::remove(transaction, &place, &key, now_ms, &limits)
            })
            .await
    }

    pub(super) async fn count(&self, place: Place, key: &str, by: i64) -> Result<i64> {
        let (key, limits) = (checked_key(key)?.to_owned(), self.limits);
        let now_ms = self.clock.unix_ms();
        self.cartridge
            .write(Some(place.id), move |transaction| {
                store::increment(transaction, &place, &key, by, now_ms, &limits)
            })
            .await
    }
}

/// The sum, if it is an integer that JSON holds exactly.
pub(crate) fn sum(key: &str, value: i64, by: i64) -> Result<i64> {
    let max = fazt_sdk::services::kv::INTEGER_MAX;
    value.checked_add(by).filter(|sum| (-max..=max).contains(sum)).ok_or_else(|| {
        Error::invalid(format!(
            "{value} + {by} under `{key}` is past {max}, the last exact integer"
        ))
        .with_code("INTEGER_OVERFLOW")
    })
}
