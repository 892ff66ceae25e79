//! `delete`, `delete_oldest`: a thousand documents a write, so that a large removal holds up nobody.

use std::sync::Arc;

use fazt_sdk::Result;
use fazt_sdk::prelude::Transaction;

use super::insert::size_of;
use super::store::collection::{self, Collection};
use super::store::plan;
use super::{Collections, checked_collection, places_of, store};
use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::place::Place;
use crate::query::Query;
use crate::reading;

/// The most documents that one write removes.
pub(crate) const BATCH_DOCUMENTS: usize = 1_000;

/// Removes the documents at these places that satisfy the query; returns how many.
pub(crate) fn remove_all(
    transaction: &Transaction<'_>,
    app: &str,
    collection: &Collection,
    places: &[i64],
    query: &Query,
    limits: &Limits,
) -> Result<u64> {
    let (mut delta, mut removed) = (Delta::default(), 0);
    for place in places {
        let Some(stored) = store::at(transaction, *place)? else { continue };
        if !query.is_everything() && !stored.seen(|subject| query.matches(subject))? {
            continue;
        }
        store::remove(transaction, collection, &stored)?;
        delta.add(Delta::between(Some(size_of(&stored.document)), None));
        removed += 1;
    }
    if removed > 0 {
        let version = charge(transaction, app, Counted::Documents, delta, limits)?;
        collection::save(transaction, collection, delta, version)?;
    }
    Ok(removed)
}

/// Removes the oldest documents of a collection, up to a batch of them, and the collection itself
/// when there are none; returns how many rows went.
pub(crate) fn shrink(
    transaction: &Transaction<'_>,
    app: &str,
    collection: &Collection,
    limits: &Limits,
) -> Result<u64> {
    let all = Query::All(Vec::new());
    let places = places_of(transaction, collection, &all, BATCH_DOCUMENTS)?;
    if places.is_empty() {
        collection::remove(transaction, collection.id)?;
        return Ok(1);
    }
    remove_all(transaction, app, collection, &places, &all, limits)
}

impl Collections {
    pub(super) async fn remove(&self, place: Place, collection: &str, query: Query) -> Result<u64> {
        let name = Arc::<str>::from(checked_collection(collection)?);
        let (query, limits) = (Arc::new(query), self.limits);
        let is_named = plan::names_ids(&query);
        let mut removed = 0;
        loop {
            let (place, name, query) = (place.clone(), Arc::clone(&name), Arc::clone(&query));
            let found = if is_named {
                None
            } else {
                let (place, name, query) = (place.clone(), Arc::clone(&name), Arc::clone(&query));
                let found = reading::read(&self.cartridge, move |reader| {
                    match collection::find(reader, &place, &name)? {
                        Some(collection) => places_of(reader, &collection, &query, BATCH_DOCUMENTS),
                        None => Ok(Vec::new()),
                    }
                });
                Some(found.await?)
            };
            let is_last = found.as_ref().is_none_or(|found| found.len() < BATCH_DOCUMENTS);
            if found.as_ref().is_some_and(Vec::is_empty) {
                return Ok(removed);
            }
            removed += self
                .cartridge
                .write(Some(place.id), move |transaction| {
                    let Some(collection) = collection::find(transaction, &place, &name)? else {
                        return Ok(0);
                    };
                    let inside;
                    let places = match &found {
                        Some(found) => found,
                        None => {
                            inside = places_of(transaction, &collection, &query, BATCH_DOCUMENTS)?;
                            &inside
                        }
                    };
                    remove_all(transaction, &place.app, &collection, places, &query, &limits)
                })
                .await?;
            if is_last {
                return Ok(removed);
            }
        }
    }

    pub(super) async fn remove_oldest(
        &self,
        place: Place,
        collection: &str,
        keep: u64,
    ) -> Result<u64> {
        let name = Arc::<str>::from(checked_collection(collection)?);
        let (limits, mut removed) = (self.limits, 0);
        loop {
            let (place, name) = (place.clone(), Arc::clone(&name));
            let count = self
                .cartridge
                .write(Some(place.id), move |transaction| {
                    let Some(collection) = collection::find(transaction, &place, &name)? else {
                        return Ok(0);
                    };
                    let surplus = collection.count.saturating_sub(keep);
                    let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
                    if surplus == 0 {
                        return Ok(0);
                    }
                    let all = Query::All(Vec::new());
                    let limit = surplus.min(BATCH_DOCUMENTS);
                    let places = places_of(transaction, &collection, &all, limit)?;
                    remove_all(transaction, &place.app, &collection, &places, &all, &limits)
                })
                .await?;
            removed += count;
            if count < BATCH_DOCUMENTS as u64 {
                return Ok(removed);
            }
        }
    }
}
