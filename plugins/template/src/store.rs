//! All SQL of the plugin, and the services that are no more than it.

use std::time::Duration;

use fazt_sdk::cartridge::Query as _;
use fazt_sdk::host::Clock;
use fazt_sdk::prelude::*;
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};

use crate::greetings::Greetings;

/// Records of one page of an export.
const PAGE_RECORDS: u32 = 500;

/// The counts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    cartridge: Cartridge,
    clock: Clock,
}

/// One counted path.
#[derive(Debug, Clone, PartialEq, Eq, Wire, Serialize, JsonSchema)]
pub(crate) struct Counted {
    pub(crate) path: String,
    pub(crate) count: u64,
    /// Milliseconds since 1970.
    pub(crate) last_at_ms: u64,
}

fn counted(row: Row<'_>) -> Result<Counted> {
    let (path, count, last_at_ms) = row.read()?;
    Ok(Counted { path, count, last_at_ms })
}

impl Store {
    pub(crate) fn new(host: &Host) -> Self {
        Self { cartridge: host.cartridge(), clock: host.clock() }
    }

    /// Counts one greeting; durable when it returns. Returns the new count.
    pub(crate) async fn greet(&self, app: AppId, path: &str) -> Result<u64> {
        let (path, now_ms) = (path.to_owned(), self.clock.unix_ms());
        let counted = self.cartridge.write(Some(app), move |transaction| {
            let count = transaction.first(
                "INSERT INTO template_greeting (app, path, count, last_at) VALUES (?1, ?2, 1, ?3) \
                 ON CONFLICT (app, path) DO UPDATE SET count = count + 1, last_at = ?3 RETURNING count",
                params![app.to_string(), path, now_ms],
                |row| row.get(0),
            )?;
            count.ok_or_else(|| Error::internal("counting returned no count"))
        });
        counted.await
    }

    /// How often `path` was greeted.
    pub(crate) fn count(&self, app: AppId, path: &str) -> Result<u64> {
        let count = self.cartridge.read(|reader| {
            reader.first(
                "SELECT count FROM template_greeting WHERE app = ?1 AND path = ?2",
                params![app.to_string(), path],
                |row| row.get(0),
            )
        })?;
        Ok(count.unwrap_or(0))
    }

    /// The most greeted paths.
    pub(crate) fn top(&self, app: AppId, limit: u32) -> Result<Vec<Counted>> {
        self.cartridge.read(|reader| {
            reader.all(
                "SELECT path, count, last_at FROM template_greeting WHERE app = ?1 ORDER BY count DESC, path LIMIT ?2",
                params![app.to_string(), limit],
                counted,
            )
        })
    }

    /// Forgets what was not greeted for `retention`.
    pub(crate) async fn expire(&self, retention: Duration) -> Result<()> {
        let before = self
            .clock
            .unix_ms()
            .saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
        let expired = self.cartridge.write(None, move |transaction| {
            transaction.execute("DELETE FROM template_greeting WHERE last_at < ?1", params![before])
        });
        expired.await.map(drop)
    }
}

/// Removes all counts of `app`.
pub(crate) fn delete_app(transaction: &Transaction<'_>, app: AppId) -> Result<()> {
    transaction
        .execute("DELETE FROM template_greeting WHERE app = ?1", params![app.to_string()])
        .map(drop)
}

impl Greetings for Store {
    async fn count(&self, call: &Call, path: &str) -> Result<u64> {
        let app = call.app().ok_or_else(|| {
            Error::invalid("greetings are counted per app; this call is for none")
        })?;
        Self::count(self, app, path)
    }
}

impl AppData for Store {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        let used = self.cartridge.read(|reader| {
            reader.first("SELECT count(*), coalesce(sum(length(path)), 0) FROM template_greeting WHERE app = ?1", params![app.to_string()], |row| {
                row.read::<(u64, u64)>()
            })
        })?;
        let (count, bytes) = used.unwrap_or_default();
        Ok(vec![Usage { what: "greetings".to_owned(), count, bytes }])
    }

    async fn export(&self, _: &Call, app: AppId, cursor: Option<String>) -> Result<Page> {
        let after = cursor.unwrap_or_default();
        let rows = self.cartridge.read(|reader| {
            reader.all(
                "SELECT path, count, last_at FROM template_greeting WHERE app = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
                params![app.to_string(), after, PAGE_RECORDS],
                counted,
            )
        })?;
        let next = if rows.len() == PAGE_RECORDS as usize {
            rows.last().map(|row| row.path.clone())
        } else {
            None
        };
        Ok(Page { records: rows.iter().map(fazt_sdk::wire::to_vec).collect(), next })
    }

    async fn import(&self, _: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()> {
        let rows = records
            .iter()
            .map(|record| fazt_sdk::wire::from_slice(record))
            .collect::<Result<Vec<Counted>, _>>()?;
        let imported = self.cartridge.write(Some(app), move |transaction| {
            for row in &rows {
                transaction.execute(
                    "INSERT INTO template_greeting (app, path, count, last_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (app, path) DO UPDATE SET count = ?3, last_at = ?4",
                    params![app.to_string(), row.path, row.count, row.last_at_ms],
                )?;
            }
            Ok(())
        });
        imported.await
    }

    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        let forked = self.cartridge.write(Some(to), move |transaction| {
            transaction.execute(
                "INSERT INTO template_greeting (app, path, count, last_at) SELECT ?2, path, count, last_at FROM template_greeting WHERE app = ?1 \
                 ON CONFLICT DO NOTHING",
                params![from.to_string(), to.to_string()],
            )
        });
        forked.await.map(drop)
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        self.cartridge.write(Some(app), move |transaction| delete_app(transaction, app)).await
    }

    async fn delete_user(&self, _: &Call, _user: &str) -> Result<()> {
        // Greetings are counted by path, not by visitor.
        Ok(())
    }
}
