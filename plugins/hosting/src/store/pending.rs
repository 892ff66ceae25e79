//! Deployments whose content may still be on its way. Their files are in `hosting_file` like those of
//! others, so that the content that is here stays here.

use fazt_sdk::cartridge::{Query, Row, Transaction};
use fazt_sdk::{Error, Result, params};

use crate::model::{DeploymentId, PendingDeployment, StoredFile};

const PENDING: &str = "SELECT id, app, site, expires_at, file_count, size_bytes, new_files, spa, \
     preview, private, source FROM hosting_pending";

fn pending(row: Row<'_>) -> Result<PendingDeployment> {
    let (
        id,
        app,
        site,
        expires_at_ms,
        file_count,
        size_bytes,
        new_files,
        spa,
        is_preview,
        includes,
    ) = row.read::<(&str, _, _, _, _, _, _, _, _, _)>()?;
    let id = DeploymentId::parse(id)
        .ok_or_else(|| Error::internal(format!("hosting_pending.id is `{id}`")))?;
    Ok(PendingDeployment {
        id,
        app,
        site,
        expires_at_ms,
        file_count,
        size_bytes,
        new_files,
        spa,
        is_preview,
        includes_private: includes,
        source: row.get(10)?,
    })
}

/// The pending deployment `id`.
pub(crate) fn find_pending(
    query: &impl Query,
    id: &DeploymentId,
) -> Result<Option<PendingDeployment>> {
    query.first(&format!("{PENDING} WHERE id = ?1"), params![id.as_str()], pending)
}

/// How many deployments of `app` (an id, or the name of an app to be) are pending, and the bytes of all
/// their files together.
pub(crate) fn pending_of_app(query: &impl Query, app: &str) -> Result<(u64, u64)> {
    let sql = "SELECT count(*), ifnull(sum(size_bytes), 0) FROM hosting_pending WHERE app = ?1";
    Ok(query.first(sql, params![app], |row| row.read())?.unwrap_or_default())
}

/// Inserts a pending deployment without its files.
pub(crate) fn insert_pending(
    transaction: &Transaction<'_>,
    pending: &PendingDeployment,
) -> Result<()> {
    let sql = "INSERT INTO hosting_pending (id, app, site, expires_at, file_count, size_bytes, \
               new_files, spa, preview, private, source) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    transaction.execute(
        sql,
        params![
            pending.id.as_str(),
            pending.app,
            pending.site,
            pending.expires_at_ms,
            pending.file_count,
            pending.size_bytes,
            pending.new_files,
            pending.spa,
            pending.is_preview,
            pending.includes_private,
            pending.source
        ],
    )?;
    Ok(())
}

/// Notes how many contents were not here when the deployment began.
pub(crate) fn set_new_files(
    transaction: &Transaction<'_>,
    id: &DeploymentId,
    new_files: u64,
) -> Result<()> {
    let sql = "UPDATE hosting_pending SET new_files = ?2 WHERE id = ?1";
    transaction.execute(sql, params![id.as_str(), new_files])?;
    Ok(())
}

/// Changes who may fetch these files of a deployment.
pub(crate) fn set_visibility(
    transaction: &Transaction<'_>,
    id: &DeploymentId,
    files: &[StoredFile],
) -> Result<()> {
    let sql = "UPDATE hosting_file SET visibility = ?3 WHERE deployment = ?1 AND path = ?2";
    files.iter().try_for_each(|file| {
        let visibility = file.entry.visibility.as_str();
        transaction.execute(sql, params![id.as_str(), &*file.path, visibility]).map(drop)
    })
}

/// Removes the row of a pending deployment; returns whether it was there and not given up. Its files
/// stay: they become a deployment's, or were removed before.
pub(crate) fn delete_pending_row(transaction: &Transaction<'_>, id: &DeploymentId) -> Result<bool> {
    let sql = "DELETE FROM hosting_pending WHERE id = ?1 AND expires_at > 0";
    Ok(transaction.execute(sql, params![id.as_str()])? > 0)
}

/// Gives a pending deployment up: nobody activates it any more.
pub(crate) fn abandon(transaction: &Transaction<'_>, id: &DeploymentId) -> Result<()> {
    let sql = "UPDATE hosting_pending SET expires_at = 0 WHERE id = ?1";
    transaction.execute(sql, params![id.as_str()])?;
    Ok(())
}

/// Pending deployments that were given up or expired before `now_ms`, at most `limit`.
pub(crate) fn expired_pending(
    query: &impl Query,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<DeploymentId>> {
    let sql = "SELECT id FROM hosting_pending WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2";
    let ids = query.all(sql, params![now_ms, limit], |row| row.get::<String>(0))?;
    Ok(ids.iter().filter_map(|id| DeploymentId::parse(id)).collect())
}

/// Removes at most `limit` files of a deployment that was given up, and the row itself after the last;
/// returns whether all is gone.
pub(crate) fn delete_pending_files(
    transaction: &Transaction<'_>,
    id: &DeploymentId,
    limit: u32,
) -> Result<bool> {
    let sql = "DELETE FROM hosting_file WHERE deployment = ?1 AND path IN \
               (SELECT path FROM hosting_file WHERE deployment = ?1 ORDER BY path LIMIT ?2)";
    let deleted = transaction.execute(sql, params![id.as_str(), limit])?;
    if deleted == u64::from(limit) {
        return Ok(false);
    }
    let sql = "DELETE FROM hosting_pending WHERE id = ?1 AND expires_at = 0";
    transaction.execute(sql, params![id.as_str()])?;
    Ok(true)
}

/// The size that a pending deployment says the content with this hash has; with `app`, only its own
/// count. Nothing when no pending deployment waits for it.
pub(crate) fn announced_size(
    query: &impl Query,
    hash: &[u8; 32],
    app: Option<&str>,
) -> Result<Option<u64>> {
    let sql = "SELECT file.size FROM hosting_file AS file \
               JOIN hosting_pending AS pending ON pending.id = file.deployment \
               WHERE file.hash = ?1 AND (?2 IS NULL OR pending.app = ?2) LIMIT 1";
    query.first(sql, params![hash, app], |row| row.get(0))
}
