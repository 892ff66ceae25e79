//! `storage_text`: the words of documents, for collections that are searched.
//!
//! One index serves all apps, so a search is limited to the places of one collection, and nothing is
//! ranked by how often a word occurs elsewhere.

use fazt_sdk::cartridge::Query;
use fazt_sdk::prelude::Transaction;
use fazt_sdk::{Result, params};

use super::collection::Collection;

/// All texts of a body, wherever they are in it.
const TEXTS: &str =
    "(SELECT group_concat(t.value, char(10)) FROM json_tree(?2) AS t WHERE t.type = 'text')";

/// Adds the words of a document.
pub(crate) fn add(transaction: &Transaction<'_>, place: i64, body: &str) -> Result<()> {
    let sql = format!("INSERT INTO storage_text (rowid, words) SELECT ?1, coalesce({TEXTS}, '')");
    transaction.execute(&sql, params![place, body]).map(drop)
}

/// Removes the words of a document.
pub(crate) fn remove(transaction: &Transaction<'_>, place: i64) -> Result<()> {
    transaction.execute("DELETE FROM storage_text WHERE rowid = ?1", params![place]).map(drop)
}

/// Places and bodies of documents of a collection, below a place.
pub(crate) fn unread(
    reader: &impl Query,
    collection: &Collection,
    below: i64,
    limit: u32,
) -> Result<Vec<(i64, String)>> {
    let (first, _) = collection.places();
    reader.all(
        "SELECT place, body FROM storage_document WHERE place BETWEEN ?1 AND ?2 - 1 ORDER BY place DESC LIMIT ?3",
        params![first, below, limit],
        |row| row.read(),
    )
}

/// The places of a collection whose documents have all the words, the newest first.
pub(crate) fn find(
    reader: &impl Query,
    collection: &Collection,
    words: &str,
    limit: u32,
) -> Result<Vec<i64>> {
    let (first, last) = collection.places();
    reader.all(
        "SELECT rowid FROM storage_text WHERE storage_text MATCH ?1 AND rowid BETWEEN ?2 AND ?3 \
         ORDER BY rowid DESC LIMIT ?4",
        params![words, first, last, limit],
        |row| row.get(0),
    )
}
