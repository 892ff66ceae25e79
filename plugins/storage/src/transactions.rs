//! Transactions over values and documents: `fazt.transactions/1`.
//!
//! Nothing is held between reading and writing. A commit is one closure of the one writer: what was
//! read is compared by its versions, and then everything is written, or nothing.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::prelude::Transaction;
use fazt_sdk::services::Space;
use fazt_sdk::services::documents::CHANGES_MAX;
use fazt_sdk::services::transactions::{Check, STEPS_MAX, Transactions, Write};
use fazt_sdk::{Error, Result};

use crate::account::Limits;
use crate::documents::change::Changes;
use crate::documents::store::{self, collection};
use crate::documents::{self, Collections, New};
use crate::kv::{self, Values};
use crate::place::{Place, app_of};
use crate::query::Query;
use crate::reading;

/// The provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Commits {
    pub(crate) values: Values,
    pub(crate) collections: Collections,
}

/// A write that was read and found to be one.
#[derive(Debug)]
enum Step {
    Set { place: Place, key: String, value: String, expires_at_ms: Option<u64> },
    Unset { place: Place, key: String },
    Insert { place: Place, collection: String, new: [New; 1] },
    Update { place: Place, collection: String, query: Query, changes: Changes },
    Delete { place: Place, collection: String, query: Query },
}

impl Transactions for Commits {
    async fn version(&self, call: &Call, space: &Space, collection: &str) -> Result<u64> {
        let place = Place::of(call, space)?;
        let name = documents::checked_collection(collection)?.to_owned();
        reading::read(&self.collections.cartridge, move |reader| {
            let found = collection::find(reader, &place, &name)?;
            Ok(found.map_or(0, |collection| collection.version))
        })
        .await
    }

    async fn commit(&self, call: &Call, checks: &[Check], writes: &[Write]) -> Result<Vec<u64>> {
        if checks.len() > STEPS_MAX || writes.len() > STEPS_MAX {
            return Err(Error::too_large(format!(
                "a transaction reads and writes at most {STEPS_MAX} times"
            ))
            .with_code("TX_TOO_LARGE"));
        }
        let app = app_of(call)?;
        let checks = checks.iter().map(|check| placed(call, check)).collect::<Result<Vec<_>>>()?;
        let steps =
            writes.iter().map(|write| self.step(call, write)).collect::<Result<Vec<_>>>()?;
        let (checks, steps) = (Arc::new(checks), Arc::new(steps));
        let (limits, now_ms) = (self.collections.limits, self.collections.clock.unix_ms());
        if steps.is_empty() {
            // What only reads needs no turn of the writer.
            return reading::read(&self.collections.cartridge, move |reader| {
                verify(reader, &checks, now_ms).map(|()| Vec::new())
            })
            .await;
        }
        self.collections
            .cartridge
            .write(Some(app), move |transaction| {
                verify(transaction, &checks, now_ms)?;
                steps.iter().map(|step| apply(transaction, step, &limits, now_ms)).collect()
            })
            .await
    }
}

impl Commits {
    fn step(&self, call: &Call, write: &Write) -> Result<Step> {
        let (limits, host) = (&self.collections.limits, &self.collections.host);
        let name = |name: &str| documents::checked_collection(name).map(str::to_owned);
        Ok(match write {
            Write::Set { space, key, value, ttl } => Step::Set {
                place: Place::of(call, space)?,
                key: kv::checked_key(key)?.to_owned(),
                value: kv::checked_value(value, limits)?,
                expires_at_ms: self.values.expiry(*ttl)?,
            },
            Write::Unset { space, key } => Step::Unset {
                place: Place::of(call, space)?,
                key: kv::checked_key(key)?.to_owned(),
            },
            Write::Insert { space, collection, document } => Step::Insert {
                place: Place::of(call, space)?,
                collection: name(collection)?,
                new: [documents::prepared(document, limits, host)?],
            },
            Write::Update { space, collection, query, changes } => Step::Update {
                place: Place::of(call, space)?,
                collection: name(collection)?,
                query: Query::parse(query)?,
                changes: Changes::parse(changes)?,
            },
            Write::Delete { space, collection, query } => Step::Delete {
                place: Place::of(call, space)?,
                collection: name(collection)?,
                query: Query::parse(query)?,
            },
        })
    }
}

fn placed(call: &Call, check: &Check) -> Result<(Place, Check)> {
    let (Check::Key { space, .. }
    | Check::Keys { space, .. }
    | Check::Document { space, .. }
    | Check::Collection { space, .. }) = check;
    Ok((Place::of(call, space)?, check.clone()))
}

/// Whether everything is as it was read.
fn verify(
    reader: &impl fazt_sdk::cartridge::Query,
    checks: &[(Place, Check)],
    now_ms: u64,
) -> Result<()> {
    for (place, check) in checks {
        let (is_same, what) = match check {
            Check::Key { key, version, .. } => {
                let found = kv::store::find(reader, place, key, now_ms)?;
                (found.map_or(0, |entry| entry.version) == *version, format!("the key `{key}`"))
            }
            Check::Keys { prefix, count, version, .. } => {
                let found = kv::store::below(reader, place, prefix, now_ms)?;
                (found == (*count, *version), format!("the keys below `{prefix}`"))
            }
            Check::Document { collection, id, version, .. } => {
                let found = match collection::find(reader, place, collection)? {
                    Some(collection) => store::find(reader, collection.id, id)?,
                    None => None,
                };
                let found = found.map_or(0, |stored| stored.document.version);
                (found == *version, format!("the document `{id}` of `{collection}`"))
            }
            Check::Collection { collection, version, .. } => {
                let found = collection::find(reader, place, collection)?;
                let found = found.map_or(0, |collection| collection.version);
                (found == *version, format!("the collection `{collection}`"))
            }
        };
        if !is_same {
            return Err(Error::conflict(format!("{what} was changed by somebody else meanwhile"))
                .with_code("TX_CONFLICT"));
        }
    }
    Ok(())
}

fn apply(transaction: &Transaction<'_>, step: &Step, limits: &Limits, now_ms: u64) -> Result<u64> {
    match step {
        Step::Set { place, key, value, expires_at_ms } => {
            kv::store::put(transaction, place, key, value, *expires_at_ms, limits).map(|_| 1)
        }
        Step::Unset { place, key } => {
            kv::store::remove(transaction, place, key, now_ms, limits).map(u64::from)
        }
        Step::Insert { place, collection, new } => {
            documents::insert_all(transaction, place, collection, new, limits, now_ms)?;
            Ok(1)
        }
        Step::Update { place, collection, query, changes } => {
            let Some(found) = collection::find(transaction, place, collection)? else {
                return Ok(0);
            };
            let places = inside(transaction, &found, query)?;
            let what = (query, changes);
            documents::change_all(transaction, &place.app, &found, &places, what, limits, now_ms)
        }
        Step::Delete { place, collection, query } => {
            let Some(found) = collection::find(transaction, place, collection)? else {
                return Ok(0);
            };
            let places = inside(transaction, &found, query)?;
            documents::remove_all(transaction, &place.app, &found, &places, query, limits)
        }
    }
}

fn inside(
    transaction: &Transaction<'_>,
    collection: &collection::Collection,
    query: &Query,
) -> Result<Vec<i64>> {
    let limit = CHANGES_MAX as usize + 1;
    let places = documents::places_inside(transaction, collection, query, limit)?;
    if places.len() == limit { Err(documents::too_many()) } else { Ok(places) }
}

/// The length of a time to live in milliseconds, as JavaScript gives it.
pub(crate) fn ttl(ms: Option<u64>) -> Option<Duration> {
    ms.map(Duration::from_millis)
}
