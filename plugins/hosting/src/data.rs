//! The data of an app on the move: export, import, fork, removal.
//!
//! An export is the content first, then the deployments with their files, then which one is active;
//! so an import that stops halfway refers to nothing that is not there, and serves nothing new.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fazt_sdk::cartridge::{Cartridge, Reader, Transaction, Upload};
use fazt_sdk::prelude::{Bytes, Call};
use fazt_sdk::services::app_data::{AppData, Page, Usage};
use fazt_sdk::{AppId, Error, Result, Wire, wire};
use sha2::{Digest as _, Sha256};

use crate::index::Indexes;
use crate::model::{DeploymentId, Entry, StoredDeployment, StoredFile, from_hex, hex};
use crate::removals::Removals;
use crate::store;

/// The most bytes of records in a page: the interface's 1 MiB, less what frames them.
const PAGE_BYTES_MAX: u64 = 1024 * 1024 - 64 * 1024;
/// The most bytes of content in one record.
const PART_BYTES_MAX: u64 = 256 * 1024;
/// The most files in one record.
const FILES_PER_RECORD: u32 = 500;
/// The most contents in one page.
const PARTS_PER_PAGE: usize = 512;

/// One record of an export.
#[derive(Debug, Clone, PartialEq, Wire)]
enum Record {
    /// Part of a content.
    Part { hash: [u8; 32], size: u64, offset: u64, content: Bytes },
    /// A deployment, before its files.
    Deployment(DeploymentRecord),
    /// Files of the deployment with this number.
    Files { deployment: String, files: Vec<FileRecord> },
    /// The deployment that the app serves.
    Active { deployment: String },
}

#[derive(Debug, Clone, PartialEq, Wire)]
struct DeploymentRecord {
    id: String,
    version: u64,
    created_at_ms: u64,
    file_count: u64,
    size_bytes: u64,
    spa: bool,
    source: Option<String>,
    principal: String,
}

#[derive(Debug, Clone, PartialEq, Wire)]
struct FileRecord {
    path: String,
    hash: [u8; 32],
    size: u64,
    content_type: String,
    visibility: String,
}

/// Where a page of an export starts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    /// At `offset` of the first content from `hash` on.
    Content { hash: [u8; 32], offset: u64 },
    /// After `path` of the deployment with this number; at the deployment itself when nothing.
    Files { version: u64, path: Option<String> },
    /// At what is active.
    Active,
}

impl Cursor {
    fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Content { hash: [0; 32], offset: 0 }) };
        let mut parts = text.splitn(3, ':');
        let parsed = match (parts.next(), parts.next(), parts.next()) {
            (Some("content"), Some(hash), Some(offset)) => from_hex(hash)
                .zip(offset.parse().ok())
                .map(|(hash, offset)| Self::Content { hash, offset }),
            (Some("files"), Some(version), path) => version
                .parse()
                .ok()
                .map(|version| Self::Files { version, path: path.map(str::to_owned) }),
            (Some("active"), None, None) => Some(Self::Active),
            _ => None,
        };
        parsed.ok_or_else(|| Error::invalid(format!("`{text}` is not a cursor of an export")))
    }

    fn text(&self) -> String {
        match self {
            Self::Content { hash, offset } => format!("content:{}:{offset}", hex(hash)),
            Self::Files { version, path: None } => format!("files:{version}"),
            Self::Files { version, path: Some(path) } => format!("files:{version}:{path}"),
            Self::Active => "active".to_owned(),
        }
    }
}

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
    cartridge: Cartridge,
    indexes: Arc<Indexes>,
    removals: Arc<Removals>,
    /// One large content for each app that is being imported.
    incoming: Arc<Mutex<HashMap<AppId, Incoming>>>,
}

impl Data {
    pub(crate) fn new(
        cartridge: Cartridge,
        indexes: Arc<Indexes>,
        removals: Arc<Removals>,
    ) -> Self {
        Self { cartridge, indexes, removals, incoming: Arc::default() }
    }

    /// Removes everything of `app`, inside a write.
    pub(crate) fn delete(&self, transaction: &Transaction<'_>, app: AppId) -> Result<()> {
        self.removals.record();
        store::delete_app(transaction, app)?;
        let indexes = Arc::clone(&self.indexes);
        transaction.on_commit(move || indexes.forget(app))
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
        let mut incoming = match waiting {
            // A page that comes again.
            Some(incoming) if end <= incoming.offset => {
                self.incoming().insert(app, incoming);
                return Ok(());
            }
            Some(incoming) if incoming.offset == offset => incoming,
            _ if offset == 0 => {
                Incoming { hash: *hash, size, offset: 0, upload: self.cartridge.upload(Some(app))? }
            }
            None if self.has(hash) => return Ok(()),
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

    fn has(&self, hash: &[u8; 32]) -> bool {
        self.cartridge.read(|reader| reader.blob(hash, 0, 1, |_| ())).is_ok()
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
        let (indexes, rows) = (Arc::clone(&self.indexes), Arc::new(rows));
        self.cartridge
            .write(Some(app), move |transaction| {
                rows.iter().try_for_each(|row| import_row(transaction, app, row))?;
                let indexes = Arc::clone(&indexes);
                transaction.on_commit(move || indexes.forget(app))
            })
            .await
    }

    /// The fork starts with the active deployment; the history stays with the original.
    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        let indexes = Arc::clone(&self.indexes);
        self.cartridge
            .write(Some(to), move |transaction| {
                let Some(original) = store::active(transaction, from)? else { return Ok(()) };
                let id = copy_of(&original.id, to);
                if store::find(transaction, &id)?.is_some() {
                    return Ok(());
                }
                let version = store::newest_version(transaction, to)? + 1;
                let copy = StoredDeployment { id, app: to, version, ..original.clone() };
                store::insert(transaction, &copy)?;
                store::copy_files(transaction, &original.id, &copy.id)?;
                store::activate(transaction, to, &copy.id)?;
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

/// One page of records and where the next one starts.
fn page(reader: &Reader<'_>, app: AppId, cursor: &Cursor) -> Result<(Vec<Record>, Option<Cursor>)> {
    match cursor {
        Cursor::Content { hash, offset } => content_page(reader, app, hash, *offset),
        Cursor::Files { version, path } => files_page(reader, app, *version, path.as_deref()),
        Cursor::Active => {
            let active = store::active(reader, app)?;
            let record =
                |active: StoredDeployment| Record::Active { deployment: active.id.to_string() };
            Ok((active.map(record).into_iter().collect(), None))
        }
    }
}

fn content_page(
    reader: &Reader<'_>,
    app: AppId,
    from: &[u8; 32],
    offset: u64,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    let mut wanted = Vec::new();
    let (mut left, mut next) = (PAGE_BYTES_MAX, None);
    store::visit_content(reader, app, from, &mut |hash, size| {
        let mut at = if hash == *from { offset } else { 0 };
        loop {
            let len = PART_BYTES_MAX.min(size.saturating_sub(at));
            if len > left || wanted.len() >= PARTS_PER_PAGE {
                next = Some(Cursor::Content { hash, offset: at });
                return Ok(ControlFlow::Break(()));
            }
            left -= len;
            wanted.push((hash, size, at, len));
            at += len;
            if at >= size {
                return Ok(ControlFlow::Continue(()));
            }
        }
    })?;
    let mut records = Vec::with_capacity(wanted.len());
    for (hash, size, offset, len) in wanted {
        let content = match len {
            0 => Bytes::new(),
            len => reader.blob(&hash, offset, len, Bytes::copy_from_slice)?,
        };
        records.push(Record::Part { hash, size, offset, content });
    }
    if next.is_none() {
        next = Some(match store::list(reader, app)?.last() {
            Some(oldest) => Cursor::Files { version: oldest.version, path: None },
            None => Cursor::Active,
        });
    }
    Ok((records, next))
}

fn files_page(
    reader: &Reader<'_>,
    app: AppId,
    version: u64,
    after: Option<&str>,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    let deployment = store::find_version(reader, app, version)?.ok_or_else(|| {
        Error::conflict("a deployment was removed during the export; start again")
    })?;
    let id = deployment.id.clone();
    let files = store::files_after(reader, &id, "", after.unwrap_or_default(), FILES_PER_RECORD)?;
    let is_last = files.len() < FILES_PER_RECORD as usize;
    let next = match files.last() {
        Some(last) if !is_last => Cursor::Files { version, path: Some(last.path.to_string()) },
        _ => match store::find_after(reader, app, version)? {
            Some(newer) => Cursor::Files { version: newer.version, path: None },
            None => Cursor::Active,
        },
    };
    let mut records = Vec::new();
    if after.is_none() {
        records.push(Record::Deployment(DeploymentRecord::new(deployment)));
    }
    if !files.is_empty() {
        let files = files.into_iter().map(FileRecord::new).collect();
        records.push(Record::Files { deployment: id.to_string(), files });
    }
    Ok((records, Some(next)))
}

impl DeploymentRecord {
    fn new(stored: StoredDeployment) -> Self {
        Self {
            id: stored.id.to_string(),
            version: stored.version,
            created_at_ms: stored.created_at_ms,
            file_count: stored.file_count,
            size_bytes: stored.size_bytes,
            spa: stored.is_spa,
            source: stored.source,
            principal: stored.principal,
        }
    }
}

impl FileRecord {
    fn new(file: StoredFile) -> Self {
        Self {
            path: file.path.into(),
            hash: file.entry.hash,
            size: file.entry.size,
            content_type: file.entry.content_type.to_owned(),
            visibility: file.entry.visibility.as_str().to_owned(),
        }
    }
}

fn import_row(transaction: &Transaction<'_>, app: AppId, row: &Record) -> Result<()> {
    match row {
        Record::Part { .. } => Ok(()),
        Record::Deployment(record) => import_deployment(transaction, app, record),
        Record::Files { deployment, files } => {
            let id = imported_id(transaction, app, deployment)?;
            if store::find(transaction, &id)?.is_none() {
                return Err(damaged("files come before their deployment"));
            }
            let files = files.iter().map(|file| {
                let row =
                    (file.hash, file.size, file.content_type.as_str(), file.visibility.as_str());
                let entry = Entry::from_row(&file.path, row)?;
                Ok(StoredFile { path: file.path.as_str().into(), entry })
            });
            let files = files.collect::<Result<Vec<_>>>()?;
            store::insert_files(transaction, &id, &files)
        }
        Record::Active { deployment } => {
            let id = imported_id(transaction, app, deployment)?;
            if store::find(transaction, &id)?.is_none() {
                return Err(damaged("the active deployment is missing"));
            }
            store::activate(transaction, app, &id)
        }
    }
}

fn import_deployment(
    transaction: &Transaction<'_>,
    app: AppId,
    record: &DeploymentRecord,
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
    (0_u8..)
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
    fn a_cursor_survives_text() {
        for cursor in [
            Cursor::Content { hash: [0xab; 32], offset: 7 },
            Cursor::Files { version: 3, path: None },
            Cursor::Files { version: 3, path: Some("a:b/c".to_owned()) },
            Cursor::Active,
        ] {
            assert_eq!(Cursor::parse(Some(&cursor.text())).unwrap(), cursor);
        }
        for text in ["", "content", "content:00:1", "files:x", "active:", "active:1:2"] {
            assert!(Cursor::parse(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_copy_has_one_id_in_each_app() {
        let id = DeploymentId::parse("dep_0123456789ab").unwrap();
        let apps = [b'a', b'b'].map(|key| AppId::from_key([key; 12]).unwrap());
        assert_eq!(copy_of(&id, apps[0]), copy_of(&id, apps[0]));
        assert_ne!(copy_of(&id, apps[0]), copy_of(&id, apps[1]));
        assert_ne!(copy_of(&id, apps[0]), id);
    }
}
