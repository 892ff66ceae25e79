//! `storage_index_entry`: the keys of documents in each index of their collection.
//!
//! The database computes a key from the body, by the expression that queries compare with, so both
//! agree. A key holds the first characters of a text.

use std::sync::LazyLock;

use fazt_sdk::cartridge::{Query, ToValue as _};
use fazt_sdk::prelude::Transaction;
use fazt_sdk::{Error, Result, params};

use super::collection::{Collection, KeptIndex};
use super::condition::{Bound, expression};
use super::text;
use crate::query::SORTED_CHARS;

static ADD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT OR IGNORE INTO storage_index_entry (idx, key, place) SELECT i.id, {}, ?3 \
         FROM storage_index AS i WHERE i.collection = ?1",
        expression("?2", "i.path", true)
    )
});

static KEYS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT i.id, {} FROM storage_index AS i WHERE i.collection = ?1",
        expression("?2", "i.path", true)
    )
});

/// The whole value, so that one that is too long for a key is noticed.
static UNIQUE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT i.id, i.field, {} FROM storage_index AS i WHERE i.collection = ?1 AND i.is_unique = 1",
        expression("?2", "i.path", false)
    )
});

static FILL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT OR IGNORE INTO storage_index_entry (idx, key, place) SELECT i.id, {}, d.place \
         FROM storage_index AS i CROSS JOIN storage_document AS d \
         WHERE i.id = ?1 AND d.place BETWEEN ?2 AND ?3",
        expression("d.body", "i.path", true)
    )
});

/// Adds the entries of a document, and its text where documents are searched.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    collection: &Collection,
    place: i64,
    body: &str,
) -> Result<()> {
    if collection.indexes > 0 {
        refuse_duplicates(transaction, collection, place, body)?;
        transaction.execute(&ADD, params![collection.id, body, place])?;
    }
    if collection.is_searched { text::add(transaction, place, body) } else { Ok(()) }
}

/// Removes the entries of a document, and its text.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    collection: &Collection,
    place: i64,
    body: &str,
) -> Result<()> {
    if collection.indexes > 0 {
        let keys = transaction.all(&KEYS, params![collection.id, body], |row| {
            Ok((row.get::<i64>(0)?, row.get::<Bound>(1)?))
        })?;
        // One by one: SQLite searches a list of whole keys by their first column only.
        for (index, key) in keys {
            let parameters = [index.to_value(), key.as_value(), place.to_value()];
            transaction.execute(
                "DELETE FROM storage_index_entry WHERE idx = ?1 AND key = ?2 AND place = ?3",
                &parameters,
            )?;
        }
    }
    if collection.is_searched { text::remove(transaction, place) } else { Ok(()) }
}

fn refuse_duplicates(
    transaction: &Transaction<'_>,
    collection: &Collection,
    place: i64,
    body: &str,
) -> Result<()> {
    let keys = transaction.all(&UNIQUE, params![collection.id, body], |row| {
        Ok((row.get::<i64>(0)?, row.get::<String>(1)?, row.get::<Bound>(2)?))
    })?;
    for (index, field, key) in keys {
        let is_long = matches!(&key, Bound::Text(text)
            if text.contains('\0') || text.chars().count() > SORTED_CHARS);
        if is_long || key == Bound::COMPOSITE {
            return Err(Error::invalid(format!(
                "`{field}` is unique: it holds texts up to {SORTED_CHARS} characters without NUL, \
                 numbers, booleans or nothing"
            ))
            .with_code("INVALID_UNIQUE_VALUE"));
        }
        // Any number of documents may have nothing there.
        if key != Bound::NOTHING && has_other(transaction, index, &key, place)? {
            return Err(duplicate(&field));
        }
    }
    Ok(())
}

fn duplicate(field: &str) -> Error {
    Error::conflict(format!("another document has this value in `{field}`, which is unique"))
        .with_code("DUPLICATE_VALUE")
        .with_details(fazt_sdk::json!({ "field": field }))
}

fn has_other(reader: &impl Query, index: i64, key: &Bound, place: i64) -> Result<bool> {
    let parameters = [index.to_value(), key.as_value(), place.to_value()];
    let found = reader.first(
        "SELECT 1 FROM storage_index_entry WHERE idx = ?1 AND key = ?2 AND place <> ?3 LIMIT 1",
        &parameters,
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Adds missing entries of up to `limit` documents, from the newest down; returns down to which place
/// they are still missing.
pub(crate) fn fill(
    transaction: &Transaction<'_>,
    collection: &Collection,
    index: &KeptIndex,
    missing_to: i64,
    limit: u32,
) -> Result<Option<i64>> {
    let (first, _) = collection.places();
    let lowest = transaction.first(
        "SELECT min(place), count(*) FROM (SELECT place FROM storage_document \
         WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT ?3)",
        params![first, missing_to, limit],
        |row| row.read::<(Option<i64>, u32)>(),
    )?;
    let Some((Some(lowest), count)) = lowest else { return Ok(None) };
    transaction.execute(&FILL, params![index.id, lowest, missing_to])?;
    Ok((count == limit).then_some(lowest - 1))
}

/// Fails when a unique index holds a value twice, or one that it cannot tell from others.
pub(crate) fn check_unique(reader: &impl Query, index: i64, field: &str) -> Result<()> {
    let twice = reader.first(
        "SELECT 1 FROM storage_index_entry WHERE idx = ?1 AND key > -9e999 GROUP BY key \
         HAVING count(*) > 1 OR key = x'02' OR length(key) >= ?2 LIMIT 1",
        params![index, i64::try_from(SORTED_CHARS).unwrap_or(i64::MAX)],
        |row| row.get::<i64>(0),
    )?;
    if twice.is_some() { Err(duplicate(field)) } else { Ok(()) }
}

/// Removes up to `limit` entries of an index; returns how many.
pub(crate) fn remove_of_index(
    transaction: &Transaction<'_>,
    index: i64,
    limit: u32,
) -> Result<u64> {
    let behind = transaction.first(
        "SELECT key, place FROM storage_index_entry WHERE idx = ?1 ORDER BY key, place LIMIT 1 OFFSET ?2",
        params![index, limit],
        |row| Ok((row.get::<Bound>(0)?, row.get::<i64>(1)?)),
    )?;
    // A range, whose rows lie side by side.
    match behind {
        Some((key, place)) => transaction.execute(
            "DELETE FROM storage_index_entry WHERE idx = ?1 AND (key, place) < (?2, ?3)",
            &[index.to_value(), key.as_value(), place.to_value()],
        ),
        None => {
            transaction.execute("DELETE FROM storage_index_entry WHERE idx = ?1", params![index])
        }
    }
}
