//! What every plugin with tables does for the apps whose data it keeps.

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::{Wire, service};

/// How much of something an app uses.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Usage {
    /// What is counted, as in `files`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Their size.
    pub bytes: u64,
}

/// One page of an export.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Page {
    /// Records, opaque to all but the plugin that wrote them.
    pub records: Vec<Vec<u8>>,
    /// Where the next page starts; nothing after the last.
    pub next: Option<String>,
}

/// The data of apps inside one plugin. Contributed by every plugin that has tables.
///
/// Exports and imports go page by page, so both resume where they stopped, and neither holds more
/// than a page in memory. Every method may be repeated: the second time changes nothing.
#[service("fazt.app-data", 1)]
pub trait AppData {
    /// What `app` uses.
    async fn usage(&self, call: &Call, app: AppId) -> Result<Vec<Usage>>;
    /// The page of `app`'s data that starts at `cursor`, at most 1 MiB of records.
    async fn export(&self, call: &Call, app: AppId, cursor: Option<String>) -> Result<Page>;
    /// Takes in one page, in the order of the export.
    async fn import(&self, call: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()>;
    /// Gives `to` the data of `from`, sharing content where it can.
    async fn fork(&self, call: &Call, from: AppId, to: AppId) -> Result<()>;
    /// Removes all data of `app`.
    async fn delete_app(&self, call: &Call, app: AppId) -> Result<()>;
    /// Removes all data of user `user`, in all apps.
    async fn delete_user(&self, call: &Call, user: &str) -> Result<()>;
}
