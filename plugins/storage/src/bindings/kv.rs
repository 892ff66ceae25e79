//! `fazt.app.kv` and `fazt.app.user.kv`.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::services::kv::{ENTRIES_MAX, Entry, Expected, Kv as _};
use serde::Serialize;
use serde_json::value::RawValue;

use super::arguments::{Arguments, Paging, missing};
use super::{Form, Given, Listed, raw, raw_or_null};
use crate::kv::Values;

functions! {
    Values;
    "kv.get", ["key"], get =>
        "The value under a key; undefined when there is none";
    "kv.getMany", ["keys"], get_many =>
        "The values under several keys, in their order";
    "kv.has", ["key"], has =>
        "Whether a key holds something";
    "kv.list", ["prefix", "options"], list =>
        "Keys and values below a prefix; options: limit, cursor";
    "kv.set", ["key", "value", "ttlMs"], set =>
        "Puts a value under a key, for a time or for good";
    "kv.setIf", ["key", "value", "expected", "ttlMs"], set_if =>
        "Puts a value under a key that holds `expected` (nothing: no value); whether it did";
    "kv.delete", ["key"], delete =>
        "Removes a key";
    "kv.incr", ["key", "by"], increment =>
        "Adds to the integer under a key, 1 without a number; the sum";
}

fn value_of(entry: Option<Entry>) -> Result<Option<Box<RawValue>>> {
    raw_or_null(entry.map(|entry| entry.value))
}

async fn get(given: &Given<'_, Values>) -> Result<Option<Box<RawValue>>> {
    value_of(
        given
            .store
            .get(given.call, given.space, &given.arguments.text(0, "kv.get requires key")?)
            .await?,
    )
}

async fn get_many(given: &Given<'_, Values>) -> Result<Vec<Option<Box<RawValue>>>> {
    let keys: Vec<String> = given.arguments.required(0, "kv.getMany requires a list of keys")?;
    given.store.get_many(given.call, given.space, &keys).await?.into_iter().map(value_of).collect()
}

async fn has(given: &Given<'_, Values>) -> Result<bool> {
    given.store.has(given.call, given.space, &given.arguments.text(0, "kv.has requires key")?).await
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedValue {
    key: String,
    value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

async fn list(given: &Given<'_, Values>) -> Result<Listed<ListedValue>> {
    let prefix =
        given.arguments.optional::<String>(0, "kv.list takes a prefix")?.unwrap_or_default();
    let paging = given.arguments.optional::<Paging>(1, "kv.list takes limit and cursor")?;
    let Paging { limit, cursor } = paging.unwrap_or_default();
    let page = given
        .store
        .list(given.call, given.space, &prefix, limit.unwrap_or(ENTRIES_MAX), cursor)
        .await?;
    let items = page.entries.into_iter().map(|(key, entry)| {
        Ok(ListedValue { key, value: raw(entry.value)?, expires_at: entry.expires_at_ms })
    });
    Ok(Listed { items: items.collect::<Result<_>>()?, cursor: page.next })
}

async fn set(given: &Given<'_, Values>) -> Result<()> {
    let requirement = "kv.set requires key and value";
    let key = given.arguments.text(0, requirement)?;
    let value = given.arguments.any_json(1).ok_or_else(|| missing(requirement))?;
    let ttl = given.arguments.milliseconds(2, "the time to live")?;
    given.store.set(given.call, given.space, &key, value, ttl).await.map(drop)
}

async fn set_if(given: &Given<'_, Values>) -> Result<bool> {
    let requirement = "kv.setIf requires key, value and expected";
    let key = given.arguments.text(0, requirement)?;
    let value = given.arguments.any_json(1).ok_or_else(|| missing(requirement))?;
    let ttl = given.arguments.milliseconds(3, "the time to live")?;
    let set = async |expected| {
        Ok(given
            .store
            .set_if(given.call, given.space, &key, value, &expected, ttl)
            .await?
            .is_some())
    };
    match given.arguments.json(2) {
        Some(expected) => set(Expected::Value(expected.to_owned())).await,
        // `get` answers undefined for what is not there and for null, so either may be meant.
        None => Ok(set(Expected::Absent).await? || set(Expected::Value("null".to_owned())).await?),
    }
}

async fn delete(given: &Given<'_, Values>) -> Result<bool> {
    given
        .store
        .delete(given.call, given.space, &given.arguments.text(0, "kv.delete requires key")?)
        .await
}

async fn increment(given: &Given<'_, Values>) -> Result<i64> {
    let key = given.arguments.text(0, "kv.incr requires key")?;
    let by = given.arguments.optional::<i64>(1, "kv.incr adds an integer")?.unwrap_or(1);
    given.store.increment(given.call, given.space, &key, by).await
}
