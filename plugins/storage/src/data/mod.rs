//! Moving an app's data: export, import, fork, removal.

mod record;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::prelude::Transaction;
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};
use fazt_sdk::{AppId, Error, Result, wire};

use self::record::{Cursor, Record};
use crate::account::{self, Limits};
use crate::documents::store::collection;
use crate::documents::{self, New};
use crate::json::Json;
use crate::kv;
use crate::place::Place;
use crate::reading;

/// The most records of a page; a page also ends after [`PAGE_BYTES_MAX`].
const PAGE_RECORDS: u32 = 500;

/// The most bytes of a page, unless one record alone has more.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// Rows that one write removes.
const BATCH_ROWS: u32 = 500;

/// The contributor. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    cartridge: Cartridge,
    clock: Clock,
    limits: Limits,
}

impl Data {
    pub(crate) fn new(host: &Host, limits: Limits) -> Self {
        Self { cartridge: host.cartridge(), clock: host.clock(), limits }
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
        loop {
            let (app, limits) = (app.clone(), self.limits);
            let removed = self.cartridge.write(None, move |transaction| {
                let rows = kv::store::remove_app(transaction, &app, BATCH_ROWS)?;
                if rows > 0 {
                    return Ok(rows);
                }
                if let Some(collection) = collection::any_of_app(transaction, &app)? {
                    return documents::shrink(transaction, &app, &collection, &limits);
                }
                account::store::removed(transaction, &app)?;
                Ok(0)
            });
            if removed.await? == 0 {
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
        let limits = self.limits;
        self.cartridge
            .write(Some(app), move |transaction| {
                records.iter().try_for_each(|record| import(transaction, app, record, &limits))
            })
            .await
    }
}

/// Takes in one record.
fn import(
    transaction: &Transaction<'_>,
    app: AppId,
    record: &Record,
    limits: &Limits,
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
            Ok(within_bounds(records, None))
        }
    }
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
        let cursor = Cursor::parse(cursor.as_deref())?;
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
        loop {
            let (user, limits) = (user.to_owned(), self.limits);
            let removed = self.cartridge.write(None, move |transaction| {
                let values = kv::store::remove_user(transaction, &user, BATCH_ROWS, &limits)?;
                let found = collection::any_of_user(transaction, &user)?;
                let documents = match found {
                    Some((app, collection)) => {
                        documents::shrink(transaction, &app, &collection, &limits)?
                    }
                    None => 0,
                };
                Ok(values as u64 + documents)
            });
            if removed.await? == 0 {
                return Ok(());
            }
        }
    }
}
