//! `storage_collection`: a name, and what is counted of its documents.

use fazt_sdk::cartridge::Query;
use fazt_sdk::prelude::{Row, Transaction};
use fazt_sdk::{Error, Result, params};

use super::plan::Index;
use crate::account::{Delta, Limits};
use crate::place::Place;

/// Documents lie at the collection's number times 2^39, plus a number that counts up from 1: in one
/// piece, in the order of their insertion.
const PLACE_BITS: u32 = 39;

/// A collection.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// The number of the next document.
    next: i64,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    /// Of the newest write to any of its documents.
    pub(crate) version: u64,
    /// Whether words are kept of what is written from now on.
    pub(crate) is_searched: bool,
    /// Whether the words of all its documents are known.
    pub(crate) is_learned: bool,
    pub(crate) indexes: u32,
}

const COLUMNS: &str = "SELECT c.id, c.name, c.next, c.count, c.bytes, c.version, c.searched > 0, c.searched > 1, \
     (SELECT count(*) FROM storage_index AS i WHERE i.collection = c.id) FROM storage_collection AS c";

impl Collection {
    fn read(row: &Row<'_>) -> Result<Self> {
        let (id, name, next, count, bytes, version, is_searched, is_learned, indexes) =
            row.read()?;
        Ok(Self { id, name, next, count, bytes, version, is_searched, is_learned, indexes })
    }

    /// Its first and last place.
    pub(crate) fn places(&self) -> (i64, i64) {
        (self.id << PLACE_BITS, (self.id << PLACE_BITS) | PLACE_MASK)
    }

    /// A place as a number within the collection, which says nothing of other collections.
    pub(crate) fn number(&self, place: i64) -> i64 {
        place & PLACE_MASK
    }

    /// The place with this number.
    pub(crate) fn place(&self, number: i64) -> i64 {
        (self.id << PLACE_BITS) | (number & PLACE_MASK)
    }

    pub(super) fn take_place(&mut self) -> Result<i64> {
        if self.next > PLACE_MASK {
            return Err(Error::full(format!(
                "the collection `{}` has had as many documents as it can",
                self.name
            )));
        }
        let place = self.place(self.next);
        self.next += 1;
        Ok(place)
    }
}

const PLACE_MASK: i64 = (1 << PLACE_BITS) - 1;

/// The collection of that name.
pub(crate) fn find(reader: &impl Query, place: &Place, name: &str) -> Result<Option<Collection>> {
    reader.first(
        &format!("{COLUMNS} WHERE c.app = ?1 AND c.user = ?2 AND c.name = ?3"),
        params![place.app, place.user, name],
        |row| Collection::read(&row),
    )
}

/// The collection of that name, made when it is not there.
pub(crate) fn ensure(
    transaction: &Transaction<'_>,
    place: &Place,
    name: &str,
    limits: &Limits,
) -> Result<Collection> {
    if let Some(found) = find(transaction, place, name)? {
        return Ok(found);
    }
    let count = transaction.first(
        "SELECT count(*) FROM storage_collection WHERE app = ?1",
        params![place.app],
        |row| row.get::<u32>(0),
    )?;
    if count.unwrap_or(0) >= limits.collections_max {
        return Err(Error::full(format!(
            "the app may have {} collections; remove one, or raise storage.collections_max",
            limits.collections_max
        ))
        .with_code("QUOTA_EXCEEDED"));
    }
    transaction.execute(
        "INSERT INTO storage_collection (app, user, name) VALUES (?1, ?2, ?3)",
        params![place.app, place.user, name],
    )?;
    find(transaction, place, name)?
        .ok_or_else(|| Error::internal("a collection that was made is not there"))
}

/// Writes down what a write changed.
pub(crate) fn save(
    transaction: &Transaction<'_>,
    collection: &Collection,
    delta: Delta,
    version: u64,
) -> Result<()> {
    transaction
        .execute(
            "UPDATE storage_collection SET next = ?2, count = count + ?3, bytes = bytes + ?4, \
             version = ?5 WHERE id = ?1",
            params![collection.id, collection.next, delta.count, delta.bytes, version],
        )
        .map(drop)
}

/// The collections of a space, by name.
pub(crate) fn list(reader: &impl Query, place: &Place, after: &str) -> Result<Vec<Collection>> {
    reader.all(
        &format!(
            "{COLUMNS} WHERE c.app = ?1 AND c.user = ?2 AND c.name > ?3 ORDER BY c.name LIMIT 1000"
        ),
        params![place.app, place.user, after],
        |row| Collection::read(&row),
    )
}

/// How much of its words is known: something from now on, or everything.
pub(crate) fn set_searched(
    transaction: &Transaction<'_>,
    collection: i64,
    searched: u32,
) -> Result<()> {
    transaction
        .execute(
            "UPDATE storage_collection SET searched = ?2 WHERE id = ?1",
            params![collection, searched],
        )
        .map(drop)
}

/// Collections of an app in the order of their numbers, behind one: number, user and name.
pub(crate) fn kept_after(
    reader: &impl Query,
    app: &str,
    id: i64,
    limit: u32,
) -> Result<Vec<(i64, String, String)>> {
    reader.all(
        "SELECT id, user, name FROM storage_collection WHERE app = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        params![app, id, limit],
        |row| row.read(),
    )
}

/// Any collection of an app.
pub(crate) fn any_of_app(reader: &impl Query, app: &str) -> Result<Option<Collection>> {
    reader.first(&format!("{COLUMNS} WHERE c.app = ?1 LIMIT 1"), params![app], |row| {
        Collection::read(&row)
    })
}

/// Any collection of a user, and its app.
pub(crate) fn any_of_user(reader: &impl Query, user: &str) -> Result<Option<(String, Collection)>> {
    let found = reader.first(
        "SELECT app, name FROM storage_collection WHERE user = ?1 AND user <> '' LIMIT 1",
        params![user],
        |row| row.read::<(String, String)>(),
    )?;
    let Some((app, name)) = found else { return Ok(None) };
    let collection = reader.first(
        &format!("{COLUMNS} WHERE c.app = ?1 AND c.user = ?2 AND c.name = ?3"),
        params![app, user, name],
        |row| Collection::read(&row),
    )?;
    Ok(collection.map(|collection| (app, collection)))
}

/// Removes a collection that has no documents any more.
pub(crate) fn remove(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    transaction.execute("DELETE FROM storage_index WHERE collection = ?1", params![collection])?;
    transaction
        .execute("DELETE FROM storage_collection WHERE id = ?1", params![collection])
        .map(drop)
}

/// An index as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct KeptIndex {
    pub(crate) id: i64,
    pub(crate) field: String,
    pub(crate) is_unique: bool,
    /// Entries are missing for documents at this place and below it; nothing when none are.
    pub(crate) missing_to: Option<i64>,
}

/// The indexes of a collection, by field.
pub(crate) fn indexes(reader: &impl Query, collection: i64) -> Result<Vec<KeptIndex>> {
    reader.all(
        "SELECT id, field, is_unique, missing_to FROM storage_index WHERE collection = ?1 ORDER BY field",
        params![collection],
        |row| {
            let (id, field, is_unique, missing_to) = row.read()?;
            Ok(KeptIndex { id, field, is_unique, missing_to })
        },
    )
}

/// The indexes that know all documents of a collection.
pub(crate) fn usable(reader: &impl Query, collection: &Collection) -> Result<Vec<Index>> {
    if collection.indexes == 0 {
        return Ok(Vec::new());
    }
    let kept = indexes(reader, collection.id)?;
    let whole = kept.into_iter().filter(|index| index.missing_to.is_none());
    Ok(whole.map(|index| Index { id: index.id, field: index.field }).collect())
}

/// Adds an index whose entries are missing so far.
pub(crate) fn add_index(
    transaction: &Transaction<'_>,
    collection: &Collection,
    field: &str,
    path: &str,
    is_unique: bool,
) -> Result<()> {
    let (_, last) = collection.places();
    transaction
        .execute(
            "INSERT INTO storage_index (collection, field, path, is_unique, missing_to) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![collection.id, field, path, is_unique, last],
        )
        .map(drop)
}

/// Notes how far entries are missing.
pub(crate) fn set_missing(
    transaction: &Transaction<'_>,
    index: i64,
    missing_to: Option<i64>,
) -> Result<()> {
    transaction
        .execute(
            "UPDATE storage_index SET missing_to = ?2 WHERE id = ?1",
            params![index, missing_to],
        )
        .map(drop)
}

/// Takes an index out of use.
pub(crate) fn remove_index(transaction: &Transaction<'_>, index: i64) -> Result<()> {
    transaction.execute("DELETE FROM storage_index WHERE id = ?1", params![index]).map(drop)
}
