//! Events: what happened, told to whoever listens.
//!
//! A *published* event reaches those who listen now, in batches, best effort. An event *emitted*
//! inside a transaction is durable: it is in the log exactly when the transaction is, and durable
//! subscribers see it at least once, after restarts too.

use bytes::Bytes;

use crate::wire;
use crate::{Result, Wire};
use fazt_macros::Event;

/// Something that happened. Derive it, with `Wire`.
pub trait Event: Wire {
    /// The name, `plugin.what-happened`.
    const NAME: &'static str;
}

/// A request was answered. Published by the kernel, best effort.
#[derive(Debug, Clone, PartialEq, Wire, Event)]
#[event("fazt.request-finished")]
pub struct RequestFinished {
    /// The app that answered, if one did.
    pub app: Option<crate::AppId>,
    /// The canonical host.
    pub host: String,
    /// The canonical path.
    pub path: String,
    /// The method.
    pub method: String,
    /// The status.
    pub status: u16,
    /// Microseconds from the head's arrival to the response's head.
    pub duration_us: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// An app was removed from the directory. Emitted in the transaction that removes it.
#[derive(Debug, Clone, PartialEq, Wire, Event)]
#[event("fazt.app-removed")]
pub struct AppRemoved {
    /// The app.
    pub app: crate::AppId,
}

/// Decodes a batch; undecodable events are an error of the publisher, not skipped.
pub(crate) fn decode<E: Event>(batch: Vec<Bytes>) -> Result<Vec<E>> {
    batch.iter().map(|bytes| wire::from_slice(bytes).map_err(Into::into)).collect()
}
