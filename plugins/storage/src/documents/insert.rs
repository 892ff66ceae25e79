//! `insert`, `insert_many`.

use fazt_sdk::host::Host;
use fazt_sdk::prelude::Transaction;
use fazt_sdk::services::documents::{CHANGES_MAX, Document};
use fazt_sdk::{Error, Result};

use super::delete::remove_all;
use super::store::collection;
use super::{Collections, checked_collection, checked_id, store};
use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::json::Json;
use crate::place::Place;

/// A document before it is inserted.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) id: String,
    pub(crate) body: String,
    /// When it was inserted and changed, where that is known: in an import.
    pub(crate) times_ms: Option<(u64, u64)>,
}

impl New {
    fn size(&self) -> usize {
        self.id.len() + self.body.len()
    }
}

/// What a document counts.
pub(crate) fn size_of(document: &Document) -> usize {
    document.id.len() + document.body.len()
}

/// A body within bounds.
pub(crate) fn checked_body(body: &Json, limits: &Limits) -> Result<String> {
    let (text, max) = (body.to_string(), limits.document_bytes_max);
    if text.len() <= max {
        return Ok(text);
    }
    Err(too_large(max))
}

fn too_large(max: usize) -> Error {
    Error::too_large(format!("a document has at most {max} bytes (storage.document_bytes_max)"))
        .with_code("DOCUMENT_TOO_LARGE")
}

/// A document out of its text; it gets an id when it brings none.
pub(crate) fn prepared(document: &str, limits: &Limits, host: &Host) -> Result<New> {
    if document.len() > limits.document_bytes_max.saturating_mul(2) {
        return Err(too_large(limits.document_bytes_max));
    }
    let Json::Object(mut fields) = Json::parse(document)? else {
        return Err(
            Error::invalid("ds.insert requires a document object").with_code("INVALID_DOCUMENT")
        );
    };
    let mut id = None;
    let mut wrong = None;
    // What was read with a document may be inserted with it.
    fields.retain(|(name, value)| match name.as_str() {
        "id" => {
            match value {
                Json::Text(text) if !text.is_empty() => id = Some(text.clone()),
                Json::Text(_) | Json::Null => {}
                other => wrong = Some(other.kind()),
            }
            false
        }
        "_createdAt" | "_updatedAt" => false,
        _ => true,
    });
    if let Some(kind) = wrong {
        return Err(Error::invalid(format!("the `id` of a document is text, not {kind}"))
            .with_code("INVALID_ID"));
    }
    let body = Json::Object(fields);
    if body.depth() > crate::json::DEPTH_MAX {
        return Err(Error::invalid("the document is nested too deep").with_code("INVALID_DOCUMENT"));
    }
    let id = match id {
        Some(id) => checked_id(&id)?.to_owned(),
        None => new_id(host)?,
    };
    Ok(New { id, body: checked_body(&body, limits)?, times_ms: None })
}

/// A random UUID (RFC 9562 §5.4).
fn new_id(host: &Host) -> Result<String> {
    let random = host.random(16);
    let mut bytes = <[u8; 16]>::try_from(random.as_slice())
        .map_err(|_| Error::internal("the system gave no random bytes"))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

/// Inserts documents into a collection, which is made when it is not there.
pub(crate) fn insert_all(
    transaction: &Transaction<'_>,
    place: &Place,
    name: &str,
    new: &[New],
    limits: &Limits,
    now_ms: u64,
) -> Result<Vec<Document>> {
    let mut collection = collection::ensure(transaction, place, name, limits)?;
    let mut delta = Delta::default();
    new.iter().for_each(|new| delta.add(Delta::between(None, Some(new.size()))));
    let version = charge(transaction, &place.app, Counted::Documents, delta, limits)?;
    let mut inserted = Vec::with_capacity(new.len());
    for new in new {
        let (created_at_ms, updated_at_ms) = new.times_ms.unwrap_or((now_ms, now_ms));
        let document = Document {
            id: new.id.clone(),
            body: new.body.clone(),
            version,
            created_at_ms,
            updated_at_ms,
        };
        store::insert(transaction, &mut collection, &document)?;
        inserted.push(document);
    }
    collection::save(transaction, &collection, delta, version)?;
    Ok(inserted)
}

/// A document of an import: in the place of the one that has its id.
pub(crate) fn restore_document(
    transaction: &Transaction<'_>,
    place: &Place,
    name: &str,
    new: New,
    limits: &Limits,
) -> Result<()> {
    let collection = collection::ensure(transaction, place, name, limits)?;
    if let Some(known) = store::find(transaction, collection.id, &new.id)? {
        if known.document.body == new.body {
            return Ok(());
        }
        let all = crate::query::Query::All(Vec::new());
        let places = [known.place];
        remove_all(transaction, &place.app, &collection, &places, &all, limits)?;
    }
    insert_all(transaction, place, name, &[new], limits, 0).map(drop)
}

impl Collections {
    pub(super) async fn insert_new(
        &self,
        place: Place,
        collection: &str,
        documents: &[String],
    ) -> Result<Vec<Document>> {
        let name = checked_collection(collection)?.to_owned();
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        if documents.len() > CHANGES_MAX as usize {
            return Err(Error::too_large(format!(
                "one call inserts at most {CHANGES_MAX} documents"
            ))
            .with_code("TOO_MANY_DOCUMENTS"));
        }
        let (limits, now_ms) = (self.limits, self.clock.unix_ms());
        let new = documents.iter().map(|document| prepared(document, &limits, &self.host));
        let new = new.collect::<Result<Vec<_>>>()?;
        self.cartridge
            .write(Some(place.id), move |transaction| {
                insert_all(transaction, &place, &name, &new, &limits, now_ms)
            })
            .await
    }
}
