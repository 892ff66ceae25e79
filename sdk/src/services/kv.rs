//! Values under keys.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::services::space::Space;
use crate::{Wire, service};

/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 512;

/// The most entries of one page, and the most keys that one call asks for.
pub const ENTRIES_MAX: u32 = 1_000;

/// The integers that [`Kv::increment`] counts with: those that a JSON number holds exactly in every
/// language, from `-INTEGER_MAX` to `INTEGER_MAX`.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// A value under a key.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Entry {
    /// The value, as JSON text without spaces. Numbers are as exact as IEEE 754 doubles are.
    pub value: String,
    /// Grows with every write in the app, so two values of one key never have the same.
    pub version: u64,
    /// When it expires, in milliseconds since 1970; nothing for a value that stays.
    pub expires_at_ms: Option<u64>,
}

/// One page of a listing, in the order of the keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct KvPage {
    /// Keys and what they hold.
    pub entries: Vec<(String, Entry)>,
    /// Where the next page starts; nothing after the last.
    pub next: Option<String>,
}

/// What a key has to hold for a conditional write.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub enum Expected {
    /// Nothing, or a value that has expired.
    Absent,
    /// A value that equals this JSON text: objects by their fields in any order, numbers by value.
    Value(String),
    /// The value with this version.
    Version(u64),
}

/// Values under keys, for the app of the call. Provided by the storage plugin.
///
/// A key is 1 to [`KEY_BYTES_MAX`] bytes; a value is JSON text up to a limit that the provider's
/// settings name. Writes are durable when they return, reads block for a few milliseconds at most,
/// and what has expired is never seen again, whether or not it was removed yet.
///
/// # Errors
/// Of every method: `Invalid` for a call without an app, a key out of bounds or a value that is no
/// JSON (`NOT_JSON`) or not exact (`NUMBER_NOT_EXACT`). Of every write: `TooLarge` (`VALUE_TOO_LARGE`)
/// for one value, `Full` (`QUOTA_EXCEEDED`) when the app has no room left; both name the setting.
#[service("fazt.kv", 1)]
pub trait Kv {
    /// What `key` holds.
    async fn get(&self, call: &Call, space: &Space, key: &str) -> Result<Option<Entry>>;
    /// What the keys hold, in their order; at most [`ENTRIES_MAX`] of them. One snapshot.
    async fn get_many(
        &self,
        call: &Call,
        space: &Space,
        keys: &[String],
    ) -> Result<Vec<Option<Entry>>>;
    /// Whether `key` holds something.
    async fn has(&self, call: &Call, space: &Space, key: &str) -> Result<bool>;
    /// The entries whose keys start with `prefix`, which is taken literally; 1 to [`ENTRIES_MAX`] of
    /// them, from `cursor` on.
    async fn list(
        &self,
        call: &Call,
        space: &Space,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<KvPage>;
    /// Puts `value` under `key`, for the length of `ttl` or for good. Returns the version.
    async fn set(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        value: &str,
        ttl: Option<Duration>,
    ) -> Result<u64>;
    /// As [`Self::set`] if `key` holds what is expected. Returns the version, or nothing when it
    /// holds something else: then nothing changed.
    async fn set_if(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        value: &str,
        expected: &Expected,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>>;
    /// Removes `key`; whether it held something.
    async fn delete(&self, call: &Call, space: &Space, key: &str) -> Result<bool>;
    /// As [`Self::delete`] if `key` holds what is expected; whether it did.
    async fn delete_if(
        &self,
        call: &Call,
        space: &Space,
        key: &str,
        expected: &Expected,
    ) -> Result<bool>;
    /// Adds `by` to the integer under `key`, 0 when there is none, and returns the sum. When the
    /// value expires stays as it is.
    ///
    /// # Errors
    /// `Invalid` with `NOT_AN_INTEGER` for another value, `INTEGER_OVERFLOW` past
    /// [`INTEGER_MAX`]; nothing changed then.
    async fn increment(&self, call: &Call, space: &Space, key: &str, by: i64) -> Result<i64>;
}
