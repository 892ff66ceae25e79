//! Moving an app's data: export, import, fork, removal.

mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::{Cartridge, Reader, Upload};
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::prelude::{Bytes, Transaction};
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};
use fazt_sdk::services::objects::Object;
use fazt_sdk::{AppId, Error, Result, wire};

use self::record::{Cursor, Record};
use crate::account::{self, Limits};
use crate::documents::store::collection;
use crate::documents::{self, New};
use crate::json::Json;
use crate::kv;
use crate::objects;
use crate::pace::Pace;
use crate::place::Place;
use crate::reading;

/// The most records of a page; a page also ends after [`PAGE_BYTES_MAX`].
const PAGE_RECORDS: u32 = 500;

/// The most bytes of a page, unless one record alone has more.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// Content of one record, in bytes.
const PART_BYTES: u64 = 256 * 1024;

/// The most contents that arrive in parts at a time.
const IMPORTS_MAX: usize = 16;

/// The contributor. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    cartridge: Cartridge,
    clock: Clock,
    limits: Limits,
    /// Contents of which parts were taken in, at most [`IMPORTS_MAX`].
    incoming: Arc<Mutex<HashMap<AppId, Incoming>>>,
}

/// A content that arrives in parts.
#[derive(Debug)]
struct Incoming {
    hash: [u8; 32],
    /// How much of it is here.
    offset: u64,
    upload: Upload,
}

impl Data {
    pub(crate) fn new(host: &Host, limits: Limits) -> Self {
        Self { cartridge: host.cartridge(), clock: host.clock(), limits, incoming: Arc::default() }
    }

    /// Removes what belonged to apps that are gone.
    pub(crate) async fn remove_condemned(&self) -> Result<()> {
        loop {
            let apps = reading::read(&self.cartridge, |reader| account::store::condemned(reader));
            let apps = apps.await?;
            if apps.is_empty() {
                return Ok(());
            }
            for app in apps {
                self.remove(app).await?;
            }
        }
    }

    async fn remove(&self, app: String) -> Result<()> {
        let mut pace = Pace::new(&self.clock);
        loop {
            let (app, limits, rows) = (app.clone(), self.limits, pace.rows());
            let removed = self.cartridge.write(None, move |transaction| {
                let removed = kv::store::remove_app(transaction, &app, rows)?
                    + objects::store::remove_app(transaction, &app, rows)?;
                if removed > 0 {
                    return Ok(removed);
                }
                if let Some(collection) = collection::any_of_app(transaction, &app)? {
                    return documents::shrink(transaction, &app, &collection, &limits, rows);
                }
                account::store::removed(transaction, &app)?;
                Ok(0)
            });
            if pace.take(removed).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn page(&self, app: AppId, cursor: Cursor) -> Result<(Vec<Record>, Option<Cursor>)> {
        let now_ms = self.clock.unix_ms();
        reading::read(&self.cartridge, move |reader| {
            page(reader, &app.to_string(), &cursor, now_ms)
        })
        .await
    }

    async fn take_in(&self, app: AppId, records: Vec<Record>) -> Result<()> {
        let (limits, now_ms) = (self.limits, self.clock.unix_ms());
        for record in &records {
            if let Record::Part { hash, size, offset, content } = record {
                self.take_part(app, *hash, *size, *offset, content.clone()).await?;
            }
        }
        self.cartridge
            .write(Some(app), move |transaction| {
                records
                    .iter()
                    .try_for_each(|record| import(transaction, app, record, &limits, now_ms))
            })
            .await
    }

    /// Takes in a part of a content. Parts come in order, those of one content after the other; one that
    /// comes again changes nothing.
    async fn take_part(
        &self,
        app: AppId,
        hash: [u8; 32],
        size: u64,
        offset: u64,
        content: Bytes,
    ) -> Result<()> {
        let end = offset + content.len() as u64;
        let waiting = self.incoming().remove(&app);
        let mut incoming = match waiting {
            Some(incoming) if incoming.hash == hash && end <= incoming.offset && end < size => {
                self.incoming().insert(app, incoming);
                return Ok(());
            }
            Some(incoming) if incoming.hash == hash && incoming.offset == offset => incoming,
            _ if offset == 0 && self.incoming().len() < IMPORTS_MAX => {
                Incoming { hash, offset: 0, upload: self.cartridge.upload(Some(app))? }
            }
            _ if offset == 0 => return Err(Error::busy("many imports are running; try later")),
            // The last part once more: what it completed is here.
            _ if end == size && self.has(hash).await? => return Ok(()),
            _ => {
                return Err(Error::invalid(
                    "parts of a content are missing; start the import again",
                )
                .with_code("IMPORT_DAMAGED"));
            }
        };
        if !content.is_empty() {
            incoming.upload.push(content).await?;
        }
        incoming.offset = end;
        if end < size {
            self.incoming().insert(app, incoming);
            return Ok(());
        }
        incoming.upload.finish_as(&hash).await
    }

    /// Whether the content is in the cartridge, where it now stays for a while.
    async fn has(&self, hash: [u8; 32]) -> Result<bool> {
        let touched =
            self.cartridge.write(None, move |transaction| transaction.touch_blobs(&[hash]));
        Ok(touched.await?.first().is_some_and(Option::is_some))
    }

    fn incoming(&self) -> std::sync::MutexGuard<'_, HashMap<AppId, Incoming>> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes in one record.
fn import(
    transaction: &Transaction<'_>,
    app: AppId,
    record: &Record,
    limits: &Limits,
    now_ms: u64,
) -> Result<()> {
    let of = |user: &str| Place { id: app, app: app.to_string(), user: user.to_owned() };
    match record {
        Record::Value { user, key, value, expires_at_ms } => {
            let (key, value) = (kv::checked_key(key)?, kv::checked_value(value, limits)?);
            kv::store::put(transaction, &of(user), key, &value, *expires_at_ms, limits).map(drop)
        }
        Record::Collection { user, name, indexes } => {
            let name = documents::checked_collection(name)?;
            documents::restore(transaction, &of(user), name, indexes, limits)
        }
        Record::Document { user, collection, id, body, created_at_ms, updated_at_ms } => {
            let new = New {
                id: documents::checked_id(id)?.to_owned(),
                body: documents::checked_body(&Json::parse(body)?, limits)?,
                times_ms: Some((*created_at_ms, *updated_at_ms)),
            };
            let name = documents::checked_collection(collection)?;
            documents::restore_document(transaction, &of(user), name, new, limits)
        }
        Record::Object { user, path, hash, size, content_type } => {
            let new = objects::store::New {
                path: objects::checked_path(path)?.to_owned(),
                hash: *hash,
                size: *size,
                content_type: objects::checked_type(content_type)?.to_owned(),
            };
            objects::store::put(transaction, &of(user), &new, limits, now_ms).map(drop)
        }
        // Content is taken in before.
        Record::Part { .. } => Ok(()),
    }
}

/// The records from `cursor` on, and where the next page starts.
fn page(
    reader: &Reader<'_>,
    app: &str,
    cursor: &Cursor,
    now_ms: u64,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    match cursor {
        Cursor::Values { user, key } => {
            let found = kv::store::kept_after(reader, app, (user, key), PAGE_RECORDS, now_ms)?;
            let records = found.into_iter().map(|kept| {
                let cursor = Cursor::Values { user: kept.user.clone(), key: kept.key.clone() };
                let record = Record::Value {
                    user: kept.user,
                    key: kept.key,
                    value: kept.entry.value,
                    expires_at_ms: kept.entry.expires_at_ms,
                };
                (record, cursor)
            });
            Ok(within_bounds(records, Some(Cursor::Collections { id: 0 })))
        }
        Cursor::Collections { id } => {
            let found = collection::kept_after(reader, app, *id, PAGE_RECORDS)?;
            let records = found.into_iter().map(|(id, user, name)| {
                let indexes = collection::indexes(reader, id)?;
                let indexes = indexes.into_iter().map(|index| (index.field, index.is_unique));
                let record = Record::Collection { user, name, indexes: indexes.collect() };
                Ok((record, Cursor::Collections { id }))
            });
            let records = records.collect::<Result<Vec<_>>>()?;
            Ok(within_bounds(records.into_iter(), Some(Cursor::Documents { place: 0 })))
        }
        Cursor::Documents { place } => {
            let found = documents::store::kept_after(reader, app, *place, PAGE_RECORDS)?;
            let records = found.into_iter().map(|(user, collection, stored)| {
                let document = stored.document;
                let record = Record::Document {
                    user,
                    collection,
                    id: document.id,
                    body: document.body,
                    created_at_ms: document.created_at_ms,
                    updated_at_ms: document.updated_at_ms,
                };
                (record, Cursor::Documents { place: stored.place })
            });
            let then = Cursor::Objects { user: String::new(), path: String::new() };
            Ok(within_bounds(records, Some(then)))
        }
        Cursor::Objects { user, path } => {
            let found = objects::store::kept_after(reader, app, (user, path), PAGE_RECORDS)?;
            let records = found.into_iter().map(|(user, object)| {
                let cursor = Cursor::Objects { user: user.clone(), path: object.path.clone() };
                (of_object(user, object), cursor)
            });
            Ok(within_bounds(records, None))
        }
        Cursor::Content { user, path, offset } => content_page(reader, app, (user, path), *offset),
    }
}

fn of_object(user: String, object: Object) -> Record {
    Record::Object {
        user,
        path: object.path,
        hash: object.hash,
        size: object.size,
        content_type: object.content_type,
    }
}

/// Content of the object behind `user` and `path` from `offset` on; behind its last part, the object.
fn content_page(
    reader: &Reader<'_>,
    app: &str,
    (user, path): (&str, &str),
    offset: u64,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    let next = objects::store::kept_after(reader, app, (user, path), 1)?.into_iter().next();
    let Some((owner, object)) = next else { return Ok((Vec::new(), None)) };
    let len = (object.size - offset.min(object.size)).min(PART_BYTES);
    let content = if len == 0 {
        Bytes::new()
    } else {
        reader.blob(&object.hash, offset, len, Bytes::copy_from_slice)?
    };
    let (end, size, hash) = (offset + content.len() as u64, object.size, object.hash);
    let mut records = vec![Record::Part { hash, size, offset, content }];
    if end < size {
        let cursor = Cursor::Content { user: user.to_owned(), path: path.to_owned(), offset: end };
        return Ok((records, Some(cursor)));
    }
    let cursor = Cursor::Content { user: owner.clone(), path: object.path.clone(), offset: 0 };
    records.push(of_object(owner, object));
    Ok((records, Some(cursor)))
}

/// As many records as fit a page, and where the next page starts: behind the last of them, or at
/// `then` when there are no more of their kind.
fn within_bounds(
    records: impl Iterator<Item = (Record, Cursor)>,
    then: Option<Cursor>,
) -> (Vec<Record>, Option<Cursor>) {
    let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
    for (record, cursor) in records {
        bytes += record.size();
        if bytes > PAGE_BYTES_MAX && !page.is_empty() {
            return (page, last);
        }
        page.push(record);
        last = Some(cursor);
    }
    let is_last = page.len() < PAGE_RECORDS as usize;
    (page, if is_last { then } else { last })
}

impl AppData for Data {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        reading::read(&self.cartridge, move |reader| {
            account::store::usage(reader, &app.to_string())
        })
        .await
    }

    async fn export(&self, _: &Call, app: AppId, cursor: Option<String>) -> Result<Page> {
        let cursor = match Cursor::parse(cursor.as_deref())? {
            // An export carries the content, which a fork shares.
            Cursor::Objects { user, path } => Cursor::Content { user, path, offset: 0 },
            other => other,
        };
        let (records, next) = self.page(app, cursor).await?;
        let next = next.map(|next| next.text()).transpose()?;
        Ok(Page { records: records.iter().map(wire::to_vec).collect(), next })
    }

    async fn import(&self, _: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()> {
        let records = records.iter().map(|record| {
            wire::from_slice(record).map_err(|_| {
                Error::invalid("the import cannot be read: a record is damaged")
                    .with_code("IMPORT_DAMAGED")
            })
        });
        self.take_in(app, records.collect::<Result<_>>()?).await
    }

    /// The fork has what the original has, under its own quotas; what both refer to is shared.
    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        let mut cursor = Some(Cursor::start());
        while let Some(at) = cursor {
            let (records, next) = self.page(from, at).await?;
            if !records.is_empty() {
                self.take_in(to, records).await?;
            }
            cursor = next;
        }
        Ok(())
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        self.remove(app.to_string()).await
    }

    async fn delete_user(&self, _: &Call, user: &str) -> Result<()> {
        let mut pace = Pace::new(&self.clock);
        loop {
            let (user, limits, rows) = (user.to_owned(), self.limits, pace.rows());
            let removed = self.cartridge.write(None, move |transaction| {
                let removed = kv::store::remove_user(transaction, &user, rows, &limits)?
                    + objects::store::remove_user(transaction, &user, rows, &limits)?;
                if removed > 0 {
                    return Ok(removed);
                }
                match collection::any_of_user(transaction, &user)? {
                    Some((app, collection)) => {
                        documents::shrink(transaction, &app, &collection, &limits, rows)
                    }
                    None => Ok(0),
                }
            });
            if pace.take(removed).await? == 0 {
                return Ok(());
            }
        }
    }
}
