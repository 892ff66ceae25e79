//! Several writes to values and documents, all or none, if nothing changed that was read before.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::services::space::Space;
use crate::{Wire, service};

/// The most checks, and the most writes, of one transaction.
pub const STEPS_MAX: usize = 1_000;

/// What was read, and has to be as it was.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub enum Check {
    /// `key` holds the value with this version; nothing when it is 0.
    Key {
        /// Whose.
        space: Space,
        /// The key.
        key: String,
        /// The version.
        version: u64,
    },
    /// Below `prefix` there are as many keys, and none is newer.
    Keys {
        /// Whose.
        space: Space,
        /// What the keys start with.
        prefix: String,
        /// How many there are.
        count: u64,
        /// The greatest version of them; 0 when there are none.
        version: u64,
    },
    /// The document has this version; there is none when it is 0.
    Document {
        /// Whose.
        space: Space,
        /// The collection.
        collection: String,
        /// The document's id.
        id: String,
        /// The version.
        version: u64,
    },
    /// Nothing was written to the collection since this version.
    Collection {
        /// Whose.
        space: Space,
        /// The collection.
        collection: String,
        /// What [`Transactions::version`] answered.
        version: u64,
    },
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub enum Write {
    /// As `Kv::set`.
    Set {
        /// Whose.
        space: Space,
        /// The key.
        key: String,
        /// The value, as JSON text.
        value: String,
        /// For how long.
        ttl: Option<Duration>,
    },
    /// As `Kv::delete`.
    Unset {
        /// Whose.
        space: Space,
        /// The key.
        key: String,
    },
    /// As `Documents::insert`.
    Insert {
        /// Whose.
        space: Space,
        /// The collection.
        collection: String,
        /// The document, as JSON text.
        document: String,
    },
    /// As `Documents::update`.
    Update {
        /// Whose.
        space: Space,
        /// The collection.
        collection: String,
        /// Which documents.
        query: String,
        /// What changes.
        changes: String,
    },
    /// As `Documents::delete`.
    Delete {
        /// Whose.
        space: Space,
        /// The collection.
        collection: String,
        /// Which documents.
        query: String,
    },
}

/// Optimistic transactions over `Kv` and `Documents`, for the app of the call. Provided by the storage
/// plugin.
///
/// Whoever reads keeps the versions of what was read and decides; `commit` writes if all of it is still
/// so, in one step that no other write comes between.
#[service("fazt.transactions", 1)]
pub trait Transactions {
    /// Of the newest write to a collection; 0 before the first. Ask before what is read of it.
    async fn version(&self, call: &Call, space: &Space, collection: &str) -> Result<u64>;
    /// Checks, then writes in order. Returns for each write how many values or documents it changed.
    ///
    /// # Errors
    /// `Conflict` with `TX_CONFLICT` when something is not as it was: read again and decide anew.
    /// `Invalid` with `INDEX_REQUIRED` for a query that would look through a large collection. As the
    /// writes otherwise. Nothing was written then.
    async fn commit(&self, call: &Call, checks: &[Check], writes: &[Write]) -> Result<Vec<u64>>;
}
