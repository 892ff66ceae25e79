//! The data of an app on the move: export, import, fork, removal.
//!
//! An export is the content first, then the deployments with their files, then which one is active;
//! so an import that stops halfway refers to nothing that is not there, and serves nothing new.

mod export;
mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fazt_sdk::cartridge::{Cartridge, Reader, Transaction, Upload};
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::prelude::{Bytes, Call};
use fazt_sdk::services::app_data::{AppData, Page, Usage};
use fazt_sdk::{AppId, Error, ErrorKind, Result, wire};
use sha2::{Digest as _, Sha256};

use self::export::page;
use self::record::{Cursor, DeploymentRecord, FileRecord, Record};
use crate::archive::is_file_path;
use crate::index::Indexes;
use crate::model::{DeploymentId, Entry, PreviewLabel, StoredDeployment, StoredFile};
use crate::precompress::Wanted;
use crate::rollback::switch;
use crate::store;

/// How many apps may be in the middle of a large content at a time.
const INCOMING_MAX: usize = 16;

/// A large content that is being imported, part by part.
#[derive(Debug)]
struct Incoming {
    hash: [u8; 32],
    size: u64,
    /// How much of it arrived.
    offset: u64,
    upload: Upload,
}

/// Moves the data of apps.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    host: Host,
    cartridge: Cartridge,
    clock: Clock,
    indexes: Arc<Indexes>,
    /// Whoever compresses is told that something is new.
    wanted: Arc<Wanted>,
    /// One large content for each app that is being imported.
    incoming: Arc<Mutex<HashMap<AppId, Incoming>>>,
}

impl Data {
    pub(crate) fn new(host: &Host, indexes: Arc<Indexes>, wanted: Arc<Wanted>) -> Self {
        let (cartridge, clock) = (host.cartridge(), host.clock());
        Self { host: host.clone(), cartridge, clock, indexes, wanted, incoming: Arc::default() }
    }

    /// Removes everything of `app`, inside a write.
    pub(crate) fn delete(&self, transaction: &Transaction<'_>, app: AppId) -> Result<()> {
        store::delete_app(transaction, app)?;
        let indexes = Arc::clone(&self.indexes);
        transaction.on_commit(move || indexes.forget(app))
    }

    fn labels(&self) -> Labels {
        Labels(self.host.random(32))
    }

    fn incoming(&self) -> MutexGuard<'_, HashMap<AppId, Incoming>> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in one part of a content; small ones are whole and go into `small`.
    async fn import_part(
        &self,
        app: AppId,
        part: (&[u8; 32], u64, u64, Bytes),
        small: &mut Vec<(Bytes, [u8; 32])>,
    ) -> Result<()> {
        let (hash, size, offset, content) = part;
        if offset == 0 && content.len() as u64 == size {
            small.push((content, *hash));
            return Ok(());
        }
        let end = offset.saturating_add(content.len() as u64);
        if end > size || content.is_empty() {
            return Err(damaged("a part of a content is outside of it"));
        }
        // Taken out while the part is pushed: no lock is held across an await.
        let waiting = self.incoming().remove(&app).filter(|incoming| incoming.hash == *hash);
        // A page that comes again after its content was complete.
        if waiting.is_none() && offset > 0 && self.has(*hash).await? {
            return Ok(());
        }
        let mut incoming = match waiting {
            // A page that comes again.
            Some(incoming) if end <= incoming.offset => {
                self.incoming().insert(app, incoming);
                return Ok(());
            }
            Some(incoming) if incoming.offset == offset => incoming,
            _ if offset == 0 && self.incoming().len() >= INCOMING_MAX => {
                return Err(Error::busy(format!("{INCOMING_MAX} imports are running; try later")));
            }
            _ if offset == 0 => {
                Incoming { hash: *hash, size, offset: 0, upload: self.cartridge.upload(Some(app))? }
            }
            _ => return Err(damaged("parts of a content are missing; start the import again")),
        };
        incoming.upload.push(content).await?;
        incoming.offset = end;
        if end < incoming.size {
            self.incoming().insert(app, incoming);
            return Ok(());
        }
        same(incoming.upload.finish().await?, *hash)
    }

    async fn has(&self, hash: [u8; 32]) -> Result<bool> {
        let first = move |reader: &Reader<'_>| match reader.blob(&hash, 0, 1, <[u8]>::len) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            other => Ok(other? > 0),
        };
        store::read(&self.cartridge, first).await
    }

    async fn store_small(&self, app: AppId, small: Vec<(Bytes, [u8; 32])>) -> Result<()> {
        if small.is_empty() {
            return Ok(());
        }
        let (contents, expected): (Vec<_>, Vec<_>) = small.into_iter().unzip();
        let hashes = self.cartridge.put_blobs(Some(app), contents).await?;
        hashes.into_iter().zip(expected).try_for_each(|(hash, expected)| same(hash, expected))
    }
}

impl AppData for Data {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        let (deployments, files, bytes) =
            self.cartridge.scan(move |reader| store::usage(reader, app)).await?;
        Ok(vec![
            Usage { what: "deployments".to_owned(), count: deployments, bytes: 0 },
            Usage { what: "files".to_owned(), count: files, bytes },
        ])
    }

    async fn export(&self, _: &Call, app: AppId, cursor: Option<String>) -> Result<Page> {
        let cursor = Cursor::parse(cursor.as_deref())?;
        let (records, next) = self.cartridge.scan(move |reader| page(reader, app, &cursor)).await?;
        let records = records.iter().map(wire::to_vec).collect();
        Ok(Page { records, next: next.map(|next| next.text()) })
    }

    async fn import(&self, _: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()> {
        let mut small = Vec::new();
        let mut rows = Vec::new();
        for record in records {
            match wire::from_slice(record)? {
                Record::Part { hash, size, offset, content } => {
                    self.import_part(app, (&hash, size, offset, content), &mut small).await?;
                }
                row => rows.push(row),
            }
        }
        self.store_small(app, small).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let rows = Arc::new(rows);
        let checked = Arc::clone(&rows);
        self.cartridge.scan(move |reader| check_files(reader, &checked)).await?;
        let (indexes, at_ms) = (Arc::clone(&self.indexes), self.clock.unix_ms());
        let (labels, wanted) = (self.labels(), Arc::clone(&self.wanted));
        self.cartridge
            .write(Some(app), move |transaction| {
                rows.iter()
                    .try_for_each(|row| import_row(transaction, app, row, &labels, at_ms))?;
                let (indexes, wanted) = (Arc::clone(&indexes), Arc::clone(&wanted));
                transaction.on_commit(move || {
                    indexes.forget(app);
                    wanted.add_all();
                })
            })
            .await
    }

    /// The fork starts with the active deployment; the history stays with the original.
    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        let (indexes, at_ms) = (Arc::clone(&self.indexes), self.clock.unix_ms());
        let labels = self.labels();
        self.cartridge
            .write(Some(to), move |transaction| {
                let Some(original) = store::active(transaction, from)? else { return Ok(()) };
                let id = copy_of(&original.id, to);
                if store::find(transaction, &id)?.is_some() {
                    return Ok(());
                }
                let version = store::newest_version(transaction, to)? + 1;
                let preview = labels.of(&id)?;
                let copy = StoredDeployment { id, app: to, version, preview, ..original.clone() };
                store::insert(transaction, &copy)?;
                store::copy_files(transaction, &original.id, &copy.id)?;
                switch(transaction, &copy, at_ms)?;
                let indexes = Arc::clone(&indexes);
                transaction.on_commit(move || indexes.forget(to))
            })
            .await
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        self.incoming().remove(&app);
        let this = self.clone();
        self.cartridge.write(Some(app), move |transaction| this.delete(transaction, app)).await
    }

    /// Files are the app's, not its users'.
    async fn delete_user(&self, _: &Call, _: &str) -> Result<()> {
        Ok(())
    }
}

/// Refuses files that no archive could have brought, or whose content is not here.
fn check_files(reader: &Reader<'_>, rows: &[Record]) -> Result<()> {
    for row in rows {
        let Record::Files { files, .. } = row else { continue };
        for FileRecord { path, hash, size, .. } in files {
            if !is_file_path(path) {
                return Err(damaged("a file has a path that is not canonical"));
            }
            let has = |offset| matches!(reader.blob(hash, offset, 1, <[u8]>::len), Ok(1));
            if *size > 0 && (!has(*size - 1) || has(*size)) {
                return Err(damaged(&format!("the content of {path} is missing")));
            }
        }
    }
    Ok(())
}

/// Makes labels: the same one for a deployment each time, because a write may run twice.
struct Labels(Vec<u8>);

impl Labels {
    fn of(&self, id: &DeploymentId) -> Result<PreviewLabel> {
        let digest = Sha256::new().chain_update(&self.0).chain_update(id.as_str()).finalize();
        PreviewLabel::from_random(&digest)
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }
}

fn import_row(
    transaction: &Transaction<'_>,
    app: AppId,
    row: &Record,
    labels: &Labels,
    at_ms: u64,
) -> Result<()> {
    match row {
        Record::Part { .. } => Ok(()),
        Record::Deployment(record) => import_deployment(transaction, app, record, labels),
        Record::Files { deployment, files } => {
            let id = imported_id(transaction, app, deployment)?;
            if store::find(transaction, &id)?.is_none() {
                return Err(damaged("files come before their deployment"));
            }
            let files = files.iter().map(|file| {
                let row =
                    (file.hash, file.size, file.content_type.as_str(), file.visibility.as_str());
                let entry = Entry::from_row(&file.path, row)?;
                Ok(StoredFile::new(&file.path, entry))
            });
            let files = files.collect::<Result<Vec<_>>>()?;
            store::insert_files(transaction, &id, &files)
        }
        Record::Active { deployment } => {
            let id = imported_id(transaction, app, deployment)?;
            let deployment = store::find(transaction, &id)?
                .ok_or_else(|| damaged("the active deployment is missing"))?;
            switch(transaction, &deployment, at_ms)
        }
    }
}

fn import_deployment(
    transaction: &Transaction<'_>,
    app: AppId,
    record: &DeploymentRecord,
    labels: &Labels,
) -> Result<()> {
    let id = imported_id(transaction, app, &record.id)?;
    if store::find(transaction, &id)?.is_some() {
        return Ok(());
    }
    // An app that has deployments of its own keeps their numbers.
    let version = match store::find_version(transaction, app, record.version)? {
        None => record.version,
        Some(_) => store::newest_version(transaction, app)? + 1,
    };
    store::insert(
        transaction,
        &StoredDeployment {
            preview: labels.of(&id)?,
            activated_at_ms: record.activated_at_ms,
            id,
            app,
            version,
            created_at_ms: record.created_at_ms,
            file_count: record.file_count,
            size_bytes: record.size_bytes,
            is_spa: record.spa,
            source: record.source.clone(),
            principal: record.principal.clone(),
        },
    )
}

/// The id under which `app` has the deployment that was exported as `id`: the same, unless it is
/// another app's here.
fn imported_id(transaction: &Transaction<'_>, app: AppId, id: &str) -> Result<DeploymentId> {
    let id = DeploymentId::parse(id).ok_or_else(|| damaged("a deployment has no proper id"))?;
    Ok(match store::find(transaction, &id)? {
        Some(taken) if taken.app != app => copy_of(&id, app),
        _ => id,
    })
}

/// The id of the copy of deployment `id` in `app`: always the same one, so that copying again finds
/// what was copied.
fn copy_of(id: &DeploymentId, app: AppId) -> DeploymentId {
    let seed = Sha256::digest(format!("{id} in {app}"));
    // Nearly every digest has enough usable bytes.
    (0..=u8::MAX)
        .find_map(|round| {
            let digest = Sha256::new().chain_update(seed).chain_update([round]).finalize();
            DeploymentId::from_random(&digest)
        })
        .unwrap_or_else(|| id.clone())
}

fn same(hash: [u8; 32], expected: [u8; 32]) -> Result<()> {
    if hash == expected { Ok(()) } else { Err(damaged("content does not have its hash")) }
}

fn damaged(what: &str) -> Error {
    Error::invalid(format!("the import cannot be read: {what}")).with_code("IMPORT_DAMAGED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_one_id_in_each_app() {
        let id = DeploymentId::parse("dep_0123456789ab").unwrap();
        let apps = [b'a', b'b'].map(|key| AppId::from_key([key; 12]).unwrap());
        assert_eq!(copy_of(&id, apps[0]), copy_of(&id, apps[0]));
        assert_ne!(copy_of(&id, apps[0]), copy_of(&id, apps[1]));
        assert_ne!(copy_of(&id, apps[0]), id);
    }
}
