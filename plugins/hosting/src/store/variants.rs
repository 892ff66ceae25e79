//! Compressed forms of contents.

use std::collections::HashMap;
use std::sync::Arc;

use fazt_sdk::cartridge::{Query, Visit};
use fazt_sdk::{Error, Result, params};

use crate::model::{DeploymentId, Encoding, Variant, Variants};

/// The compressed forms of the contents of a deployment, by the hash of the content.
pub(crate) fn variants_of(
    query: &impl Query,
    id: &DeploymentId,
) -> Result<HashMap<[u8; 32], Arc<Variants>>> {
    let sql = "SELECT hash, encoding, variant, size FROM hosting_variant \
               WHERE variant IS NOT NULL \
               AND hash IN (SELECT hash FROM hosting_file WHERE deployment = ?1) ORDER BY hash";
    let mut found = HashMap::new();
    let mut last: Option<([u8; 32], Variants)> = None;
    query.visit(sql, params![id.as_str()], &mut |row| {
        let (of, encoding, hash, size) = row.read::<([u8; 32], &str, [u8; 32], u64)>()?;
        let encoding = Encoding::from_stored(encoding)
            .ok_or_else(|| Error::internal(format!("hosting_variant.encoding is `{encoding}`")))?;
        let mut variants = match last.take() {
            Some((same, variants)) if same == of => variants,
            Some((other, variants)) => {
                found.insert(other, Arc::new(variants));
                Variants::default()
            }
            None => Variants::default(),
        };
        variants.set(encoding, Variant { hash, size });
        last = Some((of, variants));
        Ok(Visit::Continue)
    })?;
    if let Some((of, variants)) = last {
        found.insert(of, Arc::new(variants));
    }
    Ok(found)
}

/// How many contents of a deployment are still to be looked at by whoever compresses.
pub(crate) fn count_uncompressed(query: &impl Query, id: &DeploymentId) -> Result<u64> {
    let sql = "SELECT count(DISTINCT hash) FROM hosting_file AS file WHERE deployment = ?1 \
               AND NOT EXISTS (SELECT 1 FROM hosting_variant WHERE hash = file.hash)";
    Ok(query.first(sql, params![id.as_str()], |row| row.get(0))?.unwrap_or_default())
}

/// Whether content with this hash is the compressed form of something. What it is a form of may be
/// gone: then the row goes first, and the content after it.
pub(crate) fn is_variant(query: &impl Query, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM hosting_variant WHERE variant = ?1 LIMIT 1";
    Ok(query.first(sql, params![hash], |_| Ok(()))?.is_some())
}
