//! The SQL of the owner's access.

use std::ops::ControlFlow;

use super::{ApiKey, OwnerRecord, Snapshot};
use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};

fn hash_of(row: &Row<'_>, column: usize) -> Result<[u8; 32], TxError> {
    row.blob(column)?
        .try_into()
        .map_err(|_| TxError::Aborted("a stored hash does not have 32 bytes".to_owned()))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> Value<'static> {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn each<T>(
    query: impl FnOnce(&mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), SqlError>,
    map: impl Fn(&Row<'_>) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let mut rows: Result<Vec<T>, TxError> = Ok(Vec::new());
    query(&mut |row| {
        let mapped = map(row);
        match (&mut rows, mapped) {
            (Ok(rows), Ok(value)) => rows.push(value),
            (_, Err(error)) => {
                rows = Err(error);
                return ControlFlow::Break(());
            }
            (Err(_), Ok(_)) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    })?;
    rows
}

/// Everything that requests are checked against.
pub(super) fn snapshot(reader: &Reader<'_>) -> Result<Snapshot, TxError> {
    let keys = each(
        |rows| {
            reader.query(
                "SELECT id, name, hash, scopes, app, created_at, expires_at FROM api_key",
                &[],
                rows,
            )
        },
        |row| {
            Ok(ApiKey {
                id: row.text(0)?.to_owned(),
                name: row.text(1)?.to_owned(),
                hash: hash_of(row, 2)?,
                scopes: unsigned(row.integer(3)?),
                app: if row.is_null(4) { None } else { row.text(4)?.parse().ok() },
                created_at_ms: unsigned(row.integer(5)?),
                expires_at_ms: if row.is_null(6) { None } else { Some(unsigned(row.integer(6)?)) },
            })
        },
    )?;
    let sessions = each(
        |rows| reader.query("SELECT hash, expires_at FROM session", &[], rows),
        |row| Ok((hash_of(row, 0)?, unsigned(row.integer(1)?))),
    )?;
    let owner = each(
        |rows| reader.query("SELECT username, password FROM owner", &[], rows),
        |row| {
            Ok(OwnerRecord { username: row.text(0)?.to_owned(), password: row.text(1)?.to_owned() })
        },
    )?;
    Ok(Snapshot {
        keys: keys.into_iter().map(|key| (key.id.clone(), key)).collect(),
        sessions: sessions.into_iter().collect(),
        owner: owner.into_iter().next(),
    })
}

pub(super) fn put_owner(tx: &WriteTx<'_>, owner: &OwnerRecord) -> Result<(), TxError> {
    tx.execute(
        "INSERT INTO owner (id, username, password, changed_at) VALUES (1, ?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET username = ?1, password = ?2, changed_at = ?3",
        &[Value::Text(&owner.username), Value::Text(&owner.password), Value::Integer(tx.now_ms())],
    )?;
    Ok(())
}

pub(super) fn insert_key(tx: &WriteTx<'_>, key: &ApiKey) -> Result<(), TxError> {
    let app = key.app.map(|app| app.to_string());
    tx.execute(
        "INSERT INTO api_key (id, name, hash, scopes, app, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            Value::Text(&key.id),
            Value::Text(&key.name),
            Value::Blob(&key.hash),
            signed(key.scopes),
            app.as_deref().map_or(Value::Null, Value::Text),
            signed(key.created_at_ms),
            key.expires_at_ms.map_or(Value::Null, signed),
        ],
    )?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete_key(tx: &WriteTx<'_>, id: &str) -> Result<bool, TxError> {
    Ok(tx.execute("DELETE FROM api_key WHERE id = ?1", &[Value::Text(id)])? > 0)
}

pub(super) fn insert_login_link(
    tx: &WriteTx<'_>,
    hash: &[u8; 32],
    expires_at_ms: u64,
) -> Result<(), TxError> {
    tx.execute("DELETE FROM login_link WHERE expires_at <= ?1", &[Value::Integer(tx.now_ms())])?;
    tx.execute(
        "INSERT INTO login_link (hash, expires_at) VALUES (?1, ?2)",
        &[Value::Blob(hash), signed(expires_at_ms)],
    )?;
    Ok(())
}

/// Uses a link up. Whether it was there and had not expired.
pub(super) fn use_login_link(tx: &WriteTx<'_>, hash: &[u8; 32]) -> Result<bool, TxError> {
    Ok(tx.execute(
        "DELETE FROM login_link WHERE hash = ?1 AND expires_at > ?2",
        &[Value::Blob(hash), Value::Integer(tx.now_ms())],
    )? > 0)
}

pub(super) fn insert_session(
    tx: &WriteTx<'_>,
    hash: &[u8; 32],
    expires_at_ms: u64,
) -> Result<(), TxError> {
    tx.execute("DELETE FROM session WHERE expires_at <= ?1", &[Value::Integer(tx.now_ms())])?;
    tx.execute(
        "INSERT INTO session (hash, created_at, expires_at) VALUES (?1, ?2, ?3)",
        &[Value::Blob(hash), Value::Integer(tx.now_ms()), signed(expires_at_ms)],
    )?;
    Ok(())
}

pub(super) fn delete_session(tx: &WriteTx<'_>, hash: &[u8; 32]) -> Result<(), TxError> {
    tx.execute("DELETE FROM session WHERE hash = ?1", &[Value::Blob(hash)])?;
    Ok(())
}

pub(super) fn delete_sessions(tx: &WriteTx<'_>) -> Result<(), TxError> {
    tx.execute("DELETE FROM session", &[])?;
    Ok(())
}

pub(super) fn delete_login_links(tx: &WriteTx<'_>) -> Result<(), TxError> {
    tx.execute("DELETE FROM login_link", &[])?;
    Ok(())
}
