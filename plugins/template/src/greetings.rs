//! The service that this plugin offers to others.

use fazt_sdk::prelude::*;

/// Counts of greetings. Provided by the template plugin.
#[service("template.greetings", 1)]
pub trait Greetings {
    /// How often visitors of `path` in the caller's app were greeted. Reads only; under 1 ms.
    ///
    /// # Errors
    /// `Invalid` when the call is for no app.
    async fn count(&self, call: &Call, path: &str) -> Result<u64>;
}
