//! `POST /api/plugins/check`: looks at a library without adding it. The command sends the file.

use fazt_sdk::prelude::*;
use serde_json::json;

use super::{Node, Parts};
use crate::registry::library::LIBRARY_BYTES_MAX;

struct CheckPlugin(Node);

impl Handler for CheckPlugin {
    async fn call(&self, _: &Call, mut request: Request) -> Result<Response> {
        let library = request.body().collect(LIBRARY_BYTES_MAX).await?;
        let manifest = self.0.core()?.registry.check_library(library).await?;
        let requires: Vec<_> = manifest.requires.iter().map(ToString::to_string).collect();
        Response::json(
            &json!({ "data": { "name": manifest.name, "version": manifest.version, "about": manifest.about, "requires": requires } }),
        )
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let handler = CheckPlugin(parts.node());
    parts.route(
        Route::admin(Method::Post, "/api/plugins/check").body_max(LIBRARY_BYTES_MAX as u64),
        handler,
    )
}
