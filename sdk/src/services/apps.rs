//! The directory of apps and of the names that point to them.

use schemars::JsonSchema;

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::{Wire, service};

/// An app, as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Wire, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct App {
    /// Its identity.
    pub id: AppId,
    /// The name that it was created under; for people, it routes nothing.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// The labels below the node's domain that lead to it, the oldest first.
    pub aliases: Vec<String>,
    /// Where it is reached, the oldest alias first.
    pub urls: Vec<String>,
}

/// Apps and aliases. Provided by the kernel.
///
/// An app is named by its id or by one of its aliases wherever text refers to one.
#[service("fazt.apps", 1)]
pub trait Apps {
    /// The app that `reference` (an id or an alias) names. Reads memory only.
    async fn find(&self, call: &Call, reference: &str) -> Result<Option<App>>;
    /// All apps that the caller may see, the oldest first. Reads memory only.
    async fn list(&self, call: &Call) -> Result<Vec<App>>;
    /// The app behind alias `name`, created with that alias when neither exists. One write.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for a reserved one.
    async fn ensure(&self, call: &Call, name: &str) -> Result<App>;
    /// `name` as the app that [`ensure`](Self::ensure) would make bears it: in lower case, and without
    /// the node's domain behind it. Reads memory only; to be asked before work that needs the app.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    async fn name_of_new(&self, call: &Call, name: &str) -> Result<String>;
}
