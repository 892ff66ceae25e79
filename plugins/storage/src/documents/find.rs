//! `get`, `find`, `count`, `distinct`, the list of collections, and what shows how a query runs.

use std::cmp::Ordering;
use std::sync::Arc;

use fazt_sdk::cartridge::Visit;
use fazt_sdk::services::documents::{
    CollectionInfo, DOCUMENTS_MAX, Document, DocumentPage, Find, IndexInfo, Order,
};
use fazt_sdk::{Error, Result};

use super::store::collection::{self, Collection};
use super::store::plan::{Behind, Index, Request, Sort, Wanted};
use super::store::{self, Rows};
use super::{Collections, NEWEST_FIRST, checked_collection, checked_id, cursor};
use crate::json::Json;
use crate::place::Place;
use crate::query::{self, Field, Query, sort_order};
use crate::reading;

/// The most bytes of one page, unless one document alone has more.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most documents that a page leaves out at its start.
const OFFSET_MAX: u32 = 100_000;

/// What is asked for, once it is checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) query: Query,
    sort: Sort,
    fields: Vec<Field>,
    pub(super) limit: u32,
    pub(super) offset: u32,
    cursor: Option<String>,
}

impl Checked {
    pub(super) fn new(find: &Find) -> Result<Self> {
        if !(1..=DOCUMENTS_MAX).contains(&find.limit) {
            return Err(Error::invalid(format!("`limit` is from 1 to {DOCUMENTS_MAX}"))
                .with_code("INVALID_ARGUMENT"));
        }
        if find.offset > OFFSET_MAX {
            return Err(Error::invalid(format!(
                "`offset` is at most {OFFSET_MAX}; go on with the cursor of the page before"
            ))
            .with_code("INVALID_ARGUMENT"));
        }
        let field = find.sort.as_deref().map(Field::parse).transpose()?;
        // That is the order of insertion, which needs no sorting.
        let field = field.filter(|field| field.place() != query::Place::CreatedAt);
        if field.as_ref().is_some_and(|field| field.place() == query::Place::Elsewhere) {
            return Err(Error::invalid(
                "documents are not sorted by a name with quotes or controls",
            )
            .with_code("INVALID_FIELD"));
        }
        let natural = if find.sort.is_some() { Order::Ascending } else { Order::Descending };
        Ok(Self {
            query: Query::parse(&find.query)?,
            sort: Sort { field, order: find.order.unwrap_or(natural) },
            fields: find.fields.iter().map(|field| Field::parse(field)).collect::<Result<_>>()?,
            limit: find.limit,
            offset: find.offset,
            cursor: find.cursor.clone(),
        })
    }

    fn request<'r>(
        &'r self,
        collection: &Collection,
        indexes: &'r [Index],
        behind: Option<&'r Behind>,
    ) -> Request<'r> {
        Request {
            collection: collection.id,
            places: collection.places(),
            indexes,
            query: &self.query,
            sort: &self.sort,
            behind,
            wanted: Wanted::Documents,
            // One more shows whether there are more.
            limit: i64::from(self.limit) + 1,
            offset: i64::from(self.offset),
        }
    }

    /// The document with the fields that were asked for.
    pub(super) fn projected(&self, mut document: Document) -> Result<Document> {
        if self.fields.is_empty() {
            return Ok(document);
        }
        let body = Json::parse(&document.body)?;
        let mut kept = Json::Object(Vec::new());
        for field in &self.fields {
            let found = field.names().iter().try_fold(&body, |value, name| value.field(name));
            if let Some(found) = found {
                put(&mut kept, field.names(), found.clone());
            }
        }
        document.body = kept.to_string();
        Ok(document)
    }
}

/// Puts a value at the end of a path of objects. What is there already and is no object stays.
fn put(at: &mut Json, names: &[String], value: Json) {
    let (Json::Object(fields), Some((name, rest))) = (at, names.split_first()) else { return };
    let place = fields.iter().position(|(known, _)| known == name);
    match (place, rest.is_empty()) {
        (None, true) => fields.push((name.clone(), value)),
        (Some(place), true) => fields[place].1 = value,
        (None, false) => {
            let mut inner = Json::Object(Vec::new());
            put(&mut inner, rest, value);
            fields.push((name.clone(), inner));
        }
        (Some(place), false) => put(&mut fields[place].1, rest, value),
    }
}

/// A request for everything that satisfies a query, in the order of `sort`.
pub(super) fn everything<'r>(
    collection: &Collection,
    indexes: &'r [Index],
    query: &'r Query,
    sort: &'r Sort,
    limit: i64,
) -> Request<'r> {
    Request {
        collection: collection.id,
        places: collection.places(),
        indexes,
        query,
        sort,
        behind: None,
        wanted: Wanted::Documents,
        limit,
        offset: 0,
    }
}

impl Collections {
    pub(super) async fn find_one(
        &self,
        place: Place,
        collection: &str,
        id: &str,
    ) -> Result<Option<Document>> {
        let (name, id) = (checked_collection(collection)?.to_owned(), checked_id(id)?.to_owned());
        reading::read(&self.cartridge, move |reader| {
            let Some(collection) = collection::find(reader, &place, &name)? else {
                return Ok(None);
            };
            Ok(store::find(reader, collection.id, &id)?.map(|stored| stored.document))
        })
        .await
    }

    pub(super) async fn find_page(
        &self,
        place: Place,
        collection: &str,
        find: &Find,
    ) -> Result<DocumentPage> {
        let name = checked_collection(collection)?.to_owned();
        let checked = Arc::new(Checked::new(find)?);
        reading::read(&self.cartridge, move |reader| {
            let none = DocumentPage { documents: Vec::new(), next: None };
            let Some(collection) = collection::find(reader, &place, &name)? else {
                return Ok(none);
            };
            let indexes = collection::usable(reader, &collection)?;
            let behind = checked.cursor.as_deref();
            let behind = behind.map(|text| cursor::from_text(text, &collection, &checked.sort));
            let behind = behind.transpose()?;
            let request = checked.request(&collection, &indexes, behind.as_ref());
            let bounds = (checked.limit as usize, checked.offset as usize);
            let Rows { rows, next } = store::rows(reader, &request, bounds, PAGE_BYTES_MAX)?;
            let next = next.map(|behind| cursor::to_text(&behind, &collection, &checked.sort));
            let documents = rows.into_iter().map(|stored| checked.projected(stored.document));
            Ok(DocumentPage {
                documents: documents.collect::<Result<_>>()?,
                next: next.transpose()?,
            })
        })
        .await
    }

    /// The steps that the database takes for a query.
    pub(crate) async fn explain(
        &self,
        place: Place,
        collection: &str,
        find: &Find,
    ) -> Result<Vec<String>> {
        let name = checked_collection(collection)?.to_owned();
        let checked = Arc::new(Checked::new(find)?);
        reading::read(&self.cartridge, move |reader| {
            let Some(collection) = collection::find(reader, &place, &name)? else {
                return Ok(vec!["THERE IS NO SUCH COLLECTION".to_owned()]);
            };
            let indexes = collection::usable(reader, &collection)?;
            store::explain(reader, &checked.request(&collection, &indexes, None))
        })
        .await
    }

    pub(super) async fn count_matching(
        &self,
        place: Place,
        collection: &str,
        query: Query,
    ) -> Result<u64> {
        let name = checked_collection(collection)?.to_owned();
        reading::read(&self.cartridge, move |reader| {
            let Some(collection) = collection::find(reader, &place, &name)? else { return Ok(0) };
            if query.is_everything() {
                return Ok(collection.count);
            }
            let indexes = collection::usable(reader, &collection)?;
            let request = everything(&collection, &indexes, &query, &NEWEST_FIRST, -1);
            store::count(reader, &Request { wanted: Wanted::Count, ..request })
        })
        .await
    }

    pub(super) async fn distinct_values(
        &self,
        place: Place,
        collection: &str,
        field: &str,
        query: Query,
    ) -> Result<Vec<String>> {
        let name = checked_collection(collection)?.to_owned();
        let field = Field::parse(field)?;
        reading::read(&self.cartridge, move |reader| {
            let Some(collection) = collection::find(reader, &place, &name)? else {
                return Ok(Vec::new());
            };
            let indexes = collection::usable(reader, &collection)?;
            let request = everything(&collection, &indexes, &query, &NEWEST_FIRST, -1);
            let mut values = std::collections::HashMap::<String, Json>::new();
            store::each(reader, &request, &mut |stored| {
                if let Some(value) = stored.seen(|subject| subject.value(&field))? {
                    values.entry(value.to_string()).or_insert(value);
                }
                let is_full = values.len() >= DOCUMENTS_MAX as usize;
                Ok(if is_full { Visit::Stop } else { Visit::Continue })
            })?;
            let mut values: Vec<_> = values.into_iter().collect();
            values.sort_by(|(one_text, one), (two_text, two)| {
                match sort_order(Some(one), Some(two)) {
                    Ordering::Equal => one_text.cmp(two_text),
                    other => other,
                }
            });
            Ok(values.into_iter().map(|(text, _)| text).collect())
        })
        .await
    }

    pub(super) async fn list_collections(&self, place: Place) -> Result<Vec<CollectionInfo>> {
        reading::read(&self.cartridge, move |reader| {
            let mut infos = Vec::new();
            for collection in collection::list(reader, &place, "")? {
                let indexes = collection::indexes(reader, collection.id)?;
                let info = |index: collection::KeptIndex| IndexInfo {
                    field: index.field,
                    unique: index.is_unique,
                    ready: index.missing_to.is_none(),
                };
                infos.push(CollectionInfo {
                    name: collection.name,
                    documents: collection.count,
                    bytes: collection.bytes,
                    indexes: indexes.into_iter().map(info).collect(),
                });
            }
            Ok(infos)
        })
        .await
    }
}
