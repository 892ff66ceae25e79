//! `fazt.app.kv` and `fazt.app.user.kv`.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::services::Space;
use fazt_sdk::services::kv::{ENTRIES_MAX, Entry, Expected, Kv as _};
use serde::Serialize;
use serde_json::value::RawValue;

use super::arguments::{Arguments, Paging, missing};
use super::{Form, Listed, raw, raw_or_null};
use crate::kv::Values;

/// Name, arguments and what it does.
const FUNCTIONS: [(&str, &[&str], &str); 8] = [
    ("kv.get", &["key"], "The value under a key; undefined when there is none"),
    ("kv.getMany", &["keys"], "The values under several keys, in their order"),
    ("kv.has", &["key"], "Whether a key holds something"),
    ("kv.list", &["prefix", "options"], "Keys and values below a prefix; options: limit, cursor"),
    ("kv.set", &["key", "value", "ttlMs"], "Puts a value under a key, for a time or for good"),
    (
        "kv.setIf",
        &["key", "value", "expected", "ttlMs"],
        "Puts a value under a key that holds `expected` (nothing: no value); whether it did",
    ),
    ("kv.delete", &["key"], "Removes a key"),
    ("kv.incr", &["key", "by"], "Adds to the integer under a key, 1 without a number; the sum"),
];

pub(super) fn declare(mut manifest: Manifest) -> Manifest {
    for form in Form::BOTH {
        for (name, arguments, about) in FUNCTIONS {
            let mut binding = Binding::new(&form.name(name)).about(about);
            binding.arguments = arguments.iter().map(|name| (*name).to_owned()).collect();
            manifest = manifest.binding(binding);
        }
    }
    manifest
}

pub(super) fn bind(mut started: Started, values: &Values) -> Started {
    for form in Form::BOTH {
        started = bind_form(started, values, form);
    }
    started
}

/// Hands over one function of one form.
macro_rules! function {
    ($started:ident, $values:ident, $form:ident, $name:literal, $run:path) => {
        let values = $values.clone();
        $started = $started.bind(&$form.name($name), move |call: Call, arguments: Arguments| {
            let values = values.clone();
            async move {
                let space = $form.space(&call, $name)?;
                $run(&values, &call, &space, &arguments).await
            }
        });
    };
}

fn bind_form(mut started: Started, values: &Values, form: Form) -> Started {
    function!(started, values, form, "kv.get", get);
    function!(started, values, form, "kv.getMany", get_many);
    function!(started, values, form, "kv.has", has);
    function!(started, values, form, "kv.list", list);
    function!(started, values, form, "kv.set", set);
    function!(started, values, form, "kv.setIf", set_if);
    function!(started, values, form, "kv.delete", delete);
    function!(started, values, form, "kv.incr", increment);
    started
}

fn value_of(entry: Option<Entry>) -> Result<Option<Box<RawValue>>> {
    raw_or_null(entry.map(|entry| entry.value))
}

async fn get(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Option<Box<RawValue>>> {
    value_of(values.get(call, space, &arguments.text(0, "kv.get requires key")?).await?)
}

async fn get_many(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Vec<Option<Box<RawValue>>>> {
    let keys: Vec<String> = arguments.required(0, "kv.getMany requires a list of keys")?;
    values.get_many(call, space, &keys).await?.into_iter().map(value_of).collect()
}

async fn has(values: &Values, call: &Call, space: &Space, arguments: &Arguments) -> Result<bool> {
    values.has(call, space, &arguments.text(0, "kv.has requires key")?).await
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedValue {
    key: String,
    value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

async fn list(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Listed<ListedValue>> {
    let prefix = arguments.optional::<String>(0, "kv.list takes a prefix")?.unwrap_or_default();
    let paging = arguments.optional::<Paging>(1, "kv.list takes limit and cursor")?;
    let Paging { limit, cursor } = paging.unwrap_or_default();
    let page = values.list(call, space, &prefix, limit.unwrap_or(ENTRIES_MAX), cursor).await?;
    let items = page.entries.into_iter().map(|(key, entry)| {
        Ok(ListedValue { key, value: raw(entry.value)?, expires_at: entry.expires_at_ms })
    });
    Ok(Listed { items: items.collect::<Result<_>>()?, cursor: page.next })
}

async fn set(values: &Values, call: &Call, space: &Space, arguments: &Arguments) -> Result<()> {
    let requirement = "kv.set requires key and value";
    let key = arguments.text(0, requirement)?;
    let value = arguments.any_json(1).ok_or_else(|| missing(requirement))?;
    let ttl = arguments.milliseconds(2, "the time to live")?;
    values.set(call, space, &key, value, ttl).await.map(drop)
}

async fn set_if(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<bool> {
    let requirement = "kv.setIf requires key, value and expected";
    let key = arguments.text(0, requirement)?;
    let value = arguments.any_json(1).ok_or_else(|| missing(requirement))?;
    let ttl = arguments.milliseconds(3, "the time to live")?;
    let set = async |expected| {
        Ok(values.set_if(call, space, &key, value, &expected, ttl).await?.is_some())
    };
    match arguments.json(2) {
        Some(expected) => set(Expected::Value(expected.to_owned())).await,
        // `get` answers undefined for what is not there and for null, so either may be meant.
        None => Ok(set(Expected::Absent).await? || set(Expected::Value("null".to_owned())).await?),
    }
}

async fn delete(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<bool> {
    values.delete(call, space, &arguments.text(0, "kv.delete requires key")?).await
}

async fn increment(
    values: &Values,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<i64> {
    let key = arguments.text(0, "kv.incr requires key")?;
    let by = arguments.optional::<i64>(1, "kv.incr adds an integer")?.unwrap_or(1);
    values.increment(call, space, &key, by).await
}
