//! `POST /api/plugins`: a library enters the cartridge. The command sends the file.

use fazt_sdk::prelude::*;
use serde_json::json;

use super::{Node, Parts};
use crate::registry::library::LIBRARY_BYTES_MAX;

struct AddPlugin(Node);

/// Plugins are code of the whole node: a key for one app has no say.
pub(super) fn check_unlimited(call: &Call) -> Result<()> {
    if call.limited_to().is_some() {
        return Err(Error::denied("a key for one app cannot change the node's plugins"));
    }
    Ok(())
}

/// Who may hand over native code: the owner, or a key with the scope `admin` and no limit.
pub(super) fn check_may_load(call: &Call) -> Result<()> {
    if !call.has(Scope::Admin) {
        return Err(Error::denied("this key does not have the scope admin; make one with `fazt server create-key --scopes admin`").with_code("SCOPE_MISSING"));
    }
    check_unlimited(call)
}

impl Handler for AddPlugin {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        check_may_load(call)?;
        let library = request.body().collect(LIBRARY_BYTES_MAX).await?;
        let manifest = self.0.core()?.registry.add_library(library.to_vec()).await?;
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
