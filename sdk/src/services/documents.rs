//! Documents in collections.

use crate::call::Call;
use crate::error::Result;
use crate::services::space::Space;
use crate::{Wire, service};

/// The most documents of one page, and how many a page has unless fewer are asked for.
pub const DOCUMENTS_MAX: u32 = 1_000;

/// The longest id of a document, and the longest name of a collection, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 128;

/// The most documents that one call inserts or changes.
pub const CHANGES_MAX: u32 = 10_000;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Document {
    /// Its id, one of a kind in its collection.
    pub id: String,
    /// Everything else of it: JSON text of an object, without spaces.
    pub body: String,
    /// Grows with every write in the app.
    pub version: u64,
    /// When it was inserted, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was changed, in milliseconds since 1970.
    pub updated_at_ms: u64,
}

impl Document {
    /// The whole document as JSON text, with its `id`, `_createdAt` and `_updatedAt`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let id = serde_json::Value::from(self.id.as_str()).to_string();
        let inner = self.body.get(1..self.body.len().saturating_sub(1)).unwrap_or_default();
        let comma = if inner.is_empty() { "" } else { "," };
        let (created, updated) = (self.created_at_ms, self.updated_at_ms);
        format!("{{\"id\":{id},{inner}{comma}\"_createdAt\":{created},\"_updatedAt\":{updated}}}")
    }
}

/// In which direction documents are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum Order {
    /// The least value, or the oldest document, first.
    Ascending,
    /// The greatest value, or the newest document, first.
    Descending,
}

/// Which documents, in which order, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Find {
    /// What they satisfy: JSON text in the language of [`Documents`].
    pub query: String,
    /// The field by which they are sorted; by their insertion without one. Ties are in the order of
    /// insertion, so the order is total.
    pub sort: Option<String>,
    /// The direction; without one the newest first, or by a field the least first.
    pub order: Option<Order>,
    /// The fields that are answered besides the id; all without any.
    pub fields: Vec<String>,
    /// How many, from 1 to [`DOCUMENTS_MAX`].
    pub limit: u32,
    /// How many of the first are left out.
    pub offset: u32,
    /// Where the page before ended; for the same query, sort and order.
    pub cursor: Option<String>,
}

impl Default for Find {
    fn default() -> Self {
        Self {
            query: "{}".to_owned(),
            sort: None,
            order: None,
            fields: Vec::new(),
            limit: DOCUMENTS_MAX,
            offset: 0,
            cursor: None,
        }
    }
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct DocumentPage {
    /// The documents. Of one whose fields were chosen, the body has those.
    pub documents: Vec<Document>,
    /// Where the next page starts; nothing after the last.
    pub next: Option<String>,
}

/// What an upsert did.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Upserted {
    /// How many documents it changed.
    pub updated: u64,
    /// The document that it inserted because there was none to change.
    pub inserted: Option<Document>,
}

/// An index of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct IndexInfo {
    /// The field.
    pub field: String,
    /// Whether no two documents have the same value there; any number may have nothing.
    pub unique: bool,
    /// Whether it knows all documents, and is used.
    pub ready: bool,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// How many documents it has.
    pub documents: u64,
    /// Bytes of their ids and bodies.
    pub bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
}

/// Documents in collections, for the app of the call. Provided by the storage plugin.
///
/// A collection is there from its first document on. A document is a JSON object; its field `id` is
/// text and given to it when it brings none. `_createdAt` and `_updatedAt` are kept by the provider.
///
/// **Queries** are JSON: `{field: value}` is deep equality, and null stands for null and for missing;
/// names of fields have dots for objects inside. Operators: `$eq $ne $gt $gte $lt $lte $in $nin $exists
/// $contains $startsWith $regex $not` on a field, `$and $or $not` on queries. Values are compared with
/// their types; the four comparisons look at values of the operand's type only. What is not known is an
/// error. **Changes** are JSON: `$set $unset $inc $push $pull $max $min $rename`, or fields to set; all
/// of a call are made together, in every document that the query finds, or none.
///
/// Documents are sorted by type first: null and missing, numbers, texts by the first 256 characters,
/// false, true, then lists and objects.
///
/// Writes are durable when they return. Reads end after a bounded time with `Timeout`.
///
/// # Errors
/// Of every method: `Invalid` for a call without an app and for what is malformed (`INVALID_QUERY`,
/// `INVALID_CHANGE`, `UNKNOWN_OPERATOR`, `INVALID_FIELD`, `NOT_JSON`, `NUMBER_NOT_EXACT`). Of every
/// write: `Conflict` with `DUPLICATE_ID` or `DUPLICATE_VALUE`, `TooLarge` (`DOCUMENT_TOO_LARGE`,
/// `TOO_MANY_DOCUMENTS`) and `Full` (`QUOTA_EXCEEDED`), which name the setting.
#[service("fazt.documents", 1)]
pub trait Documents {
    /// Inserts a document; returns it with its id.
    async fn insert(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        document: &str,
    ) -> Result<Document>;
    /// Inserts several, all or none; returns their ids in order.
    async fn insert_many(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        documents: &[String],
    ) -> Result<Vec<String>>;
    /// The document with this id.
    async fn get(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        id: &str,
    ) -> Result<Option<Document>>;
    /// Documents, page by page.
    async fn find(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        find: &Find,
    ) -> Result<DocumentPage>;
    /// How many documents satisfy a query.
    async fn count(&self, call: &Call, space: &Space, collection: &str, query: &str)
    -> Result<u64>;
    /// The different values that a field has in documents that satisfy a query: JSON texts, sorted as
    /// documents are; at most [`DOCUMENTS_MAX`] of them. Missing is no value.
    async fn distinct(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
        query: &str,
    ) -> Result<Vec<String>>;
    /// Changes every document that satisfies a query; returns how many.
    async fn update(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<u64>;
    /// As [`Self::update`]; when there is nothing to change, inserts a document out of the values that
    /// the query names and the changes.
    async fn upsert(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<Upserted>;
    /// Removes every document that satisfies a query; returns how many.
    async fn delete(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
    ) -> Result<u64>;
    /// Removes all but the newest `keep` documents; returns how many.
    async fn delete_oldest(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        keep: u64,
    ) -> Result<u64>;
    /// Declares an index of a field, and returns when it knows all documents. An index that is there
    /// stays.
    ///
    /// # Errors
    /// `Conflict` with `INDEX_DIFFERS` when it is there but not as unique, `DUPLICATE_VALUE` when the
    /// documents are not unique.
    async fn index(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
        unique: bool,
    ) -> Result<()>;
    /// Removes an index; whether it was there.
    async fn remove_index(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
    ) -> Result<bool>;
    /// The documents whose texts have all these words, those that have them most often first; a word
    /// that ends in `*` stands for all that start with it. The first search of a collection waits
    /// until its texts are known.
    async fn search(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        words: &str,
        find: &Find,
    ) -> Result<Vec<Document>>;
    /// The collections, by name, and their indexes.
    async fn collections(&self, call: &Call, space: &Space) -> Result<Vec<CollectionInfo>>;
}
