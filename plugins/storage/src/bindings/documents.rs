//! `fazt.app.ds` and `fazt.app.user.ds`.

use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::services::documents::{DOCUMENTS_MAX, Document, Documents as _, Find, Order};
use fazt_sdk::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::arguments::{Arguments, missing};
use super::{Form, Given, Listed, raw};
use crate::documents::Collections;

functions! {
    Collections;
    "ds.insert", ["collection", "document"], insert =>
        "Inserts a document; its id";
    "ds.insertMany", ["collection", "documents"], insert_many =>
        "Inserts several, all or none; their ids";
    "ds.find", ["collection", "query", "options"], find =>
        "Documents; options: limit, offset, cursor, sort, order, fields";
    "ds.findOne", ["collection", "query"], find_one =>
        "The first document, by a query or an id; or null";
    "ds.get", ["collection", "id"], get =>
        "The document with an id; or null";
    "ds.update", ["collection", "query", "changes"], update =>
        "Changes documents; how many";
    "ds.upsert", ["collection", "query", "changes"], upsert =>
        "Changes documents, or inserts one: {updated, id}";
    "ds.delete", ["collection", "query"], delete =>
        "Removes documents; how many";
    "ds.deleteOldest", ["collection", "keep"], delete_oldest =>
        "Removes all but the newest; how many";
    "ds.count", ["collection", "query"], count =>
        "How many documents satisfy a query";
    "ds.distinct", ["collection", "field", "query"], distinct =>
        "The different values of a field";
    "ds.index", ["collection", "field", "options"], index =>
        "Declares an index; options: unique";
    "ds.search", ["collection", "text", "options"], search =>
        "Documents that have all words; options: query, limit, offset, fields";
}

impl Given<'_, Collections> {
    fn collection(&self, requirement: &str) -> Result<String> {
        self.arguments.required(0, requirement)
    }

    /// The query at `index`: an object, or an id.
    fn query(&self, index: usize, requirement: &str) -> Result<String> {
        match self.arguments.json(index) {
            Some(id) if id.starts_with('"') => Ok(format!("{{\"id\":{id}}}")),
            Some(query) => Ok(query.to_owned()),
            None => Err(missing(requirement)),
        }
    }

    /// The query at `index`, everything when it was left out.
    fn query_or_all(&self, index: usize) -> Result<String> {
        if self.arguments.json(index).is_none() {
            return Ok("{}".to_owned());
        }
        self.query(index, "a query is an object")
    }
}

async fn insert(given: &Given<'_, Collections>) -> Result<String> {
    let requirement = "ds.insert requires a document object";
    let collection = given.collection("ds.insert requires a collection")?;
    let document = given.arguments.json(1).ok_or_else(|| missing(requirement))?;
    let inserted = given.store.insert(given.call, given.space, &collection, document).await?;
    Ok(inserted.id)
}

async fn insert_many(given: &Given<'_, Collections>) -> Result<Vec<String>> {
    let collection = given.collection("ds.insertMany requires a collection")?;
    let documents: Vec<Box<RawValue>> =
        given.arguments.required(1, "ds.insertMany requires a list of documents")?;
    let documents: Vec<_> =
        documents.into_iter().map(|document| document.get().to_owned()).collect();
    given.store.insert_many(given.call, given.space, &collection, &documents).await
}

/// Options of `ds.find` and `ds.search`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    limit: Option<u32>,
    #[serde(default)]
    offset: u32,
    cursor: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    query: Option<Box<RawValue>>,
}

impl Options {
    pub(super) fn find(self, query: String) -> Result<Find> {
        let order = match self.order.as_deref() {
            None => None,
            Some("asc") => Some(Order::Ascending),
            Some("desc") => Some(Order::Descending),
            Some(_) => {
                return Err(
                    Error::invalid("order is \"asc\" or \"desc\"").with_code("INVALID_ARGUMENT")
                );
            }
        };
        Ok(Find {
            query,
            sort: self.sort,
            order,
            fields: self.fields,
            limit: self.limit.unwrap_or(DOCUMENTS_MAX),
            offset: self.offset,
            cursor: self.cursor,
        })
    }
}

pub(super) fn whole(document: &Document) -> Result<Box<RawValue>> {
    raw(document.to_json())
}

async fn find(given: &Given<'_, Collections>) -> Result<Listed<Box<RawValue>>> {
    let collection = given.collection("ds.find requires a collection")?;
    let options = given.arguments.optional::<Options>(2, "ds.find: options")?.unwrap_or_default();
    if options.query.is_some() {
        return Err(missing("ds.find takes the query before the options"));
    }
    let find = options.find(given.query_or_all(1)?)?;
    let page = given.store.find(given.call, given.space, &collection, &find).await?;
    let items = page.documents.iter().map(whole).collect::<Result<_>>()?;
    Ok(Listed { items, cursor: page.next })
}

async fn find_one(given: &Given<'_, Collections>) -> Result<Option<Box<RawValue>>> {
    let collection = given.collection("ds.findOne requires a collection")?;
    let find = Find { query: given.query_or_all(1)?, limit: 1, ..Find::default() };
    let page = given.store.find(given.call, given.space, &collection, &find).await?;
    page.documents.first().map(whole).transpose()
}

async fn get(given: &Given<'_, Collections>) -> Result<Option<Box<RawValue>>> {
    let collection = given.collection("ds.get requires a collection")?;
    let id = given.arguments.text(1, "ds.get requires an id")?;
    let found = given.store.get(given.call, given.space, &collection, &id).await?;
    found.as_ref().map(whole).transpose()
}

async fn update(given: &Given<'_, Collections>) -> Result<u64> {
    let requirement = "ds.update requires a collection, a query and changes";
    let (collection, query) = (given.collection(requirement)?, given.query(1, requirement)?);
    let changes = given.arguments.json(2).ok_or_else(|| missing(requirement))?;
    given.store.update(given.call, given.space, &collection, &query, changes).await
}

/// What `ds.upsert` answers.
#[derive(Debug, Serialize)]
struct Upserted {
    updated: u64,
    /// Of the document that was inserted.
    id: Option<String>,
}

async fn upsert(given: &Given<'_, Collections>) -> Result<Upserted> {
    let requirement = "ds.upsert requires a collection, a query and changes";
    let (collection, query) = (given.collection(requirement)?, given.query(1, requirement)?);
    let changes = given.arguments.json(2).ok_or_else(|| missing(requirement))?;
    let done = given.store.upsert(given.call, given.space, &collection, &query, changes).await?;
    Ok(Upserted { updated: done.updated, id: done.inserted.map(|document| document.id) })
}

async fn delete(given: &Given<'_, Collections>) -> Result<u64> {
    // Without a query this would be everything: that has to be said, with `{}`.
    let requirement = "ds.delete requires a collection and a query";
    let (collection, query) = (given.collection(requirement)?, given.query(1, requirement)?);
    given.store.delete(given.call, given.space, &collection, &query).await
}

async fn delete_oldest(given: &Given<'_, Collections>) -> Result<u64> {
    let requirement = "ds.deleteOldest requires a collection and how many to keep";
    let collection = given.collection(requirement)?;
    let keep = given.arguments.required(1, requirement)?;
    given.store.delete_oldest(given.call, given.space, &collection, keep).await
}

async fn count(given: &Given<'_, Collections>) -> Result<u64> {
    let collection = given.collection("ds.count requires a collection")?;
    let query = given.query_or_all(1)?;
    given.store.count(given.call, given.space, &collection, &query).await
}

async fn distinct(given: &Given<'_, Collections>) -> Result<Vec<Box<RawValue>>> {
    let requirement = "ds.distinct requires a collection and a field";
    let collection = given.collection(requirement)?;
    let field: String = given.arguments.required(1, requirement)?;
    let query = given.query_or_all(2)?;
    let values = given.store.distinct(given.call, given.space, &collection, &field, &query).await?;
    values.into_iter().map(raw).collect()
}

/// Options of `ds.index`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexOptions {
    #[serde(default)]
    unique: bool,
}

async fn index(given: &Given<'_, Collections>) -> Result<()> {
    let requirement = "ds.index requires a collection and a field";
    let collection = given.collection(requirement)?;
    let field: String = given.arguments.required(1, requirement)?;
    let options = given.arguments.optional::<IndexOptions>(2, "ds.index: options")?;
    let unique = options.unwrap_or_default().unique;
    given.store.index(given.call, given.space, &collection, &field, unique).await
}

async fn search(given: &Given<'_, Collections>) -> Result<Vec<Box<RawValue>>> {
    let requirement = "ds.search requires a collection and words";
    let collection = given.collection(requirement)?;
    let words: String = given.arguments.required(1, requirement)?;
    let options = given.arguments.optional::<Options>(2, "ds.search: options")?.unwrap_or_default();
    let query =
        options.query.as_ref().map_or_else(|| "{}".to_owned(), |query| query.get().to_owned());
    let find = options.find(query)?;
    let found = given.store.search(given.call, given.space, &collection, &words, &find).await?;
    found.iter().map(whole).collect()
}
