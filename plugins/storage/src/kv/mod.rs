//! Values under keys: `fazt.kv/1`.

mod expire;
mod read;
pub(crate) mod store;
mod write;

use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::services::Space;
use fazt_sdk::services::kv::{Entry, Expected, KEY_BYTES_MAX, Kv, KvPage};
use fazt_sdk::{Error, Result};

use crate::account::Limits;
use crate::json;
use crate::place::Place;

/// The provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    cartridge: Cartridge,
    clock: Clock,
    limits: Limits,
}

impl Values {
    pub(crate) fn new(host: &Host, limits: Limits) -> Self {
        Self { cartridge: host.cartridge(), clock: host.clock(), limits }
    }

    pub(crate) fn expiry(&self, ttl: Option<Duration>) -> Result<Option<u64>> {
        let Some(ttl) = ttl else { return Ok(None) };
        let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 || ms > TTL_MS_MAX {
            return Err(Error::invalid("a time to live is from 1 ms to 100 years"));
        }
        Ok(Some(self.clock.unix_ms().saturating_add(ms)))
    }
}

/// A key within bounds.
pub(crate) fn checked_key(key: &str) -> Result<&str> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(key);
    }
    let message = format!("a key has 1 to {KEY_BYTES_MAX} bytes; this one has {}", key.len());
    Err(if key.is_empty() { Error::invalid(message) } else { Error::too_large(message) }
        .with_code("KEY_OUT_OF_BOUNDS"))
}

/// A value in its one spelling, within bounds.
pub(crate) fn checked_value(value: &str, limits: &Limits) -> Result<String> {
    let max = limits.kv_value_bytes_max;
    // Before it is read: what is far too large is not even looked at.
    if value.len() <= max.saturating_mul(2) {
        let value = json::canonical(value)?;
        if value.len() <= max {
            return Ok(value);
        }
    }
    Err(Error::too_large(format!("a value has at most {max} bytes (storage.kv_value_bytes_max)"))
        .with_code("VALUE_TOO_LARGE"))
}

/// What a key has to hold, in a form that is compared with a row.
pub(crate) fn checked_expectation(expected: &Expected) -> Result<Expected> {
    Ok(match expected {
        // The text is compared as a value, and has to be one.
        Expected::Value(value) => Expected::Value(json::canonical(value)?),
        other => other.clone(),
    })
}

impl Kv for Values {
    async fn get(&self, call: &Call, space: &Space, key: &str) -> Result<Option<Entry>> {
        self.read_one(Place::of(call, space)?, key).await
    }

    async fn get_many(
        &self,
        call: &Call,
        space: &Space,
        keys: &[String],
    ) -> Result<Vec<Option<Entry>>> {
        self.read_many(Place::of(call, space)?, keys.to_vec()).await
    }

    async fn has(&self, call: &Call, space: &Space, key: &str) -> Result<bool> {
        Ok(self.read_one(Place::of(call, space)?, key).await?.is_some())
    }

    async fn list(
        &self,
        call: &Call,
        space: &Space,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<KvPage> {
        self.read_page(Place::of(call, space)?, prefix, limit, cursor).await
    }

    async fn set(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        value: &str,
        ttl: Option<Duration>,
    ) -> Result<u64> {
        self.put(Place::of(call, space)?, key, value, ttl).await
    }

    async fn set_if(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        value: &str,
        expected: &Expected,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>> {
        self.put_if(Place::of(call, space)?, key, value, expected, ttl).await
    }

    async fn delete(&self, call: &Call, space: &Space, key: &str) -> Result<bool> {
        self.remove(Place::of(call, space)?, key, None).await
    }

    async fn delete_if(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        expected: &Expected,
    ) -> Result<bool> {
        self.remove(Place::of(call, space)?, key, Some(expected)).await
    }

    async fn increment(&self, call: &Call, space: &Space, key: &str, by: i64) -> Result<i64> {
        self.count(Place::of(call, space)?, key, by).await
    }
}

const TTL_MS_MAX: u64 = 100 * 365 * 86_400_000;
