//! `storage_collection`, `storage_document`, `storage_index` and what hangs on them.

pub(crate) mod collection;
pub(crate) mod condition;
pub(crate) mod entries;
pub(crate) mod plan;
pub(crate) mod text;

use fazt_sdk::cartridge::{Query, Visit};
use fazt_sdk::prelude::{Row, Transaction};
use fazt_sdk::services::documents::Document;
use fazt_sdk::{Error, Result, params};

use self::collection::Collection;
use self::condition::Bound;
use self::plan::{Behind, Plan, Request};
use crate::json::Json;
use crate::query::Subject;

/// A document and where it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) place: i64,
    pub(crate) document: Document,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self> {
        let (place, id, body, version, created_at_ms, updated_at_ms) = row.read()?;
        Ok(Self { place, document: Document { id, body, version, created_at_ms, updated_at_ms } })
    }

    /// Runs `look` on the document as queries see it.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Subject<'_>) -> T) -> Result<T> {
        let body = Json::parse(&self.document.body)?;
        Ok(look(&Subject {
            id: &self.document.id,
            created_at_ms: self.document.created_at_ms,
            updated_at_ms: self.document.updated_at_ms,
            body: &body,
        }))
    }
}

/// Rows of a request.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Stored>,
    /// Behind the last row, if there may be more.
    pub(crate) next: Option<Behind>,
}

/// The documents that a request asks for. `limit` and `offset` stand in the request as well: here
/// they count what the database could not decide.
pub(crate) fn rows(
    reader: &impl Query,
    request: &Request<'_>,
    (limit, mut offset): (usize, usize),
    bytes_max: usize,
) -> Result<Rows> {
    let Plan { sql, parameters, is_exact } = plan::plan(request);
    if is_exact {
        offset = 0;
    }
    let (mut found, mut bytes) = (Rows::default(), 0);
    let mut last_key = None;
    reader.visit(&sql, &parameters.values(), &mut |row| {
        let stored = Stored::read(&row)?;
        if !is_exact && !stored.seen(|subject| request.query.matches(subject))? {
            return Ok(Visit::Continue);
        }
        if offset > 0 {
            offset -= 1;
            return Ok(Visit::Continue);
        }
        bytes += stored.document.body.len();
        let is_full = found.rows.len() == limit || bytes > bytes_max;
        if is_full && let Some(last) = found.rows.last() {
            found.next = Some(Behind { key: last_key.take(), place: last.place });
            return Ok(Visit::Stop);
        }
        if request.sort.field.is_some() {
            last_key = Some(row.get::<Bound>(6)?);
        }
        found.rows.push(stored);
        Ok(Visit::Continue)
    })?;
    Ok(found)
}

/// How many documents satisfy a request.
pub(crate) fn count(reader: &impl Query, request: &Request<'_>) -> Result<u64> {
    let Plan { sql, parameters, is_exact } = plan::plan(request);
    if is_exact {
        let count = reader.first(&sql, &parameters.values(), |row| row.get(0))?;
        return Ok(count.unwrap_or(0));
    }
    let request = Request { wanted: plan::Wanted::Documents, limit: -1, offset: 0, ..*request };
    let Plan { sql, parameters, .. } = plan::plan(&request);
    let mut count = 0;
    reader.visit(&sql, &parameters.values(), &mut |row| {
        let matches = Stored::read(&row)?.seen(|subject| request.query.matches(subject))?;
        count += u64::from(matches);
        Ok(Visit::Continue)
    })?;
    Ok(count)
}

/// Visits what satisfies a request, in its order.
pub(crate) fn each(
    reader: &impl Query,
    request: &Request<'_>,
    visit: &mut dyn FnMut(Stored) -> Result<Visit>,
) -> Result<()> {
    let Plan { sql, parameters, is_exact } = plan::plan(request);
    reader.visit(&sql, &parameters.values(), &mut |row| {
        let stored = Stored::read(&row)?;
        if !is_exact && !stored.seen(|subject| request.query.matches(subject))? {
            return Ok(Visit::Continue);
        }
        visit(stored)
    })
}

/// The steps that the database takes for a request, in its words.
pub(crate) fn explain(reader: &impl Query, request: &Request<'_>) -> Result<Vec<String>> {
    let Plan { sql, parameters, is_exact } = plan::plan(request);
    let mut steps =
        reader.all(&format!("EXPLAIN QUERY PLAN {sql}"), &parameters.values(), |row| row.get(3))?;
    if !is_exact {
        steps.push("TEST EACH ROW AGAIN".to_owned());
    }
    Ok(steps)
}

/// The document with this id.
pub(crate) fn find(reader: &impl Query, collection: i64, id: &str) -> Result<Option<Stored>> {
    reader.first(
        "SELECT place, id, body, version, created_at, updated_at FROM storage_document \
         WHERE collection = ?1 AND id = ?2",
        params![collection, id],
        |row| Stored::read(&row),
    )
}

/// The document at this place.
pub(crate) fn at(reader: &impl Query, place: i64) -> Result<Option<Stored>> {
    reader.first(
        "SELECT place, id, body, version, created_at, updated_at FROM storage_document WHERE place = ?1",
        params![place],
        |row| Stored::read(&row),
    )
}

/// Inserts a document at the collection's next place.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    collection: &mut Collection,
    document: &Document,
) -> Result<()> {
    if find(transaction, collection.id, &document.id)?.is_some() {
        return Err(Error::conflict(format!(
            "there is a document with the id `{}` already",
            document.id
        ))
        .with_code("DUPLICATE_ID"));
    }
    let place = collection.take_place()?;
    transaction.execute(
        "INSERT INTO storage_document (place, collection, id, body, version, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            place,
            collection.id,
            document.id,
            document.body,
            document.version,
            document.created_at_ms,
            document.updated_at_ms
        ],
    )?;
    entries::add(transaction, collection, place, &document.body)
}

/// Puts another body in the place of a document's.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    collection: &Collection,
    before: &Stored,
    body: &str,
    version: u64,
    updated_at_ms: u64,
) -> Result<()> {
    entries::remove(transaction, collection, before.place, &before.document.body)?;
    transaction.execute(
        "UPDATE storage_document SET body = ?2, version = ?3, updated_at = ?4 WHERE place = ?1",
        params![before.place, body, version, updated_at_ms],
    )?;
    entries::add(transaction, collection, before.place, body)
}

/// Removes a document.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    collection: &Collection,
    stored: &Stored,
) -> Result<()> {
    entries::remove(transaction, collection, stored.place, &stored.document.body)?;
    transaction
        .execute("DELETE FROM storage_document WHERE place = ?1", params![stored.place])
        .map(drop)
}

/// Documents of an app in the order of their places, behind `place`, with user and collection.
pub(crate) fn kept_after(
    reader: &impl Query,
    app: &str,
    place: i64,
    limit: u32,
) -> Result<Vec<(String, String, Stored)>> {
    reader.all(
        "SELECT d.place, d.id, d.body, d.version, d.created_at, d.updated_at, c.user, c.name \
         FROM storage_collection AS c CROSS JOIN storage_document AS d ON d.place BETWEEN \
         max(c.id << 39, ?2 + 1) AND (c.id << 39) + 549755813887 \
         WHERE c.app = ?1 AND c.id >= ?2 >> 39 ORDER BY c.id, d.place LIMIT ?3",
        params![app, place, limit],
        |row| Ok((row.get(6)?, row.get(7)?, Stored::read(&row)?)),
    )
}
