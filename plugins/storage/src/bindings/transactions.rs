//! `fazt.app.tx.read` and `fazt.app.tx.commit`, out of which `script.js` makes `fazt.app.tx(fn)`.

use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::services::Space;
use fazt_sdk::services::documents::Documents as _;
use fazt_sdk::services::kv::{ENTRIES_MAX, Kv as _};
use fazt_sdk::services::transactions::{Check, Transactions as _, Write};
use fazt_sdk::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::arguments::Arguments;
use super::documents::{Options, whole};
use super::raw;
use crate::transactions::{Commits, ttl};

pub(super) fn declare(manifest: Manifest) -> Manifest {
    manifest
        .binding(
            Binding::new("app.tx.read")
                .args(["read"])
                .about("Reads for a transaction; what was read, and how to see whether it changed"),
        )
        .binding(
            Binding::new("app.tx.commit")
                .args(["checks", "writes"])
                .about("Writes everything if nothing changed; how much each write changed"),
        )
}

pub(super) fn bind(started: Started, commits: &Commits) -> Started {
    let (reads, writes) = (commits.clone(), commits.clone());
    started
        .bind("app.tx.read", move |call: Call, arguments: Arguments| {
            let commits = reads.clone();
            async move {
                let read = arguments.required(0, "tx.read requires what is read")?;
                self::read(&commits, &call, read).await
            }
        })
        .bind("app.tx.commit", move |call: Call, arguments: Arguments| {
            let commits = writes.clone();
            async move {
                let checks: Vec<JsCheck> = arguments.required(0, "tx.commit requires checks")?;
                let writes: Vec<JsWrite> = arguments.required(1, "tx.commit requires writes")?;
                let checks: Vec<_> =
                    checks.into_iter().map(|check| check.check(&call)).collect::<Result<_>>()?;
                let writes: Vec<_> =
                    writes.into_iter().map(|write| write.write(&call)).collect::<Result<_>>()?;
                commits.commit(&call, &checks, &writes).await
            }
        })
}

/// What all reads, checks and writes say.
fn space(call: &Call, user: bool) -> Result<Space> {
    if user { Space::of_user(call, "fazt.app.tx with user data") } else { Ok(Space::Shared) }
}

/// As `{"get": {…}}`: a tag among the fields would take their text apart, and it is kept as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsRead {
    Get { user: bool, key: String },
    List { user: bool, prefix: String },
    Document { user: bool, collection: String, id: String },
    Find { user: bool, collection: String, query: Box<RawValue>, options: Option<Box<RawValue>> },
    Count { user: bool, collection: String, query: Box<RawValue> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsCheck {
    Key { user: bool, key: String, version: u64 },
    Keys { user: bool, prefix: String, count: u64, version: u64 },
    Document { user: bool, collection: String, id: String, version: u64 },
    Collection { user: bool, collection: String, version: u64 },
}

impl JsCheck {
    fn check(self, call: &Call) -> Result<Check> {
        Ok(match self {
            Self::Key { user, key, version } => {
                Check::Key { space: space(call, user)?, key, version }
            }
            Self::Keys { user, prefix, count, version } => {
                Check::Keys { space: space(call, user)?, prefix, count, version }
            }
            Self::Document { user, collection, id, version } => {
                Check::Document { space: space(call, user)?, collection, id, version }
            }
            Self::Collection { user, collection, version } => {
                Check::Collection { space: space(call, user)?, collection, version }
            }
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsWrite {
    Set { user: bool, key: String, value: Box<RawValue>, ttl_ms: Option<u64> },
    Unset { user: bool, key: String },
    Insert { user: bool, collection: String, document: Box<RawValue> },
    Update { user: bool, collection: String, query: Box<RawValue>, changes: Box<RawValue> },
    Delete { user: bool, collection: String, query: Box<RawValue> },
}

impl JsWrite {
    fn write(self, call: &Call) -> Result<Write> {
        let text = |json: Box<RawValue>| json.get().to_owned();
        Ok(match self {
            Self::Set { user, key, value, ttl_ms } => {
                Write::Set { space: space(call, user)?, key, value: text(value), ttl: ttl(ttl_ms) }
            }
            Self::Unset { user, key } => Write::Unset { space: space(call, user)?, key },
            Self::Insert { user, collection, document } => {
                Write::Insert { space: space(call, user)?, collection, document: text(document) }
            }
            Self::Update { user, collection, query, changes } => Write::Update {
                space: space(call, user)?,
                collection,
                query: query_of(&query),
                changes: text(changes),
            },
            Self::Delete { user, collection, query } => {
                Write::Delete { space: space(call, user)?, collection, query: query_of(&query) }
            }
        })
    }
}

/// A query: an object, or an id.
fn query_of(query: &RawValue) -> String {
    match query.get() {
        id if id.starts_with('"') => format!("{{\"id\":{id}}}"),
        query => query.to_owned(),
    }
}

/// What was read, and how to see whether it changed.
#[derive(Debug, Serialize)]
struct Read {
    value: Option<Box<RawValue>>,
    check: JsCheck,
}

fn json<T: Serialize>(value: &T) -> Result<Box<RawValue>> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::internal(format!("what was read has no JSON form: {error}")))?;
    raw(text)
}

async fn read(commits: &Commits, call: &Call, read: JsRead) -> Result<Read> {
    match read {
        JsRead::Get { user, key } => {
            let found = commits.values.get(call, &space(call, user)?, &key).await?;
            let version = found.as_ref().map_or(0, |entry| entry.version);
            let value = found.map(|entry| raw(entry.value)).transpose()?;
            Ok(Read { value, check: JsCheck::Key { user, key, version } })
        }
        JsRead::List { user, prefix } => {
            let space = space(call, user)?;
            let page = commits.values.list(call, &space, &prefix, ENTRIES_MAX, None).await?;
            if page.next.is_some() {
                return Err(Error::too_large(format!(
                    "a transaction lists at most {ENTRIES_MAX} keys; choose a longer prefix"
                ))
                .with_code("TX_TOO_LARGE"));
            }
            let count = page.entries.len() as u64;
            let version = page.entries.iter().map(|(_, entry)| entry.version).max().unwrap_or(0);
            let entries = page.entries.into_iter().map(|(key, entry)| {
                let key = serde_json::Value::from(key);
                raw(format!("{{\"key\":{key},\"value\":{}}}", entry.value))
            });
            let value = json(&entries.collect::<Result<Vec<_>>>()?)?;
            Ok(Read { value: Some(value), check: JsCheck::Keys { user, prefix, count, version } })
        }
        JsRead::Document { user, collection, id } => {
            let space = space(call, user)?;
            let found = commits.collections.get(call, &space, &collection, &id).await?;
            let version = found.as_ref().map_or(0, |document| document.version);
            let value = found.as_ref().map(whole).transpose()?;
            Ok(Read { value, check: JsCheck::Document { user, collection, id, version } })
        }
        JsRead::Find { user, collection, query, options } => {
            let space = space(call, user)?;
            // Before what it stands for: a write in between then shows.
            let version = commits.version(call, &space, &collection).await?;
            let options = options.map(|options| serde_json::from_str::<Options>(options.get()));
            let options = options.transpose().map_err(|error| {
                Error::invalid(format!("ds.find: options: {error}")).with_code("INVALID_ARGUMENT")
            })?;
            let find = options.unwrap_or_default().find(query_of(&query))?;
            let page = commits.collections.find(call, &space, &collection, &find).await?;
            let found = page.documents.iter().map(whole).collect::<Result<Vec<_>>>()?;
            let check = JsCheck::Collection { user, collection, version };
            Ok(Read { value: Some(json(&found)?), check })
        }
        JsRead::Count { user, collection, query } => {
            let space = space(call, user)?;
            let version = commits.version(call, &space, &collection).await?;
            let query = query_of(&query);
            let count = commits.collections.count(call, &space, &collection, &query).await?;
            let check = JsCheck::Collection { user, collection, version };
            Ok(Read { value: Some(json(&count)?), check })
        }
    }
}
