//! `storage_kv`.

use std::collections::BTreeMap;

use fazt_sdk::cartridge::{Query, Value, Visit};
use fazt_sdk::prelude::{Row, Transaction};
use fazt_sdk::services::kv::{Entry, Expected, KvPage};
use fazt_sdk::{Error, Result, params};

use super::write::sum;
use crate::account::store::charge;
use crate::account::{Counted, Delta, Limits};
use crate::json::Json;
use crate::place::Place;

/// The most bytes of one page, unless one entry alone has more.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

fn entry(row: &Row<'_>, from: u32) -> Result<Entry> {
    Ok(Entry {
        value: row.get(from)?,
        version: row.get(from + 1)?,
        expires_at_ms: row.get(from + 2)?,
    })
}

/// What `key` holds.
pub(crate) fn find(
    reader: &impl Query,
    place: &Place,
    key: &str,
    now_ms: u64,
) -> Result<Option<Entry>> {
    reader.first(
        "SELECT value, version, expires_at FROM storage_kv WHERE app = ?1 AND user = ?2 AND key = ?3 \
         AND (expires_at IS NULL OR expires_at > ?4)",
        params![place.app, place.user, key, now_ms],
        |row| entry(&row, 0),
    )
}

/// Entries whose keys start with `prefix`, after the key `cursor`.
pub(crate) fn page(
    reader: &impl Query,
    place: &Place,
    prefix: &str,
    limit: u32,
    cursor: Option<&str>,
    now_ms: u64,
) -> Result<KvPage> {
    // What follows a key in the order of bytes is the key with a NUL behind it.
    let after = cursor.map(|cursor| format!("{cursor}\0"));
    let start = after.as_deref().filter(|after| *after > prefix).unwrap_or(prefix);
    let end = successor(prefix);
    // Bytes come after every text.
    let end =
        end.as_deref().map_or(Value::Blob([].as_slice().into()), |end| Value::Text(end.into()));
    let (mut page, mut bytes) = (KvPage { entries: Vec::new(), next: None }, 0);
    let parameters = [
        Value::Text(place.app.as_str().into()),
        Value::Text(place.user.as_str().into()),
        Value::Text(start.into()),
        end,
        Value::Integer(i64::try_from(now_ms).unwrap_or(i64::MAX)),
        Value::Integer(i64::from(limit) + 1),
    ];
    reader.visit(
        "SELECT key, value, version, expires_at FROM storage_kv WHERE app = ?1 AND user = ?2 \
         AND key >= ?3 AND key < ?4 AND (expires_at IS NULL OR expires_at > ?5) ORDER BY key LIMIT ?6",
        &parameters,
        &mut |row| {
            let (key, entry): (String, _) = (row.get(0)?, entry(&row, 1)?);
            let size = key.len() + entry.value.len();
            let is_full = page.entries.len() == limit as usize || bytes + size > PAGE_BYTES_MAX;
            if is_full && !page.entries.is_empty() {
                page.next = page.entries.last().map(|(key, _)| key.clone());
                return Ok(Visit::Stop);
            }
            bytes += size;
            page.entries.push((key, entry));
            Ok(Visit::Continue)
        },
    )?;
    Ok(page)
}

/// How many keys start with `prefix`, and the greatest version of them; 0 without any.
pub(crate) fn below(
    reader: &impl Query,
    place: &Place,
    prefix: &str,
    now_ms: u64,
) -> Result<(u64, u64)> {
    let end = successor(prefix);
    // Bytes come after every text.
    let end =
        end.as_deref().map_or(Value::Blob([].as_slice().into()), |end| Value::Text(end.into()));
    let parameters = [
        Value::Text(place.app.as_str().into()),
        Value::Text(place.user.as_str().into()),
        Value::Text(prefix.into()),
        end,
        Value::Integer(i64::try_from(now_ms).unwrap_or(i64::MAX)),
    ];
    let found = reader.first(
        "SELECT count(*), coalesce(max(version), 0) FROM storage_kv WHERE app = ?1 AND user = ?2 \
         AND key >= ?3 AND key < ?4 AND (expires_at IS NULL OR expires_at > ?5)",
        &parameters,
        |row| row.read(),
    )?;
    Ok(found.unwrap_or_default())
}

/// The first text behind all that start with `prefix`; nothing when there is none.
pub(crate) fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            char::MAX => continue,
            // The surrogates are no characters.
            '\u{d7ff}' => '\u{e000}',
            other => char::from_u32(u32::from(other) + 1).unwrap_or(char::MAX),
        };
        chars.push(next);
        return Some(chars.into_iter().collect());
    }
    None
}

/// Whether `key` holds what is expected.
pub(crate) fn holds(
    reader: &impl Query,
    place: &Place,
    key: &str,
    expected: &Expected,
    now_ms: u64,
) -> Result<bool> {
    let found = find(reader, place, key, now_ms)?;
    Ok(match (expected, found) {
        (Expected::Absent, found) => found.is_none(),
        (_, None) => false,
        (Expected::Version(version), Some(found)) => *version == found.version,
        (Expected::Value(value), Some(found)) => {
            *value == found.value || Json::parse(value)?.same(&Json::parse(&found.value)?)
        }
    })
}

/// Puts a value under `key`; returns its version.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    place: &Place,
    key: &str,
    value: &str,
    expires_at_ms: Option<u64>,
    limits: &Limits,
) -> Result<u64> {
    let before = size_of(transaction, place, key)?;
    let delta = Delta::between(before, Some(key.len() + value.len()));
    let version = charge(transaction, &place.app, Counted::Kv, delta, limits)?;
    transaction.execute(
        "INSERT INTO storage_kv (app, user, key, value, version, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (app, user, key) DO UPDATE SET value = ?4, version = ?5, expires_at = ?6",
        params![place.app, place.user, key, value, version, expires_at_ms],
    )?;
    Ok(version)
}

/// Removes `key`; whether it held something.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    place: &Place,
    key: &str,
    now_ms: u64,
    limits: &Limits,
) -> Result<bool> {
    let Some(before) = size_of(transaction, place, key)? else { return Ok(false) };
    let held = find(transaction, place, key, now_ms)?.is_some();
    charge(transaction, &place.app, Counted::Kv, Delta::between(Some(before), None), limits)?;
    transaction.execute(
        "DELETE FROM storage_kv WHERE app = ?1 AND user = ?2 AND key = ?3",
        params![place.app, place.user, key],
    )?;
    Ok(held)
}

/// Adds to the integer under `key`.
pub(crate) fn increment(
    transaction: &Transaction<'_>,
    place: &Place,
    key: &str,
    by: i64,
    now_ms: u64,
    limits: &Limits,
) -> Result<i64> {
    let found = find(transaction, place, key, now_ms)?;
    let value = match &found {
        None => 0,
        Some(found) => Json::parse(&found.value)?.as_integer().ok_or_else(|| {
            Error::invalid(format!("what is under `{key}` is no integer"))
                .with_code("NOT_AN_INTEGER")
        })?,
    };
    let sum = sum(key, value, by)?;
    let expires_at_ms = found.and_then(|found| found.expires_at_ms);
    put(transaction, place, key, &sum.to_string(), expires_at_ms, limits)?;
    Ok(sum)
}

/// What the row of `key` counts, also when it has expired.
fn size_of(transaction: &Transaction<'_>, place: &Place, key: &str) -> Result<Option<usize>> {
    let value = transaction.first(
        "SELECT octet_length(value) FROM storage_kv WHERE app = ?1 AND user = ?2 AND key = ?3",
        params![place.app, place.user, key],
        |row| row.get::<usize>(0),
    )?;
    Ok(value.map(|bytes| bytes + key.len()))
}

/// Removes up to `limit` values that have expired; returns how many.
pub(crate) fn remove_expired(
    transaction: &Transaction<'_>,
    now_ms: u64,
    limit: u32,
    limits: &Limits,
) -> Result<u64> {
    let expired = transaction.all(
        "SELECT app, user, key FROM storage_kv WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        params![now_ms, limit],
        |row| row.read::<(String, String, String)>(),
    )?;
    remove_each(transaction, expired, limits)
}

/// Removes up to `limit` values of a user, in all apps; returns how many.
pub(crate) fn remove_user(
    transaction: &Transaction<'_>,
    user: &str,
    limit: u32,
    limits: &Limits,
) -> Result<u64> {
    let owned = transaction.all(
        "SELECT app, user, key FROM storage_kv WHERE user = ?1 AND user <> '' LIMIT ?2",
        params![user, limit],
        |row| row.read::<(String, String, String)>(),
    )?;
    remove_each(transaction, owned, limits)
}

/// One by one: each is found by its whole key.
fn remove_each(
    transaction: &Transaction<'_>,
    keys: Vec<(String, String, String)>,
    limits: &Limits,
) -> Result<u64> {
    let mut removed = Vec::with_capacity(keys.len());
    for (app, user, key) in keys {
        let bytes = transaction.first(
            "DELETE FROM storage_kv WHERE app = ?1 AND user = ?2 AND key = ?3 \
             RETURNING octet_length(key) + octet_length(value)",
            params![app, user, key],
            |row| row.get::<usize>(0),
        )?;
        removed.extend(bytes.map(|bytes| (app, bytes)));
    }
    let count = removed.len() as u64;
    book(transaction, removed, limits)?;
    Ok(count)
}

fn book(
    transaction: &Transaction<'_>,
    removed: Vec<(String, usize)>,
    limits: &Limits,
) -> Result<()> {
    let mut deltas = BTreeMap::<String, Delta>::new();
    for (app, bytes) in removed {
        deltas.entry(app).or_default().add(Delta::between(Some(bytes), None));
    }
    deltas.iter().try_for_each(|(app, delta)| {
        charge(transaction, app, Counted::Kv, *delta, limits).map(drop)
    })
}

/// Removes up to `limit` values of an app; returns how many.
pub(crate) fn remove_app(transaction: &Transaction<'_>, app: &str, limit: u32) -> Result<u64> {
    let behind = transaction.first(
        "SELECT user, key FROM storage_kv WHERE app = ?1 ORDER BY user, key LIMIT 1 OFFSET ?2",
        params![app, limit],
        |row| row.read::<(String, String)>(),
    )?;
    // A range, whose rows lie side by side.
    match behind {
        Some((user, key)) => transaction.execute(
            "DELETE FROM storage_kv WHERE app = ?1 AND (user, key) < (?2, ?3)",
            params![app, user, key],
        ),
        None => transaction.execute("DELETE FROM storage_kv WHERE app = ?1", params![app]),
    }
}

/// One value, as exports carry it.
pub(crate) struct Kept {
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) entry: Entry,
}

/// The values of an app that have not expired, after `user` and `key`.
pub(crate) fn kept_after(
    reader: &impl Query,
    app: &str,
    (user, key): (&str, &str),
    limit: u32,
    now_ms: u64,
) -> Result<Vec<Kept>> {
    reader.all(
        "SELECT user, key, value, version, expires_at FROM storage_kv WHERE app = ?1 \
         AND (user, key) > (?2, ?3) AND (expires_at IS NULL OR expires_at > ?5) ORDER BY user, key LIMIT ?4",
        params![app, user, key, limit, now_ms],
        |row| Ok(Kept { user: row.get(0)?, key: row.get(1)?, entry: entry(&row, 2)? }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_behind_everything_with_the_prefix_and_before_everything_else() {
        for (prefix, next) in [
            ("", None),
            ("a", Some("b")),
            ("a\u{7f}", Some("a\u{80}")),
            ("\u{d7ff}", Some("\u{e000}")),
        ] {
            assert_eq!(successor(prefix).as_deref(), next, "{prefix:?}");
        }
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert!("u:%" < successor("u:").unwrap().as_str());
    }
}
