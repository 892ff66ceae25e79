//! The SQL of what was made of TypeScript.

use fazt_sdk::cartridge::Query as _;
use fazt_sdk::prelude::*;

use super::{Stripped, TYPESCRIPT_MAKER};

/// Files that are kept, of all apps and deployments.
const FILES_MAX: u32 = 1_000;

/// The JavaScript of a file, if it is there.
///
/// # Errors
/// What the cartridge says.
pub(crate) fn find(reader: &Reader<'_>, hash: &[u8; 32]) -> Result<Option<String>> {
    reader.first(
        "SELECT code FROM js_stripped WHERE hash = ?1 AND maker = ?2",
        params![&hash[..], TYPESCRIPT_MAKER],
        |row| row.get::<String>(0),
    )
}

/// Keeps what was made, and forgets the oldest when there is too much.
///
/// # Errors
/// What the cartridge says.
pub(crate) async fn keep(cartridge: &Cartridge, all: Vec<Stripped>, now_ms: u64) -> Result<()> {
    cartridge
        .write(None, move |transaction| {
            for Stripped { hash, code } in &all {
                transaction.execute(
                    "INSERT INTO js_stripped (hash, maker, code, at_ms) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (hash) DO UPDATE \
                     SET maker = excluded.maker, code = excluded.code, at_ms = excluded.at_ms",
                    params![&hash[..], TYPESCRIPT_MAKER, code.as_str(), now_ms],
                )?;
            }
            transaction
                .execute(
                    "DELETE FROM js_stripped WHERE hash IN \
                     (SELECT hash FROM js_stripped ORDER BY at_ms DESC LIMIT -1 OFFSET ?1)",
                    params![FILES_MAX],
                )
                .map(drop)
        })
        .await
}
