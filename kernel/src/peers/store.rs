//! The SQL of the address book.

use std::ops::ControlFlow;

use super::Peer;
use crate::cartridge::{Reader, Row, TxError, Value, WriteTx};

fn peer_of(row: &Row<'_>) -> Result<Peer, TxError> {
    Ok(Peer {
        name: row.text(0)?.to_owned(),
        url: row.text(1)?.to_owned(),
        created_at_ms: u64::try_from(row.integer(2)?).unwrap_or(0),
        is_default: row.integer(3)? != 0,
    })
}

/// All peers, by name.
pub(super) fn all(reader: &Reader<'_>) -> Result<Vec<Peer>, TxError> {
    let mut peers = Ok(Vec::new());
    reader.query("SELECT peer.name, url, created_at, peer_default.name IS NOT NULL FROM peer LEFT JOIN peer_default ON peer_default.name = peer.name ORDER BY peer.name", &[], &mut |row| {
        match (&mut peers, peer_of(row)) {
            (Ok(peers), Ok(peer)) => {
                peers.push(peer);
                ControlFlow::Continue(())
            }
            (peers, Err(error)) => {
                *peers = Err(error);
                ControlFlow::Break(())
            }
            (Err(_), Ok(_)) => ControlFlow::Break(()),
        }
    })?;
    peers
}

/// One peer and its sealed token.
pub(super) fn with_token(
    reader: &Reader<'_>,
    name: &str,
) -> Result<Option<(Peer, Vec<u8>)>, TxError> {
    let mut found = Ok(None);
    reader.query(
        "SELECT peer.name, url, created_at, peer_default.name IS NOT NULL, token FROM peer LEFT JOIN peer_default ON peer_default.name = peer.name WHERE peer.name = ?1",
        &[Value::Text(name)],
        &mut |row| {
            found = peer_of(row).and_then(|peer| Ok(Some((peer, row.blob(4)?.to_vec()))));
            ControlFlow::Break(())
        },
    )?;
    found
}

/// How many there are.
pub(super) fn count(tx: &WriteTx<'_>) -> Result<usize, TxError> {
    let mut count = 0;
    tx.query("SELECT count(*) FROM peer", &[], &mut |row| {
        count = row.integer(0).unwrap_or(0);
        ControlFlow::Break(())
    })?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Whether it was new.
pub(super) fn insert(tx: &WriteTx<'_>, peer: &Peer, token: &[u8]) -> Result<bool, TxError> {
    let inserted = tx.execute(
        "INSERT INTO peer (name, url, token, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
        &[
            Value::Text(&peer.name),
            Value::Text(&peer.url),
            Value::Blob(token),
            Value::Integer(tx.now_ms()),
        ],
    )?;
    Ok(inserted > 0)
}

/// Whether there is such a peer; if so, it is the default from now on.
pub(super) fn set_default(tx: &WriteTx<'_>, name: &str) -> Result<bool, TxError> {
    let set = tx.execute(
        "INSERT INTO peer_default (id, name) SELECT 1, name FROM peer WHERE name = ?1 ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        &[Value::Text(name)],
    )?;
    Ok(set > 0)
}

pub(super) fn clear_default(tx: &WriteTx<'_>) -> Result<(), TxError> {
    tx.execute("DELETE FROM peer_default", &[])?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete(tx: &WriteTx<'_>, name: &str) -> Result<bool, TxError> {
    Ok(tx.execute("DELETE FROM peer WHERE name = ?1", &[Value::Text(name)])? > 0)
}
