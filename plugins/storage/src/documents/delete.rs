//! `delete`, `delete_oldest`: in batches, so that a large removal holds up nobody.

use std::sync::Arc;

use fazt_sdk::Result;
use fazt_sdk::prelude::Transaction;

use super::insert::size_of;
use super::store::collection::{self, Collection};
use super::store::plan;
use super::{Collections, checked_collection, places_of, store};
use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::pace::Pace;
use crate::place::Place;
use crate::query::Query;
use crate::reading;

/// The most documents that a query names by their ids.
const NAMED_MAX: usize = 1_000;

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

/// Removes the oldest documents of a collection, up to `limit` of them, and the collection itself
/// when there are none; returns how many rows went.
pub(crate) fn shrink(
    transaction: &Transaction<'_>,
    app: &str,
    collection: &Collection,
    limits: &Limits,
    limit: u32,
) -> Result<u64> {
    let all = Query::All(Vec::new());
    let places = places_of(transaction, collection, &all, limit as usize)?;
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
        let (mut removed, mut pace) = (0, Pace::new(&self.clock));
        loop {
            let rows = pace.rows() as usize;
            let (place, name, query) = (place.clone(), Arc::clone(&name), Arc::clone(&query));
            let found = if is_named {
                None
            } else {
                let (place, name, query) = (place.clone(), Arc::clone(&name), Arc::clone(&query));
                let found = reading::read(&self.cartridge, move |reader| {
                    match collection::find(reader, &place, &name)? {
                        Some(collection) => places_of(reader, &collection, &query, rows),
                        None => Ok(Vec::new()),
                    }
                });
                Some(found.await?)
            };
            let is_last = found.as_ref().is_none_or(|found| found.len() < rows);
            if found.as_ref().is_some_and(Vec::is_empty) {
                return Ok(removed);
            }
            let write = self.cartridge.write(Some(place.id), move |transaction| {
                let Some(collection) = collection::find(transaction, &place, &name)? else {
                    return Ok(0);
                };
                let inside;
                let places = match &found {
                    Some(found) => found,
                    None => {
                        inside = places_of(transaction, &collection, &query, NAMED_MAX)?;
                        &inside
                    }
                };
                remove_all(transaction, &place.app, &collection, places, &query, &limits)
            });
            removed += pace.hurry(write).await?;
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
        let (limits, mut removed, mut pace) = (self.limits, 0, Pace::new(&self.clock));
        loop {
            let (place, name, rows) = (place.clone(), Arc::clone(&name), pace.rows());
            let write = self.cartridge.write(Some(place.id), move |transaction| {
                let Some(collection) = collection::find(transaction, &place, &name)? else {
                    return Ok(0);
                };
                let surplus = collection.count.saturating_sub(keep);
                let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
                if surplus == 0 {
                    return Ok(0);
                }
                let all = Query::All(Vec::new());
                let limit = surplus.min(rows as usize);
                let places = places_of(transaction, &collection, &all, limit)?;
                remove_all(transaction, &place.app, &collection, &places, &all, &limits)
            });
            let count = pace.hurry(write).await?;
            removed += count;
            if count < u64::from(rows) {
                return Ok(removed);
            }
        }
    }
}
