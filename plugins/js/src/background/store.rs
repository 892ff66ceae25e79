//! The SQL of declarations: apps whose schedules are to be compared with their manifest.

use fazt_sdk::cartridge::Query as _;
use fazt_sdk::prelude::*;

/// Stands for all apps: those that were deployed before anybody looked.
const EVERYBODY: &str = "*";

/// The rows. Cheap to clone.
pub(super) struct Store(Cartridge);

impl Store {
    pub(super) fn new(cartridge: Cartridge) -> Self {
        Self(cartridge)
    }

    /// The apps that are due.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(super) fn due(&self) -> Result<Vec<(AppId, u64)>> {
        let found = self.0.read(|reader| {
            reader.all(
                "SELECT app, number FROM js_cron_due WHERE app <> ?1 ORDER BY app LIMIT 1000",
                params![EVERYBODY],
                |row| row.read::<(String, u64)>(),
            )
        })?;
        Ok(found.iter().filter_map(|(app, number)| Some((app.parse().ok()?, *number))).collect())
    }

    /// Whether all apps are due.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(super) fn is_everybody_due(&self) -> Result<bool> {
        let found = self.0.read(|reader| {
            reader.first("SELECT 1 FROM js_cron_due WHERE app = ?1", params![EVERYBODY], |row| {
                row.get::<u64>(0)
            })
        })?;
        Ok(found.is_some())
    }

    /// # Errors
    /// What the cartridge says.
    pub(super) async fn everybody_is_done(&self) -> Result<()> {
        self.delete(EVERYBODY.to_owned(), 0).await
    }

    /// Forgets an app, unless it was activated once more since `number`.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(super) async fn remove(&self, app: AppId, number: u64) -> Result<()> {
        self.delete(app.to_string(), number).await
    }

    async fn delete(&self, app: String, number: u64) -> Result<()> {
        let deleted = self.0.write(None, move |transaction| {
            transaction.execute(
                "DELETE FROM js_cron_due WHERE app = ?1 AND number = ?2",
                params![app, number],
            )
        });
        deleted.await.map(drop)
    }
}

/// Notes that an app is due.
///
/// # Errors
/// What the cartridge says.
pub(super) fn add(transaction: &Transaction<'_>, app: AppId) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO js_cron_due (app, number) VALUES (?1, 1) \
             ON CONFLICT (app) DO UPDATE SET number = number + 1",
            params![app.to_string()],
        )
        .map(drop)
}
