//! `update`, `upsert`.
//!
//! The documents are looked for before the write, so that a long search holds up nobody. The write
//! loads each of them anew and tests it again: one that was changed in between and does not satisfy
//! the query any more is left alone.

use std::sync::Arc;

use fazt_sdk::cartridge::{self, Visit};
use fazt_sdk::prelude::Transaction;
use fazt_sdk::services::documents::{CHANGES_MAX, Document, Upserted};
use fazt_sdk::{Error, Result};

use super::change::Changes;
use super::find::everything;
use super::insert::{checked_body, prepared, size_of};
use super::store::collection::{self, Collection};
use super::store::{self, plan};
use super::{Collections, OLDEST_FIRST, checked_collection, insert_all};
use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::json::Json;
use crate::place::Place;
use crate::query::{self, Query, Test};
use crate::reading;

/// The places of the documents that satisfy a query, the oldest first; of no more than `limit`.
pub(crate) fn places_of(
    reader: &impl cartridge::Query,
    collection: &Collection,
    query: &Query,
    limit: usize,
) -> Result<Vec<i64>> {
    let indexes = collection::usable(reader, collection)?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let request = everything(collection, &indexes, query, &OLDEST_FIRST, rows);
    let mut places = Vec::new();
    store::each(reader, &request, &mut |stored| {
        places.push(stored.place);
        Ok(if places.len() < limit { Visit::Continue } else { Visit::Stop })
    })?;
    Ok(places)
}

/// As [`places_of`], inside a write: refuses a search that would hold up everybody.
pub(crate) fn places_inside(
    transaction: &Transaction<'_>,
    collection: &Collection,
    query: &Query,
    limit: usize,
) -> Result<Vec<i64>> {
    let indexes = collection::usable(transaction, collection)?;
    let request = everything(collection, &indexes, query, &OLDEST_FIRST, -1);
    if collection.count > SCANNED_INSIDE_MAX && !plan::is_narrow(&request) {
        return Err(Error::invalid(format!(
            "this looks through all {} documents of `{}` while everybody waits: declare an index of \
             a field that it names, or name ids",
            collection.count, collection.name
        ))
        .with_code("INDEX_REQUIRED"));
    }
    places_of(transaction, collection, query, limit)
}

/// Changes the documents at these places that still satisfy the query; returns how many.
pub(crate) fn change_all(
    transaction: &Transaction<'_>,
    app: &str,
    collection: &Collection,
    places: &[i64],
    (query, changes): (&Query, &Changes),
    limits: &Limits,
    now_ms: u64,
) -> Result<u64> {
    if places.is_empty() {
        return Ok(0);
    }
    let version = charge(transaction, app, Counted::Documents, Delta::default(), limits)?;
    let (mut delta, mut changed) = (Delta::default(), 0);
    for place in places {
        let Some(stored) = store::at(transaction, *place)? else { continue };
        if !stored.seen(|subject| query.matches(subject))? {
            continue;
        }
        let body = changes.apply(&stored.document.id, Json::parse(&stored.document.body)?)?;
        let body = checked_body(&body, limits)?;
        let (before, after) = (size_of(&stored.document), stored.document.id.len() + body.len());
        delta.add(Delta::between(Some(before), Some(after)));
        store::replace(transaction, collection, &stored, &body, version, now_ms)?;
        changed += 1;
    }
    charge(transaction, app, Counted::Documents, delta, limits)?;
    collection::save(transaction, collection, delta, version)?;
    Ok(changed)
}

/// The document that an upsert inserts: the values that the query names, changed.
fn seeded(
    query: &Query,
    changes: &Changes,
    limits: &Limits,
    host: &fazt_sdk::host::Host,
) -> Result<super::New> {
    let mut id = changes.id().map(str::to_owned);
    let mut seeds = Vec::new();
    for part in query.parts() {
        let Query::Field(field, Test::Equal(value)) = part else { continue };
        match (field.place(), value) {
            (query::Place::Id, Json::Text(text)) => id = Some(text.clone()),
            (query::Place::Path(_) | query::Place::Elsewhere, value) => {
                seeds.push((field.text(), value.clone()));
            }
            _ => {}
        }
    }
    let seeds = Changes::parse(&Json::Object(seeds).to_string())?;
    let body = seeds.apply("", Json::Object(Vec::new()))?;
    let named = id.clone().unwrap_or_default();
    let Json::Object(mut fields) = changes.apply(&named, body)? else {
        return Err(Error::internal("a document became something else"));
    };
    if let Some(id) = id {
        fields.insert(0, ("id".to_owned(), Json::Text(id)));
    }
    prepared(&Json::Object(fields).to_string(), limits, host)
}

pub(crate) fn too_many() -> Error {
    Error::too_large(format!(
        "more than {CHANGES_MAX} documents satisfy the query; narrow it and change them in parts"
    ))
    .with_code("TOO_MANY_DOCUMENTS")
}

impl Collections {
    /// Looks for documents to change, outside of any write.
    async fn candidates(&self, place: Place, name: String, query: Arc<Query>) -> Result<Vec<i64>> {
        let limit = CHANGES_MAX as usize + 1;
        let places = reading::read(&self.cartridge, move |reader| {
            match collection::find(reader, &place, &name)? {
                Some(collection) => places_of(reader, &collection, &query, limit),
                None => Ok(Vec::new()),
            }
        })
        .await?;
        if places.len() == limit { Err(too_many()) } else { Ok(places) }
    }

    pub(super) async fn change(
        &self,
        place: Place,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<u64> {
        let name = checked_collection(collection)?.to_owned();
        let (query, changes) = (Arc::new(Query::parse(query)?), Changes::parse(changes)?);
        // Named ones are found at once.
        let places = if plan::names_ids(&query) {
            None
        } else {
            let places = self.candidates(place.clone(), name.clone(), Arc::clone(&query)).await?;
            if places.is_empty() {
                return Ok(0);
            }
            Some(places)
        };
        let (limits, now_ms) = (self.limits, self.clock.unix_ms());
        self.cartridge
            .write(Some(place.id), move |transaction| {
                let Some(collection) = collection::find(transaction, &place, &name)? else {
                    return Ok(0);
                };
                let found;
                let places = match &places {
                    Some(places) => places,
                    None => {
                        found = places_of(transaction, &collection, &query, CHANGES_MAX as usize)?;
                        &found
                    }
                };
                let what = (&*query, &changes);
                change_all(transaction, &place.app, &collection, places, what, &limits, now_ms)
            })
            .await
    }

    pub(super) async fn change_or_insert(
        &self,
        place: Place,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<Upserted> {
        let name = checked_collection(collection)?.to_owned();
        let (query, changes) = (Query::parse(query)?, Changes::parse(changes)?);
        let (limits, now_ms) = (self.limits, self.clock.unix_ms());
        // Made before it is known whether it is needed: the write may run twice.
        let new = seeded(&query, &changes, &limits, &self.host);
        self.cartridge
            .write(Some(place.id), move |transaction| {
                if let Some(collection) = collection::find(transaction, &place, &name)? {
                    let limit = CHANGES_MAX as usize + 1;
                    let places = places_inside(transaction, &collection, &query, limit)?;
                    if places.len() == limit {
                        return Err(too_many());
                    }
                    if !places.is_empty() {
                        let what = (&query, &changes);
                        let updated = change_all(
                            transaction,
                            &place.app,
                            &collection,
                            &places,
                            what,
                            &limits,
                            now_ms,
                        )?;
                        return Ok(Upserted { updated, inserted: None });
                    }
                }
                let new = [new.clone()?];
                let inserted = insert_all(transaction, &place, &name, &new, &limits, now_ms)?;
                let inserted: Option<Document> = inserted.into_iter().next();
                Ok(Upserted { updated: 0, inserted })
            })
            .await
    }
}

/// The most documents that are looked through inside of a write.
const SCANNED_INSIDE_MAX: u64 = 10_000;
