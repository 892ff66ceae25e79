//! Documents in collections: `fazt.documents/1`.

pub mod change;

mod cursor;
mod delete;
mod find;
mod index;
mod insert;
mod search;
pub(crate) mod store;
mod update;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::services::Space;
use fazt_sdk::services::documents::{
    CollectionInfo, Document, DocumentPage, Documents, Find, NAME_BYTES_MAX, Order, Upserted,
};
use fazt_sdk::{Error, Result};

use self::store::plan::Sort;
use crate::account::Limits;
use crate::place::Place;
use crate::query::Query;

pub use store::condition::{Bound, Compiled};

pub(crate) use delete::{remove_all, shrink};
pub(crate) use index::restore;
pub(crate) use insert::{New, checked_body, insert_all, prepared, restore_document};
pub(crate) use update::{change_all, places_inside, places_of, too_many};

/// The provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Collections {
    pub(crate) host: Host,
    pub(crate) cartridge: Cartridge,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
}

impl Collections {
    pub(crate) fn new(host: &Host, limits: Limits) -> Self {
        Self { host: host.clone(), cartridge: host.cartridge(), clock: host.clock(), limits }
    }
}

/// The name of a collection, if it is one.
pub(crate) fn checked_collection(name: &str) -> Result<&str> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.chars().any(|c| c == '/' || c.is_control());
    if is_name {
        return Ok(name);
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(format!(
        "`{shown}` names no collection: 1 to {NAME_BYTES_MAX} bytes without `/` and control characters"
    ))
    .with_code("INVALID_COLLECTION"))
}

/// The id of a document, if it is one.
pub(crate) fn checked_id(id: &str) -> Result<&str> {
    if (1..=NAME_BYTES_MAX).contains(&id.len()) {
        return Ok(id);
    }
    Err(Error::invalid(format!("the id of a document has 1 to {NAME_BYTES_MAX} bytes"))
        .with_code("INVALID_ID"))
}

/// By insertion, the newest first.
pub(crate) const NEWEST_FIRST: Sort = Sort { field: None, order: Order::Descending };

/// By insertion, the oldest first.
pub(crate) const OLDEST_FIRST: Sort = Sort { field: None, order: Order::Ascending };

impl Documents for Collections {
    async fn insert(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        document: &str,
    ) -> Result<Document> {
        let inserted =
            self.insert_new(Place::of(call, space)?, collection, &[document.to_owned()]).await?;
        inserted.into_iter().next().ok_or_else(|| Error::internal("an insert answered nothing"))
    }

    async fn insert_many(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        documents: &[String],
    ) -> Result<Vec<String>> {
        let inserted = self.insert_new(Place::of(call, space)?, collection, documents).await?;
        Ok(inserted.into_iter().map(|document| document.id).collect())
    }

    async fn get(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        id: &str,
    ) -> Result<Option<Document>> {
        self.find_one(Place::of(call, space)?, collection, id).await
    }

    async fn find(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        find: &Find,
    ) -> Result<DocumentPage> {
        self.find_page(Place::of(call, space)?, collection, find).await
    }

    async fn count(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
    ) -> Result<u64> {
        self.count_matching(Place::of(call, space)?, collection, Query::parse(query)?).await
    }

    async fn distinct(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
        query: &str,
    ) -> Result<Vec<String>> {
        let query = Query::parse(query)?;
        self.distinct_values(Place::of(call, space)?, collection, field, query).await
    }

    async fn update(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<u64> {
        self.change(Place::of(call, space)?, collection, query, changes).await
    }

    async fn upsert(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
        changes: &str,
    ) -> Result<Upserted> {
        self.change_or_insert(Place::of(call, space)?, collection, query, changes).await
    }

    async fn delete(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        query: &str,
    ) -> Result<u64> {
        self.remove(Place::of(call, space)?, collection, Query::parse(query)?).await
    }

    async fn delete_oldest(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        keep: u64,
    ) -> Result<u64> {
        self.remove_oldest(Place::of(call, space)?, collection, keep).await
    }

    async fn index(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
        unique: bool,
    ) -> Result<()> {
        self.declare_index(Place::of(call, space)?, collection, field, unique).await
    }

    async fn remove_index(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        field: &str,
    ) -> Result<bool> {
        self.drop_index(Place::of(call, space)?, collection, field).await
    }

    async fn search(
        &self,
        call: &Call,
        space: &Space,
        collection: &str,
        words: &str,
        find: &Find,
    ) -> Result<Vec<Document>> {
        self.search_words(Place::of(call, space)?, collection, words, find).await
    }

    async fn collections(&self, call: &Call, space: &Space) -> Result<Vec<CollectionInfo>> {
        self.list_collections(Place::of(call, space)?).await
    }
}
