//! `index`, `remove_index`.
//!
//! An index is filled from the newest document down, a batch a write, while others read and write;
//! from the moment that it is declared, every write keeps it. It is used once it knows all documents.

use std::sync::Arc;

use fazt_sdk::prelude::Transaction;
use fazt_sdk::{Error, Result};

use super::store::collection::{self, Collection, KeptIndex};
use super::store::entries;
use super::{Collections, checked_collection};
use crate::account::Limits;
use crate::pace::Pace;
use crate::place::Place;
use crate::query::{self, Field};
use crate::reading;

/// The most indexes of a collection.
const INDEXES_MAX: u32 = 16;

/// Documents whose entries one write adds.
const BATCH_DOCUMENTS: u32 = 500;

/// How far an index is.
#[derive(Debug, Clone)]
enum Progress {
    Ready,
    Filling,
    /// All entries are there; whether they are unique is to be seen.
    Filled(i64),
}

impl Collections {
    pub(super) async fn declare_index(
        &self,
        place: Place,
        collection: &str,
        field: &str,
        unique: bool,
    ) -> Result<()> {
        let name = Arc::<str>::from(checked_collection(collection)?);
        let field = Field::parse(field)?;
        let query::Place::Path(path) = field.place() else {
            return Err(Error::invalid(format!(
                "`{}` cannot have an index: id and times need none, and names with quotes or control \
                 characters have none",
                field.text()
            ))
            .with_code("INVALID_FIELD"));
        };
        let (field, path) = (Arc::<str>::from(field.text()), Arc::<str>::from(path));
        let limits = self.limits;
        {
            let (place, name) = (place.clone(), Arc::clone(&name));
            let (field, path) = (Arc::clone(&field), Arc::clone(&path));
            self.cartridge
                .write(Some(place.id), move |transaction| {
                    let collection = collection::ensure(transaction, &place, &name, &limits)?;
                    declare(transaction, &collection, &field, &path, unique)
                })
                .await?;
        }
        loop {
            let (of, name, filled) = (place.clone(), Arc::clone(&name), Arc::clone(&field));
            let progress = self
                .cartridge
                .write(Some(place.id), move |transaction| fill(transaction, &of, &name, &filled));
            match progress.await? {
                Progress::Ready => return Ok(()),
                Progress::Filling => {}
                Progress::Filled(index) => return self.check(&place, index, &field).await,
            }
        }
    }

    /// Takes a filled unique index into use, or removes it.
    async fn check(&self, place: &Place, index: i64, field: &Arc<str>) -> Result<()> {
        let checked = Arc::clone(field);
        let verdict = reading::read(&self.cartridge, move |reader| {
            entries::check_unique(reader, index, &checked)
        })
        .await;
        match verdict {
            Ok(()) => {
                self.cartridge
                    .write(Some(place.id), move |transaction| {
                        collection::set_missing(transaction, index, None)
                    })
                    .await
            }
            Err(error) => {
                self.remove_entries(place, index).await?;
                Err(error)
            }
        }
    }

    pub(super) async fn drop_index(
        &self,
        place: Place,
        collection: &str,
        field: &str,
    ) -> Result<bool> {
        let (name, field) =
            (checked_collection(collection)?.to_owned(), Field::parse(field)?.text());
        let of = place.clone();
        let index = self
            .cartridge
            .write(Some(place.id), move |transaction| {
                let Some(collection) = collection::find(transaction, &of, &name)? else {
                    return Ok(None);
                };
                let Some(index) = named(transaction, &collection, &field)? else { return Ok(None) };
                let (_, last) = collection.places();
                collection::set_missing(transaction, index.id, Some(last))?;
                Ok(Some(index.id))
            })
            .await?;
        let Some(index) = index else { return Ok(false) };
        self.remove_entries(&place, index).await?;
        Ok(true)
    }

    /// Removes the entries of an index, and the index in the write that removes the last of them: so
    /// none is left to an index that gets its number.
    async fn remove_entries(&self, place: &Place, index: i64) -> Result<()> {
        let mut pace = Pace::new(&self.clock);
        loop {
            let rows = pace.rows();
            let write = self.cartridge.write(Some(place.id), move |transaction| {
                let removed = entries::remove_of_index(transaction, index, rows)?;
                if removed < u64::from(rows) {
                    collection::remove_index(transaction, index)?;
                }
                Ok(removed)
            });
            if pace.hurry(write).await? < u64::from(rows) {
                return Ok(());
            }
        }
    }
}

fn named(
    transaction: &Transaction<'_>,
    collection: &Collection,
    field: &str,
) -> Result<Option<KeptIndex>> {
    let indexes = collection::indexes(transaction, collection.id)?;
    Ok(indexes.into_iter().find(|index| index.field == field))
}

fn declare(
    transaction: &Transaction<'_>,
    collection: &Collection,
    field: &str,
    path: &str,
    unique: bool,
) -> Result<()> {
    match named(transaction, collection, field)? {
        Some(index) if index.is_unique == unique => Ok(()),
        Some(_) => Err(Error::conflict(format!(
            "`{field}` has an index that is {}unique; remove it first",
            if unique { "not " } else { "" }
        ))
        .with_code("INDEX_DIFFERS")),
        None if collection.indexes >= INDEXES_MAX => {
            Err(Error::full(format!("a collection has at most {INDEXES_MAX} indexes; remove one"))
                .with_code("TOO_MANY_INDEXES"))
        }
        None => collection::add_index(transaction, collection, field, path, unique),
    }
}

/// The collection and indexes of an import. One that is made with its collection knows all documents.
pub(crate) fn restore(
    transaction: &Transaction<'_>,
    place: &Place,
    name: &str,
    indexes: &[(String, bool)],
    limits: &Limits,
) -> Result<()> {
    let collection = collection::ensure(transaction, place, name, limits)?;
    for (field, unique) in indexes {
        let field = Field::parse(field)?;
        let query::Place::Path(path) = field.place() else { continue };
        if named(transaction, &collection, &field.text())?.is_none() && collection.count == 0 {
            declare(transaction, &collection, &field.text(), &path, *unique)?;
            if let Some(index) = named(transaction, &collection, &field.text())? {
                collection::set_missing(transaction, index.id, None)?;
            }
        }
    }
    Ok(())
}

fn fill(transaction: &Transaction<'_>, place: &Place, name: &str, field: &str) -> Result<Progress> {
    let gone = || Error::conflict(format!("the index of `{field}` was removed meanwhile"));
    let collection = collection::find(transaction, place, name)?.ok_or_else(gone)?;
    let index = named(transaction, &collection, field)?.ok_or_else(gone)?;
    let Some(missing_to) = index.missing_to else { return Ok(Progress::Ready) };
    let left = entries::fill(transaction, &collection, &index, missing_to, BATCH_DOCUMENTS)?;
    match (left, index.is_unique) {
        (Some(left), _) => {
            collection::set_missing(transaction, index.id, Some(left))?;
            Ok(Progress::Filling)
        }
        (None, false) => {
            collection::set_missing(transaction, index.id, None)?;
            Ok(Progress::Ready)
        }
        (None, true) => {
            // Below the first place nothing is missing, but it is not in use yet.
            collection::set_missing(transaction, index.id, Some(collection.places().0))?;
            Ok(Progress::Filled(index.id))
        }
    }
}
