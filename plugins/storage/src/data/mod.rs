//! Moving an app's data: export, import, fork, removal.

mod record;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};
use fazt_sdk::{AppId, Error, Result, wire};

use self::record::{Cursor, Record};
use crate::account::{self, Limits};
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
            let apps = self.cartridge.read(|reader| account::store::condemned(reader))?;
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
            let app = app.clone();
            let removed = self.cartridge.write(None, move |transaction| {
                let rows = kv::store::remove_app(transaction, &app, BATCH_ROWS)?;
                if rows == 0 {
                    account::store::removed(transaction, &app)?;
                }
                Ok(rows)
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
                for record in &records {
                    match record {
                        Record::Value { user, key, value, expires_at_ms } => {
                            let place = Place { id: app, app: app.to_string(), user: user.clone() };
                            let value = kv::checked_value(value, &limits)?;
                            let key = kv::checked_key(key)?;
                            kv::store::put(
                                transaction,
                                &place,
                                key,
                                &value,
                                *expires_at_ms,
                                &limits,
                            )?;
                        }
                    }
                }
                Ok(())
            })
            .await
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
            let is_last = found.len() < PAGE_RECORDS as usize;
            let records = found.into_iter().map(|kept| Record::Value {
                user: kept.user,
                key: kept.key,
                value: kept.entry.value,
                expires_at_ms: kept.entry.expires_at_ms,
            });
            let (records, was_cut) = within_bounds(records);
            let next = records.last().filter(|_| was_cut || !is_last).map(Record::cursor);
            Ok((records, next))
        }
    }
}

/// As many records as fit a page, and whether some did not.
fn within_bounds(records: impl Iterator<Item = Record>) -> (Vec<Record>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for record in records {
        bytes += record.size();
        if bytes > PAGE_BYTES_MAX && !page.is_empty() {
            return (page, true);
        }
        page.push(record);
    }
    (page, false)
}

impl AppData for Data {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        self.cartridge.read(|reader| account::store::usage(reader, &app.to_string()))
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
                kv::store::remove_user(transaction, &user, BATCH_ROWS, &limits)
            });
            if removed.await? == 0 {
                return Ok(());
            }
        }
    }
}
