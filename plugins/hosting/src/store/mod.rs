//! Every SQL statement of the plugin; rows become model types here.

mod pending;
mod variants;

use std::ops::ControlFlow;

use fazt_sdk::cartridge::{Cartridge, Query, Reader, Row, ToValue as _, Transaction, Value, Visit};
use fazt_sdk::{AppId, Error, ErrorKind, Result, params};

use crate::model::{DeploymentId, Entry, PreviewLabel, StoredDeployment, StoredFile};

pub(crate) use pending::{
    abandon, announced_size, delete_pending_files, delete_pending_row, expired_pending,
    find_pending, insert_pending, pending_of_app, set_new_files, set_visibility,
};
pub(crate) use variants::{
    Uncompressed, apps_that_serve, forget_variants, insert_variants, is_variant, served_after,
    stale_variants, uncompressed, variants_of,
};

/// Reads on the calling thread; on a scanning thread when that takes too long there, as it may on a
/// busy machine however little is read.
pub(crate) async fn read<T, F>(cartridge: &Cartridge, read: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&Reader<'_>) -> Result<T> + Send + 'static,
{
    match cartridge.read(&read) {
        Err(error) if error.kind() == ErrorKind::Timeout => cartridge.scan(read).await,
        other => other,
    }
}

const DEPLOYMENT: &str = "SELECT id, app, version, created_at, file_count, size_bytes, spa, source, principal, \
     preview, activated_at FROM hosting_deployment";

/// The most rows of a deployment that one statement inserts.
const FILES_PER_INSERT: usize = 50;

fn deployment(row: Row<'_>) -> Result<StoredDeployment> {
    let (id, app, version, created_at_ms, file_count, size_bytes, is_spa, source, principal) =
        row.read::<(&str, _, _, _, _, _, _, _, _)>()?;
    let (preview, activated_at_ms) = (row.get::<&str>(9)?, row.get(10)?);
    let id = DeploymentId::parse(id)
        .ok_or_else(|| Error::internal(format!("hosting_deployment.id is `{id}`")))?;
    let preview = PreviewLabel::parse(preview)
        .ok_or_else(|| Error::internal(format!("hosting_deployment.preview is `{preview}`")))?;
    Ok(StoredDeployment {
        id,
        app,
        version,
        created_at_ms,
        file_count,
        size_bytes,
        is_spa,
        source,
        principal,
        preview,
        activated_at_ms,
    })
}

fn file(row: Row<'_>) -> Result<StoredFile> {
    let (path, hash, size, content_type, visibility) = row.read::<(&str, _, _, &str, &str)>()?;
    let entry = Entry::from_row(path, (hash, size, content_type, visibility))?;
    Ok(StoredFile::new(path, entry))
}

/// The deployment `id`.
pub(crate) fn find(query: &impl Query, id: &DeploymentId) -> Result<Option<StoredDeployment>> {
    query.first(&format!("{DEPLOYMENT} WHERE id = ?1"), params![id.as_str()], deployment)
}

/// The deployment of `app` with number `version`.
pub(crate) fn find_version(
    query: &impl Query,
    app: AppId,
    version: u64,
) -> Result<Option<StoredDeployment>> {
    let sql = format!("{DEPLOYMENT} WHERE app = ?1 AND version = ?2");
    query.first(&sql, params![app.to_string(), version], deployment)
}

/// The deployment of `app` that the host `LABEL--ALIAS` shows.
pub(crate) fn find_preview(
    query: &impl Query,
    app: AppId,
    label: &PreviewLabel,
) -> Result<Option<StoredDeployment>> {
    let sql = format!("{DEPLOYMENT} WHERE app = ?1 AND preview = ?2");
    query.first(&sql, params![app.to_string(), label.as_str()], deployment)
}

/// The newest deployment of `app` that is older than number `version` and was active once.
pub(crate) fn find_before(
    query: &impl Query,
    app: AppId,
    version: u64,
) -> Result<Option<StoredDeployment>> {
    let sql = format!(
        "{DEPLOYMENT} WHERE app = ?1 AND version < ?2 \
                       AND activated_at IS NOT NULL ORDER BY version DESC LIMIT 1"
    );
    query.first(&sql, params![app.to_string(), version], deployment)
}

/// The oldest deployment of `app` that is newer than number `version`.
pub(crate) fn find_after(
    query: &impl Query,
    app: AppId,
    version: u64,
) -> Result<Option<StoredDeployment>> {
    let sql = format!("{DEPLOYMENT} WHERE app = ?1 AND version > ?2 ORDER BY version LIMIT 1");
    query.first(&sql, params![app.to_string(), version], deployment)
}

/// The deployments of `app`, the newest first.
pub(crate) fn list(query: &impl Query, app: AppId) -> Result<Vec<StoredDeployment>> {
    let sql = format!("{DEPLOYMENT} WHERE app = ?1 ORDER BY version DESC");
    query.all(&sql, params![app.to_string()], deployment)
}

/// The deployment that `app` serves.
pub(crate) fn active(query: &impl Query, app: AppId) -> Result<Option<StoredDeployment>> {
    let sql =
        format!("{DEPLOYMENT} WHERE id = (SELECT deployment FROM hosting_active WHERE app = ?1)");
    query.first(&sql, params![app.to_string()], deployment)
}

/// The number of the newest deployment of `app`; 0 when it has none.
pub(crate) fn newest_version(query: &impl Query, app: AppId) -> Result<u64> {
    let sql = "SELECT ifnull(max(version), 0) FROM hosting_deployment WHERE app = ?1";
    let newest = query.first(sql, params![app.to_string()], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

/// All files of a deployment, in the order of their paths, with the compressed forms of their content.
pub(crate) fn files(query: &impl Query, id: &DeploymentId) -> Result<Vec<StoredFile>> {
    let mut files = plain_files(query, id)?;
    let variants = variants_of(query, id)?;
    if !variants.is_empty() {
        for file in &mut files {
            file.variants = variants.get(&file.entry.hash).cloned();
        }
    }
    Ok(files)
}

/// All files of a deployment, in the order of their paths.
pub(crate) fn plain_files(query: &impl Query, id: &DeploymentId) -> Result<Vec<StoredFile>> {
    let sql = "SELECT path, hash, size, content_type, visibility FROM hosting_file \
               WHERE deployment = ?1 ORDER BY path";
    query.all(sql, params![id.as_str()], file)
}

/// At most `limit` files of a deployment whose paths come after `after` and start with `prefix`.
pub(crate) fn files_after(
    query: &impl Query,
    id: &DeploymentId,
    prefix: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<StoredFile>> {
    // Text compares by its bytes, so all paths with the prefix lie between these two.
    let end = format!("{prefix}\u{10ffff}");
    let sql = "SELECT path, hash, size, content_type, visibility FROM hosting_file \
               WHERE deployment = ?1 AND path >= ?2 AND path < ?3 AND path > ?4 \
               ORDER BY path LIMIT ?5";
    query.all(sql, params![id.as_str(), prefix, end, after, limit], file)
}

/// The file of a deployment at `path`.
pub(crate) fn file_at(
    query: &impl Query,
    id: &DeploymentId,
    path: &str,
) -> Result<Option<StoredFile>> {
    let sql = "SELECT path, hash, size, content_type, visibility FROM hosting_file \
               WHERE deployment = ?1 AND path = ?2";
    query.first(sql, params![id.as_str(), path], file)
}

/// Whether some deployment, pending ones included, refers to content with this hash.
pub(crate) fn is_content_used(query: &impl Query, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM hosting_file WHERE hash = ?1 LIMIT 1";
    Ok(query.first(sql, params![hash], |_| Ok(()))?.is_some())
}

/// Whether a deployment of `app` refers to content with this hash.
pub(crate) fn is_content_of(query: &impl Query, app: AppId, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM hosting_file AS file \
               CROSS JOIN hosting_deployment AS deployment ON deployment.id = file.deployment \
               WHERE file.hash = ?1 AND deployment.app = ?2 LIMIT 1";
    Ok(query.first(sql, params![hash, app.to_string()], |_| Ok(()))?.is_some())
}

/// Visits the content that `app` uses, hash and size, in the order of the hashes from `from` on.
/// Walks the index of all apps' content: for scans.
pub(crate) fn visit_content(
    query: &impl Query,
    app: AppId,
    from: &[u8; 32],
    visit: &mut dyn FnMut([u8; 32], u64) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let sql = "SELECT file.hash, file.size \
               FROM hosting_file AS file INDEXED BY hosting_file_by_hash \
               CROSS JOIN hosting_deployment AS deployment ON deployment.id = file.deployment \
               WHERE file.hash >= ?1 AND deployment.app = ?2 ORDER BY file.hash";
    let mut last = None;
    query.visit(sql, params![from, app.to_string()], &mut |row| {
        let (hash, size) = row.read::<([u8; 32], u64)>()?;
        if last.replace(hash) == Some(hash) {
            return Ok(Visit::Continue);
        }
        Ok(match visit(hash, size)? {
            ControlFlow::Continue(()) => Visit::Continue,
            ControlFlow::Break(()) => Visit::Stop,
        })
    })
}

/// What `app` uses: deployments, files of all of them, bytes of the distinct content.
pub(crate) fn usage(query: &impl Query, app: AppId) -> Result<(u64, u64, u64)> {
    let app = app.to_string();
    let sql = "SELECT count(*), ifnull(sum(file_count), 0) FROM hosting_deployment WHERE app = ?1";
    let counts = query.first(sql, params![app], |row| row.read::<(u64, u64)>())?;
    let sql = "SELECT ifnull(sum(size), 0) FROM (SELECT DISTINCT file.hash, file.size \
               FROM hosting_deployment AS deployment \
               JOIN hosting_file AS file ON file.deployment = deployment.id \
               WHERE deployment.app = ?1)";
    let bytes = query.first(sql, params![app], |row| row.get(0))?;
    let (deployments, files) = counts.unwrap_or_default();
    Ok((deployments, files, bytes.unwrap_or_default()))
}

/// Inserts a deployment without its files.
pub(crate) fn insert(transaction: &Transaction<'_>, deployment: &StoredDeployment) -> Result<()> {
    let StoredDeployment {
        id,
        app,
        version,
        created_at_ms,
        file_count,
        size_bytes,
        is_spa,
        source,
        principal,
        preview,
        activated_at_ms,
    } = deployment;
    transaction.execute(
        "INSERT INTO hosting_deployment \
         (id, app, version, created_at, file_count, size_bytes, spa, source, principal, preview, \
          activated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id.as_str(),
            app.to_string(),
            version,
            created_at_ms,
            file_count,
            size_bytes,
            is_spa,
            source,
            principal,
            preview.as_str(),
            activated_at_ms
        ],
    )?;
    Ok(())
}

/// Inserts files of a deployment; those that are there already stay as they are.
pub(crate) fn insert_files(
    transaction: &Transaction<'_>,
    id: &DeploymentId,
    files: &[StoredFile],
) -> Result<()> {
    for some in files.chunks(FILES_PER_INSERT) {
        let mut sql = String::from(
            "INSERT OR IGNORE INTO hosting_file \
             (deployment, path, hash, size, content_type, visibility) VALUES ",
        );
        let mut values: Vec<Value<'_>> = Vec::with_capacity(some.len() * 6);
        for (at, StoredFile { path, entry, .. }) in some.iter().enumerate() {
            sql.push_str(if at == 0 { "(?, ?, ?, ?, ?, ?)" } else { ", (?, ?, ?, ?, ?, ?)" });
            values.extend([
                id.as_str().to_value(),
                path.to_value(),
                entry.hash.to_value(),
                entry.size.to_value(),
                entry.content_type.to_value(),
                entry.visibility.as_str().to_value(),
            ]);
        }
        transaction.execute(&sql, &values)?;
    }
    Ok(())
}

/// Makes `id` the deployment that `app` serves.
pub(crate) fn activate(
    transaction: &Transaction<'_>,
    app: AppId,
    id: &DeploymentId,
    at_ms: u64,
) -> Result<()> {
    let sql = "UPDATE hosting_deployment SET activated_at = ?2 WHERE id = ?1";
    transaction.execute(sql, params![id.as_str(), at_ms])?;
    let sql = "INSERT INTO hosting_active (app, deployment) VALUES (?1, ?2) \
               ON CONFLICT (app) DO UPDATE SET deployment = excluded.deployment";
    transaction.execute(sql, params![app.to_string(), id.as_str()])?;
    Ok(())
}

/// Which deployments an app keeps besides the one that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How many that were active once, the active one included.
    pub(crate) deployments: u64,
    /// How many that were never active.
    pub(crate) previews: u64,
    /// For how long those stay, in milliseconds.
    pub(crate) previews_ms: u64,
}

/// Removes the deployments of `app` that are past `retention`, but never the active one; returns how
/// many.
pub(crate) fn prune(
    transaction: &Transaction<'_>,
    app: AppId,
    retention: Retention,
    now_ms: u64,
) -> Result<usize> {
    let app = app.to_string();
    let Retention { deployments, previews, previews_ms } = retention;
    let sql = "SELECT id FROM hosting_deployment WHERE app = ?1 \
               AND id NOT IN (SELECT deployment FROM hosting_active WHERE app = ?1) \
               AND CASE WHEN activated_at IS NOT NULL THEN version <= \
                   (SELECT version FROM hosting_deployment WHERE app = ?1 \
                    AND activated_at IS NOT NULL ORDER BY version DESC LIMIT 1 OFFSET ?2) \
               ELSE created_at < ?4 OR version <= \
                   (SELECT version FROM hosting_deployment WHERE app = ?1 \
                    AND activated_at IS NULL ORDER BY version DESC LIMIT 1 OFFSET ?3) END";
    let since = now_ms.saturating_sub(previews_ms);
    let old = transaction
        .all(sql, params![app, deployments, previews, since], |row| row.get::<String>(0))?;
    for id in &old {
        delete_row(transaction, id)?;
    }
    Ok(old.len())
}

/// Removes a deployment with its files.
pub(crate) fn delete(transaction: &Transaction<'_>, id: &DeploymentId) -> Result<()> {
    delete_row(transaction, id.as_str())
}

fn delete_row(transaction: &Transaction<'_>, id: &str) -> Result<()> {
    transaction.execute("DELETE FROM hosting_file WHERE deployment = ?1", params![id])?;
    transaction.execute("DELETE FROM hosting_deployment WHERE id = ?1", params![id])?;
    Ok(())
}

/// Copies all files of deployment `from` to `to`.
pub(crate) fn copy_files(
    transaction: &Transaction<'_>,
    from: &DeploymentId,
    to: &DeploymentId,
) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO hosting_file \
               (deployment, path, hash, size, content_type, visibility) \
               SELECT ?2, path, hash, size, content_type, visibility FROM hosting_file \
               WHERE deployment = ?1";
    transaction.execute(sql, params![from.as_str(), to.as_str()])?;
    Ok(())
}

/// Removes everything of `app`.
pub(crate) fn delete_app(transaction: &Transaction<'_>, app: AppId) -> Result<()> {
    let app = app.to_string();
    let sql = "DELETE FROM hosting_file WHERE deployment IN \
               (SELECT id FROM hosting_pending WHERE app = ?1)";
    transaction.execute(sql, params![app])?;
    transaction.execute("DELETE FROM hosting_pending WHERE app = ?1", params![app])?;
    transaction.execute("DELETE FROM hosting_active WHERE app = ?1", params![app])?;
    let sql = "DELETE FROM hosting_file WHERE deployment IN \
               (SELECT id FROM hosting_deployment WHERE app = ?1)";
    transaction.execute(sql, params![app])?;
    transaction.execute("DELETE FROM hosting_deployment WHERE app = ?1", params![app])?;
    Ok(())
}
