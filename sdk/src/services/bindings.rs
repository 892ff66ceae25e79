//! The functions that plugins offer to apps' code, and a way to call them.

use bytes::Bytes;

use crate::call::Call;
use crate::error::Result;
use crate::{Wire, service};

/// A function of a running plugin, as in `fazt.visits.count`.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct BindingInfo {
    /// The name below `fazt.`.
    pub name: String,
    /// The plugin that answers it.
    pub plugin: String,
    /// The names of its arguments.
    pub arguments: Vec<String>,
    /// Whether it answers a promise; otherwise whoever calls it waits.
    pub promise: bool,
}

/// A script of a plugin for the code of apps: it runs where its bindings are, once they are there.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct BindingScript {
    /// The plugin.
    pub plugin: String,
    /// JavaScript.
    pub source: String,
}

/// All that running plugins offer to apps' code at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct BindingList {
    /// Grows with every change of the list. Positions belong to one generation.
    pub generation: u64,
    /// The functions, by name.
    pub bindings: Vec<BindingInfo>,
    /// The scripts, by plugin.
    pub scripts: Vec<BindingScript>,
}

/// The bindings of running plugins. Provided by the kernel, for whoever runs the code of apps.
#[service("fazt.bindings", 1)]
pub trait Bindings {
    /// All of them. Reads memory only.
    async fn list(&self, call: &Call) -> Result<BindingList>;
    /// Calls the one at position `index` of that generation, in the name of `call`, with a JSON list of
    /// arguments; answers JSON.
    ///
    /// # Errors
    /// What the plugin says; `Unavailable` when it does not run any more, `Conflict` with the code
    /// `BINDINGS_CHANGED` when the list is another one by now.
    async fn call(&self, call: &Call, generation: u64, index: u32, list: Bytes) -> Result<Bytes>;
}
