//! Compressed forms of contents.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fazt_sdk::cartridge::{Query, Transaction, Visit};
use fazt_sdk::{AppId, Error, Result, params};

use crate::compress::CONTENT_BYTES_MIN;
use crate::content_type::is_compressible;
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

/// A content that nobody tried to compress so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uncompressed {
    pub(crate) hash: [u8; 32],
    pub(crate) size: u64,
}

/// The contents of a deployment that are sent to somebody, shrink, and were not compressed so far; the
/// smallest first, because a page waits for all of them. For scans.
pub(crate) fn uncompressed(
    query: &impl Query,
    id: &DeploymentId,
    bytes_max: u64,
) -> Result<Vec<Uncompressed>> {
    let sql = "SELECT hash, size, content_type FROM hosting_file AS file WHERE deployment = ?1 \
               AND size BETWEEN ?2 AND ?3 AND visibility <> 'server' \
               AND NOT EXISTS (SELECT 1 FROM hosting_variant WHERE hash = file.hash)";
    let mut found = BTreeSet::new();
    query.visit(sql, params![id.as_str(), CONTENT_BYTES_MIN, bytes_max], &mut |row| {
        let (hash, size, kind) = row.read::<([u8; 32], u64, &str)>()?;
        if is_compressible(kind) {
            found.insert((size, hash));
        }
        Ok(Visit::Continue)
    })?;
    Ok(found.into_iter().map(|(size, hash)| Uncompressed { hash, size }).collect())
}

/// The first deployment after `after`, in the order of their ids, that visitors can see: one that is
/// active, or that was never active.
pub(crate) fn served_after(query: &impl Query, after: &str) -> Result<Option<DeploymentId>> {
    let sql = "SELECT id FROM hosting_deployment AS deployment WHERE id > ?1 \
               AND (activated_at IS NULL OR id = \
                   (SELECT deployment FROM hosting_active WHERE app = deployment.app)) \
               ORDER BY id LIMIT 1";
    let id = query.first(sql, params![after], |row| row.get::<String>(0))?;
    Ok(id.and_then(|id| DeploymentId::parse(&id)))
}

/// The apps that serve content with this hash now.
pub(crate) fn apps_that_serve(query: &impl Query, hash: &[u8; 32]) -> Result<Vec<AppId>> {
    let sql = "SELECT DISTINCT active.app FROM hosting_file AS file \
               CROSS JOIN hosting_deployment AS deployment ON deployment.id = file.deployment \
               CROSS JOIN hosting_active AS active \
               ON active.app = deployment.app AND active.deployment = deployment.id \
               WHERE file.hash = ?1";
    query.all(sql, params![hash], |row| row.get(0))
}

/// Writes down the compressed forms of a content, unless no deployment has it any more.
pub(crate) fn insert_variants(
    transaction: &Transaction<'_>,
    hash: &[u8; 32],
    forms: &[(Encoding, Option<Variant>)],
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO hosting_variant (hash, encoding, variant, size) \
               SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM hosting_file WHERE hash = ?1)";
    forms.iter().try_for_each(|(encoding, form)| {
        let (variant, size) = form.map_or((None, 0), |form| (Some(form.hash), form.size));
        transaction.execute(sql, params![hash, encoding.as_str(), variant, size]).map(drop)
    })
}

/// Contents that have compressed forms and that no deployment has any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) stale: Vec<[u8; 32]>,
    /// Where the next page starts; nothing after the last.
    pub(crate) next: Option<[u8; 32]>,
}

/// Looks at some of the contents after `after`.
pub(crate) fn stale_variants(query: &impl Query, after: &[u8; 32]) -> Result<Stale> {
    const PAGE: usize = 1_000;
    let sql = "SELECT DISTINCT hash, NOT EXISTS \
               (SELECT 1 FROM hosting_file WHERE hash = hosting_variant.hash) \
               FROM hosting_variant WHERE hash > ?1 ORDER BY hash LIMIT ?2";
    let page = query.all(sql, params![after, PAGE as u64], |row| row.read::<([u8; 32], bool)>())?;
    let next = page.last().filter(|_| page.len() == PAGE).map(|(hash, _)| *hash);
    let stale = page.into_iter().filter(|(_, is_stale)| *is_stale).map(|(hash, _)| hash);
    Ok(Stale { stale: stale.collect(), next })
}

/// Forgets the compressed forms of these contents, unless a deployment has them again.
pub(crate) fn forget_variants(transaction: &Transaction<'_>, hashes: &[[u8; 32]]) -> Result<()> {
    let sql = "DELETE FROM hosting_variant WHERE hash = ?1 \
               AND NOT EXISTS (SELECT 1 FROM hosting_file WHERE hash = ?1)";
    hashes.iter().try_for_each(|hash| transaction.execute(sql, params![hash]).map(drop))
}

/// Whether content with this hash is the compressed form of something. What it is a form of may be
/// gone: then the row goes first, and the content after it.
pub(crate) fn is_variant(query: &impl Query, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM hosting_variant WHERE variant = ?1 LIMIT 1";
    Ok(query.first(sql, params![hash], |_| Ok(()))?.is_some())
}
