//! What looks at the code of an app when it is deployed.

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::service;

/// Looks at the code of a deployment without running it. Contributed by plugins that run code; asked by
/// the one that takes deployments, once the deployment is stored.
#[service("hosting.code-check", 1)]
pub trait CodeCheck {
    /// What is wrong with the code that `app` serves now, or in the preview of that label: a sentence
    /// each, with file, line and column. Nothing is wrong with an app that has none.
    async fn check(&self, call: &Call, app: AppId, preview: Option<String>) -> Result<Vec<String>>;
}
