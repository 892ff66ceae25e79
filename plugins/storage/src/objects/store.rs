//! `storage_object`, `storage_key`.

use std::collections::BTreeMap;

use fazt_sdk::cartridge::{Query, Value};
use fazt_sdk::prelude::{Row, Transaction};
use fazt_sdk::services::objects::{Object, ObjectPage};
use fazt_sdk::{Error, Result, params};

use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::kv::store::successor;
use crate::place::Place;

fn object(row: &Row<'_>) -> Result<Object> {
    let (path, size, content_type, hash, version, created_at_ms, updated_at_ms) = row.read()?;
    Ok(Object { path, size, content_type, hash, version, created_at_ms, updated_at_ms })
}

/// What is under a path.
pub(crate) fn find(reader: &impl Query, place: &Place, path: &str) -> Result<Option<Object>> {
    reader.first(
        "SELECT path, size, content_type, hash, version, created_at, updated_at FROM storage_object \
         WHERE app = ?1 AND user = ?2 AND path = ?3",
        params![place.app, place.user, path],
        |row| object(&row),
    )
}

/// Objects whose paths start with `prefix`, after the path `cursor`.
pub(crate) fn page(
    reader: &impl Query,
    place: &Place,
    prefix: &str,
    limit: u32,
    cursor: Option<&str>,
) -> Result<ObjectPage> {
    let after = cursor.map(|cursor| format!("{cursor}\0"));
    let start = after.as_deref().filter(|after| *after > prefix).unwrap_or(prefix);
    let end = successor(prefix);
    // Bytes come after every text.
    let end =
        end.as_deref().map_or(Value::Blob([].as_slice().into()), |end| Value::Text(end.into()));
    let parameters = [
        Value::Text(place.app.as_str().into()),
        Value::Text(place.user.as_str().into()),
        Value::Text(start.into()),
        end,
        Value::Integer(i64::from(limit) + 1),
    ];
    let mut objects = reader.all(
        "SELECT path, size, content_type, hash, version, created_at, updated_at FROM storage_object \
         WHERE app = ?1 AND user = ?2 AND path >= ?3 AND path < ?4 ORDER BY path LIMIT ?5",
        &parameters,
        |row| object(&row),
    )?;
    let has_more = objects.len() > limit as usize;
    objects.truncate(limit as usize);
    let next = objects.last().filter(|_| has_more).map(|last| last.path.clone());
    Ok(ObjectPage { objects, next })
}

/// What is put under a path.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) path: String,
    pub(crate) hash: [u8; 32],
    pub(crate) size: u64,
    pub(crate) content_type: String,
}

/// Puts content that is in the cartridge under a path.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    place: &Place,
    new: &New,
    limits: &Limits,
    now_ms: u64,
) -> Result<Object> {
    if transaction.touch_blobs(&[new.hash])?.first().copied().flatten().is_none() {
        return Err(Error::conflict(
            "the content was removed before it was referred to; put it again",
        ));
    }
    let before = find(transaction, place, &new.path)?;
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let delta =
        Delta::between(before.as_ref().map(|object| bytes(object.size)), Some(bytes(new.size)));
    let version = charge(transaction, &place.app, Counted::Objects, delta, limits)?;
    let created_at_ms = before.map_or(now_ms, |object| object.created_at_ms);
    transaction.execute(
        "INSERT INTO storage_object (app, user, path, hash, size, content_type, version, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (app, user, path) DO UPDATE SET \
         hash = ?4, size = ?5, content_type = ?6, version = ?7, updated_at = ?9",
        params![
            place.app,
            place.user,
            new.path,
            new.hash,
            new.size,
            new.content_type,
            version,
            created_at_ms,
            now_ms
        ],
    )?;
    Ok(Object {
        path: new.path.clone(),
        size: new.size,
        content_type: new.content_type.clone(),
        hash: new.hash,
        version,
        created_at_ms,
        updated_at_ms: now_ms,
    })
}

/// Removes what is under a path; whether something was.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    place: &Place,
    path: &str,
    limits: &Limits,
) -> Result<bool> {
    let Some(before) = find(transaction, place, path)? else { return Ok(false) };
    let before = usize::try_from(before.size).unwrap_or(usize::MAX);
    let delta = Delta::between(Some(before), None);
    charge(transaction, &place.app, Counted::Objects, delta, limits)?;
    transaction.execute(
        "DELETE FROM storage_object WHERE app = ?1 AND user = ?2 AND path = ?3",
        params![place.app, place.user, path],
    )?;
    Ok(true)
}

/// Whether an object has this content.
pub(crate) fn refers_to(reader: &impl Query, hash: &[u8; 32]) -> Result<bool> {
    let found = reader.first(
        "SELECT 1 FROM storage_object WHERE hash = ?1 LIMIT 1",
        params![hash],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Objects of an app after a user and a path, with their users.
pub(crate) fn kept_after(
    reader: &impl Query,
    app: &str,
    (user, path): (&str, &str),
    limit: u32,
) -> Result<Vec<(String, Object)>> {
    reader.all(
        "SELECT path, size, content_type, hash, version, created_at, updated_at, user FROM storage_object \
         WHERE app = ?1 AND (user, path) > (?2, ?3) ORDER BY user, path LIMIT ?4",
        params![app, user, path, limit],
        |row| Ok((row.get(7)?, object(&row)?)),
    )
}

/// Removes up to `limit` objects of an app; returns how many.
pub(crate) fn remove_app(transaction: &Transaction<'_>, app: &str, limit: u32) -> Result<u64> {
    let behind = transaction.first(
        "SELECT user, path FROM storage_object WHERE app = ?1 ORDER BY user, path LIMIT 1 OFFSET ?2",
        params![app, limit],
        |row| row.read::<(String, String)>(),
    )?;
    // A range, whose rows lie side by side.
    match behind {
        Some((user, path)) => transaction.execute(
            "DELETE FROM storage_object WHERE app = ?1 AND (user, path) < (?2, ?3)",
            params![app, user, path],
        ),
        None => transaction.execute("DELETE FROM storage_object WHERE app = ?1", params![app]),
    }
}

/// Removes up to `limit` objects of a user, in all apps; returns how many.
pub(crate) fn remove_user(
    transaction: &Transaction<'_>,
    user: &str,
    limit: u32,
    limits: &Limits,
) -> Result<u64> {
    let owned = transaction.all(
        "SELECT app, path FROM storage_object WHERE user = ?1 AND user <> '' LIMIT ?2",
        params![user, limit],
        |row| row.read::<(String, String)>(),
    )?;
    let count = owned.len() as u64;
    let mut deltas = BTreeMap::<String, Delta>::new();
    for (app, path) in owned {
        let bytes = transaction.first(
            "DELETE FROM storage_object WHERE app = ?1 AND user = ?2 AND path = ?3 RETURNING size",
            params![app, user, path],
            |row| row.get::<usize>(0),
        )?;
        deltas.entry(app).or_default().add(Delta::between(bytes, None));
    }
    for (app, delta) in deltas {
        charge(transaction, &app, Counted::Objects, delta, limits)?;
    }
    Ok(count)
}

/// The sealed key of that name.
pub(crate) fn key(reader: &impl Query, name: &str) -> Result<Option<Vec<u8>>> {
    reader.first("SELECT sealed FROM storage_key WHERE name = ?1", params![name], |row| row.get(0))
}

/// Keeps a sealed key, unless there is one of that name; returns the one that is kept.
pub(crate) fn keep_key(
    transaction: &Transaction<'_>,
    name: &str,
    sealed: &[u8],
) -> Result<Vec<u8>> {
    transaction.execute(
        "INSERT INTO storage_key (name, sealed) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![name, sealed],
    )?;
    key(transaction, name)?.ok_or_else(|| Error::internal("a key that was kept is not there"))
}
