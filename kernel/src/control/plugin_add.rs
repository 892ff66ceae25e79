//! `POST /api/plugins`: a library enters the cartridge. The command sends the file.

use fazt_sdk::prelude::*;
use serde_json::json;

use super::{Node, Parts};
use crate::registry::library::LIBRARY_BYTES_MAX;

struct AddPlugin(Node);

impl Handler for AddPlugin {
    async fn call(&self, _: &Call, mut request: Request) -> Result<Response> {
        let library = request.body().collect(LIBRARY_BYTES_MAX).await?;
        let manifest = self.0.core()?.registry.add_library(library).await?;
        Response::json(
            &json!({ "data": { "name": manifest.name, "version": manifest.version, "about": manifest.about } }),
        )
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let handler = AddPlugin(parts.node());
    parts.route(
        Route::admin(Method::Post, "/api/plugins").body_max(LIBRARY_BYTES_MAX as u64),
        handler,
    )
}
